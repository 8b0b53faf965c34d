//! Facts about the names of upstreams: `names:...`. What each name server says, whether they agree, whether the gateway's own view is
//! the host's, and whether the gateway still uses an address that the name has no more.

use std::{collections::BTreeMap, net::IpAddr};

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{
        ProbeHistory, Scene,
        names::{answers_alike, best, current, quality, strays, view},
        wording,
    },
    model::{
        Address, Fact, Gateway, NameFault, NamesView, ProbeJob, Resolution, RunState, ServerAnswer, ServerOf, Subject, clock_of,
    },
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    [
        "names:nxdomain",
        "names:nodata",
        "names:servfail",
        "names:silent",
        "names:agree",
        "names:disagree",
        "names:disagree-fails",
        "names:hosts-only",
        "names:search-only",
        "names:host-knows",
        "names:hosts-differ",
        "names:hosts-dead",
        "names:dead-address",
        "names:stale",
        "names:held",
    ]
    .map(str::to_owned)
    .into()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    for history in scene.probes_of("name") {
        let subject = &history.last.job.subject;
        // Several routes may lead to one name; the first that was looked at speaks for it.
        let Some((first, view)) = view(scene, subject) else { continue };
        if !std::ptr::eq(first, history) {
            continue;
        }
        book.look("names", subject);
        let mut name = Name { scene, catalog, history, subject, view, found: Vec::new() };
        name.servers();
        name.agreement();
        name.own_view();
        name.hosts_file();
        name.dead_address();
        name.stale();
        name.held();
        name.found.into_iter().for_each(|fact| book.add(fact));
    }
}

/// One name, and what is found about it.
struct Name<'a> {
    scene: &'a Scene,
    catalog: &'a Catalog,
    history: &'a ProbeHistory,
    subject: &'a Subject,
    view: &'a NamesView,
    found: Vec<Fact>,
}

/// One opinion about a name: who says it, and what.
struct Side<'a> {
    who: &'a str,
    ips: &'a [IpAddr],
    words: String,
}

