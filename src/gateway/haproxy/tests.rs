//! Whole configurations, in the shape of the distributions' own and of what people make of them.

use std::{fmt::Write as _, path::PathBuf};

use proptest::prelude::*;

use super::{
    super::tests::{stock, tree},
    *,
};
use crate::model::{ANSWERS, Address, PathMatch, Protocol, Reuse, Role, Route, Site, TURNS};

mod agrees;

fn process(pid: u32, ppid: u32, line: &str, user: (&str, u32)) -> ProcessInfo {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    ProcessInfo {
        pid,
        ppid,
        name: argv[0].rsplit('/').next().unwrap_or_default().to_owned(),
        argv,
        exe: None,
        identity: Identity { name: user.0.to_owned(), uid: user.1, gid: user.1, groups: vec![user.1] },
        started: Some(1000 + i64::from(pid)),
        start_ticks: None,
        state: 'S',
        cgroup: Some("/system.slice/haproxy.service".to_owned()),
        cwd: Some("/".into()),
        net_ns: None,
        threads: 1,
    }
}

const MASTER: &str = "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -p /run/haproxy.pid -S /run/haproxy-master.sock";

fn look_at(root: &Root, processes: &[ProcessInfo]) -> Found {
    let init = process(1, 0, "/sbin/init", ("root", 0));
    let all: Vec<ProcessInfo> = std::iter::once(init).chain(processes.iter().cloned()).collect();
    look(root, Some(&all), &Overrides::default(), &Versions::default())
}

fn only(found: Found) -> Gateway {
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    found.gateways.into_iter().next().expect("one")
}

/// The gateway of a file with this text.
fn conf(text: &str) -> Gateway {
    let (_dir, root) = tree(&[("/etc/haproxy/haproxy.cfg", text)]);
    only(look_at(&root, &[process(70, 1, MASTER, ("root", 0))]))
}

/// `pattern -> servers` of each route of a site.
fn told(site: &Site) -> Vec<String> {
    let takes = |takes: &Option<PathMatch>| match takes {
        Some(PathMatch::Exact(path)) => format!("={path}"),
        Some(PathMatch::Prefix(path) | PathMatch::FinalPrefix(path)) => path.clone(),
        Some(PathMatch::Pattern(pattern)) => format!("~{pattern}"),
        Some(PathMatch::Any) => "*".to_owned(),
        Some(PathMatch::Condition(_)) => "?".to_owned(),
        None => "none".to_owned(),
    };
    let route = |route: &crate::model::Route| {
        let servers: Vec<String> = route.servers.iter().map(|server| server.address.to_string()).collect();
        format!("{} {} {}", takes(&route.takes), route.protocol.scheme(), servers.join(" "))
    };
    site.routes.iter().filter(|route| !route.settings.contains_key(ANSWERS)).map(route).collect()
}

fn site<'a>(gateway: &'a Gateway, name: &str, tls: bool) -> &'a Site {
    let is = |site: &&Site| site.host().unwrap_or_default() == name && site.listens.iter().any(|listen| listen.tls == tls);
    gateway.sites.iter().find(is).unwrap_or_else(|| panic!("no site {name}: {:#?}", gateway.sites))
}

