//! Whole configurations, in the shape of the distributions' own and of what people make of them.

use std::path::Path;

use super::{
    super::tests::{stock, tree},
    *,
};
use crate::model::{ANSWERS, LogFormat, ProcessInfo, Role, Route, Site};

mod agrees;
mod meaning;
mod tls;

fn process(pid: u32, ppid: u32, title: &str, user: (&str, u32)) -> ProcessInfo {
    ProcessInfo {
        pid,
        ppid,
        name: "nginx".to_owned(),
        argv: vec![title.to_owned()],
        exe: None,
        identity: Identity { name: user.0.to_owned(), uid: user.1, gid: user.1, groups: vec![user.1] },
        started: Some(1000 + i64::from(pid)),
        start_ticks: None,
        state: 'S',
        cgroup: Some("/system.slice/nginx.service".to_owned()),
        cwd: None,
        net_ns: None,
        threads: 1,
    }
}

/// `init`, without which processes count as hidden.
fn init() -> ProcessInfo {
    ProcessInfo { name: "init".to_owned(), ..process(1, 0, "/sbin/init", ("root", 0)) }
}

fn look_at(root: &Root, processes: &[ProcessInfo], overrides: &Overrides) -> Found {
    look(root, Some(processes), overrides, &Builds::default())
}

fn only(found: Found) -> Gateway {
    assert_eq!(found.gateways.len(), 1, "{found:#?}");
    found.gateways.into_iter().next().expect("one")
}

/// The gateway of `/etc/nginx/nginx.conf` with this text in `http`.
fn http(text: &str) -> Gateway {
    conf(&format!("events {{}}\nhttp {{\n{text}\n}}"))
}

/// The gateway of this `/etc/nginx/nginx.conf`.
fn conf(text: &str) -> Gateway {
    with(text, &[])
}

/// The same beside other files.
pub fn with(text: &str, more: &[(&str, &str)]) -> Gateway {
    let (_dir, root) = tree(&[&[("/etc/nginx/nginx.conf", text)], more].concat());
    let overrides = Overrides { config: Some("/etc/nginx/nginx.conf".into()), ..Overrides::default() };
    only(look_at(&root, &[init()], &overrides))
}

