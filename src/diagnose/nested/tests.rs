use super::*;
use crate::model::{PathMatch, Place, RouteChoice, RunState};

fn place(line: u32) -> Place {
    Place { file: std::path::PathBuf::from("/etc/nginx/nginx.conf").into(), line }
}

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

/// A route of this path, to these servers.
fn route(line: u32, path: &str, servers: &[&str]) -> Route {
    Route {
        pattern: path.to_owned(),
        takes: Some(PathMatch::Prefix(path.to_owned())),
        sample_path: path.to_owned(),
        servers: servers.iter().map(|server| Server::new(address(server), place(line))).collect(),
        connect_ms: 1000,
        read_ms: 1000,
        ..Route::new(Protocol::Http, place(line))
    }
}

fn site(name: &str, listen: &str, routes: Vec<Route>) -> Site {
    let listen = Listen { address: address(listen), tls: false, proxy_protocol: false, default: false, at: place(1) };
    Site { names: vec![name.to_owned()], listens: vec![listen], routes, choice: RouteChoice::Location, at: place(1) }
}

fn scene(gateways: Vec<Vec<Site>>) -> Scene {
    let state = || RunState::Running { pid: 1, since: None, workers_since: None };
    let gateway = |sites: Vec<Site>| Gateway { sites: sites.into(), ..Gateway::new("nginx", "/etc/nginx/nginx.conf", state()) };
    let mut scene = Scene::default();
    scene.gateways = gateways.into_iter().map(gateway).collect();
    scene
}

fn subject(text: &str) -> Subject {
    Subject(text.to_owned())
}

#[test]
fn a_chain_of_gateways_is_followed_to_its_end() {
    let outer = site("shop.test", "0.0.0.0:80", vec![route(10, "/", &["127.0.0.1:8081", "10.0.0.7:8081"])]);
    let second = site("a.test", "127.0.0.1:8081", vec![route(20, "/", &["unix:/run/third.sock"])]);
    let third = site("b.test", "unix:/run/third.sock", vec![route(30, "/", &["127.0.0.1:8000"])]);
    let scene = scene(vec![vec![outer], vec![second, third]]);
    let map = Map::of(&scene);
    assert!(map.loops.is_empty());
    assert!(map.leads(&subject("127.0.0.1:8081"), &subject("127.0.0.1:8000")));
    assert!(!map.leads(&subject("10.0.0.7:8081"), &subject("127.0.0.1:8000")), "another host's port");
    assert!(!map.leads(&subject("127.0.0.1:8000"), &subject("127.0.0.1:8081")), "not backwards");
    let (first, last) = (subject("127.0.0.1:8081"), subject("127.0.0.1:8000"));
    let chain: Vec<_> = map.chain([&first], &last).expect("a way").iter().map(|one| one.0.as_str()).collect();
    assert_eq!(chain, ["127.0.0.1:8081", "unix:/run/third.sock", "127.0.0.1:8000"]);
}

#[test]
fn loops_are_told_where_the_path_tells_the_route() {
    let direct = scene(vec![vec![site("shop.test", "0.0.0.0:80", vec![route(10, "/", &["127.0.0.1:80"])])]]);
    let map = Map::of(&direct);
    let found = map.loops.get(&subject("127.0.0.1:80")).expect("a loop");
    assert_eq!((found.rounds, found.server.at.line), (1, 10));

    let corner = scene(vec![
        vec![site("shop.test", "0.0.0.0:80", vec![route(10, "/", &["127.0.0.1:8081"])])],
        vec![site("b.test", "127.0.0.1:8081", vec![route(20, "/", &["127.0.0.1:80"])])],
    ]);
    let map = Map::of(&corner);
    assert_eq!(map.loops.values().next().expect("a loop").rounds, 2);
    // Neither end of it is deeper than the other: nothing is explained by being behind itself.
    assert!(!map.leads(&subject("127.0.0.1:80"), &subject("127.0.0.1:80")));
}

