//! The request by which a person sees that a fault is gone: the one that shows it to clients, where it can be made again without harm.
//!
//! A form that was sent twice may buy twice, and what we ask for is served where only others fail: then it is said what to watch
//! instead. Never a request that would not fail now: it proves nothing.

use std::{cell::OnceCell, collections::BTreeMap};

use super::{LOG_WINDOW_S, LogGroup, ProbeHistory, Scene, failing::request_of, front, scope::Scope, symptom, upstream_of};
use crate::{
    catalog::About,
    model::{
        HttpRequest, SourceKind, Subject,
        logline::{self, Level},
        secrets,
    },
};

/// Lines that are looked at, the latest.
const LINES: usize = 500;

/// How it is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// By asking for this URL.
    Ask(String),
    /// By watching a log for such requests.
    Watch(Watched),
}

/// Requests that fail, and are not made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// Why not.
    pub why: Why,
    /// `POST /cart`, `GET /export?`.
    pub request: String,
    /// [`crate::model::LogSource::id`] of the log that tells of them.
    pub log: String,
}

/// Why a request is not made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It does something.
    Acts,
    /// It has a query, whose values are not told: they may be secrets.
    Query,
    /// It was made, and served: it fails for others.
    Others,
}

impl Why {
    /// The field of the catalogue's advice that the request fills.
    pub fn field(self) -> &'static str {
        match self {
            Self::Acts => "acting_request",
            Self::Query => "queried_request",
            Self::Others => "others_request",
        }
    }
}

/// For a cause of this scope. `None`: no request is known.
pub fn again<'a>(scene: &'a Scene, scope: &Scope<'_>, shown: &symptom::View, logged: &OnceCell<Logged<'a>>) -> Option<Again> {
    if scene.excerpt() {
        return None;
    }
    let upstream = Some(&scope.subject).filter(|_| scope.about == About::Upstream);
    let fails = |history: &ProbeHistory| symptom::own_failures(scene, history).hits > 0;
    if let Some(upstream) = upstream {
        let told = |history: &&ProbeHistory| Some(&history.last.job.subject) == shown.subject.as_ref();
        let through = || scene.probes_through(upstream).filter(|history| fails(history));
        // It is at the outermost gateway already.
        if let Some(history) = through().find(told) {
            return Some(ask(symptom::url_of(&history.last)));
        }
        if let Some(history) = through().next() {
            return Some(ask(symptom::url_of(&front::outermost(scene, history, fails).last)));
        }
    }
    let by_log = || watched(scene, upstream, logged.get_or_init(|| Logged::of(scene)));
    if shown.failing && !shown.users && upstream.is_none() {
        return shown.url.clone().map(ask).or_else(by_log);
    }
    by_log().or_else(|| shown.url.clone().map(ask))
}

/// Of a recording the values of a query are not known any more.
fn ask(url: String) -> Again {
    if !secrets::concealed(&url) {
        return Again::Ask(url);
    }
    let path = url.split('?').next().unwrap_or_default();
    Again::Watch(Watched { why: Why::Query, request: format!("GET {path}?"), log: String::new() })
}

/// The commonest of the requests of others that the logs say failed lately, of those to this upstream where it is one that fails.
fn watched(scene: &Scene, upstream: Option<&Subject>, logged: &Logged<'_>) -> Option<Again> {
    let told = logged.commonest(upstream)?;
    let (request, log) = (told.words(), told.log.to_owned());
    let watch = |why| Some(Again::Watch(Watched { why, request: request.clone(), log: log.clone() }));
    if told.acts() {
        return watch(Why::Acts);
    }
    let tried = |history: &&ProbeHistory| history.last.job.request.as_ref().is_some_and(|request| request.path == told.path);
    let through = |history: &&ProbeHistory| upstream.is_none_or(|upstream| history.last.job.upstreams.contains(upstream));
    let door = || scene.probes_of("gateway").find(through).or_else(|| scene.probes_of("gateway").next());
    match (told.query, scene.probes_of("gateway").find(tried), door()) {
        (true, ..) => watch(Why::Query),
        (false, Some(_), _) => watch(Why::Others),
        (false, None, Some(history)) => {
            let url = symptom::url_of(&front::outermost(scene, history, |_| true).last);
            let authority = url.match_indices('/').nth(2).map_or(url.as_str(), |(at, _)| &url[..at]);
            Some(Again::Ask(format!("{authority}{}", told.path)))
        }
        (false, None, None) => None,
    }
}

