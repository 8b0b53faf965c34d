//! Files in the shape of distributions and of the products' documentation.

use super::{super::tests::tree, *};
use crate::model::{Identity, PathMatch};

fn process(pid: u32, ppid: u32, line: &str) -> ProcessInfo {
    let argv = shlex::split(line).expect("words");
    let name = argv[0].rsplit('/').next().expect("a name").to_owned();
    ProcessInfo {
        pid,
        ppid,
        name,
        argv,
        exe: None,
        identity: Identity { name: "www".to_owned(), uid: pid, gid: 33, groups: vec![33] },
        started: Some(1000),
        start_ticks: None,
        state: 'S',
        cgroup: None,
        cwd: None,
        net_ns: None,
        threads: 1,
    }
}

/// What is found of a process with this command line: where it listens, and its routes.
fn found(product: &Product, line: &str, files: &[(&str, &str)]) -> (Vec<String>, Vec<String>) {
    let (_dir, root) = tree(files);
    let processes = [process(1, 0, "init"), process(7, 1, line)];
    let found = product.find(&root, Some(&processes), &Overrides::default());
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    let gateway = &found.gateways[0];
    assert!(gateway.running() && gateway.kind == product.id);
    let listens = gateway
        .sites
        .iter()
        .flat_map(|site| &site.listens)
        .map(|listen| format!("{}{}", listen.address, if listen.tls { " tls" } else { "" }));
    let mut listens: Vec<String> = listens.collect();
    listens.dedup();
    let routes = gateway.routes().map(|(site, route)| {
        let servers: Vec<String> = route.servers.iter().map(|server| format!("{} @{}", server.address, server.at.line)).collect();
        let takes = match route.path_match().as_ref() {
            PathMatch::Condition(_) => "if".to_owned(),
            _ => route.pattern.clone(),
        };
        format!("{} {takes} {} {}", site.host().unwrap_or("-"), route.protocol.scheme(), servers.join(", "))
    });
    (listens, routes.collect())
}

#[test]
fn lighttpd() {
    let main = "server.port = 80\nserver.errorlog = \"/var/log/l.log\"\ninclude_shell \"/x.pl \" + server.port\ninclude \"conf-enabled/*.conf\"\n\
        proxy.server = ( \"\" => ( \"app\" => ( \"host\" => \"127.0.0.1\", # here\n  \"port\" => 8000 ) ) )\n\
        $HTTP[\"url\"] =~ \"^/api\" {\n  proxy.server = ( \"\" => (( \"host\" => \"10.0.0.1\", \"port\" => \"8001\" ), ( \"host\" => \"10.0.0.2\", \"port\" => 8001 )))\n}\n\
        $SERVER[\"socket\"] == \":443\" { ssl.engine = \"enable\" }\n\
        $HTTP[\"host\"] == \"b.test\" { proxy.server = ( \"\" => (( \"socket\" => \"/run/b.sock\" ))) }\n";
    let php = "fastcgi.server += ( \".php\" => (( \"socket\" => \"/run/php.sock\", \"broken-scriptfilename\" => \"enable\" )) )\n";
    let (listens, routes) = found(
        &LIGHTTPD,
        "/usr/sbin/lighttpd -D -f /etc/lighttpd/lighttpd.conf",
        &[("/etc/lighttpd/lighttpd.conf", main), ("/etc/lighttpd/conf-enabled/15-php.conf", php)],
    );
    assert_eq!(listens[..2], ["0.0.0.0:80", "0.0.0.0:443 tls"]);
    assert_eq!(
        routes,
        [
            "b.test * http unix:/run/b.sock @11",
            "b.test ~ \\.php$ fastcgi unix:/run/php.sock @1",
            "b.test ~ ^/api http 10.0.0.1:8001 @8, 10.0.0.2:8001 @8",
            "b.test * http 127.0.0.1:8000 @5",
            "- ~ \\.php$ fastcgi unix:/run/php.sock @1",
            "- ~ ^/api http 10.0.0.1:8001 @8, 10.0.0.2:8001 @8",
            "- * http 127.0.0.1:8000 @5",
        ]
    );
}

