//! Facts from where an application says that it listens: `listen:said-elsewhere`. Of an excerpt alone: on a host the table of its
//! sockets tells.

use std::collections::{BTreeMap, BTreeSet};

use super::FactBook;
use crate::{
    catalog::{Catalog, Presence},
    diagnose::{LogGroup, Scene, upstream_of},
    model::{
        Address, Fact, Subject,
        logline::{Listening, Writer, listening},
    },
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["listen:said-elsewhere".to_owned()]
}

/// The fact: the one port that applications say they listen on is not where the gateway is refused, and none of them ended since.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    if !scene.excerpt() {
        return;
    }
    let presence = |group: &LogGroup| group.signature(&catalog.signatures).and_then(|signature| signature.presence);
    let refused = || scene.logs.values().filter(|group| presence(group) == Some(Presence::Absent));
    if refused().next().is_none() {
        return;
    }
    let mut said: BTreeSet<(Listening, Option<i64>)> = BTreeSet::new();
    for group in scene.logs.values().filter(|group| group.meaning.dialect.writer() != Writer::Gateway) {
        said.extend(
            [&group.first, &group.last].into_iter().filter_map(|line| listening(line)).map(|one| (one, first_second(group))),
        );
    }
    let ports: BTreeSet<u16> = said.iter().map(|(one, _)| one.port).collect();
    let (Some((one, since)), 1) = (said.first().copied(), ports.len()) else { return };
    // Whether it still does is not known.
    let ended =
        |group: &&LogGroup| matches!(presence(group), Some(Presence::Ended | Presence::Left)) && group.last_second() >= since;
    if scene.logs.values().any(|group| ended(&group)) {
        return;
    }
    for group in refused().filter(|group| group.last_second() >= since) {
        let Some(address) = upstream_of(scene, group) else { continue };
        let takes = match address.bare() {
            Address::Tcp(at) => said.iter().any(|(one, _)| one.takes(*at)),
            // It stands for an address that only the gateway knows.
            Address::Name(_, port) => said.iter().any(|(one, _)| one.port == *port && !one.is_loopback()),
            Address::Unix(_) | Address::Inside(..) => true,
        };
        let subject = Subject(address.to_string());
        if takes || book.find("listen:said-elsewhere", &[&subject]).is_some() {
            continue;
        }
        // Bound to loopback in a container, or on another host: to name that address at the gateway would lead nowhere.
        let shut_in = one.is_loopback() && address.port() == Some(one.port) && !at_home(&address);
        let fields = if shut_in {
            let abroad = format!("the application listens on {one}, which only its own container or host reaches");
            let remedy =
                format!("Let the application listen on 0.0.0.0:{0}, or on the address that the gateway connects to", one.port);
            BTreeMap::from([("abroad".to_owned(), abroad), ("abroad_remedy".to_owned(), remedy)])
        } else {
            BTreeMap::from([("elsewhere".to_owned(), one.to_string())])
        };
        let (name, text) = ("listen:said-elsewhere".to_owned(), format!("the application says that it listens on {one}"));
        book.add(Fact { name, subject, now: true, at: scene.now, text, source: "its log".to_owned(), fields });
    }
}

/// Whether it is loopback of the gateway's own host.
fn at_home(address: &Address) -> bool {
    matches!(address.bare(), Address::Tcp(at) if at.ip().is_loopback())
}

fn first_second(group: &LogGroup) -> Option<i64> {
    group.seconds.front().map(|(second, _)| *second)
}
