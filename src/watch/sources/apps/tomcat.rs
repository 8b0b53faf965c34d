//! Tomcat: the `<Connector>` of conf/server.xml that listens where the gateway connects
//! (<https://tomcat.apache.org/tomcat-9.0-doc/config/http.html>). Its time-outs are milliseconds.

use std::path::Path;

use super::{Said, base, served};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// Attributes that bear on a failing request.
const TOLD: &[&str] = &[
    "protocol",
    "connectionTimeout",
    "keepAliveTimeout",
    "maxThreads",
    "acceptCount",
    "maxConnections",
    "maxHttpHeaderSize",
    "secretRequired",
    "address",
];
/// Milliseconds of `connectionTimeout` where none is set.
const CONNECTION: &str = "60000";

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    let home = settings.service.lead.argv.iter().find_map(|arg| arg.strip_prefix("-Dcatalina.base="))?;
    let path = settings.path(Path::new(home).join("conf/server.xml"));
    let mut out = Vec::new();
    for (line, tag) in connectors(&settings.text(&path).unwrap_or_default()) {
        let Some(port) = attribute(&tag, "port") else { continue };
        let serves = served(settings, port);
        if serves.is_empty() {
            continue;
        }
        let mut app = AppSettings { serves, ..base(settings, "Tomcat") };
        for name in TOLD {
            if let Some(value) = attribute(&tag, name) {
                Said::line(name, value, &path, line).note(&mut app);
            }
        }
        // What is not set is that of the connection; AJP connections stay open for ever.
        let said = ["keepAliveTimeout", "connectionTimeout"]
            .iter()
            .find_map(|name| Some(Said::line(name, attribute(&tag, name)?, &path, line)));
        let ajp = attribute(&tag, "protocol").is_some_and(|protocol| protocol.to_ascii_lowercase().contains("ajp"));
        let said = said.or_else(|| (!ajp).then(|| Said::default("connectionTimeout", CONNECTION)));
        app.keepalive = said.and_then(|said| said.milliseconds());
        out.push(app);
    }
    Some(if out.is_empty() { vec![base(settings, "Tomcat")] } else { out })
}

/// The tags with the lines where they begin; those in comments are none.
fn connectors(text: &str) -> Vec<(usize, String)> {
    const TAG: &str = "<Connector";
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('<')).map(|found| at + found) {
        let rest = &text[next..];
        if rest.starts_with("<!--") {
            at = rest.find("-->").map_or(text.len(), |end| next + end + 3);
            continue;
        }
        let end = rest.find('>').map_or(text.len(), |end| next + end);
        if rest.starts_with(TAG) {
            out.push((text[..next].lines().count().max(1), text[next + TAG.len()..end].to_owned()));
        }
        at = end.max(next + 1);
    }
    out
}

/// The value of an attribute, without its quotes.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = tag;
    while let Some((before, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, next) = after[1..].split_once(quote)?;
        if before.trim() == name {
            return Some(value);
        }
        rest = next;
    }
    None
}
