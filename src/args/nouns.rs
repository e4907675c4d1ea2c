//! Commands that look, and the parts that several commands share.

use clap::{Args, Subcommand};

use super::changes::Sure;

/// Which rows, in what order, and when to fail.
#[derive(Clone, Debug, Default, Args)]
pub struct Pick {
    /// Show only rows for which this holds, such as 'lag>1000 name=pay-*'.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// End with 7 when this holds for a row, with 8 when it cannot be decided.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub fail_if: Option<String>,
    /// Sort by a field; with a minus before it the other way round.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Look twice, two seconds apart, so that rates are known.
    #[arg(long)]
    pub rates: bool,
}

/// `topics …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Topics {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<TopicsAction>,
    /// Rows.
    #[command(flatten)]
    pub list: TopicsList,
}

/// `topics list …`
#[derive(Clone, Debug, Default, Args)]
pub struct TopicsList {
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
    /// System topics, retry topics and dead letters too.
    #[arg(long)]
    pub system: bool,
}

/// Actions on topics.
#[derive(Clone, Debug, Subcommand)]
pub enum TopicsAction {
    /// All topics.
    List(TopicsList),
    /// One topic with its queues and groups.
    Show {
        /// The topic.
        topic: String,
        /// Look twice, two seconds apart, so that rates are known.
        #[arg(long)]
        rates: bool,
    },
    /// Create a topic on every master.
    Create(TopicSettings),
    /// Change a topic where it is.
    Update(TopicSettings),
    /// Delete a topic with its messages, everywhere.
    Delete {
        /// The topic.
        topic: String,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
}

/// Settings of a topic.
#[derive(Clone, Debug, Args)]
pub struct TopicSettings {
    /// The topic.
    pub topic: String,
    /// Queues to read from and to write to; 8 for a new topic.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
    pub queues: Option<i32>,
    /// What is permitted.
    #[arg(long, value_name = "PERM")]
    pub perm: Option<Permission>,
    /// What kind of messages it takes.
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<MessageKind>,
    /// Only on this broker; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub broker: Vec<String>,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// Permission of a topic.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Permission {
    /// Reading and writing.
    Rw,
    /// Reading only.
    R,
    /// Writing only.
    W,
}

/// Kind of a topic's messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum MessageKind {
    /// Plain ones.
    Normal,
    /// Ordered ones.
    Fifo,
    /// Delayed ones.
    Delay,
    /// Transactional ones.
    Transaction,
    /// Any.
    Mixed,
}

