//! Facts about health checks that nobody tells the result of: `check:...`. Where the gateway answers for a server by itself, and
//! that server answers us, its check may be what fails; whether it does is seen by making it.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene},
    model::{Fact, Gateway, HEALTH_CHECK, Outcome, Role, Route, Server, Subject},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["check:fails", "check:unconfirmed"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        let checked = |route: &&Route| route.settings.contains_key(HEALTH_CHECK);
        for route in gateway.routes().map(|(_, route)| route).filter(checked) {
            for server in route.servers.iter().filter(|server| server.role == Role::Primary) {
                about(scene, gateway, route, server, book);
            }
        }
    }
}

fn about(scene: &Scene, gateway: &Gateway, route: &Route, server: &Server, book: &mut FactBook) {
    let subject = Subject(server.address.to_string());
    if book.looked_at("check", &[&subject]) {
        return;
    }
    book.look("check", &subject);
    let own = scene.probes_through(&subject);
    let Some(through) = own.filter(|history| is_of_gateway(gateway, history)).find(|history| last(history).is_some()) else {
        return;
    };
    let mut straight = scene.probes_about("upstream", &subject).peekable();
    let Some(label) = straight.peek().map(|history| history.last.job.label()) else { return };
    if !straight.all(|history| probes::window(history).iter().all(|result| result.outcome.serves() == Some(true))) {
        return;
    }
    let name = server.name.as_ref().map_or_else(|| subject.0.clone(), ToString::to_string);
    let pool = route.pool.as_deref().unwrap_or_default();
    let mut fields = BTreeMap::from([("server".to_owned(), format!("{pool}/{name}"))]);
    let status = last(through).map_or_else(String::new, ToString::to_string);
    let check = scene.probes_about("check", &subject).find_map(|history| {
        let result = history.results.back()?;
        let passes = matches!(result.outcome, Outcome::Status(200..=399) | Outcome::Open);
        (!passes && !matches!(result.outcome, Outcome::Skipped(_))).then(|| (history.last.job.label(), result.outcome.to_string()))
    });
    let said = format!("{} itself answers {status}, and {label} is answered by {subject}", gateway.kind);
    let (name, text) = match check {
        Some((check, outcome)) => {
            fields.insert("check".to_owned(), format!("{check} gives {outcome}"));
            ("check:fails", format!("{said}; its check, {check}, gives {outcome}"))
        }
        None => ("check:unconfirmed", format!("{said}, which it checks by {}", route.settings[HEALTH_CHECK].value)),
    };
    let name = name.to_owned();
    book.add(Fact { name, subject, now: true, at: scene.now, text, source: "probe".to_owned(), fields });
}

/// What the request through the gateway came to, where that was an answer without a server.
fn last(history: &ProbeHistory) -> Option<&Outcome> {
    probes::window(history).into_iter().map(|result| &result.outcome).find(|outcome| matches!(outcome, Outcome::Status(503)))
}

/// Whether nobody else says that the answer is theirs.
fn is_of_gateway(gateway: &Gateway, history: &ProbeHistory) -> bool {
    history.last.emitter.as_ref().is_none_or(|emitter| *emitter == gateway.kind)
}
