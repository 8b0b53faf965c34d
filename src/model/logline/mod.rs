//! What a line of a log says: pure readers of one line that borrow from it.
//!
//! Lines are hostile. A reader never panics, never allocates by what a line claims, and gives `None` rather than a guess.
//! Nothing here opens a file, and nothing decides what a line means for the outage: that is for signatures.
//!
//! To add a format: a file here, a variant of [`LogFormat`](super::LogFormat), and its arm in `watch/logs/normalise.rs`.

mod nginx_access;
mod nginx_error;

pub use nginx_access::{ATTEMPTS, AccessCut, AccessCutter, AccessFormat, AccessLine, AccessTime, COMBINED};
pub use nginx_error::NginxErrorLine;

/// Method and target of a request line: `GET /path?query HTTP/1.1`. The target is as the client sent it; `None` for bytes
/// that are no request line (a TLS hello on a plain port, a scanner's noise).
pub fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, rest) = line.split_once(' ')?;
    // RFC 9110 section 9.1: a method is a token; those in use are capitals, `-` and `_` (WebDAV, `M-SEARCH`).
    let known = (1..=16).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-' || b == b'_');
    // HTTP/0.9 has no version; a target with a blank in it is taken as it is, up to the version.
    let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target);
    (known && !target.is_empty()).then_some((method, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_gives_method_and_target() {
        assert_eq!(request_line("GET /a?b=c HTTP/1.1"), Some(("GET", "/a?b=c")));
        assert_eq!(request_line("M-SEARCH * HTTP/1.1"), Some(("M-SEARCH", "*")));
        assert_eq!(request_line("GET /a b HTTP/1.0"), Some(("GET", "/a b")));
        for noise in ["", "GET", "GET ", "\\x16\\x03\\x01 x", "get / HTTP/1.1", " / HTTP/1.1"] {
            assert_eq!(request_line(noise), None, "{noise:?}");
        }
    }
}
