//! A server's own interface for questions about itself: a unix socket that takes commands, or a page. What may be asked is a
//! closed set of questions that change nothing; nothing else ever reaches such a socket, which could also stop the gateway.
//!
//! To add a question: a variant of [`AdminQuestion`] with its bytes in `AdminQuestion::bytes`.

pub(super) mod fastcgi;

use std::{os::fd::AsRawFd as _, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    ConnectError, Root, Stream, Way,
    broker::{self, Task, brokered},
};
use crate::model::Address;

/// How long an answer may take: these are made from memory, and a gateway that has no time for them is worth a blind spot.
const ANSWER: Duration = Duration::from_millis(700);
/// Bytes of an answer: the state of 20,000 servers, 400 bytes each.
const ANSWER_BYTES: u64 = 8 << 20;

/// What may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AdminQuestion {
    /// HAProxy's stats socket: itself, its statistics, its servers (management.txt section 9.3). Through a master's socket: those of
    /// the worker that serves now.
    HaproxyState {
        /// Whether the socket is the master's.
        master: bool,
    },
    /// A page that a FastCGI server's own core answers, by GET.
    FastCgiPage {
        /// Its path: `pm.status_path` of php-fpm.
        path: String,
        /// Its query.
        query: String,
    },
    /// Nothing: it speaks by itself, as uWSGI's stats server does.
    Listen,
    /// A page, by GET in HTTP/1.1, for servers that refuse 1.0 (Envoy: 426). The answer is given without its chunks.
    ModernPage {
        /// The Host header.
        host: String,
        /// Path and query.
        path: String,
    },
    /// A page, by GET.
    Page {
        /// The Host header.
        host: String,
        /// Path and query.
        path: String,
    },
}

impl AdminQuestion {
    /// The bytes to send. `None`: a value could end its line.
    fn bytes(&self) -> Option<Vec<u8>> {
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let agent = concat!("why502/", env!("CARGO_PKG_VERSION"));
        match self {
            Self::FastCgiPage { path, query } => {
                fastcgi::request(path, query, agent).filter(|_| plain(path) && plain(query) && path.starts_with('/'))
            }
            Self::Listen => Some(Vec::new()),
            Self::HaproxyState { master } => {
                let commands = ["show info", "show stat", "show servers state"];
                // `@1` is the worker of the present configuration; a master does not hang up by itself (section 9.4).
                let all =
                    if *master { commands.map(|command| format!("@1 {command}")).join(";") + ";quit" } else { commands.join(";") };
                Some(format!("{all}\n").into_bytes())
            }
            Self::ModernPage { host, path } => (plain(host) && plain(path) && path.starts_with('/')).then(|| {
                let end = "Accept: */*\r\nConnection: close\r\n\r\n";
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\n{end}").into_bytes()
            }),
            Self::Page { host, path } => {
                // HTTP/1.0: the answer ends with the connection, and comes in one piece.
                (plain(host) && plain(path) && path.starts_with('/')).then(|| {
                    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n").into_bytes()
                })
            }
        }
    }
}

/// Asks, and gives the answer as it came: of a page, with its head.
pub(super) async fn ask(root: &Root, way: Option<&Way>, at: &Address, question: &AdminQuestion) -> std::io::Result<Vec<u8>> {
    // Sockets below another root are none of this host's.
    if !root.is_host() && way.is_none() {
        return Err(std::io::ErrorKind::Unsupported.into());
    }
    let exchange = async {
        if !brokered() {
            return exchange(way, at, question).await;
        }
        // Only its owner may speak to such a socket, or somebody else's namespaces have to be entered.
        let mut started = broker::start(Task::Ask(at.clone(), question.clone(), way.cloned()))?;
        let mut answer = Vec::new();
        started.output()?.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        started.running.ended().await?;
        Ok(answer)
    };
    let answer = tokio::time::timeout(ANSWER, exchange).await.map_err(|_| std::io::ErrorKind::TimedOut)??;
    Ok(match question {
        AdminQuestion::FastCgiPage { .. } => fastcgi::page(&answer),
        AdminQuestion::ModernPage { .. } => whole(answer),
        AdminQuestion::HaproxyState { .. } | AdminQuestion::Listen | AdminQuestion::Page { .. } => answer,
    })
}

