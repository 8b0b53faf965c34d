//! What decides the group of a line, cut out of its raw bytes: nothing is copied, decoded or understood.
//!
//! Two lines with equal skeletons have the same key. So a key is found once for each skeleton ([`super::memo`]), and a flood costs
//! hardly more than finding the pieces. A skeleton may be finer than a key (numbers differ), never coarser: the cut follows
//! [`NginxErrorLine::parse`](crate::model::NginxErrorLine::parse) and
//! [`AccessFormat::parse`](crate::model::AccessFormat::parse) step by step, and gives `None` wherever that would take a closer look.
//!
//! To add a format: a function that cuts its lines, and its arm in [`super::normalise`]; the tests compare it with the reader.

use memchr::{memchr, memchr_iter, memmem};

use crate::model::AccessCut;

/// Pieces of a line at most.
const PIECES: usize = 4;
/// Bytes of `2026/11/20 02:17:41`.
const TIME_BYTES: usize = 19;

/// The pieces of a line that decide its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Skeleton<'a> {
    /// The time stamp as it stands there. It is no part of the key.
    pub(super) time: &'a [u8],
    /// Which fields the line has.
    pub(super) marks: u8,
    /// Level, message, server and upstream; status, method, addresses and statuses of the attempts.
    pub(super) pieces: [&'a [u8]; PIECES],
}

/// The fields of an nginx error line, as marks.
mod mark {
    pub(super) const CLIENT: u8 = 1;
    pub(super) const SERVER: u8 = 2;
    pub(super) const REQUEST: u8 = 4;
    pub(super) const UPSTREAM: u8 = 8;
    pub(super) const HOST: u8 = 16;
    pub(super) const REFERRER: u8 = 32;
    /// There may be several.
    pub(super) const SUBREQUEST: u8 = 0;
}

/// The quoted fields behind client and server.
const FIELDS: [(&[u8], u8); 5] = [
    (b"request: \"", mark::REQUEST),
    (b"upstream: \"", mark::UPSTREAM),
    (b"host: \"", mark::HOST),
    (b"referrer: \"", mark::REFERRER),
    (b"subrequest: \"", mark::SUBREQUEST),
];

/// Cuts lines of nginx's error log.
#[derive(Debug)]
pub(super) struct NginxCutter {
    client: memmem::Finder<'static>,
}

impl NginxCutter {
    pub(super) fn new() -> Self {
        Self { client: memmem::Finder::new(", client: ") }
    }

    /// `None`: not of nginx's form, or one that needs a closer look.
    pub(super) fn cut<'a>(&self, line: &'a [u8]) -> Option<Skeleton<'a>> {
        let Head { time, level, mut rest } = head(line)?;
        if let Some(after) = rest.strip_prefix(b"*") {
            // Of more digits not all are numbers of 64 bits.
            const DIGITS: usize = 19;
            let (_number, after) = word(after, u8::is_ascii_digit).filter(|(number, _)| (1..=DIGITS).contains(&number.len()))?;
            rest = after.strip_prefix(b" ")?;
        }
        let Some(at) = self.client.find(rest) else {
            return Some(Skeleton { time, marks: 0, pieces: [level, rest, &[], &[]] });
        };
        let message = &rest[..at];
        let mut skeleton = Skeleton { time, marks: mark::CLIENT, pieces: [level, message, &[], &[]] };
        let (_client, mut rest) = comma(&rest[at + b", client: ".len()..]);
        if let Some(after) = rest.strip_prefix(b"server: ") {
            let (server, after) = comma(after);
            skeleton.marks |= mark::SERVER;
            skeleton.pieces[2] = server;
            rest = after;
        }
        let mut seen = 0;
        while seen & (mark::REQUEST | mark::UPSTREAM) != mark::REQUEST | mark::UPSTREAM {
            let Some((field, after)) = FIELDS.iter().find_map(|(name, field)| Some((*field, rest.strip_prefix(*name)?))) else {
                break;
            };
            if seen & field != 0 {
                break;
            }
            seen |= field;
            let (value, after) = quoted(after);
            if field == mark::UPSTREAM {
                skeleton.pieces[3] = base(value)?;
            }
            rest = after;
        }
        skeleton.marks |= seen & (mark::REQUEST | mark::UPSTREAM);
        Some(skeleton)
    }
}

