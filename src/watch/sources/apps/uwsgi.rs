//! uwsgi: `harakiri` kills a worker that works on one request for longer
//! (<https://uwsgi-docs.readthedocs.io/en/latest/Options.html>).

use super::{Said, base};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// What names a configuration file.
const FILES: &[&str] = &["--ini", "-i", "--yaml", "--yml", "-y"];
/// What bears on a failing request, with and without dashes before.
const TOLD: &[&str] = &[
    "harakiri",
    "http-timeout",
    "http-keepalive",
    "so-keepalive",
    "listen",
    "processes",
    "workers",
    "threads",
    "buffer-size",
    "socket",
    "uwsgi-socket",
    "http-socket",
    "http",
    "chmod-socket",
    "chown-socket",
    "max-requests",
    "reload-on-rss",
];

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    settings.service.is("uwsgi").then_some(())?;
    let mut app = base(settings, "uwsgi");
    let bare = |arg: &&String| [".ini", ".yaml", ".yml"].iter().any(|ending| arg.ends_with(ending)) && !arg.starts_with('-');
    let named = settings.service.option(FILES).or_else(|| settings.service.lead.argv.iter().skip(1).find(bare).map(String::as_str));
    let mut said: Vec<Said> = Vec::new();
    if let Some(path) = named.map(|named| settings.path(named))
        && let Some(text) = settings.text(&path)
    {
        for (at, line) in text.lines().enumerate() {
            let Some((key, value)) = line.trim().split_once(['=', ':']) else { continue };
            if TOLD.contains(&key.trim()) {
                said.push(Said::line(key.trim(), value.trim(), &path, at + 1));
            }
        }
    }
    for name in TOLD {
        let long = format!("--{name}");
        said.extend(Said::option(settings, &[&long]).map(|said| Said { name: (*name).to_owned(), ..said }));
    }
    for one in &said {
        one.note(&mut app);
    }
    app.request_limit = said.iter().rfind(|said| said.name == "harakiri").and_then(Said::seconds).filter(|limit| limit.ms > 0);
    Some(vec![app])
}
