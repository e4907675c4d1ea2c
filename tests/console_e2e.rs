//! The real binary in a pseudo-terminal: a message dies in a consumer of ours, is seen, and one key
//! brings it back; a group is replayed by typing how far.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // all of this is tests; a failure shows its screen

mod test_support;

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use engine::client::dead_letters::RESENT_FROM;
use engine::client::{
    Cluster, ClusterConfig, Consume, ConsumeFrom, Listener, Message, Producer, ProducerConfig,
    PushConfig, PushConsumer,
};
use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use test_support::{wait_for, wait_some};

/// The console on a terminal of 120×40.
struct Console {
    screen: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    _master: Box<dyn MasterPty + Send>,
}

impl Console {
    fn start(home: &Path) -> Self {
        let size = PtySize { rows: 40, cols: 120, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_mqdeck"));
        let data = home.join("queues");
        command.args([
            "--data-dir",
            data.to_str().unwrap(),
            "--namesrv-port",
            "0",
            "--broker-port",
            "0",
        ]);
        command.env("TERM", "xterm-256color");
        command.env("HOME", home);
        for (name, dir) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state")]
        {
            command.env(name, home.join(dir));
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(40, 120, 0)));
        let (drawn, mut out) = (Arc::clone(&screen), pair.master.try_clone_reader().unwrap());
        let read = move || {
            let mut piece = [0; 8192];
            while let Ok(n @ 1..) = out.read(&mut piece) {
                drawn.lock().unwrap().process(&piece[..n]);
            }
        };
        std::thread::Builder::new().spawn(read).unwrap();
        Self { screen, keys: pair.master.take_writer().unwrap(), child, _master: pair.master }
    }

    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the screen shows a text.
    fn shows(&self, text: &str) {
        wait_for(&format!("{text:?} on the screen"), || self.text().contains(text));
    }

    /// Presses a run key until it counts: it does not in the first moments of a dialog.
    fn run_key(&mut self, key: &str, done: &str) {
        wait_for(&format!("{done:?} after {key}"), || {
            self.press(key);
            for _ in 0..60 {
                if self.text().contains(done) {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            false
        });
    }

    /// The name server's address, from the header.
    fn namesrv(&self) -> String {
        wait_some("the address in the header", || {
            let text = self.text();
            let at = text.find("127.0.0.1:")?;
            let port: String = text[at + 10..].chars().take_while(char::is_ascii_digit).collect();
            (!port.is_empty()).then(|| format!("127.0.0.1:{port}"))
        })
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.text());
        }
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Playground {
    runtime: Runtime,
    cluster: Arc<Cluster>,
    got: Arc<Mutex<Vec<String>>>,
}

impl Playground {
    fn new(namesrv: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let config = ClusterConfig::new(vec![namesrv.to_owned()], runtime.handle().clone());
        Self { cluster: Cluster::connect(config), runtime, got: Arc::default() }
    }

    fn produce(&self, topic: &str, count: usize) {
        self.runtime.block_on(async {
            let producer = Producer::start(&self.cluster, ProducerConfig::new("e2e")).unwrap();
            for number in 0..count {
                let message = Message::new(topic, format!("body {number}"));
                producer.send(&message.keys([format!("key-{number}").as_str()])).await.unwrap();
            }
        });
    }

    /// A consumer that notes what it took; with `fail`, everything but copies of dead letters dies.
    fn consume(&self, group: &str, topic: &str, fail: bool) -> PushConsumer {
        let got = Arc::clone(&self.got);
        let listener = Listener::blocking(move |message| {
            if fail && message.get(RESENT_FROM).is_none() {
                return Consume::LaterAt(-1);
            }
            got.lock().unwrap().push(message.text().unwrap_or_default().to_owned());
            Consume::Success
        });
        let config = PushConfig { from: ConsumeFrom::First, ..PushConfig::new(group) };
        let consumer = PushConsumer::new(&self.cluster, config, listener);
        consumer.subscribe(topic, "*").unwrap();
        self.runtime.block_on(consumer.start()).unwrap();
        consumer
    }

    /// Messages of the topic that the group has committed.
    fn committed(&self, group: &str, topic: &str) -> i64 {
        self.runtime.block_on(async {
            let info = self.cluster.cluster_info().await.unwrap();
            let broker = info.broker_addr_table.values().next().unwrap();
            let all = self.cluster.all_offsets(broker.master().unwrap()).await.unwrap();
            all.offset_table
                .get(&format!("{topic}@{group}"))
                .map_or(0, |queues| queues.values().sum())
        })
    }

    fn taken(&self) -> usize {
        self.got.lock().unwrap().len()
    }
}

#[test]
fn a_dead_letter_is_seen_and_sent_back_by_keypress() {
    let home = TempDir::new().unwrap();
    let mut console = Console::start(home.path());
    let play = Playground::new(&console.namesrv());
    play.produce("invoices", 2);
    let _consumer = play.consume("billing", "invoices", true);
    console.press("5");
    console.shows("2 open · 2 in all");
    console.shows("billing");
    console.press("\r");
    console.shows("▶□");
    console.press("*");
    console.shows("2 marked");
    console.press("r");
    console.shows("2 of 2 letters");
    console.run_key("R", "All 2 sent");
    wait_for("both letters in the consumer", || play.taken() == 2);
    console.press("\x1b");
    console.shows("0 open · 2 in all");
}

#[test]
fn a_group_is_replayed_by_typing_how_far() {
    let home = TempDir::new().unwrap();
    let mut console = Console::start(home.path());
    let play = Playground::new(&console.namesrv());
    play.produce("payments", 5);
    let _consumer = play.consume("ledger", "payments", false);
    wait_for("five messages in the consumer", || play.taken() == 5);
    wait_for("the group's position", || play.committed("ledger", "payments") == 5);
    console.press("3");
    console.shows("ledger");
    console.press("r");
    console.shows("Replay ledger");
    console.press("-1h\r");
    console.shows("5 messages again");
    console.run_key("R", "Esc Close");
    wait_for("five messages once more", || play.taken() == 10);
}

#[test]
fn answers_of_the_terminal_are_no_keys_and_its_modes_come_back() {
    let home = TempDir::new().unwrap();
    let mut console = Console::start(home.path());
    console.namesrv();
    let mouse = |console: &Console| {
        console.screen.lock().unwrap().screen().mouse_protocol_mode()
            != vt100::MouseProtocolMode::None
    };
    assert!(mouse(&console), "the console takes the mouse");
    // As it should be, and with its Esc by itself: "1" and the slashes would be keys of the console.
    console.press("\x1b]11;rgb:ffff/ffff/ffff\x07");
    for piece in ["\x1b", "]1", "1;rgb:1e1e/2020", "/2424\x1b", "\\"] {
        console.press(piece);
    }
    console.press("3");
    console.shows("┌ Groups ");
    console.press("?");
    console.shows("type to search");
    console.press("\x1b");
    console.shows("/ filter");
    console.press(":qui\t\r");
    console.shows("Quit mqdeck?");
    console.press("q");
    wait_for("the end", || console.child.try_wait().unwrap().is_some());
    wait_for("the terminal as it was", || {
        let guard = console.screen.lock().unwrap();
        let screen = guard.screen();
        !screen.alternate_screen()
            && !screen.hide_cursor()
            && !screen.bracketed_paste()
            && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
    });
}
