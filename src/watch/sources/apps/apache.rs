//! Apache httpd as an application server: `KeepAliveTimeout`, by the lines of its main file and those beside it.

use std::path::Path;

use super::{Said, base};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// Its main files, where distributions put them.
const FILES: &[&str] = &["/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf", "/etc/apache2/httpd.conf"];
/// Lines that bear on a failing request.
const TOLD: &[&str] = &["KeepAlive", "KeepAliveTimeout", "MaxKeepAliveRequests", "Timeout"];
/// Seconds of `KeepAliveTimeout` where none is set (core).
const KEEPS: &str = "5";

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    ["apache2", "httpd"].iter().any(|name| settings.service.is(name)).then_some(())?;
    let mut app = base(settings, "apache");
    let named = settings.service.option(&["-f"]);
    let mut keeps = Said::default("KeepAliveTimeout", KEEPS);
    let mut off = false;
    for path in named.into_iter().chain(FILES.iter().copied()).map(|path| settings.path(Path::new(path))) {
        let Some(text) = settings.text(&path) else { continue };
        for (at, line) in text.lines().enumerate() {
            let mut words = line.split_whitespace();
            let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
            let Some(name) = TOLD.iter().find(|name| name.eq_ignore_ascii_case(key)) else { continue };
            let said = Said::line(name, value, &path, at + 1);
            said.note(&mut app);
            match *name {
                "KeepAlive" => off = value.eq_ignore_ascii_case("off"),
                "KeepAliveTimeout" => keeps = said,
                _ => {}
            }
        }
        break;
    }
    app.keepalive = match (off, keeps.value.strip_suffix("ms")) {
        (true, _) => None,
        (false, Some(ms)) => Said { value: ms.to_owned(), ..keeps.clone() }.milliseconds(),
        (false, None) => keeps.seconds(),
    };
    Some(vec![app])
}
