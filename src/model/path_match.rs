//! Which requests of a site take a route, as far as the path tells: the same for nginx's `location`, Apache's `ProxyPass`,
//! HAProxy's `use_backend` and Caddy's matchers.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{Route, Site};

/// Bytes that one compiled pattern may take: a location's pattern is a line, and there may be hundreds.
const REGEX_BYTES: usize = 64 << 10;
/// Patterns that are kept compiled.
const KEPT: usize = 1024;

/// The paths that a route takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PathMatch {
    /// This path only.
    Exact(String),
    /// Every path that begins so.
    Prefix(String),
    /// Every path that begins so, and no pattern is asked after it: nginx's `^~`.
    FinalPrefix(String),
    /// Every path in which this pattern, in the syntax of the regex crate, is found.
    Pattern(String),
    /// Every path.
    Any,
    /// More than the path decides: a header, a variable, an internal redirect. The condition, as written.
    Condition(String),
}

/// How a site chooses among its routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChoice {
    /// An exact one, else the longest prefix if it is final, else the first pattern, else the longest prefix
    /// (ngx_http_core_module, "location").
    #[default]
    Location,
    /// The first that takes the request, in the order of [`Site::routes`].
    FirstMatch,
}

impl PathMatch {
    /// Of a location as nginx writes it: `/api/`, `= /`, `^~ /x`, `~ \.php$`, `~* \.php$`, `@name`.
    pub fn of_location(text: &str) -> Self {
        let (modifier, rest) = text.split_once(' ').unwrap_or(("", text));
        let rest = rest.trim();
        match modifier {
            "=" => Self::Exact(rest.to_owned()),
            "^~" => Self::FinalPrefix(rest.to_owned()),
            "~" => Self::Pattern(rest.to_owned()),
            "~*" => Self::Pattern(format!("(?i){rest}")),
            "" if !rest.starts_with('@') => Self::Prefix(rest.to_owned()),
            _ => Self::Condition(text.to_owned()),
        }
    }

    /// Whether a request for this path is taken. `None`: the path alone does not tell.
    pub fn takes(&self, path: &str) -> Option<bool> {
        match self {
            Self::Exact(exact) => Some(exact == path),
            Self::Prefix(prefix) | Self::FinalPrefix(prefix) => Some(path.starts_with(prefix.as_str())),
            Self::Pattern(pattern) => compiled(pattern).map(|regex| regex.is_match(path)),
            Self::Any => Some(true),
            Self::Condition(_) => None,
        }
    }

    fn prefix(&self) -> Option<&str> {
        match self {
            Self::Prefix(prefix) | Self::FinalPrefix(prefix) => Some(prefix),
            Self::Any => Some(""),
            Self::Exact(_) | Self::Pattern(_) | Self::Condition(_) => None,
        }
    }
}

impl Route {
    /// The paths that it takes.
    pub fn path_match(&self) -> Cow<'_, PathMatch> {
        // Recordings of before have nginx's words only.
        self.takes.as_ref().map_or_else(|| Cow::Owned(PathMatch::of_location(&self.pattern)), Cow::Borrowed)
    }
}

impl Site {
    /// The route that a request for this path takes. `None`: none does, or the path alone does not tell.
    pub fn route_for(&self, path: &str) -> Option<&Route> {
        match self.choice {
            RouteChoice::Location => by_location(&self.routes, path),
            RouteChoice::FirstMatch => {
                let mut asked = self.routes.iter().map(|route| (route.path_match().takes(path), route));
                // What only more than the path decides ends the search.
                asked.find(|(takes, _)| *takes != Some(false)).filter(|(takes, _)| takes.is_some()).map(|(_, route)| route)
            }
        }
    }
}

fn by_location<'a>(routes: &'a [Route], path: &str) -> Option<&'a Route> {
    let all: Vec<(Cow<'a, PathMatch>, &'a Route)> =
        routes.iter().map(|route| (route.path_match(), route)).filter(|(takes, _)| takes.takes(path) == Some(true)).collect();
    let taking = || all.iter();
    if let Some((_, exact)) = taking().find(|(takes, _)| matches!(**takes, PathMatch::Exact(_))) {
        return Some(exact);
    }
    let longest = taking().filter_map(|one| Some((one.0.prefix()?.len(), one))).max_by_key(|(length, _)| *length);
    let open = longest.is_none_or(|(_, (takes, _))| !matches!(**takes, PathMatch::FinalPrefix(_)));
    let pattern = || taking().find(|(takes, _)| matches!(**takes, PathMatch::Pattern(_)));
    open.then(pattern).flatten().or(longest.map(|(_, one)| one)).map(|(_, route)| *route)
}

/// The pattern, compiled once. `None`: it is one that PCRE knows and the regex crate does not.
fn compiled(pattern: &str) -> Option<Regex> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Option<Regex>>>> = LazyLock::new(Mutex::default);
    let mut known = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(regex) = known.get(pattern) {
        return regex.clone();
    }
    let regex = RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build().ok();
    if known.len() >= KEPT {
        known.clear();
    }
    known.insert(pattern.to_owned(), regex.clone());
    regex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_in_nginx_words() {
        let takes = |text: &str, path: &str| PathMatch::of_location(text).takes(path);
        assert_eq!(takes("/api/", "/api/x"), Some(true));
        assert_eq!(takes("= /", "/x"), Some(false));
        assert_eq!(takes("~ \\.php$", "/a.php"), Some(true));
        assert_eq!(takes("~* \\.PHP$", "/a.php"), Some(true));
        assert_eq!(takes("@app", "/"), None);
        assert_eq!(takes("~ (?<=a)b", "/ab"), None, "a pattern that only PCRE knows");
    }
}
