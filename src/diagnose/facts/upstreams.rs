//! Facts about what kind of upstreams there are: `upstreams:...`. They tell which steps of the checklist have nothing to look at; they
//! are no evidence for a cause.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Address, Fact, Gateway, Stage, Subject},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["upstreams:no-names", "upstreams:local"].map(str::to_owned).into()
}

/// The facts: both are said of all upstreams of all gateways, or not at all.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    if !scene.done.contains(&Stage::Gateways) {
        return;
    }
    let routes = || scene.gateways.iter().filter(|gateway| gateway.running()).flat_map(Gateway::routes).map(|(_, route)| route);
    let addresses = || routes().flat_map(|route| &route.servers).map(|server| &server.address);
    // What is only known with the request may be anything.
    if addresses().next().is_none() || routes().any(|route| route.dynamic.is_some()) {
        return;
    }
    let mut say = |name: &str, text: &str| {
        let (name, text, source) = (name.to_owned(), text.to_owned(), "configuration".to_owned());
        book.add(Fact { name, subject: Subject::host(), now: true, at: scene.now, text, source, fields: BTreeMap::new() });
    };
    if addresses().all(|address| !matches!(address.bare(), Address::Name(..))) {
        say("upstreams:no-names", "every upstream is given by its address: no name is looked up");
    }
    if addresses().all(|address| is_local(address.bare())) {
        say("upstreams:local", "every upstream is on this host: no network lies in between");
    }
}

/// Whether packets to it never leave the host.
fn is_local(address: &Address) -> bool {
    match address {
        Address::Tcp(socket) => socket.ip().to_canonical().is_loopback(),
        Address::Unix(_) => true,
        Address::Name(name, _) => name == "localhost",
        Address::Inside(_, address) => is_local(address),
    }
}
