use super::*;
use crate::{
    diagnose::assess,
    model::{
        AppSettings, AppTime, HttpRequest, ListenerTable, Observation, Outcome, PathMatch, Pool, ProbeJob, ProbeReport, Protocol,
        Reuse, RouteChoice, RunInfo, RunState, Settings, Stamp,
    },
};

fn place(line: u32) -> Place {
    Place { file: std::path::PathBuf::from("/etc/nginx/nginx.conf").into(), line }
}

/// A route to a pool of one server at this port, written in this line.
fn route(port: u16, line: u32) -> Route {
    let server = Server::new(Address::Tcp(([127, 0, 0, 1], port).into()), place(line));
    Route {
        pattern: format!("/{port}/"),
        takes: Some(PathMatch::Prefix(format!("/{port}/"))),
        pool: Some(format!("pool{port}")),
        servers: vec![server],
        ..Route::new(Protocol::Http, place(line))
    }
}

fn gateway(sites: Vec<Vec<Route>>) -> Gateway {
    let pools = sites.iter().flatten().map(|route| Pool {
        name: route.pool.clone().unwrap_or_default(),
        servers: route.servers.clone(),
        settings: Settings::default(),
        at: route.at.clone(),
    });
    let pools = pools.collect();
    let site = |routes| Site { names: Vec::new(), listens: Vec::new(), routes, choice: RouteChoice::Location, at: place(1) };
    let state = RunState::Running { pid: 1, since: None, workers_since: None };
    Gateway { sites: sites.into_iter().map(site).collect(), pools, ..Gateway::new("nginx", "/etc/nginx/nginx.conf", state) }
}

/// What is found of these observations.
fn found(observations: Vec<Observation>) -> Vec<Finding> {
    let mut scene = Scene::default();
    for (index, observation) in observations.into_iter().enumerate() {
        scene.observe(Stamp { run_ms: index as u64, wall_ms: 1_795_141_618_000 }, observation);
    }
    assess(&scene, &Catalog::embedded().expect("the catalogue")).findings
}

/// A request through the gateway that fails, and goes to the server at this port.
fn failing(port: u16) -> Observation {
    let subject = Subject("http://x/".to_owned());
    let request = HttpRequest {
        method: "GET".into(),
        path: "/".into(),
        query: None,
        host: "x".into(),
        params: Vec::new(),
        headers: Vec::new(),
    };
    let job = ProbeJob {
        upstreams: vec![Subject(format!("127.0.0.1:{port}"))],
        request: Some(request),
        ..ProbeJob::new("gateway", subject, Address::Tcp(([127, 0, 0, 1], 80).into()), Protocol::Http, (100, 100))
    };
    Observation::Probe(Box::new(ProbeReport { as_gateway: true, ..ProbeReport::new(job, Outcome::Status(502)) }))
}

#[test]
fn each_rule_is_of_one_finding() {
    let ids = ids();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
}

#[test]
fn what_is_nearest_to_the_failing_request_comes_first_and_the_rest_is_counted() {
    let sites = vec![(1..=40).map(|port| route(port, u32::from(port))).collect(), vec![route(50, 50), route(51, 51)]];
    let listeners = ListenerTable { owners_complete: true, ..ListenerTable::default() };
    let all = found(vec![Observation::Gateways(vec![gateway(sites)]), Observation::Listeners(listeners), failing(51)]);
    let of = |id: &str| {
        all.iter().filter(|one| one.id == id).map(|one| one.place.rsplit(':').next().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(of("single-server")[..2], ["51", "50"], "its own, then those of its site");
    assert_eq!(of("single-server").len(), OF_ONE_KIND);
    assert!(all.iter().any(|one| one.text.ends_with("; and 39 more like it")), "{all:#?}");
    assert_eq!(all[0].id, "nothing-listens");
    assert_eq!(all[0].place, "/etc/nginx/nginx.conf:51");
    assert_eq!(all[0].cause.as_deref(), Some("upstream-down"), "the cause tells what to do");
    assert!(all.len() <= LISTED);
}

#[test]
fn a_pool_that_nothing_uses_and_an_excerpt_have_no_findings() {
    let mut unused = gateway(Vec::new());
    unused.pools = gateway(vec![vec![route(1, 1)]]).pools;
    assert_eq!(found(vec![Observation::Gateways(vec![unused])]), []);
    let run = RunInfo {
        version: String::new(),
        host: String::new(),
        url: None,
        probing: false,
        user: String::new(),
        excerpt: true,
        copied: false,
    };
    assert_eq!(found(vec![Observation::Run(run), Observation::Gateways(vec![gateway(vec![vec![route(1, 1)]])])]), []);
}

#[test]
fn a_gateway_is_held_against_the_application_behind_it() {
    let mut one = route(8000, 7);
    one.read_ms = 10_000;
    one.reuse = Reuse::Kept { idle_ms: Some(60_000), at: Some(place(9)) };
    one.settings.insert("proxy_read_timeout", Setting { value: "10s".into(), at: Some(place(8)) });
    let time = |name: &str, ms| Some(AppTime { name: name.into(), ms, from: "command line".into() });
    let app = AppSettings {
        kind: "gunicorn".into(),
        pid: Some(811),
        serves: vec![Subject("127.0.0.1:8000".into())],
        request_limit: time("--timeout", 30_000),
        keepalive: time("--keep-alive", 2_000),
        ..AppSettings::default()
    };
    let observed = |app| found(vec![Observation::Gateways(vec![gateway(vec![vec![one.clone()]])]), Observation::Apps(vec![app])]);
    let all = observed(app.clone());
    let told: Vec<(&str, &str)> =
        all.iter().map(|one| (one.id.as_str(), one.place.rsplit(':').next().unwrap_or_default())).collect();
    assert_eq!(told, [("timeout-below-application", "8"), ("keepalive-outlives-upstream", "9"), ("single-server", "7")]);
    assert!(all[0].text.contains("gunicorn (pid 811)") && all[0].text.contains("30 s (--timeout, command line"), "{}", all[0].text);
    assert!(all[0].fix.contains("--timeout below 10 s"), "{}", all[0].fix);
    // It gives up before the gateway does, and keeps connections for longer.
    let patient = AppSettings { request_limit: time("--timeout", 5_000), keepalive: time("--keep-alive", 75_000), ..app };
    assert_eq!(observed(patient).iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["single-server"]);
}

#[test]
fn hostile_names_are_told_as_they_are_and_never_looked_for_in_vain() {
    let mut odd = route(9, 9);
    odd.pool = Some("{subject}{nobody}\u{1b}[2J".into());
    odd.servers[0].address = Address::Name("{port}".into(), 1);
    let mut gateway = gateway(vec![vec![odd]]);
    gateway.kind = "nothing known".into();
    // Nothing panics, and nothing of it is filled in twice.
    assert!(found(vec![Observation::Gateways(vec![gateway])]).iter().all(|one: &Finding| !one.fix.is_empty()));
}
