//! `.htaccess` of a site's own directory, where `AllowOverride` permits: rules and handlers in it count as those of a
//! `<Directory>` do. Files below are not looked for: each request may meet another one.

use std::path::PathBuf;

use super::{
    files::Files,
    load::{self, Start},
    rewrite,
    scope::Scope,
    site::handler_url,
    tree::Directive,
    world::World,
};
use crate::model::PathMatch;

/// A rule that proxies, of a file that is read for each request.
#[derive(Debug)]
pub struct Rule {
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
    pub at: Directive,
}

/// What such a file says.
#[derive(Debug, Default)]
pub struct Spoken {
    /// Whether rules change where a path leads.
    pub rewrites: bool,
    /// Rules that proxy.
    pub proxied: Vec<Rule>,
    /// Handlers that proxy: URL, paths, a path, the directive.
    pub handlers: Vec<(String, PathMatch, String, Directive)>,
}

/// Whether Apache reads such a file in this directory: by the `<Directory>` nearest to it; `None` is the default since 2.4.
pub fn allowed(all: &[&Directive], documents: &str) -> bool {
    let documents = documents.trim_end_matches('/');
    let above = |dir: &str| documents == dir || documents.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
    let found = all
        .iter()
        .filter(|one| one.name == "directory")
        .filter_map(|section| {
            let dir = section.first().trim_end_matches('/').to_owned();
            let allow =
                section.children().iter().rev().find(|one| one.name == "allowoverride" || one.name == "allowoverridelist")?;
            above(&dir).then(|| (dir.len(), allow.first()))
        })
        // Of those of one length the last.
        .max_by_key(|(length, _)| *length);
    found.is_some_and(|(_, value)| !value.eq_ignore_ascii_case("none"))
}

/// Where it is.
pub fn path(documents: &str) -> PathBuf {
    PathBuf::from(documents).join(".htaccess")
}

/// Reads the file, if it is there.
pub fn read(world: &World<'_>, documents: &str, start: &Start) -> Option<Spoken> {
    let path = path(documents);
    let loaded = load::fragment(world.root, &path, start.clone())?;
    let level: Vec<&Directive> = loaded.tree.iter().collect();
    let rules = rewrite::rules(&level, Some("/"));
    let mut spoken = Spoken { rewrites: rules.rewrites, ..Spoken::default() };
    spoken.proxied = rules
        .proxied
        .into_iter()
        .map(|rule| Rule {
            pattern: rule.pattern,
            takes: rule.takes,
            sample: rule.sample,
            prefix: rule.prefix,
            url: rule.url,
            at: rule.at.clone(),
        })
        .collect();
    let scope = Scope::default().within(&loaded.tree);
    spoken.rewrites |= scope.get("fallbackresource").is_some() || scope.get("errordocument").is_some();
    let files = Files::of(world, &scope, documents);
    let mut places = Vec::new();
    for section in loaded.tree.iter().filter(|one| one.block.is_some()) {
        files.places(section, &scope, &mut places);
    }
    for (content, place) in places {
        if let Some((url, at)) = content.iter().rev().find_map(|one| handler_of(one)) {
            let sample = files.sample(&place);
            spoken.handlers.push((url, place.takes, sample, at.clone()));
        }
    }
    if let Some((url, at)) = loaded.tree.iter().rev().find_map(handler_of) {
        spoken.handlers.push((url, PathMatch::Any, "/".to_owned(), at.clone()));
    }
    Some(spoken)
}

fn handler_of(one: &Directive) -> Option<(String, &Directive)> {
    (one.name == "sethandler").then(|| handler_url(&one.first())).flatten().map(|url| (url, one))
}
