//! Users and rules, and whether a request may be served (semantics.md §20.2).
//!
//! A snapshot that every request reads without a lock; changes are on the disk before they are answered, in a
//! file of their own that only its owner can read. Rules are decided in `decide/access`.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};

use super::lock;
use crate::config::BrokerConfig;
use crate::decide::access::Action;
use crate::decide::access::needs;
use crate::decide::access::rules::{
    self, Decision, Entry, Need, Policies, Resource, Source, Verdict,
};
use crate::protocol::body::auth::{AclInfo, EntryInfo, PolicyInfo, UserInfo};
use crate::protocol::header::Header;
use crate::protocol::signature::{self, ACCESS_KEY};

/// File of users and rules in `config/`.
pub const FILE: &str = "mqdeckAccess.json";
/// Most users.
const USERS_MAX: usize = 10_000;
/// Most rules of a user.
const ENTRIES_MAX: usize = 1_000;
/// How subjects begin.
const USER: &str = "User:";

/// One user.
#[derive(Clone, PartialEq, Eq)]
struct User {
    password: String,
    is_super: bool,
    enabled: bool,
}

/// Everything that is known of users.
#[derive(Clone, Default)]
struct Table {
    users: BTreeMap<String, User>,
    policies: BTreeMap<String, Policies>,
}

/// What the file holds: the bodies that tools see.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessFile {
    acls: Vec<AclInfo>,
    users: Vec<UserInfo>,
}

/// Users, rules and what is switched on.
pub struct Access {
    authenticates: bool,
    authorizes: bool,
    cluster: String,
    unsigned: Vec<i32>,
    unruled: Vec<i32>,
    table: ArcSwap<Table>,
    writer: Mutex<()>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("authenticates", &self.authenticates).finish_non_exhaustive()
    }
}

/// Why a user without a name is not made, changed or removed.
pub const BLANK: &str = "username can not be blank";

/// Why users or rules were not changed: the remark of the refusal.
pub type Refused = String;

impl Access {
    /// What a configuration switches on, with nobody known but its first users.
    pub fn new(config: &BrokerConfig) -> Self {
        let codes =
            |list: &str| list.split(',').filter_map(|code| code.trim().parse().ok()).collect();
        let access = Self {
            authenticates: config.authentication_enabled,
            authorizes: config.authorization_enabled,
            cluster: config.broker_cluster_name.clone(),
            unsigned: codes(&config.authentication_whitelist),
            unruled: codes(&config.authorization_whitelist),
            table: ArcSwap::default(),
            writer: Mutex::default(),
        };
        access.add_first_users(config);
        access
    }

    /// Whether requests have to be signed. Without that anybody can name any user, so nobody is kept out.
    pub const fn authenticates(&self) -> bool {
        self.authenticates
    }

    /// Whether requests need rules.
    pub const fn authorizes(&self) -> bool {
        self.authorizes
    }

    /// Whether anything is checked.
    pub const fn is_on(&self) -> bool {
        self.authenticates || self.authorizes
    }

    /// Puts in what was stored; the first users stay as they were stored, if they were.
    pub fn restore(&self, file: AccessFile, config: &BrokerConfig) {
        let mut table = Table::default();
        for info in file.users {
            let user = User {
                password: info.password.unwrap_or_default(),
                is_super: is_super(info.user_type.as_deref()),
                enabled: info.user_status.as_deref().is_none_or(is_enabled),
            };
            table.users.insert(info.username, user);
        }
        for acl in file.acls {
            let Some(name) = acl.subject.as_deref().and_then(|s| s.strip_prefix(USER)) else {
                continue;
            };
            match policies(&acl) {
                Ok(policies) => drop(table.policies.insert(name.to_owned(), policies)),
                Err(problem) => tracing::error!(file = FILE, name, problem, "rules are left out"),
            }
        }
        self.table.store(Arc::new(table));
        self.add_first_users(config);
    }

    fn add_first_users(&self, config: &BrokerConfig) {
        let first = [config.first_user(), config.inner_credentials()];
        let mut table = Table::clone(&self.table.load());
        for (name, password) in first.into_iter().flatten() {
            let user = User { password, is_super: true, enabled: true };
            table.users.entry(name).or_insert(user);
        }
        self.table.store(Arc::new(table));
    }

