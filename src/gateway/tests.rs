//! Whatever stands around it, a place names the line on which what it is said of stands: for all kinds with parsers of their own.

use std::path::PathBuf;

use proptest::prelude::*;

use super::{Found, Overrides, apache, caddy, haproxy, nginx};
use crate::{
    model::{Gateway, Identity, Place, ProcessInfo},
    sys::Root,
};

mod trees;

pub(super) use trees::{stock, tree};

/// Lines that mean nothing, in every one of these languages.
const NOISE: &[&str] = &["", "   ", "# a comment } { ; \"", "\t# <VirtualHost> server x 1.2.3.4:5", "#"];

/// A site in the words of a kind; `%` stands for what differs.
struct Words {
    main: &'static str,
    text: &'static str,
    part: &'static str,
    site: &'static [&'static str],
    /// The command line by which it runs. Empty: its file is named by hand.
    argv: &'static [&'static str],
    look: fn(&Root, &[ProcessInfo], &Overrides) -> Found,
}

const KINDS: &[Words] = &[
    Words {
        main: "/etc/nginx/nginx.conf",
        text: "events {}\nhttp {\ninclude parts/*.conf;\n}",
        part: "/etc/nginx/parts/%.conf",
        site: &[
            "upstream pool% {",
            "server 127.0.0.1:%;",
            "keepalive %;",
            "}",
            "server {",
            "listen 127.0.0.2:%;",
            "server_name shop%.test;",
            "location / {",
            "proxy_read_timeout %s;",
            "proxy_pass http://pool%;",
            "}",
            "location = /closed {",
            "return 503 '%';",
            "}",
            "location /direct/ { proxy_pass \"http://127.0.0.1:%/\"; }",
            "}",
        ],
        argv: &[],
        look: |root, processes, overrides| nginx::look(root, Some(processes), overrides, &nginx::binary::Builds::default()),
    },
    Words {
        main: "/etc/apache2/apache2.conf",
        text: "ServerName gw\nListen 127.0.0.2:80\nIncludeOptional /etc/apache2/parts/*.conf",
        part: "/etc/apache2/parts/%.conf",
        site: &[
            "<VirtualHost *:80>",
            "ServerName shop%.test",
            "ProxyTimeout %",
            "<Location \"/api%\">",
            "ProxyPass http://127.0.0.1:%/api",
            "</Location>",
            "ProxyPass / http://127.0.0.1:%/",
            "</VirtualHost>",
        ],
        argv: &[],
        look: |root, processes, overrides| apache::look(root, Some(processes), overrides, &apache::binary::Builds::default()),
    },
    Words {
        main: "/etc/haproxy/parts",
        text: "",
        part: "/etc/haproxy/parts/%.cfg",
        site: &[
            "frontend web%",
            "mode http",
            "bind 127.0.0.2:%",
            "http-request return status 503 if { path /closed% }",
            "use_backend shop% if { hdr(host) -i shop%.test }",
            "default_backend shop%",
            "backend shop%",
            "mode http",
            "timeout server %s",
            "server a% 127.0.0.1:% check inter %s",
        ],
        argv: &["/usr/sbin/haproxy", "-db", "-f", "/etc/haproxy/parts"],
        look: |root, processes, overrides| haproxy::look(root, Some(processes), overrides, &haproxy::binary::Versions::default()),
    },
    Words {
        main: "/etc/caddy/Caddyfile",
        text: "{\nadmin off\n}\nimport parts/*.caddy",
        part: "/etc/caddy/parts/%.caddy",
        site: &[
            "http://shop%.test:8% {",
            "respond /closed 503",
            "reverse_proxy /api% 127.0.0.1:% {",
            "transport http {",
            "response_header_timeout %s",
            "}",
            "}",
            "reverse_proxy 127.0.0.1:%",
            "}",
        ],
        argv: &["/usr/bin/caddy", "run", "--config", "/etc/caddy/Caddyfile"],
        look: |root, processes, overrides| caddy::look(root, Some(processes), overrides),
    },
];

