//! How long a server keeps a connection that nobody uses.

use serde::{Deserialize, Serialize};

/// How long a server keeps a connection that nobody uses: one request was answered on it, then nothing was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepaliveView {
    /// Whether its answer left the connection open: neither `Connection: close`, nor HTTP/1.0, nor a body that ends with it.
    pub kept: bool,
    /// Milliseconds that its `Keep-Alive: timeout=` header promises.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced_ms: Option<u64>,
    /// Milliseconds after which it closed. `None`: it did not within `waited_ms`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_ms: Option<u64>,
    /// Whether it closed by a reset.
    #[serde(default)]
    pub reset: bool,
    /// Milliseconds that it was looked at.
    pub waited_ms: u64,
}

impl KeepaliveView {
    /// For a person, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        match (self.kept, self.closed_ms) {
            (false, _) => lines.push("kept: no, each answer ends its connection".to_owned()),
            (true, Some(ms)) if self.reset => lines.push(format!("kept: reset after {ms} ms without a request")),
            (true, Some(ms)) => lines.push(format!("kept: closed after {ms} ms without a request")),
            (true, None) => lines.push(format!("kept: still open after {} ms without a request", self.waited_ms)),
        }
        lines.extend(self.announced_ms.map(|ms| format!("promised: {} s (Keep-Alive)", ms / 1000)));
        lines
    }
}
