//! How the replay dialog looks: fields, preview table, result (console-ux.md §7.2).

use ratatui::layout::Rect;

use super::super::{Ctx, WIDE, buttons, focus_role, shell, tick};
use super::{Focus, Preview, Replay, Run};
use crate::data::fig::Fig;
use crate::data::plan::{ItemOutcome, ReplayPath, ReplayPlan, ReplayRow, ReplayTo};
use crate::format;
use crate::model::replay::{Totals, catch_up, repeat_time, risk, totals};
use crate::model::time_field::{self, When};
use crate::theme::Role;
use crate::widget::table::{self, Align, Cell, Column, cell, fig};
use crate::widget::{Canvas, Seg, inside, rows, seg};

impl Replay {
    /// Draws the dialog.
    pub fn draw(&self, c: &mut Canvas, screen: Rect, ctx: &Ctx) {
        let wide = screen.width >= WIDE;
        let to = self.plan().map_or(ReplayTo::Start, |p| p.ask.to.clone());
        let risk = risk(&to, self.plan().map(AsRef::as_ref));
        let title = format!("Replay {} · risk {}", self.group, risk.number());
        let queues = self.plan().map_or(4, |p| p.rows.len() + 2) as u16;
        let height = if wide { 14 + queues.clamp(6, 18) } else { 22 };
        let size = (if wide { 116 } else { 78 }, height);
        let area = shell(c, screen, &title, self.esc(), size);
        let inner = inside(area);
        if inner.height < 4 || inner.width < 10 {
            return;
        }
        self.draw_fields(c, inner, ctx);
        let foot = if wide { 6 } else { 5 };
        let middle = inner.y + 3;
        let (left, right) = self.titles(ctx);
        c.separator(area, middle, &left, &right);
        let bottom = inner.bottom().saturating_sub(foot);
        if bottom > middle + 1 {
            let body = Rect { y: middle + 1, height: bottom - middle - 1, ..inner };
            self.draw_preview(c, body, ctx, wide);
            c.separator(area, bottom, "", &seg(Role::Text, ""));
            let feet = Rect { y: bottom + 1, height: inner.bottom() - bottom - 1, ..inner };
            self.draw_foot(c, area, feet, ctx);
        }
    }

    fn draw_fields(&self, c: &mut Canvas, inner: Rect, ctx: &Ctx) {
        let (x, w) = (inner.x + 1, inner.width.saturating_sub(2));
        let mut at = x + c.put(x, inner.y, w, "Topics  ", Role::TextDim);
        if self.topics.is_empty() {
            c.put(at, inner.y, w, "all that the group has offsets for", Role::Text);
        }
        for (i, (name, queues, on)) in self.topics.iter().enumerate() {
            let queues = queues
                .map_or(String::new(), |q| format!(", {}", format::plural(q.into(), "queue")));
            let text = format!("{} {name}{queues}", tick(*on));
            let room = inner.right().saturating_sub(at + 1);
            at += c.put(at, inner.y, room, &text, focus_role(self.focus == Focus::Topic(i))) + 3;
        }
        let y = inner.y + 1;
        let mut at = x + c.put(x, y, w, "Go to   ", Role::TextDim);
        let focused = self.focus == Focus::Time && matches!(self.run, Run::Not);
        self.time.draw(c, (at, y), 26, focused, "-2h, 12:03, start");
        at += 28;
        let room = inner.right().saturating_sub(at + 1);
        let (role, meaning) = self.meaning(ctx);
        c.put(at, y, room, &meaning, role);
        let y = inner.y + 2;
        let at = x + c.put(x, y, w, "Path    ", Role::TextDim);
        let room = inner.right().saturating_sub(at + 1);
        let (role, path) = match self.plan().map(|p| &p.path) {
            None => (Role::TextDim, "found out with the preview: Enter computes it".to_owned()),
            Some(ReplayPath::ServerSide) => {
                (Role::Text, "server-side reset, consumers stay online".to_owned())
            }
            Some(ReplayPath::Offline) => {
                (Role::Text, "offsets are written while nobody is connected".to_owned())
            }
            Some(ReplayPath::Blocked(why)) => (Role::Critical, format!("✗ {why}")),
        };
        let used = c.put(at, y, room, &path, role);
        if let Some(plan) = self.plan().filter(|p| !p.silent.is_empty()) {
            let text = format!("{} leave out {}", tick(self.leave_out), plan.silent.join(", "));
            let focus = self.focus == Focus::LeaveOut;
            c.put(at + used + 3, y, room.saturating_sub(used + 3), &text, focus_role(focus));
        }
    }

