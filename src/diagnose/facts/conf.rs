//! Facts about what is on disk against what runs: `conf:...`. A file that is younger than the load proves nothing, for a touch
//! does that too; that the gateway connects where no file sends it any more does.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{LogGroup, ProbeHistory, Scene, symptom},
    model::{Address, Fact, Gateway, RunState, SourceKind, Subject, clock_of, text},
};

/// Seconds by which the start of a process may be told too early: it is made of two figures that are cut to seconds (proc(5),
/// btime and starttime).
const START_S: i64 = 1;
/// Seconds for which old workers may finish what they began, and log that it failed.
const GRACE_S: i64 = 2;
/// Seconds after which a time-out that began before the load has been logged: nginx's own default (proxy_read_timeout).
const TIMEOUT_S: i64 = 60;
/// A line older than this many seconds does not tell what the gateway does now.
const NOW_S: i64 = 60;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["conf:edited-since-load", "conf:loaded-since-edit", "conf:running-differs", "conf:disk-would-serve"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        let RunState::Running { workers_since: Some(loaded), .. } = gateway.state else { continue };
        let subject = Subject(gateway.kind.clone());
        book.look("conf", &subject);
        let mut add = |name: &str, text: String, source: String, fields: BTreeMap<String, String>| {
            book.add(Fact { name: name.to_owned(), subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        };
        let youngest = gateway.files.iter().filter_map(|(path, modified)| Some(((*modified)?, path))).max();
        let Some((edited, file)) = youngest else { continue };
        if edited <= loaded + START_S {
            let text = format!("no configuration file is younger than the workers, which started at {}Z", clock_of(loaded));
            add("conf:loaded-since-edit", text, "times of files and processes".to_owned(), BTreeMap::new());
            continue;
        }
        let mut fields = BTreeMap::from([
            ("file".to_owned(), file.display().to_string()),
            ("edited".to_owned(), format!("{}Z", clock_of(edited))),
            ("loaded".to_owned(), format!("{}Z", clock_of(loaded))),
        ]);
        let text = format!("{} was changed {} after the workers started", file.display(), text::duration(edited - loaded));
        add("conf:edited-since-load", text, "times of files and processes".to_owned(), fields.clone());
        let failing: Vec<&ProbeHistory> = scene.probes_of("gateway").filter(|history| fails(history)).collect();
        if let Some(history) = failing.iter().find(|history| disk_serves(scene, history)) {
            let text = format!(
                "{} answer directly, and not through the gateway",
                history.last.job.upstreams.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            );
            add("conf:disk-would-serve", text, "probe".to_owned(), fields.clone());
        }
        if let Some((old, group)) = strays(scene, gateway, loaded, edited) {
            let new = failing.first().map(|history| &history.last.job.upstreams).filter(|new| !new.is_empty());
            let Some(new) = new else { continue };
            let new = new.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let count = text::thousands(group.since(loaded + GRACE_S));
            let text = format!("{count} lines of the error log since the load name {old}, the configuration on disk names {new}");
            fields.extend([("old".to_owned(), old.to_string()), ("new".to_owned(), new)]);
            add("conf:running-differs", text, group.source.clone(), fields);
        }
    }
}

/// Whether a request through the gateway fails now.
fn fails(history: &ProbeHistory) -> bool {
    probes::window(history).iter().any(|result| symptom::failed(&result.outcome))
}

/// Whether every server that the configuration on disk has for this request answers it.
fn disk_serves(scene: &Scene, through: &ProbeHistory) -> bool {
    let upstreams = &through.last.job.upstreams;
    let serves = |upstream: &Subject| {
        let mut tried = scene.probes_of("upstream").filter(|history| history.last.job.subject == *upstream).peekable();
        tried.peek().is_some()
            && tried.all(|history| probes::window(history).iter().all(|result| result.outcome.serves() == Some(true)))
    };
    !upstreams.is_empty() && upstreams.iter().all(serves)
}

/// An upstream that the gateway connects to now and that no file names: the latest, with its lines.
fn strays<'a>(scene: &'a Scene, gateway: &Gateway, loaded: i64, edited: i64) -> Option<(Address, &'a LogGroup)> {
    // Where something was not read or is decided by the request, what the files say is not all.
    let log = |source: &str| gateway.logs.iter().any(|log| log.id() == source);
    let whole = gateway.problems.is_empty()
        && gateway.blind.iter().all(|spot| log(&spot.source))
        && gateway.routes().all(|(_, route)| route.dynamic.is_none());
    if !whole {
        return None;
    }
    let stray = |group: &'a LogGroup| {
        let last = group.last_second()?;
        let grace = if group.last.contains("upstream timed out") { TIMEOUT_S } else { GRACE_S };
        let current = last > loaded + grace && scene.now.wall_s() - last <= NOW_S && (group.live > 0 || last > edited);
        let address = group.upstream()?;
        (current && !names_it(gateway, &address)).then_some((last, address, group))
    };
    scene
        .logs
        .values()
        .filter(|group| group.kind == SourceKind::Error && log(&group.source))
        .filter_map(stray)
        .max_by_key(|(last, ..)| *last)
        .map(|(_, address, group)| (address, group))
}

/// Whether the configuration on disk has this address. A name may have been any address of its port when it was loaded.
fn names_it(gateway: &Gateway, address: &Address) -> bool {
    let of_routes = gateway.routes().flat_map(|(_, route)| &route.servers);
    let servers = of_routes.chain(gateway.pools.iter().flat_map(|pool| &pool.servers));
    servers.map(|server| &server.address).any(|known| {
        known == address
            || matches!(known, Address::Name(_, port) if matches!(address, Address::Tcp(_)) && address.port() == Some(*port))
    })
}
