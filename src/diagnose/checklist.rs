//! The checklist: steps tick themselves from facts.

use super::{FactBook, Scene, facts::family};
use crate::{
    catalog::{AdviceSpec, Catalog, Signature, StepSpec},
    model::{Address, Advice, CheckState, Command, Fact, Gateway, LogPlace, SourceKind, StepState, Subject},
};

/// Each step of the catalogue with its state. `about`: what the first cause is about, if there is one.
pub fn steps(scene: &Scene, catalog: &Catalog, book: &FactBook, about: Option<&Subject>) -> Vec<StepState> {
    let lines: Vec<(&Fact, &Signature)> = book.lines(catalog).collect();
    catalog.steps.iter().map(|step| state((scene, catalog), step, book, &lines, about)).collect()
}

fn state(
    (scene, catalog): (&Scene, &Catalog),
    step: &StepSpec,
    book: &FactBook,
    lines: &[(&Fact, &Signature)],
    about: Option<&Subject>,
) -> StepState {
    // Where the failing upstream itself was looked at, another one that is well proves nothing.
    let find = |name: &String| match about {
        Some(subject) if book.looked_at(family(name), &[subject]) => book.find(name, &[subject]),
        Some(_) | None => book.any(name),
    };
    let first = |names: &[String]| names.iter().find_map(find);
    let line = || lines.iter().find(|(_, signature)| signature.causes.first().is_some_and(|cause| step.fail_lines.contains(cause)));
    let (state, text, at) = if let Some(ticked) = scene.operator.steps.get(&step.id) {
        (ticked.state, ticked.reason.clone().unwrap_or_default(), Some(ticked.at))
    } else if let Some(fact) = first(&step.fail).or_else(|| line().map(|(fact, _)| *fact)) {
        (CheckState::Fail, fact.text.clone(), Some(fact.at))
    } else if let Some(fact) = first(&step.not_applicable) {
        (CheckState::NotApplicable, fact.text.clone(), Some(fact.at))
    } else if let Some(fact) = first(&step.pass) {
        (CheckState::Pass, fact.text.clone(), Some(fact.at))
    } else if let Some(help) = step.open_status.then(|| status_help(scene, catalog)).flatten() {
        (CheckState::Unknown, help, None)
    } else if step.fail.is_empty() && step.pass.is_empty() {
        (CheckState::Unknown, "for a person to check".to_owned(), None)
    } else {
        (CheckState::Unknown, step.untold.clone().unwrap_or_else(|| "not looked at".to_owned()), None)
    };
    StepState { id: step.id.clone(), state, text, at, command: command(&step.check, scene) }
}

/// Programs whose help is told at once.
const HELPED: usize = 3;

/// How the state of what runs here is opened, where it tells nothing of itself.
fn status_help(scene: &Scene, catalog: &Catalog) -> Option<String> {
    let silent = |gateway: &&Gateway| gateway.running() && !scene.lives.iter().any(|live| live.is_of(gateway));
    let gateways = scene.gateways.iter().filter(silent).filter_map(|gateway| catalog.services.status_of(&gateway.kind));
    let owners = scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
    let owners = owners.filter_map(|server| scene.listeners.as_ref()?.taking(&server.address)?.owner.as_ref());
    let untold = owners.filter(|owner| !scene.workers.iter().any(|told| told.pid == owner.pid || told.pid == owner.ppid));
    let mut texts: Vec<String> = Vec::new();
    for help in gateways.chain(untold.filter_map(|owner| catalog.services.status_of_process(owner))) {
        let text = help.text();
        if texts.len() < HELPED && !texts.contains(&text) {
            texts.push(text);
        }
    }
    (!texts.is_empty()).then(|| format!("not open; to open it: {}", texts.join("; ")))
}

/// The host of a URL, without its port.
fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let port = authority.rsplit_once(':').filter(|(host, port)| !host.ends_with(':') && port.bytes().all(|b| b.is_ascii_digit()));
    Some(port.map_or(authority, |(host, _)| host))
}

/// The command that reads the end of the application's own log, or of the journal where none is known.
fn end_of_app_log(scene: &Scene) -> Vec<String> {
    let found = scene.sources.iter().find(|log| log.kind == SourceKind::App);
    let words: &[&str] = match found.map(|log| &log.place) {
        Some(LogPlace::File(path)) => &["tail", "-n", "50", &path.display().to_string()],
        Some(LogPlace::Journal(unit)) => &["journalctl", "-n", "50", "-u", unit],
        None => &["journalctl", "-n", "50", "-p", "warning"],
    };
    words.iter().map(ToString::to_string).collect()
}

/// The step's command, with the gateway's own words for it where there is a gateway.
fn command(spec: &AdviceSpec, scene: &Scene) -> Option<Advice> {
    let gateway = scene.gateways.first();
    let url = scene
        .probes_of("gateway")
        .next()
        .map_or_else(|| "http://127.0.0.1/".to_owned(), |history| super::symptom::url_of(&history.last));
    let upstream = scene.probes_of("upstream").next().map(|history| history.last.job.address.bare().to_string());
    let mut words = Vec::new();
    for word in &spec.run {
        match word.as_str() {
            "{url}" => words.push(url.clone()),
            "{config_dir}" => words.push(gateway?.config.parent()?.display().to_string()),
            "{host}" => words.push(host_of(&url)?.to_owned()),
            "{upstream}" => words.push(upstream.clone()?),
            "{upstream_host}" => words.push(match scene.probes_of("upstream").next()?.last.job.address.bare() {
                Address::Tcp(socket) => socket.ip().to_string(),
                Address::Name(name, _) => name.clone(),
                Address::Unix(_) | Address::Inside(..) => return None,
            }),
            "{@app_log}" => words.extend(end_of_app_log(scene)),
            "{error_log}" => words.push(gateway?.logs.iter().find(|log| log.kind == SourceKind::Error)?.id()),
            other => match other.strip_prefix("{@").and_then(|rest| rest.strip_suffix('}')) {
                Some(name) => words.extend(gateway?.commands.get(name)?.iter().cloned()),
                None => words.push(other.to_owned()),
            },
        }
    }
    Some(Advice { text: spec.text.clone(), command: Command::new(words) })
}
