//! From facts to ranked causes.
//!
//! A cause is weighed for each subject that it can be about. Each fact for it removes its share of the doubt that is left
//! (`1 - (1-w1)(1-w2)...`), each fact against it takes its share of the score away; both fade with age when they come from a
//! log. The words have fixed meanings:
//!
//! - **confirmed**: direct proof holds now, everything that the cause needs to have been looked at was, and nothing of
//!   weight speaks against it;
//! - **likely**: it has more than even odds on what is known;
//! - **possible**: something speaks for it.

use std::collections::{BTreeMap, BTreeSet};

use super::{FactBook, Scene, facts, symptom};
use crate::{
    catalog::{About, AdviceSpec, Catalog, CauseSpec, EvidenceSpec, Rank},
    model::{Address, Advice, Cause, Command, Confidence, Evidence, Fact, Gateway, Outcome, Role, Route, RuledOut, Site, Subject},
};

/// From here on a cause is worth a line.
const POSSIBLE: f64 = 0.15;
/// From here on it is likely.
const LIKELY: f64 = 0.5;
/// A score that direct proof must reach to confirm.
const CONFIRMED: f64 = 0.7;
/// Evidence against of this weight forbids the word confirmed.
const SERIOUS: f64 = 0.3;
/// A cause takes its consequences below itself when its score is at least this share of theirs.
const EXPLAINS: f64 = 0.6;
/// Causes that are listed, at most.
const LISTED: usize = 12;

/// Ranked causes, and those that were excluded.
pub fn rank(scene: &Scene, catalog: &Catalog, book: &FactBook, symptom: &symptom::View) -> (Vec<Cause>, Vec<RuledOut>) {
    let mut causes = Vec::new();
    let mut ruled_out = Vec::new();
    for spec in &catalog.causes {
        for scope in scopes(scene, book, spec.about) {
            if !spec.standalone && !scope.fails(scene, symptom) {
                continue;
            }
            let subjects = scope.subjects();
            if let Some(fact) = spec.excluded_by.iter().find_map(|name| book.find(name, &subjects)) {
                ruled_out.push(RuledOut { id: spec.id.clone(), because: fact.text.clone() });
            } else if let Some(cause) = weigh(scene, catalog, spec, &scope, &subjects, book, symptom) {
                causes.push(cause);
            }
        }
    }
    order(&mut causes, catalog);
    ruled_out.retain(|out| !causes.iter().any(|cause| cause.id == out.id));
    ruled_out.sort_by(|a, b| a.id.cmp(&b.id));
    ruled_out.dedup_by(|a, b| a.id == b.id);
    (causes, ruled_out)
}

/// What a cause can be about, with everything that bears on it.
struct Scope<'a> {
    subject: Subject,
    /// URLs of the requests that pass here, and for an upstream its gateway and the host.
    wider: Vec<Subject>,
    gateway: Option<&'a Gateway>,
    route: Option<(&'a Site, &'a Route)>,
    about: About,
}

impl Scope<'_> {
    fn subjects(&self) -> Vec<&Subject> {
        std::iter::once(&self.subject).chain(&self.wider).collect()
    }

    /// Whether something fails that this could be the cause of.
    fn fails(&self, scene: &Scene, symptom: &symptom::View) -> bool {
        if scene.excerpt() {
            return true;
        }
        if self.about != About::Upstream {
            return symptom.failing;
        }
        let through: Vec<_> =
            scene.probes_of("gateway").filter(|history| history.last.job.upstreams.contains(&self.subject)).collect();
        if through.iter().any(|history| facts::window(history).iter().any(|result| symptom::failed(&result.outcome))) {
            return true;
        }
        // The gateway serves every request that could go there. A dead server of a pool is a fault all the same; a direct probe
        // that fails where the only server serves the gateway is a defect of the probe.
        let alone =
            self.route.is_none_or(|(_, route)| route.servers.iter().filter(|server| server.role == Role::Primary).count() < 2);
        if !through.is_empty() && alone {
            return symptom.failing && symptom.subject.is_none();
        }
        scene.probes_of("upstream").any(|history| {
            history.last.job.subject == self.subject && facts::window(history).iter().any(|r| r.outcome.serves() == Some(false))
        })
    }
}