#[test]
fn varnish() {
    let vcl = "vcl 4.1;\nimport directors;\n/* backend no {\n} */\nbackend default {\n    .host = \"127.0.0.1\"; # app\n    .port = \"8080\";\n    .probe = {\n        .url = \"/\"; .timeout = 1s;\n    }\n}\n\
        backend api { .host = \"10.0.0.1\"; .port = \"8001\"; .first_byte_timeout = 5s; }\nbackend a { .path = \"/run/a.sock\"; }\n\
        sub vcl_recv {\n  if (req.url ~ \"^/api/\") {\n    set req.backend_hint = api;\n  }\n}\n";
    let line = "/usr/sbin/varnishd -j unix,user=vcache -F -a :6081 -a tls=127.0.0.1:8443,PROXY -T localhost:6082 -f /etc/varnish/default.vcl";
    let (listens, routes) = found(&VARNISH, line, &[("/etc/varnish/default.vcl", vcl)]);
    assert_eq!(listens, ["0.0.0.0:6081", "127.0.0.1:8443"]);
    assert_eq!(routes, ["- ~ ^/api/ http 10.0.0.1:8001 @12", "- * http 127.0.0.1:8080 @6"]);
    let directed = "backend a { .host = \"10.0.0.1\"; }\nbackend b { .host = \"10.0.0.2\"; }\nsub vcl_init {\n new d = directors.round_robin();\n d.add_backend(a);\n d.add_backend(b);\n}\nsub vcl_recv { set req.backend_hint = d.backend(); }\n";
    let (_, routes) = found(&VARNISH, "varnishd -a :80 -f /v.vcl", &[("/v.vcl", directed)]);
    assert_eq!(routes, ["- * http 10.0.0.1:80 @1, 10.0.0.2:80 @2"]);
    let dense = "backend default { .host=\"127.0.0.1\"; .port=\"8001\"; .probe = { .url=\"/healthz\"; .interval=1s; } }\nbackend none none;\n";
    let (_, routes) = found(&VARNISH, "varnishd -a :80 -f /v.vcl", &[("/v.vcl", dense)]);
    assert_eq!(routes, ["- * http 127.0.0.1:8001 @1"]);
    let (_, routes) = found(&VARNISH, "varnishd -a :80 -b 127.0.0.1:9000", &[]);
    assert_eq!(routes, ["- * http 127.0.0.1:9000 @1"]);
}

#[test]
fn squid() {
    let conf = "# http_port 3128\nhttp_port 80 accel defaultsite=shop.test vhost\ncache_peer 127.0.0.1 parent 8000 0 no-query originserver name=app\n\
        cache_peer 10.0.0.2 parent 8443 0 no-query originserver tls name=spare\nread_timeout 20 seconds\ninclude conf.d/*.conf\n";
    let (listens, routes) = found(
        &SQUID,
        "/usr/sbin/squid --foreground -sYC",
        &[("/etc/squid/squid.conf", conf), ("/etc/squid/conf.d/a.conf", "cache_peer_access spare allow api\n")],
    );
    assert_eq!(listens, ["0.0.0.0:80"]);
    assert_eq!(routes, ["shop.test if https 10.0.0.2:8443 @4", "shop.test * http 127.0.0.1:8000 @3"]);
    let (listens, routes) = found(&SQUID, "squid", &[("/etc/squid/squid.conf", "http_port 3128\n")]);
    assert!(listens.is_empty() && routes.is_empty(), "a forward proxy is no gateway of ours");
}

#[test]
fn traefik() {
    let fixed = "entryPoints:\n  web:\n    address: \":80\"\n  websecure:\n    address: ':443'\nproviders:\n  file:\n    filename: /etc/traefik/dynamic.yml\n";
    let dynamic = "http:\n  services:\n    app:\n      loadBalancer:\n        servers:\n          - url: \"http://127.0.0.1:8000\"\n          - url: \"http://127.0.0.1:8001/\"\n";
    let (listens, routes) = found(
        &TRAEFIK,
        "traefik --configFile=/etc/traefik/traefik.yml",
        &[("/etc/traefik/traefik.yml", fixed), ("/etc/traefik/dynamic.yml", dynamic)],
    );
    assert_eq!(listens, ["0.0.0.0:80", "0.0.0.0:443 tls"]);
    assert_eq!(routes, ["- * http 127.0.0.1:8000 @6, 127.0.0.1:8001 @7"]);
    let (listens, _) = found(&TRAEFIK, "traefik --entryPoints.web.address=:8080", &[]);
    assert_eq!(listens, ["0.0.0.0:8080"]);
}

