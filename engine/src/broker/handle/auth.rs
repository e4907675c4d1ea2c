//! Users and rules: 3001–3010 (admin.md §4.13).

use super::body_of;
use crate::broker::Broker;
use crate::broker::outcome::{Cx, Outcome, Reply};
use crate::broker::state::access::{self, FILE, Refused};
use crate::decide::access::rules::Resource;
use crate::protocol::body::auth::{AclInfo, UserInfo};
use crate::protocol::header::Header;
use crate::protocol::json_dialect;
use crate::protocol::request::auth::{AclOf, AclsLike, DeleteAcl, UserOf, UsersLike};
use crate::protocol::response_code::{INVALID_PARAMETER, NO_PERMISSION, SYSTEM_ERROR};
use crate::protocol::signature::ACCESS_KEY;
use crate::store::StoreError;

/// Who asks, as far as users are concerned.
#[derive(Debug, Default)]
pub struct Asker {
    name: String,
}

impl Asker {
    /// The user that signed the request.
    pub fn of(header: &Header<'_>) -> Self {
        Self { name: header.ext.get(ACCESS_KEY).unwrap_or_default().to_owned() }
    }

    fn is_super(&self, broker: &Broker) -> bool {
        broker.access.is_super(&self.name)
    }
}

/// What is answered while access control is off: there are no users then.
fn off(broker: &Broker) -> Option<Outcome> {
    let remark = "access control is off: set authenticationEnabled";
    (!broker.access.is_on()).then(|| Reply::refuse(SYSTEM_ERROR, remark).into())
}

fn blank() -> Outcome {
    Reply::refuse(INVALID_PARAMETER, "The username is blank").into()
}

fn only_super(what: &str) -> Outcome {
    Reply::error(format!("The super user can only be {what} by super user")).into()
}

/// Says that a super user is no other user's to change.
const KEPT_OFF: &str = "The super user can only be update by super user";

/// Whether a user is a super user and the asker is not.
fn keeps_off(broker: &Broker, asker: &Asker, name: &str) -> bool {
    broker.access.knows(name) && broker.access.is_super(name) && !asker.is_super(broker)
}

/// Answers once the change is on the disk.
fn changed(broker: &Broker, cx: &Cx, result: Result<(), Refused>) -> Outcome {
    if let Err(remark) = result {
        return Reply::refuse(NO_PERMISSION, remark).into();
    }
    let answer = cx.answer.clone();
    let done = Box::new(move |written: Result<(), StoreError>| {
        answer.reply(match written {
            Ok(()) => Reply::ok(),
            Err(error) => Reply::error(format!("it counts but cannot be written: {error}")),
        });
    });
    let submit = |file| broker.store.submit_json(FILE, json_dialect::to_vec(&file), done);
    broker.access.write(submit);
    Outcome::Parked
}

/// The user that a request names; spaces are a name, though nobody's.
fn named<'a>(header: &UserOf<'a>) -> Option<&'a str> {
    header.username.filter(|name| !name.is_empty())
}

fn asks_for_super(info: &UserInfo) -> bool {
    info.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("Super"))
}

/// 3001: makes a user.
pub fn create_user(
    broker: &Broker,
    cx: &Cx,
    asker: &Asker,
    header: &UserOf<'_>,
    body: &[u8],
) -> Outcome {
    let Some(name) = named(header) else { return blank() };
    let mut info: UserInfo = match body_of(body) {
        Ok(info) => info,
        Err(reply) => return reply.into(),
    };
    if let Some(refused) = off(broker) {
        return refused;
    }
    name.clone_into(&mut info.username);
    if asks_for_super(&info) && !asker.is_super(broker) {
        return only_super("create");
    }
    changed(broker, cx, broker.access.create_user(&info))
}

/// 3002: changes a user.
pub fn update_user(
    broker: &Broker,
    cx: &Cx,
    asker: &Asker,
    header: &UserOf<'_>,
    body: &[u8],
) -> Outcome {
    let Some(name) = named(header) else { return blank() };
    let mut info: UserInfo = match body_of(body) {
        Ok(info) => info,
        Err(reply) => return reply.into(),
    };
    if let Some(refused) = off(broker) {
        return refused;
    }
    name.clone_into(&mut info.username);
    if asks_for_super(&info) && !asker.is_super(broker) {
        return only_super("update");
    }
    if keeps_off(broker, asker, name) {
        return changed(broker, cx, Err(KEPT_OFF.to_owned()));
    }
    changed(broker, cx, broker.access.update_user(&info))
}

