//! Subscription groups (remoting.md §11.10).

request! {
    /// Whether a group may read a topic; asked, or set.
    pub struct GroupForbiddenOf<'a> {
        group: &'a str = "group",
        topic: &'a str = "topic",
        readable: Option<bool> = "readable",
    }

    /// A subscription group.
    pub struct GroupOf<'a> {
        group: &'a str = "group",
    }

    /// Removes a group.
    pub struct DeleteGroup<'a> {
        group: &'a str = "groupName",
        clean_offset: Option<bool> = "cleanOffset",
    }

    /// Lists groups, whole or in pages.
    pub struct AllGroupConfig {
        seq: Option<i32> = "groupSeq",
        max: Option<i32> = "maxGroupNum",
    }

    /// How many groups there are in all.
    pub struct TotalGroups {
        total: i32 = "totalGroupNum",
    }

    /// What a group subscribes on a topic.
    pub struct SubscriptionOf<'a> {
        group: &'a str = "group",
        topic: Option<&'a str> = "topic",
    }
}
