//! `RewriteRule ... [P]`: rules that proxy, those that answer by themselves (`[R=503]`), and whether any rule sends paths elsewhere.

use std::path::PathBuf;

use super::{super::switch::Switch, pattern, tree::Directive};
use crate::{model::PathMatch, sys::Root};

/// Statuses from here on are errors, and no redirects.
const ERRORS_FROM: u16 = 400;

/// A rule that proxies.
#[derive(Debug)]
pub struct Rule<'a> {
    /// As written.
    pub pattern: String,
    /// The paths of requests that it takes.
    pub takes: PathMatch,
    /// A path that it takes.
    pub sample: String,
    /// What of the path the target's own replaces.
    pub prefix: Option<String>,
    /// Where it goes.
    pub url: String,
    /// The rule.
    pub at: &'a Directive,
}

/// A rule that answers with a status instead of sending the request on.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The paths of requests that it takes, conditions aside.
    pub takes: PathMatch,
    /// A path that it takes.
    pub sample: String,
    /// What it says and the status, as one of its words.
    pub words: String,
    /// `RewriteCond`s before it.
    pub conditions: Vec<String>,
    /// Rules that proxy and stand before it.
    pub behind: usize,
    /// The rule.
    pub at: &'a Directive,
}

/// The rules of one level.
#[derive(Debug, Default)]
pub struct Rules<'a> {
    /// Those that proxy.
    pub proxied: Vec<Rule<'a>>,
    /// Those that answer.
    pub answered: Vec<Answer<'a>>,
    /// Whether others change where a path leads.
    pub rewrites: bool,
}

/// Rules of one level, where its engine is on. `under`: the URL path of the directory in which they stand, with its slash: they see
/// what is behind it. `None`: those of the server itself, which see the whole path.
pub fn rules<'a>(level: &[&'a Directive], under: Option<&str>) -> Rules<'a> {
    let mut found = Rules::default();
    let engine = level.iter().rev().find(|one| one.name == "rewriteengine");
    if !engine.is_some_and(|one| one.on()) {
        return found;
    }
    let mut conditions: Vec<String> = Vec::new();
    for one in level {
        match one.name.as_str() {
            "rewritecond" => conditions.push(one.text.to_string()),
            "rewriterule" => {
                let conditions = std::mem::take(&mut conditions);
                let args = one.args();
                let [rule, url, flags @ ..] = args.as_slice() else { continue };
                if flags.first().is_some_and(|flags| proxies(flags)) && url.contains(':') {
                    found.proxied.push(proxied(rule, url, &conditions, under, one));
                } else if let Some(status) = flags.first().and_then(|flags| answers(flags)) {
                    let whole = in_whole_path(rule, under);
                    let every =
                        ["^", ".*", "^.*$", "^(.*)$", "^/", "^/.*", "^/.*$", "^/(.*)$", "^/?(.*)$"].contains(&whole.as_str());
                    found.answered.push(Answer {
                        sample: pattern::sample(&whole),
                        takes: if every { PathMatch::Any } else { PathMatch::Pattern(whole) },
                        words: format!("RewriteRule {} ({status})", one.text),
                        conditions,
                        behind: found.proxied.len(),
                        at: one,
                    });
                } else if url != "-" && !url.contains("://") {
                    found.rewrites = true;
                }
            }
            _ => {}
        }
    }
    found
}

/// Whether `P` or `proxy` is among the flags `[P,L,QSA]`.
fn proxies(flags: &str) -> bool {
    let flags = flags.trim_start_matches('[').trim_end_matches(']');
    flags.split(',').map(str::trim).any(|flag| flag.eq_ignore_ascii_case("p") || flag.eq_ignore_ascii_case("proxy"))
}

/// The status that is answered without going anywhere: a redirect to one that is none drops the target (mod_rewrite, flag R).
fn answers(flags: &str) -> Option<u16> {
    let flags = flags.trim_start_matches('[').trim_end_matches(']');
    let of = |flag: &str| match flag.split_once('=') {
        Some((name, status)) if name.eq_ignore_ascii_case("r") || name.eq_ignore_ascii_case("redirect") => status.parse().ok(),
        _ => None,
    };
    flags.split(',').map(str::trim).find_map(of).filter(|status| *status >= ERRORS_FROM)
}

/// Whether conditions hold, where files tell: `%{DOCUMENT_ROOT}/down -f`. `None`: a request tells.
pub fn hold(conditions: &[String], documents: &str, root: &Root) -> Option<bool> {
    let mut all = true;
    for condition in conditions {
        all &= tested(condition, documents, root)?.holds;
    }
    Some(all)
}

/// The file for whose sake the conditions hold, as far as files tell.
pub fn switch(conditions: &[String], documents: &str, root: &Root) -> Option<Switch> {
    conditions.iter().filter_map(|condition| tested(condition, documents, root)).find(|switch| switch.holds)
}

