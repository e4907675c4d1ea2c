//! The one table of keys: dispatch, footer and help read it (console-ux.md §4).
//!
//! A binding belongs to a layer; layers are asked from the top: place, list, marks, global. Inputs and
//! dialogs take all keys for themselves; their rows here feed footer and help.

use std::sync::OnceLock;

use crate::event::{Code, Key};
use crate::model::near::{did_you_mean, nearest};

/// Everything a key can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    GoOverview,
    GoTopics,
    GoGroups,
    GoLadder,
    GoDead,
    GoBrokers,
    GoTrace,
    GoClients,
    GoTimers,
    GoTransactions,
    OpenClients,
    Commit,
    RollBack,
    Help,
    /// The `:` line.
    Command,
    /// The finder.
    Find,
    /// Whether the console takes the mouse.
    Mouse,
    Back,
    Close,
    Quit,
    Suspend,
    Redraw,
    Refresh,
    Freeze,
    Faster,
    Slower,
    PaneNext,
    PanePrev,
    TabNext,
    TabPrev,
    Zoom,
    TimeCycle,
    Down,
    Up,
    First,
    Last,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    Filter,
    Sort,
    Reverse,
    Details,
    Mark,
    MarkAll,
    UnmarkAll,
    Invert,
    Open,
    Replay,
    Resend,
    ShowAll,
    OpenDead,
    OpenRetry,
    OpenGroup,
    OpenTrace,
    /// Asks for another thing to look at.
    Another,
    Older,
    Newer,
    ToTime,
    ToOffset,
    NextView,
    Scan,
    CopyId,
    CopyBody,
    CopyRow,
    CopyProperties,
    /// The equivalent one-shot command.
    CopyCommand,
    Export,
}

/// Where a binding holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    Place(Kind),
    /// Cursor and scrolling.
    Move,
    /// Filter and details of a list.
    List,
    /// Order of a list whose columns have letters.
    Order,
    Marks,
    Global,
    Dialog,
}

/// Kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Overview,
    Topics,
    Queues,
    Messages,
    Message,
    Groups,
    Group,
    Ladder,
    Dead,
    Brokers,
    Trace,
    Clients,
    Timers,
    Transactions,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    pub action: Action,
    /// Name in configuration and commands.
    pub id: &'static str,
    pub keys: &'static [&'static str],
    pub layer: Layer,
    pub label: &'static str,
    pub needs_write: bool,
    /// Rank in the footer, 0 = help only.
    pub footer: u8,
}

const fn b(
    action: Action,
    id: &'static str,
    keys: &'static [&'static str],
    layer: Layer,
    label: &'static str,
    footer: u8,
) -> Binding {
    Binding { action, id, keys, layer, label, needs_write: false, footer }
}

const fn w(binding: Binding) -> Binding {
    Binding { needs_write: true, ..binding }
}

const fn at(kind: Kind) -> Layer {
    Layer::Place(kind)
}

use Action as A;
use Kind as K;
use Layer::{Global, List, Marks, Move, Order};

