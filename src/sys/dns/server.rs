//! One name server, one name: every address, with what a gateway's resolver would have met on the way.
//!
//! As nginx and glibc ask by default: over UDP without EDNS, so that what is larger than 512 bytes is truncated, and then over TCP.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, MessageType, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
};

use super::super::Stopwatch;
use crate::model::{NameFault, ServerAnswer, ServerOf};

/// One server's time for an answer, over UDP and over TCP each. One try only: the probe is repeated anyway, and a fault must show
/// at once.
const ANSWER: Duration = Duration::from_secs(1);
/// A server's time for all names that the host would ask it for.
const SERVER: Duration = Duration::from_millis(2_500);
/// Records of one answer that are looked at.
const RECORDS: usize = 1_000;
/// Addresses that are kept of one answer.
const ADDRESSES: usize = 64;
/// Names of a CNAME chain that are followed.
const CHAIN: usize = 8;
/// Bytes of a UDP answer that are taken. Without EDNS a server may send 512 (RFC 1035 section 4.2.1); some send more.
const UDP_BYTES: usize = 4 << 10;
/// Packets that are looked at while an answer is waited for: what is no answer to our question is skipped, and not for ever.
const PACKETS: usize = 16;

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'a> {
    /// Names in the order in which they are tried: the first that is there counts.
    pub(super) names: &'a [String],
    /// Whether to ask for IPv4 addresses.
    pub(super) four: bool,
    /// Whether to ask for IPv6 addresses.
    pub(super) six: bool,
}

/// Asks one server for a name, in all of its forms. Never fails: what went wrong is in the answer.
pub(super) async fn ask(at: SocketAddr, of: ServerOf, question: Question<'_>) -> ServerAnswer {
    let watch = Stopwatch::start();
    let mut answer = empty(at.to_string(), of, question.names.first().map_or("", String::as_str));
    let work = async {
        for name in question.names {
            let one = once(at, name, question).await;
            // The first form's fault is what a person expects to read, unless a later one is there or the server fails.
            let better = answer.fault.is_none_or(|_| one.fault.is_none());
            let stop = !matches!(one.fault, Some(NameFault::NxDomain | NameFault::NoData));
            if better || stop {
                take(&mut answer, one, name);
            }
            if stop {
                break;
            }
        }
    };
    if tokio::time::timeout(SERVER, work).await.is_err() && answer.fault.is_none() && answer.ips.is_empty() {
        answer.fault = Some(NameFault::Silent);
        answer.error = silence(SERVER);
    }
    answer.ms = watch.ms();
    answer
}

/// The answer of a server that cannot be asked.
pub(super) fn no_answer(server: &str, of: ServerOf, fault: NameFault, error: String) -> ServerAnswer {
    ServerAnswer { fault: Some(fault), error, ..empty(server.to_owned(), of, "") }
}

fn empty(server: String, of: ServerOf, asked: &str) -> ServerAnswer {
    ServerAnswer {
        server,
        of,
        asked: asked.to_owned(),
        ips: Vec::new(),
        chain: Vec::new(),
        ttl: None,
        fault: None,
        error: String::new(),
        truncated: false,
        left_out: 0,
        share: None,
        ms: 0.0,
    }
}

fn silence(within: Duration) -> String {
    format!("no answer within {} ms", within.as_millis())
}

/// What came of one name at one server.
#[derive(Debug, Default)]
struct One {
    ips: Vec<IpAddr>,
    chain: Vec<String>,
    ttl: Option<u32>,
    fault: Option<NameFault>,
    error: String,
    truncated: bool,
    left_out: u32,
}

fn take(answer: &mut ServerAnswer, one: One, name: &str) {
    let One { ips, chain, ttl, fault, error, truncated, left_out } = one;
    name.clone_into(&mut answer.asked);
    (answer.ips, answer.chain, answer.ttl, answer.fault, answer.error) = (ips, chain, ttl, fault, error);
    answer.truncated |= truncated;
    answer.left_out = answer.left_out.saturating_add(left_out);
}

async fn once(at: SocketAddr, text: &str, question: Question<'_>) -> One {
    let Ok(mut name) = Name::from_str_relaxed(text) else {
        return One::failed(NameFault::NxDomain, "this can be nobody's name");
    };
    name.set_fqdn(true);
    let wanted = |kind, wanted: bool| {
        let name = name.clone();
        async move { if wanted { Some(of_kind(at, name, kind).await) } else { None } }
    };
    let (four, six) = tokio::join!(wanted(RecordType::A, question.four), wanted(RecordType::AAAA, question.six));
    let mut one = One::default();
    for found in [four, six].into_iter().flatten() {
        one.add(found);
    }
    if !one.ips.is_empty() {
        (one.fault, one.error) = (None, String::new());
    }
    one
}

impl One {
    fn failed(fault: NameFault, error: impl Into<String>) -> Self {
        Self { fault: Some(fault), error: error.into(), ..Self::default() }
    }

    /// Takes the other family in. Of two faults the one counts that says more: a failing server more than a silent one, and that
    /// more than a missing record.
    fn add(&mut self, other: Self) {
        let severity = |fault: Option<NameFault>| {
            fault.map(|fault| match fault {
                NameFault::NoData => 0,
                NameFault::NxDomain => 1,
                NameFault::NoServer => 2,
                NameFault::Silent => 3,
                NameFault::ServFail => 4,
            })
        };
        if severity(other.fault) > severity(self.fault) {
            (self.fault, self.error) = (other.fault, other.error);
        }
        self.ips.extend(other.ips);
        if self.chain.is_empty() {
            self.chain = other.chain;
        }
        self.ttl = [self.ttl, other.ttl].into_iter().flatten().min();
        self.truncated |= other.truncated;
        self.left_out = self.left_out.saturating_add(other.left_out);
    }

