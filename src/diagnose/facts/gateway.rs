//! Facts about the gateways themselves: `gateway:...`.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{ConfigTest, Fact, Gateway, Listen, Order as _, RunState, Stage, TESTED_EARLIER, text},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "gateway:stopped",
        "gateway:running",
        "gateway:config-problem",
        "gateway:listening",
        "gateway:not-listening",
        "gateway:test-passed",
        "gateway:test-failed",
        "gateway:test-unresolved",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    if !scene.done.contains(&Stage::Gateways) && scene.gateways.is_empty() {
        return;
    }
    for gateway in &scene.gateways {
        let subject = scene.named(gateway);
        book.look("gateway", &subject);
        let mut add = |name: &str, text: String, source: &str, fields: BTreeMap<String, String>| {
            let (name, source) = (name.to_owned(), source.to_owned());
            book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        };
        match &gateway.state {
            RunState::Running { pid, since, .. } => {
                let age = since.map_or_else(String::new, |since| format!(" for {}", text::duration(scene.now.wall_s() - since)));
                add("gateway:running", format!("{} runs{age} (pid {pid})", gateway.title()), "/proc", BTreeMap::new());
                listening(scene, gateway, &mut add);
            }
            RunState::Stopped { why_expected } => {
                let text = format!("no {} process runs, although {why_expected}", gateway.kind);
                add("gateway:stopped", text, "/proc", BTreeMap::from([("why".to_owned(), why_expected.clone())]));
            }
        }
        if let Some((place, problem)) = gateway.problems.first() {
            let text = format!("{place}: {problem}");
            let fields = BTreeMap::from([("at".to_owned(), place.to_string()), ("error".to_owned(), problem.clone())]);
            add("gateway:config-problem", text, "configuration", fields);
        }
        if let Some(test) = &gateway.test {
            tested(gateway, test, &mut add);
        }
    }
}

/// What the gateway's own test says. A name that does not resolve is a fault of the name first: a text that loaded yesterday
/// would not load today.
fn tested(gateway: &Gateway, test: &ConfigTest, add: &mut impl FnMut(&str, String, &str, BTreeMap<String, String>)) {
    const SOURCE: &str = "the gateway's own test";
    if test.passed {
        let config = gateway.config.display();
        // What was not done now is not told as if it were.
        let text = if test.message.ends_with(TESTED_EARLIER) {
            format!("{config}: {}", test.message)
        } else {
            format!("{config} passes the gateway's own test")
        };
        return add("gateway:test-passed", text, SOURCE, BTreeMap::new());
    }
    let mut fields = BTreeMap::from([("error".to_owned(), test.message.clone())]);
    if let Some(place) = &test.at {
        fields.insert("at".to_owned(), place.to_string());
    }
    let unresolved = test.message.split_once("host not found in ").and_then(|(_, rest)| rest.split('"').nth(1));
    let unresolved = unresolved.or_else(|| test.message.split_once("could not resolve address '")?.1.split('\'').next());
    let name = match unresolved {
        Some(host) => {
            fields.insert("name".to_owned(), host.to_owned());
            "gateway:test-unresolved"
        }
        None => "gateway:test-failed",
    };
    add(name, format!("the gateway's own test fails: {}", test.message), SOURCE, fields);
}

/// Whether it listens where its configuration says.
fn listening(scene: &Scene, gateway: &Gateway, add: &mut impl FnMut(&str, String, &str, BTreeMap<String, String>)) {
    let Some(table) = &scene.listeners else { return };
    // In other namespaces it is seen only where these were looked into.
    let seen = |listen: &&Listen| listen.address.place().is_none() || table.covers(&listen.address);
    let mut wanted: Vec<_> = gateway.sites.iter().flat_map(|site| &site.listens).filter(seen).collect();
    wanted.order_by(|a, b| a.address.cmp(&b.address));
    wanted.dedup_by(|a, b| a.address == b.address);
    let missing = wanted.iter().find(|listen| table.taking(&listen.address).is_none());
    match missing {
        Some(listen) => {
            let text = format!("nothing listens on {}, which {} names", listen.address, listen.at);
            add("gateway:not-listening", text, "socket table", BTreeMap::from([("listen".to_owned(), listen.address.to_string())]));
        }
        None if !wanted.is_empty() => {
            let places = wanted.iter().map(|listen| listen.address.to_string()).collect::<Vec<_>>().join(", ");
            add("gateway:listening", format!("it listens on {places}"), "socket table", BTreeMap::new());
        }
        None => {}
    }
}