/// The exchange itself, by a process that has the rights to it: what comes back is not looked at.
pub(super) async fn exchange(way: Option<&Way>, at: &Address, question: &AdminQuestion) -> std::io::Result<Vec<u8>> {
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
    let bytes = question.bytes().ok_or_else(invalid)?;
    let exchange = async {
        let mut stream = match (at, way) {
            (Address::Unix(path), Some(way)) => {
                let (way, path) = (way.clone(), path.clone());
                // A file system of theirs may hang.
                let entry = super::blocking(ANSWER, move || Root::of(&way, [])?.entry(&path).map_err(|error| error.source)).await;
                let (dir, name) = entry.ok_or(std::io::ErrorKind::TimedOut)??;
                let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())).join(name);
                Stream::unix(&path, ANSWER).await
            }
            (Address::Unix(path), None) => Stream::unix(path, ANSWER).await,
            (Address::Tcp(to), Some(way)) if way.net => Stream::tcp_in(way, *to, ANSWER).await,
            (Address::Tcp(to), _) => Stream::tcp(*to, ANSWER).await,
            (Address::Name(..) | Address::Inside(..), _) => return Err(invalid()),
        }
        .map_err(plain)?;
        stream.write_all(&bytes).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(ANSWER, exchange).await.map_err(|_| std::io::ErrorKind::TimedOut)?
}

/// An answer of HTTP/1.1 without the marks of its chunks (RFC 9112 section 7.1), as far as it is whole.
pub(super) fn whole(answer: Vec<u8>) -> Vec<u8> {
    let Some(from) = memchr::memmem::find(&answer, b"\r\n\r\n") else { return answer };
    let head = String::from_utf8_lossy(&answer[..from]).to_ascii_lowercase();
    if !head.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked")) {
        return answer;
    }
    let (head, mut rest) = answer.split_at(from + 4);
    let mut out = head.to_vec();
    while let Some(end) = memchr::memmem::find(rest, b"\r\n") {
        let size = rest.get(..end).and_then(|line| std::str::from_utf8(line).ok()).and_then(|line| line.split(';').next());
        let Some(size) = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()).filter(|size| *size > 0) else { break };
        let Some(chunk) = end.checked_add(2).and_then(|from| rest.get(from..from.checked_add(size)?)) else { break };
        out.extend_from_slice(chunk);
        rest = rest.get(end + 2 + size + 2..).unwrap_or_default();
    }
    out
}

/// The failure of a connection, with its errno kept.
fn plain(error: ConnectError) -> std::io::Error {
    match error {
        ConnectError::Io(error) | ConnectError::Source(error) => error,
        ConnectError::Timeout(_) => std::io::ErrorKind::TimedOut.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_questions_are_sent() {
        let state = AdminQuestion::HaproxyState { master: true }.bytes().expect("bytes");
        assert_eq!(state, b"@1 show info;@1 show stat;@1 show servers state;quit\n");
        let page = |path: &str| AdminQuestion::Page { host: "localhost".into(), path: path.into() }.bytes();
        assert!(page("/server-status?auto").is_some_and(|bytes| bytes.starts_with(b"GET /server-status?auto HTTP/1.0\r\n")));
        assert_eq!(page("/a\r\nX: y"), None);
        assert_eq!(page("a b"), None);
        let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n".to_vec();
        assert!(whole(chunks).ends_with(b"\r\n\r\nabcd"));
        for broken in ["ffffffffffffffff\r\nab", "5\r\nab", "zz\r\n", ""] {
            let answer = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{broken}");
            assert!(whole(answer.into_bytes()).ends_with(b"\r\n\r\n"), "{broken}");
        }
    }

    #[tokio::test]
    async fn an_endless_or_silent_answer_ends() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("s");
        let listener = tokio::net::UnixListener::bind(&path).expect("socket");
        let at = Address::Unix(path);
        let asked = ask(&Root::host(), None, &at, &AdminQuestion::HaproxyState { master: false }).await;
        assert_eq!(asked.expect_err("nobody answers").kind(), std::io::ErrorKind::TimedOut);
        drop(listener);
        assert!(ask(&Root::below(dir.path()), None, &at, &AdminQuestion::HaproxyState { master: false }).await.is_err());
    }
}
