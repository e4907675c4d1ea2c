//! What all screens share: titles with freshness, empty and error sentences, wrapped text.

use ratatui::layout::Rect;

use crate::app::App;
use crate::data::{Fig, Part};
use crate::format;
use crate::theme::Role;
use crate::widget::table::List;
use crate::widget::text::width;
use crate::widget::{Canvas, Seg, seg};

/// The right title of a panel over a part: `base`, completeness and, when it is old, its age.
pub fn right_title<T>(app: &App, part: &Part<T>, noun: &str, base: &str) -> Seg {
    match part {
        Part::Unasked => seg(Role::TextDim, format!("reading {noun}…")),
        Part::Reading { done, of: Some(of), .. } => {
            seg(Role::TextDim, format!("reading {of} {noun}… {done}"))
        }
        Part::Reading { done, of: None, .. } => {
            seg(Role::TextDim, format!("reading {noun}… {done}"))
        }
        Part::Refused(problem) => seg(Role::Critical, problem.line()),
        Part::Ready(ready) => {
            let mut parts = Vec::new();
            if !base.is_empty() {
                parts.push(base.to_owned());
            }
            let mut role = Role::TextDim;
            if ready.answered < ready.asked {
                parts.push(format!("{} of {} masters answered", ready.answered, ready.asked));
                role = Role::Warn;
            }
            let age = app.now_ms - ready.taken_ms;
            if app.frozen.is_none() && age >= 2 * app.interval_ms {
                parts.push(format!("age {}", format::duration(age)));
                if age >= 5 * app.interval_ms {
                    role = Role::Warn;
                }
            }
            seg(role, parts.join(" · "))
        }
    }
}

/// The sentence in place of rows, when there are none.
pub fn nothing<T>(
    part: &Part<T>,
    total: usize,
    list: &List,
    noun: &str,
    empty: &str,
) -> (Role, String) {
    match part {
        Part::Unasked | Part::Reading { .. } => (Role::TextDim, format!("reading {noun}…")),
        Part::Refused(problem) => {
            (Role::Critical, format!("✗ {}: {}", problem.line(), problem.remark))
        }
        Part::Ready(_) if total > 0 && !list.filter.is_empty() => {
            let hidden = count_of(total, noun);
            let open = match list.undecided.get() {
                0 => String::new(),
                n => format!(", {n} of them undecided"),
            };
            let filter = list.filter.text();
            (Role::Warn, format!("filter /{filter} hides {hidden}{open}: Esc clears it"))
        }
        Part::Ready(_) => (Role::TextDim, empty.to_owned()),
    }
}

fn count_of(n: usize, noun: &str) -> String {
    format!("{} {noun}", format::count(n as u64))
}

/// Breaks a text into lines of at most so many cells.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > cells {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// Draws a sentence in an area, wrapped, one cell in.
pub fn sentence(c: &mut Canvas, area: Rect, (role, text): &(Role, String)) {
    let cells = area.width.saturating_sub(2);
    for (i, line) in
        wrap(text, usize::from(cells)).iter().enumerate().take(usize::from(area.height))
    {
        c.put(area.x + 1, area.y + i as u16, cells, line, *role);
    }
}

/// A label and a value of a details pane.
pub fn pair(label: &str, value: impl Into<String>) -> Vec<Seg> {
    vec![seg(Role::TextDim, format!("{label:<11}")), seg(Role::Text, value)]
}

/// A figure of a details pane: with its reason when there is no value.
pub fn explained<T>(label: &str, figure: &Fig<T>, text: String) -> Vec<Seg> {
    let mut line = vec![seg(Role::TextDim, format!("{label:<11}"))];
    match (figure, figure.reason()) {
        (_, Some(reason)) => {
            line.push(seg(Role::Unknown, format!("{text}  {reason}")));
        }
        (Fig::Stale(_, age), None) => {
            line.push(seg(Role::Stale, format!("{text}  kept from {} ago", format::age(*age))));
        }
        _ => line.push(seg(Role::Text, text)),
    }
    line
}