    fn meaning(&self, ctx: &Ctx) -> (Role, String) {
        if let Some(error) = &self.time_error {
            return (Role::Critical, format!("✗ {error}"));
        }
        // A computed preview is about its own moment, however long it is looked at.
        if let Some(ReplayTo::Time(ms)) = self.plan().map(|p| &p.ask.to) {
            return (Role::Text, format!("= {}", ctx.zone.weekday(*ms)));
        }
        match time_field::parse(self.time.text(), ctx.now_ms, ctx.zone) {
            Ok(When::At(ms)) => (Role::Text, format!("= {}", ctx.zone.weekday(ms))),
            Ok(When::Start) => (Role::Text, "= the oldest message kept".to_owned()),
            Ok(When::End) => (Role::Warn, "= skip all: the newest message".to_owned()),
            Err(_) => (Role::TextDim, "Enter computes".to_owned()),
        }
    }

    fn titles(&self, ctx: &Ctx) -> (String, Seg) {
        let right = match &self.preview {
            Preview::None => seg(Role::TextDim, "Enter computes"),
            Preview::Computing => seg(Role::TextDim, "computing…"),
            Preview::Failed(_) => seg(Role::Critical, "no preview"),
            Preview::Ready(plan) => {
                let role = if plan.known < plan.of { Role::Warn } else { Role::TextDim };
                let at = ctx.zone.hms(plan.computed_ms);
                seg(role, format!("computed {at} · {} of {} queues known", plan.known, plan.of))
            }
        };
        let left = match self.run {
            Run::Not => "what will happen",
            Run::Going => "running, Esc stops after this queue",
            Run::Stopping => "stopping",
            Run::Done(_) => "what happened",
        };
        (left.to_owned(), right)
    }

    fn draw_preview(&self, c: &mut Canvas, body: Rect, ctx: &Ctx, wide: bool) {
        let plan = match &self.preview {
            Preview::Ready(plan) => plan,
            Preview::Failed(why) => {
                c.put(
                    body.x + 1,
                    body.y,
                    body.width.saturating_sub(2),
                    &format!("✗ {why}"),
                    Role::Critical,
                );
                return;
            }
            Preview::Computing => {
                c.put(
                    body.x + 1,
                    body.y,
                    body.width.saturating_sub(2),
                    "asking every queue…",
                    Role::TextDim,
                );
                return;
            }
            Preview::None => {
                let text =
                    "Nothing is computed yet: type a time, then Enter. Nothing moves before R.";
                c.put(body.x + 1, body.y, body.width.saturating_sub(2), text, Role::TextDim);
                return;
            }
        };
        let columns = if wide { WIDE_COLUMNS } else { NARROW_COLUMNS };
        let slots = table::layout(columns, body.width);
        let list = table::List::default();
        let keys: Vec<String> = (0..plan.rows.len()).map(|i| i.to_string()).collect();
        let height = usize::from(body.height.saturating_sub(2));
        let top = self.scroll.min(plan.rows.len().saturating_sub(height));
        let shown: Vec<String> = keys.iter().skip(top).take(height).cloned().collect();
        let view = table::View { columns, list: &list, keys: &shown, cursor: None, focus: false };
        let area = rows(body, 0, body.height.saturating_sub(1));
        table::draw(c, area, &view, &mut |i| {
            let row = &plan.rows[top + i];
            let outcome = self.outcomes.get(top + i).and_then(Option::as_ref);
            table::Row::Cells(row_cells(plan, row, outcome, wide))
        });
        let sums = totals(plan);
        let y = body.bottom() - 1;
        let total = Rect { y, height: 1, ..body };
        draw_cells(c, total, &slots, columns, &sum_cells(plan, &sums, wide));
        let hidden = plan.rows.len().saturating_sub(top + height);
        if hidden > 0 {
            c.put_right(body.x, body.right() - 1, y, &format!("↓ {hidden} more"), Role::TextDim);
        }
        let _ = ctx;
    }

