//! Where an application says that it listens, in the words with which servers of all kinds greet whoever starts them.
//!
//! What is said in other words is not known. To add one: its words in [`GREETINGS`], with a line of it in the test.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::LazyLock,
};

use regex::Regex;

/// Words before the address, without regard to case.
const GREETINGS: &[&str] = &[
    r"listening(?: and serving \w+)? (?:at|on)",
    r"listening:",
    r"(?:running|available|accessible) (?:on|at)",
    r"running \S+ with .{1,40} at",
    r"(?:started|starting)(?: \S+){0,4} (?:on|at)",
    r"serving(?: \w+)? (?:on|at)",
    r"server (?:is )?(?:listening|running|ready|up)(?: and \w+)?(?: on| at)?",
    r"development server \(",
    r"- local:",
];
/// Words of lines that tell of trouble, or ask.
const NO_GREETING: &str = r"(?i)error|fail|refused|could not|cannot|unable|stopped|not listening|no longer|is the server";
/// Ports of databases, caches and queues, which no gateway passes requests to: MySQL, PostgreSQL, Redis, MongoDB, memcached, AMQP,
/// Elasticsearch, ZooKeeper, Kafka, MySQL's X protocol.
const NOT_HTTP: &[u16] = &[3306, 5432, 6379, 27017, 11211, 5672, 9200, 2181, 9092, 33060];

static GREETING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = GREETINGS.join("|");
    let host = r"\[[0-9a-f:.]*\]|\d{1,3}(?:\.\d{1,3}){3}|localhost|\*|::|";
    let by_address = format!(r#":? *["']?(?:[a-z]+://)?(?P<host>{host}):(?P<port>\d{{2,5}})\b"#);
    let by_port = r"[^0-9]{0,24}?\bport(?:\(s\))?[ :=]+(?P<bare>\d{2,5})\b";
    // Tomcat's connector by its name (AbstractProtocol.getName()).
    let connector = r"starting protocolhandler \[.http-\w+-(?:(?P<at>\d{1,3}(?:\.\d{1,3}){3})-)?(?P<behind>\d{2,5})\b";
    Regex::new(&format!("(?i)(?:{words})(?:{by_address}|{by_port})|{connector}")).ok()
});
static TROUBLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(NO_GREETING).ok());

/// Where somebody listens, as told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// The address. `None`: all of the host, or it is not told.
    pub ip: Option<IpAddr>,
    /// `localhost`, which may stand for both of its addresses.
    pub localhost: bool,
    /// The port.
    pub port: u16,
}

impl Listening {
    /// Whether who connects to this address meets it, for all that can be told.
    pub fn takes(&self, to: SocketAddr) -> bool {
        let there = match self.ip {
            Some(ip) => ip == to.ip(),
            None => !self.localhost || to.ip().is_loopback(),
        };
        there && to.port() == self.port
    }

    /// Whether only who is on the same host, or in the same container, can connect to it.
    pub fn is_loopback(&self) -> bool {
        self.localhost || self.ip.is_some_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => write!(f, "{}", SocketAddr::new(ip, self.port)),
            None if self.localhost => write!(f, "localhost:{}", self.port),
            None => write!(f, "port {}", self.port),
        }
    }
}

