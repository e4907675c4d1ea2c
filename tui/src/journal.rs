//! Jobs: changes of more than one step, one file each in the state directory, written before and after
//! every step, so that a crash leaves what is known (console-ux.md §8).
//!
//! A job's number is unique among all mqdeck processes of a user: it is taken under the lock of the
//! directory. Files are 0600; only the newest are kept.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// Jobs that are kept.
const JOBS_MAX: usize = 1_000;
/// Lines of a job that are read.
const LINES_MAX: usize = 400_000;

/// What a job is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub job: u64,
    pub at_ms: i64,
    pub user: String,
    pub host: String,
    pub process: u32,
    pub context: String,
    pub action: String,
    pub preview: String,
    pub command: String,
    /// Consumer group that it works on.
    pub group: String,
    pub items: Vec<Item>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub name: String,
    /// Of a replay: the queue and how it is moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
}

/// One queue of a replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    pub topic: String,
    pub broker: String,
    pub queue: i32,
    /// Where the group was; none: it had no position.
    pub from: Option<i64>,
    pub to: i64,
}

/// How a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun: when the process dies here, nobody knows.
    Begun,
    Done,
    Unchanged,
    Refused,
    Unknown,
    Gone,
    NotTried,
}

impl Stage {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Gone => "gone",
            Self::NotTried => "not tried",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Step {
        item: usize,
        stage: Stage,
        #[serde(default)]
        text: String,
    },
    End {
        ended_ms: i64,
        outcome: String,
    },
    Undone {
        undone_ms: i64,
    },
}

/// A job as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub plan: Plan,
    /// Stage and text of each item.
    pub steps: Vec<(Stage, String)>,
    pub ended_ms: Option<i64>,
    pub outcome: String,
    pub undone_ms: Option<i64>,
}

impl Job {
    /// Steps that are over, whatever way.
    pub fn over(&self) -> usize {
        let going = |stage: &Stage| matches!(stage, Stage::Waiting | Stage::Begun);
        self.steps.iter().filter(|(stage, _)| !going(stage)).count()
    }

    /// `running`, `done`, or `interrupted at 7 of 11`.
    pub fn state(&self, host: &str) -> String {
        if self.undone_ms.is_some() {
            return "undone".to_owned();
        }
        if self.ended_ms.is_some() {
            return "done".to_owned();
        }
        let here = self.plan.host == host;
        let pid = i32::try_from(self.plan.process).ok().and_then(Pid::from_raw);
        // A process of another machine is taken to live: nobody here can tell.
        let alive = !here || pid.is_some_and(|pid| test_kill_process(pid).is_ok());
        if alive {
            "running".to_owned()
        } else {
            format!("interrupted at {} of {}", self.over(), self.steps.len())
        }
    }
}

/// A job that this process runs.
#[derive(Debug)]
pub struct Running {
    pub job: u64,
    file: File,
}

impl Running {
    /// Writes how a step stands.
    ///
    /// # Errors
    /// It is not known to be on disk.
    pub fn step(&mut self, item: usize, stage: Stage, text: &str) -> io::Result<()> {
        append(&mut self.file, &Line::Step { item, stage, text: text.to_owned() })
    }

    /// Writes the end.
    ///
    /// # Errors
    /// It is not known to be on disk.
    pub fn end(&mut self, ended_ms: i64, outcome: &str) -> io::Result<()> {
        append(&mut self.file, &Line::End { ended_ms, outcome: outcome.to_owned() })
    }
}

fn append(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_data()
}

/// The jobs of a state directory.
#[derive(Clone, Debug)]
pub struct Journal {
    dir: PathBuf,
}

