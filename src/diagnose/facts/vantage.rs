//! Facts about what somebody elsewhere sees, against what is seen here: `vantage:...`, `via:...`.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, ProbeResult, Scene, symptom},
    model::{Fact, Outcome, Subject},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["vantage:fails-only-there", "vantage:fails-too", "vantage:ok", "via:fails-only-there"].map(str::to_owned).into()
}

/// The facts. They are about each gateway: nobody knows which of them the other one would have reached.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let subjects: Vec<Subject> = scene.gateways.iter().map(|gateway| scene.named(gateway)).collect();
    let mut add = |name: &str, text: &str, source: &str, fields: &BTreeMap<String, String>| {
        for subject in &subjects {
            if book.find(name, &[subject]).is_none() {
                let (name, subject, text) = (name.to_owned(), subject.clone(), text.to_owned());
                let source = source.to_owned();
                book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: fields.clone() });
            }
        }
    };
    // What fails here as well is none of the other's troubles.
    let here = ["gateway", "client"].map(|probe| state(scene, probe));
    let all_well = here.contains(&Some(true)) && !here.contains(&Some(false));
    for seen in &scene.vantages {
        let Some(served) = seen.served() else { continue };
        let what = seen.client.as_deref().unwrap_or_default();
        let url = seen.target.as_deref().or(seen.url.as_deref()).unwrap_or("the URL");
        let fields = BTreeMap::from([("vantage".to_owned(), seen.host.clone()), ("seen".to_owned(), what.to_owned())]);
        let source = format!("why502 on {}, {}", seen.host, seen.at);
        match (served, all_well) {
            (true, _) => add("vantage:ok", &format!("a client on {} is served: {url}, {what}", seen.host), &source, &fields),
            (false, true) => {
                let text = format!("a client on {} gets {what} for {url}, and from here everything is served", seen.host);
                add("vantage:fails-only-there", &text, &source, &fields);
            }
            (false, false) => {
                let text = format!("a client on {} gets {what} for {url}: it fails from there, too", seen.host);
                add("vantage:fails-too", &text, &source, &fields);
            }
        }
    }
    for history in scene.probes_of("via").filter(|_| all_well) {
        // An answer that only who goes by the proxy gets is the proxy's: 403, 407.
        let differs = |outcome: &Outcome| matches!(outcome, Outcome::Status(400..=499)) && !straight_alike(scene, outcome);
        let fails = |result: &&ProbeResult| symptom::failed(&result.outcome) || differs(&result.outcome);
        let Some(last) = history.results.back().filter(fails) else { continue };
        let via = history.last.job.via.clone().unwrap_or_default();
        let who = history.last.emitter.as_ref().map_or_else(String::new, |who| format!(", made by {who}"));
        let (seen, text) = if let Some(fault) = &history.last.proxy_fault {
            let text = format!("by way of {via} a client is not served: of the proxy itself, {fault}; straight it is served");
            (format!("no answer of the site, because of the proxy itself: {fault}"), text)
        } else {
            (last.outcome.to_string(), format!("by way of {via} a client gets {}{who}, and straight it is served", last.outcome))
        };
        let fields = BTreeMap::from([("vantage".to_owned(), via), ("seen".to_owned(), seen)]);
        add("via:fails-only-there", &text, "probe by way of a proxy", &fields);
    }
    for subject in &subjects {
        for family in ["vantage", "via"] {
            if (family == "vantage" && !scene.vantages.is_empty()) || (family == "via" && state(scene, "via").is_some()) {
                book.look(family, subject);
            }
        }
    }
}

/// Whether somebody who goes straight gets the same.
fn straight_alike(scene: &Scene, outcome: &Outcome) -> bool {
    let mut straight = ["gateway", "client"].into_iter().flat_map(|probe| scene.probes_of(probe));
    straight.any(|history| history.results.back().is_some_and(|result| result.outcome == *outcome))
}

/// Whether all requests of this kind are served now. `None`: none was made.
fn state(scene: &Scene, probe: &str) -> Option<bool> {
    let made =
        |history: &&ProbeHistory| probes::window(history).iter().any(|result| !matches!(result.outcome, Outcome::Skipped(_)));
    let mut made = scene.probes_of(probe).filter(made).peekable();
    made.peek()?;
    Some(made.all(|history| probes::window(history).iter().all(|result| !symptom::failed(&result.outcome))))
}
