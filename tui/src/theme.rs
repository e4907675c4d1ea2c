//! Roles of text and the themes that give them looks (console-ux.md §11).
//!
//! Screens know roles only. Themes are TOML files embedded in the binary; a faulty one is reported
//! with its line, and `dark` is used instead. Fewer colours are mapped after the file was read.

use ratatui::style::{Color, Modifier, Style};

use crate::model::contrast::{Rgb, contrast};
use crate::model::near::nearest;

macro_rules! roles {
    ($($variant:ident $name:literal),* $(,)?) => {
        /// What a piece of text is, whatever it looks like.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Role { $($variant),* }

        impl Role {
            /// Every role with its name in theme files.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$variant, $name)),*];
        }
    };
}

roles! {
    Text "text", TextDim "text_dim", TextStrong "text_strong", Background "background",
    Border "border", BorderFocus "border_focus", Title "title",
    CursorRow "cursor_row", CursorCell "cursor_cell", Marked "marked", Match "match",
    Input "input", Placeholder "placeholder", Selection "selection",
    Header "header", HeaderProd "header_prod", Tab "tab", TabActive "tab_active",
    Key "key", KeyLabel "key_label", KeyDisabled "key_disabled",
    Ok "ok", Info "info", Warn "warn", Critical "critical",
    AlertWarn "alert_warn", AlertCritical "alert_critical", Stale "stale", Unknown "unknown",
    LagLow "lag_low", LagMid "lag_mid", LagHigh "lag_high", RateIn "rate_in", RateOut "rate_out",
    Series1 "series_1", Series2 "series_2", Series3 "series_3", Series4 "series_4",
    Gauge "gauge", GaugeMark "gauge_mark",
    JsonKey "json_key", JsonString "json_string", JsonNumber "json_number",
    JsonLiteral "json_literal", HexOffset "hex_offset", HexAscii "hex_ascii",
    DiffAdd "diff_add", DiffRemove "diff_remove",
}

const SHIPPED: &[(&str, &str)] = &[
    ("dark", include_str!("../../themes/dark.toml")),
    ("light", include_str!("../../themes/light.toml")),
    ("mono", include_str!("../../themes/mono.toml")),
    ("terminal", include_str!("../../themes/terminal.toml")),
    ("contrast-dark", include_str!("../../themes/contrast-dark.toml")),
    ("contrast-light", include_str!("../../themes/contrast-light.toml")),
    ("cb-safe", include_str!("../../themes/cb-safe.toml")),
];
/// Themes may inherit so deep; more is a circle.
const BASES_MAX: usize = 4;

/// A look for every role.
#[derive(Clone, Debug)]
pub struct Theme {
    styles: Vec<Style>,
    /// Roles that a file has set.
    set: Vec<bool>,
}

/// Least contrast of text, and of the themes made for it.
pub const CONTRAST_MIN: f64 = 4.5;
pub const CONTRAST_HIGH: f64 = 7.0;
/// Roles of lines, areas and charts.
const NOT_TEXT: [Role; 9] = [
    Role::Background,
    Role::Border,
    Role::BorderFocus,
    Role::Gauge,
    Role::GaugeMark,
    Role::Series1,
    Role::Series2,
    Role::Series3,
    Role::Series4,
];

/// Names of the shipped themes.
pub fn shipped_names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    True,
    Ansi256,
    Ansi16,
}

/// Why a theme cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    #[error("no theme {0:?}; there are {1}")]
    NoSuch(String, String),
    #[error("themes/{file}.toml:{line}: {text}")]
    Faulty { file: String, line: usize, text: String },
}

impl Theme {
    /// A shipped theme by name.
    ///
    /// # Errors
    /// An unknown name, or a file that is not a theme.
    pub fn shipped(name: &str) -> Result<Self, ThemeError> {
        let mut theme = Self::blank();
        theme.apply_shipped(name, 0)?;
        Ok(theme)
    }

