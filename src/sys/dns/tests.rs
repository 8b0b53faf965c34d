use std::time::Instant;

use tokio::net::UdpSocket;

use super::*;

fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Dns) {
    let dir = tempfile::tempdir().expect("temporary directory");
    std::fs::create_dir(dir.path().join("etc")).expect("directory");
    for (name, text) in files {
        std::fs::write(dir.path().join("etc").join(name), text).expect("file");
    }
    let dns = Dns::new(Root::below(dir.path()));
    (dir, dns)
}

/// How a name server answers a question for an address.
#[derive(Clone, Copy)]
enum Says {
    /// Nothing.
    Nothing,
    /// This code, without records.
    Code(u8),
    /// These addresses for A.
    Four(&'static [[u8; 4]]),
    /// Only names that end so are there, with this address.
    Only(&'static str, [u8; 4]),
    /// A truncated answer.
    Truncated,
    /// The address under another name, whose label is an escape sequence.
    Alias([u8; 4]),
    /// What is no answer at all.
    Garbage,
}

/// A name server on loopback.
async fn server(says: Says) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let at = socket.local_addr().expect("address");
    tokio::spawn(async move {
        let mut buf = [0_u8; 1500];
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            if let Some(answer) = answer(&buf[..len], says) {
                socket.send_to(&answer, from).await.expect("answer");
            }
        }
    });
    at
}

/// The answer to a question: a 12-byte header, the name, type and class; additional records of the question are left out.
fn answer(question: &[u8], says: Says) -> Option<Vec<u8>> {
    let end = 12 + question[12..].iter().position(|b| *b == 0).expect("end of the name") + 5;
    let name = String::from_utf8_lossy(&question[12..end - 5]).to_lowercase();
    let is_a = question[end - 4..end - 2] == [0, 1];
    let mut answer = question[..end].to_vec();
    answer[2] |= 0x80;
    answer[3] = 0x80;
    answer[6..12].fill(0);
    let mut record = |owner: &[u8], kind: u8, data: &[u8]| {
        answer[7] += 1;
        answer.extend(owner);
        answer.extend([0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(data.len()).expect("short")]);
        answer.extend(data);
    };
    let question_name = [0xc0, 12];
    match says {
        Says::Nothing => return None,
        Says::Garbage => return Some(vec![0xff; 40]),
        Says::Code(code) => answer[3] |= code,
        Says::Truncated => answer[2] |= 2,
        Says::Four(ips) if is_a => ips.iter().for_each(|ip| record(&question_name, 1, ip)),
        Says::Only(label, ip) if name.ends_with(label) && is_a => record(&question_name, 1, &ip),
        Says::Only(label, _) if !name.ends_with(label) => answer[3] |= 3,
        Says::Alias(ip) if is_a => {
            let target = b"\x06a\x1b[31m\x00";
            let at = u8::try_from(end + 12).expect("a short name");
            record(&question_name, 5, target);
            record(&[0xc0, at], 1, &ip);
        }
        Says::Four(_) | Says::Only(..) | Says::Alias(_) => {}
    }
    Some(answer)
}

fn own(servers: &[SocketAddr]) -> Resolution {
    let servers = servers.iter().map(ToString::to_string).collect();
    Resolution::ByServers(Box::new(OwnResolvers { servers, ..OwnResolvers::default() }))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("ip")
}

async fn ask_host(says: Says) -> Result<Vec<IpAddr>, NameError> {
    let (_dir, mut dns) = tree(&[("resolv.conf", "nameserver 127.0.0.1\n")]);
    dns.port = server(says).await.port();
    dns.lookup("app.example.com").await
}

#[tokio::test]
async fn the_hosts_file_comes_first_and_ipv4_before_ipv6() {
    let (_dir, dns) = tree(&[("hosts", "# x app\n::1 app\n10.0.0.9  web App app.internal # app2\nbad app\n127.0.0.1 localhost\n")]);
    assert_eq!(dns.lookup("APP").await.expect("in the hosts file"), [ip("10.0.0.9"), ip("::1")]);
    assert_eq!(dns.lookup("localhost").await.expect("localhost").len(), 1, "the file's own localhost wins");
    assert_eq!(dns.lookup("[::1]").await.expect("literal"), [ip("::1")]);
    assert_eq!(dns.lookup("app2").await.expect_err("only in a comment").fault, NameFault::NoServer);
    let view = dns.view("app", &Resolution::AtStart).await.expect("a view");
    assert_eq!((view.by.as_str(), view.hosts.len()), ("/etc/hosts:3", 2));
}