/// Whether this is a line of nginx's from its first byte; `false`: no, or it needs a closer look.
pub(in crate::watch) fn begins(line: &[u8]) -> bool {
    let digits =
        |time: &[u8]| time.iter().enumerate().all(|(at, byte)| matches!(at, 4 | 7 | 10 | 13 | 16) || byte.is_ascii_digit());
    head(line).is_some_and(|head| digits(head.time))
}

/// What all of nginx's lines begin with.
struct Head<'a> {
    time: &'a [u8],
    level: &'a [u8],
    rest: &'a [u8],
}

fn head(line: &[u8]) -> Option<Head<'_>> {
    let (time, rest) = line.split_at_checked(TIME_BYTES)?;
    // Its digits are looked at when it is read.
    if time[4] != b'/' || time[7] != b'/' || time[10] != b' ' || time[13] != b':' || time[16] != b':' {
        return None;
    }
    let (level, rest) = word(rest.strip_prefix(b" [")?, u8::is_ascii_lowercase)?;
    if !matches!(level, b"emerg" | b"alert" | b"crit" | b"error" | b"warn" | b"notice" | b"info" | b"debug") {
        return None;
    }
    let (_pid, rest) = word(rest.strip_prefix(b"] ")?, u8::is_ascii_digit)?;
    let (_tid, rest) = word(rest.strip_prefix(b"#")?, u8::is_ascii_digit)?;
    Some(Head { time, level, rest: rest.strip_prefix(b": ")? })
}

/// The bytes of a kind at the beginning, and the rest.
fn word(text: &[u8], of: impl Fn(&u8) -> bool) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(text.iter().take_while(|byte| of(byte)).count())
}

/// Up to the next `, `, and what stands behind it.
fn comma(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr_iter(b',', text).find(|at| text.get(at + 1) == Some(&b' '));
    match end {
        Some(end) => (&text[..end], &text[end + 2..]),
        None => (text, &[]),
    }
}

/// As the reader's: a value that is not escaped, up to the quote that ends it.
fn quoted(text: &[u8]) -> (&[u8], &[u8]) {
    const NEXT: [&[u8]; 6] = [b"upstream: \"", b"host: \"", b"referrer: \"", b"subrequest: \"", b"bytes ", b"request: \""];
    for end in memchr_iter(b'"', text) {
        let after = &text[end + 1..];
        let next = after.strip_prefix(b", ").is_some_and(|field| NEXT.iter().any(|next| field.starts_with(next)));
        if after.is_empty() || next {
            return (&text[..end], after.get(2..).unwrap_or_default());
        }
    }
    (text, &[])
}

/// As the reader's: the upstream without the path of the request.
fn base(upstream: &[u8]) -> Option<&[u8]> {
    // Whatever scheme it is, no slash stands before its two.
    let start = match memchr(b'/', upstream) {
        Some(at) if at > 0 && upstream[at - 1] == b':' && upstream.get(at + 1) == Some(&b'/') => at + 2,
        None => 0,
        // The socket of a stream, or a scheme further on: the reader decides.
        Some(_) => return None,
    };
    let authority = &upstream[start..];
    let end = if let Some(path) = authority.strip_prefix(b"unix:") {
        memchr(b':', path).map_or(authority.len(), |at| at + 6)
    } else {
        memchr(b'/', authority).unwrap_or(authority.len())
    };
    Some(&upstream[..start + end])
}

impl<'a> From<AccessCut<'a>> for Skeleton<'a> {
    fn from(cut: AccessCut<'a>) -> Self {
        Self { time: cut.time, marks: 0, pieces: [cut.status, cut.method, cut.upstream_addrs, cut.upstream_statuses] }
    }
}
