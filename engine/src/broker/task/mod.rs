//! What a broker does by itself: bounded work per call, driven by the `tasks` thread.

pub mod delay_delivery;
pub mod housekeeping;
pub mod persist;
pub mod pop_revive;
pub mod timer_delivery;
pub mod transaction_check;

use std::sync::Arc;

use super::Broker;

/// Everything that the `tasks` thread does, with what each chore remembers.
#[derive(Default)]
pub struct Tasks {
    delay: delay_delivery::DelayDelivery,
    timers: timer_delivery::TimerDelivery,
    housekeeping: housekeeping::Housekeeping,
    transactions: transaction_check::TransactionCheck,
    pop_revive: pop_revive::PopRevive,
    positions: persist::Positions,
}

impl Tasks {
    /// Does what is due; when the next delayed message is, ms (`None`: none waits). `day` is the
    /// number of a local day at some moment.
    pub fn run(&mut self, broker: &Arc<Broker>, day: impl Fn(i64) -> i64) -> Option<i64> {
        let next_ms = self.delay.run(broker);
        let next_ms = next_ms.into_iter().chain(self.timers.run(broker)).min();
        let now_ms = broker.clock.wall_ms();
        self.housekeeping.run(broker, now_ms, day(now_ms));
        self.transactions.run(broker, now_ms);
        self.pop_revive.run(broker, now_ms);
        self.positions.run(broker, now_ms);
        next_ms
    }

    /// The last turn before a clean stop.
    pub fn close(&mut self, broker: &Arc<Broker>) {
        self.timers.close(broker);
    }
}