    /// Hands over the content of the file. No change comes between that and what is done with it, so of two
    /// contents the later one is handed over later.
    pub fn write(&self, submit: impl FnOnce(AccessFile)) {
        let _one = lock(&self.writer);
        submit(AccessFile { acls: self.acls("", ""), users: self.users("", true) });
    }

    /// Whether a request may be served; the remark of the refusal when not.
    ///
    /// # Errors
    /// The remark of the refusal.
    pub fn check(&self, header: &Header<'_>, body: &[u8], from: IpAddr) -> Result<(), Refused> {
        let table = self.table.load();
        let user = header.ext.get(ACCESS_KEY).unwrap_or_default();
        if self.authenticates && !self.unsigned.contains(&header.code) {
            authenticate(&table, user, header, body)?;
        }
        if self.authorizes && !self.unruled.contains(&header.code) {
            let needs = needs::of(header.code, &header.ext, body, &self.cluster)
                .map_err(|problem| problem.to_string())?;
            authorize(&table, user, &needs, from)?;
        }
        Ok(())
    }

    /// Whether who sent a request has a right that only its message tells.
    ///
    /// # Errors
    /// The remark of the refusal.
    pub fn check_message(
        &self,
        header: &Header<'_>,
        need: &Need,
        from: IpAddr,
    ) -> Result<(), Refused> {
        if !self.authorizes || self.unruled.contains(&header.code) {
            return Ok(());
        }
        let user = header.ext.get(ACCESS_KEY).unwrap_or_default();
        authorize(&self.table.load(), user, std::slice::from_ref(need), from)
    }

    /// Whether a user is one that may do everything. Nobody in particular is: without signatures everybody is.
    pub fn is_super(&self, user: &str) -> bool {
        user.is_empty() || self.table.load().users.get(user).is_some_and(|user| user.is_super)
    }

    /// Whether there is such a user.
    pub fn knows(&self, user: &str) -> bool {
        self.table.load().users.contains_key(user)
    }

    /// A user, with its password only for those who may see it.
    pub fn user(&self, name: &str, with_password: bool) -> Option<UserInfo> {
        let table = self.table.load();
        table.users.get(name).map(|user| user_info(name, user, with_password))
    }

    /// Users whose name holds `filter`.
    pub fn users(&self, filter: &str, with_password: bool) -> Vec<UserInfo> {
        let table = self.table.load();
        let found = table.users.iter().filter(|(name, _)| name.contains(filter));
        found.map(|(name, user)| user_info(name, user, with_password)).collect()
    }

    /// Adds a user.
    ///
    /// # Errors
    /// Why not.
    pub fn create_user(&self, info: &UserInfo) -> Result<(), Refused> {
        let password = info.password.as_deref().unwrap_or_default();
        if info.username.trim().is_empty() {
            return Err(BLANK.to_owned());
        }
        if password.trim().is_empty() {
            return Err("password can not be blank".to_owned());
        }
        self.change(|table| {
            if table.users.contains_key(&info.username) {
                return Err("The user is existed".to_owned());
            }
            if table.users.len() >= USERS_MAX {
                return Err(format!("there are {USERS_MAX} users, the most that are kept"));
            }
            let user = User {
                password: password.to_owned(),
                is_super: is_super(info.user_type.as_deref()),
                enabled: info.user_status.as_deref().is_none_or(is_enabled),
            };
            table.users.insert(info.username.clone(), user);
            Ok(())
        })
    }

    /// Changes what is named of a user.
    ///
    /// # Errors
    /// Why not.
    pub fn update_user(&self, info: &UserInfo) -> Result<(), Refused> {
        if info.username.trim().is_empty() {
            return Err(BLANK.to_owned());
        }
        self.change(|table| {
            let user = table.users.get_mut(&info.username);
            let user = user.ok_or_else(|| "The user is not exist".to_owned())?;
            if let Some(password) = info.password.as_deref().filter(|text| !text.trim().is_empty())
            {
                password.clone_into(&mut user.password);
            }
            if let Some(kind) = info.user_type.as_deref().filter(|kind| is_kind(kind)) {
                user.is_super = is_super(Some(kind));
            }
            if let Some(status) = info.user_status.as_deref().filter(|status| is_status(status)) {
                user.enabled = is_enabled(status);
            }
            Ok(())
        })
    }