/// `pattern -> servers` with what else matters, one line per route.
fn shown(gateway: &Gateway) -> Vec<String> {
    gateway.routes().filter(|(_, route)| !route.settings.contains_key(ANSWERS)).map(|(_, route)| line(route)).collect()
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

#[test]
fn debian_is_read_whole() {
    let root = stock("nginx-debian");
    let processes = [
        init(),
        process(800, 1, "nginx: master process /usr/sbin/nginx -g daemon on; master_process on;", ("root", 0)),
        process(811, 800, "nginx: worker process", ("www-data", 33)),
        process(790, 800, "nginx: worker process is shutting down", ("www-data", 33)),
        process(812, 800, "nginx: cache manager process", ("www-data", 33)),
    ];
    let found = look_at(&root, &processes, &Overrides::default());
    assert!(found.watch.contains(&"/etc/nginx/sites-enabled".into()) && found.watch.contains(&"/run/nginx.pid".into()));
    let gateway = only(found);
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(gateway.title(), "nginx/1.22.1");
    assert_eq!(gateway.state, RunState::Running { pid: 800, since: Some(1800), workers_since: Some(1811) });
    assert_eq!(gateway.settings["pid"].value, "/run/nginx.pid", "its test opens it, and is made once where it is covered");
    assert_eq!(gateway.identity.as_ref().map(|user| (user.name.as_str(), user.uid)), Some(("www-data", 33)));
    assert_eq!((gateway.unit.as_deref(), gateway.binary.as_deref()), (Some("nginx.service"), Some(Path::new("/usr/sbin/nginx"))));
    assert_eq!(
        shown(&gateway),
        [
            r"~ \.php$ /index.php fastcgi://unix:/run/php/php7.4-fpm.sock",
            "/ / http://10.0.0.1:8000,10.0.0.2:8000,10.0.0.3:8000,[fd00::4]:8000 pool=shop",
            "/api/ /api/ https://api.internal:443 rewrite=/api/>/v1/ host=api.internal sni=api.internal",
            "/api/old/ /api/old/ http://localhost:8081 host=old.internal",
        ]
    );
    let hosts: Vec<Option<&str>> = gateway.sites.iter().map(Site::host).collect();
    assert_eq!(hosts, [None, Some("shop.example.com")]);
    let listens: Vec<String> = gateway
        .sites
        .iter()
        .flat_map(|site| &site.listens)
        .map(|listen| format!("{} {} {}", listen.address, listen.tls, listen.proxy_protocol))
        .collect();
    assert_eq!(listens, ["0.0.0.0:80 false false", "[::]:80 false false", "0.0.0.0:443 true false", "0.0.0.0:8443 true true"]);
    assert_eq!(gateway.commands["test"], ["nginx", "-t"]);
    assert_eq!(gateway.commands["reload"], ["systemctl", "reload", "nginx"]);
    // The link is named, as nginx names it, and the swap file is not read.
    let files: Vec<String> = gateway.files.iter().map(|(path, _)| path.display().to_string()).collect();
    assert!(files.contains(&"/etc/nginx/sites-enabled/shop".to_owned()) && !files.iter().any(|path| path.contains(".swp")));
}

#[test]
fn debian_routes_carry_what_is_in_force() {
    let root = stock("nginx-debian");
    let overrides = Overrides::default();
    let gateway = only(look_at(&root, &[init(), process(8, 1, "nginx: master process nginx", ("root", 0))], &overrides));
    let routes: Vec<&Route> = gateway.routes().map(|(_, route)| route).collect();
    let params: BTreeMap<&str, &str> = routes[0].params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(params["SCRIPT_FILENAME"], "/var/www/html/index.php");
    assert_eq!((params["SCRIPT_NAME"], params["DOCUMENT_ROOT"]), ("/index.php", "/var/www/html"));
    assert_eq!((params["REDIRECT_STATUS"], params["SERVER_SOFTWARE"], params["PATH_INFO"]), ("200", "nginx/1.22.1", ""));
    assert!(!params.contains_key("HTTPS") && !params.contains_key("QUERY_STRING"));
    assert_eq!((routes[1].connect_ms, routes[1].read_ms, routes[1].header_limit), (60_000, 5_000, Some(4096)));
    assert_eq!((routes[2].connect_ms, routes[2].read_ms, routes[2].header_limit), (500, 5_000, Some(8192)));
    let setting = |route: usize, name: &str| {
        let setting = &routes[route].settings[name];
        (setting.value.to_string(), setting.at.as_ref().map(ToString::to_string))
    };
    let shop = "/etc/nginx/sites-enabled/shop";
    assert_eq!(setting(3, "proxy_connect_timeout"), ("500ms".to_owned(), Some(format!("{shop}:26"))));
    assert_eq!(setting(1, "proxy_next_upstream"), ("error timeout http_502".to_owned(), Some(format!("{shop}:18"))));
    assert_eq!(setting(1, "proxy_connect_timeout"), ("60s".to_owned(), None));
    assert_eq!(routes[2].at.to_string(), format!("{shop}:28"));
    let roles: Vec<Role> = gateway.pools[0].servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Primary, Role::Down, Role::Backup]);
    assert_eq!(gateway.pools[0].settings["keepalive"].value, "16");
    assert_eq!(gateway.pools[0].settings["server 10.0.0.1:8000 max_fails"].value, "3");
    // No worker is there: the `user` directive tells, with the groups of /etc/group.
    assert_eq!(gateway.identity.as_ref().map(|user| (user.uid, user.groups.clone())), Some((33, vec![33, 1001])));
    let logs: Vec<String> = gateway.logs.iter().map(|log| format!("{} {:?}", log.path.display(), log.kind)).collect();
    assert_eq!(
        logs,
        [
            "/var/log/nginx/error.log Error",
            "/var/log/nginx/access.log Access",
            "/var/log/nginx/shop.log Access",
            "/var/log/nginx/shop-error.log Error"
        ]
    );
    let timed = "$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status $upstream_response_time";
    assert_eq!(gateway.logs[2].format, LogFormat::NginxAccess(timed.to_owned()));
    assert_eq!(gateway.logs[1].format, LogFormat::NginxAccess(logs::COMBINED.to_owned()));
}

#[test]
fn rhel_and_alpine_are_read_too() {
    let gateway = only(look_at(&stock("nginx-rhel"), &[init()], &Overrides::default()));
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(
        gateway.state,
        RunState::Stopped {
            why_expected: "/usr/sbin/nginx and /etc/nginx/nginx.conf are there, and nginx.service is enabled".to_owned()
        }
    );
    assert_eq!(shown(&gateway), [r"~ \.(php|phar)(/.*)?$ /index.php fastcgi://unix:/run/php-fpm/www.sock pool=php-fpm"]);
    assert_eq!(gateway.commands["start"], ["systemctl", "start", "nginx"]);
    assert!(!gateway.commands.contains_key("reload"));
    assert_eq!(gateway.identity.as_ref().map(|user| user.uid), Some(991));

    let title = "nginx: master process /usr/sbin/nginx -g daemon off;";
    let gateway = only(look_at(&stock("nginx-alpine"), &[init(), process(5, 1, title, ("root", 0))], &Overrides::default()));
    assert_eq!(complaints(&gateway), Vec::<String>::new());
    assert_eq!(shown(&gateway), ["/ / http://127.0.0.1:3000 host=127.0.0.1:3000"]);
    assert_eq!(gateway.sites[0].listens[0].address.to_string(), "0.0.0.0:80");
    assert_eq!(gateway.title(), "nginx/1.24.0");
    let setting = &gateway.routes().next().expect("route").1.settings["proxy_set_header Connection"];
    assert_eq!(setting.value, "$connection_upgrade");
}

