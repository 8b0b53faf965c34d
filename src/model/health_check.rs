//! How a gateway checks its servers: keys of [`Route::settings`](super::Route::settings), in words that are common to all kinds.

/// How the servers are checked: `GET /healthz`, or `connect` where the gateway only connects. What cannot be asked for as it is, is told in
/// other words behind the path. Without it no check is made.
pub const HEALTH_CHECK: &str = "health-check";
/// The port that is checked, where it is another than that of the requests.
pub const HEALTH_CHECK_PORT: &str = "health-check-port";
/// The Host that a check sends, where one is set.
pub const HEALTH_CHECK_HOST: &str = "health-check-host";
/// Another header that a check sends: its name.
pub const HEALTH_CHECK_HEADER: &str = "health-check-header";
/// The statuses by which a server passes: `200`, `2xx`, `200-399,404`. Without it 2xx and 3xx.
pub const HEALTH_CHECK_EXPECTS: &str = "health-check-expects";
/// What must stand in the body of the answer, as written.
pub const HEALTH_CHECK_BODY: &str = "health-check-body";

/// Whether this status is one that a check expects, in the words of [`HEALTH_CHECK_EXPECTS`]. `None`: what it expects is not understood.
pub fn expects(words: Option<&str>, status: u16) -> Option<bool> {
    let Some(words) = words else { return Some((200..=399).contains(&status)) };
    let mut any = false;
    for word in words.split([',', ' ']).filter(|word| !word.is_empty()) {
        let (low, high) = match word.split_once('-') {
            Some((low, high)) => (low.parse::<u16>().ok()?, high.parse::<u16>().ok()?),
            None => match word.strip_suffix("xx") {
                Some(class) => (class.parse::<u16>().ok()?.checked_mul(100)?, class.parse::<u16>().ok()?.checked_mul(100)? + 99),
                None => (word.parse().ok()?, word.parse().ok()?),
            },
        };
        any |= (low..=high).contains(&status);
    }
    Some(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_expected_as_they_are_written() {
        for (words, status, passes) in [
            (None, 200, Some(true)),
            (None, 302, Some(true)),
            (None, 404, Some(false)),
            (Some("200"), 200, Some(true)),
            (Some("200"), 204, Some(false)),
            (Some("2xx"), 204, Some(true)),
            (Some("2xx"), 302, Some(false)),
            (Some("200-399,404"), 404, Some(true)),
            (Some("200-399,404"), 403, Some(false)),
            (Some("200 301"), 301, Some(true)),
            (Some("999xx"), 301, None),
            (Some("{env.STATUS}"), 200, None),
        ] {
            assert_eq!(expects(words, status), passes, "{words:?} {status}");
        }
    }
}
