//! Secrets in foreign text: log lines, command lines, addresses, what a probe saw.
//!
//! Such a text is prose and not a configuration: only what is plainly given a value (`token=...`, `Cookie: ...`, a query) or looks
//! like nothing but a secret is replaced, so that the signatures still find what they know.

use super::{HARMLESS, HASHES, NAMES, PLACEHOLDER, hash, placeholder};

/// What placeholders of values in a query begin with: a `#` would end the query (RFC 3986 section 3.5).
const IN_QUERY: &str = "secret~";
/// How tokens of well-known services begin; what follows is random.
const TOKENS: &[&str] = &["ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "sk_live_", "rk_live_", "AKIA", "ASIA", "eyJ"];
/// Whole queries of status pages: mod_status, php-fpm, HAProxy.
const STATUS_WORDS: &[&str] = &["auto", "full", "json", "xml", "html", "stats"];
/// Characters that a random token has at least.
const TOKEN_CHARS: usize = 16;
/// Headers whose whole line is secret, not only its next word.
const HEADERS: &[&str] = &["authorization", "proxyauthorization", "cookie", "setcookie"];
/// Schemes of the Authorization header after which the secret comes (RFC 9110 section 11.4).
const SCHEMES: &[&str] = &["bearer", "basic", "digest", "negotiate"];
/// Characters that what follows a scheme has at least: `basic settings` is prose.
const CREDENTIAL_CHARS: usize = 8;

/// Which of the ASCII characters these are. Each line that is recorded comes by here, in a flood thousands a second.
type Ascii = [bool; 128];

/// Those that [`in_word`] takes.
const WORD: Ascii = {
    let mut all = [false; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        all[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        byte += 1;
    }
    all
};
/// Those that it does not take.
const NO_WORD: Ascii = {
    let mut all = WORD;
    let mut at = 0;
    while at < all.len() {
        all[at] = !WORD[at];
        at += 1;
    }
    all
};
/// Those that [`ends_token`] takes.
const ENDS: Ascii = {
    let mut all = [false; 128];
    let mut byte = 0_u8;
    while byte < 128 {
        all[byte as usize] = matches!(byte, 0..=b' ' | 127 | b'"' | b'\'' | b'<' | b'>' | b'`');
        byte += 1;
    }
    all
};
/// Those that something begins with which can be nothing but a secret.
const BEGINS: Ascii = {
    let mut all = [false; 128];
    let mut at = 0;
    while at < HASHES.len() {
        all[HASHES[at].as_bytes()[0] as usize] = true;
        at += 1;
    }
    at = 0;
    while at < TOKENS.len() {
        all[TOKENS[at].as_bytes()[0] as usize] = true;
        at += 1;
    }
    all
};

/// The letters of each of [`NAMES`].
const NAME_LETTERS: [u32; NAMES.len()] = {
    let mut all = [0; NAMES.len()];
    let mut at = 0;
    while at < all.len() {
        all[at] = letters(NAMES[at].as_bytes());
        at += 1;
    }
    all
};

/// Which letters of ASCII are in a word, as bits, in whatever case.
const fn letters(word: &[u8]) -> u32 {
    let (mut all, mut at) = (0, 0);
    while at < word.len() {
        if word[at].is_ascii_alphabetic() {
            all |= 1 << (word[at].to_ascii_lowercase() - b'a');
        }
        at += 1;
    }
    all
}

/// Where the first of these characters begins; `other` tells it of those that are no ASCII.
fn first(text: &str, of: &Ascii, other: impl Fn(char) -> bool) -> Option<usize> {
    let mut at = 0;
    while let Some(byte) = text.as_bytes().get(at) {
        if let Some(is) = of.get(usize::from(*byte)) {
            if *is {
                return Some(at);
            }
            at += 1;
        } else {
            let c = text[at..].chars().next()?;
            if other(c) {
                return Some(at);
            }
            at += c.len_utf8();
        }
    }
    None
}

/// Whether a character belongs to a name or a plain value.
fn in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Whether it ends a URL or another word in a log line.
fn ends_token(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '<' | '>' | '`')
}

fn plain(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether this is the name of something secret, in prose.
pub(super) fn names_secret(word: &str) -> bool {
    // Nearly no word has all the letters of one of them.
    let own = letters(word.as_bytes());
    if !NAME_LETTERS.iter().any(|name| own & name == *name) {
        return false;
    }
    let plain = plain(word);
    NAMES.iter().any(|name| plain.contains(name)) && !HARMLESS.iter().any(|name| plain.contains(name))
}

/// Whether a word can be nothing but a secret.
fn is_token(word: &str) -> bool {
    let Some(first) = word.bytes().next().filter(|byte| BEGINS.get(usize::from(*byte)).is_some_and(|begins| *begins)) else {
        return false;
    };
    let begins = |begin: &&str| begin.as_bytes()[0] == first && word.starts_with(begin);
    HASHES.iter().any(|begin| begins(begin) && word.len() > begin.len() + CREDENTIAL_CHARS)
        || TOKENS.iter().any(begins) && word.len() >= TOKEN_CHARS
}

/// Whether something was concealed in this text.
pub fn concealed(text: &str) -> bool {
    text.contains(PLACEHOLDER) || text.contains(IN_QUERY)
}

/// A query without its values: `a=secret~3f2a91&b=`. What has no value is kept back as a whole.
pub fn query(query: &str) -> String {
    let conceal = |value: &str| {
        if value.is_empty() || value.starts_with(IN_QUERY) { value.to_owned() } else { format!("{IN_QUERY}{}", hash(value)) }
    };
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, value)) => format!("{name}={}", conceal(value)),
        None if STATUS_WORDS.contains(&part) => part.to_owned(),
        None => conceal(part),
    });
    parts.collect::<Vec<_>>().join("&")
}

