//! What Caddyfiles mean, one by one.

use super::*;

/// Caddyfiles that are also given to Caddy itself: it must read of them what we do.
pub(super) const SAMPLES: &[&str] = &[
    ":80 {\n\treverse_proxy 127.0.0.1:8000\n}\n",
    "localhost\n\nreverse_proxy /api/* localhost:9005\nfile_server\n",
    "shop.test, www.shop.test {\n\treverse_proxy https://app.internal {\n\t\theader_up Host {upstream_hostport}\n\t}\n}\n",
    "http://a.test:8080 {\n\thandle_path /api/* {\n\t\treverse_proxy 127.0.0.1:8001\n\t}\n\thandle {\n\t\treverse_proxy 127.0.0.1:8002\n\t}\n}\n",
    "http:// {\n\troot * /srv/www\n\treverse_proxy /b/* unix//run/app.sock\n\treverse_proxy /b/longer/* h2c://127.0.0.1:50051\n\treverse_proxy 127.0.0.1:8000 127.0.0.1:8001 {\n\t\tlb_policy first\n\t\ttransport http {\n\t\t\tdial_timeout 500ms\n\t\t\tresponse_header_timeout 2s\n\t\t}\n\t}\n}\n",
    "*.test {\n\ttls internal\n\t@a host a.test\n\thandle @a {\n\t\treverse_proxy 127.0.0.1:8001\n\t}\n\t@b host b.test\n\thandle @b {\n\t\treverse_proxy 127.0.0.1:8002\n\t}\n\thandle {\n\t\trespond 404\n\t}\n}\n",
    "{\n\thttp_port 8080\n\thttps_port 8443\n}\na.test {\n\treverse_proxy 10.0.0.1\n}\nhttp://b.test {\n\treverse_proxy 10.0.0.2:81\n}\n",
    "(to) {\n\treverse_proxy {args.0} {\n\t\ttransport http {\n\t\t\ttls_insecure_skip_verify\n\t\t\ttls_server_name inner.test\n\t\t}\n\t}\n}\n:8080 {\n\timport to 10.0.0.1:8443\n}\n:8081 {\n\tbind 127.0.0.1 [::1]\n\timport to 10.0.0.2:8443\n}\n",
    ":80 {\n\troute {\n\t\turi strip_prefix /v1\n\t\treverse_proxy 127.0.0.1:{$NOT_SET:9000}\n\t}\n}\n",
    ":80 {\n\t@post method POST\n\treverse_proxy @post 127.0.0.1:8001\n\t@api {\n\t\tpath /api/* /v2/*\n\t\tmethod GET\n\t}\n\treverse_proxy @api 127.0.0.1:8002\n\treverse_proxy 127.0.0.1:8003\n}\n",
    ":80 {\n\trewrite * /app{uri}\n\treverse_proxy 127.0.0.1:8000\n}\n",
];

fn first(gateway: &Gateway) -> Route {
    gateway.routes().next().expect("a route").1.clone()
}

#[test]
fn requests_go_where_the_first_that_takes_them_says() {
    let gateway = running(SAMPLES[4]);
    assert_eq!(
        lines(&gateway),
        ["/b/longer/* grpc 127.0.0.1:50051", "/b/* http unix:/run/app.sock", "* http 127.0.0.1:8000,127.0.0.1:8001"]
    );
    let site = &gateway.sites[0];
    assert_eq!(site.route_for("/b/x").expect("route").servers[0].address.to_string(), "unix:/run/app.sock");
    let pool = site.route_for("/").expect("route");
    assert_eq!((pool.connect_ms, pool.read_ms, pool.servers[1].role), (500, 2000, Role::Backup));
    assert_eq!(pool.settings["response_header_timeout"].at.as_ref().map(|at| at.line), Some(9));
}

#[test]
fn hosts_of_a_wildcard_are_sites_of_their_own() {
    let gateway = running(SAMPLES[5]);
    let hosts: Vec<_> = gateway.sites.iter().map(|site| (site.host(), site.routes.len())).collect();
    assert_eq!(hosts, [(Some("a.test"), 1), (Some("b.test"), 1)]);
    assert!(gateway.sites.iter().all(|site| site.listens[0].tls));
}

#[test]
fn what_caddy_answers_itself_takes_requests_from_the_upstream() {
    let gateway = running(
        "a.test {\n reverse_proxy 127.0.0.1:8000\n respond /shop* \"closed\" 502\n redir /old /new 301\n @repair file /srv/repair\n respond @repair 503\n handle_errors {\n respond 500\n }\n file_server /static/* {\n pass_thru\n }\n}",
    );
    let answers = |path: &str| {
        let route = gateway.sites[0].route_for(path).expect("a route");
        route.settings.get(ANSWERS).map(|said| format!("{} {}", said.at.as_ref().expect("a place").line, said.value))
    };
    assert_eq!(answers("/shop/cart").as_deref(), Some("3 respond closed 502"));
    assert_eq!(answers("/old").as_deref(), Some("4 redir /new 301"));
    assert_eq!((answers("/"), answers("/static/x")), (None, None), "the upstream's");
    assert_eq!(lines(&gateway), ["* http 127.0.0.1:8000"]);
}

