//! Edits of real configurations in the words of `diagnose::changes`, for all four kinds: what a person reads after a save.

use std::{fs, path::Path};

use why502::{
    diagnose::changes,
    gateway::{self, Overrides},
    model::Gateway,
    sys::{Root, Sys},
};

/// What a kind reads of these files.
async fn read(kind: &str, files: &[(&str, &str)]) -> Gateway {
    let dir = tempfile::tempdir().expect("directory");
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        fs::write(path, text).expect("write");
    }
    // What is not installed has no configuration.
    fs::create_dir_all(dir.path().join("usr/bin")).expect("directory");
    fs::write(dir.path().join("usr/bin/caddy"), "").expect("write");
    let sys = Sys::new(Root::below(dir.path()), false);
    let kind = gateway::ALL.iter().find(|one| one.id() == kind).expect("a kind");
    let config = Some(Path::new("/").join(files[0].0));
    let overrides = Overrides { kind: Some(kind.id().to_owned()), config, ..Overrides::default() };
    let found = kind.look(&sys, Some(std::sync::Arc::default()), &overrides).await;
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    found.gateways.into_iter().next().expect("one")
}

/// The words of an edit: pairs of what to find and what to put there.
async fn words(kind: &str, files: &[(&str, &str)], edits: &[(&str, &str)]) -> Vec<String> {
    let edited: Vec<(&str, String)> = files
        .iter()
        .map(|(path, text)| (*path, edits.iter().fold((*text).to_owned(), |text, (from, to)| text.replacen(from, to, 1))))
        .collect();
    assert!(edits.is_empty() || edited.iter().zip(files).any(|(new, old)| new.1 != old.1), "the edit changes nothing");
    let edited: Vec<(&str, &str)> = edited.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let (old, new) = (read(kind, files).await, read(kind, &edited).await);
    let list = changes(&old, &new);
    // Whatever goes one way goes the other, too.
    assert_eq!(changes(&new, &old).is_empty(), list.is_empty());
    assert_eq!(changes(&new, &new), []);
    list.into_iter().map(|change| change.text).collect()
}

const NGINX: &[(&str, &str)] = &[
    ("etc/nginx/nginx.conf", "events {}\nhttp {\n    proxy_read_timeout 60s;\n    include conf.d/*.conf;\n}\n"),
    (
        "etc/nginx/conf.d/shop.conf",
        "upstream app {\n    server 10.0.0.2:8000;\n    server 10.0.0.3:8000;\n}\n\
         server {\n    listen 80;\n    server_name shop.test;\n\
         \x20   location / {\n        proxy_pass http://app;\n    }\n\
         \x20   location /api {\n        proxy_pass http://127.0.0.1:8080;\n        proxy_set_header Host shop.test;\n    }\n}\n",
    ),
];

/// Texts and what they are replaced by.
type Swaps<'a> = &'a [(&'a str, &'a str)];