    /// Removes a user and its rules; nothing happens when there is none.
    pub fn delete_user(&self, name: &str) {
        // The change itself refuses nothing.
        let _ = self.change(|table| {
            table.users.remove(name);
            table.policies.remove(name);
            Ok(())
        });
    }

    /// The rules of a user; none when it has none.
    pub fn acl(&self, name: &str) -> Option<AclInfo> {
        self.table.load().policies.get(name).map(|policies| acl_info(name, policies, ""))
    }

    /// Rules whose subject and resource hold the filters.
    pub fn acls(&self, subject: &str, resource: &str) -> Vec<AclInfo> {
        let table = self.table.load();
        let found =
            table.policies.iter().filter(|(name, _)| format!("{USER}{name}").contains(subject));
        let listed = found.map(|(name, policies)| acl_info(name, policies, resource));
        listed.filter(|acl| !acl.policies.is_empty()).collect()
    }

    /// Adds rules to a user's; those for the same resource are replaced.
    ///
    /// # Errors
    /// Why not.
    pub fn put_acl(&self, name: &str, acl: &AclInfo) -> Result<(), Refused> {
        let new = policies(acl)?;
        self.change(|table| {
            if !table.users.contains_key(name) {
                return Err(format!("The subject of {USER}{name} is not exist."));
            }
            let own = table.policies.entry(name.to_owned()).or_default();
            merge(&mut own.custom, new.custom);
            merge(&mut own.default, new.default);
            if own.custom.len() + own.default.len() > ENTRIES_MAX {
                return Err(format!("{name} has {ENTRIES_MAX} rules, the most that are kept"));
            }
            Ok(())
        })
    }

    /// Removes the rule of a resource, or all rules of a user.
    ///
    /// # Errors
    /// Why not.
    pub fn delete_acl(
        &self,
        name: &str,
        is_default: bool,
        resource: Option<&Resource>,
    ) -> Result<(), Refused> {
        self.change(|table| {
            if !table.users.contains_key(name) {
                return Err("The subject is not exist.".to_owned());
            }
            let Some(own) = table.policies.get_mut(name) else {
                return Err("The acl is not exist.".to_owned());
            };
            if let Some(resource) = resource {
                let entries = if is_default { &mut own.default } else { &mut own.custom };
                entries.retain(|entry| entry.resource != *resource);
            }
            if resource.is_none() || own.custom.is_empty() && own.default.is_empty() {
                table.policies.remove(name);
            }
            Ok(())
        })
    }

    /// Nothing changes when the change refuses.
    fn change(
        &self,
        change: impl FnOnce(&mut Table) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let _one = lock(&self.writer);
        let mut table = Table::clone(&self.table.load());
        change(&mut table)?;
        self.table.store(Arc::new(table));
        Ok(())
    }
}

fn authenticate(
    table: &Table,
    name: &str,
    header: &Header<'_>,
    body: &[u8],
) -> Result<(), Refused> {
    if name.is_empty() {
        return Err("username cannot be null.".to_owned());
    }
    let user = table.users.get(name).ok_or_else(|| format!("User:{name} is not found."))?;
    if !user.enabled {
        return Err(format!("User:{name} is disabled."));
    }
    if !signature::verify(&header.ext, header.version, body, &user.password) {
        return Err("check signature failed.".to_owned());
    }
    Ok(())
}

fn authorize(table: &Table, name: &str, needs: &[Need], from: IpAddr) -> Result<(), Refused> {
    if needs.is_empty() {
        return Ok(());
    }
    let user = table.users.get(name).ok_or_else(|| format!("User:{name} not found."))?;
    if user.is_super {
        return Ok(());
    }
    let none = Policies::default();
    let policies = table.policies.get(name).unwrap_or(&none);
    for need in needs {
        let detail = match rules::decide(policies, need, from) {
            Verdict::Allowed => continue,
            Verdict::Denied => "the decision is deny.",
            Verdict::NoRule => "no matched policies.",
        };
        let (kind, thing) = (need.kind.name(), &need.name);
        return Err(format!(
            "User:{name} has no permission to access {kind}:{thing} from {from}, {detail}"
        ));
    }
    Ok(())
}

