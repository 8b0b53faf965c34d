//! uvicorn and hypercorn (<https://www.uvicorn.org/settings/>): `--timeout-keep-alive`; neither limits a request.

use super::{Said, base};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// Program, its option for idle connections, the default in seconds.
const PROGRAMS: &[(&str, &str, &str)] = &[("uvicorn", "--timeout-keep-alive", "5"), ("hypercorn", "--keep-alive", "5")];
/// Further options that bear on a failing request.
const TOLD: &[&str] =
    &["--workers", "--backlog", "--limit-concurrency", "--host", "--port", "--uds", "--bind", "--h11-max-incomplete-event-size"];

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    let (program, option, default) = PROGRAMS.iter().find(|(program, ..)| settings.service.is(program))?;
    let mut app = base(settings, program);
    let keeps = Said::option(settings, &[option]).unwrap_or_else(|| Said::default(option, default));
    keeps.note(&mut app);
    app.keepalive = keeps.seconds();
    TOLD.iter().filter_map(|name| Said::option(settings, &[name])).for_each(|said| said.note(&mut app));
    Some(vec![app])
}
