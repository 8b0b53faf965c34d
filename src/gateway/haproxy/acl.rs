//! Conditions: which requests a rule takes, as far as path and host name tell (configuration.txt section 7).
//!
//! A condition is an or of ands of ACLs, each perhaps negated; an ACL is an or of all lines of its name. What neither path nor
//! name decides (a source address, a cookie, a counter) is left open, never guessed.

use std::collections::BTreeMap;

use super::load::Line;
use crate::model::PathMatch;

/// Patterns of one ACL that are told as one; a blacklist of a thousand is a condition.
const PATTERNS: usize = 64;

/// One thing that is asked of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// The path is taken by one of these.
    Path(Vec<PathMatch>),
    /// The host name is one of these.
    Host(Vec<HostMatch>),
    /// The connection came with TLS.
    Tls,
    /// It always, or never, holds for a GET.
    Known(bool),
    /// Anything else.
    Open,
}

/// How a host name is compared; names are lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum HostMatch {
    Is(String),
    Begins(String),
    Ends(String),
    /// Labels of it are these.
    Domain(String),
    Contains(String),
}

impl HostMatch {
    fn takes(&self, host: &str) -> bool {
        match self {
            Self::Is(name) => host == name,
            Self::Begins(text) => host.starts_with(text.as_str()),
            Self::Ends(text) => host.ends_with(text.as_str()),
            Self::Domain(text) => format!(".{host}.").contains(&format!(".{text}.")),
            Self::Contains(text) => host.contains(text.as_str()),
        }
    }

    /// A name that it takes, where one is plain.
    fn sample(&self) -> Option<String> {
        match self {
            Self::Is(name) | Self::Domain(name) => Some(name.clone()),
            Self::Begins(text) => Some(if text.ends_with('.') { format!("{text}test") } else { text.clone() }),
            Self::Ends(text) => Some(if text.starts_with(['.', '-']) { format!("www{text}") } else { text.clone() }),
            Self::Contains(_) => None,
        }
    }
}

/// The ACLs of a proxy, by name.
#[derive(Debug, Default)]
pub struct Acls(BTreeMap<String, Vec<Test>>);

/// The condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Condition {
    /// Or of ands of tests, each an or itself; the flag says that it is negated.
    any: Vec<Vec<(bool, Vec<Test>)>>,
    /// As written.
    text: String,
    /// `unless`: it is the other way round.
    unless: bool,
}

/// What a condition comes to for a host name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Takes {
    /// No request of that name.
    None,
    /// Those of these paths.
    Paths(PathMatch),
}

impl Acls {
    /// Of all `acl` lines of a proxy.
    pub fn of<'a>(lines: impl Iterator<Item = &'a Line>) -> Self {
        let mut out = Self::default();
        for line in lines.filter(|line| line.len() > 2) {
            out.0.entry(line.word(1).to_owned()).or_default().push(test(&line.words().skip(2).collect::<Vec<_>>()));
        }
        out
    }

    /// The condition in the words behind a rule: from `if` or `unless` on. `None`: there is none.
    pub fn condition(&self, line: &Line) -> Option<Condition> {
        let words: Vec<&str> = line.words().collect();
        let at = words.iter().position(|word| *word == "if" || *word == "unless")?;
        let mut out = Condition { text: words[at..].join(" "), unless: words[at] == "unless", ..Condition::default() };
        let mut all: Vec<(bool, Vec<Test>)> = Vec::new();
        let mut negated = false;
        let mut rest = words[at + 1..].iter();
        while let Some(word) = rest.next() {
            let (bang, word) = match word.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, *word),
            };
            negated ^= bang;
            match word {
                "" | "and" | "AND" => continue,
                "or" | "OR" | "||" => {
                    out.any.push(std::mem::take(&mut all));
                    negated = false;
                    continue;
                }
                // An ACL without a name.
                "{" => {
                    let inner: Vec<&str> = rest.by_ref().take_while(|word| **word != "}").copied().collect();
                    all.push((negated, vec![test(&inner)]));
                }
                name => all.push((negated, self.0.get(name).cloned().unwrap_or_else(|| vec![predefined(name)]))),
            }
            negated = false;
        }
        out.any.push(all);
        Some(out)
    }
}

