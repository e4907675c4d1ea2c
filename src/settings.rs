//! Layers of the configuration: defaults < file < `MQDECK_*` < flags; every value knows its origin.
//! What was changed over the wire is shown on top of them; to obey it is the engine's business.
//!
//! Key names come from the types themselves, so that a new key of the engine needs no line here. What
//! a value means is its user's business. Spec: architecture.md §10, console-ux.md §13.

mod keys;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use engine::client::{Credentials, TlsClient};
use engine::config::{
    BrokerConfig, CHANGED_BROKER_FILE, CHANGED_NAMESRV_FILE, ClientConfig, EngineConfig,
    NamesrvConfig, SECRET_KEYS, TlsConfig,
};
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tui::keymap::Override;
use tui::model::near::{did_you_mean, nearest};

use crate::args::Common;
use crate::output::usage;

/// Beginning of the variables that set keys.
const PREFIX: &str = "MQDECK_";
/// Variables with that beginning that set no key.
const NOT_KEYS: [&str; 5] = ["CONFIG", "LOG", "ACCESS_KEY", "SECRET_KEY", "SECURITY_TOKEN"];
/// Name and password of who signs the console's requests.
const ACCESS_KEY_VARIABLE: &str = "MQDECK_ACCESS_KEY";
const SECRET_KEY_VARIABLE: &str = "MQDECK_SECRET_KEY";
/// Variables named like a flag instead of like the key.
const LIKE_FLAGS: [(&str, &str); 2] =
    [("NAMESRV_PORT", "namesrv.listenPort"), ("BROKER_PORT", "broker.listenPort")];
/// Sections of the file, beside that one.
const SECTIONS: [&str; 4] = ["broker", "namesrv", "tls", "client"];

/// How the console writes times.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeMode {
    /// "3m ago".
    #[default]
    Relative,
    /// In UTC.
    Utc,
}

/// Every key that can be set, as in the file.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Values {
    /// Data directory; none: in the platform's.
    pub data_dir: Option<PathBuf>,
    /// Address that all ports are bound to.
    pub listen: IpAddr,
    /// Address that clients are told to connect to; none: `listen`.
    pub advertise: Option<String>,
    /// Network workers; none: half of the cores.
    pub net_threads: Option<usize>,
    /// Theme of the console.
    pub theme: String,
    /// Between two refreshes of the console.
    pub interval: Interval,
    /// How the console writes times.
    pub time: TimeMode,
    /// Whether the console draws signs of one ASCII cell only.
    pub ascii: bool,
    /// Whether the console takes the mouse from the terminal.
    pub mouse: bool,
    /// Whether the console refuses what changes something.
    pub read_only: bool,
    /// Where figures are offered in Prometheus' text form; none: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Section `[broker]`.
    pub broker: BrokerConfig,
    /// Section `[namesrv]`.
    pub namesrv: NamesrvConfig,
    /// Section `[tls]`.
    pub tls: TlsConfig,
    /// Section `[client]`.
    pub client: ClientConfig,
}

impl Default for Values {
    fn default() -> Self {
        Self {
            data_dir: None,
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            advertise: None,
            net_threads: None,
            theme: "auto".to_owned(),
            interval: Interval(2_000),
            time: TimeMode::default(),
            ascii: false,
            mouse: true,
            read_only: false,
            metrics_listen: None,
            broker: BrokerConfig::default(),
            namesrv: NamesrvConfig::default(),
            tls: TlsConfig::default(),
            client: ClientConfig::default(),
        }
    }
}

/// A pause in milliseconds, written as `2s`, `500ms` or `1m`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Interval(pub i64);

/// Shortest and longest pause between two refreshes.
const INTERVAL_MS: std::ops::RangeInclusive<i64> = 500..=3_600_000;

impl TryFrom<String> for Interval {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let unit = match &text[digits..] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            _ => return Err(format!("{text:?} is not a pause such as 2s, 500ms or 1m")),
        };
        let number: i64 = text[..digits].parse().map_err(|_| format!("{text:?} has no number"))?;
        match number.checked_mul(unit) {
            Some(ms) if INTERVAL_MS.contains(&ms) => Ok(Self(ms)),
            _ => Err(format!("{text:?} is not between 500ms and 60m")),
        }
    }
}

