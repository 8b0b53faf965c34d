//! gunicorn: `--error-logfile` (also `--log-file`), `--access-logfile`, and the same in a configuration that is a Python program
//! (<https://docs.gunicorn.org/en/stable/settings.html#logging>).

use super::{Named, Settings, assignments};

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    if !settings.service.is("gunicorn") {
        return Vec::new();
    }
    let mut out: Vec<Named> = [&["--error-logfile", "--log-file"][..], &["--access-logfile"]]
        .iter()
        .filter_map(|names| settings.by_option(names))
        .collect();
    // Without the option it is ./gunicorn.conf.py; `python:module` is code, and no file that is named.
    let named = settings.service.option(&["-c", "--config"]).unwrap_or("gunicorn.conf.py");
    let path = settings.path(named.strip_prefix("file:").unwrap_or(named));
    let Some(text) = settings.text(&path).filter(|_| !named.starts_with("python:")) else { return out };
    for (line, key, value) in assignments(&text) {
        // Anything but one plain string needs Python to be understood.
        let plain = value.split(" #").next().unwrap_or_default().trim();
        let quoted = plain.len() > 2 && plain.starts_with(['"', '\'']) && plain.ends_with(['"', '\'']);
        let inner = plain.trim_matches(['"', '\'']);
        if matches!(key, "errorlog" | "logfile" | "accesslog") && quoted && !inner.contains(['"', '\'', '\\']) {
            out.extend(settings.by_line(key, inner, &path, line));
        }
    }
    out
}
