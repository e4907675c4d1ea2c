//! `mqdeck themes`: which there are, and what is wrong with them.

use tui::theme::{CONTRAST_MIN, Theme};

use super::list;
use crate::args::{Pick, Themes, ThemesAction};
use crate::output::{self, Code};
use crate::settings;
use tui::sheet::{Cell, Column, Form, Sheet};

/// One theme.
struct Row {
    name: String,
    origin: String,
    fault: Option<String>,
    faint: Vec<String>,
    unset: Vec<String>,
}

impl Row {
    fn new(name: &str, origin: String, theme: Result<Theme, String>) -> Self {
        let name = name.to_owned();
        let theme = match theme {
            Ok(theme) => theme,
            Err(fault) => {
                let (faint, unset) = (Vec::new(), Vec::new());
                return Self { name, origin, fault: Some(fault), faint, unset };
            }
        };
        let faint = theme.faint(CONTRAST_MIN).into_iter();
        Self {
            name,
            origin,
            fault: None,
            faint: faint.map(|(role, contrast)| format!("{role} {contrast:.1}:1")).collect(),
            unset: theme.unset().into_iter().map(str::to_owned).collect(),
        }
    }
}

const COLUMNS: &[Column<Row>] = &[
    Column { field: "name", title: "THEME", cell: |r| Cell::Text(r.name.clone()) },
    Column { field: "origin", title: "FROM", cell: |r| Cell::Text(r.origin.clone()) },
    Column {
        field: "fault",
        title: "FAULT",
        cell: |r| Cell::Text(r.fault.clone().unwrap_or_default()),
    },
    Column { field: "faint", title: "HARD TO READ", cell: |r| Cell::List(r.faint.clone()) },
    Column { field: "unset", title: "NOT SET", cell: |r| Cell::List(r.unset.clone()) },
];

/// Lists or checks themes.
pub fn run(form: Form, themes: &Themes) -> anyhow::Result<Code> {
    let mut found: Vec<Row> = tui::theme::shipped_names()
        .map(|name| {
            let theme = Theme::shipped(name).map_err(|error| error.to_string());
            Row::new(name, "shipped".to_owned(), theme)
        })
        .collect();
    found.extend(own()?);
    let faulty = found.iter().filter(|row| row.fault.is_some()).count();
    let pick = match &themes.action {
        Some(_) => Pick::default(),
        None => themes.pick.clone(),
    };
    let code = list(form, Sheet::new(COLUMNS, &found), &pick, true)?;
    if themes.action == Some(ThemesAction::Check) && faulty > 0 {
        output::tell(&format!("mqdeck: {faulty} themes cannot be used"));
        return Ok(Code::Usage);
    }
    Ok(code)
}

/// Themes in the user's directory; one that is not there holds none.
fn own() -> anyhow::Result<Vec<Row>> {
    let dir = settings::config_dir()?.join("themes");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if path.extension().is_none_or(|ext| ext != "toml") {
            continue;
        }
        let theme = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        let theme =
            theme.and_then(|text| Theme::parse(name, &text).map_err(|error| error.to_string()));
        found.push(Row::new(name, path.display().to_string(), theme));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}
