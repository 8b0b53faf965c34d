//! Whole configurations, in the shape of the distributions' own and of what people make of them.

use super::{
    super::tests::{stock, tree},
    *,
};
use crate::model::{Role, Route, Site};

mod agrees;
mod meaning;

fn process(pid: u32, ppid: u32, line: &str, user: (&str, u32)) -> ProcessInfo {
    let argv: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let name = argv[0].rsplit('/').next().unwrap_or_default().to_owned();
    ProcessInfo {
        pid,
        ppid,
        name,
        argv,
        exe: None,
        identity: Identity { name: user.0.to_owned(), uid: user.1, gid: user.1, groups: vec![user.1] },
        started: Some(1000 + i64::from(pid)),
        start_ticks: None,
        state: 'S',
        cgroup: Some("/system.slice/apache2.service".to_owned()),
        cwd: None,
        net_ns: None,
        threads: 1,
    }
}

/// `init`, without which processes count as hidden.
fn init() -> ProcessInfo {
    process(1, 0, "/sbin/init", ("root", 0))
}

fn look_at(root: &Root, processes: &[ProcessInfo], overrides: &Overrides) -> Found {
    look(root, Some(processes), overrides, &Builds::default())
}

fn only(found: Found) -> Gateway {
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    found.gateways.into_iter().next().expect("one")
}

const BINARY: &str = "Apache/2.4.62 (Unix)\0 -D HTTPD_ROOT=\"/etc/httpd\"\0 -D SERVER_CONFIG_FILE=\"conf/httpd.conf\"\0mod_so.c\0mod_proxy.c\0mod_proxy_http.c\0mod_rewrite.c\0mod_ssl.c\0mod_version.c\0";

/// The gateway of this `/etc/httpd/conf/httpd.conf`, and these files beside it.
fn conf_with(text: &str, more: &[(&str, &str)]) -> Gateway {
    let mut files = vec![("/etc/httpd/conf/httpd.conf", text), ("/usr/sbin/httpd", BINARY)];
    files.extend(more);
    let (_dir, root) = tree(&files);
    only(look_at(&root, &[init()], &Overrides::default()))
}

fn conf(text: &str) -> Gateway {
    conf_with(text, &[])
}

/// `pattern -> servers` with what else matters, one line per route that goes somewhere.
fn shown(gateway: &Gateway) -> Vec<String> {
    gateway.routes().map(|(_, route)| line(route)).collect()
}

fn line(route: &Route) -> String {
    let servers: Vec<String> = route.servers.iter().map(|server| server.address.to_string()).collect();
    let mut line = format!("{} {} {}://{}", route.pattern, route.sample_path, route.protocol.scheme(), servers.join(","));
    let more = [
        route.pool.as_ref().map(|pool| format!("pool={pool}")),
        route.rewrite.as_deref().map(|(from, to)| format!("rewrite={from}>{to}")),
        route.host_header.as_ref().map(|host| format!("host={host}")),
        route.sni.as_ref().map(|sni| format!("sni={sni}")),
        route.dynamic.as_ref().map(|text| format!("dynamic={text}")),
    ];
    more.into_iter().flatten().for_each(|word| line.push_str(&format!(" {word}")));
    line
}

fn complaints(gateway: &Gateway) -> Vec<String> {
    gateway.problems.iter().map(|(place, what)| format!("{place}: {what}")).collect()
}

