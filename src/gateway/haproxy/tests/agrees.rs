//! What we read against what HAProxy itself made of it: the servers of a running one, by its stats socket.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
};

use super::*;

const BINARY: &str = "/usr/sbin/haproxy";
/// Looks at a socket that a program makes as it starts.
const LOOKS: usize = 2_000;

const RICH: &str = "global\n    stats socket @/admin.sock level admin\n    maxconn 100\ndefaults base\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n    default-server inter 60s fall 9\nfrontend www from base\n    bind unix@@/www.sock\n    acl api path_beg /api /v2\n    use_backend api if api\n    use_backend \"tmpl\" if { hdr(host) -i t.test }\n    default_backend shop\nbackend shop from base\n    balance roundrobin\n    server a1 127.0.0.1:8001 # a comment\n    server a2 127.0.0.1:8002 backup\n    server a3 127.0.0.1:8003 disabled\n    server \"a4\" 127.0.0.1:8004 weight 0\n    server a5 unix@@/app.sock\nbackend api from base\n    server b1 [::1]:8005\n    server b2 ipv4@127.0.0.1:8006\nbackend tmpl from base\n    server-template t 1-3 127.0.0.1:8100\nlisten both from base\n    bind unix@@/both.sock\n    server c1 127.0.0.1:8200\n";

/// Ends with the test, however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing left to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_servers_are_those_that_haproxy_runs_with() {
    if !Path::new(BINARY).exists() && std::env::var("CI").as_deref() != Ok("true") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let text = RICH.replace("unix@@", "unix@\u{1}").replace('@', &dir.path().display().to_string());
    let text = text.replace(&format!("unix{}\u{1}", dir.path().display()), &format!("unix@{}", dir.path().display()));
    let text = text.replace(&format!("ipv4{}127", dir.path().display()), "ipv4@127");
    let config = dir.path().join("haproxy.cfg");
    std::fs::write(&config, &text).expect("file");
    let child = Command::new(BINARY).args(["-db", "-f"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut running = Running(child.expect("haproxy"));
    let socket = dir.path().join("admin.sock");
    let connected = (0..LOOKS).find_map(|_| {
        std::thread::yield_now();
        assert!(running.0.try_wait().expect("a child").is_none(), "it ended:\n{text}");
        UnixStream::connect(&socket).ok().or_else(|| {
            // Each look waits for the scheduler of a child that does nothing, and for no clock.
            Command::new("/bin/true").status().ok();
            None
        })
    });
    let mut stream = connected.expect("the stats socket");
    stream.write_all(b"show stat\n").expect("a question");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("an answer");

    let columns: Vec<&str> = said.lines().next().expect("a head").trim_start_matches("# ").split(',').collect();
    let column = |name: &str| columns.iter().position(|known| *known == name).expect("a column");
    let (pool, server, kind, address, spare, status) =
        (column("pxname"), column("svname"), column("type"), column("addr"), column("bck"), column("status"));
    let theirs: BTreeSet<String> = said
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>())
        .filter(|row| row.get(kind) == Some(&"2"))
        .map(|row| {
            let role = if row[status].starts_with("MAINT") {
                "down"
            } else if row[spare] == "1" {
                "backup"
            } else {
                "primary"
            };
            format!("{}/{} {} {role}", row[pool], row[server], row[address])
        })
        .collect();

    let found = look_at(&Root::below(dir.path()), &[]);
    assert!(found.gateways.is_empty(), "nothing stands in its usual place there");
    let line = format!("{BINARY} -db -f {}", config.display());
    let ours = only(look_at(&Root::host(), &[process(running.0.id(), 1, &line, ("root", 0))]));
    assert_eq!(ours.problems, []);
    let read: BTreeSet<String> = ours
        .pools
        .iter()
        .flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)))
        .map(|(pool, server)| {
            // One of weight 0 runs, and gets nothing: for us it is out.
            let role = match server.role {
                Role::Primary => "primary",
                Role::Backup => "backup",
                Role::Down if server.name.as_deref() == Some("a4") => "primary",
                Role::Down => "down",
            };
            // It tells no path.
            let address = match &server.address {
                Address::Unix(_) => "unix".to_owned(),
                address => address.to_string(),
            };
            let name = server.name.as_deref().unwrap_or_default();
            format!("{}/{name} {} {role}", pool.name, address)
        })
        .collect();
    assert_eq!(read, theirs, "{said}");
}
