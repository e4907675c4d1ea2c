//! Copied text on its way to the terminal's clipboard: tmux's buffer, else OSC 52 (console-ux.md §12).

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::execute;

use crate::export;

/// Copies that went to a file so far.
static COPIES: AtomicU32 = AtomicU32::new(0);
/// Terminals drop longer sequences.
const LEN_MAX: usize = 74_000;

/// Sends text to the clipboard; says what to tell.
pub fn copy(text: &str, out: &mut impl Write) -> String {
    if text.len() > LEN_MAX {
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("mqdeck-copy-{}-{number}.txt", std::process::id());
        let file = std::env::temp_dir().join(name);
        return match export::create(&file, text) {
            Ok(()) => format!("too long for a clipboard: written to {}", file.display()),
            Err(error) => format!("too long for a clipboard, and {}: {error}", file.display()),
        };
    }
    if std::env::var_os("TMUX").is_some() && tmux(text).is_ok() {
        return "sent to tmux's buffer and the terminal's clipboard".to_owned();
    }
    match execute!(out, CopyToClipboard::to_clipboard_from(text)) {
        Ok(()) => "sent to the terminal's clipboard".to_owned(),
        Err(error) => format!("not copied: {error}"),
    }
}

fn tmux(text: &str) -> io::Result<()> {
    let mut child = Command::new("tmux")
        .args(["load-buffer", "-w", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    if child.wait()?.success() { Ok(()) } else { Err(io::Error::other("tmux refused")) }
}
