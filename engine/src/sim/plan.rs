//! What a seed decides before its run begins: how much happens, and what goes wrong.

use super::rng::Rng;

/// The plan of one run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The seed: it also decides everything that the plan leaves open.
    pub seed: u64,
    /// Whether sends wait for the disk.
    pub sync_flush: bool,
    /// Messages that the producers send.
    pub messages: u32,
    /// Times the process is killed.
    pub kills: u32,
    /// Times the machine loses power.
    pub power_cuts: u32,
    /// Clean stops.
    pub stops: u32,
    /// Syncs of the log that fail.
    pub sync_failures: u32,
    /// Times the disk is full for a while.
    pub full_disks: u32,
    /// Times syncs take seconds.
    pub slow_disks: u32,
    /// Times nothing is in the page cache.
    pub cold_reads: u32,
    /// Connections that are cut.
    pub cuts: u32,
    /// Times a consumer dies and comes back without memory.
    pub consumer_deaths: u32,
    /// Whether frames of producers are doubled and change places.
    pub unruly_frames: bool,
    /// Times the wall clock is set.
    pub clock_jumps: u32,
}

impl Plan {
    /// The plan of a seed. One in four runs has no fault at all, so that exact laws are tried too.
    pub fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let calm = Self {
            seed,
            sync_flush: rng.percent(50),
            messages: rng.within(60, 160) as u32,
            kills: 0,
            power_cuts: 0,
            stops: 0,
            sync_failures: 0,
            full_disks: 0,
            slow_disks: 0,
            cold_reads: 0,
            cuts: 0,
            consumer_deaths: 0,
            unruly_frames: false,
            clock_jumps: 0,
        };
        if rng.percent(25) {
            return calm;
        }
        let mut some = |chance: u64, most: u64| {
            if rng.percent(chance) { rng.within(1, most) as u32 } else { 0 }
        };
        Self {
            kills: some(40, 2),
            power_cuts: some(40, 2),
            stops: some(25, 1),
            sync_failures: some(15, 1),
            full_disks: some(25, 2),
            slow_disks: some(25, 2),
            cold_reads: some(25, 2),
            cuts: some(35, 3),
            consumer_deaths: some(35, 2),
            unruly_frames: some(40, 1) > 0,
            clock_jumps: some(20, 2),
            ..calm
        }
    }

    /// Whether the broker may end without warning.
    pub fn crashes(&self) -> bool {
        self.kills + self.power_cuts + self.sync_failures > 0
    }

    /// Whether a client may be left without knowing what became of a request.
    pub fn leaves_doubt(&self) -> bool {
        self.crashes()
            || self.stops > 0
            || self.cuts > 0
            || self.consumer_deaths > 0
            || self.unruly_frames
            || self.slow_disks > 0
            || self.full_disks > 0
    }
}
