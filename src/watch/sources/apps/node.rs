//! node: `server.keepAliveTimeout` is 5 s unless the program's code says otherwise (<https://nodejs.org/api/http.html>), which is not
//! known from here. Next.js has an option for it.

use super::{Said, base};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// The option of `next start`, in milliseconds.
const NEXT: &str = "--keepAliveTimeout";
/// Further options of node itself that bear on a failing request.
const TOLD: &[&str] = &["--max-http-header-size", "--max-old-space-size"];

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    let argv = || settings.service.lead.argv.iter().take(3);
    let next = settings.service.is("next-server") || argv().any(|arg| arg.ends_with("/next") || arg == "next");
    (next || settings.service.is("node")).then_some(())?;
    let mut app = base(settings, if next { "next" } else { "node" });
    if let Some(keeps) = Said::option(settings, &[NEXT]).filter(|_| next) {
        keeps.note(&mut app);
        app.keepalive = keeps.milliseconds();
    } else {
        let from = "default, unless its code says otherwise".to_owned();
        Said { from, ..Said::default("keepAliveTimeout", "5 s") }.note(&mut app);
    }
    TOLD.iter().filter_map(|name| Said::option(settings, &[name])).for_each(|said| said.note(&mut app));
    Some(vec![app])
}
