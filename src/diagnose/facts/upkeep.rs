//! Facts about what a host does against the next outage: `upkeep:...`. They tick the last steps of the checklist, and are never
//! evidence for a cause.

use std::{collections::BTreeMap, path::Path};

use super::FactBook;
use crate::{
    catalog::{Catalog, UpkeepPrograms},
    diagnose::Scene,
    model::{CACHE, CACHE_STALE, Fact, Gateway, Setting, Subject, Upkeep, text},
};

/// Seconds after which lists of packages are old: apt's own timer fetches them each day.
const LISTS_OLD_S: i64 = 8 * 24 * 3600;
/// Seconds after which a backup is old: a weekly one that was missed.
const BACKUP_OLD_S: i64 = 8 * 24 * 3600;
/// Names that a sentence holds.
const NAMED: usize = 4;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "upkeep:cache-serves-stale",
        "upkeep:cache-only",
        "upkeep:cache-none",
        "upkeep:spare",
        "upkeep:single-server",
        "upkeep:updates-by-themselves",
        "upkeep:updates-waiting",
        "upkeep:reboot-required",
        "upkeep:lists-old",
        "upkeep:monitored",
        "upkeep:unmonitored",
        "upkeep:rotated",
        "upkeep:not-rotated",
        "upkeep:backed-up",
        "upkeep:backup-old",
        "upkeep:no-backup",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let host = Subject("host".to_owned());
    let mut say = |name: &str, text: String, source: &str| {
        let (name, subject, source) = (format!("upkeep:{name}"), host.clone(), source.to_owned());
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    };
    caches(scene, &mut say);
    spares(scene, &mut say);
    let Some(upkeep) = &scene.upkeep else { return };
    updates(scene, upkeep, &mut say);
    monitors(upkeep, &catalog.upkeep, &mut say);
    rotations(scene, upkeep, &mut say);
    backups(scene, upkeep, &catalog.upkeep, &mut say);
    book.look("upkeep", &host);
}

/// What takes a fact's last name, its sentence and its source.
type Say<'a> = dyn FnMut(&str, String, &str) + 'a;

fn running(scene: &Scene) -> impl Iterator<Item = &Gateway> {
    scene.gateways.iter().filter(|gateway| gateway.running())
}

/// What stores answers, as far as the gateways' settings tell. One cache is enough, wherever on the way it is.
fn caches(scene: &Scene, say: &mut Say<'_>) {
    let mut found: Vec<(&str, String, String)> = Vec::new();
    let mut keep = |name: &'static str, text: String, source: &str| found.push((name, text, source.to_owned()));
    for gateway in running(scene) {
        if gateway.kind == "nginx" { of_nginx(gateway, &mut keep) } else { of_other(gateway, &mut keep) }
    }
    let best = ["cache-serves-stale", "cache-only", "cache-none"].iter().find_map(|name| found.iter().find(|(is, ..)| is == name));
    if let Some((name, text, source)) = best {
        say(name, text.clone(), source);
    }
}

type Keep<'a> = dyn FnMut(&'static str, String, &str) + 'a;

/// Apache's, HAProxy's and Caddy's caches are settings of the whole; Varnish and Squid are caches. Those of others are not read.
fn of_other(gateway: &Gateway, keep: &mut Keep<'_>) {
    let place = |setting: &Setting| setting.at.as_ref().map_or_else(|| gateway.config.display().to_string(), ToString::to_string);
    let config = gateway.config.display().to_string();
    match (gateway.kind.as_str(), gateway.settings.get(CACHE), gateway.settings.get(CACHE_STALE)) {
        (kind, Some(cache), Some(stale)) => {
            keep(
                "cache-serves-stale",
                format!("{kind}: {} stores answers, and {} lets them stand in", cache.value, stale.value),
                &place(cache),
            );
        }
        (kind, Some(cache), None) => {
            keep(
                "cache-only",
                format!("{kind}: {} stores answers, and none stands in while the upstream fails", cache.value),
                &place(cache),
            );
        }
        ("varnish", None, _) => {
            let text =
                "varnish stores answers; one that is too old stands in for beresp.grace alone, 10 s unless it is set".to_owned();
            keep("cache-only", text, &config);
        }
        ("squid", None, _) => {
            keep("cache-only", "squid stores answers; whether old ones stand in was not read".to_owned(), &config);
        }
        ("apache" | "haproxy" | "caddy", None, _) if gateway.routes().next().is_some() => {
            keep("cache-none", "no route to an upstream stores answers".to_owned(), &config);
        }
        (_, None, _) => {}
    }
}

fn of_nginx(gateway: &Gateway, say: &mut Keep<'_>) {
    let mut routes = gateway.routes().map(|(_, route)| route).peekable();
    if routes.peek().is_none() {
        return;
    }
    let set = |route: &crate::model::Route, name: &str| {
        let found = route.settings.iter().find(|(key, _)| key.ends_with(name));
        found.filter(|(_, setting)| setting.value != "off").map(|(key, setting)| (key.to_owned(), setting.clone()))
    };
    let cached: Vec<_> = routes.filter_map(|route| Some((set(route, "_cache")?, set(route, "_cache_use_stale")))).collect();
    let place = |at: &Option<crate::model::Place>| at.as_ref().map_or_else(String::new, ToString::to_string);
    if let Some((_, Some((key, stale)))) = cached.iter().find(|(_, stale)| stale.is_some()) {
        say("cache-serves-stale", format!("{key} {} lets stored answers stand in", stale.value), &place(&stale.at));
    } else if let Some(((key, cache), _)) = cached.first() {
        say(
            "cache-only",
            format!("{key} {} stores answers, and none stands in while the upstream fails", cache.value),
            &place(&cache.at),
        );
    } else {
        say("cache-none", "no route to an upstream stores answers".to_owned(), &gateway.config.display().to_string());
    }
}