/// `groups …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Groups {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<GroupsAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Actions on groups.
#[derive(Clone, Debug, Subcommand)]
pub enum GroupsAction {
    /// All groups.
    List(Pick),
    /// One group with its queues, clients and findings.
    Show {
        /// The group.
        group: String,
        /// Look twice, two seconds apart, so that rates are known.
        #[arg(long)]
        rates: bool,
    },
    /// Lag by group and topic; of one group by queue.
    Lag {
        /// The group, for its queues.
        group: Option<String>,
        /// Rows.
        #[command(flatten)]
        pick: Pick,
    },
    /// Connected consumers of one group.
    Clients {
        /// The group.
        group: String,
        /// Rows.
        #[command(flatten)]
        pick: Pick,
    },
    /// What stands out in one group, or in all.
    Doctor {
        /// The group.
        group: Option<String>,
        /// Rows.
        #[command(flatten)]
        pick: Pick,
    },
    /// Create a group on every master.
    Create(GroupSettings),
    /// Change a group where it is.
    Update(GroupSettings),
    /// Delete a group, everywhere.
    Delete {
        /// The group.
        group: String,
        /// Keep its offsets: a group of the same name goes on where this one was.
        #[arg(long)]
        keep_offsets: bool,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
}

/// Settings of a group.
#[derive(Clone, Debug, Args)]
pub struct GroupSettings {
    /// The group.
    pub group: String,
    /// Deliveries after the first one before a message is dead, where the client leaves it to the group.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..=1_000))]
    pub retries: Option<i32>,
    /// Whether the group may consume.
    #[arg(long, value_name = "BOOL")]
    pub consume: Option<bool>,
    /// Whether members may be broadcasting.
    #[arg(long, value_name = "BOOL")]
    pub broadcast: Option<bool>,
    /// Whether the group consumes in order.
    #[arg(long, value_name = "BOOL")]
    pub ordered: Option<bool>,
    /// Only on this broker; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub broker: Vec<String>,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// `retry [show]`
#[derive(Clone, Debug, Args)]
pub struct Retry {
    /// `show`, which is what it does anyway.
    #[arg(value_parser = ["show"], hide = true)]
    pub action: Option<String>,
    /// Retries of this group only.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Read what waits, so that retries and user delays are told apart.
    #[arg(long)]
    pub split: bool,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// `message get|query`
#[derive(Clone, Debug, Args)]
pub struct MessageArgs {
    /// What to do.
    #[command(subcommand)]
    pub action: MessageAction,
}

/// Actions on messages.
#[derive(Clone, Debug, Subcommand)]
pub enum MessageAction {
    /// One message, by offset id, or by unique id with its topic.
    Get {
        /// The id.
        id: String,
        /// Topic to look in; without it all topics are asked.
        #[arg(long)]
        topic: Option<String>,
        /// Where the groups stand that read it.
        #[arg(long)]
        r#where: bool,
    },
    /// Messages of a topic by a key.
    Query {
        /// The topic.
        #[arg(long)]
        topic: String,
        /// The key.
        #[arg(long)]
        key: String,
        /// Rows.
        #[command(flatten)]
        pick: Pick,
    },
}

/// `trace ID`
#[derive(Clone, Debug, Args)]
pub struct Trace {
    /// Unique id of the message.
    pub id: String,
    /// Topic of traces.
    #[arg(long = "trace-topic", value_name = "TOPIC", default_value = "RMQ_SYS_TRACE_TOPIC")]
    pub kept_in: String,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// `tail TOPIC…`
#[derive(Clone, Debug, Args)]
pub struct Tail {
    /// Topics.
    #[arg(required = true)]
    pub topics: Vec<String>,
    /// Where to begin: start, a time such as -5m, else what comes from now on.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Only messages for which this holds.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// At most so many messages a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: Option<u32>,
    /// End after so many messages.
    #[arg(short = 'n', long = "number", value_name = "N")]
    pub count: Option<u64>,
    /// End when everything that is there has been printed.
    #[arg(long)]
    pub no_follow: bool,
}

/// `brokers …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Brokers {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<BrokersAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Actions on brokers.
#[derive(Clone, Debug, Subcommand)]
pub enum BrokersAction {
    /// All brokers.
    List(Pick),
    /// One broker.
    Show {
        /// Its name.
        broker: String,
    },
    /// Settings in force on one broker.
    Config {
        /// Its name.
        broker: String,
        /// Rows; fields are `key` and `value`.
        #[command(flatten)]
        pick: Pick,
    },
    /// Take a broker out of writing: reads go on, sends go elsewhere.
    Drain {
        /// Its name.
        broker: String,
        /// Take sends again.
        #[arg(long)]
        undo: bool,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
}

/// `timers`
#[derive(Clone, Debug, Args)]
pub struct Timers {
    /// List single messages: reads the newest 10 000 entries.
    #[arg(long)]
    pub messages: bool,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// `transactions …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Transactions {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<TransactionsAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Actions on half messages.
#[derive(Clone, Debug, Subcommand)]
pub enum TransactionsAction {
    /// All that are not decided.
    List(Pick),
    /// Deliver one, in its producer's place.
    Commit {
        /// Unique id.
        id: String,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
    /// Drop one, in its producer's place.
    Rollback {
        /// Unique id.
        id: String,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
}

/// `jobs …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Jobs {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<JobsAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Actions on jobs.
#[derive(Clone, Debug, Subcommand)]
pub enum JobsAction {
    /// All jobs of this machine.
    List(Pick),
    /// One job, item by item.
    Show {
        /// Its number.
        job: u64,
    },
}

/// `themes …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Themes {
    /// What to do; without it: list.
    #[command(subcommand)]
    pub action: Option<ThemesAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Actions on themes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Subcommand)]
pub enum ThemesAction {
    /// All themes, shipped and the user's own.
    List,
    /// Read every theme and say what is wrong with it.
    Check,
}
