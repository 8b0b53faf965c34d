//! `server` blocks to sites: a walk through locations that keeps what is in force at each place.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use compact_str::CompactString;
use foldhash::fast::RandomState;

use super::{
    super::pattern::name_patterns,
    answers,
    listen::{listens, share_flags},
    route::{self, Here},
    sample::{Locations, Match},
    scope::Scope,
    target::{MODULES, STREAM},
    tree::Directive,
    world::{World, lower},
};
use crate::model::{Address, Route, RouteChoice, Site};

/// All sites of `http`.
pub fn http<'a>(world: &mut World<'a>, main: &Scope<'a>, block: &'a [Directive], default_port: u16) -> Vec<Site> {
    let outer = main.within(block);
    let mut sites: Vec<Site> = Vec::new();
    for server in block.iter().filter(|one| one.name == "server" && one.block.is_some()) {
        let names = names(server);
        let at = server.place();
        let listens = listens(server.children(), &at, Some(default_port), &mut world.problems);
        let mut site = Site { names, listens, routes: Vec::new(), choice: RouteChoice::Location, at };
        site.routes = routes(world, &outer, server.children(), &site);
        sites.push(site.compact());
    }
    share_flags(&mut sites);
    without_ignored(&mut sites);
    name_patterns(&mut sites);
    sites
}

/// Takes out servers that no request reaches: another before them has each of their names at each of their addresses ("conflicting
/// server name ... ignored", ngx_http_server_names), and they are the default of none.
fn without_ignored(sites: &mut Vec<Site>) {
    let mut seen: HashSet<(&Address, Cow<'_, str>), RandomState> = HashSet::default();
    let mut reached: Vec<bool> = Vec::with_capacity(sites.len());
    for site in sites.iter() {
        let mut new = site.names.is_empty() || site.listens.is_empty();
        for listen in &site.listens {
            new |= listen.default;
            for name in &site.names {
                new |= seen.insert((&listen.address, lower(name)));
            }
        }
        reached.push(new);
    }
    let mut each = reached.into_iter();
    sites.retain(|_| each.next().unwrap_or(true));
}

/// All sites of `stream`: what goes in at a port comes out at an upstream.
pub fn stream<'a>(world: &mut World<'a>, main: &Scope<'a>, block: &'a [Directive]) -> Vec<Site> {
    let outer = main.within(block);
    let mut sites = Vec::new();
    for server in block.iter().filter(|one| one.name == "server" && one.block.is_some()) {
        let at = server.place();
        let listens = listens(server.children(), &at, None, &mut world.problems);
        let scope = outer.within(server.children());
        let mut site = Site { names: names(server), listens, routes: Vec::new(), choice: RouteChoice::Location, at };
        let here = Here::server("stream", &scope, world, &site);
        let passes = server.children().iter().filter(|one| one.name == STREAM.pass && one.block.is_none());
        site.routes = passes.filter_map(|pass| route::route(world, &scope, &here, STREAM, pass)).collect();
        sites.push(site);
    }
    share_flags(&mut sites);
    sites
}

/// nginx stores `""` as the name of requests without Host; a host name it is not.
fn names(server: &Directive) -> Vec<String> {
    let all = server.children().iter().filter(|one| one.name == "server_name").flat_map(|one| &one.args);
    all.filter(|name| !name.is_empty()).map(CompactString::to_string).collect()
}

fn routes<'a>(world: &mut World<'a>, outer: &Scope<'a>, server: &'a [Directive], site: &Site) -> Vec<Route> {
    let scope = outer.within(server);
    let here = Here::server("", &scope, world, site);
    // The server's own rewrite phase goes before the choice of a location.
    if let Some(answer) = answers::returned(server, &scope, &mut |one| world.holds(one, &here.root.0)) {
        return route::answered(world, &here, answer).into_iter().collect();
    }
    let locations: Vec<_> = locations(server).zip(Locations::of(server).with_samples()).collect();
    let inner = redirects(server, &locations);
    let mut walk = Walk { world, inner, routes: Vec::new() };
    walk.conditions(server, &scope, &here);
    for (directive, (matched, sample)) in locations {
        walk.location(directive, matched, &scope, &here, sample);
    }
    walk.routes
}