#[test]
fn what_only_looks_like_a_loop_is_none() {
    // The own port, under a name that another site has.
    let mut renamed = route(10, "/", &["127.0.0.1:80"]);
    renamed.host_header = Some("backend.test".to_owned());
    let sites = vec![
        site("shop.test", "0.0.0.0:80", vec![renamed]),
        site("backend.test", "0.0.0.0:80", vec![route(20, "/", &["127.0.0.1:8000"])]),
    ];
    let named = scene(vec![sites]);
    let map = Map::of(&named);
    assert!(map.loops.is_empty());
    assert!(map.leads(&subject("127.0.0.1:80"), &subject("127.0.0.1:8000")));

    // A path that grows shorter, and one that leads to another route of the same site.
    let mut shorter = route(10, "/a/", &["127.0.0.1:80"]);
    shorter.rewrite = Some(Box::new(("/a/".to_owned(), "/".to_owned())));
    let other = scene(vec![vec![site("shop.test", "0.0.0.0:80", vec![shorter, route(11, "/", &["127.0.0.1:8000"])])]]);
    assert!(Map::of(&other).loops.is_empty());

    // Where a condition decides, nothing is claimed.
    let mut conditional = route(10, "@app", &["127.0.0.1:80"]);
    conditional.takes = Some(PathMatch::Condition("@app".to_owned()));
    conditional.sample_path = "/".to_owned();
    assert!(Map::of(&scene(vec![vec![site("shop.test", "0.0.0.0:80", vec![conditional])]])).loops.is_empty());

    // A gateway that does not run takes nothing.
    let mut stopped = scene(vec![vec![site("shop.test", "0.0.0.0:80", vec![route(10, "/", &["127.0.0.1:80"])])]]);
    stopped.gateways[0].state = RunState::Stopped { why_expected: "it is enabled".to_owned() };
    assert!(Map::of(&stopped).loops.is_empty());
}

#[test]
fn sites_are_chosen_by_name_as_gateways_do() {
    let sites = vec![
        site("a.test", "0.0.0.0:80", Vec::new()),
        site("*.b.test", "0.0.0.0:80", Vec::new()),
        site(".c.test", "0.0.0.0:80", Vec::new()),
        site("d.test", "127.0.0.1:80", Vec::new()),
    ];
    let scene = scene(vec![sites]);
    let entrances = Entrances::of(&scene);
    let at = |to: &str, host: &str| entrances.taking(&address(to), host).map(|found| found.site.names[0].clone());
    for (to, host, name) in [
        ("127.0.0.1:80", "a.test", Some("d.test")), // the exact address has its own sites
        ("127.0.0.2:80", "A.test:80", Some("a.test")),
        ("127.0.0.2:80", "x.b.test", Some("*.b.test")),
        ("127.0.0.2:80", "c.test", Some(".c.test")),
        ("127.0.0.2:80", "x.c.test", Some(".c.test")),
        ("127.0.0.2:80", "unknown.test", Some("a.test")),
        ("127.0.0.2:81", "a.test", None),
        ("10.0.0.1:80", "a.test", None), // not this host
    ] {
        assert_eq!(at(to, host).as_deref(), name, "{to} {host}");
    }
}

#[test]
fn a_mesh_of_gateways_is_bounded() {
    // Twelve sites, each of which sends on to all others.
    let port = |n: u16| format!("127.0.0.1:{}", 9000 + n);
    let sites: Vec<Site> = (0..12)
        .map(|n| {
            let others: Vec<String> = (0..12).filter(|other| *other != n).map(port).collect();
            let others: Vec<&str> = others.iter().map(String::as_str).collect();
            site("x.test", &port(n), vec![route(u32::from(n) + 1, "/", &others)])
        })
        .collect();
    let scene = scene(vec![sites]);
    let began = std::time::Instant::now();
    assert!(!Map::of(&scene).loops.is_empty());
    assert!(began.elapsed() < std::time::Duration::from_secs(20), "{:?}", began.elapsed());
}