    /// Reads a theme from a file's text.
    ///
    /// # Errors
    /// Names the line and what is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self, ThemeError> {
        let mut theme = Self::blank();
        theme.apply(file, text, 0)?;
        Ok(theme)
    }

    /// The theme to begin with: the one asked for, from the user's own `file` if there is one, `mono`
    /// without colours, else the terminal's own. The second value is what to tell about a theme that
    /// could not be used.
    pub fn choose(
        name: Option<&str>,
        file: Option<&str>,
        no_color: bool,
    ) -> (Self, Option<String>) {
        let wanted = if no_color { "mono" } else { name.unwrap_or("terminal") };
        let chosen = match file {
            Some(text) if !no_color => Self::parse(wanted, text),
            _ => Self::shipped(wanted),
        };
        match chosen {
            Ok(theme) => (theme, None),
            Err(error) => (Self::fallback(), Some(error.to_string())),
        }
    }

    fn fallback() -> Self {
        Self::shipped("dark").expect("the shipped themes are checked by a test")
    }

    fn blank() -> Self {
        Self { styles: vec![Style::new(); Role::ALL.len()], set: vec![false; Role::ALL.len()] }
    }

    /// The look of a role.
    pub fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }

    /// Text that is hard to read: roles with the contrast of their colour on its background, below
    /// `least`. Colours that are the terminal's own cannot be judged and are left out.
    pub fn faint(&self, least: f64) -> Vec<(String, f64)> {
        let ground = self.style(Role::Background).bg.and_then(rgb);
        let mut pairs: Vec<(String, Option<Rgb>, Option<Rgb>)> = Role::ALL
            .iter()
            .filter(|(role, _)| !NOT_TEXT.contains(role))
            .map(|(role, name)| {
                let style = self.style(*role);
                ((*name).to_owned(), style.fg.and_then(rgb), style.bg.map_or(ground, rgb))
            })
            .collect();
        // Ordinary text stands on the row of the cursor too, which lays its background under it.
        if let (Some(row), None) = (self.style(Role::CursorRow).bg, self.style(Role::CursorRow).fg)
        {
            let texts = Role::ALL.iter().filter(|(role, _)| !NOT_TEXT.contains(role));
            let ordinary = texts.filter(|(role, _)| {
                let bg = self.style(*role).bg;
                bg.is_none() || bg == self.style(Role::Background).bg
            });
            pairs.extend(ordinary.map(|(role, name)| {
                (format!("{name} on cursor_row"), self.style(*role).fg.and_then(rgb), rgb(row))
            }));
        }
        let judged =
            pairs.into_iter().filter_map(|(name, fg, bg)| Some((name, contrast(fg?, bg?))));
        judged.filter(|(_, contrast)| *contrast < least).collect()
    }

    /// Roles that no line of the theme or of what it inherits sets.
    pub fn unset(&self) -> Vec<&'static str> {
        let unset = Role::ALL.iter().filter(|(role, _)| !self.set[*role as usize]);
        unset.map(|(_, name)| *name).collect()
    }

    /// A theme in which every role is its own colour: tests read roles back from a buffer.
    #[cfg(test)]
    pub fn of_roles() -> Self {
        let styles: Vec<Style> =
            (0..Role::ALL.len()).map(|i| Style::new().fg(Color::Indexed(i as u8))).collect();
        Self { set: vec![true; styles.len()], styles }
    }

    /// Maps every colour to what the terminal can show.
    #[must_use]
    pub fn reduced(mut self, depth: Depth) -> Self {
        for style in &mut self.styles {
            style.fg = style.fg.map(|c| reduce(c, depth));
            style.bg = style.bg.map(|c| reduce(c, depth));
        }
        self
    }

    fn apply_shipped(&mut self, name: &str, depth: usize) -> Result<(), ThemeError> {
        let Some((_, text)) = SHIPPED.iter().find(|(n, _)| *n == name) else {
            let all: Vec<_> = SHIPPED.iter().map(|(n, _)| *n).collect();
            return Err(ThemeError::NoSuch(name.to_owned(), all.join(", ")));
        };
        self.apply(name, text, depth)
    }

    fn apply(&mut self, file: &str, text: &str, depth: usize) -> Result<(), ThemeError> {
        let faulty =
            |line: usize, text: String| ThemeError::Faulty { file: file.to_owned(), line, text };
        let table: toml::Table = toml::from_str(text).map_err(|e| {
            let at = e.span().map_or(0, |s| s.start.min(text.len()));
            faulty(text[..at].lines().count().max(1), e.message().to_owned())
        })?;
        if let Some(key) =
            table.keys().find(|k| !["name", "base", "palette", "roles"].contains(&k.as_str()))
        {
            return Err(faulty(line_of(text, key), format!("unknown key {key:?}")));
        }
        if let Some(base) = table.get("base").and_then(toml::Value::as_str) {
            if depth >= BASES_MAX {
                return Err(faulty(line_of(text, "base"), "themes inherit in a circle".to_owned()));
            }
            self.apply_shipped(base, depth + 1)?;
        }
        let palette = table.get("palette").and_then(toml::Value::as_table);
        let roles = table.get("roles").and_then(toml::Value::as_table);
        for (key, value) in roles.into_iter().flatten() {
            let role = Role::ALL.iter().find(|(_, name)| name == key).map(|(role, _)| *role);
            let role = role.ok_or_else(|| faulty(line_of(text, key), unknown_role(key)))?;
            let style = style(value, palette).map_err(|e| faulty(line_of(text, key), e))?;
            self.styles[role as usize] = style;
            self.set[role as usize] = true;
        }
        Ok(())
    }
}