impl Condition {
    /// One that is about the path alone.
    pub fn of_path(takes: PathMatch) -> Self {
        let text = format!("{takes:?}");
        Self { any: vec![vec![(false, vec![Test::Path(vec![takes])])]], text, unless: false }
    }

    /// Whether it makes a difference whether the client came with TLS.
    pub fn asks_for_tls(&self) -> bool {
        self.any.iter().flatten().any(|(_, tests)| tests.contains(&Test::Tls))
    }

    /// The names that requests must have for it to hold. `None`: others may have it, too.
    pub fn only(&self) -> Option<Vec<String>> {
        let mut out = Vec::new();
        for all in self.any.iter().filter(|_| !self.unless) {
            let names = all.iter().filter(|(negated, _)| !negated).find_map(|(_, tests)| {
                let mut names = Vec::new();
                for test in tests {
                    let Test::Host(these) = test else { return None };
                    for name in these {
                        let HostMatch::Is(name) = name else { return None };
                        names.push(name.clone());
                    }
                }
                Some(names)
            })?;
            out.extend(names);
        }
        out.sort_unstable();
        out.dedup();
        (!out.is_empty()).then_some(out)
    }

    /// Host names that it asks for.
    pub fn hosts(&self) -> Vec<String> {
        let tests = self.any.iter().flatten().filter(|(negated, _)| !negated).flat_map(|(_, tests)| tests);
        tests
            .filter_map(|test| match test {
                Test::Host(names) => Some(names.iter().filter_map(HostMatch::sample)),
                Test::Path(_) | Test::Tls | Test::Known(_) | Test::Open => None,
            })
            .flatten()
            .collect()
    }

    /// Which requests of this name (in lower case; empty: of a name that no rule asks for), over TLS or not, it takes.
    pub fn takes(&self, host: &str, tls: bool) -> Takes {
        // What is left of each and: nothing (it holds), the paths of one test, or more than a path tells.
        let mut left: Vec<Option<Vec<PathMatch>>> = Vec::new();
        for all in &self.any {
            let mut paths: Option<Vec<PathMatch>> = None;
            let (mut open, mut never) = (false, false);
            for (negated, tests) in all {
                let mut holds = Some(false);
                let mut these = Vec::new();
                for test in tests {
                    let told = match test {
                        Test::Host(names) => Some(names.iter().any(|name| name.takes(host))),
                        Test::Tls => Some(tls),
                        Test::Known(known) => Some(*known),
                        Test::Open => None,
                        Test::Path(patterns) => {
                            these.extend(patterns.iter().cloned());
                            continue;
                        }
                    };
                    holds = match (holds, told) {
                        (Some(true), _) | (_, Some(true)) => Some(true),
                        (None, _) | (_, None) => None,
                        (Some(false), Some(false)) => Some(false),
                    };
                }
                match (holds, these.is_empty(), negated) {
                    (Some(true), _, false) | (Some(false), true, true) => {}
                    (Some(true), _, true) | (Some(false), true, false) => never = true,
                    (Some(false), false, false) if paths.is_none() => paths = Some(these),
                    // Not of a path, of two paths at once, or of something else: the path alone does not tell.
                    (None | Some(false), ..) => open = true,
                }
            }
            if never {
                continue;
            }
            if open {
                return Takes::Paths(PathMatch::Condition(self.text.clone()));
            }
            left.push(paths);
        }
        let always = left.iter().any(Option::is_none);
        match (self.unless, always, left.is_empty()) {
            (false, true, _) | (true, false, true) => Takes::Paths(PathMatch::Any),
            (false, false, true) | (true, true, _) => Takes::None,
            (true, false, false) => Takes::Paths(PathMatch::Condition(self.text.clone())),
            (false, false, false) => {
                let patterns: Vec<PathMatch> = left.into_iter().flatten().flatten().collect();
                Takes::Paths(one_of(patterns).unwrap_or_else(|| PathMatch::Condition(self.text.clone())))
            }
        }
    }
}

