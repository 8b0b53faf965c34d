//! Facts about who made an answer that fails: `who:...`. This gateway, the server behind it, or something in front.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, answer::Configured, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene, nested::Entrances, symptom},
    model::{Fact, HttpRequest, Outcome, SourceKind, Subject},
};

/// The probe that sees what a client sees.
const CLIENT: &str = "client";

/// What stands in every User-Agent of ours (`probe::http1::user_agent`).
const MARK: &str = "why502/";
/// Latest lines that are looked through for it.
const LINES: usize = 400;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["who:gateway", "who:upstream", "who:nested", "who:in-front", "who:front-broken", "who:front-unreached"]
        .map(str::to_owned)
        .into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let entrances = Entrances::of(scene);
    for through in scene.probes_of("gateway") {
        made_here_or_behind(scene, &entrances, through, book);
    }
    for history in scene.probes_of("upstream") {
        nested(scene, history, book);
    }
    for client in scene.probes_of(CLIENT) {
        in_front(scene, &entrances, client, book);
    }
}

/// The status of the latest answer, where it is a failure.
pub fn failing_status(history: &ProbeHistory) -> Option<u16> {
    match history.results.back()?.outcome {
        Outcome::Status(status @ 500..=599) => Some(status),
        _ => None,
    }
}

fn emitter(history: &ProbeHistory) -> &str {
    history.last.emitter.as_deref().unwrap_or("a server without a name")
}

/// A failing answer of the gateway: its own, or passed on?
fn made_here_or_behind(scene: &Scene, entrances: &Entrances<'_>, through: &ProbeHistory, book: &mut FactBook) {
    let job = &through.last.job;
    let Some(status) = failing_status(through) else { return };
    book.look("who", &job.subject);
    let mut fact = |name: &str, text: String, source: String, fields: BTreeMap<String, String>| {
        let (name, subject) = (name.to_owned(), job.subject.clone());
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
    };
    if let Some(Configured { gateway, said, .. }) = super::answer::configured(scene, entrances, through) {
        let at = said.at.as_ref().map(|at| format!(" ({at})")).unwrap_or_default();
        let fields = [("emitter", gateway.kind.clone()), ("status", status.to_string())];
        let text = format!("{} itself makes the {status}: `{}`{at}", gateway.kind, said.value);
        let fields = fields.map(|(key, value)| (key.to_owned(), value)).into();
        return fact("who:gateway", text, "configuration".to_owned(), fields);
    }
    let servers: BTreeSet<&Subject> = job.upstreams.iter().collect();
    let behind = || scene.probes_of("upstream").filter(|history| servers.contains(&history.last.job.subject));
    // Nearest first: whoever is nearest and says the same has at least passed it on.
    let same = behind().find(|history| failing_status(history) == Some(status));
    if let Some(upstream) = same {
        let who = emitter(upstream);
        let text =
            format!("the {status} is not this gateway's: {} ({who}) answers it to the same request", upstream.last.job.address);
        let fields =
            [("emitter", who.to_owned()), ("status", status.to_string()), ("upstream", upstream.last.job.subject.to_string())];
        fact("who:upstream", text, "probe".to_owned(), fields.map(|(key, value)| (key.to_owned(), value)).into());
        return;
    }
    if let Some((source, true)) = logged(scene, status) {
        let text =
            format!("the {status} is not this gateway's: the line of our request in its access log says that the upstream gave it");
        return fact("who:upstream", text, source, BTreeMap::from([("status".to_owned(), status.to_string())]));
    }
    let host = job.request.as_ref().map_or("", |request: &HttpRequest| request.host.as_str());
    let kind = entrances.taking(&job.address, host).map(|entrance| entrance.gateway.kind.as_str());
    let own = through.last.own_page && kind.is_some() && through.last.emitter.as_deref() == kind;
    let broken = behind().find(|history| history.results.back().is_some_and(|result| result.outcome.serves() == Some(false)));
    if own || broken.is_some() {
        let kind = kind.unwrap_or("the gateway");
        let why = broken.map_or_else(String::new, |history| {
            let outcome = history.results.back().map(|result| result.outcome.to_string()).unwrap_or_default();
            format!(", and what it found behind is {outcome} at {}", history.last.job.address)
        });
        let page = if own { "it is its own page" } else { "no server behind it gives such an answer" };
        let fields = [("emitter", kind.to_owned()), ("status", status.to_string())];
        let fields = fields.map(|(key, value)| (key.to_owned(), value)).into();
        fact("who:gateway", format!("{kind} itself makes the {status}: {page}{why}"), "probe".to_owned(), fields);
    }
}

