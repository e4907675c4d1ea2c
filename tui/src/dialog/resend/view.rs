//! How the resend dialog looks: fields, check, result letter by letter (console-ux.md §7.3).

use ratatui::layout::Rect;

use super::super::replay::outcome_role;
use super::super::{Ctx, WIDE, buttons, focus_role, radio, shell, tick};
use super::{Check, Focus, Resend, Run};
use crate::data::Letter;
use crate::data::plan::{ItemOutcome, Reader, Twice};
use crate::format;
use crate::theme::Role;
use crate::widget::{Canvas, Seg, inside, seg};

impl Resend {
    /// Keys for the last row while it runs and after.
    pub fn keys(&self) -> &'static [(&'static str, &'static str)] {
        match self.run {
            Run::Not | Run::Stopping => &[],
            Run::Going => &[("p", "pause"), ("Esc", "stop")],
            Run::Paused => &[("p", "go on"), ("Esc", "stop")],
            Run::Done(_) if self.some_failed() => {
                &[("f", "check what failed again"), ("j k", "scroll"), ("Esc", "close")]
            }
            Run::Done(_) => &[("j k", "scroll"), ("Esc", "close")],
        }
    }

    fn some_failed(&self) -> bool {
        let fine =
            |o: &Option<ItemOutcome>| matches!(o, Some(ItemOutcome::Done(_) | ItemOutcome::Gone));
        !self.outcomes.iter().all(fine)
    }

    const fn esc(&self) -> &'static str {
        match self.run {
            Run::Not => "Esc cancel",
            Run::Going | Run::Paused => "Esc stops",
            Run::Stopping => "stopping",
            Run::Done(_) => "Esc close",
        }
    }

    /// Draws the dialog.
    pub fn draw(&self, c: &mut Canvas, screen: Rect, ctx: &Ctx) {
        let wide = screen.width >= WIDE;
        let n = self.letters.len() as u64;
        let title = format!(
            "Resend {} of {} · risk {}",
            format::plural(n, "dead letter"),
            self.group,
            self.risk(ctx).number()
        );
        let width = if wide { 116 } else { 78 };
        let height = if wide { 18 } else { 16 };
        let more = if self.list_all || self.run != Run::Not { 6 } else { 0 };
        let area = shell(c, screen, &title, self.esc(), (width, height + more));
        let inner = inside(area);
        if inner.height < 4 || inner.width < 10 {
            return;
        }
        self.draw_fields(c, inner, wide);
        let y = inner.y + 5;
        let (left, right) = self.titles(ctx);
        c.separator(area, y, &left, &right);
        let last = inner.bottom() - 1;
        if last <= y + 1 {
            return;
        }
        let asks = u16::from(self.asks_name(ctx) && self.run == Run::Not && !wide);
        let body = Rect { y: y + 1, height: (last - y - 1).saturating_sub(asks), ..inner };
        if self.run == Run::Not {
            self.draw_preview(c, body, ctx);
        } else {
            self.draw_result(c, body);
        }
        self.draw_foot(c, area, inner, ctx, wide);
    }

    fn draw_fields(&self, c: &mut Canvas, inner: Rect, wide: bool) {
        let (x, w) = (inner.x + 1, inner.width.saturating_sub(2));
        let label = |c: &mut Canvas, row: u16, text: &str| {
            c.put(x, inner.y + row, w, text, Role::TextDim);
        };
        label(c, 0, "To");
        label(c, 3, "Keep");
        label(c, 4, "Rate");
        let at = x + 5;
        let right = inner.right().saturating_sub(1);
        for (i, line) in self.targets(wide).iter().enumerate() {
            let y = inner.y + i as u16;
            let head = format!("{} {}", radio(self.to == i), line.0);
            let used = c.put(
                at,
                y,
                right.saturating_sub(at),
                &head,
                focus_role(self.focus == Focus::To(i)),
            );
            if i == 2 {
                self.topic.draw(c, (at + used + 2, y), 30, self.focus == Focus::Topic, "");
            } else {
                c.line(at + used + 2, y, right.saturating_sub(at + used + 2), &line.1);
            }
        }
        let y = inner.y + 3;
        let text = format!("{} unique id", tick(self.keep_id));
        let role = focus_role(self.focus == Focus::KeepId);
        let at = x + 7 + c.put(x + 5, y, right.saturating_sub(x + 5), &text, role);
        let rest = "keys, tags and user properties stay · tries start at 0";
        c.put(at, y, right.saturating_sub(at), rest, Role::TextDim);
        self.draw_rate(c, (x + 5, inner.y + 4), right);
    }

    fn draw_rate(&self, c: &mut Canvas, (x, y): (u16, u16), right: u16) {
        let number = if self.numbers().is_some() { Role::Text } else { Role::Critical };
        self.rate.draw(c, (x, y), 8, self.focus == Focus::Rate, "");
        let mut at = x + 8 + c.put(x + 8, y, 7, "/s  ", number);
        let order = format!(
            "{} oldest first {} as shown",
            radio(self.oldest_first),
            radio(!self.oldest_first)
        );
        at +=
            c.put(at, y, right.saturating_sub(at), &order, focus_role(self.focus == Focus::Order));
        let label = "  stop after ";
        if at + label.len() as u16 + 6 > right {
            return;
        }
        at += c.put(at, y, right.saturating_sub(at), label, Role::Text);
        self.stop_after.draw(c, (at, y), 6, self.focus == Focus::Stop, "");
        c.put(at + 7, y, right.saturating_sub(at + 7), "failures", number);
    }

    /// The three targets with what is known about them.
    fn targets(&self, wide: bool) -> [(String, Vec<Seg>); 3] {
        let group = match self.plan() {
            None => vec![seg(Role::TextDim, "who reads it is looked up…")],
            Some(plan) => {
                let (role, text) = match &plan.reader {
                    Reader::Listed { members, of } => {
                        (Role::Ok, format!("{members} of {of} members read it"))
                    }
                    Reader::Unknown(why) => {
                        let tick = tick(self.accept_unknown);
                        (
                            focus_or(self.focus == Focus::ReaderUnknown, Role::Warn),
                            format!("{tick} reader unknown: {why}"),
                        )
                    }
                    Reader::Never(why) => (Role::Critical, format!("✗ {why}")),
                };
                vec![seg(Role::Text, format!("{}  ", plan.retry_topic)), seg(role, text)]
            }
        };
        let origin = self.plan().map_or_else(Vec::new, |plan| {
            let topics: Vec<String> =
                plan.origins.iter().map(|(t, n, _)| format!("{t} {n}")).collect();
            let mut readers: Vec<&str> =
                plan.origins.iter().flat_map(|(.., g)| g.iter().map(AsRef::as_ref)).collect();
            readers.sort_unstable();
            readers.dedup();
            let role = if readers.len() > 1 { Role::Warn } else { Role::Text };
            let warn = match readers.len() {
                0 => "  reader unknown".to_owned(),
                1 => format!("  read by {}", readers[0]),
                n if wide => format!("  ⚠ {n} groups: {}", readers.join(", ")),
                n => format!("  ⚠ {n} groups read it"),
            };
            vec![seg(Role::Text, topics.join(", ")), seg(role, warn)]
        });
        [
            ("this group only".to_owned(), group),
            ("origin topics".to_owned(), origin),
            ("another topic".to_owned(), Vec::new()),
        ]
    }

    fn titles(&self, ctx: &Ctx) -> (String, Seg) {
        let left = match &self.run {
            Run::Not => "what will happen",
            Run::Going => "running, p pauses, Esc stops",
            Run::Paused => "paused, p goes on, Esc stops",
            Run::Stopping => "stopping",
            Run::Done(_) => "what happened",
        };
        let n = self.letters.len();
        let right = match &self.check {
            Check::Going(plan) => {
                let done = plan.as_ref().map_or(0, |p| p.checked);
                seg(Role::Warn, format!("checked {done} of {n}"))
            }
            Check::Ready(plan) => {
                let at = ctx.zone.hms(plan.checked_ms);
                seg(Role::TextDim, format!("checked {at} · {} of {n} letters", plan.checked))
            }
            Check::Failed(_) => seg(Role::Critical, "not checked"),
        };
        (left.to_owned(), right)
    }

    fn draw_preview(&self, c: &mut Canvas, body: Rect, ctx: &Ctx) {
        let mut lines = self.preview_lines();
        if self.list_all {
            lines.truncate(2);
            for letter in self.letters.iter().skip(self.scroll) {
                lines.push(vec![seg(Role::Text, letter_line(letter, ctx))]);
            }
        } else if ctx.commands && body.height > 6 {
            lines.push(vec![seg(Role::TextDim, format!("y c: {}", self.command(ctx)))]);
        }
        for (i, line) in lines.iter().enumerate().take(usize::from(body.height)) {
            c.line(body.x + 1, body.y + i as u16, body.width.saturating_sub(2), line);
        }
    }

    fn preview_lines(&self) -> Vec<Vec<Seg>> {
        if let Check::Failed(why) = &self.check {
            return vec![vec![seg(Role::Critical, format!("✗ {why}"))]];
        }
        let bytes: u64 = self.letters.iter().map(|l| l.message.stored_size).sum();
        let hidden = match self.hidden.len() {
            0 => seg(Role::Text, "none hidden by the filter"),
            n => seg(
                focus_or(self.focus == Focus::Hidden, Role::Warn),
                format!("{n} hidden by the filter: {} include", tick(self.include_hidden)),
            ),
        };
        let all = if self.list_all { "v summary" } else { "v shows all" };
        let mut lines = vec![vec![
            seg(Role::Text, format!("{}, ", format::plural(self.letters.len() as u64, "letter"))),
            hidden,
            seg(Role::Text, format!(" · {}", format::bytes(bytes))),
            seg(Role::TextDim, format!("    {all}")),
        ]];
        lines.extend(self.twice_lines());
        let keys: Vec<String> = self.letters.iter().take(3).map(letter_name).collect();
        let more = self.letters.len().saturating_sub(3);
        let sample = match more {
            0 => keys.join(" · "),
            n => format!("{} · {n} more", keys.join(" · ")),
        };
        lines.push(vec![seg(Role::TextDim, "Sample  "), seg(Role::Text, sample)]);
        lines.push(vec![seg(
            Role::TextDim,
            "The letters stay, marked as resent. Consumers may skip ids that they know.",
        )]);
        lines
    }

    fn twice_lines(&self) -> Vec<Vec<Seg>> {
        let Some(plan) = self.plan() else { return Vec::new() };
        let mut lines = Vec::new();
        let again = self.again();
        let on_way = plan.twice.iter().filter(|t| **t == Twice::OnItsWay).count();
        let before = again.saturating_sub(on_way);
        let why = plan.twice.iter().find_map(|t| match t {
            Twice::Sent(text) | Twice::DiedAgain(text) => Some(text.as_str()),
            _ => None,
        });
        let mut line = vec![seg(
            if before > 0 { Role::Warn } else { Role::Text },
            match why {
                Some(why) => format!("{before} sent back before: {why}"),
                None => format!("{before} sent back before"),
            },
        )];
        if again > 0 {
            let role = focus_or(self.focus == Focus::LeaveOut, Role::Text);
            line.push(seg(role, format!("  {} leave out", tick(self.leave_out))));
        }
        lines.push(line);
        let not = plan.twice.iter().filter(|t| **t == Twice::NotChecked).count();
        let mut text = format!("{on_way} on their way from another machine");
        if not > 0 {
            text = format!("{text} · {not} not checked (older than the index)");
        }
        lines.push(vec![seg(if not > 0 { Role::Warn } else { Role::Text }, text)]);
        lines
    }

    fn draw_result(&self, c: &mut Canvas, body: Rect) {
        let mut y = body.y;
        if let Run::Done(text) = &self.run {
            c.put(body.x + 1, y, body.width.saturating_sub(2), text, Role::TextStrong);
            y += 1;
        }
        let rows = usize::from(body.bottom().saturating_sub(y));
        // While running the list follows the newest result.
        let done = self.outcomes.iter().flatten().count();
        let top = match self.run {
            Run::Done(_) => self.scroll,
            _ => done.saturating_sub(rows),
        };
        for (i, letter) in self.order.iter().enumerate().skip(top).take(rows) {
            let (role, text) = match self.outcomes.get(i).and_then(Option::as_ref) {
                Some(outcome) => (outcome_role(outcome), outcome.text()),
                None => (Role::TextDim, "waits".to_owned()),
            };
            let name = self.letters.get(*letter).map(letter_name).unwrap_or_default();
            let x = body.x + 1;
            c.put(x, y, 24, &name, Role::Text);
            c.put(x + 26, y, body.width.saturating_sub(28), &text, role);
            y += 1;
        }
    }

    fn draw_foot(&self, c: &mut Canvas, area: Rect, inner: Rect, ctx: &Ctx, wide: bool) {
        let y = inner.bottom() - 1;
        match &self.run {
            Run::Not => {
                if self.asks_name(ctx) {
                    let row = if wide { y } else { y - 1 };
                    let x = inner.x + 1;
                    let label = "type the group to go on  ";
                    let at = x + c.put(x, row, inner.width.saturating_sub(2), label, Role::Text);
                    self.name.draw(c, (at, row), 30, self.focus == Focus::Name, "");
                }
                if self.wait {
                    c.put(area.x + 2, y, 20, "wait", Role::Warn);
                }
                let run = format!("R Resend {}", self.selection().len());
                let enabled = self.blocked(ctx).is_none();
                let labels = [
                    ("Cancel", self.focus == Focus::Cancel, true),
                    (run.as_str(), self.focus == Focus::Run, enabled),
                ];
                buttons(c, area, y, &labels);
            }
            Run::Going | Run::Paused | Run::Stopping => {
                let done = self.outcomes.iter().flatten().count();
                let text = format!("{done} of {}", self.outcomes.len());
                c.put_right(area.x + 2, area.right() - 2, y, &text, Role::TextStrong);
            }
            Run::Done(_) => {
                if self.some_failed() {
                    c.put(area.x + 2, y, 30, "f retries what failed", Role::TextDim);
                }
                buttons(c, area, y, &[("Esc Close", true, true)]);
            }
        }
    }
}

const fn focus_or(focus: bool, other: Role) -> Role {
    if focus { Role::Selection } else { other }
}

fn letter_name(letter: &Letter) -> String {
    let m = &letter.message;
    if m.keys.is_empty() { m.unique_id.clone() } else { m.keys.clone() }
}

fn letter_line(letter: &Letter, ctx: &Ctx) -> String {
    format!(
        "{}  {:<20} {} → {}",
        ctx.zone.hms(letter.message.stored_ms),
        letter_name(letter),
        format::bytes(letter.message.stored_size),
        letter.origin
    )
}
