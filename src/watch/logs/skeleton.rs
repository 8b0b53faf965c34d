//! What decides the group of a line, cut out of its raw bytes: nothing is copied, decoded or understood.
//!
//! Two lines with equal skeletons have the same key. So a key is found once for each skeleton ([`super::memo`]), and a flood costs
//! hardly more than finding the pieces. A skeleton may be finer than a key (numbers differ), never coarser: the cut follows
//! [`NginxErrorLine::parse`](crate::model::NginxErrorLine::parse) and
//! [`AccessFormat::parse`](crate::model::AccessFormat::parse) step by step, and gives `None` wherever that would take a closer look.
//!
//! To add a format: a function that cuts its lines, and its arm in [`super::normalise`]; the tests compare it with the reader.

pub(in crate::watch) mod common;

use memchr::{memchr, memchr2, memmem};

use super::normalise::NginxParts;
use crate::model::AccessCut;

/// Pieces of a line at most.
const PIECES: usize = 4;
/// Bytes of `2026/11/20 02:17:41`.
const TIME_BYTES: usize = 19;

/// The pieces of a line that decide its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::watch) struct Skeleton<'a> {
    /// The time stamp as it stands there. It is no part of the key.
    pub(super) time: &'a [u8],
    /// The level, as its place in [`LEVELS`].
    pub(super) level: u8,
    /// Which fields the line has.
    pub(super) marks: u8,
    /// Message, server and upstream; status, method, addresses and statuses of the attempts.
    pub(super) pieces: [&'a [u8]; PIECES],
}

/// The levels of nginx (ngx_log.c), those that are frequent first.
const LEVELS: [&str; 8] = ["error", "warn", "crit", "info", "notice", "alert", "emerg", "debug"];

impl<'a> Skeleton<'a> {
    /// The parts of an nginx line. `None`: they are no text, or it has no client, and then what its message is was not looked at.
    pub(super) fn nginx(&self) -> Option<NginxParts<'a>> {
        let [message, server, upstream, _] = self.pieces;
        let text = |piece: &'a [u8]| str::from_utf8(piece).ok();
        let marked = |mark: u8, piece: &'a [u8]| if self.marks & mark == 0 { Some(None) } else { text(piece).map(Some) };
        (self.marks & mark::CLIENT != 0).then_some(())?;
        Some(NginxParts {
            level: LEVELS.get(usize::from(self.level)).copied()?,
            message: text(message)?,
            of_request: self.marks & mark::REQUEST != 0,
            server: marked(mark::SERVER, server)?,
            upstream: marked(mark::UPSTREAM, upstream)?,
        })
    }
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

/// The quoted field that a text begins with, as a mark, and what stands behind its quote.
fn field(text: &[u8]) -> Option<(u8, &[u8])> {
    match text.first()? {
        b'r' if text.get(2) == Some(&b'q') => Some((mark::REQUEST, behind(text, b"request: \"")?)),
        b'r' => Some((mark::REFERRER, behind(text, b"referrer: \"")?)),
        b'u' => Some((mark::UPSTREAM, behind(text, b"upstream: \"")?)),
        b'h' => Some((mark::HOST, behind(text, b"host: \"")?)),
        b's' => Some((mark::SUBREQUEST, behind(text, b"subrequest: \"")?)),
        _ => None,
    }
}

/// What stands behind a prefix. Its length is known where this is called, so a few bytes are compared as one or two numbers and not
/// by a call, of which there would be ten for each line.
#[inline]
fn behind<'a, const N: usize>(text: &'a [u8], prefix: &[u8; N]) -> Option<&'a [u8]> {
    let (head, rest) = text.split_first_chunk::<N>()?;
    (head == prefix).then_some(rest)
}

