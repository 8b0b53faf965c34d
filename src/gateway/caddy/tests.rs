//! Whole configurations, in the shape of the distributions' own and of what people make of them.

use std::{fmt::Write as _, path::PathBuf, process::Command, time::Instant};

use super::{
    super::tests::{stock, tree as files},
    *,
};
use crate::model::{ANSWERS, Identity, PathMatch, Protocol, Reuse, Role, Route};

mod meaning;

pub(super) fn process(pid: u32, argv: &[&str]) -> ProcessInfo {
    ProcessInfo {
        pid,
        ppid: 0,
        name: "caddy".to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        exe: None,
        identity: Identity { name: "caddy".to_owned(), uid: 999, gid: 995, groups: vec![995] },
        started: Some(1000),
        start_ticks: None,
        state: 'S',
        cgroup: Some("/system.slice/caddy.service".to_owned()),
        cwd: None,
        net_ns: None,
        threads: 1,
    }
}

/// `init`, without which processes count as hidden.
pub(super) fn init() -> ProcessInfo {
    ProcessInfo { name: "init".to_owned(), ..process(1, &["/sbin/init"]) }
}

pub(super) fn only(found: Found) -> Gateway {
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    found.gateways.into_iter().next().expect("one")
}

/// The running gateway of a Caddyfile.
fn running(text: &str) -> Gateway {
    let (_dir, root) = files(&[("/etc/caddy/Caddyfile", text)]);
    let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/Caddyfile"]);
    only(look(&root, Some(&[init(), caddy]), &Overrides::default()))
}

/// A route in a line: what it takes, what it speaks where.
fn line(route: &Route) -> String {
    let takes = match route.path_match().as_ref() {
        PathMatch::Any => "*".to_owned(),
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(path) | PathMatch::FinalPrefix(path) => format!("{path}*"),
        PathMatch::Pattern(pattern) => format!("~{pattern}"),
        PathMatch::Condition(what) => format!("if {what}"),
    };
    let servers: Vec<String> = route.servers.iter().map(|server| server.address.to_string()).collect();
    let rewrite = route.rewrite.as_deref().map_or_else(String::new, |(from, to)| format!(" {from}>{to}"));
    format!("{takes} {} {}{rewrite}", route.protocol.scheme(), servers.join(","))
}

/// The routes that lead to upstreams.
fn lines(gateway: &Gateway) -> Vec<String> {
    gateway.routes().filter(|(_, route)| !route.settings.contains_key(ANSWERS)).map(|(_, route)| line(route)).collect()
}

#[test]
fn debian_s_own_configuration_is_expected_to_run() {
    let found = only(look(&stock("caddy-debian"), Some(&[init()]), &Overrides::default()));
    let RunState::Stopped { why_expected } = &found.state else { panic!("{:?}", found.state) };
    assert_eq!(why_expected, "/usr/bin/caddy and /etc/caddy/Caddyfile are there");
    assert_eq!((found.version.as_deref(), found.problems.len(), found.unit.as_deref()), (Some("2.6.2"), 0, Some("caddy.service")));
    assert_eq!(found.identity.as_ref().map(|identity| identity.uid), Some(999));
    assert_eq!(found.commands["start"], ["systemctl", "start", "caddy"]);
    assert_eq!(found.commands["test"], ["caddy", "validate", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]);
    assert!(!found.commands.contains_key("reload"));
    let site = &found.sites[0];
    assert_eq!(
        (site.listens[0].address.to_string().as_str(), site.listens[0].tls, site.routes[0].settings[ANSWERS].value.as_str()),
        ("0.0.0.0:80", false, "file_server")
    );
}

#[test]
fn alpine_s_own_configuration_runs_under_openrc() {
    let caddy = process(7, &["/usr/sbin/caddy", "run", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]);
    let found = only(look(&stock("caddy-alpine"), Some(&[init(), caddy]), &Overrides::default()));
    assert!(found.running() && found.problems.is_empty() && found.blind.is_empty(), "{found:#?}");
    assert_eq!(found.files.len(), 1);
    let site = &found.sites[0];
    assert_eq!(
        (site.listens[0].address.to_string().as_str(), site.routes[0].settings[ANSWERS].value.as_str()),
        ("0.0.0.0:80", "file_server")
    );
    let resting = only(look(&stock("caddy-alpine"), Some(&[init()]), &Overrides::default()));
    let RunState::Stopped { why_expected } = &resting.state else { panic!("{:?}", resting.state) };
    assert_eq!(why_expected, "/usr/sbin/caddy and /etc/caddy/Caddyfile are there");
}