    /// Takes an answer's records in. A name that the records end with, and that has no address among them, is to be asked for next.
    fn records(&mut self, answer: &Message, asked: &Name) -> Option<Name> {
        let records = &answer.answers;
        self.left_out = self.left_out.saturating_add(u32::try_from(records.len().saturating_sub(RECORDS)).unwrap_or(u32::MAX));
        let mut end = asked.clone();
        for record in records.iter().take(RECORDS) {
            let ip = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                RData::CNAME(target) => {
                    let text = target.0.to_ascii().trim_end_matches('.').to_owned();
                    if self.chain.len() < CHAIN && !self.chain.contains(&text) {
                        self.chain.push(text);
                        end = target.0.clone();
                    }
                    continue;
                }
                _ => continue,
            };
            self.ttl = Some(self.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
            if self.ips.contains(&ip) {
                continue;
            }
            if self.ips.len() < ADDRESSES {
                self.ips.push(ip);
            } else {
                self.left_out = self.left_out.saturating_add(1);
            }
        }
        (self.ips.is_empty() && end != *asked).then_some(end)
    }
}

/// The addresses of one family, with aliases followed where the server leaves that to us.
async fn of_kind(at: SocketAddr, mut name: Name, kind: RecordType) -> One {
    let mut one = One::default();
    for _ in 0..=CHAIN {
        let answer = match by_udp(at, &name, kind).await {
            Ok(answer) if answer.metadata.truncation => {
                one.truncated = true;
                match by_tcp(at, &name, kind).await {
                    Ok(answer) => answer,
                    Err(error) => {
                        let failed = One::failed(NameFault::Silent, format!("truncated, and over TCP: {error}"));
                        return One { truncated: true, ..failed };
                    }
                }
            }
            Ok(answer) => answer,
            Err(error) => return One::failed(NameFault::Silent, error),
        };
        if let Some((fault, error)) = fault_of(answer.metadata.response_code) {
            let mut failed = One::failed(fault, error);
            if !one.chain.is_empty() {
                failed.error = format!("{} for its alias {}", failed.error, one.chain.join(" > "));
            }
            return failed;
        }
        match one.records(&answer, &name) {
            Some(next) => name = next,
            None => break,
        }
    }
    if one.ips.is_empty() {
        (one.fault, one.error) = (Some(NameFault::NoData), "no address".to_owned());
    }
    one
}

/// A code that is no success.
fn fault_of(code: ResponseCode) -> Option<(NameFault, String)> {
    Some(match code {
        ResponseCode::NoError => return None,
        ResponseCode::NXDomain => (NameFault::NxDomain, "NXDOMAIN".to_owned()),
        ResponseCode::ServFail => (NameFault::ServFail, "SERVFAIL".to_owned()),
        ResponseCode::Refused => (NameFault::ServFail, "REFUSED".to_owned()),
        // FORMERR, NOTIMP and whatever else a server says instead of an answer.
        other => (NameFault::ServFail, other.to_str().to_owned()),
    })
}

fn question(name: &Name, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    message
}

/// Whether these bytes answer this question (RFC 5452 section 9.1: the id, the question, a connected socket's port).
fn answers(bytes: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(bytes).ok()?;
    let same = answer.metadata.id == question.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // Some servers leave the question out of an error.
        && (answer.queries.is_empty() || answer.queries == question.queries);
    same.then_some(answer)
}

async fn by_udp(at: SocketAddr, name: &Name, kind: RecordType) -> Result<Message, String> {
    let question = question(name, kind);
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    let work = async {
        let any: IpAddr = if at.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        // Only a connected socket is told that nothing listens there (udp(7)).
        socket.connect(at).await?;
        socket.send(&bytes).await?;
        let mut buffer = vec![0; UDP_BYTES];
        for _ in 0..PACKETS {
            let len = socket.recv(&mut buffer).await?;
            if let Some(answer) = answers(&buffer[..len], &question) {
                return Ok(answer);
            }
        }
        Err(io::Error::other("no packet was an answer to the question"))
    };
    within(work).await
}

async fn by_tcp(at: SocketAddr, name: &Name, kind: RecordType) -> Result<Message, String> {
    let question = question(name, kind);
    let bytes = question.to_vec().map_err(|error| error.to_string())?;
    let work = async {
        let mut stream = TcpStream::connect(at).await?;
        // RFC 1035 section 4.2.2: two bytes of length before each message.
        let mut framed = u16::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
        framed.extend(bytes);
        stream.write_all(&framed).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        answers(&answer, &question).ok_or_else(|| io::Error::other("what came is no answer to the question"))
    };
    within(work).await
}

/// In a server's time; an error in words.
async fn within(work: impl Future<Output = io::Result<Message>>) -> Result<Message, String> {
    match tokio::time::timeout(ANSWER, work).await {
        Err(_) => Err(silence(ANSWER)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Err("nothing listens there".to_owned()),
        Ok(result) => result.map_err(|error| error.to_string()),
    }
}

/// Reads bytes as an answer to a question of ours, with the id that they claim: see [`crate::sys::foreign`].
pub(in crate::sys) fn foreign(bytes: &[u8]) {
    let Ok(name) = Name::from_ascii("app.example.com.") else { return };
    for kind in [RecordType::A, RecordType::AAAA] {
        let mut question = question(&name, kind);
        question.metadata.id = bytes.first_chunk().map_or(0, |id| u16::from_be_bytes(*id));
        if let Some(answer) = answers(bytes, &question) {
            let mut one = One::default();
            let _ = one.records(&answer, &name);
            assert!(one.ips.len() <= ADDRESSES && one.chain.len() <= CHAIN, "more is kept than is said");
            let _ = fault_of(answer.metadata.response_code);
        }
    }
}