#[tokio::test]
async fn nginx() {
    let cases: &[(Swaps<'_>, &[&str])] = &[
        (&[("127.0.0.1:8080", "127.0.0.1:8081")], &["shop.test/api now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080"]),
        (&[("    server 10.0.0.3:8000;\n", "")], &["server 10.0.0.3:8000 of pool app removed"]),
        (
            &[("10.0.0.3:8000;", "10.0.0.3:8000;\n    server 10.0.0.4:8000 backup;")],
            &["server 10.0.0.4:8000 of pool app added, as a spare"],
        ),
        (&[("10.0.0.3:8000;", "10.0.0.3:8000 down;")], &["server 10.0.0.3:8000 of pool app is taken out of service"]),
        (&[("60s", "5s")], &["proxy_read_timeout of shop.test/, shop.test/api: 60s \u{2192} 5s"]),
        (&[("http://127.0.0.1:8080", "https://127.0.0.1:8080")], &["shop.test/api speaks https to its upstream instead of http"]),
        (&[("http://127.0.0.1:8080", "http://app")], &["shop.test/api now goes to pool app instead of 127.0.0.1:8080"]),
        (
            &[("server_name shop.test;", "server_name shop.test www.shop.test;")],
            &["names of a site: shop.test \u{2192} shop.test www.shop.test"],
        ),
        (&[("listen 80;", "listen 80;\n    listen 8443 ssl;")], &["shop.test listens on 0.0.0.0:8443, with TLS, which is new"]),
        (
            &[("Host shop.test", "Host api.test")],
            &["the Host that the upstream sees of shop.test/api: shop.test \u{2192} api.test"],
        ),
        // What no request notices.
        (&[("listen 80;", "# a comment\n\n    listen 80;")], &[]),
    ];
    for (edits, expected) in cases {
        let said = words("nginx", NGINX, edits).await;
        assert_eq!(
            said.iter().filter(|word| !word.contains("proxy_set_header")).collect::<Vec<_>>(),
            expected.iter().collect::<Vec<_>>(),
            "{edits:?}"
        );
    }
    let broken = words("nginx", NGINX, &[("8080;", "8080")]).await;
    assert!(broken[0].starts_with("would not load: ") && broken[0].contains("proxy_pass"), "{broken:?}");
    let fresh =
        words("nginx", NGINX, &[("server {", "server { listen 81; location / { proxy_pass http://127.0.0.1:9; } }\nserver {")])
            .await;
    assert_eq!(fresh, ["new site 0.0.0.0:81 on 0.0.0.0:81", "0.0.0.0:81/ goes to 127.0.0.1:9, which is new"]);
}

const APACHE: &[(&str, &str)] = &[(
    "etc/apache2/apache2.conf",
    "ServerRoot /etc/apache2\nLoadModule proxy_module m.so\nLoadModule proxy_http_module m.so\nLoadModule proxy_balancer_module m.so\nListen 80\nProxyTimeout 60\n\
     <Proxy balancer://app>\n    BalancerMember http://10.0.0.2:8000\n    BalancerMember http://10.0.0.3:8000\n</Proxy>\n\
     <VirtualHost *:80>\n    ServerName shop.test\n    ProxyPass /app balancer://app\n    ProxyPass /api http://127.0.0.1:8080\n</VirtualHost>\n",
)];

#[tokio::test]
async fn apache() {
    let said = words("apache", APACHE, &[("127.0.0.1:8080", "127.0.0.1:8081")]).await;
    assert_eq!(said, ["shop.test/api now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080"]);
    let said = words("apache", APACHE, &[("    BalancerMember http://10.0.0.3:8000\n", "")]).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("server ") && said[0].contains("10.0.0.3:8000") && said[0].ends_with("removed"), "{said:?}");
    let said = words("apache", APACHE, &[("ProxyTimeout 60", "ProxyTimeout 5")]).await;
    assert!(said.iter().any(|word| word.contains("60 \u{2192} 5")), "{said:?}");
    assert_eq!(words("apache", APACHE, &[("Listen 80", "# nothing\nListen 80")]).await, [] as [&str; 0]);
}

const HAPROXY: &[(&str, &str)] = &[(
    "etc/haproxy/haproxy.cfg",
    "defaults\n    mode http\n    timeout connect 5s\n    timeout client 50s\n    timeout server 60s\n\
     frontend web\n    bind :80\n    default_backend app\n\
     backend app\n    option httpchk GET /healthz\n    server a 10.0.0.2:8000 check\n    server b 10.0.0.3:8000 check\n",
)];

#[tokio::test]
async fn haproxy() {
    let said = words("haproxy", HAPROXY, &[("10.0.0.3:8000", "10.0.0.4:8001")]).await;
    assert_eq!(said, ["server b of pool app is now 10.0.0.4:8001 instead of 10.0.0.3:8000"]);
    let said = words("haproxy", HAPROXY, &[("    server b 10.0.0.3:8000 check\n", "")]).await;
    assert_eq!(said, ["server b (10.0.0.3:8000) of pool app removed"]);
    let said = words("haproxy", HAPROXY, &[("10.0.0.3:8000 check", "10.0.0.3:8000 check backup")]).await;
    assert_eq!(said, ["server b (10.0.0.3:8000) of pool app is a spare, and serves when no other does"]);
    let said = words("haproxy", HAPROXY, &[("timeout server 60s", "timeout server 5s")]).await;
    assert!(said.iter().any(|word| word.contains("timeout server") && word.contains("60s \u{2192} 5s")), "{said:?}");
    let said = words("haproxy", HAPROXY, &[("/healthz", "/up")]).await;
    assert!(said.iter().any(|word| word.contains("GET /healthz \u{2192} GET /up")), "{said:?}");
}

const CADDY: &[(&str, &str)] = &[(
    "etc/caddy/Caddyfile",
    "http://shop.test {\n    reverse_proxy /api/* 127.0.0.1:8080 {\n        transport http {\n            response_header_timeout 60s\n        }\n    }\n    reverse_proxy 10.0.0.2:8000 10.0.0.3:8000\n}\n",
)];

#[tokio::test]
async fn caddy() {
    let said = words("caddy", CADDY, &[("127.0.0.1:8080", "127.0.0.1:8081")]).await;
    assert_eq!(said, ["shop.test/api/* now goes to 127.0.0.1:8081 instead of 127.0.0.1:8080"]);
    let said = words("caddy", CADDY, &[(" 10.0.0.3:8000", "")]).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("10.0.0.3:8000"), "{said:?}");
    let said = words("caddy", CADDY, &[("60s", "5s")]).await;
    assert!(said.iter().any(|word| word.contains("60s \u{2192} 5s")), "{said:?}");
}