#[test]
fn debian_with_a_site() {
    let processes = [process(70, 1, MASTER, ("root", 0)), process(71, 70, MASTER, ("haproxy", 112))];
    let gateway = only(look_at(&stock("haproxy-debian"), &processes));
    assert_eq!(gateway.title(), "haproxy/2.6.12-1+deb12u4");
    assert_eq!(gateway.state, RunState::Running { pid: 70, since: Some(1070), workers_since: Some(1071) });
    assert_eq!(gateway.identity.as_ref().map(|identity| identity.name.as_str()), Some("haproxy"));
    assert_eq!(gateway.problems, []);
    assert_eq!(gateway.resolvers, ["10.0.0.2:53", "10.0.0.3:53"]);
    assert_eq!(gateway.commands["reload"], ["systemctl", "reload", "haproxy"]);
    assert_eq!(gateway.commands["test"], ["haproxy", "-c", "-f", "/etc/haproxy/haproxy.cfg"]);
    // Who comes without TLS is redirected, and reaches no server.
    assert_eq!(told(site(&gateway, "", false)), [""; 0]);
    assert_eq!(
        told(site(&gateway, "", true)),
        [
            "~(?:\\.css$)|(?:\\.js$)|(?:\\.png$)|^/static/ http unix:/var/lib/haproxy/run/static.sock",
            "~(?i)^/api/ https api.internal:8443",
            "* http 10.0.0.11:8080 10.0.0.12:8080 10.0.0.13:8080 10.0.0.14:8080",
        ]
    );
    assert_eq!(told(site(&gateway, "admin.shop.test", true)), ["* http 127.0.0.1:9001"]);
    let shop = site(&gateway, "", true);
    let api = shop.route_for("/api/cart").expect("a route");
    assert_eq!((api.rewrite.as_deref(), api.read_ms), (Some(&("/api/".to_owned(), "/".to_owned())), 120_000));
    let trust = api.trust.as_ref().expect("TLS");
    assert!(trust.verify && api.sni.as_deref() == Some("api.internal") && trust.name.as_deref() == Some("api.internal"));
    assert_eq!(trust.ca_file.as_deref(), Some(Path::new("/etc/ssl/certs/internal-ca.pem")));
    let route = shop.route_for("/").expect("a route");
    assert_eq!((route.pool.as_deref(), route.connect_ms, route.header_limit), (Some("shop"), 5_000, Some(15_360)));
    let roles: Vec<Role> = route.servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Primary, Role::Backup, Role::Down]);
    assert_eq!(route.servers[0].at.to_string(), "/etc/haproxy/haproxy.cfg:49");
    assert_eq!(route.settings["option httpchk"].value, "GET /healthz");
    assert_eq!(route.settings["maxconn"].value, "200");
}

#[test]
fn rhel_with_a_directory_and_nothing_that_runs() {
    let gateway = only(look_at(&stock("haproxy-rhel"), &[]));
    assert!(!gateway.running());
    assert_eq!(
        gateway.files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(),
        [PathBuf::from("/etc/haproxy/haproxy.cfg"), PathBuf::from("/etc/haproxy/conf.d/10-mail.cfg")]
    );
    let main = &gateway.sites[0];
    assert_eq!(told(main).len(), 2);
    let image = main.route_for("/images/a").and_then(|route| route.pool.as_deref());
    assert_eq!((image, main.route_for("/x").and_then(|route| route.pool.as_deref())), (Some("static"), Some("app")));
    assert_eq!(main.route_for("/A.JPG").and_then(|route| route.pool.as_deref()), Some("static"));
    // A peer that expects the PROXY protocol can only be connected to.
    assert_eq!(told(&gateway.sites[1]), ["* tcp 10.0.0.21:143"]);
}

#[test]
fn the_packages_own_file_serves_nobody_and_is_missed_by_nobody() {
    let text = "global\n\tlog /dev/log local0\ndefaults\n\tmode http\n";
    let files = [("/etc/haproxy/haproxy.cfg", text), ("/usr/sbin/haproxy", " version 2.6.12, released 2026/10/17\0")];
    let (_dir, root) = tree(&files);
    assert_eq!(look_at(&root, &[]).gateways.len(), 0);
}

