//! Frontends to sites: who takes which requests.
//!
//! HAProxy asks its rules in order and takes the first that holds. What they ask of the host name makes sites of their own, which
//! share the frontend's addresses; what they ask of the path is the route's; what they ask beside is left open.

use std::{borrow::Cow, collections::HashMap};

use foldhash::fast::RandomState;

use super::super::pattern::name_patterns;
use super::{
    acl::{Acls, Condition, Takes, sample},
    answers::{Answer, answers, refusals},
    backend::{Backends, Front},
    listen::{PLAIN_PORTS, TLS_PORTS, listens},
    load::{Line, Loaded},
    map,
    proxy::Proxy,
};
use crate::{
    model::{Listen, PathMatch, Place, Protocol, Route, RouteChoice, Site},
    sys::Root,
};

/// Times that a rule is asked about a name, over a whole configuration, at most: thousands of names by thousands of rules that are
/// about any of them.
const QUESTIONS: usize = 2_000_000;
/// Routes that are kept.
const ROUTES: usize = 60_000;

/// What frontends come to.
#[derive(Debug, Default)]
pub struct Sites {
    /// The sites.
    pub all: Vec<Site>,
    /// What HAProxy would refuse.
    pub problems: Vec<(Place, String)>,
    /// Whether there were more than are kept.
    pub cut: bool,
    questions: usize,
    routes: usize,
}

/// A rule that sends requests to a backend.
struct Rule<'a> {
    line: &'a Line,
    backend: String,
    condition: Option<Condition>,
    /// Names that it can be about, each once; `None`: any.
    only: Option<Vec<String>>,
    /// What is decided when a request comes.
    dynamic: Option<String>,
}

/// All sites. `root`: where the files are that rules look up in.
pub fn sites<'a>(loaded: &'a Loaded, backends: &Backends<'a>, root: &Root) -> Sites {
    let mut out = Sites::default();
    for section in loaded.sections.iter().filter(|section| matches!(section.kind.as_str(), "frontend" | "listen")) {
        let proxy = Proxy::of(loaded, section);
        if proxy.own("disabled").next().is_some() {
            continue;
        }
        let listens = listens(&proxy, &mut out.problems);
        if !listens.is_empty() {
            frontend(&proxy, listens, backends, root, &mut out);
        }
    }
    name_patterns(&mut out.all);
    out
}

fn frontend<'a>(proxy: &Proxy<'a>, listens: Vec<Listen>, backends: &Backends<'a>, root: &Root, out: &mut Sites) {
    let acls = Acls::of(proxy.all("acl"));
    let rules = rules(proxy, &acls, backends, root, out);
    let redirects = redirects(proxy, &acls);
    let (answers, refusals) = (answers(proxy), refusals(proxy));
    let requests: Vec<&Line> = proxy.all("http-request").collect();
    let mut names: Vec<Cow<'_, str>> = Vec::with_capacity(rules.len());
    for rule in &rules {
        names.extend(rule.condition.iter().flat_map(Condition::hosts).map(Cow::from));
        names.extend(rule.only.iter().flatten().map(|name| Cow::from(name.as_str())));
    }
    names.sort_unstable();
    names.dedup();
    // Rules that are about some names only, by name; and those that are about any.
    let mut about: HashMap<&str, Vec<usize>, RandomState> = HashMap::default();
    let mut general = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        match &rule.only {
            Some(only) => only.iter().for_each(|name| about.entry(name).or_default().push(at)),
            None => general.push(at),
        }
    }
    for (tls, listens) in by_tls(listens, &rules, &redirects) {
        // Who comes without TLS is sent away before any rule is asked.
        let away = redirects
            .iter()
            .any(|condition| condition.as_ref().is_none_or(|condition| condition.takes("", false) != Takes::None) && !tls);
        let web = of_web(&listens);
        for name in names.iter().map(AsRef::as_ref).chain([""]) {
            let own = about.get(name).map(Vec::as_slice).unwrap_or_default();
            out.questions += own.len() + general.len();
            if out.questions > QUESTIONS || out.routes > ROUTES {
                out.cut = true;
                return;
            }
            let mut order: Vec<usize> = own.iter().chain(&general).copied().collect();
            order.sort_unstable();
            let (mut routes, mut sometimes, all) = answered(&answers, name, tls);
            for rule in order.iter().filter(|_| !away && !all).filter_map(|at| rules.get(*at)) {
                let takes = rule.condition.as_ref().map_or(Takes::Paths(PathMatch::Any), |condition| condition.takes(name, tls));
                let Takes::Paths(takes) = takes else { continue };
                let last = takes == PathMatch::Any;
                if let Some(backend) = backends.get(rule.backend.as_str()) {
                    backend.sometimes(&refusals, &takes, (name, tls), &mut sometimes);
                }
                let of_rule = routes_of(&requests, web, rule, takes, name, backends);
                if routes.is_empty() {
                    routes = of_rule;
                } else {
                    routes.extend(of_rule);
                }
                if last {
                    break;
                }
            }
            // Behind all others, as a condition that only a request tells ends the search for a route.
            routes.extend(sometimes);
            out.routes += routes.len();
            let names = if name.is_empty() { Vec::new() } else { vec![name.to_owned()] };
            let listens = listens.iter().map(|listen| Listen { default: name.is_empty(), ..listen.clone() }).collect();
            let site = Site { names, listens, routes, choice: RouteChoice::FirstMatch, at: proxy.section.head.place() };
            out.all.push(site.compact());
        }
    }
}