#[test]
fn what_is_expected_to_run_is_told_and_a_file_alone_is_not_enough() {
    let config = ("/etc/nginx/nginx.conf", "events {}");
    let (_dir, root) = tree(&[config]);
    assert!(look_at(&root, &[init()], &Overrides::default()).gateways.is_empty());
    let (_dir, root) = tree(&[config, ("/usr/sbin/nginx", "nginx version: nginx/1.22.1")]);
    // Compiled without --conf-path, it would read another file, which is not there.
    assert!(look_at(&root, &[init()], &Overrides::default()).gateways.is_empty());
    let (_dir, root) = tree(&[("/usr/sbin/nginx", "configure arguments: --conf-path=/etc/nginx/nginx.conf"), config]);
    assert!(!only(look_at(&root, &[init()], &Overrides::default())).running());
    // `nginx -t`, a grep and a look-alike are no master.
    let test = ProcessInfo { argv: vec!["nginx".into(), "-t".into()], ..process(7, 1, "", ("root", 0)) };
    let grep = ProcessInfo { exe: Some("/usr/bin/grep".into()), ..process(8, 1, "nginx: master process x", ("root", 0)) };
    assert!(!only(look_at(&root, &[init(), test, grep], &Overrides::default())).running());
    let (_dir, root) = tree(&[config, ("/etc/systemd/system/multi-user.target.wants/nginx.service", "")]);
    assert!(!only(look_at(&root, &[init()], &Overrides::default())).running());
}

#[test]
fn hidden_processes_are_not_stopped_ones() {
    let binary = ("/usr/sbin/nginx", "configure arguments: --conf-path=/etc/nginx/nginx.conf --pid-path=/run/nginx.pid");
    let (dir, root) = tree(&[("/etc/nginx/nginx.conf", "events {}"), binary]);
    let mine = [process(4000, 3999, "bash", ("me", 1000))];
    let found = look_at(&root, &mine, &Overrides::default());
    assert!(found.gateways.is_empty() && found.blind[0].reason.contains("hidden"), "{found:?}");
    std::fs::create_dir_all(dir.path().join("run")).expect("directory");
    std::fs::write(dir.path().join("run/nginx.pid"), "77\n").expect("file");
    let gateway = only(look_at(&root, &mine, &Overrides::default()));
    assert!(matches!(gateway.state, RunState::Running { pid: 77, .. }));
}

#[test]
fn a_worker_that_was_just_forked_is_no_master_and_an_upgraded_master_is() {
    let (_dir, root) = tree(&[("/etc/nginx/nginx.conf", "events {}")]);
    let master = |pid, ppid| process(pid, ppid, "nginx: master process nginx", ("root", 0));
    let worker = |pid, ppid| process(pid, ppid, "nginx: worker process", ("www-data", 33));
    let pid = |processes: &[ProcessInfo]| only(look_at(&root, processes, &Overrides::default())).state;
    let forked = pid(&[init(), master(17, 1), worker(18, 17), master(19, 17)]);
    assert!(matches!(forked, RunState::Running { pid: 17, workers_since: Some(_), .. }), "{forked:?}");
    let upgraded = pid(&[init(), master(17, 1), worker(18, 17), master(19, 17), worker(20, 19)]);
    assert!(matches!(upgraded, RunState::Running { pid: 19, .. }), "{upgraded:?}");
}

#[test]
fn several_instances_and_their_options() {
    let site =
        |port: u16| format!("events {{}} http {{ server {{ listen {port}; location / {{ proxy_pass http://127.0.0.1:1; }} }} }}");
    let (_dir, root) = tree(&[("/srv/a/conf/site.conf", &site(8001)), ("/etc/b.conf", &site(8002))]);
    let processes = [
        init(),
        process(10, 1, "nginx: master process /opt/nginx -p /srv/a -c conf/site.conf -g user app;", ("root", 0)),
        process(20, 1, "nginx: master process nginx -c /etc/b.conf", ("me", 1000)),
    ];
    let found = look_at(&root, &processes, &Overrides::default());
    let configs: Vec<&Path> = found.gateways.iter().map(|gateway| gateway.config.as_path()).collect();
    assert_eq!(configs, [Path::new("/srv/a/conf/site.conf"), Path::new("/etc/b.conf")]);
    assert_eq!(found.gateways[0].commands["test"], ["/opt/nginx", "-c", "/srv/a/conf/site.conf", "-p", "/srv/a", "-t"]);
    // A master that is not root ignores `user`, and its workers are what it is.
    assert_eq!(found.gateways[1].identity.as_ref().map(|user| user.uid), Some(1000));
    let overrides = Overrides { config: Some("/etc/b.conf".into()), ..Overrides::default() };
    assert!(matches!(only(look_at(&root, &processes, &overrides)).state, RunState::Running { pid: 20, .. }));
}