fn listens(site: &Site) -> String {
    let one = |listen: &crate::model::Listen| {
        let flags = [(listen.tls, " tls"), (listen.default, " default"), (listen.proxy_protocol, " proxy")];
        format!("{}{}", listen.address, flags.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<String>())
    };
    site.listens.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn debian_is_read_whole() {
    let root = stock("apache-debian");
    let processes = [
        init(),
        process(800, 1, "/usr/sbin/apache2 -k start", ("root", 0)),
        process(811, 800, "/usr/sbin/apache2 -k start", ("www-data", 33)),
        process(812, 800, "/usr/sbin/apache2 -k start", ("www-data", 33)),
        process(900, 1, "/usr/sbin/apache2 -t", ("root", 0)),
    ];
    let found = look_at(&root, &processes, &Overrides::default());
    assert!(found.watch.contains(&"/etc/apache2/sites-enabled".into()), "{:?}", found.watch);
    assert!(found.watch.contains(&"/var/run/apache2/apache2.pid".into()), "{:?}", found.watch);
    let gateway = only(found);
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(gateway.title(), "apache/2.4.62");
    assert_eq!(gateway.state, RunState::Running { pid: 800, since: Some(1800), workers_since: Some(1811) });
    assert_eq!(gateway.identity.as_ref().map(|user| (user.name.as_str(), user.uid)), Some(("www-data", 33)));
    assert_eq!(
        (gateway.unit.as_deref(), gateway.binary.as_deref()),
        (Some("apache2.service"), Some(Path::new("/usr/sbin/apache2")))
    );
    let php = r#"<filesmatch ".+\.ph(?:ar|p|tml)$"> /index.php fastcgi://unix:/run/php/php8.2-fpm.sock"#;
    assert_eq!(
        shown(&gateway),
        [
            php,
            "(files) / http://",
            "/static/ ! /static/ http://",
            "/api /api https://api.internal:443 rewrite=/api>/v1 sni=shop.example.com",
            "/old/ /old/ http://localhost:8081 rewrite=/old/>/",
            r"^/(.*\.do)$ /.do ajp://127.0.0.1:8009",
            "/ / http://10.0.0.1:8000,10.0.0.2:8000,10.0.0.3:8000,[fd00::4]:8000 pool=shop",
            php,
            "<Location \"/live/\"> /live/ http://127.0.0.1:8082 rewrite=/live/>/",
            r"RewriteRule ^/(.*)$ / http://127.0.0.1:8083 host=127.0.0.1:8083",
            php,
            "(files) / http://",
            r"RewriteRule /(.*) / http://127.0.0.1:8082 host=127.0.0.1:8082",
        ]
    );
    let hosts: Vec<(Option<&str>, String)> = gateway.sites.iter().map(|site| (site.host(), listens(site))).collect();
    assert_eq!(
        hosts,
        [
            (None, "0.0.0.0:80 default".to_owned()),
            (Some("shop.example.com"), "0.0.0.0:80".to_owned()),
            (Some("shop.example.com"), "0.0.0.0:443 tls default".to_owned()),
        ]
    );
    assert_eq!(gateway.commands["test"], ["apachectl", "-t"]);
    assert_eq!(gateway.commands["reload"], ["systemctl", "reload", "apache2"]);
    assert_eq!(gateway.commands["self-test"], ["/usr/sbin/apache2", "-t"]);
    // The link is named, as Apache names it, and the swap file is not read. `envvars` tells what `${APACHE_LOG_DIR}` is.
    let files: Vec<String> = gateway.files.iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(files.contains(&"/etc/apache2/sites-enabled/shop.conf".to_owned()) && !files.iter().any(|path| path.contains(".swp")));
    assert!(files.contains(&"/etc/apache2/envvars".to_owned()));
    let logs: Vec<String> = gateway.logs.iter().map(|log| format!("{} {:?}", log.path.display(), log.kind)).collect();
    assert_eq!(
        logs,
        [
            "/var/log/apache2/error.log Error",
            "/var/log/apache2/other_vhosts_access.log Access",
            "/var/log/apache2/access.log Access",
            "/var/log/apache2/shop-error.log Error",
            "/var/log/apache2/shop.log Access",
        ]
    );
}

#[test]
fn debian_routes_carry_what_is_in_force() {
    let root = stock("apache-debian");
    let gateway = only(look_at(&root, &[init()], &Overrides::default()));
    assert!(matches!(gateway.state, RunState::Stopped { .. }));
    assert_eq!(gateway.identity.as_ref().map(|user| (user.uid, user.groups.clone())), Some((33, vec![33, 1001])));
    let route = |pattern: &str| gateway.routes().map(|(_, route)| route).find(|route| route.pattern == pattern).expect(pattern);
    let api = route("/api");
    assert_eq!((api.connect_ms, api.read_ms), (7000, 7000));
    assert_eq!(api.settings["retry"].value, "5");
    assert_eq!(api.settings["ProxyPreserveHost"].value, "On");
    assert_eq!(api.at.to_string(), "/etc/apache2/sites-enabled/shop.conf:16");
    let old = route("/old/");
    assert_eq!((old.connect_ms, old.read_ms), (20_000, 20_000), "ProxyTimeout");
    let shop = route("/");
    assert_eq!((shop.connect_ms, shop.read_ms), (500, 5000), "the members' own");
    assert_eq!(shop.settings["Timeout"].value, "300");
    let roles: Vec<Role> = gateway.pools[0].servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Primary, Role::Down, Role::Backup]);
    assert_eq!(gateway.pools[0].settings["stickysession"].value, "ROUTEID");
    let params: BTreeMap<&str, &str> =
        gateway.sites[0].routes[0].params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!((params["SCRIPT_FILENAME"], params["DOCUMENT_ROOT"]), ("/var/www/html/index.php", "/var/www/html"));
    // What takes which path.
    let site = &gateway.sites[1];
    for (path, expected) in [
        ("/static/robots.txt", "/static/ !"),
        ("/api/cart", "/api"),
        ("/apical", "/"),
        ("/a.do", r"^/(.*\.do)$"),
        ("/live/x", "/"),
        ("/", "/"),
    ] {
        assert_eq!(site.route_for(path).map(|route| route.pattern.as_str()), Some(expected), "{path}");
    }
    let default = &gateway.sites[0];
    assert_eq!(default.route_for("/").map(|route| route.protocol.scheme()), Some("fastcgi"), "the index is a script");
    assert_eq!(default.route_for("/logo.png").map(|route| route.pattern.as_str()), Some("(files)"));
}