/// What HAProxy answers requests of this name by itself: by their path, and under a condition that only a request tells; and whether
/// that is all of them.
fn answered(answers: &[Answer<'_>], name: &str, tls: bool) -> (Vec<Route>, Vec<Route>, bool) {
    let (mut routes, mut sometimes) = (Vec::new(), Vec::new());
    for answer in answers {
        let takes = answer.condition.as_ref().map_or(Takes::Paths(PathMatch::Any), |condition| condition.takes(name, tls));
        let Takes::Paths(takes) = takes else { continue };
        let all = takes == PathMatch::Any;
        let path = sample(&takes).unwrap_or_else(|| "/".to_owned());
        let route = answer.route(takes, path);
        if matches!(route.takes, Some(PathMatch::Condition(_))) {
            sometimes.push(route);
        } else {
            routes.push(route);
        }
        if all {
            return (routes, sometimes, true);
        }
    }
    (routes, sometimes, false)
}

/// What is spoken on ports of the web, whatever mode a proxy is in.
fn of_web(listens: &[Listen]) -> Option<Protocol> {
    let is = |ports: &'static [u16]| move |listen: &Listen| listen.address.port().is_some_and(|port| ports.contains(&port));
    if listens.iter().all(is(PLAIN_PORTS)) {
        Some(Protocol::Http)
    } else if listens.iter().all(is(TLS_PORTS)) {
        Some(Protocol::Https)
    } else {
        None
    }
}

/// The rules of a frontend, in the order in which they are asked.
fn rules<'a>(proxy: &Proxy<'a>, acls: &Acls, backends: &Backends<'a>, root: &Root, out: &mut Sites) -> Vec<Rule<'a>> {
    let mut rules: Vec<Rule<'a>> = Vec::new();
    let mut known = |line: &'a Line, name: &str, word: &str| {
        let known = backends.contains_key(name);
        if !known {
            out.problems.push((line.place(), format!("unable to find required {word}: '{name}'.")));
        }
        known
    };
    for line in proxy.own("use_backend") {
        let condition = acls.condition(line);
        let name = line.word(1);
        if name.contains("%[") {
            for (only, takes, backend) in map::entries(name, root, backends.keys().copied()) {
                let condition = takes.map(Condition::of_path).or_else(|| condition.clone());
                let dynamic = backend.is_none().then(|| name.to_owned());
                let backend = backend.unwrap_or_default();
                if dynamic.is_some() || backends.contains_key(backend.as_str()) {
                    rules.push(Rule { line, backend, condition, only: only.map(|name| vec![name]), dynamic });
                }
            }
        } else if known(line, name, "use_backend") {
            let only = condition.as_ref().and_then(Condition::only);
            rules.push(Rule { line, backend: name.to_owned(), condition, only, dynamic: None });
        }
    }
    let last = proxy.last(&["default_backend"]);
    match last {
        Some(line) if known(line, line.word(1), "default_backend") => {
            rules.push(Rule { line, backend: line.word(1).to_owned(), condition: None, only: None, dynamic: None });
        }
        None if proxy.is_back() => {
            let backend = proxy.name().to_owned();
            rules.push(Rule { line: &proxy.section.head, backend, condition: None, only: None, dynamic: None });
        }
        Some(_) | None => {}
    }
    rules
}

/// Conditions under which clients are sent to https.
fn redirects(proxy: &Proxy<'_>, acls: &Acls) -> Vec<Option<Condition>> {
    let to_https = |line: &&Line| line.words().zip(line.words().skip(1)).any(|two| two == ("scheme", "https"));
    let lines = proxy.all("redirect").chain(proxy.all("http-request").filter(|line| line.word(1) == "redirect"));
    lines.filter(to_https).map(|line| acls.condition(line)).collect()
}

/// Addresses with TLS apart from those without, where something asks for the difference.
fn by_tls(listens: Vec<Listen>, rules: &[Rule<'_>], redirects: &[Option<Condition>]) -> Vec<(bool, Vec<Listen>)> {
    let asked = !redirects.is_empty() || rules.iter().filter_map(|rule| rule.condition.as_ref()).any(Condition::asks_for_tls);
    let (tls, plain): (Vec<Listen>, Vec<Listen>) = listens.into_iter().partition(|listen| listen.tls);
    if asked && !tls.is_empty() && !plain.is_empty() {
        return vec![(true, tls), (false, plain)];
    }
    let any = !tls.is_empty() && plain.is_empty();
    vec![(any, plain.into_iter().chain(tls).collect())]
}

fn routes_of<'a>(
    requests: &[&'a Line],
    web: Option<Protocol>,
    rule: &Rule<'a>,
    takes: PathMatch,
    name: &str,
    backends: &Backends<'a>,
) -> Vec<Route> {
    let pattern = if rule.line.len() > 2 { rule.line.rest(2).into() } else { rule.line.word(0).to_owned() };
    let path = sample(&takes).unwrap_or_else(|| "/".to_owned());
    let front = Front {
        web,
        rules: requests,
        host: Some(name).filter(|name| !name.is_empty()),
        pattern,
        path,
        takes,
        at: rule.line.place(),
    };
    match (&rule.dynamic, backends.get(rule.backend.as_str())) {
        (Some(text), _) => vec![front.dynamic(text)],
        (None, Some(backend)) => backend.routes(&front),
        (None, None) => Vec::new(),
    }
}