#[test]
fn a_container_with_variables_maps_and_templates() {
    let line = "haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg";
    let gateway = only(look_at(&stock("haproxy-docker"), &[process(1, 0, line, ("haproxy", 99))]));
    assert_eq!(gateway.version.as_deref(), Some("3.1.5-076df02"));
    assert_eq!(told(site(&gateway, "shop.test", false)), ["* http 10.1.0.1:8000"]);
    assert_eq!(told(site(&gateway, "rpc.test", false)), ["* grpc 10.1.0.2:50051"]);
    assert_eq!(site(&gateway, "rpc.test", false).routes[0].read_ms, 3_600_000);
    let web = &site(&gateway, "", false).routes[0];
    assert_eq!((web.connect_ms, web.servers[2].name.as_deref()), (3_000, Some("web3")));
    assert_eq!(gateway.commands[live::SOCKET], ["ipv4@127.0.0.1:9999"]);
    assert_eq!(gateway.commands[live::PAGE], ["127.0.0.1:8080", "/stats;csv"]);
}

#[test]
fn rules_are_asked_in_their_order() {
    let gateway = conf(
        "defaults\n mode http\nfrontend f\n bind :80\n acl api path_beg /api\n acl old path /old /older\n acl office src 10.0.0.0/8\n acl shop hdr_dom(host) shop.test\n use_backend a if api !old\n use_backend b if api shop\n use_backend c if office\n use_backend d if { path_reg ^/v[0-9]+/ } or METH_POST\n use_backend e if TRUE\n default_backend f\nbackend a\n server s 127.0.0.1:1\nbackend b\n server s 127.0.0.1:2\nbackend c\n server s 127.0.0.1:3\nbackend d\n server s 127.0.0.1:4\nbackend e\n server s 127.0.0.1:5\nbackend f\n server s 127.0.0.1:6\n",
    );
    assert_eq!(gateway.problems, []);
    let expected = ["? http 127.0.0.1:1", "? http 127.0.0.1:3", "~^/v[0-9]+/ http 127.0.0.1:4", "* http 127.0.0.1:5"];
    assert_eq!(told(site(&gateway, "", false)), expected);
    assert_eq!(told(site(&gateway, "shop.test", false))[1], "/api http 127.0.0.1:2");
}

#[test]
fn backends_that_the_host_names_have_sites_of_their_own() {
    let text = |name: &str| {
        format!(
            "defaults\n mode http\nfrontend f\n bind :80\n use_backend {name} if {{ req.hdr(host) -m found }}\nbackend b-shop\n server s 127.0.0.1:1\nbackend b-blog\n server s 127.0.0.1:2\nbackend shop.test\n server s 127.0.0.1:3\n"
        )
    };
    let sites = |name: &str| {
        let of = |site: &Site| format!("{} {}", site.names.join(" "), told(site).join(" "));
        conf(&text(name)).sites.iter().map(of).filter(|site| !site.starts_with(' ')).collect::<Vec<_>>()
    };
    let first_word = sites("b-%[req.hdr(host),lower,word(1,.)]");
    assert_eq!(first_word, ["blog.* blog.test ? http 127.0.0.1:2", "shop.* shop.test ? http 127.0.0.1:1"]);
    assert_eq!(sites("%[req.hdr(host),lower]"), ["shop.test ? http 127.0.0.1:3"]);
    assert_eq!(sites("b-%[src,map_ip(/x)]"), [""; 0]);
}

#[test]
fn what_haproxy_would_refuse_has_its_place() {
    let gateway = conf("frontend f\n bind 80\n default_backend none\nbackend b\n server s 127.0.0.1:99999\n server\n");
    let problems: Vec<String> = gateway.problems.iter().map(|(at, what)| format!("{} {what}", at.line)).collect();
    assert!(problems.iter().any(|problem| problem.starts_with("2 'bind' : missing port")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("5 invalid port number")), "{problems:?}");
    assert!(problems.iter().any(|problem| problem.starts_with("6 'server' expects")), "{problems:?}");
}