impl From<Interval> for String {
    fn from(Interval(ms): Interval) -> Self {
        if ms % 1_000 == 0 { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
    }
}

/// The values in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Them.
    pub values: Values,
    file: PathBuf,
    layers: Layers,
}

impl Settings {
    /// Reads all layers.
    ///
    /// # Errors
    /// Usage: a file that cannot be read, a key that does not exist, a value of the wrong kind.
    pub fn load(flags: &Common) -> anyhow::Result<Self> {
        let asked =
            flags.config.clone().or_else(|| std::env::var_os("MQDECK_CONFIG").map(Into::into));
        let file = match &asked {
            Some(file) => file.clone(),
            None => config_dir()?.join("config.toml"),
        };
        let mut layers = Layers::default();
        match std::fs::read_to_string(&file) {
            Ok(text) => layers.file(&file, &text).map_err(usage)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && asked.is_none() => {}
            Err(error) => {
                return Err(usage(format!("{} cannot be read: {error}", file.display())));
            }
        }
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        layers.environment(variables).map_err(usage)?;
        layers.flags(flags).map_err(usage)?;
        Ok(Self { values: layers.values(), file, layers })
    }

    /// What the engine is started with.
    ///
    /// # Errors
    /// Usage: a value that cannot work, a wildcard address that nothing is advertised for, a host name that has no address.
    pub fn engine(&self) -> anyhow::Result<EngineConfig> {
        if let Some((key, must)) = self.values.broker.fault() {
            let place = self.layers.origins.get(&dotted(Some("broker"), key));
            let place = place.map_or("default", String::as_str);
            return Err(usage(format!("{place}: {key} {must}")));
        }
        let tls = self.values.tls.server();
        let tls = tls.map_err(|(key, must)| usage(format!("[tls] {key} {must}")))?;
        Ok(EngineConfig {
            tls,
            data_dir: self.data_dir()?,
            listen: self.values.listen,
            advertise: advertised(self.values.listen, self.values.advertise.as_deref())?,
            broker: self.values.broker.clone(),
            namesrv: self.values.namesrv.clone(),
            net_threads: self.values.net_threads,
        })
    }

    /// TLS of the console towards a cluster that it is attached to.
    ///
    /// # Errors
    /// Usage: a file that is missing or cannot be used.
    pub fn client_tls(&self) -> anyhow::Result<Option<TlsClient>> {
        let files = self.values.client.files();
        let files = files.map_err(|(key, must)| usage(format!("[client] {key} {must}")))?;
        let client = files.as_ref().map(TlsClient::load).transpose();
        client.map_err(|error| usage(format!("[client] {error}")))
    }

    /// Who signs the requests of the console: `MQDECK_ACCESS_KEY` and `MQDECK_SECRET_KEY`; over an engine of
    /// this process, when they are not set, its first user, or else who signs for its broker.
    ///
    /// # Errors
    /// Usage: one variable without the other.
    pub fn credentials(&self, embedded: bool) -> anyhow::Result<Option<Credentials>> {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let user = match (variable(ACCESS_KEY_VARIABLE), variable(SECRET_KEY_VARIABLE)) {
            (Some(name), Some(password)) => Some((name, password)),
            (None, None) if embedded => {
                let broker = &self.values.broker;
                broker.first_user().or_else(|| broker.inner_credentials())
            }
            (None, None) => None,
            _ => {
                return Err(usage(format!(
                    "{ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE} belong together: set both or none"
                )));
            }
        };
        Ok(user.map(|(access_key, secret_key)| Credentials {
            access_key,
            secret_key,
            security_token: std::env::var("MQDECK_SECURITY_TOKEN").ok(),
        }))
    }

    /// What a name server by itself is started with: a directory of its own, unless one is named.
    ///
    /// # Errors
    /// As [`Self::engine`].
    pub fn namesrv(&self) -> anyhow::Result<EngineConfig> {
        let mut config = self.engine()?;
        if self.values.data_dir.is_none() {
            config.data_dir = platform()?.data_dir().join("mqdeck-namesrv");
        }
        Ok(config)
    }