#[test]
fn what_a_condition_makes_caddy_answer_takes_no_path_away() {
    let gateway = running(
        "a.test {\n @repair file /srv/repair\n handle @repair {\n error \"repair\" 503\n }\n @bot header User-Agent *bot*\n error @bot \"no bots\"\n respond @bot 403\n @b host b.test\n handle @b {\n reverse_proxy 127.0.0.1:8001\n }\n handle {\n reverse_proxy 127.0.0.1:8000\n }\n}",
    );
    for (site, address) in gateway.sites.iter().zip(["127.0.0.1:8001", "127.0.0.1:8000"]) {
        assert_eq!(site.route_for("/").expect("a route").servers[0].address.to_string(), address);
        let conditional = site.routes.iter().filter(|route| matches!(route.takes, Some(PathMatch::Condition(_))));
        let said: Vec<_> = conditional.map(|route| route.settings[ANSWERS].value.as_str()).collect();
        assert_eq!(said, ["error repair 503", "error no bots (500)"]);
    }
}

#[test]
fn the_way_to_the_upstream_is_told() {
    let gateway = running(SAMPLES[2]);
    let route = first(&gateway);
    assert_eq!((route.host_header.as_deref(), route.sni.as_deref()), (Some("app.internal:443"), Some("app.internal")));
    let trust = route.trust.expect("TLS");
    assert!(trust.verify && trust.system_roots && trust.name.as_deref() == Some("app.internal"));
    let gateway = running(
        ":80 {\n reverse_proxy 10.0.0.1:8443 {\n transport http {\n tls\n tls_trusted_ca_certs /etc/ca.pem\n tls_client_auth /c.pem /k.pem\n }\n }\n}",
    );
    let route = first(&gateway);
    assert_eq!((route.protocol, route.sni), (Protocol::Https, None));
    let trust = route.trust.expect("TLS");
    assert_eq!((trust.name.as_deref(), trust.ca_file), (Some("10.0.0.1"), Some("/etc/ca.pem".into())));
    assert_eq!((trust.client_key, trust.system_roots), (Some("/k.pem".into()), false));
}

#[test]
fn how_long_connections_are_kept_is_told() {
    let of =
        |lines: &str| first(&running(&format!(":80 {{\n reverse_proxy a:1 {{\n transport http {{\n{lines}\n}}\n}}\n}}"))).reuse;
    assert_eq!(of("dial_timeout 1s"), Reuse::Kept { idle_ms: Some(120_000), at: None });
    assert_eq!(of("keepalive off"), Reuse::Never);
    assert!(matches!(of("keepalive 500ms"), Reuse::Kept { idle_ms: Some(500), at: Some(at) } if at.line == 4));
}

#[test]
fn health_checks_and_what_a_request_decides_are_kept() {
    let gateway = running(
        ":80 {\n reverse_proxy a:1 {\n health_uri /healthz\n health_interval 2s\n fail_duration 30s\n }\n reverse_proxy /d/* {http.request.header.X}\n reverse_proxy /s/* {\n dynamic srv _http._tcp.app\n }\n reverse_proxy /a/* {\n dynamic a app.internal 8080\n }\n}",
    );
    let of = |path: &str| gateway.sites[0].route_for(path).expect("route").clone();
    assert_eq!(of("/").settings["health_uri"].value, "/healthz");
    assert!(of("/d/1").dynamic.is_some() && of("/s/1").dynamic.is_some());
    assert_eq!((of("/a/1").dynamic, of("/a/1").servers[0].address.to_string().as_str()), (None, "app.internal:8080"));
}

#[test]
fn a_command_line_is_a_configuration() {
    let (_dir, root) = files(&[]);
    let caddy = process(7, &["caddy", "reverse-proxy", "--from", ":8080", "--to", "127.0.0.1:9000"]);
    let gateway = only(look(&root, Some(&[init(), caddy]), &Overrides::default()));
    assert_eq!(lines(&gateway), ["* http 127.0.0.1:9000"]);
    assert_eq!(gateway.sites[0].listens[0].address.to_string(), "0.0.0.0:8080");
    assert!(!gateway.commands.contains_key("test"));
}

#[test]
fn the_environment_of_the_process_is_put_in() {
    let text = ":80 {\n reverse_proxy {$APP} {env.OTHER}\n}";
    let environ = "APP=127.0.0.1:8000\0OTHER=127.0.0.1:8001\0";
    let (_dir, root) = files(&[("/etc/caddy/Caddyfile", text), ("/proc/7/environ", environ)]);
    let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/Caddyfile"]);
    assert_eq!(lines(&only(look(&root, Some(&[init(), caddy]), &Overrides::default()))), ["* http 127.0.0.1:8000,127.0.0.1:8001"]);
}

#[test]
fn a_reload_is_seen_by_what_was_saved() {
    let files =
        files(&[("/etc/caddy/Caddyfile", ":80\n"), ("/proc/7/environ", "HOME=/h\0"), ("/h/.config/caddy/autosave.json", "{}")]);
    let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/Caddyfile"]);
    let gateway = only(look(&files.1, Some(&[init(), caddy]), &Overrides::default()));
    let RunState::Running { since, workers_since, .. } = gateway.state else { panic!("{:?}", gateway.state) };
    assert_eq!(since, Some(1000));
    assert!(workers_since > Some(1_700_000_000), "the file is of today: {workers_since:?}");
}
