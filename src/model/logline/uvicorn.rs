//! uvicorn: `INFO:     message`, the level filled up to ten columns (uvicorn/logging.py, `levelprefix`).
//!
//! A request, `INFO:     127.0.0.1:36138 - "GET /x HTTP/1.1" 502 Bad Gateway`, says `uvicorn 502 GET`.

use super::{
    Carried, Dialect, Entry, Level, request_line,
    trace::{first_line, told},
};

/// Columns up to which the level is filled.
const PREFIX_BYTES: usize = 10;

/// Reads a line of uvicorn.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (prefix, said) = carried.text.split_at_checked(PREFIX_BYTES)?;
    let word = prefix.trim_end_matches(' ').strip_suffix(':')?;
    if !matches!(word, "TRACE" | "DEBUG" | "INFO" | "WARNING" | "ERROR" | "CRITICAL") || word.len() + 1 == PREFIX_BYTES {
        return None;
    }
    let entry = Entry { dialect: Dialect::Uvicorn, level: Level::parse(word), ..Entry::default() };
    let line = first_line(said);
    if let Some((status, method, request, client)) = request(line) {
        return Some(Entry {
            message: format!("uvicorn {status:03} {method}").into(),
            status: Some(status),
            request: Some(request.into()),
            client: Some(client.into()),
            ..entry
        });
    }
    Some(Entry { message: told(line, said), ..entry })
}

/// `127.0.0.1:36138 - "GET /x HTTP/1.1" 502 Bad Gateway`: status, method, request line and client.
pub(super) fn request(line: &str) -> Option<(u16, &str, &str, &str)> {
    let (client, rest) = line.split_once(" - \"")?;
    // The target is percent-encoded: it has no quote.
    let (request, rest) = rest.split_once("\" ")?;
    let (method, _) = request_line(request)?;
    let status = rest.get(..3)?.parse().ok()?;
    let addressed = !client.is_empty() && !client.contains(' ');
    addressed.then_some((status, method, request, client.rsplit_once(':').map_or(client, |(host, _)| host)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn lines_requests_and_traces() {
        let entry = any("WARNING:  Invalid HTTP request received.");
        assert_eq!(
            (entry.dialect, entry.level, &*entry.message),
            (Dialect::Uvicorn, Some(Level::Warning), "Invalid HTTP request received.")
        );
        let entry = any("INFO:     127.0.0.1:36148 - \"GET /502?a=b HTTP/1.1\" 502 Bad Gateway");
        assert_eq!((entry.status, &*entry.message, entry.client.as_deref()), (Some(502), "uvicorn 502 GET", Some("127.0.0.1")));
        let entry = any(
            "ERROR:    Exception in ASGI application\nTraceback (most recent call last):\n  File \"x\", line 1, in app\nValueError: boom\nof two lines",
        );
        assert_eq!(entry.message, "ValueError: boom (Exception in ASGI application)");
        for other in ["ERROR: x", "INFO:", "INFO: 1234567 x", "ERROR:root:x"] {
            assert_ne!(any(other).dialect, Dialect::Uvicorn, "{other}");
        }
    }
}