    fn data_dir(&self) -> anyhow::Result<PathBuf> {
        match &self.values.data_dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(platform()?.data_dir().join("mqdeck")),
        }
    }

    /// The layers with what was changed over the wire, which the engine itself puts on top.
    fn in_force(&self) -> Layers {
        let mut layers = self.layers.clone();
        let Ok(dir) = self.data_dir() else { return layers };
        for (section, name) in [("broker", CHANGED_BROKER_FILE), ("namesrv", CHANGED_NAMESRV_FILE)]
        {
            let path = dir.join("config").join(name);
            if let Ok(text) = std::fs::read_to_string(&path) {
                layers.changed(section, &text, &path.display().to_string());
            }
        }
        layers
    }

    /// Every value with its origin, readable as a configuration file.
    pub fn show(&self) -> String {
        let mut text = String::new();
        let layers = self.in_force();
        layers.show(None, &mut text);
        if !layers.keys.is_empty() {
            text.push_str("\n[keys]\n");
        }
        for wanted in &layers.keys {
            let line = format!("{:?} = {:?}", wanted.id, wanted.keys);
            let _ = writeln!(text, "{line:<48} # {}", wanted.place);
        }
        for section in SECTIONS {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n[{section}]");
            layers.show(Some(section), &mut text);
        }
        text
    }

    /// Keys of the console as the user wants them, checked.
    pub fn keys(&self) -> &[Override] {
        &self.layers.keys
    }

    /// One line about a configuration that is valid.
    pub fn verdict(&self) -> String {
        let file = self.file.display();
        if self.layers.read_file {
            format!("{file} is valid\n")
        } else {
            format!("there is no {file}; the defaults are valid\n")
        }
    }
}

/// Directory of what the user writes: configuration and themes.
///
/// # Errors
/// Usage, when there is no home directory.
pub fn config_dir() -> anyhow::Result<PathBuf> {
    Ok(platform()?.config_dir().join("mqdeck"))
}

/// Directory of what is remembered between runs: logs and the like.
///
/// # Errors
/// Usage, when there is no home directory.
pub fn state_dir() -> anyhow::Result<PathBuf> {
    let platform = platform()?;
    Ok(platform.state_dir().unwrap_or_else(|| platform.data_dir()).join("mqdeck"))
}

fn platform() -> anyhow::Result<etcetera::base_strategy::Xdg> {
    etcetera::base_strategy::Xdg::new()
        .map_err(|_| usage("there is no home directory: set HOME, or XDG_CONFIG_HOME and its like"))
}

fn advertised(listen: IpAddr, host: Option<&str>) -> anyhow::Result<IpAddr> {
    let Some(host) = host else {
        if listen.is_unspecified() {
            return Err(usage(format!(
                "--listen {listen} binds every address: add --advertise HOST, \
                 the address that clients are to connect to"
            )));
        }
        return Ok(listen);
    };
    let found: Vec<IpAddr> = (host, 0)
        .to_socket_addrs()
        .map_err(|error| usage(format!("--advertise {host} has no address: {error}")))?
        .map(|addr| addr.ip())
        .collect();
    let same_family = found.iter().find(|ip| ip.is_ipv4() == listen.is_ipv4());
    match same_family.or(found.first()) {
        Some(ip) if !ip.is_unspecified() => Ok(*ip),
        _ => Err(usage(format!("--advertise {host} is no address that a client can connect to"))),
    }
}

/// The tree of values while layers are put on it.
#[derive(Clone, Debug)]
struct Layers {
    tree: Value,
    origins: BTreeMap<String, String>,
    keys: Vec<Override>,
    read_file: bool,
}

impl Default for Layers {
    fn default() -> Self {
        let tree = serde_json::to_value(Values::default()).expect("plain types become JSON");
        Self { tree, origins: BTreeMap::new(), keys: Vec::new(), read_file: false }
    }
}

impl Layers {
    fn values(&self) -> Values {
        serde_json::from_value(self.tree.clone()).expect("every change was checked in `set`")
    }

    /// Known keys: of a section, or of the top without the sections.
    fn keys(&self, section: Option<&str>) -> impl Iterator<Item = &str> {
        let table = section.map_or(&self.tree, |name| &self.tree[name]);
        let keys = table.as_object().into_iter().flat_map(|object| object.keys());
        keys.map(String::as_str).filter(move |key| section.is_some() || !SECTIONS.contains(key))
    }

    /// Sets a key that exists. The error is what is wrong with the value.
    fn set(
        &mut self,
        section: Option<&str>,
        key: &str,
        value: Value,
        origin: String,
    ) -> Result<(), String> {
        let mut tree = self.tree.clone();
        match section {
            Some(section) => tree[section][key] = value,
            None => tree[key] = value,
        }
        serde_json::from_value::<Values>(tree.clone()).map_err(|error| error.to_string())?;
        self.tree = tree;
        self.origins.insert(dotted(section, key), origin);
        Ok(())
    }

