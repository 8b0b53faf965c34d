//! Facts about whom an application takes connections from: `admits:...`. php-fpm closes those of all others without a word, and says
//! so only in the output of its workers, which goes nowhere as a rule (fpm_conf.c `catch_workers_output`, main/fastcgi.c).

use std::{collections::BTreeMap, net::IpAddr};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Address, Fact, Outcome, Subject},
};

/// php-fpm's list of addresses, with commas; without it everybody is let in (www.conf).
const ALLOWED: &str = "listen.allowed_clients";

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["admits:others-only".to_owned()]
}

/// The fact: an application on this host has a list on which the gateway's address is not, and hangs up.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for app in &scene.apps {
        let Some(list) = app.settings.get(ALLOWED) else { continue };
        let allowed: Vec<IpAddr> = list.value.split(',').filter_map(|one| one.trim().parse().ok()).collect();
        for subject in &app.serves {
            book.look("admits", subject);
            let Some(from) = source(scene, subject).filter(|from| !allowed.is_empty() && !allowed.contains(from)) else { continue };
            let hangs_up = |outcome: &Outcome| matches!(outcome, Outcome::Closed(_) | Outcome::Reset(_));
            let mut straight = scene.probes_about("upstream", subject);
            if !straight.any(|history| probes::window(history).iter().any(|result| hangs_up(&result.outcome))) {
                continue;
            }
            let told =
                format!("{} takes connections from {} only ({ALLOWED}, {}), and not from {from}", app.kind, list.value, list.from);
            let fields = BTreeMap::from([("told".to_owned(), told.clone())]);
            let (name, subject, source) = ("admits:others-only".to_owned(), subject.clone(), list.from.clone());
            book.add(Fact { name, subject, now: true, at: scene.now, text: told, source, fields });
        }
    }
}

/// The address that connections of the gateway come from: its own setting, else what the kernel chooses towards an address of this
/// host, which is that address itself, and of the loopback network its first (ip-route(8)).
fn source(scene: &Scene, upstream: &Subject) -> Option<IpAddr> {
    let address: Address = upstream.0.parse().ok()?;
    let Address::Tcp(to) = address.bare() else { return None };
    let set = scene.routes_to(&address).into_iter().find_map(|(.., route)| route.source);
    set.or(match to.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)),
        ip if ip.is_loopback() || scene.listeners.as_ref().is_some_and(|table| table.is_local(ip)) => Some(ip),
        _ => None,
    })
}
