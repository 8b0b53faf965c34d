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

/// The backends that a dynamic name can come to. `known`: all that there are.
pub fn entries<'a>(text: &str, root: &Root, known: impl Iterator<Item = &'a str>) -> Vec<Entry> {
    let found = lookup(text, root).or_else(|| made_of_host(text, known));
    found.unwrap_or_else(|| vec![(None, None, None)])
}

/// The backends whose names `be-%[req.hdr(host),lower,word(1,.)]` can make, each with the hosts that do. `None`: there are none, or more than
/// the host makes them.
fn made_of_host<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<Vec<Entry>> {
    let (before, rest) = text.split_once("%[")?;
    let (expression, after) = rest.split_once(']').filter(|(_, after)| !after.contains("%["))?;
    let mut steps = expression.to_ascii_lowercase();
    steps.retain(|c| !c.is_whitespace());
    let steps = steps.strip_prefix("req.hdr(host)").or_else(|| steps.strip_prefix("hdr(host)"))?.replace(",lower", "");
    // A port behind the name is not sent by who asks at the usual one.
    let host = |part: &str| match steps.replace(",host_only", "").replace(",field(1,:)", "").replace(",word(1,:)", "").as_str() {
        "" => Some(part.to_owned()),
        ",word(1,.)" | ",field(1,.)" => Some(format!("{part}.*")),
        _ => None,
    };
    let part = |name: &&'a str| name.strip_prefix(before)?.strip_suffix(after).filter(|part| !part.is_empty());
    let mut names: Vec<(&str, &str)> = known.filter_map(|name| Some((name, part(&name)?))).collect();
    // Where the host alone is the name, others than such are for other rules.
    names.retain(|(name, part)| name.len() > part.len() || part.contains('.') || steps.contains(".)"));
    names.sort_unstable();
    let entries: Vec<Entry> = names
        .into_iter()
        .map(|(name, part)| Some((Some(host(part)?.to_ascii_lowercase()), None, Some(name.to_owned()))))
        .collect::<Option<_>>()?;
    (!entries.is_empty()).then_some(entries)
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