/// Where a query begins and ends in a text that begins with a token; `None`: there is none. A question mark is one only behind
/// a path, so that no question is taken for an address.
fn query_in(token: &str) -> Option<(usize, usize)> {
    let mark = memchr::memchr(b'?', token.as_bytes())?;
    let before = &token[..mark];
    let path = before.contains('/') && !before.ends_with(['(', '^', '[', ')', '*', '+', '\\']);
    let end = token[mark..].find(['#', '\\', ')', '}', ']', ',']).map_or(token.len(), |at| mark + at);
    (path && end > mark + 1).then_some((mark + 1, end))
}

/// The user information of a URL: where its password stands (RFC 3986 section 3.2.1).
fn password_in(token: &str) -> Option<(usize, usize)> {
    let bytes = token.as_bytes();
    let authority = memchr::memchr_iter(b':', bytes).find(|at| bytes[*at..].starts_with(b"://"))? + 3;
    let end = token[authority..].find(['/', '?', '#']).map_or(token.len(), |at| authority + at);
    let at = authority + token[authority..end].rfind('@')?;
    let colon = authority + token[authority..at].find(':')?;
    (colon + 1 < at).then_some((colon + 1, at))
}

/// Whether a value may stand behind a name that ends here: what [`value_behind`] asks first.
fn is_given(rest: &str) -> bool {
    let sign = rest.bytes().find(|byte| !matches!(byte, b'"' | b'\'' | b'\\'));
    matches!(sign, Some(b'=' | b':'))
}

/// The value behind a name: where it begins and ends in what follows it. `None`: the name has none.
fn value_behind(name: &str, rest: &str) -> Option<(usize, usize)> {
    // `"token": "x"`, `token='x'`, `\"token\":\"x\"`, `Cookie: a=b; c=d`
    let quoted = |text: &str| text.chars().take_while(|c| matches!(c, '"' | '\'' | '\\')).map(char::len_utf8).sum::<usize>();
    let mut at = quoted(rest);
    let sign = rest[at..].chars().next().filter(|c| matches!(c, '=' | ':'))?;
    at += sign.len_utf8();
    // `password: ` may have a blank behind it; behind `password=` nothing stands, or the value.
    if sign == ':' {
        at += rest[at..].len() - rest[at..].trim_start_matches(' ').len();
    }
    let quotes = quoted(&rest[at..]);
    at += quotes;
    let body = &rest[at..];
    let whole = HEADERS.contains(&plain(name).as_str());
    let end = if quotes > 0 {
        body.find(['"', '\'']).unwrap_or(body.len())
    } else if whole {
        body.find(['"', '\n']).unwrap_or(body.len())
    } else {
        body.find(|c: char| ends_token(c) || matches!(c, ',' | ';' | '&' | ')' | '}' | ']')).unwrap_or(body.len())
    };
    let value = body[..end].trim_end_matches('\\');
    let telling = value.chars().any(char::is_alphanumeric) && value.len() > 1;
    // What holds a placeholder had its secret taken out.
    (telling && !value.contains(PLACEHOLDER) && !value.contains(IN_QUERY)).then_some((at, at + value.len()))
}

/// What follows the scheme of a credential: `Bearer abc`.
fn credential(word: &str, rest: &str) -> Option<(usize, usize)> {
    if !SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme)) {
        return None;
    }
    let value = rest.strip_prefix(' ')?;
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-._~+/=".contains(c))).unwrap_or(value.len());
    let random = end >= CREDENTIAL_CHARS && value[..end].chars().any(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
    (random && !value.starts_with(PLACEHOLDER)).then_some((1, 1 + end))
}