/// The table as it is shipped.
pub const TABLE: &[Binding] = &[
    b(A::Open, "open", &["enter"], at(K::Overview), "open", 10),
    w(b(A::Replay, "replay", &["r"], at(K::Overview), "replay", 11)),
    b(A::OpenDead, "open.dead", &["o d"], at(K::Overview), "dead", 12),
    b(A::OpenRetry, "open.retry", &["o r"], at(K::Overview), "retry", 13),
    b(A::Open, "open", &["enter"], at(K::Topics), "queues", 10),
    b(A::ShowAll, "show.all", &["."], at(K::Topics), "system", 12),
    b(A::Open, "open", &["enter"], at(K::Queues), "messages", 10),
    b(A::Open, "open", &["enter"], at(K::Messages), "inspect", 10),
    b(A::Older, "page.older", &["["], at(K::Messages), "older", 11),
    b(A::Newer, "page.newer", &["]"], at(K::Messages), "newer", 12),
    b(A::ToTime, "to.time", &["@"], at(K::Messages), "time", 13),
    b(A::ToOffset, "to.offset", &["#"], at(K::Messages), "offset", 14),
    b(A::NextView, "view.next", &["v"], at(K::Message), "json text hex", 11),
    b(A::Older, "message.prev", &["["], at(K::Message), "previous", 12),
    b(A::Newer, "message.next", &["]"], at(K::Message), "next", 13),
    b(A::TabNext, "tab.next", &["}"], at(K::Message), "next tab", 10),
    b(A::TabPrev, "tab.prev", &["{"], at(K::Message), "previous tab", 0),
    b(A::CopyBody, "copy.body", &["y b"], at(K::Message), "copy body", 14),
    b(A::CopyProperties, "copy.properties", &["y p"], at(K::Message), "copy properties", 0),
    b(A::CopyBody, "copy.body", &["y b"], at(K::Messages), "copy body", 0),
    b(A::CopyProperties, "copy.properties", &["y p"], at(K::Messages), "copy properties", 0),
    b(A::CopyBody, "copy.body", &["y b"], at(K::Dead), "copy body", 0),
    b(A::CopyProperties, "copy.properties", &["y p"], at(K::Dead), "copy properties", 0),
    b(A::OpenTrace, "open.trace", &["o T"], at(K::Message), "trace", 15),
    b(A::OpenTrace, "open.trace", &["o T"], at(K::Messages), "trace", 15),
    b(A::OpenTrace, "open.trace", &["o T"], at(K::Dead), "trace", 16),
    b(A::Open, "open", &["enter"], at(K::Trace), "open", 10),
    b(A::Another, "trace.ask", &["n"], at(K::Trace), "another id or key", 11),
    b(A::Open, "open", &["enter"], at(K::Clients), "running info", 10),
    b(A::OpenGroup, "open.group", &["o g"], at(K::Clients), "group", 11),
    b(A::Open, "open", &["enter"], at(K::Timers), "message", 10),
    w(b(A::Commit, "half.commit", &["r"], at(K::Transactions), "commit", 10)),
    w(b(A::RollBack, "half.roll-back", &["x"], at(K::Transactions), "roll back", 11)),
    b(A::OpenTrace, "open.trace", &["o T"], at(K::Timers), "trace", 15),
    b(A::OpenClients, "open.clients", &["o c"], at(K::Groups), "clients", 14),
    b(A::OpenClients, "open.clients", &["o c"], at(K::Group), "clients", 14),
    b(A::Open, "open", &["enter"], at(K::Groups), "open", 10),
    w(b(A::Replay, "replay", &["r"], at(K::Groups), "replay", 11)),
    b(A::OpenDead, "open.dead", &["o d"], at(K::Groups), "dead", 12),
    b(A::OpenRetry, "open.retry", &["o r"], at(K::Groups), "retry", 13),
    b(A::Open, "open", &["enter"], at(K::Group), "open", 9),
    b(A::TabNext, "tab.next", &["}"], at(K::Group), "next tab", 10),
    b(A::TabPrev, "tab.prev", &["{"], at(K::Group), "previous tab", 0),
    w(b(A::Replay, "replay", &["r"], at(K::Group), "replay", 11)),
    b(A::OpenDead, "open.dead", &["o d"], at(K::Group), "dead", 12),
    b(A::OpenRetry, "open.retry", &["o r"], at(K::Group), "retry", 13),
    b(A::Open, "open", &["enter"], at(K::Ladder), "open", 10),
    b(A::PaneNext, "pane.next", &["tab"], at(K::Ladder), "pane", 11),
    b(A::PanePrev, "pane.prev", &["backtab"], at(K::Ladder), "previous pane", 0),
    b(A::OpenDead, "open.dead", &["o d"], at(K::Ladder), "dead", 12),
    b(A::OpenGroup, "open.group", &["o g"], at(K::Ladder), "group", 13),
    b(A::Scan, "scan", &["ctrl+f"], at(K::Ladder), "split by group", 14),
    b(A::Open, "open", &["enter"], at(K::Dead), "open", 10),
    b(A::PaneNext, "pane.next", &["tab"], at(K::Dead), "pane", 10),
    b(A::PanePrev, "pane.prev", &["backtab"], at(K::Dead), "previous pane", 0),
    w(b(A::Resend, "resend", &["r"], at(K::Dead), "resend", 11)),
    b(A::OpenGroup, "open.group", &["o g"], at(K::Dead), "group", 13),
    b(A::OpenRetry, "open.retry", &["o r"], at(K::Dead), "retry", 14),
    b(A::ShowAll, "show.all", &["."], at(K::Dead), "resent too", 15),
    b(A::Down, "down", &["j", "down"], Move, "down", 0),
    b(A::Up, "up", &["k", "up"], Move, "up", 0),
    b(A::First, "first", &["g", "home"], Move, "first", 0),
    b(A::Last, "last", &["G", "end"], Move, "last", 0),
    b(A::HalfDown, "half.down", &["ctrl+d"], Move, "half page down", 0),
    b(A::HalfUp, "half.up", &["ctrl+u"], Move, "half page up", 0),
    b(A::PageDown, "page.down", &["pgdn"], Move, "page down", 0),
    b(A::PageUp, "page.up", &["pgup"], Move, "page up", 0),
    b(A::Filter, "filter", &["/"], List, "filter", 30),
    b(A::Sort, "sort", &["s"], Order, "sort", 31),
    b(A::Reverse, "sort.reverse", &["S"], Order, "reverse the order", 0),
    b(A::CopyRow, "copy.row", &["y r"], Global, "copy row as JSON", 0),
    b(A::CopyCommand, "copy.command", &["y c"], Global, "copy as command", 0),
    b(A::Export, "export", &["e"], Global, "export", 40),
    b(A::Details, "details", &["i"], List, "details", 33),
    b(A::CopyId, "copy.id", &["y i"], List, "copy name or id", 36),
    b(A::Mark, "mark", &["space"], Marks, "mark", 20),
    b(A::MarkAll, "mark.all", &["*"], Marks, "all", 21),
    b(A::UnmarkAll, "mark.none", &["u"], Marks, "none", 22),
    b(A::Invert, "mark.invert", &["I"], Marks, "invert marks", 0),
    b(A::GoOverview, "go.overview", &["1"], Global, "Overview", 0),
    b(A::GoTopics, "go.topics", &["2"], Global, "Topics", 0),
    b(A::GoGroups, "go.groups", &["3"], Global, "Groups", 0),
    b(A::GoLadder, "go.retry", &["4"], Global, "Retry", 0),
    b(A::GoDead, "go.dead", &["5"], Global, "Dead letters", 0),
    b(A::GoBrokers, "go.brokers", &["7"], Global, "Brokers", 0),
    b(A::GoClients, "go.clients", &["8"], Global, "Clients", 0),
    b(A::GoTimers, "go.timers", &["9"], Global, "Timers", 0),
    b(A::GoTransactions, "go.transactions", &["0"], Global, "Transactions", 0),
    b(A::GoTrace, "go.trace", &["T"], Global, "Trace", 0),
    b(A::Freeze, "freeze", &["p"], Global, "freeze", 40),
    b(A::Faster, "faster", &["+"], Global, "shorter interval", 0),
    b(A::Slower, "slower", &["-"], Global, "longer interval", 0),
    b(A::Refresh, "refresh", &["ctrl+r", "f5"], Global, "fetch now", 0),
    b(A::Redraw, "redraw", &["ctrl+l"], Global, "repaint", 0),
    b(A::Zoom, "zoom", &["z"], Global, "zoom", 41),
    b(A::TimeCycle, "time.cycle", &["Z"], Global, "relative, local, UTC", 0),
    b(A::Mouse, "mouse", &["m"], Global, "mouse on/off", 0),
    b(A::Back, "back", &["esc"], Global, "back", 0),
    b(A::Close, "close", &["q"], Global, "close, at the root quit", 0),
    b(A::Quit, "quit", &["ctrl+c"], Global, "quit", 0),
    b(A::Suspend, "suspend", &["ctrl+z"], Global, "suspend", 0),
    b(A::Command, "command", &[":"], Global, "command", 38),
    b(A::Find, "find", &["ctrl+p", "ctrl+k"], Global, "find", 39),
    b(A::Help, "help", &["?", "f1"], Global, "help", 99),
    b(A::PaneNext, "dialog.next", &["tab"], Layer::Dialog, "next field", 10),
    b(A::Mark, "dialog.toggle", &["space"], Layer::Dialog, "choose", 11),
    b(A::Open, "dialog.go", &["enter"], Layer::Dialog, "go on", 12),
    b(A::Back, "dialog.cancel", &["esc"], Layer::Dialog, "cancel", 20),
];

