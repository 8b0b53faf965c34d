//! Facts about the address that a gateway connects from: `source:...`.

use std::collections::BTreeMap;

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Fact, Outcome},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["source:missing".to_owned()]
}

/// The fact: a route's own source address is none of this host's, as a socket that was to be bound to it has shown.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for gateway in &scene.gateways {
        let subject = scene.named(gateway);
        for (_, route) in gateway.routes() {
            let Some(source) = route.source else { continue };
            book.look("source", &subject);
            let tried = scene.probes_of("upstream").filter(|history| history.last.job.source == Some(source));
            let missing =
                tried.into_iter().any(|history| probes::window(history).iter().any(|result| result.outcome == Outcome::NoSource));
            if !missing || book.find("source:missing", &[&subject]).is_some() {
                continue;
            }
            let written = route.settings.iter().find(|(name, setting)| {
                (name.ends_with("bind") || *name == "source") && setting.value.contains(&source.to_string())
            });
            let place = written.and_then(|(_, setting)| setting.at.clone()).unwrap_or_else(|| route.at.clone());
            let name = written.map_or("the source address", |(name, _)| name);
            let text = format!("{name} {source} ({place}): this host has no such address");
            let fields = [("source", source.to_string()), ("setting", name.to_owned()), ("place", place.to_string())];
            let fields: BTreeMap<_, _> = fields.map(|(key, value)| (key.to_owned(), value)).into();
            let name = "source:missing".to_owned();
            book.add(Fact {
                name,
                subject: subject.clone(),
                now: true,
                at: scene.now,
                text,
                source: "a socket bound to it".to_owned(),
                fields,
            });
        }
    }
}