/// Requests of one kind that a log tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told<'a> {
    method: String,
    path: String,
    query: bool,
    /// The log.
    pub log: &'a str,
}

impl Told<'_> {
    /// `POST /cart`, `GET /export?`.
    pub fn words(&self) -> String {
        format!("{} {}{}", self.method, self.path, if self.query { "?" } else { "" })
    }

    /// Whether one more of them would do something.
    fn acts(&self) -> bool {
        logline::safe_path(&format!("{} {}", self.method, self.path)).is_none()
    }

    /// Whether it is what this request of ours asks for.
    pub fn is(&self, history: &ProbeHistory) -> bool {
        let same = |request: &HttpRequest| {
            (&request.method, &request.path, request.query.is_some()) == (&self.method, &self.path, self.query)
        };
        history.last.job.request.as_ref().is_some_and(same)
    }
}

/// The upstream, where it is known; method, path, and whether there is a query.
type Kind<'a> = (Option<&'a str>, String, String, bool);

/// Failing requests of others by the logs of late, read once for all that asks for them.
#[derive(Debug, Default)]
pub struct Logged<'a> {
    /// With the upstream that they went to, where that is known, and their lines.
    kinds: Vec<(Option<String>, Told<'a>, u64)>,
}

impl<'a> Logged<'a> {
    /// What is known of them.
    pub fn of(scene: &'a Scene) -> Self {
        let from = scene.now.wall_s() - LOG_WINDOW_S;
        let groups = scene.logs.values().filter(|group| !group.ours() && fails(scene, group));
        let groups: BTreeMap<u64, (Option<String>, bool)> = groups
            .map(|group| {
                let upstream = upstream_of(scene, group).map(|address| address.to_string());
                (group.number, (upstream, group.kind == SourceKind::Access))
            })
            .collect();
        let mut kinds: BTreeMap<Kind<'_>, (u64, &'a str)> = BTreeMap::new();
        if groups.is_empty() {
            return Self::default();
        }
        let lines = scene.recent.latest().filter(|(_, line)| line.second >= from);
        let lines = lines.filter_map(|(source, line)| Some((source, line, groups.get(&line.group)?)));
        for (source, line, (upstream, access)) in lines.take(LINES) {
            let Some((method, target)) = request_of(&line.text) else { continue };
            let (path, query) = target.split_once('?').map_or((target.as_str(), false), |(path, _)| (path, true));
            let known = kinds.entry((upstream.as_deref(), method, path.to_owned(), query)).or_insert((0, source));
            known.0 += 1 + u64::from(line.more);
            // Requests with their status are easier to watch than errors.
            if *access {
                known.1 = source;
            }
        }
        let told = kinds.into_iter().map(|((upstream, method, path, query), (lines, log))| {
            (upstream.map(str::to_owned), Told { method, path, query, log }, lines)
        });
        Self { kinds: told.collect() }
    }

    /// The commonest of those to this upstream, or to any. What names none may be for each.
    pub fn commonest(&self, upstream: Option<&Subject>) -> Option<&Told<'a>> {
        let meant = |named: &Option<String>| match (upstream, named) {
            (Some(upstream), Some(named)) => *named == upstream.0,
            (Some(_) | None, _) => true,
        };
        let meant = self.kinds.iter().filter(|(named, ..)| meant(named));
        // Of those that are as common the first.
        meant.rev().max_by_key(|(.., lines)| *lines).map(|(_, told, _)| told)
    }
}

/// Whether a group is of requests that failed: by their status, or as a gateway tells of one that it could not pass on.
fn fails(scene: &Scene, group: &LogGroup) -> bool {
    let told = matches!(group.kind, SourceKind::Access | SourceKind::Error);
    let errs = || group.kind == SourceKind::Error && group.level() >= Some(Level::Error) && upstream_of(scene, group).is_some();
    told && group.meaning.status.map_or_else(errs, |status| status >= 500)
}