/// Other keys for an action, as a user wants them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Id of the action, wherever it stands.
    pub id: String,
    /// Names of keys, `o d` for a sequence; none: the action has no key.
    pub keys: Vec<String>,
    /// Where it was written, for messages: file and line.
    pub place: String,
}

static IN_FORCE: OnceLock<Vec<Binding>> = OnceLock::new();

/// The table in force: the shipped one, unless a user's own was installed.
pub fn table() -> &'static [Binding] {
    IN_FORCE.get().map_or(TABLE, Vec::as_slice)
}

/// Puts a user's keys in force, once, before the console runs.
///
/// # Errors
/// As [`remap`].
pub fn install(wanted: &[Override]) -> Result<(), String> {
    let table = remap(wanted)?;
    if !wanted.is_empty() {
        // Later calls change nothing: keys do not move under a running console.
        IN_FORCE.get_or_init(|| table);
    }
    Ok(())
}

/// The shipped table with a user's keys.
///
/// # Errors
/// An unknown action, an unreadable key, or a key with two meanings in one layer; names file, line and
/// both actions.
pub fn remap(wanted: &[Override]) -> Result<Vec<Binding>, String> {
    let mut table = TABLE.to_vec();
    for Override { id, keys, place } in wanted {
        if let Some(bad) = keys.iter().find(|key| !is_key(key)) {
            return Err(format!("{place}: {id}: there is no key {bad:?}"));
        }
        let mut found = false;
        // What lives as long as the process is not given back.
        let names = || keys.iter().map(|key| &*Box::leak(key.clone().into_boxed_str())).collect();
        let rows = table.iter_mut().filter(|row| row.id == id && row.layer != Layer::Dialog);
        for row in rows {
            let names: Vec<&'static str> = names();
            row.keys = Box::leak(names.into_boxed_slice());
            found = true;
        }
        if !found {
            let like = nearest(id, TABLE.iter().map(|row| row.id));
            return Err(format!("{place}: unknown action {id:?}{}", did_you_mean(like)));
        }
    }
    for Override { id, place, .. } in wanted {
        if let Some((key, other)) = conflict(&table, id) {
            return Err(format!("{place}: {} is the key of both {id} and {other}", shown(key)));
        }
    }
    Ok(table)
}

