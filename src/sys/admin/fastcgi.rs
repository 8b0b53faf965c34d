//! The page of a FastCGI server that its own core answers: one GET of FastCGI (specification 1.0), and the page out of its records.

const VERSION: u8 = 1;
const BEGIN_REQUEST: u8 = 1;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const HEADER: usize = 8;
const RESPONDER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
/// Bytes of a name or value: their length is one byte below 128 (section 3.4), and paths of status pages are short.
const SHORT: usize = 0x7f;

/// A request for a page by its path. `None`: it is longer than any page's path.
pub(super) fn request(path: &str, query: &str, agent: &str) -> Option<Vec<u8>> {
    let mut pairs = Vec::new();
    // php-fpm compares SCRIPT_NAME with pm.status_path, and wants a SCRIPT_FILENAME beside it (fpm_main.c, fpm_status.c).
    for (name, value) in [
        ("SCRIPT_NAME", path),
        ("SCRIPT_FILENAME", path),
        ("REQUEST_URI", path),
        ("REQUEST_METHOD", "GET"),
        ("QUERY_STRING", query),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("HTTP_USER_AGENT", agent),
    ] {
        for part in [name, value] {
            pairs.push(u8::try_from(part.len()).ok().filter(|len| usize::from(*len) <= SHORT)?);
        }
        pairs.extend(name.bytes().chain(value.bytes()));
    }
    let record = |kind: u8, content: &[u8]| -> Option<Vec<u8>> {
        let [high, low] = u16::try_from(content.len()).ok()?.to_be_bytes();
        Some([&[VERSION, kind, 0, 1, high, low, 0, 0], content].concat())
    };
    Some([record(BEGIN_REQUEST, &RESPONDER)?, record(PARAMS, &pairs)?, record(PARAMS, b"")?, record(STDIN, b"")?].concat())
}

/// What stands on standard output of the answer, with its head.
pub(in crate::sys) fn page(answer: &[u8]) -> Vec<u8> {
    let (mut page, mut rest) = (Vec::new(), answer);
    while let [VERSION, kind, _, _, high, low, padding, _, ..] = *rest {
        let len = usize::from(u16::from_be_bytes([high, low]));
        let Some(content) = rest.get(HEADER..HEADER + len) else { break };
        if kind == STDOUT {
            page.extend_from_slice(content);
        }
        let Some(next) = rest.get(HEADER + len + usize::from(padding)..) else { break };
        rest = next;
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_and_found_among_the_records() {
        let asked = request("/status", "json", "why502").expect("a request");
        assert!(asked.starts_with(&[1, 1, 0, 1, 0, 8, 0, 0]) && asked.ends_with(&[1, 5, 0, 1, 0, 0, 0, 0]));
        assert!(memchr::memmem::find(&asked, b"\x0b\x07SCRIPT_NAME/status").is_some());
        assert!(request(&"/x".repeat(100), "", "why502").is_none());
        let answer =
            b"\x01\x06\0\x01\0\x03\x02\0ab\n\0\0\x01\x07\0\x01\0\x01\0\0!\x01\x06\0\x01\0\x01\0\0c\x01\x03\0\x01\0\x08\0\0";
        assert_eq!(page(answer), b"ab\nc");
        for broken in [b"".as_slice(), b"\x01\x06\0\x01\xff\xff\0\0ab", b"HTTP/1.1 200 OK\r\n\r\nx"] {
            assert_eq!(page(broken), b"");
        }
    }
}