impl Journal {
    /// Below a state directory, made when it is absent.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(state: &Path) -> io::Result<Self> {
        let dir = state.join("jobs");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        Ok(Self { dir })
    }

    /// Takes the next number and writes the plan; its own number is overwritten.
    ///
    /// # Errors
    /// Nothing is known to be on disk: the change must not begin.
    pub fn begin(&self, mut plan: Plan) -> io::Result<Running> {
        let lock = options().open(self.dir.join("lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let numbers = self.numbers()?;
        plan.job = numbers.last().map_or(1, |last| last + 1);
        for old in numbers.iter().take((numbers.len() + 1).saturating_sub(JOBS_MAX)) {
            // One that cannot be removed is listed a little longer.
            let _ = remove(&self.path(*old));
        }
        let mut file = options().create_new(true).open(self.path(plan.job))?;
        append(&mut file, &plan)?;
        OpenOptions::new().read(true).open(&self.dir)?.sync_all()?;
        Ok(Running { job: plan.job, file })
    }

    /// All jobs, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn all(&self) -> io::Result<Vec<Job>> {
        Ok(self.numbers()?.into_iter().filter_map(|job| self.read(job).ok().flatten()).collect())
    }

    /// One job; none when there is none, or its plan is not whole.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, job: u64) -> io::Result<Option<Job>> {
        let file = match OpenOptions::new().read(true).open(self.path(job)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut lines = BufReader::new(file).lines().take(LINES_MAX);
        let Some(first) = lines.next().transpose()? else { return Ok(None) };
        let Ok(plan) = serde_json::from_str::<Plan>(&first) else { return Ok(None) };
        let steps = vec![(Stage::default(), String::new()); plan.items.len()];
        let mut job = Job { plan, steps, ended_ms: None, outcome: String::new(), undone_ms: None };
        for line in lines {
            // A torn line is what a crash left of a step that is not known.
            match serde_json::from_str(&line?) {
                Ok(Line::Step { item, stage, text }) => {
                    if let Some(step) = job.steps.get_mut(item) {
                        *step = (stage, text);
                    }
                }
                Ok(Line::End { ended_ms, outcome }) => {
                    (job.ended_ms, job.outcome) = (Some(ended_ms), outcome);
                }
                Ok(Line::Undone { undone_ms }) => job.undone_ms = Some(undone_ms),
                Err(_) => {}
            }
        }
        Ok(Some(job))
    }

    /// Writes that a job was taken back.
    ///
    /// # Errors
    /// It is not known to be on disk.
    pub fn undone(&self, job: u64, undone_ms: i64) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).open(self.path(job))?;
        append(&mut file, &Line::Undone { undone_ms })
    }

    fn path(&self, job: u64) -> PathBuf {
        self.dir.join(format!("{job}.jsonl"))
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let number: Option<u64> =
                name.to_str().and_then(|name| name.strip_suffix(".jsonl")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600);
    options
}

#[allow(clippy::disallowed_methods)] // the one file that this module ever removes
fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(host: &str, process: u32) -> Plan {
        Plan {
            job: 0,
            at_ms: 1,
            user: "ana".into(),
            host: host.into(),
            process,
            context: "local".into(),
            action: "replay".into(),
            preview: "2 queues".into(),
            command: "mqdeck replay".into(),
            group: "billing".into(),
            items: vec![
                Item { name: "orders:a:0".into(), moved: None },
                Item {
                    name: "orders:a:1".into(),
                    moved: Some(Moved {
                        topic: "orders".into(),
                        broker: "a".into(),
                        queue: 1,
                        from: Some(9),
                        to: 2,
                    }),
                },
            ],
        }
    }

    #[test]
    fn a_job_is_read_back_step_by_step() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let mut running = journal.begin(plan("h", 1)).unwrap();
        running.step(0, Stage::Begun, "").unwrap();
        running.step(0, Stage::Done, "at 2").unwrap();
        running.step(1, Stage::Begun, "").unwrap();
        let job = journal.read(running.job).unwrap().unwrap();
        assert_eq!(job.plan, Plan { job: 1, ..plan("h", 1) });
        assert_eq!(job.steps, [(Stage::Done, "at 2".into()), (Stage::Begun, String::new())]);
        assert_eq!((job.over(), job.ended_ms), (1, None));
        running.end(7, "1 of 2").unwrap();
        journal.undone(running.job, 8).unwrap();
        let job = journal.read(running.job).unwrap().unwrap();
        assert_eq!((job.ended_ms, job.undone_ms), (Some(7), Some(8)));
        assert_eq!(journal.read(77).unwrap(), None);
    }

    #[test]
    fn a_process_that_is_gone_leaves_an_interrupted_job() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let gone = i32::MAX as u32; // beyond what any kernel gives out
        let mut running = journal.begin(plan("h", gone)).unwrap();
        running.step(0, Stage::Done, "").unwrap();
        let job = journal.read(running.job).unwrap().unwrap();
        assert_eq!(job.state("h"), "interrupted at 1 of 2");
        assert_eq!(job.state("other"), "running");
        running.end(1, "").unwrap();
        assert_eq!(journal.read(running.job).unwrap().unwrap().state("h"), "done");
    }

    #[test]
    fn numbers_of_several_processes_are_unique_and_only_the_newest_stay() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10).for_each(|_| drop(journal.begin(plan("h", 1)).unwrap())));
            }
        });
        let numbers: Vec<u64> = journal.all().unwrap().iter().map(|job| job.plan.job).collect();
        assert_eq!(numbers, (1..=40).collect::<Vec<u64>>());
    }
}