    fn file(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let path = path.display();
        let line = |at: usize| 1 + text.as_bytes().iter().take(at).filter(|b| **b == b'\n').count();
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |span| span.start);
            format!("{path}:{}: {}", line(at), error.message())
        })?;
        let spans = key_spans(text);
        for (name, value) in table {
            let at = |section: Option<&str>, key: &str| {
                line(spans.get(&dotted(section, key)).copied().unwrap_or_default())
            };
            if name == keys::SECTION {
                self.keys =
                    keys::read(value, &path.to_string(), |key| at(Some(keys::SECTION), key))?;
                continue;
            }
            if !SECTIONS.contains(&name.as_str()) {
                self.set_from_file(None, &name, value, &format!("{path}:{}", at(None, &name)))?;
                continue;
            }
            let toml::Value::Table(section) = value else {
                return Err(format!(
                    "{path}:{}: {name:?} is a section: write [{name}]",
                    at(None, &name)
                ));
            };
            for (key, value) in section {
                let place = format!("{path}:{}", at(Some(&name), &key));
                self.set_from_file(Some(&name), &key, value, &place)?;
            }
        }
        self.read_file = true;
        Ok(())
    }

    fn set_from_file(
        &mut self,
        section: Option<&str>,
        key: &str,
        value: toml::Value,
        place: &str,
    ) -> Result<(), String> {
        if !self.keys(section).any(|known| known == key) {
            let like = nearest(key, self.keys(section).chain(SECTIONS));
            return Err(format!("{place}: unknown key {key:?}{}", did_you_mean(like)));
        }
        let value = serde_json::to_value(value).map_err(|error| format!("{place}: {error}"))?;
        self.set(section, key, value, place.to_owned())
            .map_err(|error| format!("{place}: {key}: {error}"))
    }

    fn environment(
        &mut self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<(), String> {
        let mut names = BTreeMap::new();
        for section in std::iter::once(None).chain(SECTIONS.map(Some)) {
            for key in self.keys(section) {
                names.insert(variable(section, key), (section, key.to_owned()));
            }
        }
        for (name, path) in LIKE_FLAGS {
            let (section, key) = path.split_once('.').expect("written with a dot above");
            names.insert(name.to_owned(), (Some(section), key.to_owned()));
        }
        for (name, text) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else { continue };
            if NOT_KEYS.contains(&rest) {
                continue;
            }
            let Some((section, key)) = names.get(rest) else {
                let like = nearest(rest, names.keys().map(String::as_str));
                let like = like.map(|like| format!("{PREFIX}{like}"));
                return Err(format!("unknown variable {name}{}", did_you_mean(like.as_deref())));
            };
            self.set_from_text(*section, key, &text, &name)
                .map_err(|error| format!("{name}={text}: {error}"))?;
        }
        Ok(())
    }

    /// Sets a key from text that may stand for a number, a truth value or itself.
    fn set_from_text(
        &mut self,
        section: Option<&str>,
        key: &str,
        text: &str,
        origin: &str,
    ) -> Result<(), String> {
        let literal =
            serde_json::from_str(text).ok().filter(|v: &Value| v.is_number() || v.is_boolean());
        let as_literal = literal.map(|value| self.set(section, key, value, origin.to_owned()));
        if let Some(Ok(())) = as_literal {
            return Ok(());
        }
        let as_text = self.set(section, key, Value::String(text.to_owned()), origin.to_owned());
        as_text.map_err(|error| match as_literal {
            Some(Err(first)) => first,
            _ => error,
        })
    }

    /// Puts `key=value` lines on top; a line that does not fit is left out, as by the engine.
    fn changed(&mut self, section: &str, text: &str, origin: &str) {
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            if self.keys(Some(section)).any(|known| known == key) {
                // The engine tells in its log what does not fit.
                let _ = self.set_from_text(Some(section), key, value, origin);
            }
        }
    }

    fn flags(&mut self, flags: &Common) -> Result<(), String> {
        let text = |value: String| Value::String(value);
        let dir = flags.data_dir.as_ref().map(|dir| dir.to_string_lossy().into_owned());
        let given = [
            (None, "data_dir", "--data-dir", dir.map(text)),
            (None, "listen", "--listen", flags.listen.map(|ip| text(ip.to_string()))),
            (None, "advertise", "--advertise", flags.advertise.clone().map(text)),
            (
                None,
                "metrics_listen",
                "--metrics-listen",
                flags.metrics_listen.map(|addr| text(addr.to_string())),
            ),
            (None, "theme", "--theme", flags.theme.clone().map(text)),
            (None, "read_only", "--read-only", flags.read_only.then_some(Value::Bool(true))),
            (Some("namesrv"), "listenPort", "--namesrv-port", flags.namesrv_port.map(Value::from)),
            (Some("broker"), "listenPort", "--broker-port", flags.broker_port.map(Value::from)),
        ];
        for (section, key, flag, value) in given {
            if let Some(value) = value {
                self.set(section, key, value, flag.to_owned())
                    .map_err(|e| format!("{flag}: {e}"))?;
            }
        }
        Ok(())
    }

    fn show(&self, section: Option<&str>, text: &mut String) {
        for key in self.keys(section) {
            let value = section.map_or(&self.tree[key], |section| &self.tree[section][key]);
            let secret =
                SECRET_KEYS.contains(&key) && value.as_str().is_some_and(|v| !v.is_empty());
            let line = match toml::Value::try_from(value) {
                Ok(_) if secret => format!("{key} = \"•••\""),
                Ok(value) => format!("{key} = {value}"),
                Err(_) => format!("# {key} is not set"),
            };
            let origin = self.origins.get(&dotted(section, key)).map_or("default", String::as_str);
            // Writing to a string does not fail.
            let _ = writeln!(text, "{line:<48} # {origin}");
        }
    }
}

