//! Users and their rules: 3001–3010.
//!
//! Spec: admin.md §4.13; remoting.md §11.10.

use serde::{Deserialize, Serialize};

use super::lenient;

/// One user, as tools write and read it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UserInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_type: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub username: String,
}

impl std::fmt::Debug for UserInfo {
    /// Without the password: this may end in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserInfo").field("username", &self.username).finish_non_exhaustive()
    }
}

/// The rules of one subject, `User:name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AclInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub policies: Vec<PolicyInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// The rules of one kind: `Custom` or `Default`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub entries: Vec<EntryInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_type: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct EntryInfo {
    #[serde(deserialize_with = "lenient::or_default")]
    pub actions: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ips: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json_dialect::{from_slice, to_vec};

    #[test]
    fn samples_write_back_the_same_bytes() {
        let user = br#"{"password":"p","userStatus":"enable","userType":"Normal","username":"u2"}"#;
        let read: UserInfo = from_slice(user).unwrap();
        assert_eq!(to_vec(&read), user);
        let acl = br#"{"policies":[{"entries":[{"actions":["Pub","Sub"],"decision":"Allow","resource":"Topic:orders","sourceIps":["10.0.0.0/8"]}],"policyType":"Custom"}],"subject":"User:u1"}"#;
        let read: AclInfo = from_slice(acl).unwrap();
        assert_eq!(to_vec(&read), acl);
        let absent: AclInfo = from_slice(br#"{"policies":null}"#).unwrap();
        assert_eq!(absent, AclInfo::default());
    }
}
