//! What goes wrong in a run, and what becomes of it.

use std::path::{Path, PathBuf};

use super::{CLIENTS, CONSUMER, Event, World, end_by};
use crate::sim::checker::Law;
use crate::sim::clients::Consumer;
use crate::sim::node::ROOT;
use crate::store::test_storage::{Crash, Faults};

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trouble {
    Kill,
    PowerCut,
    Stop,
    SyncFails,
    DiskFull,
    SlowDisk,
    Cold,
    Cut,
    Death,
    Jump,
    /// What a fault took comes back.
    Heal,
    /// The process dies now, if it has not yet.
    Die(Crash),
}

/// What goes wrong.
impl World {
    pub(super) fn trouble(&mut self, trouble: Trouble) -> Law {
        match trouble {
            Trouble::Kill => self.arm(false),
            Trouble::PowerCut => self.arm(true),
            Trouble::Stop => return self.stop(),
            Trouble::SyncFails => {
                self.faults.sync = Some(Path::new(ROOT).join("commitlog"));
                // Only a restart helps; half of them come with a power cut.
                let crash =
                    if self.rng.percent(50) { Crash::Kill } else { Crash::Power(self.rng.next()) };
                self.soon(700, 3_000, Event::Trouble(Trouble::Die(crash)));
            }
            Trouble::DiskFull => {
                match self.rng.within(0, 2) {
                    0 => self.faults.free = Some(0),
                    1 => self.faults.write = Some(Path::new(ROOT).join("commitlog")),
                    _ => self.faults.write = Some(PathBuf::from(ROOT)),
                }
                self.soon(500, 3_000, Event::Trouble(Trouble::Heal));
            }
            Trouble::SlowDisk => self.slow_until_ms = self.now_ms + self.rng.within(1_000, 9_000),
            Trouble::Cold => {
                self.faults.cold = Some(PathBuf::from(ROOT));
                self.soon(500, 4_000, Event::Trouble(Trouble::Heal));
            }
            Trouble::Cut => {
                let client = self.rng.within(0, CLIENTS as u64 - 1) as usize;
                if let Some(peer) = self.connections[client] {
                    self.hang_up(peer);
                }
            }
            Trouble::Death => {
                if let Some(peer) = self.connections[CONSUMER] {
                    self.hang_up(peer);
                }
                self.consumer = Consumer::default();
            }
            Trouble::Jump => {
                let far = [-15_000, -3_000, 2_000, 60_000];
                let which = self.rng.within(0, far.len() as u64 - 1) as usize;
                self.clock.jump(far[which]);
            }
            // A failed sync stays: the file system went read-only.
            Trouble::Heal => {
                let sync = self.faults.sync.take();
                self.faults = Faults { sync, ..Faults::default() };
            }
            Trouble::Die(crash) => self.die(crash),
        }
        self.disk.set_faults(self.faults.clone());
        Ok(())
    }

    /// Lets the process end at some change of the disk that is to come, or soon if none comes.
    fn arm(&mut self, power: bool) {
        let crash = if power { Crash::Power(self.rng.next()) } else { Crash::Kill };
        let changes = self.rng.within(0, 40) as u32;
        self.disk.arm(changes, crash);
        self.soon(2_000, 3_000, Event::Trouble(Trouble::Die(crash)));
    }

    fn die(&mut self, crash: Crash) {
        if self.node.is_none() {
            // It is down already: the disk that failed is replaced before the next start.
            self.faults.sync = None;
        }
        let armed = self.disk.is_armed() || self.faults.sync.is_some();
        if self.node.is_none() || !armed {
            return;
        }
        let end = end_by(crash, self.flushed());
        let image = self.disk.crashed(crash);
        self.crash(image, end);
    }
}
