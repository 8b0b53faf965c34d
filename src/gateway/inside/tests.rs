use super::*;
use crate::{
    model::{Identity, Subject},
    sys::Way,
};

const PID: u32 = 4_000_811;

/// nginx with this configuration, told as one in the container `web`.
async fn inside(net: bool, files: bool, conf: &str) -> Gateway {
    let dir = tempfile::tempdir().expect("directory");
    std::fs::create_dir_all(dir.path().join("etc/nginx")).expect("directory");
    std::fs::create_dir_all(dir.path().join("var/log/nginx")).expect("directory");
    std::fs::write(dir.path().join("etc/nginx/nginx.conf"), conf).expect("file");
    std::os::unix::fs::symlink("/dev/stdout", dir.path().join("var/log/nginx/access.log")).expect("link");
    let sys = Sys::new(Root::below(dir.path()), false);
    let overrides = Overrides { config: Some("/etc/nginx/nginx.conf".into()), ..Overrides::default() };
    let found = crate::gateway::nginx::NGINX.look(&sys, Some(crate::sys::Processes::default()), &overrides).await;
    let mut gateway = found.gateways.into_iter().next().expect("a gateway");
    gateway.state = RunState::Running { pid: PID, since: None, workers_since: None };
    let way = Way { pid: PID, started: 1, net, files };
    let enter = ["docker", "exec", "web"].map(str::to_owned).to_vec();
    let space = Space { place: "container web".to_owned(), enter: enter.clone(), way, container: files };
    let told = Inside { place: space.place.clone(), net, files, enter, published: Vec::new() };
    translate(&mut gateway, &sys.root, &space, PID, told);
    gateway
}

const CONF: &str = "events {}\nerror_log /var/log/nginx/error.log;\nhttp {\n access_log /var/log/nginx/access.log;\n server {\n  listen 80;\n\
    location / { proxy_pass http://127.0.0.1:8000; }\n  location /s { proxy_pass http://unix:/run/app.sock; }\n }\n}\n";

fn servers(gateway: &Gateway) -> Vec<String> {
    gateway.routes().flat_map(|(_, route)| &route.servers).map(|server| server.address.to_string()).collect()
}

#[tokio::test]
async fn a_gateway_in_a_container_is_told_in_words_of_the_host() {
    let gateway = inside(true, true, CONF).await;
    assert_eq!(servers(&gateway), ["127.0.0.1:8000 (in container web)", "unix:/run/app.sock (in container web)"]);
    let (site, route) = gateway.routes().next().expect("a route");
    assert_eq!(site.listens[0].address.to_string(), "0.0.0.0:80 (in container web)");
    let etc = format!("/proc/{PID}/root/etc/nginx/nginx.conf");
    assert_eq!((gateway.config.to_string_lossy().into_owned(), route.at.to_string()), (etc.clone(), format!("{etc}:7")));
    assert_eq!(gateway.commands["test"][..4], ["docker", "exec", "web", "nginx"].map(str::to_owned));
    let logs: Vec<String> = gateway.logs.iter().map(LogSource::id).collect();
    assert_eq!(logs, [format!("/proc/{PID}/root/var/log/nginx/error.log")]);
    // The access log is the container's output, and the process has none that could be followed.
    let spot = gateway.blind.iter().find(|spot| spot.source.starts_with("access log")).expect("a blind spot");
    assert_eq!(spot.remedy, "read it with: docker logs --tail 50 web");
    // What its log names is what is probed; a subject leads back to it.
    let named = gateway.called(&"127.0.0.1:8000".parse().expect("address"));
    assert_eq!(Subject(named.to_string()).0.parse(), Ok(named));
}

#[tokio::test]
async fn what_it_shares_with_the_host_keeps_its_name() {
    let gateway = inside(true, false, CONF).await;
    assert_eq!(servers(&gateway), ["127.0.0.1:8000 (in container web)", "unix:/run/app.sock"]);
    assert_eq!(gateway.config, Path::new("/etc/nginx/nginx.conf"));
    let gateway = inside(false, true, CONF).await;
    assert_eq!(servers(&gateway), ["127.0.0.1:8000", "unix:/run/app.sock (in container web)"]);
}

#[test]
fn docker_tells_which_ports_lead_there() {
    let process = |name: &str, argv: &str| ProcessInfo {
        pid: 7,
        ppid: 1,
        name: name.to_owned(),
        argv: argv.split(' ').map(str::to_owned).collect(),
        exe: None,
        identity: Identity { name: "root".to_owned(), uid: 0, gid: 0, groups: Vec::new() },
        started: None,
        start_ticks: None,
        state: 'S',
        cgroup: None,
        cwd: None,
        net_ns: None,
        threads: 1,
    };
    let proxy = "docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80";
    let dir = tempfile::tempdir().expect("directory");
    let net = dir.path().join("proc/7/net");
    std::fs::create_dir_all(&net).expect("directory");
    std::fs::write(net.join("fib_trie"), "Local:\n  |-- 172.17.0.2\n     /32 host LOCAL\n").expect("file");
    let way = Way { pid: 7, started: 1, net: true, files: true };
    let space = Space { place: "container web".to_owned(), enter: Vec::new(), way, container: true };
    let found = published(&Root::below(dir.path()), &space, &[process("nginx", "nginx"), process("docker-proxy", proxy)]);
    assert_eq!(found, [("0.0.0.0:8080".parse().expect("address"), 80)]);
    let other = proxy.replace("172.17.0.2", "172.17.0.3");
    assert_eq!(published(&Root::below(dir.path()), &space, &[process("docker-proxy", &other)]), []);
}
