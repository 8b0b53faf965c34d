//! Virtual hosts to sites, and in what order a site's sections and rules take a request: `RewriteRule ... [P]` of the server,
//! `ProxyPass` in `<Location>`, `ProxyPass` in order, then rules and handlers of directories and files (mod_proxy.c, mod_rewrite.c
//! and `ap_directory_walk` in server/request.c).

use std::collections::BTreeMap;

use super::{
    files::{self, Files},
    htaccess,
    load::Start,
    pattern, rewrite,
    route::{self, Here},
    scope::Scope,
    target::{Parameters, parameters},
    tree::Directive,
    vhost,
    world::World,
};
use crate::model::{ANSWERS, Order as _, PathMatch, Protocol, Reuse, Route, RouteChoice, Setting, Settings, Site};

/// Names of directives that make a route, or decide about one, where they stand at the level of a server.
const KEPT: &[&str] = &[
    "location",
    "locationmatch",
    "directory",
    "directorymatch",
    "files",
    "filesmatch",
    "if",
    "proxypass",
    "redirect",
    "proxypassmatch",
    "sethandler",
    "jkmount",
    "rewriteengine",
    "rewritecond",
    "rewriterule",
    "rewriteoptions",
];

/// Files that are read with each request, at most.
const PER_REQUEST: usize = 200;

/// All sites: the virtual hosts in their order, and the main server where it takes connections.
pub fn sites<'a>(world: &mut World<'a>, tree: &'a [Directive], start: &Start) -> Vec<Site> {
    let hosts: Vec<&Directive> = tree.iter().filter(|one| one.name == "virtualhost" && one.block.is_some()).collect();
    let ports = vhost::ports(tree, &mut world.problems);
    let outer = Scope::new(tree);
    let main_tls = outer.on("sslengine");
    let tls = |host: &Directive| host.children().iter().rev().find(|one| one.name == "sslengine").map_or(main_tls, Directive::on);
    let specs: Vec<_> = hosts.iter().map(|host| (vhost::specs(host), tls(host))).collect();
    let (listens, main_listens) = vhost::listens(&ports, &specs, main_tls);
    // What the main server has is in force in each virtual host: found once, not 20,000 times.
    let shared: Vec<&Directive> = tree.iter().filter(|one| KEPT.contains(&one.name.as_str())).collect();
    let mut sites = Vec::new();
    for (host, mut listens) in hosts.iter().zip(listens) {
        let scope = outer.within(host.children());
        let proxied = scope.on("remoteipproxyprotocol");
        for listen in &mut listens {
            listen.proxy_protocol = proxied;
        }
        let mut site = Site {
            names: vhost::names(host.children()),
            listens,
            routes: Vec::new(),
            choice: RouteChoice::FirstMatch,
            at: host.place(),
        };
        let called = site.host().map(str::to_owned);
        site.routes = Walk::new(world, scope, &shared, host.children(), start, called).routes();
        sites.push(site.compact());
    }
    if !main_listens.is_empty() {
        let at = main_listens.first().map(|listen| listen.at.clone());
        let mut names = vhost::names(tree);
        names.truncate(1);
        let routes = Walk::new(world, outer, &shared, &[], start, names.first().cloned()).routes();
        if let Some(at) = at {
            sites.push(Site { names, listens: main_listens, routes, choice: RouteChoice::FirstMatch, at });
        }
    }
    sites
}

struct Walk<'w, 'a> {
    world: &'w mut World<'a>,
    scope: Scope<'a>,
    /// The main server's, then the virtual host's own.
    shared: &'w [&'a Directive],
    own: &'a [Directive],
    start: &'w Start,
    /// Where files are.
    documents: String,
    /// A name that a request can carry.
    host: Option<String>,
    routes: Vec<Route>,
    /// Whether more than what stands here decides where a path goes: rewrites, fallbacks, `.htaccess`.
    open: bool,
}

