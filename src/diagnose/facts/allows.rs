//! Facts about how long an application lets a request take before it kills who works on it: `allows:...`. Its log tells that it did;
//! what the limit is, and where that stands, only its command line and files tell.

use std::collections::BTreeMap;

use super::{FactBook, keepalive::span};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{COMMAND_LINE, DEFAULT, Fact},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["allows:request-limit".to_owned()]
}

/// The fact: the limit, and where it stands.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for app in &scene.apps {
        let Some(limit) = &app.request_limit else { continue };
        let running = app.pid.map(|pid| match &app.unit {
            Some(unit) => format!("pid {pid}, {unit}"),
            None => format!("pid {pid}"),
        });
        let whose = running.map_or_else(String::new, |whose| format!(" of {whose}"));
        let place = match limit.from.as_str() {
            COMMAND_LINE => format!("the command line{whose}"),
            DEFAULT => "its own default".to_owned(),
            file => file.to_owned(),
        };
        let said = format!("{} {}", limit.name, span(limit.ms));
        let text =
            format!("{} kills whoever works on one request for longer than {} ({}, {place})", app.kind, span(limit.ms), limit.name);
        let mut fields = BTreeMap::from([("own_limit".to_owned(), said), ("own_limit_at".to_owned(), place)]);
        if let Some(unit) = app.unit.as_ref().filter(|_| limit.from == COMMAND_LINE) {
            fields.insert("own_limit_unit".to_owned(), unit.clone());
        }
        for subject in &app.serves {
            book.look("allows", subject);
            if book.find("allows:request-limit", &[subject]).is_none() {
                let (name, subject, source) = ("allows:request-limit".to_owned(), subject.clone(), limit.from.clone());
                let (text, fields) = (text.clone(), fields.clone());
                book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
            }
        }
    }
}