/// Number of the line that sets a key; the table was parsed, so there is one.
fn line_of(text: &str, key: &str) -> usize {
    text.lines()
        .position(|line| {
            line.trim_start()
                .trim_start_matches('"')
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
        })
        .map_or(1, |i| i + 1)
}

fn unknown_role(name: &str) -> String {
    match nearest(name, Role::ALL.iter().map(|(_, known)| *known)) {
        Some(near) => format!("unknown role {name:?}, did you mean {near:?}?"),
        None => format!("unknown role {name:?}"),
    }
}

fn style(value: &toml::Value, palette: Option<&toml::Table>) -> Result<Style, String> {
    let Some(table) = value.as_table() else {
        return Ok(Style::new().fg(color(value, palette)?));
    };
    let mut style = Style::new();
    for (key, value) in table {
        let on = value.as_bool();
        style = match (key.as_str(), on) {
            ("fg", _) => style.fg(color(value, palette)?),
            ("bg", _) => style.bg(color(value, palette)?),
            ("bold", Some(true)) => style.add_modifier(Modifier::BOLD),
            ("dim", Some(true)) => style.add_modifier(Modifier::DIM),
            ("italic", Some(true)) => style.add_modifier(Modifier::ITALIC),
            ("underline", Some(true)) => style.add_modifier(Modifier::UNDERLINED),
            ("reverse", Some(true)) => style.add_modifier(Modifier::REVERSED),
            (_, Some(false)) => style,
            _ => return Err(format!("unknown attribute {key:?}")),
        };
    }
    Ok(style)
}

const NAMED: [(&str, Color); 17] = [
    ("default", Color::Reset),
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright_black", Color::DarkGray),
    ("bright_red", Color::LightRed),
    ("bright_green", Color::LightGreen),
    ("bright_yellow", Color::LightYellow),
    ("bright_blue", Color::LightBlue),
    ("bright_magenta", Color::LightMagenta),
    ("bright_cyan", Color::LightCyan),
    ("bright_white", Color::White),
];

fn color(value: &toml::Value, palette: Option<&toml::Table>) -> Result<Color, String> {
    if let Some(index) = value.as_integer() {
        return u8::try_from(index).map(Color::Indexed).map_err(|_| format!("no colour {index}"));
    }
    let name = value.as_str().ok_or_else(|| "a colour is a text or 0 to 255".to_owned())?;
    if let Some(value) = palette.and_then(|p| p.get(name)) {
        return color(value, None);
    }
    if let Some((_, color)) = NAMED.iter().find(|(n, _)| *n == name) {
        return Ok(*color);
    }
    name.strip_prefix('#')
        .filter(|hex| hex.len() == 6)
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .map(Color::from_u32)
        .ok_or_else(|| format!("unknown colour {name:?}"))
}

/// The six steps of the 256-colour cube.
const CUBE: [u8; 6] = [0, 95, 135, 175, 215, 255];
/// Usual values of the 16 colours, to find the nearest.
const SIXTEEN: [(Color, (u8, u8, u8)); 16] = [
    (Color::Black, (0, 0, 0)),
    (Color::Red, (170, 0, 0)),
    (Color::Green, (0, 170, 0)),
    (Color::Yellow, (170, 120, 0)),
    (Color::Blue, (0, 0, 170)),
    (Color::Magenta, (170, 0, 170)),
    (Color::Cyan, (0, 170, 170)),
    (Color::Gray, (190, 190, 190)),
    (Color::DarkGray, (100, 100, 100)),
    (Color::LightRed, (255, 85, 85)),
    (Color::LightGreen, (85, 255, 85)),
    (Color::LightYellow, (255, 255, 85)),
    (Color::LightBlue, (85, 85, 255)),
    (Color::LightMagenta, (255, 85, 255)),
    (Color::LightCyan, (85, 255, 255)),
    (Color::White, (255, 255, 255)),
];