    fn foot_lines(&self, ctx: &Ctx, wide: bool) -> Vec<Vec<Seg>> {
        let mut lines: Vec<Vec<Seg>> = Vec::new();
        if let Run::Done(text) = &self.run {
            lines.push(vec![seg(Role::TextStrong, text.clone())]);
        }
        let Some(plan) = self.plan() else { return lines };
        let sums = totals(plan);
        let skipped = sums.skipped.value().copied().unwrap_or(1) > 0;
        let tags = if wide { format!("({}), ", plan.filter) } else { "again, ".to_owned() };
        let again = if wide { " messages again " } else { " " };
        lines.push(vec![
            seg(Role::TextStrong, format!("{}{again}", format::fig_count(&sums.again))),
            seg(Role::TextDim, tags),
            seg(
                if skipped { Role::Warn } else { Role::Text },
                format!("{} skipped. ", format::fig_count(&sums.skipped)),
            ),
            seg(Role::TextDim, "Retry and dead letters stay."),
        ]);
        lines.push(vec![seg(
            Role::Text,
            format!(
                "Repeats alone {} · catch-up {}",
                repeat_time(&sums.again, &plan.out_rate),
                catch_up(&sums.lag_after, &plan.out_rate, &plan.in_rate)
            ),
        )]);
        if ctx.commands
            && let Some(command) = self.command(ctx)
        {
            lines.push(vec![seg(Role::TextDim, format!("y c: {command}"))]);
        }
        lines
    }

    fn draw_foot(&self, c: &mut Canvas, area: Rect, feet: Rect, ctx: &Ctx) {
        let (x, w) = (feet.x + 1, feet.width.saturating_sub(2));
        let wide = feet.width >= 100;
        let asks = self.asks_name(ctx) && matches!(self.run, Run::Not);
        let last = feet.bottom().saturating_sub(1);
        let kept = usize::from(feet.height.saturating_sub(1 + u16::from(asks && !wide)));
        for (i, line) in self.foot_lines(ctx, wide).iter().enumerate().take(kept) {
            c.line(x, feet.y + i as u16, w, line);
        }
        if asks && feet.height >= 2 {
            let y = if wide { last } else { last - 1 };
            let at = x + c.put(x, y, w, "type the group to go on  ", Role::Text);
            self.name.draw(c, (at, y), 30.min(w), self.focus == Focus::Name, "");
        }
        self.draw_buttons(c, area, last, ctx);
    }

    fn draw_buttons(&self, c: &mut Canvas, area: Rect, y: u16, ctx: &Ctx) {
        match &self.run {
            Run::Not => {
                if self.wait {
                    c.put(area.x + 2, y, 20, "wait", Role::Warn);
                }
                let ready = self.blocked(ctx).is_none();
                let labels = [
                    ("Cancel", self.focus == Focus::Cancel, true),
                    ("R Replay", self.focus == Focus::Run, ready),
                ];
                buttons(c, area, y, &labels);
            }
            Run::Going | Run::Stopping => {
                let done = self.outcomes.iter().flatten().count();
                let text = format!("{done} of {} queues", self.outcomes.len());
                c.put_right(area.x + 2, area.right() - 2, y, &text, Role::TextStrong);
            }
            Run::Done(_) => buttons(c, area, y, &[("Esc Close", true, true)]),
        }
    }
}

