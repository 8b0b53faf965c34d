//! What the access log can say of one request.

use super::request::Request;

/// One request, as it ended.
#[derive(Debug)]
pub(super) struct Served<'a> {
    /// The request. `None`: none came that could be read.
    pub(super) request: Option<&'a Request>,
    /// Whose it was.
    pub(super) client: std::net::IpAddr,
    /// What the client got.
    pub(super) status: u16,
    /// Bytes of the body that the client got.
    pub(super) sent: u64,
    /// Upstreams that were tried, each with the status that it gave or that its failure was turned into.
    pub(super) tried: &'a [(String, u16)],
    /// Milliseconds from the request to the end of the answer.
    pub(super) took_ms: f64,
}

impl Served<'_> {
    /// The value of a variable of ngx_http_log_module and ngx_http_upstream_module. `None`: there is none.
    pub(super) fn value(&self, name: &str) -> Option<String> {
        let header = |name: &str| self.request.and_then(|request| request.header(name));
        let list = |of: fn(&(String, u16)) -> String| Some(self.tried.iter().map(of).collect::<Vec<_>>().join(", "));
        match name {
            "remote_addr" => Some(self.client.to_string()),
            "request" => self.request.map(|request| request.line.clone()),
            "request_method" => self.request.map(|request| request.method.clone()),
            "request_uri" => self.request.map(|request| request.target.clone()),
            "uri" => self.request.map(|request| request.path().to_owned()),
            "status" => Some(self.status.to_string()),
            "body_bytes_sent" => Some(self.sent.to_string()),
            "host" => self.request.map(Request::host),
            "request_time" => Some(format!("{:.3}", self.took_ms / 1e3)),
            "upstream_addr" => list(|(address, _)| address.clone()),
            "upstream_status" => list(|(_, status)| status.to_string()),
            "upstream_response_time" => (!self.tried.is_empty()).then(|| format!("{:.3}", self.took_ms / 1e3)),
            other => other.strip_prefix("http_").and_then(|name| header(&name.replace('_', "-"))),
        }
    }
}
