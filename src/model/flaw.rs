//! What is doubtful about an answer: some gateways take it and others refuse it, each by its own parser.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A rule that an answer breaks, with what breaks it. Foreign text: sanitise before showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flaw {
    /// A header's name has other characters than a token may have (RFC 9110 section 5.6.2).
    NameOfNoToken(String),
    /// A header's value has control characters (RFC 9110 section 5.5).
    ControlInValue(String),
    /// More header lines than this.
    ManyLines(usize),
}

/// Lines of a response header that HAProxy takes at most (tune.http.maxhdr).
pub const HAPROXY_LINES: usize = 101;

impl Flaw {
    /// Kinds of gateways that refuse it: HAProxy's `h1_headers_to_hdr_list`, Apache's `check_headers` (modules/http/http_filters.c).
    pub fn refused_by(&self) -> &'static [&'static str] {
        match self {
            Self::NameOfNoToken(_) => &["haproxy", "apache", "varnish", "envoy"],
            Self::ControlInValue(_) => &["apache", "envoy"],
            Self::ManyLines(_) => &["haproxy"],
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameOfNoToken(line) => write!(f, "a header name with characters that no token has: {line}"),
            Self::ControlInValue(line) => write!(f, "a control character in a header value: {line}"),
            Self::ManyLines(lines) => write!(f, "{lines} header lines"),
        }
    }
}