/// Whether every part of a sequence of at most two is a key, and a first part a letter.
fn is_key(name: &str) -> bool {
    match name.split_once(' ') {
        Some((first, second)) => first.chars().count() == 1 && parse_key(second).is_some(),
        None => parse_key(name).is_some(),
    }
}

/// Keys by which a place may hide what holds in lists and everywhere.
const SHADOWABLE: [&str; 10] = ["space", "x", "f", "n", "N", "v", "+", "-", "z", "e"];

/// A key of this action that has another meaning where both hold.
fn conflict(table: &[Binding], id: &str) -> Option<(&'static str, &'static str)> {
    let mine = || table.iter().filter(|row| row.id == id);
    let others = || table.iter().filter(|row| row.id != id);
    for (row, other) in mine().flat_map(|row| others().map(move |other| (row, other))) {
        let place = |layer: Layer| matches!(layer, Layer::Place(_));
        let below = |layer: Layer| matches!(layer, Move | List | Order | Global);
        let same = row.layer == other.layer;
        let over =
            (place(row.layer) && below(other.layer)) || (below(row.layer) && place(other.layer));
        for key in row.keys {
            let meets = other.keys.iter().any(|theirs| clash(key, theirs));
            if meets && (same || (over && !SHADOWABLE.contains(key))) {
                return Some((key, other.id));
            }
        }
    }
    None
}

