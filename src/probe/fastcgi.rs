//! FastCGI by hand (specification 1.0): one responder request, and its records judged as nginx judges them
//! (`ngx_http_fastcgi_process_header`).

use super::{
    http1::{self, Answer, BODY_BYTES, HEAD_BYTES, HEAD_BYTES_MAX, Style},
    sniff,
    wire::Conn,
};
use crate::model::{Garbage, HttpRequest, Outcome, Phase};

const VERSION: u8 = 1;
const BEGIN_REQUEST: u8 = 1;
const END_REQUEST: u8 = 3;
const PARAMS: u8 = 4;
const STDIN: u8 = 5;
const STDOUT: u8 = 6;
const STDERR: u8 = 7;
const GET_VALUES: u8 = 9;
const HEADER: usize = 8;
const RESPONDER: [u8; 8] = [0, 1, 0, 0, 0, 0, 0, 0];
/// The request's number on its connection; management records have 0.
const REQUEST: u16 = 1;
/// Bytes of the application's own words that are kept.
const STDERR_BYTES: usize = 512;

/// The parameters that every CGI request has (RFC 3875 section 4.1), with the job's own before them: theirs win.
pub(super) fn params(request: &HttpRequest) -> Vec<(String, String)> {
    let name = request
        .host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(&*request.host, |(name, _)| name);
    let mut all = request.params.clone();
    let agent = http1::user_agent();
    for (key, value) in [
        ("REQUEST_METHOD", request.method.as_str()),
        ("REQUEST_URI", &*request.target()),
        ("DOCUMENT_URI", &request.path),
        ("SCRIPT_NAME", &request.path),
        ("PATH_INFO", ""),
        ("QUERY_STRING", request.query.as_deref().unwrap_or_default()),
        ("CONTENT_TYPE", ""),
        ("CONTENT_LENGTH", ""),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("GATEWAY_INTERFACE", "CGI/1.1"),
        ("SERVER_SOFTWARE", "why502"),
        ("SERVER_NAME", name),
        ("SERVER_ADDR", "127.0.0.1"),
        ("SERVER_PORT", "80"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "0"),
        ("REQUEST_SCHEME", "http"),
        // php-cgi refuses requests without it when built with cgi.force_redirect.
        ("REDIRECT_STATUS", "200"),
        ("HTTP_HOST", &request.host),
        ("HTTP_USER_AGENT", &agent),
        ("HTTP_ACCEPT", "*/*"),
    ] {
        if !all.iter().any(|(known, _)| known == key) {
            all.push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

/// A request as records. `Err`: why it may not be sent.
pub(super) fn request(request: &HttpRequest) -> Result<Vec<u8>, String> {
    http1::check(request)?;
    let mut pairs = Vec::new();
    for (key, value) in params(request) {
        pairs.extend(length(key.len())?);
        pairs.extend(length(value.len())?);
        pairs.extend_from_slice(key.as_bytes());
        pairs.extend_from_slice(value.as_bytes());
    }
    let mut out = record(BEGIN_REQUEST, REQUEST, &RESPONDER)?;
    out.extend(record(PARAMS, REQUEST, &pairs)?);
    out.extend(record(PARAMS, REQUEST, b"")?);
    out.extend(record(STDIN, REQUEST, b"")?);
    Ok(out)
}

/// A question that every FastCGI server answers without running anything: FCGI_GET_VALUES (specification section 4.1).
pub(super) fn question() -> Result<Vec<u8>, String> {
    record(GET_VALUES, 0, b"\x0f\x00FCGI_MPXS_CONNS")
}

fn length(len: usize) -> Result<Vec<u8>, String> {
    match (u8::try_from(len), u32::try_from(len)) {
        (Ok(short @ ..0x80), _) => Ok(vec![short]),
        (_, Ok(long @ ..0x8000_0000)) => Ok((long | 0x8000_0000).to_be_bytes().to_vec()),
        _ => Err("a parameter is too long".to_owned()),
    }
}

fn record(kind: u8, id: u16, content: &[u8]) -> Result<Vec<u8>, String> {
    let len = u16::try_from(content.len()).map_err(|_| "the parameters are too long".to_owned())?;
    let mut out = vec![VERSION, kind];
    out.extend(id.to_be_bytes());
    out.extend(len.to_be_bytes());
    out.extend([0, 0]);
    out.extend_from_slice(content);
    Ok(out)
}

/// What the records have said so far.
#[derive(Debug, Default)]
struct Reply {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Bytes on the wire up to the end of the response header: nginx keeps the records in its buffer, too.
    raw_head: Option<usize>,
    head_end: Option<usize>,
    /// Bytes understood.
    raw: usize,
    ended: Option<u8>,
}

/// Reads the answer.
pub(super) async fn receive(conn: &mut Conn, header_limit: Option<u32>) -> Answer {
    let limit = header_limit.map_or(HEAD_BYTES, |limit| limit as usize).min(HEAD_BYTES_MAX);
    let (mut buf, mut reply) = (Vec::new(), Reply::default());
    loop {
        while reply.ended.is_none()
            && buf.first() == Some(&VERSION)
            && let Some(size) = reply.take(&buf)
        {
            buf.drain(..size);
            if reply.raw > limit && reply.raw_head.is_none_or(|head| head > limit) {
                return finish(&reply, Some(too_big(limit)));
            }
        }
        if reply.ended.is_some() || reply.stdout.len() >= reply.head_end.unwrap_or(usize::MAX).saturating_add(BODY_BYTES) {
            return finish(&reply, None);
        }
        // Also what stands behind a whole record, before anything more is waited for.
        if !matches!(buf.first(), None | Some(&VERSION)) {
            let name = sniff::speaks(&buf);
            let framing = || Outcome::Invalid(Garbage::Framing("no FastCGI record".to_owned()));
            return Answer::noted(name.map_or_else(framing, |name| Outcome::Speaks(name.to_owned())), sniff::quote(&buf));
        }
        let phase = if reply.head_end.is_some() { Phase::Body } else { Phase::Head };
        match conn.read(&mut buf, phase).await {
            Ok(1..) => {}
            Ok(0) => return finish(&reply, Some(Outcome::Closed(phase))),
            Err(outcome) => return finish(&reply, Some(outcome)),
        }
    }
}

fn too_big(limit: usize) -> Outcome {
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    Outcome::HeaderTooBig { bytes: limit.saturating_add(1), limit }
}

impl Reply {
    /// Takes one whole record from the begin of `buf`, and says how long it was.
    fn take(&mut self, buf: &[u8]) -> Option<usize> {
        let header = buf.first_chunk::<HEADER>()?;
        let content = usize::from(u16::from_be_bytes([header[4], header[5]]));
        let size = HEADER + content + usize::from(header[6]);
        let data = buf.get(..size)?.get(HEADER..HEADER + content)?;
        match header[1] {
            STDOUT => {
                let from = self.stdout.len().saturating_sub(2);
                self.stdout.extend_from_slice(data);
                if self.head_end.is_none()
                    && let Some(end) = http1::head_end(&self.stdout, from)
                {
                    self.head_end = Some(end);
                    self.raw_head = Some(self.raw + HEADER + end - (self.stdout.len() - data.len()));
                }
            }
            STDERR => {
                let room = STDERR_BYTES.saturating_sub(self.stderr.len()).min(data.len());
                self.stderr.extend_from_slice(&data[..room]);
            }
            END_REQUEST => self.ended = Some(data.get(4).copied().unwrap_or(0)),
            // Others are not asked for; nginx refuses them, but no server is known to send any.
            _ => {}
        }
        self.raw += size;
        Some(size)
    }
}

/// What it all means; `cut` is why reading stopped before the end.
fn finish(reply: &Reply, cut: Option<Outcome>) -> Answer {
    let stderr = (!reply.stderr.is_empty()).then(|| format!("stderr: {}", String::from_utf8_lossy(&reply.stderr).trim()));
    let raw_head = reply.raw_head.and_then(|bytes| u32::try_from(bytes).ok());
    let done = |outcome| Answer { outcome: Some(outcome), head_bytes: raw_head, note: stderr.clone(), ..Answer::default() };
    let refused = match reply.ended {
        None | Some(0) => None,
        Some(1) => Some("it cannot multiplex"),
        Some(2) => Some("it is overloaded"),
        Some(3) => Some("unknown role"),
        Some(_) => Some("unknown end"),
    };
    if let Some(why) = refused {
        return done(Outcome::Invalid(Garbage::Framing(why.to_owned())));
    }
    // A header that is too big is worse than whatever came after it.
    if let Some(outcome @ Outcome::HeaderTooBig { .. }) = cut {
        return done(match (outcome, raw_head) {
            (Outcome::HeaderTooBig { limit, .. }, Some(bytes)) => Outcome::HeaderTooBig { bytes, limit },
            (outcome, _) => outcome,
        });
    }
    let Some(end) = reply.head_end else {
        return done(cut.unwrap_or(Outcome::Closed(Phase::Head)));
    };
    match http1::parse_head(&reply.stdout[..end], Style::Cgi) {
        Err(garbage) => done(Outcome::Invalid(garbage)),
        Ok(head) => {
            let mut answer = http1::judge(&head, &reply.stdout[end..]);
            answer.head_bytes = raw_head;
            answer.note.clone_from(&stderr);
            if let Some(cut) = cut {
                answer.outcome = Some(cut);
            }
            answer
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_values_have_long_lengths() {
        assert_eq!(length(127), Ok(vec![127]));
        assert_eq!(length(128), Ok(vec![0x80, 0, 0, 128]));
    }

    #[test]
    fn the_jobs_own_parameters_win() {
        let request = HttpRequest {
            method: "GET".to_owned(),
            path: "/index.php".to_owned(),
            query: Some("page=2".to_owned()),
            host: "shop.example.com:8443".to_owned(),
            headers: Vec::new(),
            params: vec![("SCRIPT_FILENAME".to_owned(), "/srv/index.php".to_owned()), ("SERVER_NAME".to_owned(), "_".to_owned())],
        };
        let params = params(&request);
        let of = |key: &str| params.iter().filter(|(known, _)| known == key).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
        assert_eq!(of("SCRIPT_FILENAME"), ["/srv/index.php"]);
        assert_eq!(of("SERVER_NAME"), ["_"]);
        assert_eq!(of("HTTP_HOST"), ["shop.example.com:8443"]);
        assert_eq!(of("REQUEST_METHOD"), ["GET"]);
        assert_eq!((of("REQUEST_URI"), of("QUERY_STRING")), (vec!["/index.php?page=2"], vec!["page=2"]));
    }

    proptest! {
        #[test]
        fn no_records_break_the_reader(mut bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reply = Reply::default();
            while let Some(size) = reply.take(&bytes) {
                bytes.drain(..size);
            }
            let _ = finish(&reply, None);
        }
    }
}
