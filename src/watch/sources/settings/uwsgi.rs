//! uwsgi: `--logto`, `--daemonize`, `--logger file:...`, on the command line or in an ini, xml or yaml file
//! (<https://uwsgi-docs.readthedocs.io/en/latest/Options.html>).

use super::{Named, Settings};

/// What names a log, with and without dashes before.
const OPTIONS: &[&str] = &["logto", "logto2", "daemonize", "daemonize2", "logger", "req-logger"];
/// What names a configuration file.
const FILES: &[&str] = &["--ini", "-i", "--xml", "-x", "--yaml", "--yml", "-y"];

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    if !settings.service.is("uwsgi") {
        return Vec::new();
    }
    let mut out: Vec<Named> = OPTIONS.iter().filter_map(|option| settings.by_option(&[&format!("--{option}")])).collect();
    out.extend(settings.by_option(&["-d"]));
    let bare =
        |arg: &&String| [".ini", ".xml", ".yaml", ".yml"].iter().any(|ending| arg.ends_with(ending)) && !arg.starts_with('-');
    let named = settings.service.option(FILES).or_else(|| settings.service.lead.argv.iter().skip(1).find(bare).map(String::as_str));
    let Some(path) = named.map(|named| settings.path(named)) else { return out };
    let Some(text) = settings.text(&path) else { return out };
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        // `logto = x`, `<logto>x</logto>`, `logto: x`.
        let pair = match line.strip_prefix('<') {
            Some(tag) => tag.split_once('>').and_then(|(key, rest)| Some((key, rest.split_once("</")?.0))),
            None => line.split_once(['=', ':']),
        };
        if let Some((key, value)) = pair
            && OPTIONS.contains(&key.trim())
        {
            out.extend(settings.by_line(key.trim(), value, &path, at + 1));
        }
    }
    out
}
