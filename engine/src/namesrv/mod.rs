//! The name server: which broker has which topic, and a small table of settings.
//!
//! A table in memory and pure functions over it; time and connections are arguments. It opens no
//! socket and writes no file: `engine` does, and drives [`NameServer::expire`]. Spec: semantics.md §1,
//! remoting.md §11.8, §11.9.

mod expiry;
mod handle;
mod kv;
mod routes;
mod settings;

use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use handle::{Answer, Call};
pub use kv::ORDER_TOPIC_NAMESPACE;
pub use settings::Settings;

use arc_swap::ArcSwap;
use kv::Kv;
use routes::Routes;
use settings::Configured;

/// One name server. Shared by all connections; every call is short.
#[derive(Debug)]
pub struct NameServer {
    settings: ArcSwap<Settings>,
    configured: Mutex<Configured>,
    ready_ms: i64,
    routes: RwLock<Routes>,
    kv: RwLock<Kv>,
}

impl NameServer {
    /// A name server that knows no broker.
    #[must_use]
    pub fn new(settings: Settings, now_ms: i64) -> Self {
        Self {
            settings: ArcSwap::from_pointee(settings),
            configured: Mutex::default(),
            ready_ms: now_ms.saturating_add(settings.wait_ms),
            routes: RwLock::new(Routes::default()),
            kv: RwLock::new(Kv::default()),
        }
    }

    /// Takes over the settings table that [`Self::kv_json`] wrote, or an Apache name server.
    pub fn load_kv(&self, json: &[u8]) -> Result<(), crate::protocol::json_dialect::JsonError> {
        *self.kv_mut() = Kv::from_json(json)?;
        Ok(())
    }

    /// The settings table as it is to be kept in `kvConfig.json`.
    #[must_use]
    pub fn kv_json(&self) -> Vec<u8> {
        self.kv().to_json()
    }

    /// Drops every broker that registered over a connection which is gone; says which.
    pub fn connection_closed(&self, conn: u64) -> Vec<String> {
        self.routes_mut().drop_connection(conn)
    }

    /// Drops every broker that gave no sign of life in time; says which. To be called each
    /// `decide::expiry::BROKER_SCAN_MS`.
    pub fn expire(&self, now_ms: i64) -> Vec<String> {
        if !self.routes().any_expired(now_ms) {
            return Vec::new();
        }
        self.routes_mut().drop_expired(now_ms)
    }

    fn settings(&self) -> Settings {
        **self.settings.load()
    }

    fn routes(&self) -> RwLockReadGuard<'_, Routes> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes_mut(&self) -> RwLockWriteGuard<'_, Routes> {
        self.routes.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn kv(&self) -> RwLockReadGuard<'_, Kv> {
        self.kv.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn kv_mut(&self) -> RwLockWriteGuard<'_, Kv> {
        self.kv.write().unwrap_or_else(PoisonError::into_inner)
    }
}
