//! The directives of a site to routes, in the order in which Caddy asks them (caddyconfig/httpcaddyfile/directives.go).

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};

use super::{
    directive,
    environment::Environment,
    matcher::{self, Matcher, Named},
    tree::Directive,
};
use crate::model::{ANSWERS, Order as _, Place, Protocol, Route, Setting};

/// The order of directives that stand beside each other, by Caddy 2.8; older ones have the same but for those they lack.
pub const ORDER: &[&str] = &[
    "tracing",
    "map",
    "vars",
    "fs",
    "root",
    "log_append",
    "skip_log",
    "log_skip",
    "log_name",
    "header",
    "copy_response_headers",
    "request_body",
    "redir",
    "method",
    "rewrite",
    "uri",
    "try_files",
    "basicauth",
    "basic_auth",
    "forward_auth",
    "request_header",
    "encode",
    "push",
    "intercept",
    "templates",
    "invoke",
    // handle and handle_path count as one.
    "handle",
    "route",
    "abort",
    "error",
    "copy_response",
    "respond",
    "metrics",
    "reverse_proxy",
    "php_fastcgi",
    "file_server",
    "acme_server",
];
/// The status of an `error` that names none.
const UNSAID: u16 = 500;
/// Blocks within blocks that are followed.
const DEPTH: usize = 24;
/// Routes of one site that are kept.
const ROUTES: usize = 2_000;

/// What holds at one place.
#[derive(Debug, Clone)]
pub struct Here {
    matcher: Matcher,
    /// How the path was changed on the way.
    rewrite: Option<(String, String)>,
    root: Option<String>,
    named: Named,
    depth: usize,
}

impl Here {
    /// The begin of a site.
    pub fn start(matcher: Matcher) -> Self {
        Self { matcher, rewrite: None, root: None, named: Named::new(), depth: 0 }
    }
}

/// A route, and the hosts to which it is limited within its site.
#[derive(Debug, Clone)]
pub struct Found {
    /// The route.
    pub route: Route,
    /// The hosts. `None`: all of the site's.
    pub hosts: Option<Vec<String>>,
}

/// Collects routes.
pub struct Walk<'a> {
    environment: &'a Environment,
    /// `order` of the global options.
    order: Vec<String>,
    /// Named routes: what `invoke` runs.
    routines: BTreeMap<&'a str, &'a [Directive]>,
    /// What was found in the site that is walked.
    pub found: Vec<Found>,
    /// What Caddy would refuse.
    pub problems: Vec<(Place, String)>,
    /// Whether routes were left out.
    pub full: bool,
}

