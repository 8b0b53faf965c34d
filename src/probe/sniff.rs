//! What a peer speaks, told by the first bytes that it sends.

/// First bytes, and the protocol that begins so. The first that fits wins.
const GREETINGS: &[(&[u8], &str)] = &[
    (b"HTTP/1.", "http/1"),
    (b"HTTP/0.", "http/1"),
    (b"\x15\x03", "tls"), // RFC 8446 section 5.1: an alert record
    (b"\x16\x03", "tls"), // a handshake record
    (b"SSH-", "ssh"),     // RFC 4253 section 4.2
    (b"* OK", "imap"),    // RFC 9051 section 7.1.1
    (b"+OK", "pop3"),     // RFC 1939 section 4
    (b"-ERR", "redis"),   // the answer to a request line that is no command
    (b"-DENIED", "redis"),
    (b"-NOAUTH", "redis"),
    (b"-MISCONF", "redis"),
    (b"-LOADING", "redis"),
    (b"-MASTERDOWN", "redis"),
    (b"AMQP", "amqp"),
    (b"INFO {", "nats"), // nats.io, "Client Protocol": the server speaks first
    (b"-ERR 'Unknown", "nats"),
    (b"UNKNOWN_COMMAND\r\n", "beanstalkd"),
    (b"JDWP-Handshake", "jdwp"),
    (b"EFATAL", "postgresql"), // before version 3 of its protocol
    (b"RTSP/", "rtsp"),
    (b"SIP/2.0", "sip"),
    (b"RFB 0", "vnc"),
    (b"@RSYNCD:", "rsync"),
    (b"ERROR\r\n", "memcached"),
    (b"AB\x00", "ajp"), // container to server packets begin so
    (b"\xff\xfb", "telnet"),
    (b"\xff\xfd", "telnet"),
];

/// Texts of error pages by which a TLS server answers to a plain request, with status 400.
const PLAIN_TO_TLS: &[&str] = &[
    "The plain HTTP request was sent to HTTPS port",     // nginx
    "speaking plain HTTP to an SSL-enabled server port", // Apache
    "Client sent an HTTP request to an HTTPS server",    // Go's net/http
    "This combination of host and port requires TLS",    // Tomcat
];

/// Texts by which servers of another kind answer a plain HTTP request in HTTP, to say that they are none.
const CALLED_BY_HTTP: &[(&str, &str)] = &[
    ("It looks like you are trying to access MongoDB over HTTP", "mongodb"),
    ("This is not a HTTP port", "elasticsearch transport"), // its transport port, 9300
    ("This is not an HTTP port", "elasticsearch transport"),
    ("Port 9000 is for clickhouse-client program", "clickhouse"),
    ("Unknown ALPN Protocol, expected `h2` to be available", "http/2"), // node's http2
];

/// The protocol of a server that answers in HTTP only to say that it does not speak it.
pub(super) fn called_by_http(body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(body);
    CALLED_BY_HTTP.iter().find(|(words, _)| text.contains(words)).map(|(_, name)| *name)
}

/// The protocol that begins with these bytes; `None`: none that is known.
pub(super) fn speaks(first: &[u8]) -> Option<&'static str> {
    let greeting = GREETINGS.iter().find(|(greeting, _)| first.starts_with(greeting)).map(|(_, name)| *name);
    greeting.or_else(|| by_shape(first))
}