#[tokio::test]
async fn localhost_needs_no_file_and_other_names_a_server() {
    let (_dir, dns) = tree(&[]);
    assert_eq!(dns.lookup("localhost").await.expect("RFC 6761").len(), 2);
    assert_eq!(dns.lookup("app").await.expect_err("no resolv.conf").fault, NameFault::NoServer);
    let (_dir, dns) = tree(&[("resolv.conf", "search example.com\n")]);
    assert_eq!(dns.lookup("app").await.expect_err("no nameserver").fault, NameFault::NoServer);
    assert_eq!(dns.lookup("a b\u{1b}").await.expect_err("no name").fault, NameFault::NxDomain);
}

#[tokio::test]
async fn each_answer_of_a_name_server_is_told_apart() {
    assert_eq!(ask_host(Says::Four(&[[192, 0, 2, 7]])).await.expect("an address"), [ip("192.0.2.7")]);
    for (says, fault, words) in [
        (Says::Code(3), NameFault::NxDomain, "NXDOMAIN"),
        (Says::Code(2), NameFault::ServFail, "SERVFAIL"),
        (Says::Code(5), NameFault::ServFail, "REFUSED"),
        (Says::Code(0), NameFault::NoData, "no address"),
        (Says::Truncated, NameFault::Silent, "truncated, and over TCP: nothing listens there"),
        (Says::Garbage, NameFault::Silent, "no answer within 1000 ms"),
    ] {
        let error = ask_host(says).await.expect_err(words);
        assert_eq!(error.fault, fault, "{words}");
        assert!(error.to_string().contains(words), "{error}, not {words}");
    }
}

#[tokio::test]
async fn a_silent_server_costs_a_second_and_nothing_where_another_answers() {
    let began = Instant::now();
    assert_eq!(ask_host(Says::Nothing).await.expect_err("silence").fault, NameFault::Silent);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let (_dir, dns) = tree(&[]);
    let both = own(&[server(Says::Nothing).await, server(Says::Four(&[[192, 0, 2, 7]])).await]);
    let began = Instant::now();
    assert_eq!(dns.resolve("app", &both).await.expect("the other answers"), [ip("192.0.2.7")]);
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
    let view = dns.view("app", &both).await.expect("a view");
    let faults: Vec<_> = view.decisive().map(|answer| answer.fault).collect();
    assert_eq!(faults, [Some(NameFault::Silent), None]);
    assert_eq!(view.ips, [ip("192.0.2.7")]);
}

#[tokio::test]
async fn a_server_where_nothing_listens_is_told_at_once() {
    let gone = UdpSocket::bind("127.0.0.1:0").await.expect("bind").local_addr().expect("address");
    let (_dir, dns) = tree(&[]);
    let began = Instant::now();
    let view = dns.view("app", &own(&[gone])).await.expect("a view");
    let answer = view.decisive().next().expect("asked").clone();
    assert_eq!((answer.fault, answer.error.as_str()), (Some(NameFault::Silent), "nothing listens there"));
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn search_domains_are_the_host_s_and_not_the_gateway_s() {
    let at = server(Says::Only("\u{8}internal", [10, 0, 0, 7])).await;
    let (_dir, mut dns) = tree(&[("resolv.conf", "nameserver 127.0.0.1\nsearch nowhere.test internal\n")]);
    dns.port = at.port();
    let view = dns.view("app", &Resolution::AtStart).await.expect("a view");
    assert_eq!(view.ips, [ip("10.0.0.7")]);
    assert_eq!(view.servers[0].asked, "app.internal");
    let view = dns.view("app", &own(&[at])).await.expect("a view");
    assert_eq!(view.ips, [] as [IpAddr; 0]);
    assert_eq!(view.decisive().next().expect("asked").fault, Some(NameFault::NxDomain));
    assert_eq!(view.servers[0].ips, [ip("10.0.0.7")], "the host would find it");
    assert_eq!(Dns::fault(&view).fault, NameFault::NxDomain);
}

#[tokio::test]
async fn an_alias_and_its_odd_name_are_kept_as_text() {
    let (_dir, dns) = tree(&[]);
    let view = dns.view("App_1.example.com", &own(&[server(Says::Alias([10, 0, 0, 8])).await])).await.expect("a view");
    assert_eq!(view.ips, [ip("10.0.0.8")]);
    let answer = view.decisive().next().expect("asked");
    let chain = &answer.chain;
    assert!(chain.len() == 1 && !chain[0].contains('\u{1b}'), "{chain:?}");
    assert_eq!(answer.ttl, Some(60));
}

#[tokio::test]
async fn a_module_that_cannot_be_asked_is_told() {
    let (_dir, mut dns) =
        tree(&[("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: files sss dns myhostname\n")]);
    dns.port = server(Says::Code(3)).await.port();
    let view = dns.view("app", &Resolution::AtStart).await.expect("a view");
    assert_eq!(view.unsure, ["sss"]);
    let (_dir, mut dns) = tree(&[("resolv.conf", "nameserver 127.0.0.1\n"), ("nsswitch.conf", "hosts: files dns sss\n")]);
    dns.port = server(Says::Four(&[[10, 0, 0, 1]])).await.port();
    assert_eq!(dns.view("app", &Resolution::AtStart).await.expect("a view").unsure, [] as [String; 0]);
}

/// A name server that answers every third question with `odd`, and is silent where that is nothing.
async fn faltering(usual: Says, odd: Says) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
    let at = socket.local_addr().expect("address");
    tokio::spawn(async move {
        let (mut buf, mut count) = ([0_u8; 1500], 0_u32);
        while let Ok((len, from)) = socket.recv_from(&mut buf).await {
            count += 1;
            let says = if count.is_multiple_of(3) { odd } else { usual };
            if let Some(answer) = answer(&buf[..len], says) {
                socket.send_to(&answer, from).await.expect("answer");
            }
        }
    });
    at
}

