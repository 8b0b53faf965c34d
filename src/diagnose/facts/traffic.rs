//! Facts about how many requests come: `traffic:...`. A spike is one before requests began to fail; afterwards clients try again and
//! again, which is no cause.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, changes},
    model::{Fact, Subject},
};

/// How many times as many requests as usual are a spike.
const SPIKE: f64 = 3.0;
/// Requests per second below which nothing is a spike: three people are no crowd.
const LEAST_PER_S: f64 = 5.0;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["traffic:spike", "traffic:steady"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let onset = changes::onset(scene);
    let at = onset.unwrap_or(scene.now.wall_s());
    let Some((recent, usual)) = scene.traffic.rise(at) else { return };
    book.look("traffic", &Subject::host());
    let factor = recent.rate() / usual.rate().max(1.0 / usual.seconds.max(1) as f64);
    let (now, before) = (per_s(recent.rate()), per_s(usual.rate()));
    let when = if onset.is_some() { "in the minute before requests began to fail" } else { "in the last minute" };
    let spike = factor >= SPIKE && recent.rate() >= LEAST_PER_S;
    let (name, text) = if spike {
        (
            "traffic:spike",
            format!("{now} requests/s {when}, {before}/s in the quarter of an hour before: {factor:.1} times as many"),
        )
    } else {
        ("traffic:steady", format!("{now} requests/s {when}, {before}/s before that: no spike"))
    };
    let fields = BTreeMap::from([
        ("factor".to_owned(), format!("{factor:.1}")),
        ("spike".to_owned(), format!("{now}/s instead of {before}/s")),
    ]);
    let source = "access log".to_owned();
    book.add(Fact { name: name.to_owned(), subject: Subject::host(), now: true, at: scene.now, text, source, fields });
}

fn per_s(rate: f64) -> String {
    if rate >= 10.0 { format!("{rate:.0}") } else { format!("{rate:.1}") }
}
