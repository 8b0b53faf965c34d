//! Which of several requests that show one fault is the clients' own: where gateways stand in a row, an answer of the inner one is what
//! the outer one gets, and no user sees it as such.

use super::{
    ProbeHistory, Scene,
    nested::{Entrance, Entrances},
    since::since,
    symptom::{self, Tried},
};
use crate::model::{Address, Cause};

/// Of the requests through gateways that are `meant`, the one at the outermost gateway that leads to where this one is made; itself,
/// where none does.
pub fn outermost<'a>(scene: &'a Scene, inner: &'a ProbeHistory, meant: impl Fn(&ProbeHistory) -> bool) -> &'a ProbeHistory {
    let all: Vec<&ProbeHistory> = scene.probes_of("gateway").filter(|history| meant(history)).collect();
    if all.len() < 2 {
        return inner;
    }
    let entrances = Entrances::of(scene);
    let mut passed = vec![inner];
    let mut found = inner;
    // Around a loop each leads to each, and none is in front.
    let before = |outer: &ProbeHistory, inner: &ProbeHistory| leads(&entrances, outer, inner) && !leads(&entrances, inner, outer);
    while let Some(outer) =
        all.iter().find(|outer| !passed.iter().any(|known| std::ptr::eq(*known, **outer)) && before(outer, found))
    {
        passed.push(outer);
        found = outer;
    }
    found
}

/// Whether one of the servers that the outer request can reach is the door at which the inner one is made.
fn leads(entrances: &Entrances<'_>, outer: &ProbeHistory, inner: &ProbeHistory) -> bool {
    let host = inner.last.job.request.as_ref().map_or("", |request| request.host.as_str());
    let Some(at) = entrances.taking(&inner.last.job.address, host) else { return false };
    let same = |other: Option<Entrance<'_>>| {
        other.is_some_and(|other| std::ptr::eq(other.gateway, at.gateway) && other.listen.address == at.listen.address)
    };
    let reached = || outer.last.job.upstreams.iter().filter_map(|subject| subject.0.parse::<Address>().ok());
    !same(entrances.taking(&outer.last.job.address, host)) && reached().any(|server| same(entrances.taking(&server, host)))
}

/// What clients themselves get of a failure: by the outermost gateway that fails for it, unless the operator asked about an inner one.
pub fn of_clients<'a>(scene: &'a Scene, (share, tried, history): Tried<'a>) -> Tried<'a> {
    let asked = scene.run.as_ref().and_then(|run| run.url.as_deref());
    if share == 0.0 || asked.is_some_and(|asked| asked == symptom::url_of(&history.last)) {
        return (share, tried, history);
    }
    let outer = outermost(scene, history, |other| symptom::own_failures(scene, other).hits > 0);
    let failures = symptom::failures(scene, outer);
    match failures.value() {
        Some(share) => (share, u32::try_from(failures.all).unwrap_or(u32::MAX), outer),
        None => (share, tried, history),
    }
}

/// The symptom of the request that shows the fault of the first cause, where what was found first fails no more than that and goes
/// elsewhere: what is told of one fault is then all of one request.
pub fn of_cause(scene: &Scene, found: symptom::View, causes: &[Cause]) -> symptom::View {
    let told = |history: &ProbeHistory| Some(&history.last.job.subject) == found.subject.as_ref();
    let Some(cause) = causes.first().filter(|_| found.failing && !found.users && found.served.is_none()) else { return found };
    let mut through = scene.probes_through(&cause.subject).peekable();
    if through.peek().is_none() || scene.probes_through(&cause.subject).any(told) {
        return found;
    }
    let as_bad =
        |history: &ProbeHistory| symptom::failures(scene, history).value().is_some_and(|share| Some(share) >= found.told.share);
    let Some(history) = through.find(|history| as_bad(history)) else { return found };
    let failures = symptom::failures(scene, history);
    let tried = u32::try_from(failures.all).unwrap_or(u32::MAX);
    let shown = symptom::shown(scene, of_clients(scene, (failures.value().unwrap_or(0.0), tried, history)), since(scene));
    if shown.failing { shown } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        Gateway, HttpRequest, Listen, Observation, Outcome, Place, ProbeJob, ProbeReport, Protocol, Route, RouteChoice, RunState,
        Server, Site, Stamp, Subject,
    };

    fn local(port: u16) -> Address {
        Address::Tcp(([127, 0, 0, 1], port).into())
    }

    /// A gateway on one port that sends all to another.
    fn gateway(listens: u16, to: u16) -> Gateway {
        let at = Place { file: std::path::PathBuf::from("/c").into(), line: 1 };
        let listen = Listen { address: local(listens), tls: false, proxy_protocol: false, default: true, at: at.clone() };
        let servers = vec![Server::new(local(to), at.clone())];
        let routes = vec![Route { servers, ..Route::new(Protocol::Http, at.clone()) }];
        let site = Site { names: Vec::new(), listens: vec![listen], routes, choice: RouteChoice::FirstMatch, at };
        let state = RunState::Running { pid: u32::from(listens), since: None, workers_since: None };
        Gateway { sites: vec![site].into(), ..Gateway::new("nginx", "/c", state) }
    }

    /// The port of the request that stands for that at the first of these ports, each with those behind it, where all fail.
    fn front(doors: &[(u16, &[u16])], gateways: &[(u16, u16)]) -> Option<u16> {
        let mut scene = Scene::default();
        let gateways = gateways.iter().map(|(listens, to)| gateway(*listens, *to)).collect();
        scene.observe(Stamp::default(), Observation::Gateways(gateways));
        for (port, behind) in doors {
            let (method, path, host) = ("GET".to_owned(), "/".to_owned(), "localhost".to_owned());
            let request = HttpRequest { method, path, query: None, host, headers: Vec::new(), params: Vec::new() };
            let subject = Subject(format!("http://localhost/ at {port}"));
            let job = ProbeJob {
                request: Some(request),
                upstreams: behind.iter().map(|port| Subject(local(*port).to_string())).collect(),
                ..ProbeJob::new("gateway", subject, local(*port), Protocol::Http, (1_000, 10_000))
            };
            scene.observe(Stamp::default(), Observation::Probe(Box::new(ProbeReport::new(job, Outcome::Status(502)))));
        }
        let first = scene.probes_of("gateway").next().expect("a request");
        outermost(&scene, first, |_| true).last.job.address.port()
    }

    #[test]
    fn what_the_inner_gateway_answers_is_seen_at_the_outer_one() {
        let chain = [(80, 8080), (8080, 9090), (9090, 9000)];
        assert_eq!(front(&[(9090, &[9000]), (8080, &[9090, 9000]), (80, &[8080, 9090, 9000])], &chain), Some(80));
        assert_eq!(front(&[(80, &[8080, 9090, 9000]), (9090, &[9000])], &chain), Some(80), "it is the outer one already");
        assert_eq!(
            front(&[(9090, &[9000]), (81, &[9001])], &[(9090, 9000), (81, 9001)]),
            Some(9090),
            "they do not lead to each other"
        );
        assert_eq!(front(&[(80, &[81]), (81, &[80])], &[(80, 81), (81, 80)]), Some(80), "a loop has no front");
    }
}
