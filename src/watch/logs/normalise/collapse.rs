//! Numbers and clients' texts out of messages.

use std::sync::LazyLock;

use memchr::{memchr, memmem};

/// Words behind which a number says what happened: signals, exit codes, statuses, versions, errors of TLS and of the system.
const TELLING: &[&str] = &[
    "signal ",
    "signal=",
    "code ",
    "code=",
    "Code=",
    "code: ",
    "code [",
    "status ",
    "status=",
    "status: ",
    "version ",
    "version: ",
    "size: ",
    "rrno ",
    "number ",
    // The number of a message of Apache's, the result of a check of a certificate, an error of getaddrinfo(3).
    "AH",
    "Error (",
    "(EAI ",
    // HAProxy's `Layer4 timeout` and `Layer7 timeout`, Varnish's `BerespStatus 502`, lighttpd's `child exited: 1`, Squid's
    // `ERR_CONNECT_FAIL 111`.
    "Layer",
    "Status ",
    "exited: ",
    "signalled: ",
    "_FAIL ",
    "_ERROR ",
];
/// Whether one of those words ends in this byte, or what stands before an error of the system: few numbers have to be looked at closer.
fn ends_telling(byte: u8) -> bool {
    matches!(byte, b' ' | b'=' | b'[' | b'(' | b'H' | b'r')
}
/// Digits of such a number at most.
const TELLING_DIGITS: usize = 5;

/// Appends a text with each number as `#`: digits, `0x...`, and long hexadecimal ids (of containers, of requests); but for those
/// that say what happened.
pub fn numbers(text: &str, out: &mut String) {
    // From this length on a word of hexadecimal digits with a decimal one in it is an id and no word.
    const ID: usize = 8;
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut kept = 0;
    while let Some(byte) = bytes.get(at) {
        // No number begins with another byte.
        if !byte.is_ascii_hexdigit() {
            at += 1;
            continue;
        }
        let word_start = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let run = |from: usize, hex: bool| {
            bytes[from..].iter().take_while(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() }).count()
        };
        let mut taken = 0;
        if word_start && byte.is_ascii_hexdigit() {
            let hex = run(at, true);
            let ends = bytes.get(at + hex).is_none_or(|next| !next.is_ascii_alphanumeric());
            if hex >= ID && ends && bytes[at..at + hex].iter().any(u8::is_ascii_digit) {
                taken = hex;
            } else if *byte == b'0' && bytes.get(at + 1) == Some(&b'x') && run(at + 2, true) > 0 {
                taken = 2 + run(at + 2, true);
            }
        }
        if taken == 0 && byte.is_ascii_digit() {
            taken = run(at, false);
        }
        let telling = || TELLING.iter().any(|word| text[..at].ends_with(word)) || is_error_number(bytes, at, taken);
        if taken > 0 && taken <= TELLING_DIGITS && at > 0 && ends_telling(bytes[at - 1]) && telling() {
            at += taken;
            continue;
        }
        if taken == 0 {
            at += 1;
            continue;
        }
        out.push_str(&text[kept..at]);
        out.push('#');
        at += taken;
        kept = at;
        // No line is worth more than what a key can hold.
        if out.len() > 2 * super::KEY_BYTES {
            return;
        }
    }
    out.push_str(&text[kept..text.floor_char_boundary(text.len().min(kept + 2 * super::KEY_BYTES))]);
}

/// Whether these digits are an error of the system before its text: `(111)Connection refused` as Apache writes it.
fn is_error_number(bytes: &[u8], at: usize, digits: usize) -> bool {
    let behind = bytes.get(at + digits..at + digits + 2);
    at > 0 && bytes[at - 1] == b'(' && behind.is_some_and(|behind| behind[0] == b')' && behind[1].is_ascii_uppercase())
}