fn is_super(kind: Option<&str>) -> bool {
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("Super"))
}

fn is_kind(kind: &str) -> bool {
    ["Super", "Normal"].iter().any(|known| known.eq_ignore_ascii_case(kind))
}

fn is_enabled(status: &str) -> bool {
    !status.eq_ignore_ascii_case("disable")
}

fn is_status(status: &str) -> bool {
    ["enable", "disable"].iter().any(|known| known.eq_ignore_ascii_case(status))
}

fn user_info(name: &str, user: &User, with_password: bool) -> UserInfo {
    UserInfo {
        password: with_password.then(|| user.password.clone()),
        user_status: Some(if user.enabled { "enable" } else { "disable" }.to_owned()),
        user_type: Some(if user.is_super { "Super" } else { "Normal" }.to_owned()),
        username: name.to_owned(),
    }
}

fn acl_info(name: &str, policies: &Policies, resource: &str) -> AclInfo {
    let policy = |kind: &str, entries: &[Entry]| {
        let entries: Vec<EntryInfo> = entries
            .iter()
            .filter(|entry| entry.resource.text().contains(resource))
            .map(entry_info)
            .collect();
        (!entries.is_empty()).then(|| PolicyInfo { entries, policy_type: Some(kind.to_owned()) })
    };
    let both = [policy("Custom", &policies.custom), policy("Default", &policies.default)];
    AclInfo {
        policies: both.into_iter().flatten().collect(),
        subject: Some(format!("{USER}{name}")),
    }
}

fn entry_info(entry: &Entry) -> EntryInfo {
    EntryInfo {
        actions: entry.actions.iter().map(|action| action.name().to_owned()).collect(),
        decision: Some(entry.decision.name().to_owned()),
        resource: Some(entry.resource.text()),
        source_ips: (!entry.sources.is_empty())
            .then(|| entry.sources.iter().map(ToString::to_string).collect()),
    }
}

/// Reads rules as tools write them.
fn policies(acl: &AclInfo) -> Result<Policies, Refused> {
    let mut read = Policies::default();
    // Policies without entries say nothing.
    if acl.policies.iter().all(|policy| policy.entries.is_empty()) {
        return Err("The policies is empty.".to_owned());
    }
    for policy in &acl.policies {
        let kind = policy.policy_type.as_deref().unwrap_or_default();
        let into = if is_default(kind) { &mut read.default } else { &mut read.custom };
        for info in &policy.entries {
            merge(into, vec![entry(info)?]);
        }
    }
    Ok(read)
}

/// Whether a kind of policy is the one that is asked last.
pub fn is_default(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("Default")
}

fn entry(info: &EntryInfo) -> Result<Entry, Refused> {
    let resource = info.resource.as_deref().and_then(Resource::parse);
    let resource = resource.ok_or("The resource is null.")?;
    if info.actions.iter().any(|action| action.eq_ignore_ascii_case("Any")) {
        return Err("The actions can not be Any.".to_owned());
    }
    let actions: Vec<Action> =
        info.actions.iter().filter_map(|action| Action::from_name(action)).collect();
    if actions.is_empty() {
        return Err("The actions is empty.".to_owned());
    }
    let sources = info.source_ips.iter().flatten().map(|text| {
        if text.trim().is_empty() {
            return Err("The source ip is empty.".to_owned());
        }
        Source::parse(text).ok_or_else(|| "The source ip is invalid.".to_owned())
    });
    let sources = sources.collect::<Result<_, _>>()?;
    let decision = info.decision.as_deref().and_then(Decision::from_name);
    let decision = decision.ok_or("The decision is null or illegal.")?;
    Ok(Entry { resource, actions, sources, decision })
}

/// New rules take the place of those for the same resource.
fn merge(own: &mut Vec<Entry>, new: Vec<Entry>) {
    for entry in new {
        match own.iter_mut().find(|old| old.resource == entry.resource) {
            Some(old) => *old = entry,
            None => own.push(entry),
        }
    }
}

/// The name in a subject such as `User:name`.
pub fn user_of(subject: &str) -> Option<&str> {
    let (kind, name) = subject.split_once(':')?;
    kind.eq_ignore_ascii_case("User").then_some(name)
}