/// Everything that a cause of this kind can be about.
fn scopes<'a>(scene: &'a Scene, book: &FactBook, about: About) -> Vec<Scope<'a>> {
    let urls = |upstream: Option<&Subject>| -> Vec<Subject> {
        scene
            .probes_of("gateway")
            .filter(|history| upstream.is_none_or(|upstream| history.last.job.upstreams.contains(upstream)))
            .map(|history| history.last.job.subject.clone())
            .collect()
    };
    match about {
        About::Host => vec![Scope { subject: Subject::host(), wider: urls(None), gateway: None, route: None, about }],
        // Of an excerpt no gateway is known, but the log that its lines come from.
        About::Gateway if scene.excerpt() => {
            let logs: BTreeSet<&Subject> = book.facts.iter().map(|fact| &fact.subject).collect();
            let sources = logs.into_iter().filter(|subject| subject.0.parse::<Address>().is_err() && **subject != Subject::host());
            sources
                .map(|subject| Scope { subject: subject.clone(), wider: Vec::new(), gateway: None, route: None, about })
                .collect()
        }
        About::Gateway => scene
            .gateways
            .iter()
            .map(|gateway| {
                let wider = urls(None).into_iter().chain([Subject::host()]).collect();
                Scope { subject: Subject(gateway.kind.clone()), wider, gateway: Some(gateway), route: None, about }
            })
            .collect(),
        About::Upstream => {
            let mut scopes: BTreeMap<Subject, Scope<'a>> = BTreeMap::new();
            for gateway in &scene.gateways {
                for (site, route) in gateway.routes() {
                    for server in route.servers.iter().filter(|server| server.role != Role::Down) {
                        let subject = Subject(server.address.to_string());
                        scopes.entry(subject.clone()).or_insert_with(|| Scope {
                            wider: urls(Some(&subject))
                                .into_iter()
                                .chain([Subject(gateway.kind.clone()), Subject::host()])
                                .collect(),
                            subject,
                            gateway: Some(gateway),
                            route: Some((site, route)),
                            about,
                        });
                    }
                }
            }
            // Upstreams that only a log or a probe names: a configuration that was edited since, a name's addresses.
            let named = book.facts.iter().filter(|fact| fact.name.starts_with("log:") || fact.name.starts_with("probe:upstream:"));
            for fact in named.filter(|fact| fact.subject.0.parse::<Address>().is_ok()) {
                scopes.entry(fact.subject.clone()).or_insert_with(|| Scope {
                    subject: fact.subject.clone(),
                    wider: urls(Some(&fact.subject)).into_iter().chain([Subject::host()]).collect(),
                    gateway: scene.gateways.first(),
                    route: None,
                    about,
                });
            }
            if scene.excerpt() {
                // A line may name no upstream: a name that does not resolve has no address yet.
                let sources = scene.logs.values().map(|group| Subject(group.source.clone()));
                for subject in sources {
                    let known = Scope { subject: subject.clone(), wider: Vec::new(), gateway: None, route: None, about };
                    scopes.entry(subject).or_insert(known);
                }
            }
            scopes.into_values().collect()
        }
    }
}

/// How much a fact counts now: a live look counts whole, a log line the less the older it is.
fn freshness(scene: &Scene, fact: &Fact) -> f64 {
    if fact.now {
        return 1.0;
    }
    match scene.now.wall_s() - fact.at.wall_s() {
        ..=60 => 1.0,
        61..=300 => 0.7,
        _ => 0.4,
    }
}

/// What the signatures themselves say they speak for, where the cause does not weigh them: a new signature needs no edit here
/// or there. The first cause that a signature names is what its line means to an expert who sees nothing else.
fn implied_by_signatures(catalog: &Catalog, spec: &CauseSpec, subjects: &[&Subject], book: &FactBook) -> Vec<EvidenceSpec> {
    let weighed = |name: &str| spec.evidence_for.iter().chain(&spec.against).any(|known| known.fact == name);
    let implied = |fact: &Fact| {
        let signature = catalog.signatures.by_id(fact.name.strip_prefix("log:")?)?;
        let place = signature.causes.iter().position(|id| *id == spec.id)?;
        let weight = match (signature.rank, place) {
            (Rank::Context, _) => return None,
            (Rank::Root, 0) => 0.6,
            (Rank::Symptom, 0) => 0.35,
            (Rank::Root | Rank::Symptom, _) => 0.1,
        };
        Some(EvidenceSpec { fact: fact.name.clone(), weight, proof: false, reason: None })
    };
    book.facts.iter().filter(|fact| subjects.contains(&&fact.subject) && !weighed(&fact.name)).filter_map(implied).collect()
}

