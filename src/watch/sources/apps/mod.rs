//! What applications are set to, by their command lines and files: how long a request may take, how long an idle connection is
//! kept, how many work at once. What a gateway is set to is held against it (`diagnose/findings/application.rs`).
//!
//! Files are only read, never executed: of a configuration that is a program, plain numbers and strings are understood.
//!
//! To add a program: a file here with a [`Reader`], and its line in [`READERS`].

mod apache;
mod gunicorn;
mod node;
mod php_fpm;
mod puma;
mod systemd;
mod tomcat;
mod uvicorn;
mod uwsgi;

use std::path::Path;

use super::{service::Service, settings::Settings};
use crate::model::{Address, AppSetting, AppSettings, AppTime, COMMAND_LINE, DEFAULT, OwnerRole, Place};

/// Applications that are told of, at most.
const APPS: usize = 64;

/// What the settings of a service are. `None`: it is another program.
type Reader = fn(&Settings<'_>) -> Option<Vec<AppSettings>>;

/// The programs whose settings are understood.
const READERS: &[Reader] =
    &[php_fpm::read, gunicorn::read, uwsgi::read, puma::read, uvicorn::read, node::read, tomcat::read, apache::read, systemd::read];

/// What is known of these services, which are behind a gateway.
pub(super) fn apps<'a>(services: impl Iterator<Item = Settings<'a>>) -> Vec<AppSettings> {
    let mut out = Vec::new();
    for settings in services.filter(|settings| settings.service.role == OwnerRole::Upstream) {
        let found = READERS.iter().find_map(|read| read(&settings));
        out.extend(found.unwrap_or_else(|| vec![base(&settings, &settings.service.lead.name)]));
    }
    out.retain(|app| !app.serves.is_empty());
    out.truncate(APPS);
    out
}

/// What is known of any program.
fn base(settings: &Settings<'_>, kind: &str) -> AppSettings {
    let service: &Service = settings.service;
    AppSettings {
        kind: kind.to_owned(),
        pid: service.runs.then_some(service.lead.pid),
        unit: service.lead.unit().map(str::to_owned),
        user: service.lead.identity.name.clone(),
        serves: service.serves.clone(),
        ..AppSettings::default()
    }
}

/// A setting with what says so.
#[derive(Debug, Clone)]
struct Said {
    name: String,
    value: String,
    from: String,
}

impl Said {
    /// Of the command line, by the first of these options that stands there.
    fn option(settings: &Settings<'_>, names: &[&str]) -> Option<Self> {
        let value = settings.service.option(names)?;
        Some(Self { name: (*names.first()?).to_owned(), value: value.to_owned(), from: COMMAND_LINE.to_owned() })
    }

    /// Of a line of a file, from 1.
    fn line(name: &str, value: &str, file: &Path, line: usize) -> Self {
        let place = Place { file: file.to_owned().into(), line: u32::try_from(line).unwrap_or(u32::MAX) };
        let setting = AppSetting::at(value, &place);
        Self { name: name.to_owned(), value: setting.value, from: setting.from }
    }

    /// What holds where nobody says anything.
    fn default(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), from: DEFAULT.to_owned() }
    }

    /// As a time, in seconds unless a unit is written. `None`: it is none.
    fn seconds(&self) -> Option<AppTime> {
        let ms = milliseconds(&self.value)?;
        Some(AppTime { name: self.name.clone(), ms, from: self.from.clone() })
    }

    /// As a time in milliseconds.
    fn milliseconds(&self) -> Option<AppTime> {
        Some(AppTime { name: self.name.clone(), ms: self.value.parse().ok()?, from: self.from.clone() })
    }

    /// Notes it.
    fn note(&self, app: &mut AppSettings) {
        let setting = AppSetting { value: self.value.clone(), from: self.from.clone() };
        app.settings.insert(self.name.clone(), setting);
    }
}

/// `30`, `30s`, `5m`, `2h`, `1d`, `0.5` in milliseconds: what php-fpm, gunicorn, uwsgi and puma understand.
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let number: f64 = text[..end].replace('_', "").parse().ok()?;
    let unit = match text[end..].trim() {
        "" | "s" | ".seconds" => 1e3,
        "m" | ".minutes" => 6e4,
        "h" => 3.6e6,
        "d" => 8.64e7,
        _ => return None,
    };
    let ms = number * unit;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is between 0 and a month")]
    (0.0..=2.7e9).contains(&ms).then_some(ms as u64)
}

/// A plain number or string that a line of a Python or Ruby program assigns; anything else needs that language.
fn plain(value: &str) -> Option<&str> {
    let value = value.split(" #").next().unwrap_or_default().trim().trim_end_matches(')');
    let quoted = value.len() > 2 && value.starts_with(['"', '\'']) && value.ends_with(['"', '\'']);
    let inner = value.trim_matches(['"', '\'']);
    let number = inner.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_') && !inner.is_empty();
    ((quoted || number) && !inner.contains(['"', '\'', '\\'])).then_some(inner)
}

/// Whether a word that tells where to listen means this address: `127.0.0.1:8000`, `:8000`, `8000`, `unix:/run/app.sock`, `*:80`.
fn listens(word: &str, address: &Address) -> bool {
    let word = word.trim().trim_matches(['"', '\'']);
    match address.bare() {
        Address::Inside(..) => false,
        Address::Unix(path) => word.trim_start_matches("unix://").trim_start_matches("unix:") == path.to_string_lossy(),
        Address::Tcp(_) | Address::Name(..) => {
            let port = word.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
            !word.starts_with('/') && port.is_some() && port == address.port()
        }
    }
}

/// Those upstreams of a service that this word tells to listen on.
fn served(settings: &Settings<'_>, word: &str) -> Vec<crate::model::Subject> {
    let is = |subject: &&crate::model::Subject| subject.0.parse().is_ok_and(|address: Address| listens(word, &address));
    settings.service.serves.iter().filter(is).cloned().collect()
}

#[cfg(test)]
mod tests;
