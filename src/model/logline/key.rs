//! The key of a group of lines, in the form that `watch/logs/normalise.rs` writes:
//! `[level] message[, server: name][, upstream: "address"]`.

use super::Level;

/// What a key tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineKey<'a> {
    /// The level.
    pub level: Option<Level>,
    /// What was said, without what differs from line to line.
    pub message: &'a str,
    /// The site.
    pub server: Option<&'a str>,
    /// The upstream, as the line names it.
    pub upstream: Option<&'a str>,
}

/// Reads a key. What is no part of the form belongs to the message. From the right: what stands there was put there last.
pub fn read_key(key: &str) -> LineKey<'_> {
    let level = key.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let (level, mut message) = match level.and_then(|(word, rest)| Some((Level::parse(word)?, rest))) {
        Some((level, rest)) => (Some(level), rest),
        None => (None, key),
    };
    let mut upstream = None;
    if let Some((before, address)) = message.strip_suffix('"').and_then(|rest| rest.rsplit_once(", upstream: \"")) {
        (message, upstream) = (before, Some(address));
    }
    let mut server = None;
    // A server's name has no blank; a sentence about a server has.
    if let Some((before, name)) = message.rsplit_once(", server: ").filter(|(_, name)| !name.contains(' ')) {
        (message, server) = (before, Some(name));
    }
    LineKey { level, message, server, upstream }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_key_was_made_of_is_read_back() {
        let key = "[error] connect() failed (111: Connection refused) while connecting to upstream, server: shop, upstream: \"http://127.0.0.1:8000\"";
        let message = "connect() failed (111: Connection refused) while connecting to upstream";
        let read = read_key(key);
        assert_eq!((read.level, read.message), (Some(Level::Error), message));
        assert_eq!((read.server, read.upstream), (Some("shop"), Some("http://127.0.0.1:8000")));
        for plain in ["", "[", "[error]", "worker died, server: is gone away", "[shop] up", ", upstream: \""] {
            assert_eq!(read_key(plain), LineKey { message: plain, ..LineKey::default() }, "{plain:?}");
        }
    }
}
