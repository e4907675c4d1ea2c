//! Routes of topics as the name server told them, and the queues that follow from them.
//!
//! A route is asked again when it is older than [`FRESH_MS`] or somebody finds it wrong; while no name
//! server answers, the old one stays in use. Rules: remoting.md §7.1, §8.1, semantics.md §2.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::cluster::{Ask, Cluster};
use super::error::ClientError;
use super::send::CREATED_QUEUES;
use crate::protocol::body::MessageQueue;
use crate::protocol::body::route::{BrokerData, QueueData, TopicRouteData};
use crate::protocol::perm::Perm;
use crate::protocol::request::route::RouteOf;
use crate::protocol::{code, names, response_code};

/// Age from which a route is asked again before use.
pub const FRESH_MS: i64 = 30_000;
/// Most routes that are kept; beyond it all are forgotten and asked again.
const ROUTES_MAX: usize = 50_000;

/// Routes by topic.
#[derive(Debug, Default)]
pub struct RouteCache {
    routes: Mutex<HashMap<String, Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    route: Arc<TopicRouteData>,
    /// Queues to send to; made once, because every send chooses among them.
    writable: Arc<Vec<MessageQueue>>,
    at_ms: i64,
}

impl RouteCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, topic: &str) -> Option<Known> {
        self.lock().get(topic).cloned()
    }

    fn put(&self, topic: &str, route: Arc<TopicRouteData>, at_ms: i64) {
        let mut routes = self.lock();
        if routes.len() >= ROUTES_MAX {
            routes.clear();
        }
        let writable = Arc::new(write_queues(&route, topic, i32::MAX));
        routes.insert(topic.to_owned(), Known { route, writable, at_ms });
    }

    fn forget(&self, topic: &str) {
        self.lock().remove(topic);
    }
}

impl Cluster {
    /// The route of a topic, from the cache while it is fresh.
    ///
    /// # Errors
    /// `Refused` with 17 when no broker has the topic; transport errors only without an older route.
    pub async fn route(&self, topic: &str) -> Result<Arc<TopicRouteData>, ClientError> {
        let known = self.routes.get(topic);
        match known {
            Some(known) if self.now_ms() - known.at_ms < FRESH_MS => Ok(known.route),
            Some(known) => match self.fresh_route(topic).await {
                Err(error) if error.is_transport() => Ok(known.route),
                answer => answer,
            },
            None => self.fresh_route(topic).await,
        }
    }

    /// The route of a topic, asked now.
    ///
    /// # Errors
    /// As [`Cluster::ask_namesrv`].
    pub async fn fresh_route(&self, topic: &str) -> Result<Arc<TopicRouteData>, ClientError> {
        let asked = RouteOf { topic, standard_json: Some(true) };
        let answer = self.ask_namesrv(Ask::new(code::GET_ROUTEINFO_BY_TOPIC, asked)).await;
        if let Err(error) = &answer
            && error.is_refused_with(response_code::TOPIC_NOT_EXIST)
        {
            self.routes.forget(topic);
        }
        let route: Arc<TopicRouteData> = Arc::new(answer?.json()?);
        self.routes.put(topic, Arc::clone(&route), self.now_ms());
        Ok(route)
    }

    /// Asks for the route again at its next use.
    pub fn doubt_route(&self, topic: &str) {
        if let Some(known) = self.routes.lock().get_mut(topic) {
            known.at_ms = i64::MIN / 2;
        }
    }

    /// The route by which a topic can be written: its own, else the template's, by which the broker
    /// will create it.
    ///
    /// # Errors
    /// As [`Self::route`].
    pub async fn publish_route(&self, topic: &str) -> Result<PublishRoute, ClientError> {
        match self.existing_route(topic).await {
            Err(error) if error.is_refused_with(response_code::TOPIC_NOT_EXIST) => {
                let route = self.route(names::TEMPLATE_TOPIC).await.map_err(|_| error)?;
                let queues = Arc::new(write_queues(&route, topic, CREATED_QUEUES));
                Ok(PublishRoute { route, queues })
            }
            answer => answer,
        }
    }

