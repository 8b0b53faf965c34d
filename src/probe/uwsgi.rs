//! Requests in uwsgi's own packets (uwsgi-docs, "The uwsgi Protocol") and in SCGI's netstrings (the SCGI specification). Both
//! are answered like CGI or HTTP.

use super::{fastcgi, http1};
use crate::model::HttpRequest;

/// One uwsgi packet. `Err`: why it may not be sent.
pub(super) fn request(request: &HttpRequest) -> Result<Vec<u8>, String> {
    http1::check(request)?;
    let too_long = |_| "the parameters are too long".to_owned();
    let mut vars = Vec::new();
    for (key, value) in fastcgi::params(request) {
        for text in [key, value] {
            vars.extend(u16::try_from(text.len()).map_err(too_long)?.to_le_bytes());
            vars.extend_from_slice(text.as_bytes());
        }
    }
    let size = u16::try_from(vars.len()).map_err(too_long)?.to_le_bytes();
    Ok([&[0, size[0], size[1], 0], &*vars].concat())
}

/// One SCGI netstring. `Err`: why it may not be sent.
pub(super) fn scgi(request: &HttpRequest) -> Result<Vec<u8>, String> {
    /// Bytes of headers: as much as a uwsgi packet can have.
    const HEADERS: usize = u16::MAX as usize;
    http1::check(request)?;
    let mut headers = b"CONTENT_LENGTH\x000\x00SCGI\x001\x00".to_vec();
    for (key, value) in fastcgi::params(request).iter().filter(|(key, _)| key != "CONTENT_LENGTH" && key != "SCGI") {
        if key.contains('\0') || value.contains('\0') {
            return Err("a NUL byte in a parameter".to_owned());
        }
        headers.extend_from_slice(format!("{key}\0{value}\0").as_bytes());
    }
    if headers.len() > HEADERS {
        return Err("the parameters are too long".to_owned());
    }
    Ok([format!("{}:", headers.len()).as_bytes(), &*headers, b","].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get() -> HttpRequest {
        HttpRequest {
            method: "GET".to_owned(),
            path: "/x".to_owned(),
            query: None,
            host: "a".to_owned(),
            headers: Vec::new(),
            params: Vec::new(),
        }
    }

    #[test]
    fn a_uwsgi_packet_tells_its_own_size() {
        let packet = request(&get()).expect("small");
        assert_eq!(usize::from(u16::from_le_bytes([packet[1], packet[2]])), packet.len() - 4);
        assert!(packet.windows(6).any(|part| part == b"\x0b\x00REQU"));
        let mut long = get();
        long.params.push(("A".to_owned(), "x".repeat(70_000)));
        assert!(request(&long).is_err() && scgi(&long).is_err() && fastcgi::request(&long).is_err());
    }

    #[test]
    fn a_netstring_begins_with_the_length() {
        let bytes = scgi(&get()).expect("small");
        let text = String::from_utf8(bytes).expect("text");
        let (length, rest) = text.split_once(':').expect("colon");
        assert_eq!(length.parse::<usize>().expect("number") + 1, rest.len());
        assert!(rest.starts_with("CONTENT_LENGTH\u{0}0\u{0}SCGI\u{0}1\u{0}") && rest.ends_with(','));
    }
}