#[test]
fn odd_files_are_survived() {
    // CRLF, a byte order mark, no end of line, words out of sections, conditions.
    let gateway = conf(
        "\u{feff}defaults\r\n mode http\r\n.if defined(NONE)\r\nlisten no\r\n bind :81\r\n.else\r\nlisten yes\r\n bind :80\r\n server s 127.0.0.1:1 # x\r\n.endif\r\n stats enable",
    );
    assert_eq!(gateway.sites.len(), 1);
    assert_eq!(told(&gateway.sites[0]), ["* http 127.0.0.1:1"]);
    let (dir, root) = tree(&[]);
    std::fs::create_dir_all(dir.path().join("etc/haproxy")).expect("directory");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("etc/haproxy/haproxy.cfg"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("fifo");
    let gateway = only(look_at(&root, &[process(70, 1, MASTER, ("root", 0))]));
    assert!(gateway.problems[0].1.contains("is a FIFO"), "{:?}", gateway.problems);
}

#[test]
fn the_youngest_of_a_reload_serves() {
    let (_dir, root) = tree(&[("/etc/haproxy/haproxy.cfg", "listen a\n bind :80\n server s 127.0.0.1:1\n")]);
    let worker = |pid| process(pid, 70, MASTER, ("haproxy", 112));
    let gateway = only(look_at(&root, &[process(70, 1, MASTER, ("root", 0)), worker(71), worker(95)]));
    assert_eq!(gateway.state, RunState::Running { pid: 70, since: Some(1070), workers_since: Some(1095) });
    // Without a master, the process before finishes what it has.
    let bare = "/usr/sbin/haproxy -D -f /etc/haproxy/haproxy.cfg";
    let gateway = only(look_at(
        &root,
        &[process(70, 1, bare, ("haproxy", 112)), process(90, 1, &format!("{bare} -sf 70"), ("haproxy", 112))],
    ));
    assert!(matches!(gateway.state, RunState::Running { pid: 90, .. }), "{:?}", gateway.state);
}

#[test]
fn a_large_configuration_is_read_at_once() {
    let mut text = "defaults\n mode http\nfrontend f\n bind :80\n".to_owned();
    for number in 0..20_000 {
        let _ = writeln!(text, " acl h{number} hdr(host) -i site{number}.test\n use_backend b{number} if h{number}");
    }
    for number in 0..20_000 {
        let _ = writeln!(text, "backend b{number}\n server s 10.0.{}.{}:80 check", number / 250, number % 250);
    }
    let began = std::time::Instant::now();
    let gateway = conf(&text);
    // A debug build beside others: an optimised one takes a hundredth, and what grows with the square far longer.
    assert!(began.elapsed().as_secs() < 120, "{:?}", began.elapsed());
    assert_eq!((gateway.sites.len(), gateway.pools.len()), (20_001, 20_000));
    let site = site(&gateway, "site19999.test", false);
    assert_eq!(site.routes[0].servers[0].address, Address::Tcp(([10, 0, 79, 249], 80).into()));
    assert_eq!(site.routes[0].protocol, Protocol::Http);
}

#[test]
fn what_haproxy_answers_by_itself_has_its_line() {
    let text = "defaults\n mode http\nfrontend f\n bind :80\n http-request deny deny_status 502 if { path_beg /shop/ }\n \
                http-request return status 503 if { src 10.0.0.0/8 }\n http-request deny if { path /x }\n use_backend c if { path_beg /c/ }\n \
                default_backend b\nbackend b\n server a 127.0.0.1:80\nbackend c\n http-request return status 503\n server a 127.0.0.1:81\n";
    let gateway = conf(text);
    let site = site(&gateway, "", false);
    let said = |path: &str| {
        let route = site.route_for(path).expect("a route");
        let said = route.settings.get(ANSWERS).map(|said| format!("{}: {}", said.at.as_ref().expect("a place").line, said.value));
        said.unwrap_or_else(|| route.servers[0].address.to_string())
    };
    assert_eq!(said("/shop/cart"), "5: http-request deny deny_status 502 if { path_beg /shop/ }");
    assert_eq!(said("/x"), "7: http-request deny if { path /x } (403)");
    assert_eq!(said("/c/"), "13: http-request return status 503");
    // What only a request tells takes no path away.
    assert_eq!(said("/"), "127.0.0.1:80");
    assert!(site.routes.iter().any(|route| matches!(route.takes, Some(PathMatch::Condition(_)))));
}

#[test]
fn what_takes_the_place_of_an_answer_has_its_line_and_takes_no_path_away() {
    let text = "defaults\n mode http\n http-response deny if { res.hdr(x) a }\nfrontend f\n bind :80\n \
                http-response return status 503 if { status 404 }\n use_backend c if { path_beg /c/ }\n default_backend b\n\
                backend b\n http-request deny deny_status 503 if { src 10.0.0.0/8 }\n server a 127.0.0.1:80\n\
                backend c\n http-response deny deny_status 500\n http-response set-header x y\n server a 127.0.0.1:81\n";
    let gateway = conf(text);
    let site = site(&gateway, "", false);
    let path = |path: &str| site.route_for(path).map(|route| route.servers[0].address.to_string());
    assert_eq!([path("/").as_deref(), path("/c/").as_deref()], [Some("127.0.0.1:80"), Some("127.0.0.1:81")]);
    let said = |route: &Route| {
        let (key, said) = [ANSWERS, TURNS].iter().find_map(|key| Some((*key, route.settings.get(key)?)))?;
        Some(format!("{} {key} {}: {}", route.sample_path, said.at.as_ref().expect("a place").line, said.value))
    };
    let mut told: Vec<_> = site.routes.iter().filter_map(said).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "/ answers 10: http-request deny deny_status 503 if { src 10.0.0.0/8 }",
            "/ turns 3: http-response deny if { res.hdr(x) a } (502)",
            "/ turns 6: http-response return status 503 if { status 404 }",
            "/c/ turns 13: http-response deny deny_status 500",
            "/c/ turns 3: http-response deny if { res.hdr(x) a } (502)",
            "/c/ turns 6: http-response return status 503 if { status 404 }",
        ]
    );
}