#[test]
fn envoy() {
    let text = "admin:\n  address:\n    socket_address: { address: 127.0.0.1, port_value: 9901 }\nstatic_resources:\n  listeners:\n  - name: l\n    address:\n      socket_address: { address: 0.0.0.0, port_value: 10000 }\n  clusters:\n  - name: app\n    load_assignment:\n      endpoints:\n      - lb_endpoints:\n        - endpoint:\n            address:\n              socket_address:\n                address: 127.0.0.1\n                port_value: 8000\n        - endpoint:\n            address: { socket_address: { address: app.internal, port_value: 8001 } }\n  - name: other\n    load_assignment:\n      endpoints:\n      - lb_endpoints:\n        - endpoint: { address: { socket_address: { address: 10.0.0.1, port_value: 80 } } }\n";
    let (listens, routes) = found(&ENVOY, "envoy -c /etc/envoy/envoy.yaml", &[("/etc/envoy/envoy.yaml", text)]);
    assert_eq!(listens, ["0.0.0.0:10000"]);
    assert_eq!(routes, ["- if http 127.0.0.1:8000 @18, app.internal:8001 @20", "- if http 10.0.0.1:80 @25"]);
}

#[test]
fn where_they_tell_of_their_servers_is_known() {
    let of = |product: &Product, argv: &str, text: &str| {
        let (_dir, root) = tree(&[("/c", text)]);
        let argv: Vec<String> = argv.split(' ').map(str::to_owned).collect();
        (product.read)(&Input { root: &root, config: Path::new("/c"), argv: &argv }).admin.map(|(at, path)| format!("{at} {path}"))
    };
    let envoy =
        "admin:\n  address:\n    socket_address: { address: 0.0.0.0, port_value: 9901 }\nstatic_resources:\n  clusters: []\n";
    assert_eq!(of(&ENVOY, "envoy", envoy).as_deref(), Some("127.0.0.1:9901 /clusters?format=json"));
    assert_eq!(of(&ENVOY, "envoy", "static_resources:\n  listeners:\n"), None);
    let open = "entryPoints:\n  web:\n    address: \":80\"\n  traefik:\n    address: \"127.0.0.1:8099\"\napi:\n  dashboard: true\n  insecure: true\n";
    assert_eq!(of(&TRAEFIK, "traefik", open).as_deref(), Some("127.0.0.1:8099 /api/http/services"));
    assert_eq!(of(&TRAEFIK, "traefik --api.insecure=true", "").as_deref(), Some("127.0.0.1:8080 /api/http/services"));
    assert_eq!(of(&TRAEFIK, "traefik", "[api]\n  insecure = true\n").as_deref(), Some("127.0.0.1:8080 /api/http/services"));
    assert_eq!(of(&TRAEFIK, "traefik", "api:\n  dashboard: true\nother:\n  insecure: true\n"), None);
}

#[test]
fn what_is_merely_installed_is_not_missed() {
    let files = [("/etc/varnish/default.vcl", "backend default { .host = \"127.0.0.1\"; }\n")];
    let (dir, root) = tree(&files);
    let processes = [process(1, 0, "init")];
    let look = || VARNISH.find(&root, Some(&processes), &Overrides::default()).gateways;
    assert!(look().is_empty());
    std::fs::create_dir_all(dir.path().join("lib/systemd/system")).expect("directory");
    std::fs::create_dir_all(dir.path().join("etc/systemd/system/multi-user.target.wants")).expect("directory");
    std::fs::write(
        dir.path().join("lib/systemd/system/varnish.service"),
        "[Service]\nExecStart=/usr/sbin/varnishd -a :6081 -f /etc/varnish/default.vcl\n",
    )
    .expect("unit");
    std::os::unix::fs::symlink(
        "/lib/systemd/system/varnish.service",
        dir.path().join("etc/systemd/system/multi-user.target.wants/varnish.service"),
    )
    .expect("link");
    let gateways = look();
    assert_eq!(gateways[0].sites[0].listens[0].address.to_string(), "0.0.0.0:6081");
    assert_eq!(gateways[0].commands["start"], ["systemctl", "start", "varnish"]);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(text in "([a-z0-9 =\"(){};,+.:/~\\-#*$\\[\\]\n]|backend |proxy.server|cache_peer |port_value: |url: ){0,80}") {
        let (_dir, root) = tree(&[("/c", text.as_str())]);
        for product in [&LIGHTTPD, &VARNISH, &SQUID, &TRAEFIK, &ENVOY] {
            let _ = (product.read)(&Input { root: &root, config: Path::new("/c"), argv: &[] });
        }
    }
}