/// Where a byte is first, as `memchr`, for what is found within a few bytes: eight at once, without a call.
#[inline]
fn near(byte: u8, text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = u64::from_ne_bytes([0x80; 8]);
    let (chunks, rest) = text.as_chunks::<8>();
    for (number, chunk) in chunks.iter().enumerate() {
        // Zero where the byte is; of the bytes whose highest bit is set below, the lowest is right (Bit Twiddling Hacks: "Determine if a
        // word has a zero byte").
        let differs = u64::from_le_bytes(*chunk) ^ (ONES * u64::from(byte));
        let found = differs.wrapping_sub(ONES) & !differs & TOPS;
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|known| *known == byte).map(|at| text.len() - rest.len() + at)
}

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
        if let [b'*', after @ ..] = rest {
            // Of more digits not all are numbers of 64 bits.
            const DIGITS: usize = 19;
            let (_number, after) = word(after, u8::is_ascii_digit).filter(|(number, _)| (1..=DIGITS).contains(&number.len()))?;
            rest = behind(after, b" ")?;
        }
        let Some(at) = self.client.find(rest) else {
            return Some(Skeleton { time, level, marks: 0, pieces: [rest, &[], &[], &[]] });
        };
        let message = &rest[..at];
        let mut skeleton = Skeleton { time, level, marks: mark::CLIENT, pieces: [message, &[], &[], &[]] };
        let (_client, mut rest) = comma(&rest[at + b", client: ".len()..]);
        if let Some(after) = behind(rest, b"server: ") {
            let (server, after) = comma(after);
            skeleton.marks |= mark::SERVER;
            skeleton.pieces[1] = server;
            rest = after;
        }
        let mut seen = 0;
        while seen & (mark::REQUEST | mark::UPSTREAM) != mark::REQUEST | mark::UPSTREAM {
            let Some((mark, after)) = field(rest) else { break };
            if seen & mark != 0 {
                break;
            }
            seen |= mark;
            if mark == mark::UPSTREAM
                && seen & mark::REQUEST != 0
                && let Some(base) = base_within(after)
            {
                // Nothing that stands behind it counts any more.
                skeleton.pieces[2] = base;
                break;
            }
            let (value, after) = quoted(after);
            if mark == mark::UPSTREAM {
                skeleton.pieces[2] = base(value)?;
            }
            rest = after;
        }
        skeleton.marks |= seen & (mark::REQUEST | mark::UPSTREAM);
        Some(skeleton)
    }
}

/// Bytes of `2026/11/20 02:17:41 [`.
pub(in crate::watch) const STAMP_BYTES: usize = TIME_BYTES + 2;

/// Whether a line begins with the stamp and the bracket with which nginx begins one.
pub(in crate::watch) fn stamped(line: &[u8]) -> bool {
    line.get(TIME_BYTES..).is_some_and(|rest| rest.starts_with(b" ["))
        && line.iter().take(TIME_BYTES).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'/',
            10 => *byte == b' ',
            13 | 16 => *byte == b':',
            _ => byte.is_ascii_digit(),
        })
}

/// Whether this is a line of nginx's from its first byte; `false`: no, or it needs a closer look.
pub(in crate::watch) fn begins(line: &[u8]) -> bool {
    stamped(line) && head(line).is_some()
}

/// What all of nginx's lines begin with.
struct Head<'a> {
    time: &'a [u8],
    level: u8,
    rest: &'a [u8],
}

fn head(line: &[u8]) -> Option<Head<'_>> {
    let (time, rest) = line.split_at_checked(TIME_BYTES)?;
    // Its digits are looked at when it is read.
    if time[4] != b'/' || time[7] != b'/' || time[10] != b' ' || time[13] != b':' || time[16] != b':' {
        return None;
    }
    let rest = behind(rest, b" [")?;
    let (level, rest) = match behind(rest, b"error") {
        Some(rest) => (0, rest),
        None => (0..).zip(LEVELS).find_map(|(level, name)| Some((level, rest.strip_prefix(name.as_bytes())?)))?,
    };
    let (_pid, rest) = word(behind(rest, b"] ")?, u8::is_ascii_digit)?;
    let (_tid, rest) = word(behind(rest, b"#")?, u8::is_ascii_digit)?;
    Some(Head { time, level, rest: behind(rest, b": ")? })
}