impl<'a> Walk<'a> {
    /// Of a whole configuration: its global options and named routes are looked for in the tree.
    pub fn new(tree: &'a [Directive], environment: &'a Environment) -> Self {
        let mut order: Vec<String> = ORDER.iter().map(|name| (*name).to_owned()).collect();
        let options = tree.iter().filter(|one| one.name == "{").flat_map(Directive::children);
        for one in options.filter(|one| one.name == "order") {
            let (Some(name), Some(how)) = (one.arg(0), one.arg(1)) else { continue };
            let name = level(name);
            order.retain(|known| known != name);
            let beside = one.arg(2).and_then(|other| order.iter().position(|known| known == level(other)));
            let at = match (how, beside) {
                ("first", _) => 0,
                ("before", Some(at)) => at,
                ("after", Some(at)) => at + 1,
                _ => order.len(),
            };
            order.insert(at, name.to_owned());
        }
        let named = |one: &'a Directive| Some((one.name.strip_prefix("&(")?.strip_suffix(')')?, one.children()));
        Self {
            environment,
            order,
            routines: tree.iter().filter_map(named).collect(),
            found: Vec::new(),
            problems: Vec::new(),
            full: false,
        }
    }

    /// Walks a block whose directives Caddy sorts.
    pub fn block(&mut self, block: &[Directive], here: &mut Here) {
        matcher::define(block, &mut here.named);
        let position = |one: &Directive| self.order.iter().position(|name| name == level(&one.name)).unwrap_or(usize::MAX);
        let mut sorted: Vec<(usize, (bool, usize), &Directive)> = block
            .iter()
            .filter(|one| !one.name.starts_with('@'))
            .map(|one| (position(one), matcher::of_directive(one, &here.named).0.rank(), one))
            .collect();
        // What sets something is asked the other way round, so that the narrowest has the last word.
        sorted.order_by(|(a, a_rank, one), (b, b_rank, _)| {
            let by_rank =
                if matches!(one.name.as_str(), "root" | "vars" | "header") { a_rank.cmp(b_rank) } else { b_rank.cmp(a_rank) };
            a.cmp(b).then(by_rank)
        });
        for (_, _, one) in sorted {
            self.directive(one, here);
        }
    }

    /// Walks a block that is left in the order in which it is written.
    fn literal(&mut self, block: &[Directive], here: &mut Here) {
        matcher::define(block, &mut here.named);
        for one in block.iter().filter(|one| !one.name.starts_with('@')) {
            self.directive(one, here);
        }
    }

    fn directive(&mut self, one: &Directive, here: &mut Here) {
        if here.depth >= DEPTH {
            return;
        }
        let (own, skip) = matcher::of_directive(one, &here.named);
        let value = || one.arg(skip).map(str::to_owned);
        let matcher = here.matcher.and(&own, here.rewrite.as_ref());
        match one.name.as_str() {
            "handle" | "route" => {
                let mut inner = Here { matcher, depth: here.depth + 1, ..here.clone() };
                if one.name == "route" {
                    self.literal(one.children(), &mut inner);
                } else {
                    self.block(one.children(), &mut inner);
                }
            }
            "handle_path" => {
                let prefix = one.arg(0).unwrap_or_default().trim_end_matches('*').trim_end_matches('/').to_owned();
                let rewrite = stripped(here.rewrite.clone(), &prefix);
                self.block(one.children(), &mut Here { matcher, rewrite, depth: here.depth + 1, ..here.clone() });
            }
            "invoke" => {
                let routine = value().and_then(|name| self.routines.get(name.as_str()).copied());
                let mut inner = Here { matcher, depth: here.depth + 1, ..here.clone() };
                self.literal(routine.unwrap_or_default(), &mut inner);
            }
            // Of a change that not all requests meet, the routes behind it know nothing.
            "root" => here.root = value().and_then(|root| self.environment.expand(&root)).or(here.root.take()),
            "rewrite" if own.text == "*" => here.rewrite = rewritten(here.rewrite.clone(), &value().unwrap_or_default()),
            "uri" => {
                let operation = one.arg(skip).unwrap_or_default();
                let target = one.arg(skip + 1).unwrap_or_default();
                if operation == "strip_prefix" {
                    here.rewrite = stripped(here.rewrite.clone(), target.trim_end_matches('/'));
                }
            }
            "reverse_proxy" | "php_fastcgi" | "forward_auth" => self.proxy(one, skip, matcher, here),
            "respond" | "error" | "redir" | "abort" | "file_server" | "metrics" | "acme_server" => {
                let words = std::iter::once(one.name.as_str()).chain(one.args.iter().skip(skip).map(CompactString::as_str));
                let passes_on = one.children().iter().any(|inner| inner.name == "pass_thru");
                if self.found.len() < ROUTES && !passes_on {
                    self.found.extend(answered(&words.collect::<Vec<_>>().join(" "), &matcher, one.place()));
                }
            }
            _ => {}
        }
    }

    fn proxy(&mut self, one: &Directive, skip: usize, mut matcher: Matcher, here: &Here) {
        if self.found.len() >= ROUTES {
            self.full = true;
            return;
        }
        let mut read = directive::read(one, skip, self.environment);
        self.problems.append(&mut read.problems);
        if read.proxy.root.is_none() {
            read.proxy.root.clone_from(&here.root);
        }
        let mut rewrite = here.rewrite.clone();
        if let Some(uri) = &read.rewrite {
            rewrite = rewritten(rewrite, uri);
        }
        if one.name == "forward_auth" {
            // Every request is asked about there first, and only then goes on.
            let asked = read.rewrite.as_deref().unwrap_or("/").split('?').next().unwrap_or("/").to_owned();
            matcher.other = Some(format!("{}, asked whether a request may pass", matcher.text));
            rewrite = Some((matcher.sample.clone(), asked));
        }
        if one.name == "php_fastcgi" {
            rewrite = None;
        }
        let hosts = matcher.hosts.clone();
        // A server that nothing names is none: `reverse_proxy` needs one, and Caddy's own test says so.
        self.found.push(Found { route: read.proxy.route(&matcher, rewrite), hosts });
    }
}

/// What Caddy answers by itself, so that no upstream behind it gets the request. Where more than the path decides (`@maintenance
/// file ...`), most requests go on to those behind it: of these only failures are told, as what a condition leads to.
pub fn answered(words: &str, matcher: &Matcher, at: Place) -> Option<Found> {
    let status = |word: &str| word.len() == 3 && word.parse::<u16>().is_ok();
    // `error` without a status (caddyhttp/staticerror.go).
    let unsaid = words.split(' ').next() == Some("error") && !words.split(' ').any(status);
    let words = if unsaid { format_compact!("{words} ({UNSAID})") } else { words.into() };
    let fails = |word: &str| status(word) && word.starts_with('5');
    if matcher.other.is_some() && !words.split([' ', '(', ')']).any(fails) {
        return None;
    }
    let settings = BTreeMap::from([(ANSWERS.to_owned(), Setting { value: words, at: Some(at.clone()) })]);
    let route = Route {
        pattern: matcher.text.clone(),
        takes: Some(matcher.takes()),
        sample_path: matcher.sample.clone(),
        settings: settings.into(),
        ..Route::new(Protocol::Http, at)
    };
    Some(Found { route, hosts: matcher.hosts.clone() })
}

fn level(name: &str) -> &str {
    if name == "handle_path" { "handle" } else { name }
}

/// A prefix more is taken away. `before`: what was changed already.
pub fn stripped(before: Option<(String, String)>, prefix: &str) -> Option<(String, String)> {
    match before {
        _ if prefix.is_empty() => before,
        None => Some((prefix.to_owned(), String::new())),
        Some((from, to)) => match to.strip_prefix(prefix) {
            Some(rest) => Some((from, rest.to_owned())),
            None => Some((format!("{from}{prefix}"), to)),
        },
    }
}

/// `rewrite`: `/new{uri}`, `/fixed`. What is made of other placeholders is not followed.
pub fn rewritten(before: Option<(String, String)>, to: &str) -> Option<(String, String)> {
    let to = to.split('?').next().unwrap_or_default();
    let head = ["{uri}", "{http.request.uri}", "{path}", "{http.request.uri.path}"].iter().find_map(|whole| to.strip_suffix(whole));
    match (head, &before) {
        (Some(head), None) if !head.contains('{') => Some((String::new(), head.to_owned())),
        (Some(head), Some((from, rest))) if !head.contains('{') => Some((from.clone(), format!("{head}{rest}"))),
        _ => before,
    }
}