/// `init`, without which processes count as hidden, and a gateway.
fn processes(argv: &[&str]) -> Vec<ProcessInfo> {
    let identity = Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: vec![0] };
    let one = |pid: u32, argv: &[&str]| ProcessInfo {
        pid,
        ppid: pid - 1,
        name: argv[0].rsplit('/').next().unwrap_or_default().to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        exe: None,
        identity: identity.clone(),
        started: Some(1),
        start_ticks: None,
        state: 'S',
        cgroup: None,
        cwd: Some("/".into()),
        net_ns: None,
        threads: 1,
    };
    let gateway = (!argv.is_empty()).then(|| one(2, argv));
    std::iter::once(one(1, &["/sbin/init"])).chain(gateway).collect()
}

/// What each place is said of: words that must stand on its line.
fn claims(gateway: &Gateway) -> Vec<(Place, String)> {
    let mut all: Vec<(Place, String)> = Vec::new();
    let settings = |settings: &crate::model::Settings, all: &mut Vec<(Place, String)>| {
        // How servers are checked is told in words of our own.
        for (_, setting) in settings.iter().filter(|(name, _)| !name.starts_with(crate::model::HEALTH_CHECK)) {
            // A directive's own words, one by one: quotes are no part of them.
            let words = setting.value.split([' ', '"', '\'']).map(|word| word.trim_matches(['(', ')']).to_owned());
            all.extend(setting.at.iter().flat_map(|at| words.clone().map(|word| (at.clone(), word))));
        }
    };
    for pool in &gateway.pools {
        all.push((pool.at.clone(), pool.name.clone()));
        all.extend(pool.servers.iter().map(|server| (server.at.clone(), server.address.to_string())));
        settings(&pool.settings, &mut all);
    }
    for site in &gateway.sites {
        for listen in &site.listens {
            all.push((listen.at.clone(), listen.address.port().map_or_else(String::new, |port| port.to_string())));
        }
        for route in &site.routes {
            all.extend(route.servers.iter().map(|server| (server.at.clone(), server.address.to_string())));
            let leads = route.pool.clone().or_else(|| route.servers.first().map(|server| server.address.to_string()));
            all.push((route.at.clone(), leads.unwrap_or_default()));
            settings(&route.settings, &mut all);
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn places_are_the_lines_of_what_they_are_said_of(
        kind in 0..KINDS.len(), noise in prop::collection::vec(0..NOISE.len() * 3, 64), files in 1..4_usize, crlf in any::<bool>()
    ) {
        let words = &KINDS[kind];
        let dir = tempfile::tempdir().expect("temporary directory");
        let write = |path: &str, text: String| {
            let path = dir.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
            std::fs::write(path, if crlf { text.replace('\n', "\r\n") } else { text }).expect("file");
        };
        if !words.text.is_empty() {
            write(words.main, words.text.to_owned());
        }
        let (mut number, mut at) = (4000, 0);
        for file in 0..files {
            let mut lines: Vec<String> = Vec::new();
            for line in words.site {
                // Often nothing, else one of the lines that mean nothing.
                at = (at + 1) % noise.len();
                lines.extend(NOISE.get(noise[at]).map(|text| (*text).to_owned()));
                number += 1;
                let of_file = ["shop%", "pool%"].iter().any(|name| line.contains(name));
                lines.push(line.replace('%', &if of_file { file.to_string() } else { number.to_string() }));
            }
            write(&words.part.replace('%', &file.to_string()), lines.join("\n"));
        }
        let root = Root::below(dir.path());
        let config = words.argv.is_empty().then(|| words.main.into());
        let overrides = Overrides { config, ..Overrides::default() };
        let found = (words.look)(&root, &processes(words.argv), &overrides);
        prop_assert_eq!(found.gateways.len(), 1, "{}", words.main);
        let claims = claims(&found.gateways[0]);
        prop_assert!(claims.len() >= files * 4, "{}: {} claims", words.main, claims.len());
        for (place, what) in claims {
            let text = std::fs::read_to_string(dir.path().join(place.file.strip_prefix("/").unwrap_or(&place.file))).unwrap_or_default();
            let line = text.lines().nth(place.line as usize - 1).unwrap_or_default();
            prop_assert!(line.contains(&what), "{place} is said to be of {what:?}, and has {line:?}");
        }
        let read: Vec<&PathBuf> = found.gateways[0].files.iter().map(|(path, _)| path).collect();
        for file in 0..files {
            let path = PathBuf::from(words.part.replace('%', &file.to_string()));
            prop_assert!(read.contains(&&path), "{} was read", path.display());
        }
    }
}