/// Where the application says in this line that it listens.
pub fn listening(line: &str) -> Option<Listening> {
    let found = GREETING.as_ref()?.captures(line)?;
    if TROUBLE.as_ref()?.is_match(line) {
        return None;
    }
    let port = ["port", "bare", "behind"].iter().find_map(|name| found.name(name))?.as_str().parse().ok()?;
    let host = found.name("host").or(found.name("at")).map_or("", |host| host.as_str()).trim_matches(['[', ']']);
    let ip: Option<IpAddr> = host.parse().ok().filter(|ip: &IpAddr| !ip.is_unspecified());
    let mapped = |ip: IpAddr| match ip {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().filter(|_| v6 != Ipv6Addr::LOCALHOST).map_or(ip, IpAddr::V4),
        IpAddr::V4(_) => ip,
    };
    let localhost = host.eq_ignore_ascii_case("localhost");
    Some(Listening { ip: ip.map(mapped), localhost, port }).filter(|told| told.port >= 80 && !NOT_HTTP.contains(&told.port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_all_kinds_say_where_they_listen() {
        for (line, ip, port) in [
            ("[2026-11-21 05:00:00 +0000] [7] [INFO] Listening at: http://127.0.0.1:8000 (7)", "127.0.0.1", 8000),
            ("INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)", "", 8000),
            (" * Running on http://127.0.0.1:5000", "127.0.0.1", 5000),
            (" * Running on http://127.0.0.1:5000/ (Press CTRL+C to quit)", "127.0.0.1", 5000),
            ("Starting development server at http://127.0.0.1:8000/", "127.0.0.1", 8000),
            ("* Listening on http://0.0.0.0:3000", "", 3000),
            ("* Listening on tcp://127.0.0.1:3000", "127.0.0.1", 3000),
            ("      Now listening on: http://[::]:8080", "", 8080),
            (
                "2026-11-21T05:00:00.000Z  INFO 1 --- [main] o.s.b.w.embedded.tomcat.TomcatWebServer  : Tomcat started on port(s): 8080 (http) with context path ''",
                "",
                8080,
            ),
            ("Tomcat started on port 8080 (http) with context path '/'", "", 8080),
            ("Netty started on port 8080 (http)", "", 8080),
            ("INFO: Starting ProtocolHandler [\"http-nio-8080\"]", "", 8080),
            ("INFO: Starting ProtocolHandler [\"http-nio-127.0.0.1-8080\"]", "127.0.0.1", 8080),
            ("Started ServerConnector@1a2b{HTTP/1.1, (http/1.1)}{0.0.0.0:8080}", "", 0),
            ("   - Local:        http://localhost:3000", "localhost", 3000),
            ("ready - started server on 0.0.0.0:3000, url: http://localhost:3000", "", 3000),
            ("{\"level\":30,\"msg\":\"Server listening at http://127.0.0.1:3000\"}", "127.0.0.1", 3000),
            ("Application is running on: http://[::1]:3000", "::1", 3000),
            ("[GIN-debug] Listening and serving HTTP on :8080", "", 8080),
            ("Running ShopWeb.Endpoint with cowboy 2.9.0 at 127.0.0.1:4000 (http)", "127.0.0.1", 4000),
            ("Running ShopWeb.Endpoint with Bandit 1.5.0 at :::4000 (http)", "", 4000),
            ("PHP 8.2.7 Development Server (http://localhost:8000) started", "localhost", 8000),
            ("Example app listening on port 3000!", "", 3000),
            ("server is running on port 3000", "", 3000),
            ("relay ready, listening on http://127.0.0.1:8050", "127.0.0.1", 8050),
            ("msg=\"HTTP Server Listen\" address=[::]:3000", "", 0),
            ("Server listening on ::1:3001", "", 0),
        ] {
            let told = listening(line);
            if port == 0 {
                assert_eq!(told, None, "not known: {line}");
                continue;
            }
            let localhost = ip == "localhost";
            assert_eq!(told, Some(Listening { ip: ip.parse().ok(), localhost, port }), "{line}");
        }
    }

    #[test]
    fn databases_and_trouble_are_no_greeting() {
        for line in [
            "LOG:  listening on IPv4 address \"0.0.0.0\", port 5432",
            "Is the server running on host \"localhost\" (127.0.0.1) and accepting TCP/IP connections on port 8432?",
            "Error: listen EADDRINUSE: address already in use :::3000",
            "Ready to accept connections",
            "Started Session 5 of user deploy.",
            "Started GET \"/cart\" for 10.0.0.9 at 2026-11-21 05:00:00 +0000",
            "started at 12:30:15",
            "could not start the server listening on 127.0.0.1:3000",
        ] {
            assert_eq!(listening(line), None, "{line}");
        }
    }
}
