//! Texts that patterns of a configuration take: a path to ask a location for, a host to ask a site for.
//!
//! Patterns are PCRE's, in the words of nginx, Apache and lighttpd, and wildcards of host names. What must not be here: which location or
//! site takes a request, which each gateway decides in its own way.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};

use crate::model::Site;

/// Bytes that one compiled pattern may take: a location's pattern is a line, and there may be hundreds.
const REGEX_BYTES: usize = 64 << 10;
/// Bytes of a pattern that is looked at.
const PATTERN_BYTES: usize = 1024;
/// Groups within groups that are followed.
const GROUPS_DEEP: usize = 16;
/// Bytes of a host name (RFC 1035 section 2.3.4).
const HOST_BYTES: usize = 253;

/// Paths that a pattern takes, likeliest first. `compiled`: the same, where it can be; else they may not fit.
pub fn paths(pattern: &str, compiled: Option<&Regex>) -> Vec<String> {
    let made = generate(pattern);
    let mut paths = vec!["/".to_owned(), "/index.php".to_owned()];
    // `\.png$` asks for a name before it.
    let stem = if made.starts_with('.') { "/x" } else { "/" };
    paths.extend([made.clone(), format!("{stem}{made}"), format!("/x{made}"), format!("/index{made}")]);
    paths.retain(|path| path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
    match compiled {
        Some(regex) => paths.retain(|path| regex.is_match(path)),
        None => paths.rotate_left(2),
    }
    paths
}

/// Paths that a pattern alone takes, likeliest first.
pub fn of_pattern(pattern: &str) -> Vec<String> {
    paths(pattern, compile(pattern, false).as_ref())
}

/// Gives each site of which only patterns are written (`*.shop.test`, `~^(www\.)?shop\.test$`) a name that they take, so that it can be
/// asked for. Not one that another site has: that goes before a pattern.
pub fn name_patterns(sites: &mut [Site]) {
    let unnamed = |site: &Site| site.host().is_none() && !site.names.is_empty();
    let made: Vec<(usize, String)> = sites
        .iter()
        .enumerate()
        .filter(|(_, site)| unnamed(site))
        .filter_map(|(index, site)| Some((index, host(&site.names)?)))
        .collect();
    if made.is_empty() {
        return;
    }
    let mut known: HashSet<String> = sites.iter().flat_map(|site| &site.names).map(|name| name.to_ascii_lowercase()).collect();
    for (index, name) in made {
        if known.insert(name.clone()) {
            sites[index].names.push(name);
        }
    }
}

/// A host that one of these patterns takes.
fn host(patterns: &[String]) -> Option<String> {
    let is_host = |text: &String| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !text.is_empty() && text.len() <= HOST_BYTES && text.bytes().all(fits) && !text.starts_with('.')
    };
    let of = |pattern: &String| {
        if let Some(expression) = pattern.strip_prefix('~') {
            let made = generate(expression).to_ascii_lowercase();
            return compile(expression, true).is_some_and(|regex| regex.is_match(&made)).then_some(made);
        }
        let under = pattern.strip_prefix("*.").map(|tail| format!("www.{tail}"));
        under.or_else(|| pattern.strip_suffix(".*").map(|head| format!("{head}.test")))
    };
    patterns.iter().find_map(|pattern| of(pattern).filter(is_host))
}

/// Compiles a pattern. `None`: it is one that PCRE knows and we don't, or too large.
pub fn compile(pattern: &str, ignore_case: bool) -> Option<Regex> {
    let pattern = pattern.get(..PATTERN_BYTES.min(pattern.len()))?;
    RegexBuilder::new(pattern).case_insensitive(ignore_case).size_limit(REGEX_BYTES).dfa_size_limit(REGEX_BYTES).build().ok()
}

/// A text that a pattern matches, as far as plain patterns go: the first branch, nothing optional.
fn generate(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().take(PATTERN_BYTES).collect();
    let mut out = String::new();
    branches(&chars, &mut 0, GROUPS_DEEP, &mut out);
    out
}