/// Whether two keys cannot both be pressed for what they mean: the same, or one the other's beginning.
fn clash(a: &str, b: &str) -> bool {
    let first = |name: &str| name.split_once(' ').map_or(name, |(first, _)| first).to_owned();
    a == b || (a.contains(' ') != b.contains(' ') && first(a) == first(b))
}

/// Reads the name of a key: `ctrl+l`, `f5`, `enter`, `j`.
pub fn parse_key(name: &str) -> Option<Key> {
    if let Some(letter) = name.strip_prefix("ctrl+") {
        let mut letters = letter.chars();
        return letters.next().filter(|_| letters.next().is_none()).map(Key::ctrl);
    }
    let code = match name {
        "backspace" => Code::Backspace,
        "delete" => Code::Delete,
        "enter" => Code::Enter,
        "esc" => Code::Esc,
        "tab" => Code::Tab,
        "backtab" => Code::BackTab,
        "space" => Code::Char(' '),
        "up" => Code::Up,
        "down" => Code::Down,
        "left" => Code::Left,
        "right" => Code::Right,
        "home" => Code::Home,
        "end" => Code::End,
        "pgup" => Code::PageUp,
        "pgdn" => Code::PageDown,
        _ if name.chars().count() == 1 => Code::Char(name.chars().next()?),
        _ => Code::F(name.strip_prefix('f')?.parse().ok()?),
    };
    Some(Key::plain(code))
}

/// The name of a key on screen: `Enter`, `^F`, `o d`.
pub fn shown(name: &str) -> String {
    if let Some(letter) = name.strip_prefix("ctrl+") {
        return format!("^{}", letter.to_uppercase());
    }
    match name {
        "enter" => "Enter".to_owned(),
        "esc" => "Esc".to_owned(),
        "tab" => "Tab".to_owned(),
        "backtab" => "Shift+Tab".to_owned(),
        "space" => "Space".to_owned(),
        "pgup" => "PgUp".to_owned(),
        "pgdn" => "PgDn".to_owned(),
        "up" => "↑".to_owned(),
        "down" => "↓".to_owned(),
        "home" => "Home".to_owned(),
        "end" => "End".to_owned(),
        f if f.len() > 1 && f.starts_with('f') && f[1..].parse::<u8>().is_ok() => f.to_uppercase(),
        other => other.to_owned(),
    }
}

/// Names of the keys that are shown so: the other way round than [`shown`].
pub fn named(shown_keys: &str) -> String {
    let one = |key: &str| match key.strip_prefix('^') {
        Some(letter) if !letter.is_empty() => format!("ctrl+{}", letter.to_lowercase()),
        _ => match key {
            "↑" => "up".to_owned(),
            "↓" => "down".to_owned(),
            "Shift+Tab" => "backtab".to_owned(),
            _ if key.chars().count() > 1 => key.to_lowercase(),
            _ => key.to_owned(),
        },
    };
    let each: Vec<String> = shown_keys.split(' ').map(one).collect();
    each.join(" ")
}

/// The layers of a place, from the top. Letters can be marked while their pane has the focus.
pub fn layers(kind: Kind, pane: usize, sorts: bool) -> Vec<Layer> {
    let mut layers = vec![Layer::Place(kind), Move];
    if kind != Kind::Message {
        layers.push(List);
    }
    if sorts {
        layers.push(Order);
    }
    if kind == Kind::Dead && pane == 1 {
        layers.push(Marks);
    }
    layers.push(Global);
    layers
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Action(Action, bool),
    /// The first key of some sequence.
    Prefix(char),
    Nothing,
}

/// Rows of a layer.
pub fn of_layer(layer: Layer) -> impl Iterator<Item = &'static Binding> {
    table().iter().filter(move |binding| binding.layer == layer)
}

/// The keys of a row, as on screen.
pub fn keys_of(binding: &Binding) -> String {
    let keys: Vec<String> = binding.keys.iter().map(|key| shown(key)).collect();
    keys.join(" ")
}