/// Protocols that begin with a length or a number.
fn by_shape(first: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(first);
    match first {
        // RFC 9112 names no such thing, but mail and file servers greet alike (RFC 5321, RFC 959).
        [b'2', b'2', b'0', b' ' | b'-', ..] if text.contains("FTP") => Some("ftp"),
        [b'2', b'2', b'0', b' ' | b'-', ..] => Some("smtp"),
        // RFC 9113 section 4.1: length, then type 4 (SETTINGS) or 7 (GOAWAY), flags, stream 0.
        [0, 0, _, 4, 0 | 1, 0, 0, 0, 0, ..] | [0, 0, _, 7, 0, 0, 0, 0, 0, ..] => Some("http/2"),
        // FastCGI specification section 8: version 1, type END_REQUEST, STDOUT, STDERR, GET_VALUES_RESULT or UNKNOWN_TYPE.
        [1, 3 | 6 | 7 | 10 | 11, _, _, _, _, _, 0, ..] => Some("fastcgi"),
        // MySQL's initial packet: 3 bytes of length, sequence 0, protocol 10 or an error.
        [_, _, 0, 0, 10, b'0'..=b'9', ..] | [_, _, 0, 0, 0xff, ..] => Some("mysql"),
        // LDAP (RFC 4511 section 4.4.1): a Notice of Disconnection, a sequence with message id 0.
        [0x30, _, 0x02, 0x01, 0, 0x78, ..] => Some("ldap"),
        // Cassandra's native protocol: the response bit, a version, and the opcode ERROR.
        [0x83..=0x86, 0, _, _, 0, ..] => Some("cassandra"),
        // PostgreSQL's ErrorResponse: `E`, 4 bytes of length, then the field `S`.
        [b'E', 0, 0, _, _, b'S', ..] => Some("postgresql"),
        _ => None,
    }
}

/// Whether an error page says that TLS was expected.
pub(super) fn wanted_tls(status: u16, body: &[u8]) -> bool {
    status == 400 && {
        let text = String::from_utf8_lossy(body);
        PLAIN_TO_TLS.iter().any(|page| text.contains(page))
    }
}

/// First bytes for a person: as text where they are, with the rest as escapes.
pub(super) fn quote(first: &[u8]) -> String {
    /// Enough to recognise a greeting by, and little enough for a line.
    const SHOWN: usize = 40;
    let shown = first.len().min(SHOWN);
    format!("first bytes: {}", first[..shown].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_told_by_their_first_bytes() {
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"\x15\x03\x03\x00\x02\x02\x46", Some("tls")),
            (b"\x16\x03\x03\x00\x7a\x02", Some("tls")),
            (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03", Some("http/2")),
            (b"SSH-2.0-OpenSSH_9.2p1\r\n", Some("ssh")),
            (b"220 mail.example.com ESMTP Postfix\r\n", Some("smtp")),
            (b"220 ProFTPD Server ready\r\n", Some("ftp")),
            (b"-ERR unknown command 'GET'\r\n", Some("redis")),
            (b"J\x00\x00\x00\x0a8.0.36\x00", Some("mysql")),
            (b"E\x00\x00\x00\x8fSFATAL\x00", Some("postgresql")),
            (b"\x01\x03\x00\x01\x00\x08\x00\x00", Some("fastcgi")),
            (b"\x01\x06\x00\x01\x00\x20\x00\x00", Some("fastcgi")),
            (b"AMQP\x00\x00\x09\x01", Some("amqp")),
            (b"INFO {\"server_id\":\"x\"}\r\n", Some("nats")),
            (b"ERROR\r\n", Some("memcached")),
            (b"\x45\x00\x00\x00\xffj\x04Host '10.0.0.1' is not allowed", Some("mysql")),
            (b"\x30\x24\x02\x01\x00\x78\x1f", Some("ldap")),
            (b"HTTP/1.0 200 OK", Some("http/1")),
            (b"Hello, world", None),
            (b"", None),
            (b"\x01", None),
        ];
        for (first, name) in cases {
            assert_eq!(speaks(first), *name, "{}", first.escape_ascii());
        }
    }

    #[test]
    fn only_a_400_says_that_tls_was_wanted() {
        let page = b"<center>The plain HTTP request was sent to HTTPS port</center>";
        assert!(wanted_tls(400, page) && !wanted_tls(200, page) && !wanted_tls(400, b"Bad Request"));
    }
}
