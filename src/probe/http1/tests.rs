use proptest::prelude::*;

use super::*;

fn status(text: &str) -> Result<u16, Garbage> {
    let bytes = text.as_bytes();
    parse_head(bytes, Style::Http).map(|head| head.status)
}

#[test]
fn what_nginx_takes_is_taken() {
    assert_eq!(status("HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), Ok(200));
    assert_eq!(status("HTTP/1.0 404\nA:b\n\n"), Ok(404), "bare line feeds, no reason");
    assert_eq!(status("HTTP/1.1 200 OK\r\nX[y]: odd name\r\nEmpty:\r\nBell: \x07\r\n\r\n"), Ok(200));
}

#[test]
fn what_gateways_refuse_is_refused() {
    for bad in ["HTTP/1.1 abc\r\n\r\n", "HTTP/1.1\r\n\r\n", "HTTP/9 200 OK\r\n\r\n", "HTTP/1.1 20\r\n\r\n"] {
        assert_eq!(status(bad), Err(Garbage::StatusLine), "{bad}");
    }
    for bad in [
        "no colon",
        "a b: c",
        "a\x01: c",
        " folded: x",
        ": no name",
        "A: \0",
        "Content-Length: x",
        "Content-Length: -1",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: 1\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{bad}\r\n\r\n");
        assert!(matches!(status(&head), Err(Garbage::Header(_))), "{bad}: {:?}", status(&head));
    }
}

#[test]
fn the_end_of_a_header_is_found_across_reads() {
    let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
    assert_eq!(head_end(text, 0), Some(25));
    for cut in 0..25 {
        assert_eq!(head_end(&text[..cut], 0), None);
        assert_eq!(head_end(text, cut.min(21).saturating_sub(2)), Some(25), "resumed at {cut}");
    }
    assert_eq!(head_end(b"A: b\n\n", 0), Some(6));
}

#[test]
fn chunks_are_followed_to_the_trailer() {
    let raw = b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    let mut chunks = Chunks::default();
    for end in 0..raw.len() {
        assert_eq!(chunks.take(&raw[..end]), Ok(false), "{end}");
    }
    assert_eq!(chunks.take(raw), Ok(true));
    assert_eq!(chunks.body, b"hello world");
    assert_eq!(Chunks::default().take(b"5\r\nhelloXX"), Err(()));
    assert_eq!(Chunks::default().take(b"zz\r\n"), Err(()));
    assert_eq!(Chunks::default().take(b"ffffffffffffffff\r\nx"), Ok(false), "a length beyond memory is waited for, not allocated");
}

#[test]
fn nothing_breaks_out_of_the_request() {
    let make = |method: &str, target: &str, host: &str| {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        request(&HttpRequest {
            method: method.to_owned(),
            path: path.to_owned(),
            query,
            host: host.to_owned(),
            headers: Vec::new(),
            params: Vec::new(),
        })
    };
    assert!(make("GET", "/x", "a").is_ok());
    assert!(make("GET", "/x?page=2", "a").is_ok_and(|bytes| bytes.starts_with(b"GET /x?page=2 HTTP/1.1\r\n")));
    for (method, path, host) in [
        ("POST", "/", "a"),
        ("GET", "/ HTTP/1.1\r\nX: y", "a"),
        ("GET", "/?a=b HTTP/1.1\r\nX: y", "a"),
        ("GET", "/", "a\r\nX: y"),
        ("GET", "", "a"),
        ("GET", "http://b/", "a"),
    ] {
        assert!(make(method, path, host).is_err(), "{method} {path:?} {host:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse_head(&bytes, Style::Http);
        let _ = parse_head(&bytes, Style::Cgi);
        let _ = Chunks::default().take(&bytes);
        let _ = sniff::speaks(&bytes);
    }
}