/// What the gateway's own access log says of the latest request of ours that got this status: in which log, and whether the
/// upstream gave the answer. `None`: no such line, or a log format that does not tell.
fn logged(scene: &Scene, status: u16) -> Option<(String, bool)> {
    let mut ours = scene.recent.latest().take(LINES).filter(|(_, line)| line.text.contains(MARK));
    ours.find_map(|(source, line)| {
        let group = scene.logs.values().find(|group| group.number == line.group && group.source == source)?;
        let upstream = group.key.split(' ').find_map(|word| word.strip_prefix("by="))? == "upstream";
        (group.kind == SourceKind::Access && group.meaning.status == Some(status)).then(|| (source.to_owned(), upstream))
    })
}

/// A server behind that answers with the page of a gateway which fails, whatever the status is: Apache says 500 where nginx
/// says 502 (a handshake that fails, a name that does not resolve).
fn nested(scene: &Scene, history: &ProbeHistory, book: &mut FactBook) {
    let job = &history.last.job;
    let (Some(status), true) = (failing_status(history), history.last.own_page) else { return };
    if book.find("who:nested", &[&job.subject]).is_some() {
        return;
    }
    let who = emitter(history);
    let text = format!("{} answers {status} with the page that {who} has for a gateway which fails", job.label());
    let fields = [("emitter", who.to_owned()), ("status", status.to_string())];
    let (name, subject, source) = ("who:nested".to_owned(), job.subject.clone(), "probe".to_owned());
    let fields = fields.map(|(key, value)| (key.to_owned(), value)).into();
    book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
}

/// What fails for a client while this gateway serves the same request well.
fn in_front(scene: &Scene, entrances: &Entrances<'_>, client: &ProbeHistory, book: &mut FactBook) {
    let job = &client.last.job;
    let Some(request) = &job.request else { return };
    // A cause is about the gateway that serves it, so it must be known, and tried.
    let served = |history: &&ProbeHistory| {
        let results = probes::window(history);
        !results.is_empty()
            && results.iter().all(|result| result.outcome.serves() == Some(true) && !symptom::failed(&result.outcome))
    };
    let Some(through) = scene.probes_of("gateway").filter(|history| alike(request, history)).find(served) else { return };
    let Some(entrance) =
        entrances.taking(&through.last.job.address, through.last.job.request.as_ref().map_or("", |request| &request.host))
    else {
        return;
    };
    let subject = Subject(entrance.gateway.kind.clone());
    book.look("who", &subject);
    // Whom the client reached is one of this host's own gateways: nothing is in front.
    if client.last.peer.as_ref().is_some_and(|peer| entrances.taking(peer, &request.host).is_some()) {
        return;
    }
    let results = probes::window(client);
    let Some(last) = results.first().filter(|result| symptom::failed(&result.outcome)) else { return };
    let count = results.iter().filter(|result| symptom::failed(&result.outcome)).count();
    let (url, peer) = (symptom::url_of(&client.last), client.last.peer.as_ref().map(ToString::to_string));
    let mut fields: BTreeMap<String, String> = [
        ("public", url.clone()),
        ("outcome", last.outcome.to_string()),
        ("count", count.to_string()),
        ("tries", results.len().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    fields.insert("emitter".to_owned(), client.last.emitter.clone().unwrap_or_else(|| "unknown".to_owned()));
    fields.extend(peer.clone().map(|peer| ("front".to_owned(), peer)));
    let at = peer.map_or_else(String::new, |peer| format!(" at {peer}"));
    let (name, text) = match &last.outcome {
        Outcome::Status(status) => (
            "who:in-front",
            format!(
                "{url} gives a client {status}, made by {}{at}, {count} of {}; the same request to this gateway is served",
                emitter(client),
                results.len()
            ),
        ),
        // From the inside the public address is often not to be reached at all (no hairpin NAT), so this proves little.
        Outcome::Timeout(_) | Outcome::Unreachable | Outcome::NoLocalPort | Outcome::Os(_) | Outcome::Name(_) => (
            "who:front-unreached",
            format!(
                "{url} is not to be reached from here as a client reaches it ({}){at}; the same request to this gateway is served",
                last.outcome
            ),
        ),
        // Nobody asked for that address: its name may be known to this host alone.
        _ if scene.run.as_ref().is_none_or(|run| run.url.is_none()) => return,
        outcome => (
            "who:front-broken",
            format!("{url} gives a client {outcome}{at}, {count} of {}; the same request to this gateway is served", results.len()),
        ),
    };
    let (name, source) = (name.to_owned(), "probe as a client".to_owned());
    if book.find(&name, &[&subject]).is_none() {
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
    }
}

/// Whether a request through the gateway is the same as the client's: the path, and the name if the gateway is asked for one.
fn alike(request: &HttpRequest, through: &ProbeHistory) -> bool {
    let bare = |host: &str| host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    through.last.job.request.as_ref().is_some_and(|own| own.path == request.path && bare(&own.host) == bare(&request.host))
}