/// Routes to one server alone, and routes to several.
fn spares(scene: &Scene, say: &mut Say<'_>) {
    for gateway in running(scene) {
        let routes: Vec<_> = gateway.routes().map(|(_, route)| route).filter(|route| !route.servers.is_empty()).collect();
        let single: Vec<_> = routes.iter().filter(|route| route.servers.len() == 1).collect();
        match single.first() {
            None if routes.is_empty() => {}
            None => {
                say(
                    "spare",
                    "each route to an upstream has more than one server".to_owned(),
                    &gateway.config.display().to_string(),
                );
            }
            Some(first) => {
                let text = format!("{} of {} routes to an upstream have one server alone", single.len(), routes.len());
                say("single-server", text, &first.at.to_string());
            }
        }
    }
}

fn updates(scene: &Scene, upkeep: &Upkeep, say: &mut Say<'_>) {
    let known = &upkeep.updates;
    let age = known.lists.map(|at| scene.now.wall_s() - at);
    let fetched = age.map_or_else(String::new, |age| format!("; lists of packages were fetched {} ago", text::duration(age)));
    if let Some(packages) = &known.reboot {
        let by = if packages.is_empty() { String::new() } else { format!(" by {packages}") };
        say(
            "reboot-required",
            format!("a restart of the host is asked for{by}: what runs is older than what is installed"),
            "/run/reboot-required",
        );
    }
    if let Some(count) = known.waiting.filter(|count| *count > 0) {
        say(
            "updates-waiting",
            format!("{count} packages wait to be updated{fetched}"),
            "/var/lib/update-notifier/updates-available",
        );
    } else if let Some(age) = age.filter(|age| *age > LISTS_OLD_S) {
        say("lists-old", format!("nobody has looked for updates for {}", text::duration(age)), "lists of packages");
    } else if let Some(file) = &known.unattended {
        say("updates-by-themselves", format!("updates install themselves{fetched}"), &file.display().to_string());
    }
}

fn monitors(upkeep: &Upkeep, known: &UpkeepPrograms, say: &mut Say<'_>) {
    let found: Vec<&str> = upkeep.programs.iter().map(String::as_str).filter(|name| known.monitors(name)).take(NAMED).collect();
    if !found.is_empty() {
        let text =
            format!("{} runs here; whether it asks the site itself, and whom it wakes, only its server knows", found.join(", "));
        say("monitored", text, "processes");
    } else if !upkeep.programs.is_empty() {
        say("unmonitored", "no program that is known to watch a host runs here".to_owned(), "processes");
    }
}

/// Whether the gateway's own logs are rotated.
fn rotations(scene: &Scene, upkeep: &Upkeep, say: &mut Say<'_>) {
    let logs: Vec<&Path> = running(scene).flat_map(|gateway| &gateway.logs).map(|log| log.path.as_path()).collect();
    let rule = |log: &Path| upkeep.rotations.iter().find(|rule| text::wildcard(&rule.pattern, &log.to_string_lossy()));
    if let Some(log) = logs.iter().find(|log| rule(log).is_none()) {
        say("not-rotated", format!("no rule of logrotate takes {}", log.display()), "/etc/logrotate.d");
    } else if let Some(rule) = logs.first().and_then(|log| rule(log)) {
        let last = upkeep.rotated.map(|at| scene.now.wall_s() - at);
        let last = last.map_or_else(String::new, |age| format!(", last {} ago", text::duration(age)));
        say("rotated", format!("{} rotates {}{last}", rule.file.display(), rule.pattern), &rule.file.display().to_string());
    }
}

fn backups(scene: &Scene, upkeep: &Upkeep, known: &UpkeepPrograms, say: &mut Say<'_>) {
    let mut jobs =
        upkeep.jobs.iter().filter(|job| known.job_backs_up(&job.name) || job.programs.iter().any(|name| known.backs_up(name)));
    let data: Vec<&str> = upkeep.programs.iter().map(String::as_str).filter(|name| known.keeps_data(name)).take(NAMED).collect();
    let data = if data.is_empty() { String::new() } else { format!("; {} runs here and keeps data", data.join(", ")) };
    // The one that is known to have run last says most.
    if let Some(job) = jobs.by_ref().max_by_key(|job| job.last) {
        let age = job.last.map(|at| scene.now.wall_s() - at);
        let source = job.file.display().to_string();
        match age {
            Some(age) if age > BACKUP_OLD_S => {
                say("backup-old", format!("{} ran last {} ago{data}", job.name, text::duration(age)), &source);
            }
            Some(age) => say(
                "backed-up",
                format!("{} ran last {} ago; whether it can be read back, only a try shows", job.name, text::duration(age)),
                &source,
            ),
            None => say(
                "backed-up",
                format!("{} is set; when it ran last, and whether it can be read back, is not told here", job.name),
                &source,
            ),
        }
    } else if let Some(agent) = upkeep.programs.iter().find(|name| known.backs_up(name)) {
        say("backed-up", format!("{agent} runs here; when it made the last backup, only its server knows"), "processes");
    } else if !upkeep.programs.is_empty() {
        say(
            "no-backup",
            format!("no timer, cron job or program that is known to make backups was found{data}"),
            "timers, cron, processes",
        );
    }
}