impl Name<'_> {
    fn add(&mut self, name: &str, text: String, source: &str, more: &[(&str, String)]) {
        let mut fields = BTreeMap::from([("name".to_owned(), self.view.name.clone())]);
        fields.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        let at = self.history.results.back().map_or(self.scene.now, |result| result.at);
        let (name, source) = (name.to_owned(), source.to_owned());
        self.found.push(Fact { name, subject: self.subject.clone(), now: true, at, text, source, fields });
    }

    fn job(&self) -> &ProbeJob {
        &self.history.last.job
    }

    /// How well the best of these addresses serves. `None`: none was tried.
    fn best(&self, ips: &[IpAddr]) -> Option<u8> {
        best(self.scene, self.subject, self.view, ips).map(|(_, quality)| quality)
    }

    /// Where the best of these addresses is, with its port.
    fn place(&self, ips: &[IpAddr]) -> String {
        let ip = best(self.scene, self.subject, self.view, ips).map(|(ip, _)| ip).or_else(|| ips.first().copied());
        match (ip, self.job().address.port()) {
            (Some(ip), Some(port)) => Address::Tcp((ip, port).into()).to_string(),
            _ => self.job().address.to_string(),
        }
    }

    /// What is wrong with each server that the gateway asks.
    fn servers(&mut self) {
        let view = self.view;
        for (fault, name) in [
            (NameFault::NxDomain, "names:nxdomain"),
            (NameFault::NoData, "names:nodata"),
            (NameFault::ServFail, "names:servfail"),
            (NameFault::Silent, "names:silent"),
            (NameFault::NoServer, "names:silent"),
        ] {
            let of: Vec<&ServerAnswer> = view.decisive().filter(|answer| answer.fault == Some(fault)).collect();
            if of.is_empty() || self.found.iter().any(|fact| fact.name == name) {
                continue;
            }
            let words: Vec<String> = of.iter().map(|answer| format!("{}: {}", answer.server, answer.error)).collect();
            let text =
                format!("{}, asked for {}", words.join("; "), if of[0].asked.is_empty() { &view.name } else { &of[0].asked });
            self.add(
                name,
                text,
                "name server",
                &[("server", of[0].server.clone()), ("server_ip", host_of(&of[0].server)), ("detail", words.join("; "))],
            );
        }
    }

    /// Whether the servers that the gateway asks say the same.
    fn agreement(&mut self) {
        let view = self.view;
        let answered: Vec<&ServerAnswer> = view.decisive().filter(|answer| answer.answered()).collect();
        let differ = |a: &ServerAnswer, b: &ServerAnswer| match (a.ips.is_empty(), b.ips.is_empty()) {
            (true, true) => false,
            (false, false) => !a.ips.iter().any(|ip| b.ips.contains(ip)),
            (true, false) | (false, true) => true,
        };
        let pair = answered.iter().enumerate().find_map(|(index, a)| {
            let other = answered[index + 1..].iter().find(|b| differ(a, b))?;
            Some((*a, *other))
        });
        match pair {
            // The hosts file decides before them.
            Some((a, b)) if !view.by.starts_with("/etc/hosts") => {
                let sides = [side(a), side(b)];
                self.disagree(&sides);
            }
            None if answered.len() > 1 && answered.iter().any(|answer| !answer.ips.is_empty()) => {
                let text = format!("{} name servers say the same of {}", answered.len(), view.name);
                self.add("names:agree", text, "name server", &[]);
            }
            Some(_) | None => {}
        }
    }

    /// Two opinions that differ; it is the fault where one leads to a server that serves, and the other does not.
    fn disagree(&mut self, sides: &[Side<'_>; 2]) {
        let [a, b] = sides;
        let text = format!("{} says {}, {} says {}", a.who, a.words, b.who, b.words);
        let fields = [("detail", text.clone()), ("server", a.who.to_owned()), ("other", b.who.to_owned())];
        self.add("names:disagree", text, "name server", &fields);
        let worth = |side: &Side<'_>| if side.ips.is_empty() { Some(0) } else { self.best(side.ips) };
        let (Some(of_a), Some(of_b)) = (worth(a), worth(b)) else { return };
        if of_a == of_b {
            return;
        }
        let (bad, good) = if of_a < of_b { (a, b) } else { (b, a) };
        // A server's denial hurts only who takes it for final; where the order decides, only that of the first.
        let denial = bad.ips.is_empty();
        let hurts = match self.view.resolution.servers() {
            Some(own) => own.in_turn || !denial,
            None => best(self.scene, self.subject, self.view, &self.view.ips).is_none_or(|(_, quality)| quality < of_a.max(of_b)),
        };
        if !hurts {
            return;
        }
        let wrong = if bad.ips.is_empty() {
            format!("no address from {}", bad.who)
        } else {
            format!("nothing serves at {}, which {} gives", self.place(bad.ips), bad.who)
        };
        let text = format!("{wrong}, while {}, which {} gives, serves", self.place(good.ips), good.who);
        let fields = [
            ("detail", format!("{} says {}, {} says {}", good.who, good.words, bad.who, bad.words)),
            ("wrong", bad.who.to_owned()),
            ("wrong_ip", host_of(bad.who)),
            ("right", good.who.to_owned()),
            ("elsewhere", self.place(good.ips)),
        ];
        self.add("names:disagree-fails", text, "name server and probe", &fields);
    }

    /// What the host knows of a name that the gateway's own servers do not, or see otherwise.
    fn own_view(&mut self) {
        let view = self.view;
        let Some(own) = view.resolution.servers().filter(|own| !own.servers.is_empty()) else { return };
        let host = view.servers.iter().find(|answer| answer.of == ServerOf::Host && !answer.ips.is_empty());
        if !view.ips.is_empty() {
            // Both have addresses: which of them serves?
            let others = host.filter(|host| !host.ips.iter().any(|ip| current(view).contains(ip)));
            let ours = view.decisive().find(|answer| !answer.ips.is_empty());
            if let (Some(host), Some(ours)) = (others, ours)
                && self.best(&current(view)) < self.best(&host.ips)
                && self.best(&current(view)).is_some()
                && !self.found.iter().any(|fact| fact.name == "names:disagree")
            {
                self.disagree(&[side(ours), side(host)]);
            }
            return;
        }
        let asked = own.servers.join(" ");
        if let Some(line) = view.hosts.first() {
            let text = format!(
                "/etc/hosts:{} has {} for {}, and the gateway does not read it: it asks {asked}",
                line.line, line.ip, view.name
            );
            let why = format!("it stands in /etc/hosts:{} only, which the gateway's resolver does not read", line.line);
            self.add("names:hosts-only", text, "/etc/hosts", &[("why", why)]);
        } else if let Some(host) = host {
            let plain = host.asked.eq_ignore_ascii_case(view.name.trim_end_matches('.'));
            if plain {
                let text = format!("{} of /etc/resolv.conf says {}; the gateway asks {asked}", host.server, host.words());
                let why = format!("{}, which the host asks, knows it", host.server);
                self.add("names:host-knows", text, "name server", &[("why", why)]);
            } else {
                let text = format!("the host finds it as {}, by a search domain; the gateway's resolver knows of none", host.asked);
                let why = format!("only {} exists: the gateway's resolver appends no search domain", host.asked);
                self.add("names:search-only", text, "name server", &[("why", why), ("full", host.asked.clone())]);
            }
        }
    }

    /// Whether the hosts file says otherwise than the name servers, where it decides.
    fn hosts_file(&mut self) {
        let view = self.view;
        if !view.by.starts_with("/etc/hosts") {
            return;
        }
        let ours: Vec<IpAddr> = view.hosts.iter().map(|line| line.ip).collect();
        let differs = |answer: &&ServerAnswer| !answer.ips.is_empty() && !answer.ips.iter().any(|ip| ours.contains(ip));
        let Some(server) = view.servers.iter().filter(|answer| answer.of == ServerOf::Host).find(differs) else { return };
        let text = format!("{} says {}, {} says {}", view.by, words(&ours), server.server, server.words());
        self.add("names:hosts-differ", text, "/etc/hosts", &[("hosts_line", view.by.clone())]);
        let (Some(of_hosts), Some(of_dns)) = (self.best(&ours), self.best(&server.ips)) else { return };
        if of_hosts < of_dns {
            let (old, new) = (self.place(&ours), self.place(&server.ips));
            let text = format!(
                "{} sends {} to {old}, where nothing serves; {} gives {new}, which serves",
                view.by, view.name, server.server
            );
            let fields =
                [("hosts_line", view.by.clone()), ("old", old), ("elsewhere", new), ("why", format!("so {} says", server.server))];
            self.add("names:hosts-dead", text, "/etc/hosts and probe", &fields);
        }
    }

    /// Of several addresses some serve, and some do not.
    fn dead_address(&mut self) {
        let ips = current(self.view);
        let of = |ip: &IpAddr| quality(self.scene, self.subject, self.view, *ip).map(|quality| (*ip, quality > 0));
        let tried: Vec<(IpAddr, bool)> = ips.iter().filter_map(of).collect();
        let (alive, dead): (Vec<IpAddr>, Vec<IpAddr>) = (
            tried.iter().filter(|(_, serves)| *serves).map(|(ip, _)| *ip).collect(),
            tried.iter().filter(|(_, serves)| !*serves).map(|(ip, _)| *ip).collect(),
        );
        if alive.is_empty() || dead.is_empty() {
            return;
        }
        let text = format!("of the addresses of {}, {} does not serve and {} does", self.view.name, words(&dead), words(&alive));
        let fields =
            [("old", self.place(&dead)), ("elsewhere", self.place(&alive)), ("why", "another address of the same name".to_owned())];
        self.add("names:dead-address", text, "probe", &fields);
    }

    /// Whether the gateway uses an address that the name has no more, while a current one serves.
    fn stale(&mut self) {
        let now = current(self.view);
        let served = self.best(&now).or_else(|| (self.view.ips == now).then(|| self.through_name()).flatten());
        if served == Some(0) {
            return;
        }
        for stray in strays(self.scene, self.subject) {
            let there = quality(self.scene, self.subject, self.view, stray.ip);
            // A closed connection has no owner: it counts where the gateway answers just what is answered there, and the name gives
            // something better.
            let worse = there.is_some() && there < served;
            let alike = || answers_alike(self.scene, self.subject, stray.ip);
            let counts = if stray.certain { worse || there.is_none() } else { worse && alike() };
            if !counts {
                continue;
            }
            let port = self.job().address.port().unwrap_or_default();
            let old = Address::Tcp((stray.ip, port).into()).to_string();
            let gateway = self.gateway();
            let kind = gateway.map_or("the gateway", |gateway| gateway.kind.as_str());
            let loaded = gateway.and_then(loaded);
            let since = match (&self.view.resolution, loaded) {
                (Resolution::AtStart | Resolution::AtFirstUse, Some(at)) => format!(", which {kind} resolved at {}Z", clock_of(at)),
                (Resolution::ByServers(own), _) => {
                    own.kept_s.map_or_else(String::new, |kept| format!(", which {kind} keeps for {kept} s"))
                }
                _ => String::new(),
            };
            let new = self.place(&now);
            let by = self.view.by.clone();
            let text = format!("{kind} connects to {old}{since}: {}; {by} now gives {new}", stray.told);
            let mut fields = vec![("old", old), ("new", new), ("by", by), ("used", stray.told.clone())];
            fields.extend(lasting(self.catalog, kind, self.view, port).map(|lasting| ("lasting", lasting)));
            self.add("names:stale", text, &stray.source, &fields);
            return;
        }
    }

    /// Whether a gateway that runs does not need the name: nginx has its static names resolved before it takes a configuration, so that what
    /// fails now fails at the addresses that it got then, or as it has another configuration than the files.
    fn held(&mut self) {
        let view = self.view;
        let held = self
            .gateway()
            .filter(|gateway| gateway.kind == "nginx" && view.resolution == Resolution::AtStart && view.ips.is_empty());
        let Some(at) = held.and_then(loaded) else { return };
        let text = format!(
            "nginx needs {} to resolve at its start and reload only: it runs what it loaded at {}Z",
            view.name,
            clock_of(at)
        );
        self.add("names:held", text, "/proc", &[]);
    }

    /// How well the name itself serves.
    fn through_name(&self) -> Option<u8> {
        let mut of = self.scene.probes_about("upstream", self.subject);
        let outcome = &of.next()?.results.back()?.outcome;
        outcome.serves().map(|serves| if serves { 3 } else { 0 })
    }

    fn gateway(&self) -> Option<&Gateway> {
        let routes = self.scene.routes_to(&self.subject.0.parse().ok()?);
        routes.first().map(|(gateway, ..)| *gateway)
    }
}

