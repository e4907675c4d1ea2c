//! `[keys]`: other keys for actions of the console (console-ux.md §4.2, §13).

use tui::keymap::{self, Override};

/// Its name.
pub const SECTION: &str = "keys";

/// Reads `[keys]`: an action's id, then one key or a list of them.
pub fn read(
    value: toml::Value,
    path: &str,
    line: impl Fn(&str) -> usize,
) -> Result<Vec<Override>, String> {
    let toml::Value::Table(section) = value else {
        return Err(format!("{path}: {SECTION:?} is a section: write [{SECTION}]"));
    };
    let mut all = Vec::new();
    for (id, value) in section {
        let place = format!("{path}:{}", line(&id));
        let keys = match value {
            toml::Value::String(key) => Some(vec![key]),
            toml::Value::Array(keys) => {
                keys.into_iter().map(|key| key.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        };
        let keys = keys.ok_or_else(|| format!("{place}: {id}: a key is a text such as \"f2\""))?;
        all.push(Override { id, keys, place });
    }
    keymap::remap(&all).map(|_| all)
}
