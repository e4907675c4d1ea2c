//! The guard of the terminal: raw mode, alternate screen, bracketed paste, focus events, cursor.
//!
//! Restores in reverse order on every way out, as often as it is asked, also from a panic. Nothing but
//! this file and the presenter writes to the terminal (console-ux.md §12).

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableFocusChange, EnableBracketedPaste, EnableFocusChange,
};
use crossterm::execute;
use crossterm::style::ResetColor;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

/// Whether the modes are set now.
static ACTIVE: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

/// Gives the mouse back; does nothing where it was not taken.
const MOUSE_OFF: &[u8] = b"\x1b[?1006l\x1b[?1000l";

/// Owns the modes while it lives.
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// Sets the modes; a panic on any thread restores them before its report.
    ///
    /// # Errors
    /// The terminal refused; what was set is restored.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                restore();
                before(info);
            }));
        });
        set()?;
        Ok(Self(()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore();
    }
}

/// Whether both ends are a terminal.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// Sets the modes, again after they were given back for a while.
///
/// # Errors
/// The terminal refused; what was set is restored.
pub fn set() -> io::Result<()> {
    ACTIVE.store(true, Ordering::SeqCst);
    let result = enable_raw_mode().and_then(|()| {
        execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, EnableFocusChange, Hide)
    });
    if result.is_err() {
        restore();
    }
    result
}

/// Takes the mouse from the terminal or gives it back: presses and the wheel, never bare movement.
///
/// # Errors
/// The terminal refused.
pub fn mouse(on: bool) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(if on { b"\x1b[?1000h\x1b[?1006h" } else { MOUSE_OFF })?;
    out.flush()
}

/// Restores the modes. Idempotent: whoever comes first does it.
pub fn restore() {
    if !ACTIVE.swap(false, Ordering::SeqCst) {
        return;
    }
    // Raw mode first: it is no write, so a terminal that stalls cannot keep it.
    let _ = disable_raw_mode();
    // Each step is tried even if the one before failed: a terminal that is gone has nothing to restore.
    let mut out = io::stdout();
    let _ = out.write_all(MOUSE_OFF);
    let _ = execute!(out, ResetColor, DisableFocusChange, DisableBracketedPaste);
    let _ = execute!(out, LeaveAlternateScreen, Show);
    let _ = out.flush();
}