/// The locations that stand directly in a block.
fn locations(block: &[Directive]) -> impl Iterator<Item = &Directive> {
    block.iter().filter(|one| one.name == "location" && one.block.is_some())
}

/// Paths that lead to named and internal locations: those of the locations whose requests are redirected there.
fn redirects(server: &[Directive], locations: &[(&Directive, (Match, Option<String>))]) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut note = |block: &[Directive], sample: &str| {
        let leads = |name: &str| matches!(name, "try_files" | "error_page" | "auth_request" | "mirror");
        for directive in block.iter().filter(|one| leads(&one.name)) {
            if let Some(name) = directive.args.last().filter(|arg| arg.starts_with(['@', '/'])) {
                found.entry(name.to_string()).or_insert_with(|| sample.to_owned());
            }
        }
    };
    for (location, (_, sample)) in locations {
        if let Some(sample) = sample {
            note(location.children(), sample);
        }
    }
    note(server, "/");
    found
}

/// Whether a block within this one, an `if` or `limit_except`, passes requests on.
fn in_blocks(block: &[Directive]) -> bool {
    let inner = block.iter().filter(|one| one.name != "location").flat_map(Directive::children);
    inner.into_iter().any(|one| MODULES.iter().any(|module| module.pass == one.name))
}

struct Walk<'w, 'a> {
    world: &'w mut World<'a>,
    /// Paths that lead to named and internal locations.
    inner: HashMap<String, String>,
    routes: Vec<Route>,
}

impl<'a> Walk<'_, 'a> {
    fn location(&mut self, directive: &'a Directive, matched: Match, outer: &Scope<'a>, around: &Here, sample: Option<String>) {
        // An internal one is reached by another location's request only: auth_request, error_page.
        let internal = directive.children().iter().any(|one| one.name == "internal");
        let own = match &matched {
            Match::Named(name) => self.inner.get(name).cloned(),
            Match::Exact(name) | Match::Prefix { prefix: name, .. } if internal => self.inner.get(name).cloned(),
            Match::Exact(_) | Match::Prefix { .. } | Match::Pattern(..) => sample.or_else(|| matched.candidates().next()),
        };
        let sample = own.unwrap_or_else(|| around.sample.clone());
        let asked = !internal && !matches!(matched, Match::Named(_));
        let scope = outer.within(directive.children());
        let here = around.location(directive.args.join(" "), matched, sample, &scope, self.world.prefix);
        let block = directive.children();
        let answer = answers::returned(block, &scope, &mut |one| self.world.holds(one, &here.root.0));
        let passes = answer.is_none() && block.iter().any(|one| MODULES.iter().any(|module| module.pass == one.name));
        if let Some(answer) = answer.or_else(|| answers::missed(&scope).filter(|_| !passes && !in_blocks(block))) {
            if asked {
                self.routes.extend(route::answered(self.world, &here, answer));
            }
            // Locations within it are chosen before it is.
            for inner in locations(block) {
                self.location(inner, Match::of(inner), &scope, &here, None);
            }
            return;
        }
        self.conditions(block, &scope, &here);
        self.block(block, &scope, &here);
    }

    /// What is answered under a condition that only a request tells.
    fn conditions(&mut self, block: &'a [Directive], scope: &Scope<'a>, here: &Here) {
        for one in block.iter().filter(|one| one.name == "if" && one.block.is_some()) {
            if self.world.holds(one, &here.root.0).is_none()
                && let Some(answer) = answers::sometimes(one, (block, scope), &mut |other| self.world.holds(other, &here.root.0))
            {
                self.routes.extend(route::answered(self.world, &here.condition(one), answer));
            }
        }
    }

    fn block(&mut self, block: &'a [Directive], scope: &Scope<'a>, here: &Here) {
        for directive in block {
            if directive.block.is_none() {
                if let Some(module) = MODULES.iter().find(|module| module.pass == directive.name) {
                    self.routes.extend(route::route(self.world, scope, here, *module, directive));
                }
                continue;
            }
            match directive.name.as_str() {
                "location" => {
                    self.location(directive, Match::of(directive), scope, here, None);
                }
                // They inherit what is around them, and pass on by themselves only if they say so.
                "if" | "limit_except" => {
                    let inner = scope.within(directive.children());
                    self.block(directive.children(), &inner, &here.condition(directive));
                }
                _ => {}
            }
        }
    }
}