#[test]
fn the_sites_of_a_folder_are_imported() {
    let caddy = process(7, &["/usr/bin/caddy", "run", "--environ", "--config", "/etc/caddy/Caddyfile"]);
    let found = only(look(&stock("caddy-rhel"), Some(&[init(), caddy]), &Overrides::default()));
    assert!(found.running() && found.problems.is_empty(), "{found:#?}");
    assert_eq!(found.files.len(), 2);
    assert_eq!(lines(&found), ["/api/* http 127.0.0.1:8000", "* fastcgi unix:/run/php-fpm/www.sock"]);
    let (site, php) = found.routes().find(|(_, route)| route.protocol == Protocol::Fastcgi).expect("one");
    assert_eq!((site.host(), site.listens[0].tls, site.listens[0].address.port()), (Some("shop.example.com"), true, Some(443)));
    assert_eq!(php.params[0], ("SCRIPT_FILENAME".to_owned(), "/srv/shop/public/index.php".to_owned()));
    assert_eq!(php.at.to_string(), "/etc/caddy/Caddyfile.d/shop.caddyfile:4");
    assert_eq!(found.logs[0].path, PathBuf::from("/var/log/caddy/shop.log"));
    assert_eq!(found.logs[0].kind, SourceKind::Access);
}

#[test]
fn what_is_none_of_a_configuration_is_survived() {
    let big = "a".repeat(200_000);
    for text in [
        "",
        "}",
        "{",
        "{{{",
        "a {\n b {\n c",
        "import *",
        "import Caddyfile",
        "(a) {\n import a\n}\nimport a",
        ":80 {\n import b\n}\n(b) {\n reverse_proxy {args[0]} {args[:]}\n}",
        "\u{feff}:80 {\r\n\treverse_proxy localhost:1\r\n}\r\n",
        ":80 {\n reverse_proxy \"\n",
        ":80 {\n handle_path {\n reverse_proxy\n }\n rewrite\n uri\n root\n invoke\n @x\n php_fastcgi\n}",
        "\0\0\0",
        &big,
    ] {
        let found = running(text);
        assert!(found.running(), "{text:.80}");
    }
    assert_eq!(running("import Caddyfile").problems[0].1, "/etc/caddy/Caddyfile imports itself");
    assert_eq!(running("import none.conf").problems[0].1, "File to import not found: /etc/caddy/none.conf");
    assert_eq!(running(":80 {\n reverse_proxy a:1\n").problems[0].1, "the block of ':80' has no closing brace");
    assert_eq!(lines(&running("\u{feff}:80 {\r\n\treverse_proxy localhost:1\r\n}\r\n")), ["* http localhost:1"]);
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_and_its_lines_hold_what_they_are_said_to(text in "([a-z:/@*{}()\"`\\\\ \n#<]|reverse_proxy |handle|import |\\{\\$A\\}|:80 \\{\n){0,120}") {
        let gateway = running(&text);
        let lines: Vec<&str> = text.split('\n').collect();
        for (_, route) in gateway.routes() {
            let at = lines.get(route.at.line as usize - 1).copied().unwrap_or_default();
            proptest::prop_assert!(at.contains("reverse_proxy"), "{} is {at:?}", route.at);
        }
    }
}

#[test]
fn twenty_thousand_sites_are_read_quickly() {
    let mut text = String::from("(proxy) {\n\treverse_proxy {args[0]} {\n\t\theader_up Host {upstream_hostport}\n\t}\n}\n");
    for number in 0..20_000 {
        let _ = write!(text, "http://s{number}.test {{\n\timport proxy 10.0.{}.{}:8000\n}}\n", number / 250, number % 250);
    }
    let (_dir, root) = files(&[("/etc/caddy/Caddyfile", &text)]);
    let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/Caddyfile"]);
    let began = Instant::now();
    let found = only(look(&root, Some(&[init(), caddy]), &Overrides::default()));
    let took = began.elapsed();
    assert_eq!(found.routes().count(), 20_000);
    // An unoptimised build on a busy machine; what a release build needs is in the benchmarks.
    assert!(took.as_secs() < 120, "{took:?}");
}