/// One pattern for several. `None`: they are too many.
fn one_of(mut patterns: Vec<PathMatch>) -> Option<PathMatch> {
    if patterns.len() == 1 {
        return patterns.pop();
    }
    if patterns.is_empty() || patterns.len() > PATTERNS {
        return None;
    }
    let texts: Option<Vec<String>> = patterns
        .iter()
        .map(|pattern| match pattern {
            PathMatch::Exact(path) => Some(format!("^{}$", regex::escape(path))),
            PathMatch::Prefix(path) | PathMatch::FinalPrefix(path) => Some(format!("^{}", regex::escape(path))),
            PathMatch::Pattern(pattern) => Some(format!("(?:{pattern})")),
            PathMatch::Any | PathMatch::Condition(_) => None,
        })
        .collect();
    Some(PathMatch::Pattern(texts?.join("|")))
}

/// ACLs that are always there (section 7.4), for a GET over HTTP/1.1.
fn predefined(name: &str) -> Test {
    match name {
        "TRUE" | "HTTP" | "HTTP_1.1" | "METH_GET" | "HTTP_URL_SLASH" => Test::Known(true),
        "FALSE" | "METH_POST" | "METH_PUT" | "METH_DELETE" | "METH_PATCH" | "METH_OPTIONS" | "METH_TRACE" | "METH_CONNECT"
        | "HTTP_CONTENT" | "HTTP_1.0" | "HTTP_2.0" | "RDP_COOKIE" => Test::Known(false),
        _ => Test::Open,
    }
}

/// `path_beg -i /api /v1`, `hdr(host) -i shop.test`, `ssl_fc`, `path -m beg /api`.
fn test(words: &[&str]) -> Test {
    let Some(sample) = words.first() else { return Test::Open };
    let mut method = None;
    let (mut folded, mut from_file) = (false, false);
    let mut rest = words[1..].iter();
    let mut patterns: Vec<&str> = Vec::new();
    while let Some(word) = rest.next() {
        match *word {
            "-i" if patterns.is_empty() => folded = true,
            "-m" if patterns.is_empty() => method = rest.next().copied(),
            "-f" | "-M" if patterns.is_empty() => {
                from_file = true;
                rest.next();
            }
            "-n" | "-u" if patterns.is_empty() => {}
            "--" if patterns.is_empty() => {
                patterns.extend(rest.by_ref());
            }
            _ => patterns.push(word),
        }
    }
    // `path,lower`, `req.hdr(host),field(1,:),lower`: converters that only fold or cut the port change nothing here.
    let mut parts = sample.split("),").flat_map(|part| if part.contains('(') { vec![part] } else { part.split(',').collect() });
    let fetch = parts.next().unwrap_or_default().trim_end_matches(')').to_ascii_lowercase();
    let plain =
        |part: &str| matches!(part.trim_end_matches(')'), "lower" | "field(1,:" | "word(1,:" | "host_only" | "" | "url_dec");
    let mut converters: Vec<&str> = parts.collect();
    let last_match = converters.iter().position(|part| *part == "found").is_some();
    converters.retain(|part| !plain(part));
    if from_file || !converters.is_empty() || last_match || patterns.len() > PATTERNS {
        return Test::Open;
    }
    folded |= sample.contains("lower");
    let (base, suffix) = match fetch.as_str() {
        "path" | "path_beg" | "path_end" | "path_dir" | "path_dom" | "path_reg" | "path_sub" | "path_len" => {
            ("path", fetch.strip_prefix("path_").unwrap_or_default())
        }
        // The URL of a request that is not to a proxy is its path and query.
        "url_beg" | "url_dir" | "url_reg" | "url_sub" => ("path", &fetch["url_".len()..]),
        "hdr(host" | "req.hdr(host" | "req.fhdr(host" | "ssl_fc_sni" | "req.ssl_sni" | "req_ssl_sni" => ("host", ""),
        "hdr_beg(host" | "ssl_fc_sni_beg" => ("host", "beg"),
        "hdr_end(host" | "ssl_fc_sni_end" => ("host", "end"),
        "hdr_dom(host" => ("host", "dom"),
        "hdr_sub(host" => ("host", "sub"),
        "ssl_fc" => return if patterns.is_empty() { Test::Tls } else { Test::Open },
        "always_true" => return Test::Known(true),
        "always_false" => return Test::Known(false),
        "method" => return Test::Known(patterns.iter().any(|pattern| pattern.eq_ignore_ascii_case("GET"))),
        _ => return Test::Open,
    };
    let method = method.unwrap_or(suffix);
    if base == "host" {
        let names = patterns.iter().map(|name| name.to_ascii_lowercase());
        let names: Option<Vec<HostMatch>> = names
            .map(|name| {
                Some(match method {
                    "" | "str" => HostMatch::Is(name.split(':').next().unwrap_or_default().to_owned()),
                    "beg" => HostMatch::Begins(name),
                    "end" => HostMatch::Ends(name),
                    "dom" => HostMatch::Domain(name),
                    "sub" => HostMatch::Contains(name),
                    _ => return None,
                })
            })
            .collect();
        return names.filter(|names| !names.is_empty()).map_or(Test::Open, Test::Host);
    }
    let paths: Option<Vec<PathMatch>> = patterns.into_iter().map(|pattern| path(method, pattern, folded)).collect();
    paths.filter(|paths| !paths.is_empty()).map_or(Test::Open, Test::Path)
}

