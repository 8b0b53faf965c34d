//! `use_backend %[req.hdr(host),lower,map(FILE)]`: backends that a file names, by host name or by path.

use std::path::Path;

use crate::{model::Order as _, model::PathMatch, sys::Root};

/// Bytes of a map, and entries of it that are read.
const BYTES: u64 = 4 << 20;
const ENTRIES: usize = 20_000;

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Host,
    Path,
}

/// A name of requests (`None`: any), the paths of them (`None`: all), and the backend that they go to. Of a backend that only the
/// request tells, one entry without a backend.
pub type Entry = (Option<String>, Option<PathMatch>, Option<String>);

/// The backends that a dynamic name can come to.
pub fn entries(text: &str, root: &Root) -> Vec<Entry> {
    lookup(text, root).unwrap_or_else(|| vec![(None, None, None)])
}

fn lookup(text: &str, root: &Root) -> Option<Vec<Entry>> {
    // Text beside the expression makes names of the values.
    let (before, rest) = text.split_once("%[")?;
    let (expression, after) = rest.rsplit_once(']')?;
    let (fetch, rest) = expression.split_once(",map").filter(|_| !after.contains("%["))?;
    let (kind, rest) = rest.split_once('(')?;
    let (file, default) = rest.strip_suffix(')').map(|inner| inner.split_once(',').unwrap_or((inner, "")))?;
    let fetch = fetch.to_ascii_lowercase();
    let key = match fetch.split(',').next()? {
        "req.hdr(host)" | "hdr(host)" | "req.fhdr(host)" | "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => Key::Host,
        "path" => Key::Path,
        _ => return None,
    };
    let mut lines = read(root, Path::new(file))?;
    let named = |value: &str| format!("{before}{value}{after}");
    let mut out: Vec<Entry> = match (key, kind) {
        (Key::Host, "" | "_str" | "_dom") => {
            lines.into_iter().map(|(name, value)| (Some(name.to_ascii_lowercase()), None, Some(named(&value)))).collect()
        }
        (Key::Path, "" | "_str") => {
            lines.into_iter().map(|(path, value)| (None, Some(PathMatch::Exact(path)), Some(named(&value)))).collect()
        }
        // The longest that fits (pattern.c, pat_match_beg in a tree of prefixes).
        (Key::Path, "_beg") => {
            lines.order_by_key(|(path, _)| std::cmp::Reverse(path.len()));
            lines.into_iter().map(|(path, value)| (None, Some(PathMatch::Prefix(path)), Some(named(&value)))).collect()
        }
        (Key::Host | Key::Path, _) => return None,
    };
    if !default.is_empty() {
        out.push((None, None, Some(named(default))));
    }
    Some(out)
}

/// Keys with values, without comments.
fn read(root: &Root, path: &Path) -> Option<Vec<(String, String)>> {
    let (bytes, more) = root.read_at_most(path, BYTES).ok()?;
    if more {
        return None;
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = |line: &str| {
        let (key, value) = line.trim().split_once(char::is_whitespace)?;
        (!key.starts_with('#')).then(|| (key.to_owned(), value.trim().to_owned()))
    };
    let all: Vec<_> = text.lines().filter_map(line).take(ENTRIES + 1).collect();
    (all.len() <= ENTRIES).then_some(all)
}