/// Files that the conditions ask for.
pub fn asked(conditions: &[String], documents: &str, root: &Root) -> Vec<PathBuf> {
    conditions.iter().filter_map(|condition| Some(tested(condition, documents, root)?.path)).collect()
}

/// What a condition asks of a file, and how that comes out. `None`: it asks for something else, or for another file with each request.
fn tested(condition: &str, documents: &str, root: &Root) -> Option<Switch> {
    let words = super::lines::words(condition);
    let [text, test] = words.as_slice() else { return None };
    let path = text.replace("%{DOCUMENT_ROOT}", documents);
    if !path.starts_with('/') || path.contains(['%', '$']) || test.ends_with("-e") {
        return None;
    }
    Switch::of(test, root, std::path::Path::new(&path))
}

fn proxied<'a>(rule: &str, url: &str, conditions: &[String], under: Option<&str>, at: &'a Directive) -> Rule<'a> {
    let negated = rule.starts_with('!');
    let whole = in_whole_path(rule, under);
    let asked: Vec<&String> = conditions.iter().filter(|condition| !of_files(condition)).collect();
    let upgrade = asked.iter().any(|condition| {
        let lower = condition.to_ascii_lowercase();
        lower.contains("http:upgrade") || lower.contains("http:connection")
    });
    let takes = if upgrade {
        PathMatch::Condition(format!("Upgrade: {}", joined(&asked)))
    } else if !asked.is_empty() || negated {
        let rule = if negated { vec![rule.to_owned()] } else { Vec::new() };
        PathMatch::Condition(asked.iter().map(|one| (*one).clone()).chain(rule).collect::<Vec<_>>().join(" and "))
    } else {
        PathMatch::Pattern(whole.clone())
    };
    Rule {
        pattern: format!("RewriteRule {rule}"),
        takes,
        sample: pattern::sample(&whole),
        prefix: pattern::head(&whole),
        url: url.to_owned(),
        at,
    }
}

fn joined(conditions: &[&String]) -> String {
    conditions.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" and ")
}

/// The pattern of a rule as one of the whole path.
fn in_whole_path(rule: &str, under: Option<&str>) -> String {
    match (under, rule.strip_prefix('^')) {
        (Some(under), Some(rest)) => format!("^{}{rest}", regex::escape(under)),
        (Some(_) | None, _) => rule.to_owned(),
    }
}

/// Whether a condition only keeps files apart that are there: `%{REQUEST_FILENAME} !-f`.
fn of_files(condition: &str) -> bool {
    let words = super::lines::words(condition);
    matches!(words.get(1).map(String::as_str), Some("!-f" | "!-d" | "!-l" | "!-s" | "!-F" | "!-U"))
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use super::*;

    fn level(text: &str) -> Vec<Directive> {
        let file = Arc::new(PathBuf::from("/x"));
        let one = |(line, text): (usize, &str)| {
            let (name, rest) = text.trim().split_once(' ').unwrap_or((text, ""));
            let line = u32::try_from(line).expect("few") + 1;
            Directive { name: name.to_ascii_lowercase().into(), text: rest.into(), block: None, file: Arc::clone(&file), line }
        };
        text.lines().enumerate().map(one).collect()
    }

    fn shown(text: &str, under: Option<&str>) -> (Vec<String>, bool) {
        let level = level(text);
        let found = rules(&level.iter().collect::<Vec<_>>(), under);
        let line = |rule: &Rule<'_>| format!("{:?} {} {:?} {}", rule.takes, rule.sample, rule.prefix, rule.url);
        (found.proxied.iter().map(line).collect(), found.rewrites)
    }

    #[test]
    fn rules_that_proxy_are_found_with_what_they_take() {
        let app = "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule ^/(.*)$ http://a:80/$1 [P,QSA,L]";
        let expected = r#"Pattern("^/(.*)$") / Some("/") http://a:80/$1"#.to_owned();
        assert_eq!(shown(app, None), (vec![expected], false));
        let below = "RewriteEngine on\nRewriteRule ^(.*)$ http://a:80/$1 [proxy]";
        let expected = r#"Pattern("^/blog/(.*)$") /blog/ Some("/blog/") http://a:80/$1"#.to_owned();
        assert_eq!(shown(below, Some("/blog/")), (vec![expected], false));
        let upgrade = "RewriteEngine On\nRewriteCond %{HTTP:Upgrade} =websocket [NC]\nRewriteRule /(.*) ws://a:80/$1 [P]";
        assert!(shown(upgrade, None).0[0].starts_with("Condition(\"Upgrade"));
        assert_eq!(shown("RewriteRule ^ http://a/ [P]", None), (vec![], false), "the engine is off");
        assert_eq!(shown("RewriteEngine On\nRewriteRule ^ /index.php [L]", None), (vec![], true));
        assert_eq!(shown("RewriteEngine On\nRewriteRule ^ https://%{HTTP_HOST}/ [R]", None), (vec![], false));
    }
}
