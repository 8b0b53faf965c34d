//! Facts about what is on disk against what runs: `conf:...`. A file that is younger than the load proves nothing, for a touch
//! does that too; that the gateway connects where no file sends it any more does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{LogGroup, ProbeHistory, Scene, symptom, upstream::moved, upstream_of, wrote},
    model::{Address, Fact, Gateway, LACKS, LACKS_CURE, Route, RunState, SourceKind, Subject, clock_of, text},
};

/// Seconds by which the start of a process may be told too early: it is made of two figures that are cut to seconds (proc(5),
/// btime and starttime).
pub const START_S: i64 = 1;
/// Seconds for which old workers, where there were any, may finish what they began, and log that it failed.
const GRACE_S: i64 = 2;
/// Seconds after which a time-out that began before the load has been logged: nginx's own default (proxy_read_timeout).
const TIMEOUT_S: i64 = 60;
/// A line older than this many seconds does not tell what the gateway does now.
const NOW_S: i64 = 60;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "conf:edited-since-load",
        "conf:loaded-since-edit",
        "conf:running-differs",
        "conf:disk-would-serve",
        "conf:disabled",
        "conf:lacks",
    ]
    .map(str::to_owned)
    .into()
}

/// The youngest configuration file of a gateway that was changed after it was loaded, and when (seconds since the Unix epoch). `None`:
/// there is none, or it is not known when it was loaded.
pub fn edited_since_load(gateway: &Gateway) -> Option<(&Path, i64)> {
    let RunState::Running { workers_since: Some(loaded), .. } = gateway.state else { return None };
    let youngest = gateway.files.iter().filter_map(|(path, modified)| Some(((*modified)?, path))).max();
    let (edited, file) = youngest.filter(|(edited, _)| *edited > loaded + START_S)?;
    Some((file, edited))
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        disabled(scene, gateway, book);
        lacks(scene, gateway, book);
        let RunState::Running { workers_since: Some(loaded), .. } = gateway.state else { continue };
        let subject = scene.named(gateway);
        book.look("conf", &subject);
        let live = differs_live(scene, gateway);
        let told = live.is_some();
        if let Some(fact) = live {
            book.add(fact);
        }
        let mut add = |name: &str, text: String, source: String, fields: BTreeMap<String, String>| {
            book.add(Fact { name: name.to_owned(), subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        };
        if !gateway.files.iter().any(|(_, modified)| modified.is_some()) {
            continue;
        }
        let Some((file, edited)) = edited_since_load(gateway) else {
            let text = format!("no configuration file is younger than the workers, which started at {}Z", clock_of(loaded));
            add("conf:loaded-since-edit", text, "times of files and processes".to_owned(), BTreeMap::new());
            continue;
        };
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
        if let Some((old, group)) = if told { None } else { strays(scene, gateway, loaded, edited) } {
            // A probe that was made before the edit still names the old one.
            let stray = Subject(old.to_string());
            let mut named = failing.iter().map(|history| &history.last.job.upstreams);
            let Some(new) = named.find(|new| !new.is_empty() && !new.contains(&stray)) else { continue };
            let new = new.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let count = text::thousands(group.since(loaded + grace(gateway)));
            let text = format!("{count} lines of the error log since the load name {old}, the configuration on disk names {new}");
            fields.extend([("old".to_owned(), old.to_string()), ("new".to_owned(), new)]);
            add("conf:running-differs", text, group.source.clone(), fields);
        }
    }
}

/// Servers that the configuration takes out, where it leaves none in.
fn disabled(scene: &Scene, gateway: &Gateway, book: &mut FactBook) {
    for (_, route) in gateway.routes().filter(|(_, route)| route.all_out()) {
        for server in &route.servers {
            let subject = Subject(server.address.to_string());
            if book.find("conf:disabled", &[&subject]).is_some() {
                continue;
            }
            let (count, at) = (route.servers.len(), server.at.to_string());
            let text = format!("{at} takes {subject} out of service, as are all {count} servers of this route");
            let fields = BTreeMap::from([("at".to_owned(), at)]);
            let (name, source) = ("conf:disabled".to_owned(), "configuration".to_owned());
            book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
        }
    }
}

/// A failing request goes to a target that can't work. What is on disk is what runs only where it was loaded since its last change.
fn lacks(scene: &Scene, gateway: &Gateway, book: &mut FactBook) {
    let RunState::Running { workers_since, .. } = gateway.state else { return };
    let edited = gateway.files.iter().filter_map(|(_, modified)| *modified).max();
    let loaded = workers_since.zip(edited).is_some_and(|(loaded, edited)| edited <= loaded + START_S);
    for history in scene.probes_of("gateway").filter(|history| fails(history)) {
        let through = |route: &&Route| {
            let to = |server: &crate::model::Server| history.last.job.upstreams.contains(&Subject(server.address.to_string()));
            route.settings.contains_key(LACKS) && (route.servers.iter().any(to) || history.last.job.upstreams.is_empty())
        };
        let Some(route) = gateway.routes().map(|(_, route)| route).find(through) else { continue };
        let lack = &route.settings[LACKS];
        let at = lack.at.as_ref().unwrap_or(&route.at).to_string();
        let mut fields =
            BTreeMap::from([("explain".to_owned(), format!("{} ({at})", lack.value)), ("place".to_owned(), at.clone())]);
        fields.extend(route.settings.get(LACKS_CURE).map(|cure| ("cure".to_owned(), cure.value.to_string())));
        let (name, text, source) = ("conf:lacks".to_owned(), format!("{at}: {}", lack.value), "configuration".to_owned());
        let subject = scene.named(gateway);
        book.add(Fact { name, subject, now: loaded, at: scene.now, text, source, fields });
        return;
    }
}

/// That the gateway says it connects elsewhere than its file says, for a server that a failing request needs.
fn differs_live(scene: &Scene, gateway: &Gateway) -> Option<Fact> {
    let live = scene.lives.iter().find(|live| live.is_of(gateway))?;
    let failing: Vec<&ProbeHistory> = scene.probes_of("gateway").filter(|history| fails(history)).collect();
    let needed = |file: &Address| failing.iter().any(|history| history.last.job.upstreams.contains(&Subject(file.to_string())));
    let (name, old, new) = if let Some((server, old, new)) = moved(gateway, live).find(|(_, _, file)| needed(file)) {
        (format!("{}/{}", server.pool, server.name), old, new)
    } else {
        // What runs tells its addresses alone: one that a failing request needs is not among them.
        let (connects, disk) = (live.connects.as_ref()?, whole(gateway).then(|| addresses(gateway))?);
        let new = disk.iter().copied().find(|address| !connects.contains(address) && needed(address))?;
        let old = connects.iter().find(|address| !disk.contains(address))?;
        ("its upstream".to_owned(), old, new)
    };
    let mut fields = BTreeMap::from([
        ("old".to_owned(), old.to_string()),
        ("new".to_owned(), new.to_string()),
        ("server".to_owned(), name.clone()),
    ]);
    if let RunState::Running { workers_since: Some(loaded), .. } = gateway.state {
        fields.insert("loaded".to_owned(), format!("{}Z", clock_of(loaded)));
        if let Some((edited, file)) = gateway.files.iter().filter_map(|(path, modified)| Some(((*modified)?, path))).max() {
            fields
                .extend([("file".to_owned(), file.display().to_string()), ("edited".to_owned(), format!("{}Z", clock_of(edited)))]);
        }
    }
    Some(Fact {
        name: "conf:running-differs".to_owned(),
        subject: scene.named(gateway),
        now: true,
        at: scene.now,
        text: format!("{} connects to {old} for {name}, the configuration on disk names {new}", gateway.kind),
        source: live.source.clone(),
        fields,
    })
}

/// Whether a request through the gateway fails now.
fn fails(history: &ProbeHistory) -> bool {
    probes::window(history).iter().any(|result| symptom::failed(&result.outcome))
}

/// Whether every server that the configuration on disk has for this request answers it.
fn disk_serves(scene: &Scene, through: &ProbeHistory) -> bool {
    let upstreams = &through.last.job.upstreams;
    let serves = |upstream: &Subject| {
        let mut tried = scene.probes_about("upstream", upstream).peekable();
        tried.peek().is_some()
            && tried.all(|history| probes::window(history).iter().all(|result| result.outcome.serves() == Some(true)))
    };
    !upstreams.is_empty() && upstreams.iter().all(serves)
}

/// An upstream that the gateway connects to now and that no file names: the latest, with its lines.
fn strays<'a>(scene: &'a Scene, gateway: &Gateway, loaded: i64, edited: i64) -> Option<(Address, &'a LogGroup)> {
    if !whole(gateway) {
        return None;
    }
    let log = |source: &str| wrote(scene, gateway, source);
    let stray = |group: &'a LogGroup| {
        let last = group.last_second()?;
        let grace = if group.last.contains("upstream timed out") { TIMEOUT_S } else { grace(gateway) };
        let current = last > loaded + grace && scene.now.wall_s() - last <= NOW_S && (group.live > 0 || last > edited);
        let address = upstream_of(scene, group)?;
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

/// Seconds after the load in which a line may still be told by what ran before it. A start has nothing before it.
fn grace(gateway: &Gateway) -> i64 {
    match gateway.state {
        RunState::Running { since: Some(since), workers_since: Some(loaded), .. } if loaded - since <= START_S => START_S,
        RunState::Running { .. } | RunState::Stopped { .. } => GRACE_S,
    }
}

/// Whether the files say all: where something was not read or is decided by the request, they do not.
fn whole(gateway: &Gateway) -> bool {
    let log = |source: &str| gateway.logs.iter().any(|log| log.is(source));
    gateway.problems.is_empty()
        && gateway.blind.iter().all(|spot| log(&spot.source))
        && gateway.routes().all(|(_, route)| route.dynamic.is_none())
}

/// All addresses that the configuration on disk sends requests to.
fn addresses(gateway: &Gateway) -> BTreeSet<&Address> {
    gateway.routes().flat_map(|(_, route)| &route.servers).map(|server| &server.address).collect()
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
