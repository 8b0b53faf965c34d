//! A socket that systemd holds for a service: which unit it is, and with what rights (systemd.socket(5)).

use std::path::Path;

use super::{Said, base, served};
use crate::{model::AppSettings, watch::sources::settings::Settings};

/// Where units are, the strongest first (systemd.unit(5), table 1).
const PLACES: &[&str] = &["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];
/// Files that are read, at most.
const FILES: usize = 400;
/// Lines that bear on a failing request.
const TOLD: &[&str] = &["SocketUser", "SocketGroup", "SocketMode", "Backlog", "Accept", "Service", "MaxConnections"];

pub(super) fn read(settings: &Settings<'_>) -> Option<Vec<AppSettings>> {
    (settings.service.lead.pid == 1 && settings.service.is("systemd")).then_some(())?;
    let mut out = Vec::new();
    let mut left = FILES;
    for place in PLACES {
        for name in settings.root.list(Path::new(place)).unwrap_or_default() {
            let Some(name) = name.to_str().filter(|name| name.ends_with(".socket")) else { continue };
            let Some(rest) = left.checked_sub(1) else { break };
            left = rest;
            let path = Path::new(place).join(name);
            let Some(text) = settings.text(&path) else { continue };
            let lines = || {
                let pairs = text.lines().enumerate().filter_map(|(at, line)| Some((at + 1, line.trim().split_once('=')?)));
                pairs.map(|(at, (key, value))| (at, key.trim(), value.trim()))
            };
            let listens = lines().filter(|(_, key, _)| *key == "ListenStream");
            let serves: Vec<_> = listens.flat_map(|(_, _, value)| served(settings, value)).collect();
            if serves.is_empty() {
                continue;
            }
            let mut app = AppSettings { serves, unit: Some(name.to_owned()), ..base(settings, "systemd socket") };
            lines()
                .filter(|(_, key, _)| TOLD.contains(key))
                .for_each(|(at, key, value)| Said::line(key, value, &path, at).note(&mut app));
            out.push(app);
        }
    }
    Some(if out.is_empty() { vec![base(settings, "systemd")] } else { out })
}
