//! Variables that the files alone tell: `set` with a static value, and `map`.

use std::collections::HashMap;

use super::{scope::Scope, tree::Directive};

/// Variables within variables at most.
const DEPTH: usize = 8;
/// Bytes that a value may grow to.
const VALUE_BYTES: usize = 4096;

/// What is known of variables at one place.
pub struct Variables<'a, 'm> {
    /// The blocks around it.
    pub scope: &'m Scope<'a>,
    /// `map` blocks by the name of the variable that they set.
    pub maps: &'m HashMap<&'a str, &'a Directive>,
    /// What a request to this site would give: `host`, `uri`, `document_root`.
    pub known: &'m dyn Fn(&str) -> Option<String>,
}

impl Variables<'_, '_> {
    /// A text with all variables replaced. `None`: only a request could tell.
    pub fn expand(&self, text: &str) -> Option<String> {
        self.expand_within(text, DEPTH)
    }

    fn expand_within(&self, text: &str, depth: usize) -> Option<String> {
        let mut out = String::new();
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => out.push_str(&self.value(name, depth.checked_sub(1)?)?),
            }
            if out.len() > VALUE_BYTES {
                return None;
            }
        }
        Some(out)
    }

    fn value(&self, name: &str, depth: usize) -> Option<String> {
        if let Some(known) = (self.known)(name) {
            return Some(known);
        }
        // `set` runs in the rewrite phase, the server's before the location's: the innermost and last wins.
        let set = self
            .scope
            .levels("set")
            .find_map(|own| own.iter().rev().find(|set| set.arg(0).and_then(|arg| arg.strip_prefix('$')) == Some(name)));
        if let Some(set) = set {
            return self.expand_within(set.arg(1)?, depth);
        }
        let map = self.maps.get(name)?;
        let source = self.expand_within(map.arg(0)?, depth);
        let exact = |wanted: &str| map.children().iter().find(|entry| entry.name.eq_ignore_ascii_case(wanted));
        let entry = source.filter(|text| text != "default").and_then(|text| exact(&text)).or_else(|| exact("default"));
        self.expand_within(entry?.arg(0)?, depth)
    }
}

/// Whether a text has variables.
pub fn is_dynamic(text: &str) -> bool {
    pieces(text).any(|piece| matches!(piece, Piece::Variable(_)))
}

/// Scheme and server of a target whose path begins with a `/`.
pub fn server_part(text: &str) -> Option<&str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let rest = &text[start..];
    let end = rest.find(['/', '?']).filter(|_| !rest.starts_with("unix:"))?;
    Some(&text[..start + end])
}

/// Whether the part that names the server is static, and only the path is made from variables.
pub fn static_head(text: &str) -> Option<&str> {
    let start = text.find("://").map_or(0, |at| at + 3);
    let dollar = text.find('$')?;
    let head = &text[..dollar];
    let rest = head.get(start..)?;
    let complete = match rest.strip_prefix("unix:") {
        Some(path) => path.contains(':'),
        // `http://127.0.0.1:8080$request_uri`: a port is complete where the variable begins, a host name may go on.
        None => {
            rest.contains('/')
                || (rest.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
                    && ["$request_uri", "$uri", "$document_uri"].iter().any(|path| text[dollar..].starts_with(path)))
                || ["$request_uri", "$uri", "$document_uri"].iter().any(|path| !rest.is_empty() && text[dollar..].starts_with(path))
        }
    };
    complete.then_some(head)
}

enum Piece<'t> {
    Text(&'t str),
    Variable(&'t str),
}

/// Splits at `$name` and `${name}`; a `$` that no name follows is text.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let after = rest.strip_prefix('$').unwrap_or_default();
        let name = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
        if let Some(inner) = after.strip_prefix('{')
            && let length @ 1.. = name(inner)
            && inner[length..].starts_with('}')
        {
            rest = &inner[length + 1..];
            return Some(Piece::Variable(&inner[..length]));
        }
        if let length @ 1.. = name(after) {
            rest = &after[length..];
            return Some(Piece::Variable(&after[..length]));
        }
        let skip = usize::from(rest.starts_with('$'));
        let end = rest[skip..].find('$').map_or(rest.len(), |at| at + skip);
        let (head, tail) = rest.split_at(end);
        rest = tail;
        (!head.is_empty()).then_some(Piece::Text(head))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_may_be_dynamic() {
        for (text, head) in [
            ("http://127.0.0.1:8080$request_uri", Some("http://127.0.0.1:8080")),
            ("http://app/x/$arg_a", Some("http://app/x/")),
            ("http://unix:/run/a.sock:$uri", Some("http://unix:/run/a.sock:")),
            ("http://app$request_uri", Some("http://app")),
            ("http://$host", None),
            ("http://app$suffix", None),
            ("http://127.0.0.1:80$n", None),
            ("$scheme://app/", None),
            ("http://unix:/run/$name.sock", None),
        ] {
            assert_eq!(static_head(text), head, "{text}");
        }
    }
}