/// One cause for one subject; `None`: nothing worth a line speaks for it.
fn weigh(
    scene: &Scene,
    catalog: &Catalog,
    spec: &CauseSpec,
    scope: &Scope<'_>,
    subjects: &[&Subject],
    book: &FactBook,
    symptom: &symptom::View,
) -> Option<Cause> {
    if !spec.requires.is_empty() && !spec.requires.iter().any(|name| book.find(name, subjects).is_some()) {
        return None;
    }
    let held = |specs: &[EvidenceSpec]| -> Vec<(f64, EvidenceSpec, Fact)> {
        let find = |spec: &EvidenceSpec| {
            let fact = book.find(&spec.fact, subjects)?;
            Some((spec.weight * freshness(scene, fact), spec.clone(), fact.clone()))
        };
        let mut held: Vec<_> = specs.iter().filter_map(find).collect();
        held.sort_by(|a, b| b.0.total_cmp(&a.0));
        held
    };
    let mut implied = spec.evidence_for.clone();
    implied.extend(implied_by_signatures(catalog, spec, subjects, book));
    let (speaking_for, against) = (held(&implied), held(&spec.against));
    let doubt = |list: &[(f64, EvidenceSpec, Fact)]| list.iter().map(|(weight, ..)| 1.0 - weight).product::<f64>();
    let score = (1.0 - doubt(&speaking_for)) * doubt(&against);
    if score < POSSIBLE {
        return None;
    }
    let unknown: Vec<String> = spec
        .needs
        .iter()
        .filter(|family| !book.looked_at(family, if family.as_str() == "log" { &[] } else { subjects }))
        .map(|family| looking(family))
        .collect();
    let proven = speaking_for.iter().any(|(_, spec, fact)| spec.proof && fact.now);
    let contradicted = against.iter().any(|(weight, ..)| *weight >= SERIOUS);
    let confidence = if proven && unknown.is_empty() && !contradicted && score >= CONFIRMED {
        Confidence::Confirmed
    } else if score >= LIKELY {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    let fields = fields(scene, scope, &speaking_for, symptom);
    let evidence = |list: &[(f64, EvidenceSpec, Fact)]| {
        list.iter()
            .map(|(weight, _, fact)| Evidence {
                fact: fact.name.clone(),
                text: fact.text.clone(),
                source: fact.source.clone(),
                weight: *weight,
            })
            .collect()
    };
    let advise = |list: &[AdviceSpec]| list.iter().filter_map(|spec| advice(spec, &fields, scope.gateway)).collect();
    Some(Cause {
        id: spec.id.clone(),
        reason: speaking_for.iter().find_map(|(_, spec, fact)| fill(spec.reason.as_ref()?, &fact.fields)),
        confidence,
        score: (score * 100.0).round() / 100.0,
        subject: scope.subject.clone(),
        summary: spec.summary.iter().find_map(|text| fill(text, &fields)).unwrap_or_else(|| spec.title.clone()),
        evidence_for: evidence(&speaking_for),
        against: evidence(&against),
        unknown,
        explains: Vec::new(),
        mitigate: advise(&spec.mitigate),
        fix: advise(&spec.fix),
        verify: advise(&spec.verify),
    })
}

/// What is missing when a family was not looked at.
fn looking(family: &str) -> String {
    match family {
        "listen" => "which process listens where was not seen".to_owned(),
        "log" => "no log was read".to_owned(),
        "gateway" => "the gateway's process was not seen".to_owned(),
        other => match other.strip_prefix("probe:") {
            Some(probe) => format!("the {probe} probe was not made"),
            None => format!("{other} was not looked at"),
        },
    }
}

/// Values for sentences and commands: those of the evidence, strongest first, and those of the place.
fn fields(
    scene: &Scene,
    scope: &Scope<'_>,
    evidence: &[(f64, EvidenceSpec, Fact)],
    symptom: &symptom::View,
) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        fields.entry(key.to_owned()).or_insert(value);
    };
    set("subject", scope.subject.0.clone());
    if let Some(gateway) = scope.gateway {
        set("gateway", gateway.kind.clone());
        set("config", gateway.config.display().to_string());
        if let Some(identity) = &gateway.identity {
            set("gateway_user", identity.name.clone());
        }
        if let Some(log) = gateway.logs.iter().find(|log| log.kind == crate::model::SourceKind::Error) {
            set("error_log", log.id());
        }
    }
    if let Some((site, route)) = scope.route {
        let server = route.servers.iter().find(|server| server.address.to_string() == scope.subject.0);
        set("place", server.map_or(&route.at, |server| &server.at).to_string());
        set("scheme", route.protocol.scheme().to_owned());
        if let Some(host) = site.host() {
            set("host", host.to_owned());
        }
        if route.servers.len() > 1 {
            set("pool_size", route.servers.len().to_string());
        }
        set("read_s", (route.read_ms / 1000).to_string());
    }
    match scope.subject.0.parse() {
        Ok(Address::Unix(path)) => {
            set("socket", path.display().to_string());
            if let Some(dir) = path.parent() {
                set("dir", dir.display().to_string());
            }
        }
        Ok(Address::Tcp(at)) => set("port", at.port().to_string()),
        Ok(Address::Name(name, port)) => {
            set("name", name);
            set("port", port.to_string());
        }
        Err(_) => {}
    }
    if let Some(url) = &symptom.url {
        set("url", url.clone());
    }
    if let Some(history) = scene.probes_of("upstream").find(|history| history.last.job.subject == scope.subject) {
        if let Some(request) = &history.last.job.request {
            set("path", request.path.clone());
            set("host", request.host.clone());
        }
        if let Outcome::Status(status) = history.last.outcome {
            set("status", status.to_string());
        }
    }
    for (_, _, fact) in evidence {
        for (key, value) in &fact.fields {
            set(key, value.clone());
        }
    }
    fields
}