/// The bytes of a kind at the beginning, and the rest.
fn word(text: &[u8], of: impl Fn(&u8) -> bool) -> Option<(&[u8], &[u8])> {
    text.split_at_checked(text.iter().take_while(|byte| of(byte)).count())
}

/// Up to the next `, `, and what stands behind it.
fn comma(text: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    while let Some(at) = near(b',', &text[from..]) {
        let at = from + at;
        if text.get(at + 1) == Some(&b' ') {
            return (&text[..at], &text[at + 2..]);
        }
        from = at + 1;
    }
    (text, &[])
}

/// As the reader's: a value that is not escaped, up to the quote that ends it.
fn quoted(text: &[u8]) -> (&[u8], &[u8]) {
    let mut from = 0;
    while let Some(at) = memchr(b'"', &text[from..]) {
        let (end, after) = (from + at, &text[from + at + 1..]);
        if after.is_empty() {
            return (&text[..end], &[]);
        }
        if let [b',', b' ', rest @ ..] = after
            && (field(rest).is_some() || behind(rest, b"bytes ").is_some())
        {
            return (&text[..end], rest);
        }
        from = end + 1;
    }
    (text, &[])
}

/// As the reader's: the upstream without the path of the request.
fn base(upstream: &[u8]) -> Option<&[u8]> {
    let start = match near(b'/', upstream) {
        Some(at) => authority(upstream, at)?,
        None => 0,
    };
    let authority = &upstream[start..];
    let end = if let Some(path) = behind(authority, b"unix:") {
        memchr(b':', path).map_or(authority.len(), |at| at + 6)
    } else {
        near(b'/', authority).unwrap_or(authority.len())
    };
    Some(&upstream[..start + end])
}

/// The same where it is not known yet where the value ends: no sooner than at its first quote. `None`: it must be known.
fn base_within(text: &[u8]) -> Option<&[u8]> {
    let start = authority(text, text.iter().position(|byte| *byte == b'/' || *byte == b'"')?)?;
    let authority = &text[start..];
    let end = if let Some(path) = behind(authority, b"unix:") {
        memchr2(b':', b'"', path).filter(|at| path[*at] == b':')? + 6
    } else {
        memchr2(b'/', b'"', authority).filter(|at| authority[*at] == b'/')?
    };
    Some(&text[..start + end])
}

/// Where the authority begins, if the first slash of `scheme://authority` is here: no slash stands before those two, whatever the
/// scheme. `None`: the socket of a stream, or a scheme further on, which the reader decides.
fn authority(upstream: &[u8], at: usize) -> Option<usize> {
    (at > 0 && upstream[at - 1] == b':' && behind(&upstream[at..], b"//").is_some()).then_some(at + 2)
}

impl<'a> From<AccessCut<'a>> for Skeleton<'a> {
    fn from(cut: AccessCut<'a>) -> Self {
        let marks = match cut.answered {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        Self { time: cut.time, level: 0, marks, pieces: [cut.status, cut.method, cut.upstream_addrs, cut.upstream_statuses] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_where_it_is() {
        // Bytes that differ from the one that is searched by a bit, or come before it: a borrow must not be taken for it.
        let bytes = [b',', b',' ^ 1, b',' ^ 0x80, 0, 1, 0xff];
        for length in 0..20 {
            for at in 0..=length {
                for other in bytes.iter().skip(1) {
                    for then in bytes {
                        let mut text = vec![*other; length];
                        text.iter_mut().skip(at).for_each(|byte| *byte = then);
                        assert_eq!(near(b',', &text), text.iter().position(|byte| *byte == b','), "{text:?}");
                    }
                    let mut text = vec![*other; length + 1];
                    text[at] = b',';
                    assert_eq!(near(b',', &text), Some(at), "{text:?}");
                }
            }
        }
    }
}
