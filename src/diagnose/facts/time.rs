//! Facts about how long an application takes against how long the gateway waits: `time:...`.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene},
    model::{Fact, Gateway, Outcome, Route, text},
};

/// Below this many milliseconds a gateway's limit is unusually low: no default is (nginx, Apache and HAProxy's examples: 30 s
/// and more).
const LOW_MS: u64 = 5_000;
/// An answer that is later than the limit by less than this share of it is within what a measurement may be off.
const MARGIN: f64 = 1.02;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["time:late", "time:slow", "time:fits"].map(str::to_owned).into()
}

/// The facts: `late`, an answer that comes after an unusually low limit; `slow`, one after an ordinary limit; `fits`, one in time.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for history in scene.probes_of("upstream") {
        let subject = &history.last.job.subject;
        let Some((gateway, route)) = place(scene, history) else { continue };
        book.look("time", subject);
        let took = history
            .results
            .iter()
            .rev()
            .find(|result| matches!(result.outcome, Outcome::Status(100..=499)))
            .map(|result| result.ms);
        let Some(took) = took else { continue };
        if took <= route.read_ms as f64 * MARGIN {
            fits(scene, history, gateway, route, took, book);
            continue;
        }
        let setting = route.settings.iter().find(|(name, _)| is_patience(name));
        let words = setting.map_or_else(String::new, |(name, setting)| {
            let at = setting.at.as_ref().map_or_else(String::new, |at| format!(", {at}"));
            format!(" ({name} {}{at})", setting.value)
        });
        let label = history.last.job.label();
        let (took, limit) = (seconds(took), seconds(route.read_ms as f64));
        let text = format!("{label} answered after {took}, and {} waits {limit}{words}", gateway.kind);
        let mut fields = BTreeMap::from([("took".to_owned(), took), ("limit".to_owned(), limit)]);
        if let Some(at) = setting.and_then(|(_, setting)| setting.at.as_ref()) {
            fields.insert("place".to_owned(), at.to_string());
        }
        let name = if route.read_ms < LOW_MS { "time:late" } else { "time:slow" };
        if book.find(name, &[subject]).is_none() {
            book.add(Fact {
                name: name.to_owned(),
                subject: subject.clone(),
                now: true,
                at: scene.now,
                text,
                source: "probe".to_owned(),
                fields,
            });
        }
    }
}

/// That time-out and buffer are large enough for what was answered.
fn fits(scene: &Scene, history: &ProbeHistory, gateway: &Gateway, route: &Route, took: f64, book: &mut FactBook) {
    let (head, room) = (history.last.head_bytes.map(u64::from), route.header_limit.map(u64::from));
    if head.zip(room).is_some_and(|(head, room)| head > room) {
        return;
    }
    let header = head.zip(room).map_or_else(String::new, |(head, room)| {
        format!(", with {} of header, of {} that it takes", text::bytes(head), text::bytes(room))
    });
    let limit = seconds(route.read_ms as f64);
    let text = format!("{} answers after {}; {} waits {limit}{header}", history.last.job.label(), seconds(took), gateway.kind);
    let (name, subject, source) = ("time:fits".to_owned(), history.last.job.subject.clone(), "probe".to_owned());
    if book.find(&name, &[&subject]).is_none() {
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    }
}

/// Whether a setting is the time that a gateway waits for an answer: nginx's and Caddy's, HAProxy's, Varnish's.
fn is_patience(name: &str) -> bool {
    name.ends_with("read_timeout") || matches!(name, "timeout server" | "response_header_timeout" | "first_byte_timeout")
}

/// The route with the shortest patience that sends this request there.
fn place<'a>(scene: &'a Scene, history: &ProbeHistory) -> Option<(&'a Gateway, &'a Route)> {
    let job = &history.last.job;
    let routes = scene.routes_to(&job.address).into_iter().map(|(gateway, _, route)| (gateway, route));
    routes.filter(|(_, route)| route.protocol == job.protocol).min_by_key(|(_, route)| route.read_ms)
}

fn seconds(ms: f64) -> String {
    if ms < 1_000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1e3) }
}
