//! One data directory: log, consume queues, index, positions. The only door is `Store`.

mod append;
mod append_queue;
mod bell;
mod checkpoint;
mod commit_log;
mod consume_queue;
mod disk;
mod dispatch;
mod error;
mod flush;
mod index;
mod json_file;
mod mapped;
mod queue_io;
mod queue_table;
mod read;
mod recovery;
mod retention;
mod scan;
mod snapshot;
mod storage;
#[allow(clippy::module_inception)]
mod store;
#[cfg(any(test, feature = "sim"))]
pub mod test_storage;
mod timer_log;
mod timer_wheel;
mod upkeep;

pub use append_queue::{Append, Appended, Arrival, Done, PutStatus, UnitKind};
pub use bell::Bell;
pub use commit_log::{FlushMode, Positions};
pub use disk::Disk;
pub use error::StoreError;
pub use index::KeyHits;
pub use json_file::ConfigDir;
pub use queue_io::Unit;
pub use read::{Boundary, Match, Read, ReadLimit, ReadStatus, Reads};
pub use recovery::Recovery;
pub use storage::{Entry, File, LogOffset, Mapping, OpenMode, QueueOffset, Space, Storage, Wait};
pub use store::{
    DiskRatios, Habits, RecoveredTopic, RecoveredTopics, Store, StoreConfig, StoreStats,
};
pub use timer_log::TimerUnit;
pub use timer_wheel::{TimerCheck, TimerStart, TimerWheel};
pub use upkeep::JsonDone;

#[cfg(test)]
mod tests;