#[test]
fn rhel_and_alpine_are_read_too() {
    let gateway = only(look_at(&stock("apache-rhel"), &[init()], &Overrides::default()));
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(
        gateway.state,
        RunState::Stopped {
            why_expected: "/usr/sbin/httpd and /etc/httpd/conf/httpd.conf are there, and httpd.service is enabled".to_owned()
        }
    );
    let php = r"<filesmatch \.(php|phar)$> /index.php fastcgi://unix:/run/php-fpm/www.sock";
    assert_eq!(
        shown(&gateway),
        [
            "/app /app http://127.0.0.1:3000 rewrite=/app>/ host=127.0.0.1:3000",
            "/sock /sock http://unix:/run/app.sock rewrite=/sock>/ host=app",
            php,
            php,
        ]
    );
    assert_eq!(listens(&gateway.sites[1]), "0.0.0.0:443 tls default");
    assert_eq!(gateway.commands["start"], ["systemctl", "start", "httpd"]);
    assert!(!gateway.commands.contains_key("reload"));
    assert_eq!(gateway.identity.as_ref().map(|user| user.uid), Some(48));
    let app = &gateway.sites[0].routes[0];
    assert_eq!((app.connect_ms, app.read_ms), (2000, 15_000), "of the <Proxy> section");
    let logs: Vec<String> = gateway.logs.iter().map(|log| log.path.display().to_string()).collect();
    assert_eq!(
        logs,
        [
            "/etc/httpd/logs/error_log",
            "/etc/httpd/logs/access_log",
            "/etc/httpd/logs/ssl_error_log",
            "/etc/httpd/logs/ssl_access_log",
            "/etc/httpd/logs/ssl_request_log"
        ]
    );

    let master = process(5, 1, "/usr/sbin/httpd -D FOREGROUND -f /etc/apache2/httpd.conf", ("root", 0));
    let gateway = only(look_at(&stock("apache-alpine"), &[init(), master], &Overrides::default()));
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(shown(&gateway), ["/ / uwsgi://127.0.0.1:3031"]);
    assert_eq!(listens(&gateway.sites[0]), "0.0.0.0:80 default");
    assert_eq!(gateway.title(), "apache/2.4.59");
    assert_eq!(gateway.identity.as_ref().map(|user| user.uid), Some(100));
    assert_eq!(gateway.commands["self-test"][..2], ["/usr/sbin/httpd", "-t"]);
}

#[test]
fn a_reload_is_told_by_the_pid_file() {
    let (dir, root) = tree(&[
        ("/etc/httpd/conf/httpd.conf", "PidFile /run/httpd.pid\nListen 80\n"),
        ("/usr/sbin/httpd", BINARY),
        ("/run/httpd.pid", "800\n"),
    ]);
    let processes = [init(), process(800, 1, "/usr/sbin/httpd", ("root", 0)), process(811, 800, "/usr/sbin/httpd", ("apache", 48))];
    let state = |root: &Root| only(look_at(root, &processes, &Overrides::default())).state;
    let written = root.stat(Path::new("/run/httpd.pid")).expect("there").modified;
    assert_eq!(state(&root), RunState::Running { pid: 800, since: Some(1800), workers_since: Some(written) });
    // The file of another master says nothing.
    std::fs::write(dir.path().join("run/httpd.pid"), "77\n").expect("file");
    assert_eq!(state(&root), RunState::Running { pid: 800, since: Some(1800), workers_since: Some(1811) });
}

#[test]
fn several_instances_and_look_alikes() {
    let site = |port: u16| format!("Listen {port}\nProxyPass / http://127.0.0.1:1/\n");
    let (_dir, root) = tree(&[("/srv/a/conf/a.conf", &site(8001)), ("/etc/b.conf", &site(8002)), ("/usr/sbin/httpd", BINARY)]);
    let processes = [
        init(),
        process(10, 1, "/opt/httpd -d /srv/a -f conf/a.conf -D X", ("root", 0)),
        process(20, 1, "/usr/sbin/httpd -f /etc/b.conf", ("me", 1000)),
        ProcessInfo { exe: Some("/usr/bin/busybox".into()), ..process(30, 1, "httpd -f", ("root", 0)) },
        process(40, 1, "/usr/sbin/httpd -k stop", ("root", 0)),
    ];
    let found = look_at(&root, &processes, &Overrides::default());
    let configs: Vec<&Path> = found.gateways.iter().map(|gateway| gateway.config.as_path()).collect();
    assert_eq!(configs, [Path::new("/srv/a/conf/a.conf"), Path::new("/etc/b.conf")]);
    assert_eq!(found.gateways[0].commands["test"], ["/opt/httpd", "-d", "/srv/a", "-f", "/srv/a/conf/a.conf", "-t"]);
    assert_eq!(found.gateways[0].commands["self-test"].join(" "), "/opt/httpd -t -d /srv/a -f conf/a.conf -D X");
    assert_eq!(found.gateways[1].identity.as_ref().map(|user| user.uid), Some(1000));
    let overrides = Overrides { config: Some("/etc/b.conf".into()), ..Overrides::default() };
    assert!(matches!(only(look_at(&root, &processes, &overrides)).state, RunState::Running { pid: 20, .. }));
    // A file that is named for another kind is none of Apache's.
    let overrides = Overrides { config: Some("/etc/nginx/nginx.conf".into()), ..Overrides::default() };
    assert!(look_at(&root, &processes, &overrides).gateways.is_empty());
}
