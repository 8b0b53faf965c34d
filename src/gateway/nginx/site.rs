//! `server` blocks to sites: a walk through locations that keeps what is in force at each place.

use std::collections::HashMap;

use super::{
    listen::{listens, share_flags},
    route::{self, Here},
    sample::{Locations, Match},
    scope::Scope,
    target::{MODULES, STREAM},
    tree::Directive,
    world::World,
};
use crate::model::{Route, Site};

/// All sites of `http`.
pub fn http<'a>(world: &mut World<'a>, main: &Scope<'a>, block: &'a [Directive], default_port: u16) -> Vec<Site> {
    let outer = main.within(block);
    let mut sites: Vec<Site> = Vec::new();
    for server in block.iter().filter(|one| one.name == "server" && one.block.is_some()) {
        let names = names(server);
        let at = server.place();
        let listens = listens(server.children(), &at, Some(default_port), &mut world.problems);
        let mut site = Site { names, listens, routes: Vec::new(), at };
        site.routes = routes(world, &outer, server.children(), &site);
        sites.push(site);
    }
    share_flags(sites.iter_mut().flat_map(|site| &mut site.listens));
    sites
}

/// All sites of `stream`: what goes in at a port comes out at an upstream.
pub fn stream<'a>(world: &mut World<'a>, main: &Scope<'a>, block: &'a [Directive]) -> Vec<Site> {
    let outer = main.within(block);
    let mut sites = Vec::new();
    for server in block.iter().filter(|one| one.name == "server" && one.block.is_some()) {
        let at = server.place();
        let listens = listens(server.children(), &at, None, &mut world.problems);
        let scope = outer.within(server.children());
        let mut site = Site { names: names(server), listens, routes: Vec::new(), at };
        let here = Here::server("stream", &scope, world, &site);
        let passes = server.children().iter().filter(|one| one.name == STREAM.pass && one.block.is_none());
        site.routes = passes.filter_map(|pass| route::route(world, &scope, &here, STREAM, pass)).collect();
        sites.push(site);
    }
    share_flags(sites.iter_mut().flat_map(|site| &mut site.listens));
    sites
}

/// nginx stores `""` as the name of requests without Host; a host name it is not.
fn names(server: &Directive) -> Vec<String> {
    let all = server.children().iter().filter(|one| one.name == "server_name").flat_map(|one| &one.args);
    all.filter(|name| !name.is_empty()).cloned().collect()
}

fn routes<'a>(world: &mut World<'a>, outer: &Scope<'a>, server: &'a [Directive], site: &Site) -> Vec<Route> {
    let scope = outer.within(server);
    let locations = Locations::of(server);
    let here = Here::server("", &scope, world, site);
    let inner = redirects(server, &locations);
    let mut walk = Walk { world, inner, routes: Vec::new() };
    let mut number = 0;
    for directive in server {
        if directive.name == "location" && directive.block.is_some() {
            let sample = locations.sample(number);
            number += 1;
            walk.location(directive, &scope, &here, sample);
        }
    }
    walk.routes
}

/// Paths that lead to named and internal locations: those of the locations whose requests are redirected there.
fn redirects(server: &[Directive], locations: &Locations) -> HashMap<String, String> {
    let mut found = HashMap::new();
    let mut note = |block: &[Directive], sample: &str| {
        let leads = |name: &str| matches!(name, "try_files" | "error_page" | "auth_request" | "mirror");
        for directive in block.iter().filter(|one| leads(&one.name)) {
            if let Some(name) = directive.args.last().filter(|arg| arg.starts_with(['@', '/'])) {
                found.entry(name.clone()).or_insert_with(|| sample.to_owned());
            }
        }
    };
    for (number, location) in server.iter().filter(|one| one.name == "location" && one.block.is_some()).enumerate() {
        if let Some(sample) = locations.sample(number) {
            note(location.children(), &sample);
        }
    }
    note(server, "/");
    found
}

struct Walk<'w, 'a> {
    world: &'w mut World<'a>,
    /// Paths that lead to named and internal locations.
    inner: HashMap<String, String>,
    routes: Vec<Route>,
}

impl<'a> Walk<'_, 'a> {
    fn location(&mut self, directive: &'a Directive, outer: &Scope<'a>, around: &Here, sample: Option<String>) {
        let matched = Match::of(directive);
        // An internal one is reached by another location's request only: auth_request, error_page.
        let internal = directive.children().iter().any(|one| one.name == "internal");
        let own = match &matched {
            Match::Named(name) => self.inner.get(name).cloned(),
            Match::Exact(name) | Match::Prefix { prefix: name, .. } if internal => self.inner.get(name).cloned(),
            Match::Exact(_) | Match::Prefix { .. } | Match::Pattern(..) => {
                sample.or_else(|| matched.candidates().into_iter().next())
            }
        };
        let sample = own.unwrap_or_else(|| around.sample.clone());
        let scope = outer.within(directive.children());
        let here = around.location(directive.args.join(" "), matched, sample, &scope, self.world.prefix);
        self.block(directive.children(), &scope, &here);
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
                    self.location(directive, scope, here, None);
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