    /// The route by which a topic can be written that must exist already.
    ///
    /// # Errors
    /// As [`Self::route`].
    pub async fn existing_route(&self, topic: &str) -> Result<PublishRoute, ClientError> {
        let route = self.route(topic).await?;
        let queues = match self.routes.get(topic) {
            Some(known) if Arc::ptr_eq(&known.route, &route) => known.writable,
            _ => Arc::new(write_queues(&route, topic, i32::MAX)),
        };
        Ok(PublishRoute { route, queues })
    }
}

/// How a topic can be written.
#[derive(Clone, Debug)]
pub struct PublishRoute {
    /// Its own route or the template's.
    pub route: Arc<TopicRouteData>,
    /// Queues to send to.
    pub queues: Arc<Vec<MessageQueue>>,
}

/// Queues to send to, at most so many a broker.
fn write_queues(route: &TopicRouteData, topic: &str, most: i32) -> Vec<MessageQueue> {
    queues(route, topic, Perm::WRITE, |data| data.write_queue_nums.min(most))
}

/// Queues to read, those of all brokers.
pub fn read_queues(route: &TopicRouteData, topic: &str) -> Vec<MessageQueue> {
    queues(route, topic, Perm::READ, |data| data.read_queue_nums)
}

fn queues(
    route: &TopicRouteData,
    topic: &str,
    perm: Perm,
    count: impl Fn(&QueueData) -> i32,
) -> Vec<MessageQueue> {
    let mut list = Vec::new();
    for data in &route.queue_datas {
        let permitted = Perm(data.perm) & perm == perm;
        let writing = perm == Perm::WRITE;
        // Sends go to masters only; reads may go to a slave while the master is away.
        let served = broker(route, &data.broker_name)
            .is_some_and(|broker| broker.master().is_some() || !writing);
        if permitted && served {
            list.extend((0..count(data).max(0)).map(|queue_id| MessageQueue {
                topic: topic.to_owned(),
                broker_name: data.broker_name.clone(),
                queue_id,
            }));
        }
    }
    list.sort();
    list
}

/// The broker of this name in a route.
pub fn broker<'a>(route: &'a TopicRouteData, name: &str) -> Option<&'a BrokerData> {
    route.broker_datas.iter().find(|broker| broker.broker_name == name)
}

/// Address of a broker name's master in a route.
///
/// # Errors
/// `NoBroker` when the route has none.
pub fn master_of<'a>(route: &'a TopicRouteData, name: &str) -> Result<&'a str, ClientError> {
    broker(route, name)
        .and_then(BrokerData::master)
        .ok_or_else(|| ClientError::NoBroker(format!("broker name {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn route(perm: i32, ids: &[i64]) -> TopicRouteData {
        let addrs: BTreeMap<i64, String> = ids.iter().map(|id| (*id, format!("b:{id}"))).collect();
        TopicRouteData {
            broker_datas: vec![BrokerData {
                broker_addrs: addrs,
                broker_name: "b".into(),
                ..BrokerData::default()
            }],
            queue_datas: vec![QueueData {
                broker_name: "b".into(),
                perm,
                read_queue_nums: 2,
                write_queue_nums: 8,
                topic_sys_flag: 0,
            }],
            ..TopicRouteData::default()
        }
    }

    #[test]
    fn sends_need_a_master_and_the_right_reads_only_the_right() {
        let write = |perm, ids: &[i64], most| write_queues(&route(perm, ids), "t", most).len();
        assert_eq!(write(6, &[0, 1], 100), 8);
        assert_eq!(write(6, &[0], 4), 4);
        assert_eq!(write(4, &[0], 100), 0);
        assert_eq!(write(6, &[1], 100), 0);
        assert_eq!(read_queues(&route(4, &[1]), "t").len(), 2);
        assert_eq!(read_queues(&route(2, &[0]), "t").len(), 0);
    }
}