const WIDE_COLUMNS: &[Column] = &[
    Column::left("TOPIC", 16, 3),
    Column::left("BROKER", 12, 2),
    Column::right("Q", 3, 1),
    Column::right("NOW AT →  WILL BE AT", 25, 1),
    Column::right("AGAIN", 11, 1),
    Column::right("SKIPPED", 8, 1),
    Column::right("LAG AFTER", 11, 2),
    Column::left("NOTE", 16, 1).grow().prose(),
];

const NARROW_COLUMNS: &[Column] = &[
    Column::left("BROKER", 9, 1),
    Column::right("Q", 2, 1),
    Column::right("NOW AT→WILL BE AT", 21, 1),
    Column::right("AGAIN", 9, 1),
    Column::right("LAG AFTER", 9, 1),
    Column::left("NOTE", 12, 1).grow().prose(),
];

fn moves(now: &Fig<u64>, to: &Fig<u64>, wide: bool) -> String {
    let (now, to) = (format::fig_count(now), format::fig_count(to));
    if wide { format!("{now} → {to:>11}") } else { format!("{now}→{to:>9}") }
}

fn row_cells(
    plan: &ReplayPlan,
    r: &ReplayRow,
    outcome: Option<&ItemOutcome>,
    wide: bool,
) -> Vec<Cell> {
    let note = match outcome {
        Some(outcome) => Cell(outcome_role(outcome), outcome.text()),
        None => Cell(Role::TextDim, r.note.clone()),
    };
    let mut again = format::fig_count(&r.again);
    let skips = r.skipped.value().is_some_and(|s| *s > 0);
    if !wide && skips {
        again = format!("-{}", format::fig_count(&r.skipped));
    } else if r.again.value().is_some_and(|n| *n > 0) {
        again = format!("+{again}");
    }
    let mut cells = Vec::new();
    if wide {
        cells.push(cell(&*r.topic));
    }
    cells.extend([
        cell(&*r.broker),
        cell(r.queue.to_string()),
        fig(&r.target, moves(&r.now, &r.target, wide)),
        fig(&r.again, again),
    ]);
    if wide {
        let role = if skips { Role::Warn } else { table::fig_role(&r.skipped) };
        cells.push(Cell(role, format::fig_count(&r.skipped)));
    }
    cells.push(fig(&r.lag_after, format::fig_count(&r.lag_after)));
    cells.push(note);
    let _ = plan;
    cells
}

/// The role of a result.
pub const fn outcome_role(outcome: &ItemOutcome) -> Role {
    match outcome {
        ItemOutcome::Done(_) => Role::Ok,
        ItemOutcome::Unchanged | ItemOutcome::NotTried => Role::TextDim,
        ItemOutcome::Refused(_) => Role::Critical,
        ItemOutcome::Unknown(_) | ItemOutcome::Gone => Role::Warn,
    }
}

fn sum_cells(plan: &ReplayPlan, sums: &Totals, wide: bool) -> Vec<Cell> {
    let strong = |text: String| Cell(Role::TextStrong, text);
    let mut cells = vec![strong(format!("Σ {}", plan.rows.len()))];
    if wide {
        cells.push(cell(""));
    }
    cells.extend([cell(""), cell(""), strong(format::fig_count(&sums.again))]);
    if wide {
        cells.push(strong(format::fig_count(&sums.skipped)));
    }
    cells.push(strong(format::fig_count(&sums.lag_after)));
    let skipped = format!("skipped {}", format::fig_count(&sums.skipped));
    cells.push(if wide { cell("") } else { Cell(Role::TextDim, skipped) });
    cells
}

fn draw_cells(
    c: &mut Canvas,
    area: Rect,
    slots: &[table::Slot],
    columns: &[Column],
    cells: &[Cell],
) {
    for slot in slots {
        if let Some(Cell(role, text)) = cells.get(slot.column) {
            let (x, w) = (area.x + slot.x, slot.width.min(area.width.saturating_sub(slot.x + 1)));
            match columns[slot.column].align {
                Align::Left => {
                    c.put(x, area.y, w, text, *role);
                }
                Align::Right => c.put_right(x, x + w, area.y, text, *role),
            }
        }
    }
}
