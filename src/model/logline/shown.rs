//! An answer 502, 503 or 504 that a line shows without saying why: a status line (`< HTTP/2 502`), a field (`"status": "503"`,
//! `upstream_status=502`), the page that a server made of it (`<title>502 Bad Gateway</title>`).
//!
//! It tells that something failed, and never what: who gets such lines alone is to be asked for more. A number that stands for
//! something else (bytes, a path, what a configuration lists) and a sentence that mentions one are none.

/// Names of fields that hold the status of an answer end so, in small letters and without `_` and `-`.
const FIELDS: [&str; 4] = ["status", "statuscode", "responsecode", "httpcode"];
/// Words that stand before it where no mark does.
const WORDS: [&str; 6] = ["status", "status code", "response code", "http", "http error", "returned error"];
/// What servers write behind it (RFC 9110 section 15.6; nginx, Varnish, Fastly and Spring have words of their own).
const REASONS: [&str; 9] = [
    "Bad Gateway",
    "Service Unavailable",
    "Service Temporarily Unavailable",
    "SERVICE_UNAVAILABLE",
    "Gateway Timeout",
    "Gateway Time-out",
    "GATEWAY_TIMEOUT",
    "Backend fetch failed",
    "first byte timeout",
];
/// Bytes of a line that are looked at.
const LINE_BYTES: usize = 4096;

/// The status of the answer that a text shows.
pub fn shown_answer(text: &str) -> Option<u16> {
    let text = &text[..text.floor_char_boundary(LINE_BYTES)];
    text.match_indices("50").find_map(|(at, _)| {
        let status: u16 = text.get(at..at + 3)?.parse().ok().filter(|status| (502..=504).contains(status))?;
        let (before, after) = (&text[..at], &text[at + 3..]);
        // A number of more digits, an address, a part of a name, a time.
        let joined = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '%');
        let ends = after.strip_prefix('.').unwrap_or(after);
        let timed = ends.starts_with(':') && before.ends_with(':');
        let alone = !(before.ends_with(joined) || ends.starts_with(joined) || timed);
        (alone && (status_line(before) || field(before, after) || page(before, after))).then_some(status)
    })
}

/// `HTTP/1.1 502`, also behind the quote that ends a request of an access log.
fn status_line(before: &str) -> bool {
    let version = before.trim_end_matches([' ', '\t']).trim_end_matches('"');
    let name = version.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    before.ends_with([' ', '\t']) && name.len() < version.len() && name.ends_with("HTTP/")
}

/// `"Status": "503"`, `http_code=502`, `with status: 502`, `status code 503`.
fn field(before: &str, after: &str) -> bool {
    const QUOTES: [char; 5] = ['"', '\'', '\\', ' ', '\t'];
    let counted = [" bytes", " B", " ms", " s ", " requests"].iter().any(|unit| after.starts_with(unit));
    let left = before.trim_end_matches(QUOTES);
    if let Some(named) = left.strip_suffix([':', '=']) {
        let named = named.trim_end_matches(QUOTES);
        let name = named.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).next().unwrap_or_default();
        let behind = &named[..named.len() - name.len()];
        let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        // A client chooses what stands in a query.
        let queried = behind.ends_with(['?', '&', ';']);
        let known = FIELDS.iter().any(|field| name.ends_with(field)) || name == "error" && behind.ends_with("returned ");
        return known && !queried && !counted;
    }
    let words = left.to_ascii_lowercase();
    let whole = |word: &&str| words.strip_suffix(*word).is_some_and(|rest| !rest.ends_with(|c: char| c.is_ascii_alphanumeric()));
    before.len() > left.len() && !counted && WORDS.iter().any(whole)
}

/// `502 Bad Gateway` where a line, a value or the text of a tag begins: in the middle of a sentence somebody tells of it.
fn page(before: &str, after: &str) -> bool {
    let reason = after.trim_start_matches([' ', ':', '-']);
    let begins = before.trim_end();
    let first = begins.is_empty() || begins.ends_with(['>', '"', '\'', ':', '=', '#']) || begins.ends_with("Error");
    first && REASONS.iter().any(|words| reason.starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_seen_in_each_form() {
        for (text, status) in [
            ("< HTTP/2 502 ", 502),
            ("HTTP/1.1 503 Service Unavailable", 503),
            ("x \"GET / HTTP/1.1\" 504 0.001 shop", 504),
            (r#"{"Request": "GET http://shop.test/ HTTP/1.1", "Status": "503", "Bytes": "0"}"#, 503),
            ("(4f7c1f6e) Method completed with status: 502", 502),
            (r#"{"msg":"{\"status\":502}"}"#, 502),
            ("upstream_status=502 rt=0.1", 502),
            ("curl: (22) The requested URL returned error: 502", 502),
            ("received unexpected status code 504", 504),
            ("<head><title>502 Bad Gateway</title></head>", 502),
            ("504 Gateway Time-out", 504),
            ("Error 503 Service Unavailable", 503),
            ("503 first byte timeout", 503),
        ] {
            assert_eq!(shown_answer(text), Some(status), "{text}");
        }
    }

    #[test]
    fn another_number_and_a_sentence_are_none() {
        for text in [
            "10.0.0.9 - - [20/Nov/2026:23:36:34 +0000] \"GET /a HTTP/1.1\" 200 502 \"-\" \"curl\"",
            "GET /a?status=502 HTTP/1.1",
            "    error_page 502 503 504 /50x.html;",
            "proxy_next_upstream error http_502 http_503;",
            "yesterday we saw 502 Bad Gateway on the shop for two minutes",
            "| 502 | Bad Gateway: invalid response from upstream |",
            "read 502 bytes, status: 502 bytes",
            "Fix connection refused when upstream timed out (#502)",
            "status=5020 upstream 10.0.0.502 status=502-a",
            "pid 503, port 504",
            "12:30:50.502",
            "return 503;",
            "node:events:502",
        ] {
            assert_eq!(shown_answer(text), None, "{text}");
        }
    }
}