impl<'w, 'a> Walk<'w, 'a> {
    fn new(
        world: &'w mut World<'a>,
        scope: Scope<'a>,
        shared: &'w [&'a Directive],
        own: &'a [Directive],
        start: &'w Start,
        host: Option<String>,
    ) -> Self {
        let documents = scope.value("documentroot").unwrap_or_else(|| "htdocs".to_owned());
        let documents = world.base.join(documents).display().to_string();
        Self { world, scope, shared, own, start, documents, host, routes: Vec::new(), open: false }
    }

    fn routes(mut self) -> Vec<Route> {
        self.rewrites();
        self.locations();
        self.passes();
        let redirects: Vec<&'a Directive> = self.all().filter(|one| one.name == "redirect" && one.block.is_none()).collect();
        for one in redirects {
            let args = one.args();
            if let [_, path] = args.as_slice() {
                self.routes.extend(self.redirected(path));
            }
        }
        self.directories();
        self.mounts();
        let fallback =
            ["fallbackresource", "errordocument", "action", "scriptalias"].iter().any(|name| self.scope.get(name).is_some());
        // What nothing above takes is a file, and goes to nobody.
        let all = |route: &Route| match route.takes.as_ref() {
            Some(PathMatch::Any) => true,
            Some(PathMatch::Prefix(prefix)) => prefix == "/",
            Some(PathMatch::FinalPrefix(_) | PathMatch::Exact(_) | PathMatch::Pattern(_) | PathMatch::Condition(_)) | None => false,
        };
        if !self.routes.is_empty() && !self.open && !fallback && !self.routes.iter().any(all) {
            let at = self.routes.last().map(|route| route.at.clone());
            self.routes.extend(at.map(|at| nowhere("(files)", PathMatch::Any, "/", at)));
        }
        // An upgrade never is a plain request: such a route must not stand before what takes those.
        // Nor may what answers under a condition: that ends the search for a route.
        let upgrade = |route: &Route| {
            let answers = route.settings.contains_key(ANSWERS);
            matches!(&route.takes, Some(PathMatch::Condition(what)) if answers || what.starts_with("Upgrade"))
        };
        self.routes.order_by_key(upgrade);
        self.routes
    }

    /// All directives of the main server and of the virtual host that make routes, in the order of the merge.
    fn all(&self) -> impl Iterator<Item = &'a Directive> + use<'a, 'w> {
        let own: &'a [Directive] = self.own;
        self.shared.iter().copied().chain(own.iter())
    }

    fn here(&self, pattern: String, takes: PathMatch, sample: String, prefix: Option<String>, scope: Scope<'a>) -> Here<'a> {
        Here { pattern, takes, sample, prefix, scope, documents: self.documents.clone(), host: self.host.clone() }
    }

    /// `RewriteRule` of the server itself: a virtual host does not inherit those of the main server.
    fn rewrites(&mut self) {
        let inherits = self.own.iter().any(|one| one.name == "rewriteoptions" && one.text.to_ascii_lowercase().contains("inherit"));
        let mut level: Vec<&'a Directive> = self.own.iter().collect();
        if self.own.is_empty() {
            level = self.shared.to_vec();
        } else if inherits {
            level.extend(self.shared);
        }
        self.rules(&level, None, &self.scope.clone());
    }

    /// Rules of one level. `under`: the path of the directory that they stand in.
    fn rules(&mut self, level: &[&'a Directive], under: Option<&str>, scope: &Scope<'a>) {
        let found = rewrite::rules(level, under);
        self.open |= found.rewrites;
        let mut answers = found.answered.into_iter().peekable();
        for (number, rule) in found.proxied.into_iter().enumerate() {
            while let Some(answer) = answers.next_if(|answer| answer.behind <= number) {
                self.answer(answer);
            }
            let here = self.here(rule.pattern, rule.takes, rule.sample, rule.prefix, scope.clone());
            let made = route::route(self.world, &here, &rule.url, Parameters::new(), rule.at);
            self.routes.extend(made);
        }
        answers.for_each(|answer| self.answer(answer));
    }

    /// A rule that answers by itself.
    fn answer(&mut self, answer: rewrite::Answer<'a>) {
        let (conditions, root) = (answer.conditions.as_slice(), self.world.root);
        // They are asked for with each request, so their coming and going counts.
        for path in rewrite::asked(conditions, &self.documents, root) {
            if self.world.per_request.len() < PER_REQUEST && !self.world.per_request.contains(&path) {
                self.world.per_request.push(path);
            }
        }
        let takes = match rewrite::hold(conditions, &self.documents, root) {
            Some(true) => answer.takes,
            Some(false) => return,
            None => PathMatch::Condition(conditions.join(" and ")),
        };
        let written = conditions.iter().map(|one| format!("RewriteCond {one}")).chain([answer.words]);
        let words = written.collect::<Vec<_>>().join(" ");
        let mut route = answered(takes, &answer.sample, words, answer.at);
        if let Some(switch) = rewrite::switch(conditions, &self.documents, root) {
            switch.note(&answer.at.place(), &mut route.settings);
        }
        self.routes.push(route);
    }

    /// What `Redirect 503 /path` answers to this path: ProxyPass goes before it, but where it says `!`.
    fn redirected(&self, path: &str) -> Option<Route> {
        self.all().filter(|one| one.name == "redirect").find_map(|one| {
            let args = one.args();
            let [status, of] = args.as_slice() else { return None };
            let (takes, _) = pattern::below(of);
            (status.parse::<u16>().is_ok() && takes.takes(path) == Some(true))
                .then(|| answered(takes, path, format!("Redirect {}", one.text), one))
        })
    }

    /// `ProxyPass` in `<Location>`: of those that match, the last counts.
    fn locations(&mut self) {
        let sections: Vec<&'a Directive> =
            self.all().filter(|one| matches!(one.name.as_str(), "location" | "locationmatch") && one.block.is_some()).collect();
        for section in sections.into_iter().rev() {
            let scope = self.scope.within(section.children());
            let (takes, sample, prefix) = files::location(section);
            // What stands in a section is asked before the request is passed on (mod_alias, fixup).
            for one in section.children().iter().filter(|one| one.name == "redirect") {
                if one.args().first().is_some_and(|status| status.parse::<u16>().is_ok()) {
                    self.routes.push(answered(takes.clone(), &sample, format!("Redirect {}", one.text), one));
                }
            }
            for pass in section.children().iter().filter(|one| one.name == "proxypass" || one.name == "proxypassmatch") {
                let args = pass.args();
                let Some((url, words)) = args.split_first() else { continue };
                let here = self.here(
                    format!("<{} {}>", title(section), section.text),
                    takes.clone(),
                    sample.clone(),
                    prefix.clone(),
                    scope.clone(),
                );
                self.pass(&here, url, words, pass);
            }
        }
    }

    /// `ProxyPass` and `ProxyPassMatch` of the server, in order; those of the main server come first (`merge_proxy_config`).
    fn passes(&mut self) {
        let passes: Vec<&'a Directive> =
            self.all().filter(|one| matches!(one.name.as_str(), "proxypass" | "proxypassmatch") && one.block.is_none()).collect();
        for pass in passes {
            let args = pass.args();
            // `ProxyPass /path URL`; `interpolate` may stand among the parameters.
            let [path, url, words @ ..] = args.as_slice() else {
                self.world.problems.add(pass.place(), "ProxyPass takes a path and a URL outside of <Location>");
                continue;
            };
            let scope = self.scope.clone();
            let here = if pass.name == "proxypassmatch" {
                let takes = PathMatch::Pattern(path.clone());
                self.here(path.clone(), takes, pattern::sample(path), pattern::head(path), scope)
            } else {
                let (takes, prefix) = pattern::below(path);
                self.here(path.clone(), takes, path.clone(), Some(prefix), scope)
            };
            self.pass(&here, url, words, pass);
        }
    }

    fn pass(&mut self, here: &Here<'a>, url: &str, words: &[String], pass: &'a Directive) {
        if url == "!" {
            self.routes.extend(self.redirected(&here.sample));
            self.routes.push(nowhere(&format!("{} !", here.pattern), here.takes.clone(), &here.sample, pass.place()));
            return;
        }
        let made = route::route(self.world, here, url, parameters(words, pass), pass);
        self.routes.extend(made);
    }

    /// Handlers and rules of locations, files and directories: later ones override, so they come in reverse.
    fn directories(&mut self) {
        let all: Vec<&'a Directive> = self.all().collect();
        let files = Files::of(self.world, &self.scope, &self.documents);
        let mut found: Vec<(Vec<&'a Directive>, files::Place<'a>)> = Vec::new();
        for section in all.iter().filter(|one| one.block.is_some()) {
            files.places(section, &self.scope, &mut found);
        }
        // The server's own handler is overridden by all of them.
        let own: Vec<&'a Directive> = all.iter().copied().filter(|one| one.name == "sethandler").collect();
        if !own.is_empty() {
            found.insert(0, (own, files::Place::of_server(&self.scope)));
        }
        let allowed = htaccess::allowed(&all, &self.documents);
        let own = htaccess::path(&self.documents);
        if allowed && self.world.per_request.len() < PER_REQUEST && !self.world.per_request.contains(&own) {
            self.world.per_request.push(own);
        }
        if allowed && let Some(spoken) = htaccess::read(self.world, &self.documents, self.start) {
            self.open |= spoken.rewrites;
            for rule in spoken.proxied {
                let here = self.here(rule.pattern, rule.takes, rule.sample, rule.prefix, self.scope.clone());
                self.routes.extend(route::route(self.world, &here, &rule.url, Parameters::new(), &rule.at));
            }
            for (handler, takes, sample, at) in spoken.handlers {
                let here = self.here(format!(".htaccess {handler}"), takes, sample, None, self.scope.clone());
                self.routes.extend(route::route(self.world, &here, &handler, Parameters::new(), &at));
            }
        }
        // Rules of a directory run before any handler.
        for (content, place) in &found {
            if place.under.is_some() {
                self.rules(content, place.under.as_deref(), &place.scope);
            }
        }
        found.order_by_key(|(_, place)| place.rank);
        for (content, place) in found.into_iter().rev() {
            let Some(handler) = content.iter().rev().find(|one| one.name == "sethandler") else { continue };
            let Some(url) = handler_url(&handler.first()) else { continue };
            let sample = files.sample(&place);
            let here = self.here(place.pattern, place.takes, sample, None, place.scope);
            let made = route::route(self.world, &here, &url, Parameters::new(), handler);
            self.routes.extend(made);
        }
    }

    /// mod_jk: `JkMount /app/* worker`.
    fn mounts(&mut self) {
        let mounts: Vec<&'a Directive> = self.all().filter(|one| one.name == "jkmount").collect();
        if mounts.is_empty() {
            return;
        }
        let workers = files::jk_workers(self.world, &self.scope);
        for mount in mounts {
            let args = mount.args();
            let [path, worker, ..] = args.as_slice() else { continue };
            let prefix = path.trim_end_matches('*').to_owned();
            let takes = if path.ends_with('*') { PathMatch::Prefix(prefix.clone()) } else { PathMatch::Exact(path.clone()) };
            let here = self.here(path.clone(), takes, prefix, None, self.scope.clone());
            let Some(address) = workers.get(worker) else { continue };
            let made = route::route(self.world, &here, &format!("ajp://{address}"), Parameters::new(), mount);
            self.routes.extend(made);
        }
    }
}

/// The URL of `proxy:unix:/run/php.sock|fcgi://localhost`. `None`: the handler is none of mod_proxy's.
pub fn handler_url(handler: &str) -> Option<String> {
    let url = handler.get(..6).filter(|head| head.eq_ignore_ascii_case("proxy:")).map(|_| &handler[6..])?;
    Some(url.to_owned())
}

fn title(section: &Directive) -> &'static str {
    if section.name == "locationmatch" { "LocationMatch" } else { "Location" }
}

/// The route of requests that Apache answers by itself.
fn answered(takes: PathMatch, sample: &str, words: String, at: &Directive) -> Route {
    let settings = BTreeMap::from([(ANSWERS.to_owned(), Setting { value: words.into(), at: Some(at.place()) })]);
    Route { settings: settings.into(), ..nowhere(&at.text, takes, sample, at.place()) }
}

/// A route that goes to no upstream: what stands behind it must not be thought to take the request.
fn nowhere(pattern: &str, takes: PathMatch, sample: &str, at: crate::model::Place) -> Route {
    Route {
        pattern: pattern.to_owned(),
        takes: Some(takes),
        sample_path: sample.to_owned(),
        protocol: Protocol::Http,
        pool: None,
        servers: Vec::new(),
        rewrite: None,
        host_header: None,
        sni: None,
        trust: None,
        params: Vec::new(),
        connect_ms: 0,
        read_ms: 0,
        header_limit: None,
        source: None,
        reuse: Reuse::Unknown,
        settings: Settings::default(),
        dynamic: None,
        at,
    }
}
