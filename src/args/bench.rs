//! Arguments of `mqdeck bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Loads.
#[derive(Clone, Debug, Subcommand)]
pub enum Bench {
    /// Send messages.
    Produce(Produce),
    /// Pull messages.
    Consume(Consume),
    /// Send one message at a time and wait for its arrival at a consumer.
    Pingpong(Pingpong),
    /// Start, fill, stop and kill an engine of its own, and time each start.
    Recover(Recover),
    /// Serve as a bare echo of sends: what the sockets alone cost.
    Echo {
        /// How long to serve.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

/// Where a load goes.
#[derive(Clone, Debug, Args)]
pub struct Aim {
    /// Name servers of the cluster.
    #[arg(long, value_name = "HOST:PORT[;HOST:PORT…]", default_value = "127.0.0.1:9876")]
    pub at: String,
    /// Address of the broker, instead of asking a name server for it.
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: Option<String>,
    /// Topic; made when it is not there.
    #[arg(long, default_value = "bench")]
    pub topic: String,
    /// Topics; with more than one their names are TOPIC-0, TOPIC-1 …; 0 makes none.
    #[arg(long, default_value_t = 1)]
    pub topics: usize,
    /// Queues of a topic.
    #[arg(long, default_value_t = 4)]
    pub queues: usize,
    /// Process id of the broker, for its CPU time and memory.
    #[arg(long)]
    pub pid: Option<u32>,
}

/// `bench produce`.
#[derive(Clone, Debug, Args)]
pub struct Produce {
    /// Where to.
    #[command(flatten)]
    pub aim: Aim,
    /// Connections.
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Sends under way on each connection: 1 is a synchronous client, more an asynchronous one.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// Messages a second in all, whatever the answers do (open loop); latencies count from a message's time.
    #[arg(long, conflicts_with = "in_flight")]
    pub rate: Option<f64>,
    /// Wait for no answers.
    #[arg(long, conflicts_with_all = ["rate", "in_flight"])]
    pub oneway: bool,
    /// Bytes of a body.
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// Longest run.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// End after so many messages.
    #[arg(long)]
    pub messages: Option<u64>,
}

/// `bench consume`.
#[derive(Clone, Debug, Args)]
pub struct Consume {
    /// Where from.
    #[command(flatten)]
    pub aim: Aim,
    /// Connections; the queues are dealt out among them.
    #[arg(long, default_value_t = 1)]
    pub connections: usize,
    /// Messages a request.
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Only what arrives from now on, by long polling; else what is stored, again and again.
    #[arg(long)]
    pub follow: bool,
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
}

/// `bench pingpong`.
#[derive(Clone, Debug, Args)]
pub struct Pingpong {
    /// Where.
    #[command(flatten)]
    pub aim: Aim,
    /// Bytes of a body.
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// How long.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
}

/// `bench recover`.
#[derive(Clone, Debug, Args)]
pub struct Recover {
    /// Directory for the data, made and removed; a temporary one when absent.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Messages to fill it with.
    #[arg(long, default_value_t = 1_000_000)]
    pub messages: u64,
    /// Bytes of a body.
    #[arg(long, default_value_t = 1024)]
    pub size: usize,
    /// Topics.
    #[arg(long, default_value_t = 1)]
    pub topics: usize,
    /// Queues of each.
    #[arg(long, default_value_t = 8)]
    pub queues: usize,
    /// How often each start is timed; the median is printed.
    #[arg(long, default_value_t = 3)]
    pub times: usize,
}
