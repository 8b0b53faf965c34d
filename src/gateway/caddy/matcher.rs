//! Matchers: which requests a directive takes (caddyhttp/matchers.go), as far as the path and the host tell.

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::tree::Directive;
use crate::model::PathMatch;

/// Patterns of one matcher that are kept.
const PATTERNS: usize = 200;

/// What a request must be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matcher {
    /// Its path.
    pub path: PathMatch,
    /// A path that it can have.
    pub sample: String,
    /// Its host is one of these. `None`: any.
    pub hosts: Option<Vec<String>>,
    /// What else must hold, as written.
    pub other: Option<String>,
    /// As written.
    pub text: String,
}

impl Matcher {
    /// Of every request.
    pub fn any() -> Self {
        Self { path: PathMatch::Any, sample: "/".to_owned(), hosts: None, other: None, text: "*".to_owned() }
    }

    /// Of paths as Caddy writes them: `/api/*`, `*.php`, `/exact`.
    pub fn paths(patterns: &[String]) -> Self {
        let text = patterns.join(" ");
        match patterns {
            [] => Self::any(),
            [one] => Self { path: path(one), sample: sample(one), text, ..Self::any() },
            [first, ..] => {
                let all: Vec<String> = patterns.iter().take(PATTERNS).map(|one| pattern(one)).collect();
                Self { path: PathMatch::Pattern(format!("(?i)(?:{})", all.join("|"))), sample: sample(first), text, ..Self::any() }
            }
        }
    }

