//! Requests of access logs in the form in which they are grouped: `502 GET up=127.0.0.1:8000,127.0.0.1:8001 ups=502,502`.
//! The status that the client got, the method, and of each attempt at an upstream the address and its status; `-` for what is
//! not known. `watch/logs/normalise.rs` writes this form.

use super::{Dialect, Entry};

/// Reads a request back from the key of its group.
pub fn read_access_key(key: &str) -> Entry<'_> {
    let status = key.split(' ').next().and_then(|word| word.parse().ok());
    let attempts = key.split(' ').find_map(|word| word.strip_prefix("up="));
    // The last attempt is the one that decided.
    let upstream = attempts.and_then(|list| list.rsplit(',').next()).filter(|address| *address != "-");
    Entry { dialect: Dialect::NginxAccess, message: key.into(), status, upstream: upstream.map(Into::into), ..Entry::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_last_upstream_are_read_back() {
        let entry = read_access_key("502 GET up=127.0.0.1:8000,unix:/run/b.sock ups=502,502");
        assert_eq!((entry.status, entry.upstream.as_deref()), (Some(502), Some("unix:/run/b.sock")));
        let entry = read_access_key("? not of the log format");
        assert_eq!((entry.status, entry.upstream), (None, None));
    }
}