/// 3003: removes a user and its rules.
pub fn delete_user(broker: &Broker, cx: &Cx, asker: &Asker, header: &UserOf<'_>) -> Outcome {
    if let Some(refused) = off(broker) {
        return refused;
    }
    let name = named(header).unwrap_or_default();
    if name.trim().is_empty() {
        return changed(broker, cx, Err(access::BLANK.to_owned()));
    }
    if !broker.access.knows(name) {
        return Reply::ok().into();
    }
    if keeps_off(broker, asker, name) {
        return changed(broker, cx, Err(KEPT_OFF.to_owned()));
    }
    broker.access.delete_user(name);
    changed(broker, cx, Ok(()))
}

/// 3004: one user. Only a super user sees passwords, which copying a user needs.
pub fn get_user(broker: &Broker, asker: &Asker, header: &UserOf<'_>) -> Outcome {
    let Some(name) = named(header).filter(|name| !name.trim().is_empty()) else { return blank() };
    if let Some(refused) = off(broker) {
        return refused;
    }
    match broker.access.user(name, asker.is_super(broker)) {
        Some(user) => super::json(&user).into(),
        None => Reply::ok().into(),
    }
}

/// 3005: users whose name holds the filter.
pub fn list_users(broker: &Broker, asker: &Asker, header: &UsersLike<'_>) -> Outcome {
    if let Some(refused) = off(broker) {
        return refused;
    }
    let users = broker.access.users(header.filter.unwrap_or(""), asker.is_super(broker));
    if users.is_empty() { Reply::ok().into() } else { super::json(&users).into() }
}

/// 3006 and 3007: adds rules, or replaces those for the same resources.
pub fn put_acl(broker: &Broker, cx: &Cx, header: &AclOf<'_>, body: &[u8]) -> Outcome {
    let acl: AclInfo = match body_of(body) {
        Ok(acl) => acl,
        Err(reply) => return reply.into(),
    };
    if let Some(refused) = off(broker) {
        return refused;
    }
    if acl.policies.is_empty() {
        return Reply::error("The body of acl is null").into();
    }
    let subject = acl.subject.as_deref().or(header.subject).unwrap_or_default();
    let result = match access::user_of(subject) {
        Some(name) => broker.access.put_acl(name, &acl),
        None => Err("The subject type is null.".to_owned()),
    };
    changed(broker, cx, result)
}

/// 3008: removes the rule of a resource, or all rules of a subject.
pub fn delete_acl(broker: &Broker, cx: &Cx, header: &DeleteAcl<'_>) -> Outcome {
    if let Some(refused) = off(broker) {
        return refused;
    }
    let Some(name) = header.subject.and_then(access::user_of) else {
        return Reply::refuse(NO_PERMISSION, "The subject is null.").into();
    };
    let is_default = header.policy_type.is_some_and(access::is_default);
    let resource = header.resource.and_then(Resource::parse);
    changed(broker, cx, broker.access.delete_acl(name, is_default, resource.as_ref()))
}

/// 3009: the rules of a subject.
pub fn get_acl(broker: &Broker, header: &AclOf<'_>) -> Outcome {
    if let Some(refused) = off(broker) {
        return refused;
    }
    let Some(name) = header.subject.and_then(access::user_of) else {
        return Reply::refuse(NO_PERMISSION, "The subject is null.").into();
    };
    if !broker.access.knows(name) {
        return Reply::refuse(NO_PERMISSION, "The subject is not exist.").into();
    }
    match broker.access.acl(name) {
        Some(acl) => super::json(&acl).into(),
        None => Reply::ok().into(),
    }
}

/// 3010: rules whose subject and resource hold the filters.
pub fn list_acls(broker: &Broker, header: &AclsLike<'_>) -> Outcome {
    if let Some(refused) = off(broker) {
        return refused;
    }
    let resource = header.resource_filter.unwrap_or("");
    let acls = broker.access.acls(header.subject_filter.unwrap_or(""), resource);
    if acls.is_empty() { Reply::ok().into() } else { super::json(&acls).into() }
}