#[test]
fn alpine_s_own_configuration_runs_under_openrc() {
    let line = "/usr/sbin/haproxy -D -p /run/haproxy.pid -f /etc/haproxy/haproxy.cfg";
    let gateway = only(look_at(&stock("haproxy-alpine"), &[process(7, 1, line, ("haproxy", 99))]));
    assert!(gateway.running() && gateway.problems.is_empty() && gateway.blind.is_empty(), "{gateway:#?}");
    assert_eq!((gateway.pools.len(), gateway.pools[0].servers.len()), (2, 1));
    let route = gateway.sites[0].route_for("/cart").expect("a route");
    assert_eq!((route.pool.as_deref(), route.servers.len(), route.reuse.clone()), (Some("app"), 4, Reuse::Never));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever stands in a file, nothing panics, and each place is a line of it that has the words it is said to have.
    #[test]
    fn no_configuration_makes_it_panic(lines in proptest::collection::vec(
        "(global|defaults( x)?( from x)?|frontend f|backend b|listen l| bind (:80|\\[::\\]:443 ssl|/s|@|:1-9)| server( s)? ?(127\\.0\\.0\\.1:80|a:b|unix@x|:\\+1|é)?( check| ssl verify none| disabled)*| use_backend b (if|unless) \\{? ?!?(path_beg /a|hdr\\(host\\) x|METH_GET|or|\\|\\|)? ?\\}?| acl a (path|hdr\\(host\\)|src) ?-?i? ?/x| default_backend (b|l|none)|\\.if [a-z()!]{0,6}|\\.endif|\"|'|\\\\| timeout server 1s| server-template s 1-3 a:80)?",
        0..30,
    )) {
        let text = lines.join("\n");
        let gateway = conf(&text);
        let known: Vec<&str> = text.split('\n').collect();
        for (_, route) in gateway.routes() {
            for server in &route.servers {
                let line = known[usize::try_from(server.at.line).expect("a line") - 1];
                prop_assert!(line.contains("server"), "{}: {line}", server.at);
            }
        }
    }
}
