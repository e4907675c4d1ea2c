//! What a broker remembers. Each file one subject and one lock; none is held while the store is called.

pub mod access;
pub mod connections;
pub mod delay_offsets;
pub mod filters;
pub mod groups;
pub mod offsets;
pub mod order_locks;
pub mod parked;
pub mod persist;
pub mod pop_parked;
pub mod pop_state;
pub mod request_modes;
pub mod reset_pending;
pub mod settings;
pub mod stat_names;
pub mod stats;
pub mod timers;
pub mod topics;
pub mod traffic;
pub mod transactions;
pub mod trim;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks; a panic elsewhere does not poison the state, which every holder leaves whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for reading.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks for writing.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}