/// A text without its secrets. `None`: it has none.
pub fn text(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut done = 0;
    let mut put = |from: usize, to: usize, instead: String| {
        if from >= done {
            out.push_str(&text[done..from]);
            out.push_str(&instead);
            done = to;
        }
    };
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let length = first(rest, &ENDS, ends_token).unwrap_or(rest.len());
        if length == 0 {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        }
        let token = &rest[..length];
        let end = at + length;
        if let Some((from, to)) = password_in(token).filter(|(from, _)| !token[*from..].starts_with(PLACEHOLDER)) {
            put(at + from, at + to, placeholder(&token[from..to]));
        }
        let asked = query_in(token);
        if let Some((from, to)) = asked {
            let concealed = query(&token[from..to]);
            if concealed != token[from..to] {
                put(at + from, at + to, concealed);
            }
        }
        let limit = asked.map_or(length, |(from, _)| from);
        let mut next = end;
        let mut word_at = 0;
        while word_at < limit {
            let from_here = &token[word_at..limit];
            let Some(begin) = first(from_here, &WORD, in_word) else { break };
            let begin = word_at + begin;
            let len = first(&token[begin..limit], &NO_WORD, |c| !in_word(c)).unwrap_or(limit - begin);
            let word = &token[begin..begin + len];
            word_at = begin + len;
            let behind = at + word_at;
            let before = begin.checked_sub(1).and_then(|before| token.as_bytes().get(before));
            let dollar = usize::from(matches!(before, Some(b'$' | b'{')));
            let whole = &token[begin - dollar..];
            let span = if is_token(whole) {
                let len = whole.find([',', ';', ')', ']']).unwrap_or(whole.len());
                Some((begin - dollar + at, begin - dollar + at + len))
            } else if is_given(&text[behind..]) {
                let value = (names_secret(word) && !token[..begin].ends_with('/')).then(|| value_behind(word, &text[behind..]));
                value.flatten().map(|(from, to)| (behind + from, behind + to))
            } else {
                credential(word, &text[behind..]).map(|(from, to)| (behind + from, behind + to))
            };
            if let Some((from, to)) = span {
                put(from, to, placeholder(&text[from..to]));
                next = next.max(to);
                word_at = word_at.max(to.saturating_sub(at));
            }
        }
        at = next.max(end);
    }
    if done == 0 {
        return None;
    }
    out.push_str(&text[done..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_given_a_value_is_concealed() {
        for (line, secret) in [
            (
                "2026/11/20 02:17:41 [error] 8#8: *5 connect() failed (111), request: \"GET /pay?card=4111&x=hunter2 HTTP/1.1\"",
                "hunter2",
            ),
            ("203.0.113.9 - - [20/Nov/2026] \"GET /reset?hunter2 HTTP/1.1\" 502 157", "hunter2"),
            ("{\"request\":{\"uri\":\"/a?token=hunter2\",\"headers\":{\"Cookie\":[\"x\"]}}}", "hunter2"),
            ("upstream sent \"Set-Cookie: session=hunter2; Path=/\" while reading", "hunter2"),
            ("Authorization: Bearer hunter2hunter2", "hunter2"),
            ("got Authorization Bearer aHunter2aa.b", "aHunter2"),
            ("python app.py --db-password=hunter2 --port 80", "hunter2"),
            ("env DATABASE_URL=postgres://bob:hunter2@db/shop", "hunter2"),
            ("could not connect to postgres://bob:hunter2@db:5432/shop", "hunter2"),
            ("login with {\"password\": \"hunter2 and more\"}", "hunter2"),
            ("body {\\\"api_key\\\":\\\"hunter2\\\"}", "hunter2"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.hunter2 refused", "hunter2"),
            ("pushed with ghp_hunter2hunter2hunter2", "hunter2"),
        ] {
            let concealed = text(line).unwrap_or_else(|| panic!("nothing found in {line}"));
            assert!(!concealed.contains(secret), "{concealed}");
            assert_eq!(text(&concealed), None, "once is enough: {concealed}");
        }
    }

    #[test]
    fn prose_stays_prose() {
        for line in [
            "connect() failed (111: Connection refused) while connecting to upstream, upstream: \"http://127.0.0.1:8000/\"",
            "FATAL:  password authentication failed for user \"shop\"",
            "SyntaxError: Unexpected token < in JSON at position 0",
            "upstream sent invalid header: \"X-Token\\x20...\"",
            "is it /etc/nginx/nginx.conf? yes",
            "server_tokens off;",
            "502 GET up=127.0.0.1:8000 ups=502",
            "user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/id",
        ] {
            assert_eq!(text(line), None, "{line}");
        }
    }

    #[test]
    fn equal_values_stay_equal_and_an_address_stays_one() {
        let concealed = text("GET /a?x=one&y=two&z=one").expect("a query");
        let values: Vec<&str> = concealed.split(['=', '&']).skip(1).step_by(2).collect();
        assert!(values[0] == values[2] && values[0] != values[1], "{concealed}");
        assert!(!concealed.contains('#'));
    }

    proptest! {
        #[test]
        fn any_text_is_taken(line in "\\PC{0,80}") {
            if let Some(concealed) = text(&line) {
                prop_assert!(concealed.contains("secret"));
            }
        }

        #[test]
        fn what_looks_like_it_is_taken(line in "(token|/a\\?|=|:|\"|'|\\\\|&|://|@|Bearer |[a-z0-9$é]{1,9}| |,){0,30}") {
            let _ = text(&line);
        }
    }
}