/// How this gateway is made to follow the name for good: the remedy of the finding that tells of it.
fn lasting(catalog: &Catalog, kind: &str, view: &NamesView, port: u16) -> Option<String> {
    let id = match &view.resolution {
        Resolution::ByServers(own) => own.kept_s.map(|_| "answer-kept-long")?,
        Resolution::AtStart | Resolution::AtFirstUse => "resolved-once",
        Resolution::AtEachUse => return None,
    };
    let fields = BTreeMap::from([("name".to_owned(), view.name.clone()), ("port".to_owned(), port.to_string())]);
    catalog.finding(id)?.remedies(kind).find_map(|text| wording::fill(text, &fields))
}

/// When a gateway last resolved its static names, in seconds since the Unix epoch.
fn loaded(gateway: &Gateway) -> Option<i64> {
    match gateway.state {
        RunState::Running { since, workers_since, .. } => workers_since.or(since),
        RunState::Stopped { .. } => None,
    }
}

/// The address of a server, without its port, as nslookup takes it.
fn host_of(server: &str) -> String {
    server.parse::<std::net::SocketAddr>().map_or_else(|_| server.to_owned(), |at| at.ip().to_string())
}

fn side(answer: &ServerAnswer) -> Side<'_> {
    Side { who: &answer.server, ips: &answer.ips, words: answer.words() }
}

/// Some addresses, in words.
fn words(ips: &[IpAddr]) -> String {
    const SHOWN: usize = 3;
    let mut all: Vec<String> = ips.iter().take(SHOWN).map(ToString::to_string).collect();
    if ips.len() > SHOWN {
        all.push(format!("and {} more", ips.len() - SHOWN));
    }
    all.join(", ")
}

#[cfg(test)]
mod tests;