/// A text with its `{fields}` filled in; `None` when one is not known. `%{http_code}` is curl's own and stays.
fn fill(text: &str, fields: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}')?;
        out.push_str(before);
        if before.ends_with('%') {
            out.push_str(&format!("{{{key}}}"));
        } else {
            out.push_str(fields.get(key)?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Advice with its fields filled in. `{@reload}` stands for the gateway's own words of that command.
fn advice(spec: &AdviceSpec, fields: &BTreeMap<String, String>, gateway: Option<&Gateway>) -> Option<Advice> {
    let text = fill(&spec.text, fields)?;
    if spec.run.is_empty() {
        return Some(Advice { text, command: None });
    }
    let mut words = Vec::new();
    for word in &spec.run {
        match word.strip_prefix("{@").and_then(|rest| rest.strip_suffix('}')) {
            Some(command) => words.extend(gateway?.commands.get(command)?.iter().cloned()),
            None => words.push(fill(word, fields)?),
        }
    }
    Some(Advice { text, command: Some(Command::new(words)?) })
}

/// Best first, and what follows from a cause below it.
fn order(causes: &mut Vec<Cause>, catalog: &Catalog) {
    causes.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.id.cmp(&b.id)).then_with(|| a.subject.cmp(&b.subject)));
    let mut explained: BTreeSet<(String, Subject)> = BTreeSet::new();
    let mut links = Vec::new();
    for (index, root) in causes.iter().enumerate() {
        let Some(spec) = catalog.cause(&root.id) else { continue };
        for other in causes.iter().filter(|other| spec.explains.contains(&other.id)) {
            let same = other.subject == root.subject || spec.about != About::Upstream;
            let reversed =
                catalog.cause(&other.id).is_some_and(|spec| spec.explains.contains(&root.id)) && other.score > root.score;
            if same && !reversed && root.score >= other.score * EXPLAINS {
                explained.insert((other.id.clone(), other.subject.clone()));
                links.push((index, (other.id.clone(), other.subject.clone())));
            }
        }
    }
    for (index, link) in links {
        causes[index].explains.push(link);
    }
    // Stable: within each half the order by score stays.
    causes.sort_by_key(|cause| explained.contains(&(cause.id.clone(), cause.subject.clone())));
    causes.truncate(LISTED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_field_that_is_not_known_is_no_text() {
        let fields = BTreeMap::from([("subject".to_owned(), "127.0.0.1:8000".to_owned())]);
        assert_eq!(fill("nothing on {subject}.", &fields).as_deref(), Some("nothing on 127.0.0.1:8000."));
        assert_eq!(fill("restart {unit}", &fields), None);
        assert_eq!(fill("%{http_code} {subject}", &fields).as_deref(), Some("%{http_code} 127.0.0.1:8000"));
        assert_eq!(fill("a { without an end", &fields), None);
    }
}