/// Generates the first of the alternatives up to the closing parenthesis, and passes over the others.
fn branches(chars: &[char], at: &mut usize, depth: usize, out: &mut String) {
    let mut first = true;
    while let Some(c) = chars.get(*at).copied() {
        let before = out.len();
        *at += 1;
        match c {
            ')' => return,
            '|' => {
                first = false;
                continue;
            }
            '^' | '$' => continue,
            '(' if depth > 0 => {
                let looks = group_head(chars, at);
                branches(chars, at, depth - 1, out);
                if looks {
                    out.truncate(before);
                }
            }
            '[' => out.extend(class(chars, at)),
            '.' => out.push('x'),
            '\\' => {
                let escaped = chars.get(*at).copied().unwrap_or('\\');
                *at += 1;
                match escaped {
                    'd' => out.push('1'),
                    'w' | 'S' | 'D' => out.push('a'),
                    'b' | 'B' | 'A' | 'z' | 'Z' => {}
                    other => out.push(other),
                }
            }
            other => out.push(other),
        }
        match chars.get(*at) {
            Some('?' | '*') => {
                *at += 1;
                out.truncate(before);
            }
            Some('+') => *at += 1,
            Some('{') => repeat(chars, at, before, out),
            Some(_) | None => {}
        }
        // A lazy or possessive mark changes nothing of what matches.
        while matches!(chars.get(*at), Some('?' | '+')) && matches!(chars.get(*at - 1), Some('?' | '*' | '+' | '}')) {
            *at += 1;
        }
        if !first {
            out.truncate(before);
        }
    }
}

/// Passes over `?:`, `?<name>`, `?i)`. Whether the group only looks around, and so adds nothing to the path.
fn group_head(chars: &[char], at: &mut usize) -> bool {
    if chars.get(*at) != Some(&'?') {
        return false;
    }
    *at += 1;
    while let Some(c) = chars.get(*at).copied() {
        if c == ')' {
            return false;
        }
        *at += 1;
        if matches!(c, ':' | '>' | '=' | '!') {
            return matches!(c, '=' | '!');
        }
    }
    false
}

/// After a `[`: a character of the class.
fn class(chars: &[char], at: &mut usize) -> Option<char> {
    let negated = chars.get(*at) == Some(&'^');
    let start = *at + usize::from(negated);
    let length = chars.iter().skip(start + 1).position(|c| *c == ']')? + 1;
    let members = chars.get(start..start + length)?;
    *at = start + length + 1;
    if negated {
        return ('a'..='z').find(|c| !members.contains(c));
    }
    match members {
        ['\\', 'd', ..] => Some('1'),
        ['\\', 'w', ..] => Some('a'),
        ['\\', other, ..] | [other, ..] => Some(*other),
        [] => None,
    }
}

/// After an atom: `{2}`, `{2,5}`.
fn repeat(chars: &[char], at: &mut usize, before: usize, out: &mut String) {
    /// A pattern that wants more of one atom than this is no path.
    const TIMES: usize = 40;
    let Some(length) = chars.iter().skip(*at).position(|c| *c == '}') else {
        return;
    };
    let inside: String = chars.iter().skip(*at + 1).take(length.saturating_sub(1)).collect();
    *at += length + 1;
    let atom = out.split_off(before.min(out.len()));
    let times: usize = inside.split(',').next().and_then(|number| number.trim().parse().ok()).unwrap_or(1);
    if atom.len() * times.min(TIMES) < PATTERN_BYTES {
        out.push_str(&atom.repeat(times.min(TIMES)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_host_is_made_of_patterns_where_there_is_no_name() {
        for (patterns, made) in [
            (&[r"~^(www\.)?shop\.test$"][..], Some("shop.test")),
            (&[r"~^(?<sub>.+)\.Shop\.test$"], Some("x.shop.test")),
            (&["~shop"], Some("shop")),
            (&["*.shop.test"], Some("www.shop.test")),
            (&["shop.*"], Some("shop.test")),
            (&[r"~^(?!www)", "*.a.test"], Some("www.a.test")),
            (&["_"], None),
            (&["~^$"], None),
        ] {
            let patterns: Vec<String> = patterns.iter().map(|one| (*one).to_owned()).collect();
            assert_eq!(host(&patterns).as_deref(), made, "{patterns:?}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_is_too_odd(pattern in r"[\\()\[\]{}|?*+^$.,a0-9:<>=!-]{0,80}") {
            prop_assert!(generate(&pattern).len() <= PATTERN_BYTES * 50);
        }
    }
}
