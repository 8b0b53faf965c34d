//! gunicorn (<https://docs.gunicorn.org/en/stable/settings.html>): `--timeout` kills a worker of the class `sync` that works on one
//! request for longer; of all others it is a heartbeat. `sync` keeps no connections.

use super::{Said, base, plain};
use crate::{
    model::{AppSettings, AppTime},
    watch::sources::settings::{Settings, assignments},
};

/// Option, its short form, the name in the file, the default.
const TOLD: &[(&str, &str, &str, &str)] = &[
    ("--timeout", "-t", "timeout", "30"),
    ("--keep-alive", "--keep-alive", "keepalive", "2"),
    ("--workers", "-w", "workers", "1"),
    ("--threads", "--threads", "threads", "1"),
    ("--worker-class", "-k", "worker_class", "sync"),
    ("--backlog", "--backlog", "backlog", "2048"),
    ("--graceful-timeout", "--graceful-timeout", "graceful_timeout", "30"),
    ("--bind", "-b", "bind", ""),
    (CERTIFICATE, CERTIFICATE, "certfile", ""),
    ("--keyfile", "--keyfile", "keyfile", ""),
    ("--protocol", "--protocol", "protocol", ""),
];

/// The option by which it speaks TLS on all that it listens on, as by the one of the key (gunicorn/config.py, `is_ssl`).
const CERTIFICATE: &str = "--certfile";
/// What it listens on where nothing says so.
const BIND: &str = "127.0.0.1:8000";
/// What in a configuration that is a program may turn TLS on in a way that is not understood here.
const TLS_WORDS: &[&str] = &["certfile", "keyfile", "ssl", "import *", "exec("];

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    settings.service.is("gunicorn").then_some(())?;
    let mut app = base(settings, "gunicorn");
    let named = settings.service.option(&["-c", "--config"]).unwrap_or("gunicorn.conf.py");
    let path = settings.path(named.strip_prefix("file:").unwrap_or(named));
    let code = named.starts_with("python:");
    let read = settings.text(&path).filter(|_| !code);
    let unread = read.is_none() && (code || settings.service.option(&["-c", "--config"]).is_some());
    let text = read.unwrap_or_default();
    let of_file = |key: &str| {
        let found = assignments(&text).filter(|(_, name, _)| *name == key).last();
        found.and_then(|(line, _, value)| Some(Said::line(key, plain(value)?, &path, line)))
    };
    let said = |index: usize| {
        let (long, short, key, default) = TOLD[index];
        Said::option(settings, &[long, short]).or_else(|| of_file(key)).unwrap_or_else(|| Said::default(long, default))
    };
    (0..TOLD.len()).map(said).filter(|said| !said.value.is_empty()).for_each(|said| said.note(&mut app));
    let told = |name: &str| app.settings.contains_key(name) || app.settings.contains_key(name.trim_start_matches('-'));
    if !told(CERTIFICATE) && !told("--keyfile") && (unread || TLS_WORDS.iter().any(|word| text.contains(word))) {
        // Whether it speaks TLS is not known: the program decides.
        Said { name: CERTIFICATE.to_owned(), value: "not known".to_owned(), from: path.display().to_string() }.note(&mut app);
    }
    // A process that gave itself a title (setproctitle) shows no command line any more.
    if !app.settings.contains_key("--bind") && !app.settings.contains_key("bind") && !unread && settings.service.lead.argv.len() > 1
    {
        Said::default("--bind", BIND).note(&mut app);
    }
    // More than one thread makes it gthread (Config.worker_class_str).
    let sync = said(4).value == "sync" && said(3).value.parse::<u32>().is_ok_and(|threads| threads <= 1);
    if sync {
        app.request_limit = said(0).seconds().filter(|limit| limit.ms > 0);
        app.keepalive =
            Some(AppTime { ms: 0, ..said(1).seconds().unwrap_or(AppTime { name: String::new(), ms: 0, from: String::new() }) });
    } else {
        app.keepalive = said(1).seconds();
    }
    Some(vec![app])
}
