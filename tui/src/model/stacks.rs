//! Stacks of a client's threads, those that stand at the same place together (admin.md §4.7).
//!
//! Java clients write one block a thread: a line with name, `TID:` and `STATE:`, then a line for each
//! frame that begins with the thread's name again. Other clients write text of their own: it has no
//! such blocks, and is not shown as stacks.

use std::collections::BTreeMap;

/// Threads read of one answer.
const THREADS_MAX: usize = 2_000;
/// Frames kept of a stack.
const FRAMES_MAX: usize = 64;

/// Threads with the same frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Their state: `RUNNABLE`, `WAITING`.
    pub state: String,
    /// Names, in the order of the answer.
    pub threads: Vec<String>,
    /// Where they stand, innermost first.
    pub frames: Vec<String>,
}

impl Stack {
    /// The innermost frame that is not of the machine itself.
    pub fn place(&self) -> &str {
        const MACHINE: [&str; 5] = ["java.", "jdk.", "sun.", "javax.", "io.netty."];
        let own = self.frames.iter().find(|frame| !MACHINE.iter().any(|m| frame.starts_with(m)));
        own.or(self.frames.first()).map_or("no frames", String::as_str)
    }

    /// Whether they consume messages.
    pub fn consumes(&self) -> bool {
        self.threads.iter().any(|name| name.contains("ConsumeMessageThread"))
    }
}

/// Groups threads; those that consume come first, then the larger groups.
pub fn grouped(text: &str) -> Vec<Stack> {
    let mut found: BTreeMap<(String, Vec<String>), Vec<String>> = BTreeMap::new();
    let mut thread: Option<(String, String, Vec<String>)> = None;
    let mut read = 0;
    for line in text.lines().chain([""]) {
        let head = line.split_once(" TID: ").and_then(|(name, rest)| {
            Some((name.trim().to_owned(), rest.split_once("STATE: ")?.1.trim().to_owned()))
        });
        if let Some((name, _, frames)) = &mut thread
            && head.is_none()
            && let Some(frame) = line.strip_prefix(name.as_str())
            && !frame.trim().is_empty()
        {
            if frames.len() < FRAMES_MAX {
                frames.push(frame.trim().to_owned());
            }
            continue;
        }
        if let Some((name, state, frames)) = thread.take() {
            found.entry((state, frames)).or_default().push(name);
        }
        if read < THREADS_MAX && head.is_some() {
            read += 1;
            thread = head.map(|(name, state)| (name, state, Vec::new()));
        }
    }
    let stack = |((state, frames), threads)| Stack { state, threads, frames };
    let mut out: Vec<Stack> = found.into_iter().map(stack).collect();
    out.sort_by_key(|s| (!s.consumes(), std::cmp::Reverse(s.threads.len())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
main                 TID: 1 STATE: WAITING
main                 java.lang.Object.wait(Native Method)

ConsumeMessageThread_g_1   TID: 30 STATE: TIMED_WAITING
ConsumeMessageThread_g_1   java.lang.Thread.sleep(Native Method)
ConsumeMessageThread_g_1   shop.Gateway.charge(Gateway.java:12)

ConsumeMessageThread_g_2   TID: 31 STATE: TIMED_WAITING
ConsumeMessageThread_g_2   java.lang.Thread.sleep(Native Method)
ConsumeMessageThread_g_2   shop.Gateway.charge(Gateway.java:12)
";

    #[test]
    fn threads_at_the_same_place_are_one_stack_and_consumers_come_first() {
        let found = grouped(TEXT);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].threads.len(), 2);
        assert_eq!(found[0].place(), "shop.Gateway.charge(Gateway.java:12)");
        assert_eq!(found[1].place(), "java.lang.Object.wait(Native Method)");
    }

    #[test]
    fn text_that_is_no_stack_gives_none() {
        assert!(grouped("").is_empty());
        assert!(grouped("goroutine 1 [running]:\nmain.main()").is_empty());
    }
}