fn reduce(color: Color, depth: Depth) -> Color {
    match (color, depth) {
        (Color::Rgb(r, g, b), Depth::Ansi256) => Color::Indexed(nearest_256(r, g, b)),
        (Color::Rgb(r, g, b), Depth::Ansi16) => nearest_16((r, g, b)),
        (Color::Indexed(i), Depth::Ansi16) if i >= 16 => nearest_16(indexed(i)),
        (other, _) => other,
    }
}

/// Its parts, where they do not depend on the terminal's own palette.
fn rgb(color: Color) -> Option<Rgb> {
    match color {
        Color::Rgb(r, g, b) => Some((r, g, b)),
        Color::Indexed(i) if i >= 16 => Some(indexed(i)),
        _ => None,
    }
}

fn indexed(i: u8) -> (u8, u8, u8) {
    if i >= 232 {
        let v = 8 + (i - 232) * 10;
        return (v, v, v);
    }
    let i = usize::from(i.saturating_sub(16));
    (CUBE[i / 36 % 6], CUBE[i / 6 % 6], CUBE[i % 6])
}

fn far(a: (u8, u8, u8), b: (u8, u8, u8)) -> u32 {
    let d = |x: u8, y: u8| u32::from(x.abs_diff(y)).pow(2);
    d(a.0, b.0) + d(a.1, b.1) + d(a.2, b.2)
}

fn nearest_256(r: u8, g: u8, b: u8) -> u8 {
    (16..=255).min_by_key(|i| far(indexed(*i), (r, g, b))).unwrap_or(7)
}

fn nearest_16(rgb: (u8, u8, u8)) -> Color {
    SIXTEEN.iter().min_by_key(|(_, c)| far(*c, rgb)).map_or(Color::Reset, |(color, _)| *color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_theme_sets_every_role() {
        for (name, _) in SHIPPED {
            let theme = Theme::shipped(name).unwrap();
            assert_eq!(theme.unset(), [""; 0], "{name}");
        }
    }

    #[test]
    fn every_shipped_theme_can_be_read() {
        for (name, _) in SHIPPED {
            let high = name.starts_with("contrast-");
            let least = if high { CONTRAST_HIGH } else { CONTRAST_MIN };
            assert_eq!(Theme::shipped(name).unwrap().faint(least), [], "{name}");
        }
        for name in ["dark", "light", "contrast-dark", "contrast-light", "cb-safe"] {
            assert_ne!(Theme::shipped(name).unwrap().faint(22.0), [], "{name} is judged at all");
        }
    }

    #[test]
    fn mono_has_no_colour() {
        let theme = Theme::shipped("mono").unwrap();
        for (role, name) in Role::ALL {
            let style = theme.style(*role);
            assert!(style.fg.is_none() && style.bg.is_none(), "{name}");
        }
        let chosen = Theme::choose(Some("dark"), None, true).0;
        assert_eq!(chosen.style(Role::Critical), theme.style(Role::Critical));
    }

    #[test]
    fn a_faulty_file_is_reported_with_line_and_suggestion() {
        let text = "name = \"dusk\"\nbase = \"dark\"\n[roles]\ncurser_row = \"red\"\n";
        assert_eq!(
            Theme::parse("dusk", text).unwrap_err().to_string(),
            "themes/dusk.toml:4: unknown role \"curser_row\", did you mean \"cursor_row\"?"
        );
        let text = "[roles]\ntext = \"#12\"\n";
        assert_eq!(
            Theme::parse("x", text).unwrap_err().to_string(),
            "themes/x.toml:2: unknown colour \"#12\""
        );
        assert!(Theme::parse("x", "a =").unwrap_err().to_string().starts_with("themes/x.toml:1: "));
    }

    #[test]
    fn an_unknown_theme_falls_back_to_dark_and_says_so() {
        let (theme, said) = Theme::choose(Some("nice"), None, false);
        let dark = Theme::shipped("dark").unwrap();
        assert_eq!(theme.style(Role::Critical), dark.style(Role::Critical));
        assert!(said.unwrap().contains("there are dark, light, mono, terminal"));
    }

    #[test]
    fn colours_are_mapped_to_the_nearest() {
        assert_eq!(reduce(Color::Rgb(255, 0, 0), Depth::Ansi256), Color::Indexed(196));
        assert_eq!(reduce(Color::Rgb(250, 250, 250), Depth::Ansi16), Color::White);
        assert_eq!(reduce(Color::Red, Depth::Ansi16), Color::Red);
    }
}
