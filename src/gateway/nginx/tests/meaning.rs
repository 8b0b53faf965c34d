//! What directives mean together, and what odd files do.

use std::path::PathBuf;

use super::*;

#[test]
fn targets_in_variables_are_followed_as_far_as_the_files_tell() {
    let gateway = http(
        "map $host $by_host { default 10.0.0.9:80; a.example 10.0.0.1:80; }
         map $uri $only_request { ~^/x http://x; }
         upstream pool { server 10.0.0.2; }
         server { server_name a.example;
           set $backend pool;
           location /map { proxy_pass http://$by_host; }
           location /set { proxy_pass http://$backend; }
           location /own { set $backend 10.0.0.3:8080; proxy_pass http://${backend}/x; }
           location /path { proxy_pass http://10.0.0.4:80$request_uri; }
           location /arg { proxy_pass http://$arg_to; }
           location /loop { set $a $b; set $b $a; proxy_pass http://$a; }
           location /both { set $to 10.0.0.6:81; proxy_pass http://$to/$arg_x?y; proxy_read_timeout 5x; }
           location ~ ^/r/(.*)$ { proxy_pass http://10.0.0.5/$1; }
         }",
    );
    assert_eq!(
        shown(&gateway),
        [
            "/map /map http://10.0.0.1:80 host=10.0.0.1",
            "/set /set http://10.0.0.2:80 pool=pool host=pool",
            "/own /own http://10.0.0.3:8080 host=10.0.0.3:8080",
            "/path /path http://10.0.0.4:80 host=10.0.0.4",
            "/arg /arg http:// dynamic=http://$arg_to",
            "/loop /loop http:// dynamic=http://$a",
            "/both /both http://10.0.0.6:81 host=10.0.0.6:81",
            "~ ^/r/(.*)$ /r/ http://10.0.0.5:80 host=10.0.0.5",
        ]
    );
    assert_eq!(complaints(&gateway), ["/etc/nginx/nginx.conf:14: \"proxy_read_timeout\" directive invalid value"]);
}

#[test]
fn named_locations_conditions_and_rewrites() {
    let gateway = http(
        r"server { root /srv;
           location / { try_files $uri @app; }
           location @app { proxy_pass http://unix:/run/app.sock; }
           location /cgi/ { alias /opt/cgi/; fastcgi_pass 127.0.0.1:9000; fastcgi_param SCRIPT_FILENAME $request_filename; }
           location /b { if ($request_method = POST) { proxy_pass http://127.0.0.1:2; } proxy_pass http://127.0.0.1:1; }
           location /strip/ { rewrite ^/strip/(.*)$ /$1 break; proxy_pass http://127.0.0.1:3; }
           location ~ ^/u/ { proxy_pass http://127.0.0.1:4/x; }
           location /noport { fastcgi_pass php; }
           location /bad { proxy_pass 127.0.0.1:5; }
           location /tls/ { proxy_pass https://10.0.0.1/; proxy_ssl_server_name on; }
           location /tls2/ { proxy_pass https://10.0.0.1; proxy_ssl_server_name on; proxy_ssl_name a.b; proxy_set_header Host $host; }
           location /secret { auth_request /auth; proxy_set_header Host $hostname; proxy_pass http://127.0.0.1:6; }
           location = /auth { internal; proxy_pass http://127.0.0.1:7; }
           location /g { grpc_pass grpc://127.0.0.1:50051; }
           location /m { memcached_pass 127.0.0.1:11211; }
         }",
    );
    assert_eq!(
        shown(&gateway),
        [
            "@app / http://unix:/run/app.sock host=localhost",
            "/cgi/ /cgi/ fastcgi://127.0.0.1:9000",
            "/b if ($request_method = POST) /b http://127.0.0.1:2 host=127.0.0.1:2",
            "/b /b http://127.0.0.1:1 host=127.0.0.1:1",
            "/strip/ /strip/ http://127.0.0.1:3 rewrite=/strip/>/ host=127.0.0.1:3",
            "~ ^/u/ /u/ http://127.0.0.1:4 host=127.0.0.1:4",
            "/noport /noport fastcgi://",
            "/tls/ /tls/ https://10.0.0.1:443 rewrite=/tls/>/ host=10.0.0.1",
            "/tls2/ /tls2/ https://10.0.0.1:443 sni=a.b",
            "/secret /secret http://127.0.0.1:6",
            "= /auth /secret http://127.0.0.1:7 host=127.0.0.1:7",
            "/g /g grpc://127.0.0.1:50051 host=127.0.0.1:50051",
            "/m /m tcp://127.0.0.1:11211",
        ]
    );
    let cgi = gateway.routes().nth(1).expect("route").1;
    assert_eq!(cgi.params, [("SCRIPT_FILENAME".to_owned(), "/opt/cgi/".to_owned())]);
    let complaints = complaints(&gateway);
    assert!(complaints[0].starts_with("/etc/nginx/nginx.conf:9: \"proxy_pass\" cannot have URI part"), "{complaints:?}");
    assert!(complaints[1].starts_with("/etc/nginx/nginx.conf:10: no port in upstream \"php\""), "{complaints:?}");
    assert!(complaints[2].starts_with("/etc/nginx/nginx.conf:11: invalid URL prefix"), "{complaints:?}");
    assert_eq!(complaints.len(), 3);
}

#[test]
fn streams_resolvers_and_the_operator_s_own() {
    let text = "events {} stream { resolver 10.0.0.53 ipv6=off; upstream db { server 10.0.0.1:3306; }
        server { listen 3306; proxy_pass db; proxy_timeout 30s; } server { listen 53 udp; proxy_pass 10.0.0.2:53; } }
        http { resolver 127.0.0.53 valid=10s; }";
    let (_dir, root) = tree(&[("/etc/nginx/nginx.conf", text)]);
    let overrides = Overrides {
        config: Some("/etc/nginx/nginx.conf".into()),
        logs: vec!["/tmp/e.log".into()],
        access_logs: vec!["/tmp/a.log".into()],
        upstreams: vec!["127.0.0.1:9999".parse().expect("address")],
        known_tests: None,
        kind: None,
    };
    let gateway = only(look_at(&root, &[init()], &overrides));
    assert_eq!(shown(&gateway)[0], "stream / tcp://10.0.0.1:3306 pool=db");
    assert_eq!(gateway.routes().next().expect("route").1.read_ms, 30_000);
    assert_eq!(gateway.sites[1].listens, []);
    assert_eq!(gateway.resolvers, ["10.0.0.53", "127.0.0.53"]);
    assert_eq!(shown(&gateway).last().map(String::as_str), Some("--upstream / http://127.0.0.1:9999"));
    let paths: Vec<&Path> = gateway.logs.iter().map(|log| log.path.as_path()).collect();
    assert_eq!(paths[..2], [Path::new("/tmp/e.log"), Path::new("/tmp/a.log")]);
}

#[test]
fn logs_that_can_not_be_followed_are_blind_spots() {
    let gateway = conf(
        "error_log stderr; events {} http {
           access_log syslog:server=10.0.0.1; error_log /var/log/e.log crit;
           server { access_log /var/log/$host.log; }
           server { access_log logs/own.log none; access_log off; error_log /dev/null; } }",
    );
    let paths: Vec<&Path> = gateway.logs.iter().map(|log| log.path.as_path()).collect();
    assert_eq!(paths, [Path::new("/var/log/e.log"), Path::new("/etc/nginx/logs/own.log")]);
    let sources: Vec<&str> = gateway.blind.iter().map(|spot| spot.source.as_str()).collect();
    assert_eq!(
        sources,
        ["error_log stderr", "syslog:server=10.0.0.1", "errors below crit in /var/log/e.log", "/var/log/$host.log", "error_log"]
    );
}

#[test]
fn includes_nest_repeat_and_loop() {
    let (dir, root) = tree(&[
        ("/etc/nginx/nginx.conf", "events {}\nhttp {\n include vhosts/*/*.conf;\n include missing.conf;\n include none/*.conf;\n}"),
        ("/etc/nginx/vhosts/b/1.conf", "server { listen 82; include common; }"),
        ("/etc/nginx/vhosts/a/1.conf", "server { listen 81; include common; }"),
        ("/etc/nginx/vhosts/c/loop.conf", "server { listen 83; }\ninclude vhosts/c/again.conf;"),
        ("/etc/nginx/common", "location / { proxy_pass http://127.0.0.1:1; }"),
        ("/etc/nginx/vhosts/d/dir.conf/x", ""),
    ]);
    std::os::unix::fs::symlink("/etc/nginx/vhosts/c/loop.conf", dir.path().join("etc/nginx/vhosts/c/again.conf")).expect("link");
    let fifo = dir.path().join("etc/nginx/vhosts/d/fifo.conf");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).expect("fifo");
    let overrides = Overrides { config: Some("/etc/nginx/nginx.conf".into()), ..Overrides::default() };
    let gateway = only(look_at(&root, &[init()], &overrides));
    let ports: Vec<Option<u16>> = gateway.sites.iter().map(|site| site.listens[0].address.port()).collect();
    assert_eq!(ports, [Some(81), Some(82), Some(83), Some(83)], "again.conf, then loop.conf, each once");
    assert_eq!(gateway.sites[0].routes[0].at, Place { file: std::path::PathBuf::from("/etc/nginx/common").into(), line: 1 });
    let complaints = complaints(&gateway).join("\n");
    for part in
        ["includes itself", "dir.conf: is a directory", "fifo.conf\" failed: is a FIFO", "missing.conf\" failed: No such file"]
    {
        assert!(complaints.contains(part.trim_start_matches("dir.conf: ")), "{part}: {complaints}");
    }
    assert!(!complaints.contains("none"), "a pattern may match nothing");
}

#[test]
fn odd_files_are_survived_and_told() {
    let long = format!("events {{}}\nhttp {{ server {{ listen 80; server_name {}; }} }}", "x".repeat(10 << 20));
    let gateway = conf(&long);
    assert_eq!(gateway.sites.len(), 1);
    assert!(complaints(&gateway)[0].starts_with("/etc/nginx/nginx.conf:2: too long parameter"));

    let gateway = conf("\u{7f}ELF\0\0\u{1}events {}");
    assert_eq!(complaints(&gateway)[0], "/etc/nginx/nginx.conf:1: is no text: it holds NUL bytes");

    let gateway = conf(
        "events {}\r\nhttp {\r\n server {\r\n  listen 8080;\r\n  location / { proxy_pass http://127.0.0.1:1; }\r\n }\r\n}\r\n",
    );
    assert_eq!((gateway.sites[0].at.line, shown(&gateway).len(), gateway.problems.len()), (3, 1, 0));

    let gateway = conf("events {}\nhttp {\n server {\n  listen 8080\n  location / { proxy_pass http://127.0.0.1:1; }\n }\n");
    assert_eq!(shown(&gateway), ["/ / http://127.0.0.1:1 host=127.0.0.1:1"], "the rest is read");
    assert_eq!(gateway.problems.len(), 2);
}

#[test]
fn a_configuration_that_may_not_be_read_names_the_smallest_remedy() {
    let (_dir, root) = tree(&[("/etc/nginx/a b.conf", "")]);
    let spot = crate::gateway::denied(&root, &PathBuf::from("/etc/nginx/a b.conf"), "configuration");
    assert!(spot.remedy.ends_with(":r '/etc/nginx/a b.conf'") && spot.remedy.contains("setfacl -m u:"), "{}", spot.remedy);
}

proptest::proptest! {
    #[test]
    fn no_configuration_stops_a_look(pieces in proptest::collection::vec(proptest::prop_oneof![
        proptest::strategy::Just("http {"), proptest::strategy::Just("server {"), proptest::strategy::Just("location ~ \\.x$ {"),
        proptest::strategy::Just("location / {"), proptest::strategy::Just("if ($a) {"), proptest::strategy::Just("upstream u {"),
        proptest::strategy::Just("map $a $b {"), proptest::strategy::Just("}"), proptest::strategy::Just("server [::1;"),
        proptest::strategy::Just("proxy_pass http://$b;"), proptest::strategy::Just("proxy_pass http://u;"),
        proptest::strategy::Just("set $a ${b}$a;"), proptest::strategy::Just("listen"), proptest::strategy::Just("1-2;"),
        proptest::strategy::Just("include *;"), proptest::strategy::Just("include nginx.conf;"), proptest::strategy::Just("default $a;"),
        proptest::strategy::Just("access_log;"), proptest::strategy::Just("error_log"), proptest::strategy::Just("é\u{202e}\"'"),
        proptest::strategy::Just("return 502;"), proptest::strategy::Just("error_page 404 =502 /x;"),
        proptest::strategy::Just("if (-f /x) {"), proptest::strategy::Just("rewrite ^/(.*)$ $1 break;"), proptest::strategy::Just("alias x;"), proptest::strategy::Just("\n")], 0..60)) {
        let text = pieces.join(" ");
        let gateway = conf(&text);
        let lines = u32::try_from(text.lines().count().max(1)).expect("few");
        for (place, what) in &gateway.problems {
            proptest::prop_assert!((1..=lines).contains(&place.line), "{place}: {what}");
        }
    }
}

#[test]
fn a_server_whose_names_another_has_is_ignored() {
    let gateway = http(
        "server { listen 80; server_name shop.test; location / { proxy_pass http://127.0.0.1:8000; } }
         server { listen 80; server_name SHOP.test; location / { proxy_pass http://127.0.0.1:8080; } }
         server { listen 8080; server_name shop.test; location / { proxy_pass http://127.0.0.1:8001; } }
         server { listen 80; server_name shop.test www.shop.test; location / { proxy_pass http://127.0.0.1:8002; } }
         server { listen 80 default_server; server_name shop.test; location / { proxy_pass http://127.0.0.1:8003; } }",
    );
    let to: Vec<String> = gateway.routes().map(|(_, route)| route.servers[0].address.to_string()).collect();
    assert_eq!(to, ["127.0.0.1:8000", "127.0.0.1:8001", "127.0.0.1:8002", "127.0.0.1:8003"]);
}