fn dotted(section: Option<&str>, key: &str) -> String {
    section.map_or_else(|| key.to_owned(), |section| format!("{section}.{key}"))
}

/// Name of the variable of a key, without the prefix: `broker`, `listenPort` → `BROKER_LISTEN_PORT`.
fn variable(section: Option<&str>, key: &str) -> String {
    let mut name = section.map(|section| section.to_uppercase() + "_").unwrap_or_default();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// Where each key of the file stands; nothing for a file that does not parse.
fn key_spans(text: &str) -> BTreeMap<String, usize> {
    use toml::de::{DeTable, DeValue};
    let mut spans = BTreeMap::new();
    let Ok(table) = DeTable::parse(text) else { return spans };
    for (name, value) in table.get_ref() {
        spans.insert(name.get_ref().to_string(), name.span().start);
        if let DeValue::Table(section) = value.get_ref() {
            for key in section.keys() {
                spans.insert(dotted(Some(name.get_ref()), key.get_ref()), key.span().start);
            }
        }
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Layers, String> {
        let mut layers = Layers::default();
        layers.file(Path::new("c.toml"), text).map(|()| layers)
    }

    fn variables(pairs: &[(&str, &str)]) -> Result<Layers, String> {
        let mut layers = Layers::default();
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        layers.environment(pairs).map(|()| layers)
    }

    #[test]
    fn what_was_changed_over_the_wire_is_shown_with_its_file() {
        let mut layers = Layers::default();
        let text = "# heading\nfileReservedTime=73\nbrokerPermission=4\nnoSuch=1\nlistenPort=x\n";
        layers.changed("broker", text, "dir/mqdeck.properties");
        let mut shown = String::new();
        layers.show(Some("broker"), &mut shown);
        let line = shown.lines().find(|line| line.starts_with("fileReservedTime")).unwrap();
        assert!(line.contains("= 73") && line.ends_with("# dir/mqdeck.properties"), "{line}");
        assert!(!shown.contains("noSuch"));
    }

    #[test]
    fn a_later_layer_wins_and_says_so() {
        let mut layers = file("theme = \"dark\"\n[broker]\nlistenPort = 1000\n").unwrap();
        let set = [("MQDECK_BROKER_LISTEN_PORT".to_owned(), "2000".to_owned())];
        layers.environment(set.into_iter()).unwrap();
        assert_eq!(layers.values().broker.listen_port, 2000);
        let flags = Common { broker_port: Some(3000), ..Common::default() };
        layers.flags(&flags).unwrap();
        assert_eq!(layers.values().broker.listen_port, 3000);
        assert_eq!(layers.values().theme, "dark");
        assert_eq!(layers.origins["broker.listenPort"], "--broker-port");
        assert_eq!(layers.origins["theme"], "c.toml:1");
    }

    #[test]
    fn a_bad_key_or_value_is_named_with_its_line() {
        let cases = [
            ("them = \"dark\"", "c.toml:1: unknown key \"them\"; did you mean \"theme\"?"),
            (
                "\n[broker]\nflushDiskTyp = \"x\"",
                "c.toml:3: unknown key \"flushDiskTyp\"; did you mean \"flushDiskType\"?",
            ),
            ("[broker]\nzzz = 1", "c.toml:2: unknown key \"zzz\""),
            ("[brokr]\na = 1", "c.toml:1: unknown key \"brokr\"; did you mean \"broker\"?"),
            ("broker = 1", "c.toml:1: \"broker\" is a section: write [broker]"),
            (
                "[broker]\n\nlistenPort = \"x\"",
                "c.toml:3: listenPort: invalid type: string \"x\", expected u16",
            ),
            (
                "interval = \"2h\"",
                "c.toml:1: interval: \"2h\" is not a pause such as 2s, 500ms or 1m",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(file(text).unwrap_err(), expected);
        }
        assert!(file("theme = \n").unwrap_err().starts_with("c.toml:1: "));
        for (text, expected) in [
            ("[keys]\nbak = \"esc\"", "c.toml:2: unknown action \"bak\"; did you mean \"back\"?"),
            ("[keys]\nback = \"escape\"", "c.toml:2: back: there is no key \"escape\""),
            ("[keys]\n\nback = 3", "c.toml:3: back: a key is a text such as \"f2\""),
            ("[keys]\nzoom = \"p\"", "c.toml:2: p is the key of both zoom and freeze"),
        ] {
            assert_eq!(file(text).unwrap_err(), expected);
        }
        let layers =
            file("[keys]\nback = [\"esc\", \"backspace\"]\n\"resend\" = \"f2\"\n").unwrap();
        assert_eq!(layers.keys.len(), 2);
    }

    #[test]
    fn variables_are_named_like_keys_or_flags() {
        let layers = variables(&[
            ("MQDECK_BROKER_PORT", "0"),
            ("MQDECK_BROKER_FLUSH_DISK_TYPE", "SYNC_FLUSH"),
            ("MQDECK_BROKER_DISK_MAX_USED_SPACE_RATIO", "75"),
            ("MQDECK_READ_ONLY", "true"),
            ("MQDECK_LOG", "debug"),
            ("HOME", "/"),
        ]);
        let values = layers.unwrap().values();
        assert_eq!(values.broker.listen_port, 0);
        assert_eq!(values.broker.flush_disk_type.name(), "SYNC_FLUSH");
        assert_eq!(values.broker.disk_max_used_space_ratio, Some(75));
        assert!(values.read_only);
        let unknown = variables(&[("MQDECK_THEM", "x")]).unwrap_err();
        assert_eq!(unknown, "unknown variable MQDECK_THEM; did you mean \"MQDECK_THEME\"?");
        let wrong = variables(&[("MQDECK_BROKER_PORT", "70000")]).unwrap_err();
        assert_eq!(wrong, "MQDECK_BROKER_PORT=70000: invalid value: integer `70000`, expected u16");
    }

    #[test]
    fn a_wildcard_needs_an_address_to_advertise() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(advertised(ip("127.0.0.1"), None).unwrap(), ip("127.0.0.1"));
        assert_eq!(advertised(ip("0.0.0.0"), Some("10.0.0.7")).unwrap(), ip("10.0.0.7"));
        for wildcard in ["0.0.0.0", "::"] {
            let error = advertised(ip(wildcard), None).unwrap_err().to_string();
            assert!(error.contains("--advertise HOST"), "{error}");
            assert!(advertised(ip(wildcard), Some("0.0.0.0")).is_err());
        }
    }

    #[test]
    fn what_is_shown_reads_as_a_configuration_file() {
        let layers = Layers::default();
        let settings = Settings { values: layers.values(), file: "c.toml".into(), layers };
        let shown = settings.show();
        assert_eq!(file(&shown).unwrap().values(), Values::default());
        assert!(shown.contains("listenPort = 10911 "), "{shown}");
        assert!(shown.contains("# advertise is not set"), "{shown}");
    }
}