/// Whether some row has this id.
pub fn id_exists(id: &str) -> bool {
    table().iter().any(|binding| binding.id == id)
}

/// Looks a key up in the layers; `prefix` is the key before it, if it began a sequence.
pub fn find(layers: &[Layer], prefix: Option<char>, key: Key) -> Found {
    for layer in layers {
        for binding in table().iter().filter(|b| b.layer == *layer) {
            for name in binding.keys {
                match (name.split_once(' '), prefix) {
                    (Some((first, second)), Some(p))
                        if first.starts_with(p) && parse_key(second) == Some(key) =>
                    {
                        return Found::Action(binding.action, binding.needs_write);
                    }
                    (Some((first, _)), None) if parse_key(first) == Some(key) => {
                        return Found::Prefix(first.chars().next().unwrap_or(' '));
                    }
                    (None, None) if parse_key(name) == Some(key) => {
                        return Found::Action(binding.action, binding.needs_write);
                    }
                    _ => {}
                }
            }
        }
    }
    Found::Nothing
}

/// Bindings of these layers that the footer shows, best first; writing ones only when allowed.
pub fn footer(layers: &[Layer], can_write: bool) -> Vec<&'static Binding> {
    let mut found: Vec<_> = table()
        .iter()
        .filter(|b| !b.keys.is_empty())
        .filter(|b| layers.contains(&b.layer) && b.footer > 0 && (can_write || !b.needs_write))
        .collect();
    found.sort_by_key(|b| b.footer);
    found
}

/// Continuations of a prefix key.
pub fn continuations(
    layers: &[Layer],
    prefix: char,
    can_write: bool,
) -> Vec<(&'static str, &'static str)> {
    table()
        .iter()
        .filter(|b| layers.contains(&b.layer) && (can_write || !b.needs_write))
        .filter_map(|b| {
            let (first, second) = b.keys.first()?.split_once(' ')?;
            first.starts_with(prefix).then_some((second, b.label))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings_where_both_hold() {
        for binding in TABLE {
            assert_eq!(conflict(TABLE, binding.id), None, "{}", binding.id);
        }
    }

    fn one(id: &str, keys: &[&str]) -> Result<Vec<Binding>, String> {
        let keys = keys.iter().map(|key| (*key).to_owned()).collect();
        remap(&[Override { id: id.to_owned(), keys, place: "c.toml:7".to_owned() }])
    }

    #[test]
    fn a_user_s_key_is_refused_with_file_line_and_both_actions() {
        for (id, key, said) in [
            ("zoom", "p", "c.toml:7: p is the key of both zoom and freeze"),
            ("zoom", "o", "c.toml:7: o is the key of both zoom and open.dead"),
            ("replay", "/", "c.toml:7: / is the key of both replay and filter"),
            ("zom", "f2", "c.toml:7: unknown action \"zom\"; did you mean \"zoom\"?"),
            ("zoom", "ctrl+ab", "c.toml:7: zoom: there is no key \"ctrl+ab\""),
            ("dialog.go", "f2", "c.toml:7: unknown action \"dialog.go\""),
        ] {
            let error = one(id, &[key]).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn a_user_s_keys_replace_the_shipped_ones_everywhere() {
        let table = one("replay", &["f2", "o x"]).unwrap();
        let rows: Vec<_> = table.iter().filter(|row| row.id == "replay").collect();
        assert!(rows.len() > 1 && rows.iter().all(|row| row.keys == ["f2", "o x"]));
        assert_eq!(one("zoom", &[]).unwrap().len(), TABLE.len());
        assert!(one("back", &["esc", "backspace"]).is_ok());
    }

    #[test]
    fn every_key_name_is_readable() {
        for name in TABLE.iter().flat_map(|b| b.keys) {
            for part in name.split(' ') {
                assert!(parse_key(part).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn no_default_needs_a_key_that_terminals_or_multiplexers_keep() {
        for name in TABLE.iter().flat_map(|b| b.keys) {
            assert!(!["ctrl+a", "ctrl+b", "ctrl+enter", "ctrl+s", "ctrl+q"].contains(name));
        }
    }
}
