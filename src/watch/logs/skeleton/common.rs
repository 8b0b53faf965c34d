//! The common and the combined log format, and what ingress-nginx puts behind them, in raw bytes: the cut follows
//! `model/logline/common_access.rs`.

use memchr::memchr;

use super::{Skeleton, behind, near};
use crate::model::logline::Dialect;

/// Bytes of `20/Nov/2026:02:17:41 +0000`.
const TIME_BYTES: usize = 26;

/// The fields of a line, as marks that no line of nginx's error log has: those with a client have an odd one.
mod mark {
    pub(super) const COMMON: u8 = 64;
    pub(super) const INGRESS: u8 = 128;
    /// The last attempt sent a body.
    pub(super) const BODY: u8 = 2;
}

/// Whether a line begins like one of an access log, up to its request.
pub(in crate::watch) fn begins(line: &[u8]) -> bool {
    head(line).is_some()
}

/// Cuts a line, and tells whose it is. `None`: it is not of the format, or needs a closer look.
pub(in crate::watch) fn cut(line: &[u8]) -> Option<(Dialect, Skeleton<'_>)> {
    let (time, rest) = head(line)?;
    let (request, rest) = quoted(rest)?;
    let method = method(request)?;
    let (status, rest) = behind(rest, b" ")?.split_at_checked(3)?;
    let rest = behind(rest, b" ")?;
    let (bytes, rest) = match near(b' ', rest) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &[][..]),
    };
    let number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    if !(number(status) && (number(bytes) || bytes == b"-")) {
        return None;
    }
    let mut skeleton = Skeleton { time, level: 0, marks: mark::COMMON, pieces: [status, method, &[], &[]] };
    let further = || quoted(quoted(behind(rest, b"\"")?)?.1.strip_prefix(b" \"")?);
    match further().map_or(&[][..], |(_, tail)| tail.trim_ascii_end()) {
        // Fields with their names are looked at closer.
        tail if memchr(b'=', tail).is_some() => None,
        // What begins with a name is of a format of one's own; a number could be ingress-nginx's or Traefik's, or infinite.
        [] | [b' ', b'a'..=b'h' | b'j'..=b'm' | b'o'..=b'z', ..] => Some((Dialect::CommonAccess, skeleton)),
        tail => {
            ingress(tail.strip_prefix(b" ")?, &mut skeleton)?;
            Some((Dialect::NginxAccess, skeleton))
        }
    }
}

/// `345 0.003 [shop-web-80] [] 10.0.0.5:8080 0 0.003 502 4f1c...`.
fn ingress<'a>(tail: &'a [u8], skeleton: &mut Skeleton<'a>) -> Option<()> {
    let mut words = Words { tail, at: 0 };
    let decimal = |text: &[u8]| {
        text[0].is_ascii_digit()
            && text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
            && memchr::memchr_iter(b'.', text).count() <= 1
    };
    let bracketed = |text: &[u8]| text.len() >= 2 && text[0] == b'[' && text.ends_with(b"]");
    for _ in 0..2 {
        words.next().filter(|text| decimal(text))?;
    }
    let begin = words.at;
    for _ in 0..2 {
        words.next().filter(|text| bracketed(text))?;
    }
    words.list()?;
    skeleton.pieces[2] = tail.get(begin..words.at)?;
    let lengths = words.list()?;
    words.list()?;
    let begin = words.at;
    words.list()?;
    skeleton.pieces[3] = tail.get(begin..words.at.min(tail.len()))?;
    skeleton.marks = mark::INGRESS | if matches!(lengths, b"0" | b"-") { 0 } else { mark::BODY };
    Some(())
}

/// Words, each followed by one blank.
struct Words<'a> {
    tail: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    /// The next; `None` where there is none, or an empty one.
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.tail.get(self.at..)?;
        let end = near(b' ', rest).unwrap_or(rest.len());
        self.at += end + 1;
        (end > 0).then(|| &rest[..end])
    }

    /// The last of a list of attempts, `a, b : c`, which is passed over.
    fn list(&mut self) -> Option<&'a [u8]> {
        loop {
            let word = self.next()?;
            if self.tail.get(self.at..).is_some_and(|rest| rest.starts_with(b": ") || rest == b":") {
                self.next();
            } else if !word.ends_with(b",") {
                return Some(word);
            }
        }
    }
}

/// The time and what stands behind the quote that opens the request, of `10.0.0.9 - - [20/Nov/2026:02:17:41 +0000] "`. Only an
/// address of a client is one at once: what else could stand there may be a carrier's.
fn head(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = line;
    for word in 0..3 {
        let end = near(b' ', rest)?;
        let fits = match word {
            0 => rest[..end].iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')) && rest[0] != b'.',
            _ => rest[..end].iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'|' | b'[')),
        };
        if !fits || end == 0 {
            return None;
        }
        rest = &rest[end + 1..];
    }
    let (time, rest) = behind(rest, b"[")?.split_at_checked(TIME_BYTES)?;
    // The stamp is read when it is another one; this is its shape.
    let shaped = time.iter().enumerate().all(|(at, byte)| match at {
        2 | 6 => *byte == b'/',
        3..=5 => byte.is_ascii_alphabetic(),
        11 | 14 | 17 => *byte == b':',
        20 => *byte == b' ',
        21 => matches!(byte, b'+' | b'-'),
        _ => byte.is_ascii_digit(),
    });
    shaped.then_some((time, behind(rest, b"] \"")?))
}

/// A value up to the quote that no backslash escapes, and what stands behind that.
fn quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let end = from + memchr(b'"', text.get(from..)?)?;
        let slashes = text[..end].iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some((&text[..end], &text[end + 1..]));
        }
        from = end + 1;
    }
}

/// The method of a request line; empty where there is no such word. `None`: there is no target.
fn method(request: &[u8]) -> Option<&[u8]> {
    // As in `request_line`.
    const METHOD_BYTES: usize = 16;
    let head = request.get(..=METHOD_BYTES).unwrap_or(request);
    let Some(end) = near(b' ', head) else { return Some(&[]) };
    let target = &request[end + 1..];
    (!target.is_empty() && !target.starts_with(b" HTTP/")).then_some(&request[..end])
}
