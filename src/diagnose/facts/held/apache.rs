//! The same of Apache httpd: a server that failed is not asked again for `retry=` seconds, and each request is answered with 503 meanwhile
//! (modules/proxy/proxy_util.c, `ap_proxy_retry_worker`). Of a member of a balancer all its processes know it; of another server each
//! process knows what its own requests met, so that some requests are served. Of a balancer whose members have all failed, this holds
//! only with `forcerecovery=Off` (mod_proxy_balancer.c, `force_recovery`).

use std::collections::BTreeMap;

use super::{super::probes, FactBook, LOG_WINDOW_S, serves};
use crate::{
    catalog::Catalog,
    diagnose::{LogGroup, Scene, upstream_of, wrote},
    model::{Fact, Gateway, Outcome, Role, Route, Server, Subject, clock_of, text},
};

const KIND: &str = "apache";
/// Signatures of a log that says that a server, or a balancer, was left out.
const LEFT_OUT: &[&str] = &["apache-worker-in-error", "apache-balancer-empty"];
/// Those by which a server gets into that state.
const FAILED: &[&str] = &["apache-worker-disabled", "apache-fail-on-status", "apache-fail-on-timeout"];
/// Seconds for which a server is left out where nothing is set (mod_proxy, `retry`).
const RETRY_S: i64 = 60;

/// How long a server is left out, and by which setting.
struct Pause {
    seconds: i64,
    said: String,
    place: Option<String>,
}

/// The facts.
pub(super) fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    let from = scene.now.wall_s() - LOG_WINDOW_S;
    let says = |group: &&LogGroup| group.signature(&catalog.signatures).is_some_and(|known| LEFT_OUT.contains(&known.id.as_str()));
    for group in scene.logs.values().filter(|group| group.since(from) > 0).filter(says) {
        let writes = |gateway: &&Gateway| gateway.kind == KIND && wrote(scene, gateway, &group.source);
        let Some(gateway) = scene.gateways.iter().find(writes) else { continue };
        for (_, route) in gateway.routes() {
            let meant: Vec<&Server> = route.servers.iter().filter(|server| left_out(scene, group, route, server)).collect();
            // A balancer has a server as long as one of its members has not failed.
            if meant.iter().all(|server| serves(scene, server)) {
                for server in meant {
                    about(scene, catalog, (gateway, route, server), group, book);
                }
            }
        }
    }
}

/// Whether the lines say that Apache left this server out.
fn left_out(scene: &Scene, group: &LogGroup, route: &Route, server: &Server) -> bool {
    match &route.pool {
        Some(pool) => {
            // Of a member alone the others stand in.
            let named = group.last.split_once("balancer://").map(|(_, rest)| rest);
            let name = named.and_then(|rest| rest.split([':', ' ', ')', '/']).next());
            server.role == Role::Primary && name.is_some_and(|name| name.eq_ignore_ascii_case(pool))
        }
        None => upstream_of(scene, group).is_some_and(|address| address == server.address),
    }
}

/// One server that serves, and that Apache said it leaves out.
fn about(
    scene: &Scene,
    catalog: &Catalog,
    (gateway, route, server): (&Gateway, &Route, &Server),
    group: &LogGroup,
    book: &mut FactBook,
) {
    let subject = Subject(server.address.to_string());
    book.look("held", &subject);
    // A health check of its own (mod_proxy_hcheck) has another reason than a failed request.
    let checked = route.settings.contains_key("hcmethod");
    let edited = book.find("conf:edited-since-load", &[&scene.named(gateway)]).is_some();
    if checked || book.find("held:failed-before", &[&subject]).is_some() {
        return;
    }
    let refused = scene
        .probes_through(&subject)
        .any(|history| probes::window(history).iter().any(|result| matches!(result.outcome, Outcome::Status(503))));
    let failed = failed_at(scene, catalog, gateway, server);
    let Some(pause) = pause(route, failed.map(|(_, group)| group), edited).filter(|_| refused) else { return };
    let Pause { seconds, said, place } = pause;
    let long = text::duration(seconds);
    let left = failed.map(|(at, _)| at + seconds - scene.now.wall_s()).filter(|left| *left > 0);
    // Asked again when the time is over, it has failed again in a way that no line told.
    let held = match (failed, left) {
        (Some((at, _)), Some(left)) => {
            let (at, left) = (clock_of(at), text::duration(left));
            format!("it failed at {at}Z, and is not asked again for {long} ({said}), of which {left} are left")
        }
        (Some(_) | None, _) => format!("it failed before, and is not asked again for {long} after that ({said})"),
    };
    let text = format!("{} answers 503 without asking {}, which serves: {held}", gateway.kind, server.address);
    let mut fields = BTreeMap::from([("held".to_owned(), held), ("check".to_owned(), said), ("retry".to_owned(), long)]);
    fields.extend(place.map(|place| ("retry_place".to_owned(), place)));
    if let Some(pool) = &route.pool {
        fields.insert("server".to_owned(), format!("{pool}/{subject}"));
    }
    let (name, source) = ("held:failed-before".to_owned(), group.source.clone());
    book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
}

/// The last second at which Apache says that it leaves this server out from then on, with the lines.
fn failed_at<'a>(scene: &'a Scene, catalog: &Catalog, gateway: &Gateway, server: &Server) -> Option<(i64, &'a LogGroup)> {
    let says = |group: &&LogGroup| group.signature(&catalog.signatures).is_some_and(|known| FAILED.contains(&known.id.as_str()));
    let own = |group: &&LogGroup| wrote(scene, gateway, &group.source);
    let of_server = |group: &&LogGroup| upstream_of(scene, group).is_some_and(|address| address == server.address);
    let groups = scene.logs.values().filter(says).filter(own).filter(of_server);
    groups.filter_map(|group| Some((group.last_second()?, group))).max_by_key(|(at, _)| *at)
}

/// How long a server of this route is left out: by what Apache itself said when it failed, else by what it was loaded with.
fn pause(route: &Route, said: Option<&LogGroup>, edited: bool) -> Option<Pause> {
    let written = route.settings.get("retry");
    let place = written.and_then(|setting| setting.at.as_ref()).map(ToString::to_string);
    let of_file = match written {
        Some(setting) => setting.value.trim_end_matches('s').parse().ok()?,
        None => RETRY_S,
    };
    // `ap_proxy_connect_backend disabling worker for (127.0.0.1:8000) for 60s`
    let told = said.and_then(|group| group.last.rsplit_once(" for ")?.1.trim().strip_suffix('s')?.parse::<i64>().ok());
    let seconds = told.or(Some(of_file).filter(|_| !edited))?;
    let said = match (&place, seconds == of_file) {
        (Some(place), true) => format!("retry={seconds} at {place}"),
        (None, true) => format!("retry={seconds}, by default"),
        (_, false) => format!("retry={seconds}, as it was loaded"),
    };
    // 0: it is asked each time.
    (seconds > 0).then_some(Pause { seconds, said, place })
}

#[cfg(test)]
mod tests;
