//! puma (<https://github.com/puma/puma/blob/master/lib/puma/dsl.rb>): `persistent_timeout` is how long an idle connection is kept;
//! `worker_timeout` is a heartbeat, and no limit of a request.

use super::{Said, base, plain};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// Where its configuration is looked for, below its working directory (`Puma::Configuration`).
const FILES: &[&str] = &["config/puma/production.rb", "config/puma.rb"];
/// Lines of it that bear on a failing request.
const TOLD: &[&str] = &["persistent_timeout", "first_data_timeout", "worker_timeout", "workers", "threads", "bind", "port"];
/// Seconds for which an idle connection is kept where nothing is set, before version 7 and from it on.
const KEEPS: (&str, &str) = ("20", "65");

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    settings.service.is("puma").then_some(())?;
    let mut app = base(settings, "puma");
    // `puma 6.0.0 (tcp://0.0.0.0:9292) [app]`, `puma: cluster worker 0: 811 [app]`
    let version = settings.service.lead.argv.first().and_then(|title| title.split(' ').nth(1));
    let major: Option<u32> = version.and_then(|version| version.split('.').next()?.parse().ok());
    let default = if major.is_some_and(|major| major >= 7) { KEEPS.1 } else { KEEPS.0 };
    let mut keeps = Said::default("persistent_timeout", default);
    let named = settings.service.option(&["-C", "--config"]);
    for path in named.map_or_else(|| FILES.to_vec(), |named| vec![named]).into_iter().map(|path| settings.path(path)) {
        let Some(text) = settings.text(&path) else { continue };
        for (at, line) in text.lines().enumerate() {
            let Some((key, value)) = line.trim().split_once([' ', '(']) else { continue };
            if let Some(key) = TOLD.iter().find(|known| **known == key)
                && let Some(value) = plain(value)
            {
                let said = Said::line(key, value, &path, at + 1);
                said.note(&mut app);
                if *key == "persistent_timeout" {
                    keeps = said;
                }
            }
        }
        break;
    }
    for (option, name) in [("-w", "workers"), ("--workers", "workers"), ("-t", "threads"), ("--threads", "threads")] {
        if let Some(said) = Said::option(settings, &[option]) {
            Said { name: name.to_owned(), ..said }.note(&mut app);
        }
    }
    keeps.note(&mut app);
    app.keepalive = keeps.seconds();
    Some(vec![app])
}
