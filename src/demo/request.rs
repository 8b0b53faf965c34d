//! The client's half of a request: its header and body, bounded.

use std::{net::IpAddr, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes of a request header at most (nginx: `large_client_header_buffers 4 8k`, and no more than one here).
const HEAD_BYTES: usize = 8 << 10;
/// Bytes of a body at most (nginx: `client_max_body_size 1m`).
const BODY_BYTES: usize = 1 << 20;
/// How long the client may take for all of it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Request {
    /// Whose it is.
    pub(super) client: IpAddr,
    /// Its method.
    pub(super) method: String,
    /// Its target: path and query.
    pub(super) target: String,
    /// Its first line.
    pub(super) line: String,
    /// Its headers.
    pub(super) headers: Vec<(String, Vec<u8>)>,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<String> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }

    /// The host that is asked for, without a port.
    pub(super) fn host(&self) -> String {
        let host = self.header("host").unwrap_or_default();
        let bare = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        bare.map_or_else(|| host.clone(), |(name, _)| name.to_owned()).to_ascii_lowercase()
    }

    /// The path, without the query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }
}

/// Reads one. `Err(None)`: the client went; else the status to refuse it with.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin), client: IpAddr) -> Result<Request, Option<u16>> {
    tokio::time::timeout(PATIENCE, read_all(stream, client)).await.unwrap_or(Err(Some(408)))
}

async fn read_all(stream: &mut (impl AsyncRead + Unpin), client: IpAddr) -> Result<Request, Option<u16>> {
    let mut bytes = Vec::new();
    let (mut request, head) = loop {
        more(stream, &mut bytes).await?;
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(&bytes) {
            Ok(httparse::Status::Complete(head)) => {
                let (method, target) = (parsed.method.unwrap_or_default().to_owned(), parsed.path.unwrap_or_default().to_owned());
                let line = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                let headers = parsed.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec())).collect();
                break (Request { client, method, target, line, headers, body: Vec::new() }, head);
            }
            Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES => {}
            Ok(httparse::Status::Partial) | Err(_) => return Err(Some(400)),
        }
    };
    let length = match (request.header("content-length"), request.header("transfer-encoding")) {
        (None, None) => 0,
        (Some(length), None) => length.trim().parse::<usize>().map_err(|_| Some(400))?,
        (_, Some(_)) => return Err(Some(411)),
    };
    if length > BODY_BYTES {
        return Err(Some(413));
    }
    let mut body = bytes.split_off(head);
    while body.len() < length {
        more(stream, &mut body).await?;
    }
    body.truncate(length);
    request.body = body;
    Ok(request)
}

async fn more(stream: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<(), Option<u16>> {
    let mut part = [0; 4096];
    match stream.read(&mut part).await {
        Ok(count @ 1..) => {
            bytes.extend_from_slice(&part[..count]);
            Ok(())
        }
        Ok(0) | Err(_) => Err(None),
    }
}
