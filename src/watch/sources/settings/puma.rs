//! puma: `stdout_redirect` in its configuration, which is a Ruby program; `--redirect-stderr`; and the logs that a Rails application
//! has beside it (<https://github.com/puma/puma/blob/master/lib/puma/dsl.rb>).

use super::{Named, Settings};
use crate::model::LogPlace;

/// Where its configuration is looked for, below its working directory (`Puma::Configuration`).
const FILES: &[&str] = &["config/puma/production.rb", "config/puma.rb"];
/// Logs that are its own by convention, below its working directory: Rails writes the second whatever puma does.
const LOGS: &[&str] = &["log/puma.stderr.log", "log/puma.log", "log/production.log"];

pub(super) fn read(settings: &Settings<'_>) -> Vec<Named> {
    if !settings.service.is("puma") {
        return Vec::new();
    }
    let mut out: Vec<Named> =
        ["--redirect-stderr", "--redirect-stdout"].iter().filter_map(|name| settings.by_option(&[name])).collect();
    let named = settings.service.option(&["-C", "--config"]);
    for path in named.map_or_else(|| FILES.to_vec(), |named| vec![named]).into_iter().map(|path| settings.path(path)) {
        let Some(text) = settings.text(&path) else { continue };
        for (at, line) in text.lines().enumerate() {
            let Some(rest) = line.trim().strip_prefix("stdout_redirect") else { continue };
            // Two plain strings, output and errors; an expression needs Ruby.
            for value in rest.trim_start_matches(['(', ' ']).split(',').take(2).map(str::trim) {
                let inner = value.trim_end_matches(')').trim_matches(['"', '\'']);
                if value.starts_with(['"', '\'']) && !inner.contains(['"', '\'', '\\']) {
                    out.extend(settings.by_line("stdout_redirect", inner, &path, at + 1));
                }
            }
        }
        break;
    }
    if settings.service.lead.cwd.is_some() {
        out.extend(LOGS.iter().map(|log| Named {
            place: LogPlace::File(settings.path(log)),
            why: format!("below the working directory of {}", settings.service.name()),
        }));
    }
    out
}