fn path(method: &str, pattern: &str, folded: bool) -> Option<PathMatch> {
    let escaped = regex::escape(pattern);
    let case = if folded { "(?i)" } else { "" };
    Some(match method {
        "" | "str" if folded => PathMatch::Pattern(format!("(?i)^{escaped}$")),
        "" | "str" => PathMatch::Exact(pattern.to_owned()),
        "beg" if folded => PathMatch::Pattern(format!("(?i)^{escaped}")),
        "beg" => PathMatch::Prefix(pattern.to_owned()),
        "end" => PathMatch::Pattern(format!("{case}{escaped}$")),
        "sub" => PathMatch::Pattern(format!("{case}{escaped}")),
        "dir" => PathMatch::Pattern(format!("{case}(?:^|/){}(?:/|$)", regex::escape(pattern.trim_matches('/')))),
        "reg" => PathMatch::Pattern(format!("{case}{pattern}")),
        _ => return None,
    })
}

/// A path that this takes. `None`: the pattern is not simple.
pub fn sample(takes: &PathMatch) -> Option<String> {
    match takes {
        PathMatch::Exact(path) | PathMatch::Prefix(path) | PathMatch::FinalPrefix(path) => Some(path.clone()),
        PathMatch::Any => Some("/".to_owned()),
        PathMatch::Condition(_) => None,
        PathMatch::Pattern(pattern) => {
            // Each candidate is tried, so that a wrong guess is none.
            let text = pattern.trim_start_matches("(?i)").replace('\\', "");
            let first = text.split('|').next().unwrap_or_default().trim_start_matches("(?:");
            let bare: String = first.chars().filter(|c| !"^$()?*+[]{}".contains(*c)).collect();
            let bare = bare.trim_start_matches(':').to_owned();
            let candidates = [
                bare.clone(),
                format!("/{}", bare.trim_start_matches('/')),
                format!("/{bare}/"),
                format!("/index{bare}"),
                "/".to_owned(),
            ];
            candidates.into_iter().find(|path| path.starts_with('/') && takes.takes(path) == Some(true))
        }
    }
}
