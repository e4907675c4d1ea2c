//! Commands that change something.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::nouns::Pick;

/// How sure the user is.
#[derive(Clone, Debug, Default, Args)]
pub struct Sure {
    /// Do not ask.
    #[arg(long, short)]
    pub yes: bool,
    /// Name of what is changed, for what cannot be undone and for clusters marked prod.
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// Say what would happen and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// `replay …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Replay {
    /// Take a replay back.
    #[command(subcommand)]
    pub action: Option<ReplayAction>,
    /// The group.
    #[arg(long, value_name = "GROUP", required = true)]
    pub group: Option<String>,
    /// Topic; may be repeated. Without it all that the group has offsets for, retry topics apart.
    #[arg(long, value_name = "TOPIC")]
    pub topic: Vec<String>,
    /// Where to: a time such as -2h or 2026-03-14T12:03:27+08:00, start, end, or offset:N of one queue.
    #[arg(long, value_name = "TIME", required = true, allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Only this queue, as BROKER:NUMBER; may be repeated.
    #[arg(long, value_name = "BROKER:QUEUE")]
    pub queue: Vec<String>,
    /// Go on without a broker that does not answer; may be repeated.
    #[arg(long, value_name = "BROKER")]
    pub leave_out: Vec<String>,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// Actions on replays.
#[derive(Clone, Debug, Subcommand)]
pub enum ReplayAction {
    /// Put the old offsets back, where the group has not passed them.
    Undo {
        /// Number of the job.
        job: u64,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
}

/// `dlq …`
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Dlq {
    /// What to do; without it: groups with dead letters.
    #[command(subcommand)]
    pub action: Option<DlqAction>,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// Which dead letters.
#[derive(Clone, Debug, Default, Args)]
pub struct Letters {
    /// The group that gave them up.
    #[arg(long, value_name = "GROUP")]
    pub group: String,
    /// Only letters for which this holds, such as 'died>-1h key=inv-*'.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Only these ids, as BROKER:QUEUE:OFFSET or unique id; @FILE reads one a line, @- standard input.
    #[arg(long, value_name = "ID|@FILE")]
    pub ids: Vec<String>,
    /// Read at most so many letters, the newest.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,
}

/// Actions on dead letters.
#[derive(Clone, Debug, Subcommand)]
pub enum DlqAction {
    /// Groups with dead letters; with --group the letters of one.
    List(DlqList),
    /// One letter with its properties and body.
    Show {
        /// The group that gave it up.
        #[arg(long, value_name = "GROUP")]
        group: String,
        /// BROKER:QUEUE:OFFSET or unique id.
        id: String,
    },
    /// Send copies back; the letters stay.
    Resend(Resend),
    /// Edit a copy of one letter in $EDITOR and send it.
    Edit {
        /// The group that gave it up.
        #[arg(long, value_name = "GROUP")]
        group: String,
        /// BROKER:QUEUE:OFFSET or unique id.
        id: String,
        /// Where to: group, origin or topic:NAME.
        #[arg(long, value_name = "TARGET", default_value = "group")]
        to: String,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
    /// Write letters whole, one JSON object a line; `import` reads them.
    Export {
        /// Which.
        #[command(flatten)]
        letters: Letters,
        /// File instead of standard output.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Send exported letters to a topic or to the retry topic of their group.
    Import(Import),
    /// Have one connected client consume letters now; nothing is stored or moved.
    Try {
        /// Which.
        #[command(flatten)]
        letters: Letters,
        /// Client id; without it any member that is online.
        #[arg(long, value_name = "ID")]
        client: Option<String>,
        /// How sure.
        #[command(flatten)]
        sure: Sure,
    },
    /// Remove letters for good, as far as the broker can.
    Purge(Purge),
    /// Write every new dead letter to a database or files, until interrupted.
    #[cfg(feature = "sink")]
    Sink(Sink),
}

/// `dlq list …`
#[derive(Clone, Debug, Default, Args)]
pub struct DlqList {
    /// Letters of this group.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
    /// Letters already sent back too.
    #[arg(long)]
    pub all: bool,
    /// Read at most so many letters, the newest.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,
    /// Rows.
    #[command(flatten)]
    pub pick: Pick,
}

/// `dlq resend …`
#[derive(Clone, Debug, Args)]
pub struct Resend {
    /// The group that gave them up.
    #[cfg_attr(
        feature = "sink",
        arg(long, value_name = "GROUP", required_unless_present = "from_db")
    )]
    #[cfg_attr(not(feature = "sink"), arg(long, value_name = "GROUP", required = true))]
    pub group: Option<String>,
    /// Only letters for which this holds, such as 'died>-1h key=inv-*'.
    #[arg(long, value_name = "FILTER", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Only these ids, as BROKER:QUEUE:OFFSET or unique id; @FILE reads one a line, @- standard input.
    #[arg(long, value_name = "ID|@FILE")]
    pub ids: Vec<String>,
    /// Read at most so many letters, the newest.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub limit: usize,
    /// Rows of a sink's database instead of letters.
    #[cfg(feature = "sink")]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filter", "ids"])]
    pub from_db: Option<PathBuf>,
    /// Which rows, as SQL behind WHERE.
    #[cfg(feature = "sink")]
    #[arg(long = "where", value_name = "SQL", requires = "from_db")]
    pub rows: Option<String>,
    /// Where to: group, origin or topic:NAME.
    #[arg(long, value_name = "TARGET", default_value = "group")]
    pub to: String,
    /// Messages a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Stop after so many failures in a row.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: u32,
    /// Give copies a unique id of their own; the old one is put among the keys.
    #[arg(long)]
    pub new_ids: bool,
    /// Newest first instead of oldest first.
    #[arg(long)]
    pub newest_first: bool,
    /// Letters that were sent back before too.
    #[arg(long)]
    pub again: bool,
    /// Go on although nobody says that the group reads its retry topic.
    #[arg(long)]
    pub reader_unknown: bool,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// `dlq import …`
#[derive(Clone, Debug, Args)]
pub struct Import {
    /// Exported letters, one JSON object a line; - reads standard input.
    pub file: PathBuf,
    /// Where to: group (that of each letter), origin or topic:NAME.
    #[arg(long, value_name = "TARGET", default_value = "group")]
    pub to: String,
    /// Messages a second.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Stop after so many failures in a row.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: u32,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// `dlq purge …`
#[derive(Clone, Debug, Args)]
pub struct Purge {
    /// The group that gave them up.
    #[arg(long, value_name = "GROUP")]
    pub group: String,
    /// Only letters that died before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub before: Option<String>,
    /// Where a broker cannot trim: delete the whole dead-letter topic.
    #[arg(long, conflicts_with = "before")]
    pub whole_topic: bool,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}

/// `dlq sink …`
#[cfg(feature = "sink")]
#[derive(Clone, Debug, Args)]
pub struct Sink {
    /// Where to: sqlite:FILE or jsonl:DIR.
    #[arg(long, value_name = "TARGET")]
    pub to: String,
    /// Group; may be repeated.
    #[arg(long, value_name = "GROUP", required = true)]
    pub group: Vec<String>,
    /// Every message past so many deliveries too, from the group's retry topic.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    pub past: Option<i32>,
    /// Where a queue that was never read begins: start, end, or a time such as -2h.
    #[arg(long, value_name = "TIME", default_value = "start", allow_hyphen_values = true)]
    pub from: String,
    /// End when everything that is there has been written.
    #[arg(long)]
    pub once: bool,
}

/// `send TOPIC …`
#[derive(Clone, Debug, Args)]
pub struct Send {
    /// The topic.
    pub topic: String,
    /// Body; without it --file, else standard input.
    #[arg(long, value_name = "TEXT", conflicts_with = "file", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// File with the body; - reads standard input.
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// One message for each line of the body.
    #[arg(long)]
    pub lines: bool,
    /// Tag.
    #[arg(long)]
    pub tag: Option<String>,
    /// Key; may be repeated.
    #[arg(long)]
    pub key: Vec<String>,
    /// Property as NAME=VALUE; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub prop: Vec<String>,
    /// Deliver later: a time such as 10s, or level:3.
    #[arg(long, value_name = "TIME|level:N")]
    pub delay: Option<String>,
    /// Send it so many times.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub count: u64,
    /// At most so many messages a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// Stop after so many failures in a row.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub stop_after: u32,
    /// How sure.
    #[command(flatten)]
    pub sure: Sure,
}