    /// Both of two, the second of which sees what `strip` of the path has left.
    pub fn and(&self, inner: &Self, rewrite: Option<&(String, String)>) -> Self {
        let (path, sample) = both((&self.path, &self.sample), &inner.path, &inner.sample, rewrite);
        let hosts = match (&self.hosts, &inner.hosts) {
            (Some(outer), Some(inner)) => {
                let within = |host: &&String| outer.iter().any(|pattern| covers(pattern, host));
                Some(inner.iter().filter(within).cloned().collect())
            }
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        let other = match (&self.other, &inner.other) {
            (Some(outer), Some(inner)) => Some(format!("{outer}, {inner}")),
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let text = match (self.text.as_str(), inner.text.as_str()) {
            (outer, "*") => outer.to_owned(),
            ("*", inner) => inner.to_owned(),
            (outer, inner) => format!("{outer} {inner}"),
        };
        Self { path, sample, hosts, other, text }
    }

    /// The paths that are taken; a condition where more than the path decides.
    pub fn takes(&self) -> PathMatch {
        self.other.as_ref().map_or_else(|| self.path.clone(), |other| PathMatch::Condition(other.clone()))
    }

    /// By how much it goes before another of the same directive (httpcaddyfile, sortRoutes): the longest path first, those
    /// without any matcher last.
    pub fn rank(&self) -> (bool, usize) {
        let length = match &self.path {
            PathMatch::Exact(path) => path.len() + 1,
            PathMatch::Prefix(path) | PathMatch::FinalPrefix(path) => path.len(),
            PathMatch::Pattern(_) | PathMatch::Any | PathMatch::Condition(_) => 0,
        };
        (self.text != "*", length)
    }
}

/// Whether a host's pattern takes another: a star stands for one label (MatchHost.Match).
fn covers(pattern: &str, host: &str) -> bool {
    let (mut pattern, mut host) = (pattern.split('.'), host.split('.'));
    loop {
        match (pattern.next(), host.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == "*" || a.eq_ignore_ascii_case(b) => {}
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

/// What two paths have in common. A rewrite stands between them: the inner one sees the path after it.
fn both(
    outer: (&PathMatch, &str),
    inner: &PathMatch,
    inner_sample: &str,
    rewrite: Option<&(String, String)>,
) -> (PathMatch, String) {
    // Back to what the client asked for.
    let back = |path: &str| match rewrite {
        Some((from, to)) => path.strip_prefix(to.as_str()).map(|rest| format!("{from}{rest}")),
        None => Some(path.to_owned()),
    };
    let within = |path: &str| outer.0.takes(path) != Some(false);
    match (outer.0, inner) {
        (_, PathMatch::Any) => (outer.0.clone(), outer.1.to_owned()),
        (_, PathMatch::Exact(path)) => match back(path).filter(|path| within(path)) {
            Some(path) => (PathMatch::Exact(path.clone()), path),
            None => (PathMatch::Condition(format!("{path} within {}", outer.1)), outer.1.to_owned()),
        },
        (_, PathMatch::Prefix(path) | PathMatch::FinalPrefix(path)) => match back(path) {
            // `/api/` within `/api/v1/`: the narrower of the two.
            Some(path) if within(&path) => (PathMatch::Prefix(path), back(inner_sample).unwrap_or_else(|| outer.1.to_owned())),
            Some(path) if matches!(outer.0, PathMatch::Prefix(outer) if outer.starts_with(&path)) => {
                (outer.0.clone(), outer.1.to_owned())
            }
            Some(_) | None => (PathMatch::Condition(format!("{path}* within {}", outer.1)), outer.1.to_owned()),
        },
        (PathMatch::Any, _) if rewrite.is_none() => (inner.clone(), inner_sample.to_owned()),
        (_, other) => {
            let what = match other {
                PathMatch::Pattern(text) | PathMatch::Condition(text) => text.clone(),
                PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::FinalPrefix(_) | PathMatch::Any => String::new(),
            };
            (PathMatch::Condition(format!("{what} within {}", outer.1)), outer.1.to_owned())
        }
    }
}

/// One pattern of a path: `*` at the end, at the begin, at both, or within (MatchPath.Match).
fn path(text: &str) -> PathMatch {
    match text {
        "*" | "/*" => PathMatch::Any,
        _ => match text.strip_suffix('*') {
            Some(prefix) if !prefix.contains(['*', '%', '{']) => PathMatch::Prefix(prefix.to_owned()),
            None if !text.contains(['*', '{']) => PathMatch::Exact(text.to_owned()),
            Some(_) | None if text.contains('{') => PathMatch::Condition(format!("path {text}")),
            Some(_) | None => PathMatch::Pattern(format!("(?i){}", pattern(text))),
        },
    }
}

/// The same as a regular expression.
fn pattern(text: &str) -> String {
    let inner = |text: &str| text.split('*').map(regex::escape).collect::<Vec<_>>().join("[^/]*");
    match (text.strip_prefix('*'), text.strip_suffix('*')) {
        _ if text == "*" => String::new(),
        (Some(rest), Some(_)) => rest.strip_suffix('*').map_or_else(String::new, regex::escape),
        (Some(rest), None) => format!("{}$", inner(rest)),
        (None, Some(rest)) => format!("^{}", inner(rest)),
        (None, None) => format!("^{}$", inner(text)),
    }
}

/// A path that the pattern takes.
fn sample(text: &str) -> String {
    let plain = |text: &str| text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{');
    let made = match text.strip_prefix('*') {
        Some("") => "/".to_owned(),
        Some(rest) => match rest.trim_end_matches('*') {
            body if body.starts_with('/') => body.to_owned(),
            body if body.starts_with('.') => format!("/index{body}"),
            body => format!("/{body}"),
        },
        None => text.replace('*', ""),
    };
    if plain(&made) { made } else { "/".to_owned() }
}

/// Named matchers of a block: `@api path /api/*`, `@api { ... }`.
pub type Named = BTreeMap<String, Matcher>;

/// Adds those that a block defines.
pub fn define(block: &[Directive], named: &mut Named) {
    for one in block.iter().filter(|one| one.name.starts_with('@')) {
        let matcher = match &one.block {
            Some(lines) => {
                let mut all = Matcher::any();
                for line in merged(lines) {
                    all = all.and(&of_line(&line[0], &line[1..]), None);
                }
                all
            }
            None => match one.args.split_first() {
                // `@api /api/*` is not allowed, but a lone expression in backticks is: `@x` + `path('/x')`.
                Some((kind, args)) => of_line(kind, args),
                None => Matcher::any(),
            },
        };
        let text = if matcher.text == "*" { one.name.to_string() } else { format!("{} ({})", one.name, matcher.text) };
        named.insert(one.name.to_string(), Matcher { text, ..matcher });
    }
}

/// Lines of one kind belong together: they are alternatives of each other, and all kinds must hold.
fn merged(lines: &[Directive]) -> Vec<Vec<CompactString>> {
    let mut out: Vec<Vec<CompactString>> = Vec::new();
    for line in lines {
        let words: Vec<CompactString> = match &line.block {
            Some(inner) => std::iter::once(line).chain(inner).map(|one| one.words().into()).collect(),
            None => std::iter::once(&line.name).chain(&line.args).cloned().collect(),
        };
        let joins = matches!(line.name.as_str(), "path" | "host" | "method");
        match out.iter_mut().find(|known| joins && known[0] == line.name) {
            Some(known) => known.extend(words.into_iter().skip(1)),
            None => out.push(words),
        }
    }
    out
}

fn of_line(kind: &str, args: &[CompactString]) -> Matcher {
    let text = std::iter::once(kind).chain(args.iter().map(CompactString::as_str)).collect::<Vec<_>>().join(" ");
    let any = Matcher { text: text.clone(), ..Matcher::any() };
    match kind {
        "path" => Matcher { text, ..Matcher::paths(&args.iter().map(CompactString::to_string).collect::<Vec<_>>()) },
        // `path_regexp [name] pattern`; Go's patterns and ours are the same family.
        "path_regexp" => match args.last() {
            Some(regex) => Matcher { path: PathMatch::Pattern(regex.to_string()), sample: of_regex(regex), ..any },
            None => any,
        },
        "host" => Matcher { hosts: Some(args.iter().map(|host| host.as_str().to_ascii_lowercase()).collect()), ..any },
        // Only GET is ever sent from here, and users who only read send nothing else.
        "method" if args.iter().any(|method| method.eq_ignore_ascii_case("GET")) => any,
        _ => Matcher { other: Some(text), ..any },
    }
}

/// A path that a plain regular expression finds: its literal beginning.
fn of_regex(regex: &str) -> String {
    let text = regex.strip_prefix("(?i)").unwrap_or(regex);
    let text = text.strip_prefix('^').unwrap_or(text);
    let literal: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_')).collect();
    let candidates = [literal.clone(), "/".to_owned(), "/index.php".to_owned(), format!("{literal}x")];
    let compiled = regex::Regex::new(regex).ok();
    let fits = |path: &String| path.starts_with('/') && compiled.as_ref().is_some_and(|regex| regex.is_match(path));
    candidates.into_iter().find(fits).unwrap_or_else(|| "/".to_owned())
}

/// The matcher that a directive has as its first parameter, and the number of parameters that it takes up.
pub fn of_directive(directive: &Directive, named: &Named) -> (Matcher, usize) {
    match directive.arg(0) {
        Some("*") => (Matcher::any(), 1),
        Some(path) if path.starts_with('/') => (Matcher::paths(&[path.to_owned()]), 1),
        Some(name) if name.starts_with('@') => {
            let unknown = || Matcher { other: Some(name.to_owned()), text: name.to_owned(), ..Matcher::any() };
            (named.get(name).cloned().unwrap_or_else(unknown), 1)
        }
        Some(_) | None => (Matcher::any(), 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched_as_caddy_does() {
        for (pattern, path, expected) in [
            ("/api/*", "/api/x", true),
            ("/api/*", "/api", false),
            ("/api*", "/apix", true),
            ("/exact", "/exact", true),
            ("/exact", "/exact/", false),
            ("*.php", "/a/b.php", true),
            ("*.php", "/a.php/x", false),
            ("*/admin/*", "/x/admin/y", true),
            ("/a/*/c", "/a/b/c", true),
            ("/a/*/c", "/a/b/b/c", false),
            ("*", "/", true),
        ] {
            let matcher = Matcher::paths(&[pattern.to_owned()]);
            assert_eq!(matcher.path.takes(path), Some(expected), "{pattern} {path}");
            assert_eq!(matcher.path.takes(&matcher.sample), Some(true), "the sample {} of {pattern}", matcher.sample);
        }
        let several = Matcher::paths(&["/a/*".to_owned(), "/b".to_owned()]);
        assert_eq!(
            (several.path.takes("/a/1"), several.path.takes("/b"), several.path.takes("/c")),
            (Some(true), Some(true), Some(false))
        );
    }

    #[test]
    fn a_stripped_prefix_is_put_back() {
        let outer = Matcher::paths(&["/api/*".to_owned()]);
        let strip = ("/api".to_owned(), String::new());
        let inner = outer.and(&Matcher::paths(&["/v1/*".to_owned()]), Some(&strip));
        assert_eq!((inner.path, inner.sample.as_str()), (PathMatch::Prefix("/api/v1/".to_owned()), "/api/v1/"));
        let plain = outer.and(&Matcher::paths(&["/api/v1/*".to_owned()]), None);
        assert_eq!(plain.path, PathMatch::Prefix("/api/v1/".to_owned()));
        let wider = Matcher::paths(&["/api/v1/*".to_owned()]).and(&outer, None);
        assert_eq!(wider.path, PathMatch::Prefix("/api/v1/".to_owned()));
    }
}
