//! Users and rules (remoting.md §11.10, admin.md §4.13).

request! {
    /// One user.
    pub struct UserOf<'a> {
        username: Option<&'a str> = "username",
    }

    /// Users whose name holds the filter.
    pub struct UsersLike<'a> {
        filter: Option<&'a str> = "filter",
    }

    /// The rules of one subject.
    pub struct AclOf<'a> {
        subject: Option<&'a str> = "subject",
    }

    /// One rule of a subject, or all of them.
    pub struct DeleteAcl<'a> {
        subject: Option<&'a str> = "subject",
        policy_type: Option<&'a str> = "policyType",
        resource: Option<&'a str> = "resource",
    }

    /// Rules whose subject and resource hold the filters.
    pub struct AclsLike<'a> {
        subject_filter: Option<&'a str> = "subjectFilter",
        resource_filter: Option<&'a str> = "resourceFilter",
    }
}