/// Caddy's own understanding of a Caddyfile, read as JSON, against ours: the same listens and the same upstreams.
#[test]
fn caddy_adapts_to_what_we_read() {
    let binary = Path::new("/usr/bin/caddy");
    if !binary.exists() && std::env::var("CI").as_deref() != Ok("true") {
        return;
    }
    for text in meaning::SAMPLES {
        let (dir, _root) = files(&[("/Caddyfile", text)]);
        let adapted = Command::new(binary)
            .args(["adapt", "--config"])
            .arg(dir.path().join("Caddyfile"))
            .args(["--adapter", "caddyfile"])
            .env_clear()
            .output()
            .expect("caddy");
        assert!(adapted.status.success(), "{text}\n{}", String::from_utf8_lossy(&adapted.stderr));
        let adapted = String::from_utf8(adapted.stdout).expect("text");
        let value = Value::parse(&adapted).expect("JSON");
        let theirs = json::read(&value, Path::new("/x.json"), &environment::Environment::default());
        assert_eq!(theirs.problems, [], "{text}");
        let ours = running(text);
        assert_eq!(ours.problems, [], "{text}");
        let mut shown = [ours.sites.clone(), theirs.sites.into()].map(|sites| {
            let listens =
                sites.iter().flat_map(|site| &site.listens).map(|listen| format!("{} tls={}", listen.address, listen.tls));
            let mut listens: Vec<String> = listens.collect();
            listens.sort();
            listens.dedup();
            let leads = |route: &&Route| !route.settings.contains_key(ANSWERS);
            let routes = sites.iter().flat_map(|site| site.routes.iter().filter(leads).map(move |route| (site, route)));
            let mut routes: Vec<String> = routes
                .map(|(site, route)| {
                    let host = route.host_header.as_deref().unwrap_or("-");
                    format!(
                        "{} {} host={host} sni={:?} {}/{}",
                        site.host().unwrap_or("*"),
                        line(route),
                        route.sni,
                        route.connect_ms,
                        route.read_ms
                    )
                })
                .collect();
            routes.sort();
            routes.dedup();
            (listens, routes)
        });
        // Conditions are written in other words.
        for (_, routes) in &mut shown {
            for line in routes.iter_mut() {
                if let (Some(from), Some(to)) = (line.find("if "), line.find(" http")) {
                    line.replace_range(from..to, "if");
                }
            }
        }
        let [ours, theirs] = shown;
        assert_eq!(ours, theirs, "{text}\n{adapted}");
    }
}

#[test]
fn json_has_the_same_meaning_and_its_lines() {
    let text = r#"{
  "apps": {"http": {"servers": {"shop": {
    "listen": [":80"],
    "routes": [
      {"match": [{"path": ["/api/*"]}], "handle": [{"handler": "reverse_proxy",
        "transport": {"protocol": "http", "response_header_timeout": 700000000, "tls": {"insecure_skip_verify": true}},
        "upstreams": [
          {"dial": "127.0.0.1:8000"},
          {"dial": "unix//run/app.sock"}]}]},
      {"handle": [{"handler": "static_response"}]}
    ]}}}}
}"#;
    let (_dir, root) = files(&[("/etc/caddy/caddy.json", text)]);
    let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/caddy.json"]);
    let found = only(look(&root, Some(&[init(), caddy]), &Overrides::default()));
    assert_eq!(lines(&found), ["/api/* https 127.0.0.1:8000,unix:/run/app.sock"]);
    let (_, route) = found.routes().next().expect("one");
    assert_eq!(route.servers.iter().map(|server| server.at.line).collect::<Vec<_>>(), [8, 9]);
    assert_eq!((route.read_ms, route.connect_ms), (700, 3000));
    assert!(!route.trust.as_ref().expect("TLS").verify);
    assert_eq!(found.commands["test"], ["caddy", "validate", "--config", "/etc/caddy/caddy.json"]);
    let broken = look(
        &files(&[("/c.json", "{\n\"apps\": {\n")]).1,
        Some(&[init(), process(7, &["caddy", "run", "-c", "/c.json"])]),
        &Overrides::default(),
    );
    assert_eq!(only(broken).problems.len(), 1);
}