static CLIENTS_WORDS: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("while reading client request"));
static CLIENTS_PATH: LazyLock<[memmem::Finder<'static>; 6]> =
    LazyLock::new(|| ["(2: ", "(20: ", "(36: ", "is not found", "is forbidden", "redirection cycle"].map(memmem::Finder::new));

static SAID_ENDS: LazyLock<memmem::FinderRev<'static>> = LazyLock::new(|| memmem::FinderRev::new("\" while "));
static PHP_ENDS: LazyLock<[memmem::Finder<'static>; 2]> =
    LazyLock::new(|| ["PHP message: PHP Fatal error: ", "PHP message: PHP Parse error: "].map(memmem::Finder::new));

/// Appends a message of nginx's error log without what differs from request to request. `of_request`: paths in it follow from
/// what a client asked for.
pub(super) fn nginx_message(message: &str, of_request: bool, out: &mut String) {
    let bytes = message.as_bytes();
    let contains = |sign: &memmem::Finder<'_>| sign.find(bytes).is_some();
    // What nginx quotes from a client (ngx_http_request.c, ngx_http_parse.c): `client sent invalid header line: "..."`.
    let clients_words = || message.starts_with("client sent ") || contains(&CLIENTS_WORDS);
    // Files of the client's naming: not found, not a directory, name too long; `"..." is not found`, `is forbidden`.
    let clients_path = || of_request && CLIENTS_PATH.iter().any(contains);
    // What stands between the two is taken over as it is.
    let mut at = fastcgi(message, out);
    let mut kept = at;
    loop {
        at = beyond_plain(bytes, at, (kept + 2 * super::KEY_BYTES).saturating_sub(out.len()));
        // Where the bound fell into a character, its rest stays as well.
        at = message.ceil_char_boundary(at);
        let Some(first) = bytes.get(at) else { break };
        let rest = &message[at..];
        at += match first {
            // `(111: Connection refused)`, `(10:certificate has expired)`, `(SSL: error:0A00010B:SSL routines::...)`: as they are.
            b'(' if is_error(rest) => rest.find(')').map_or(rest.len(), |end| end + 1),
            b'"' if let Some(end) = memchr(b'"', &rest.as_bytes()[1..]) => {
                let inner = &rest[1..=end];
                out.push_str(&message[kept..at]);
                if clients_words() {
                    out.push_str("\"<text>\"");
                } else if inner.starts_with('/') && clients_path() {
                    out.push_str("\"<path>\"");
                } else {
                    out.push('"');
                    numbers(inner, out);
                    out.push('"');
                }
                kept = at + end + 2;
                end + 2
            }
            // The address of a socket is configuration: `connect() to unix:/run/php8.2.sock failed`, `bind() to 0.0.0.0:80`.
            b'u' if rest.as_bytes().first_chunk() == Some(b"unix:") => word(rest, 0),
            b't' if rest.as_bytes().first_chunk() == Some(b"to ") && message[..at].ends_with("() ") => word(rest, 3),
            // What a process died of.
            b's' if rest.as_bytes().first_chunk() == Some(b"signal ") => word(rest, 7),
            b'c' if rest.as_bytes().first_chunk() == Some(b"code ") => word(rest, 5),
            b's' if rest.as_bytes().first_chunk() == Some(b"status: ") => word(rest, 8),
            b'H' if rest.as_bytes().first_chunk() == Some(b"HTTP/") => word(rest, 0),
            // A digit inside a word belongs to its name: `app1.internal`, `http2`, `php8`.
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => word_bytes(rest.as_bytes()),
            byte if byte.is_ascii_digit() => {
                let taken = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
                if !tells(&message[..at], &rest[..taken]) {
                    out.push_str(&message[kept..at]);
                    out.push('#');
                    kept = at + taken;
                }
                taken
            }
            byte if byte.is_ascii() => 1,
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        // No line is worth more than what a key can hold.
        if out.len() + (at - kept) > 2 * super::KEY_BYTES {
            break;
        }
    }
    out.push_str(&message[kept..at]);
}

/// What a byte of nginx's message is at the begin of a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stays, and so does the rest of its word.
    Word,
    /// It stays.
    Mark,
    /// What it begins has to be looked at.
    Look,
}

/// What each byte is: nearly all of a message is words that stay, and each of its bytes would be compared with all that is looked for.
const KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "there are no more than 256")]
        let it = byte as u8;
        kinds[byte] = match it {
            b'(' | b'"' | b'u' | b't' | b's' | b'c' | b'H' | b'0'..=b'9' => Kind::Look,
            b'A'..=b'Z' | b'a'..=b'z' | b'_' => Kind::Word,
            _ => Kind::Mark,
        };
        byte += 1;
    }
    kinds
};

/// The next place from `at` on at which something is to be looked at, the end, or the first beyond `bound`.
fn beyond_plain(bytes: &[u8], mut at: usize, bound: usize) -> usize {
    while let Some(byte) = bytes.get(at)
        && at <= bound
    {
        match KINDS[usize::from(*byte)] {
            Kind::Look => break,
            Kind::Mark => at += 1,
            Kind::Word => at += word_bytes(&bytes[at..]),
        }
    }
    at
}

/// Bytes of the word that a text begins with.
fn word_bytes(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(text.len())
}

/// Appends what an application said by FastCGI, its first line and no more of it than leaves room for the upstream; how far in the
/// message it goes. PHP's words have quotes and line ends in them.
fn fastcgi(message: &str, out: &mut String) -> usize {
    const SAID: &str = "FastCGI sent in stderr: \"";
    /// A quarter of a key, and more than the place in the code that an error of PHP's names.
    const SAID_BYTES: usize = 200;
    let Some(said) = message.strip_prefix(SAID) else { return 0 };
    let end = SAID_ENDS.rfind(said.as_bytes()).unwrap_or(said.len());
    // What ended the script may stand behind what it said before.
    let fatal = PHP_ENDS.iter().find_map(|fatal| fatal.find(&said.as_bytes()[..end]));
    let line = said[fatal.unwrap_or(0)..end].split('\n').next().unwrap_or_default();
    out.push_str(SAID);
    numbers(&line[..line.floor_char_boundary(SAID_BYTES)], out);
    SAID.len() + end
}

/// Whether a number in a message of nginx's tells what happened: which protocol answered (FastCGI's version 72 is the H of HTTP,
/// a frame of 4740180 bytes is HTT), which error of HTTP/2 it was.
fn tells(before: &str, number: &str) -> bool {
    const HTTP_AS_FRAME: &str = "4740180";
    if !before.ends_with(' ') {
        return false;
    }
    before.ends_with("protocol version: ") && number.len() <= 3
        || before.ends_with("with error ") && number.len() <= 2
        || before.ends_with("http2 frame: ") && number == HTTP_AS_FRAME
}

/// Whether a parenthesis holds an error of the system or of OpenSSL.
fn is_error(text: &str) -> bool {
    let inner = &text[1..];
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    inner.starts_with("SSL:") || (digits > 0 && inner[digits..].starts_with(':'))
}

/// The length of a word that begins after `skip` bytes, with those.
fn word(text: &str, skip: usize) -> usize {
    text[skip..].find([' ', ',']).map_or(text.len(), |end| skip + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_that_makes_a_number_telling_is_passed_over() {
        for word in TELLING.iter().chain(&["("]) {
            assert!(word.bytes().last().is_some_and(ends_telling), "{word}");
        }
        let mut out = String::new();
        numbers("x=1 code=2 AH01079: (111)Connection refused Layer4 r7 [8]", &mut out);
        assert_eq!(out, "x=# code=2 AH01079: (111)Connection refused Layer4 r# [#]");
    }
}