#[tokio::test]
async fn what_a_server_says_at_times_is_counted() {
    let (_dir, dns) = tree(&[]);
    let steady = server(Says::Four(&[[10, 0, 0, 1], [10, 0, 0, 2]])).await;
    let usual = Says::Four(&[[10, 0, 0, 1]]);
    let (silent, failing) = (faltering(usual, Says::Nothing).await, faltering(usual, Says::Code(2)).await);
    let lying = faltering(usual, Says::Four(&[[10, 0, 0, 9]])).await;
    let Resolution::ByServers(own) = own(&[steady, silent, failing, lying]) else { panic!("of servers") };
    // Only A, so that each question counts.
    let resolution = Resolution::ByServers(Box::new(OwnResolvers { no_ipv6: true, ..*own }));
    let began = Instant::now();
    let view = dns.again("app.internal", &resolution, 36, Duration::from_millis(2)).await.expect("a view");
    assert!(began.elapsed() < Duration::from_secs(10), "all at once: {:?}", began.elapsed());
    let of = |at: SocketAddr| -> Vec<_> {
        let answers = view.servers.iter().filter(|answer| answer.server == at.to_string());
        answers.map(|answer| (answer.share.expect("a share"), answer.fault, answer.ips.len())).collect()
    };
    assert_eq!(of(steady), [((9, 9), None, 2)]);
    assert_eq!(of(silent), [((6, 9), None, 1), ((3, 9), Some(NameFault::Silent), 0)]);
    assert_eq!(of(failing), [((6, 9), None, 1), ((3, 9), Some(NameFault::ServFail), 0)]);
    assert_eq!(of(lying), [((6, 9), None, 1), ((3, 9), None, 1)]);
}

#[tokio::test]
async fn an_answer_of_thousands_of_records_is_bounded_and_counted() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    /// More than are looked at, and nearly what a message of 64 KB holds.
    const RECORDS: u16 = 3_000;
    let at = server(Says::Truncated).await;
    let listener = tokio::net::TcpListener::bind(at).await.expect("the same port over TCP");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.expect("length");
            let mut question = vec![0; length.into()];
            stream.read_exact(&mut question).await.expect("question");
            let mut many = answer(&question, Says::Code(0)).expect("an answer");
            many[6..8].copy_from_slice(&RECORDS.to_be_bytes());
            for number in 0..RECORDS {
                let [high, low] = number.to_be_bytes();
                many.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 9, high, low]);
            }
            let length = u16::try_from(many.len()).expect("fits");
            stream.write_all(&[&length.to_be_bytes()[..], &many].concat()).await.expect("written");
        }
    });
    let (_dir, dns) = tree(&[]);
    let Resolution::ByServers(own) = own(&[at]) else { panic!("of servers") };
    let resolution = Resolution::ByServers(Box::new(OwnResolvers { no_ipv6: true, ..*own }));
    let view = dns.view("app.internal", &resolution).await.expect("a view");
    let answer = &view.servers.iter().find(|answer| answer.of == ServerOf::Gateway).expect("its answer");
    assert!(answer.truncated && answer.ips.len() == 64, "{answer:?}");
    assert_eq!(answer.left_out, u32::from(RECORDS) - 64, "what was left out is counted");
    assert!(view.lines().iter().all(|line| line.len() < 400), "{:?}", view.lines());
}
