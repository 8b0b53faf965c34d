//! Facts about name servers that were asked again and again: `resolvers:...`. One that fails or lies only at times is no fault of
//! the name, and breaks a share of the requests.

use std::{collections::BTreeMap, net::SocketAddr};

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{self, ProbeHistory, Scene, names::best},
    model::{Fact, NameFault, NamesView, Outcome, ServerAnswer, Subject, View},
};

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["resolvers:steady", "resolvers:one-falters", "resolvers:all-falter", "resolvers:lies-at-times"].map(str::to_owned).into()
}

/// Questions without a good answer from which on that is no lost packet.
const FALTERS: u32 = 2;

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for history in scene.probes_of("resolvers") {
        let subject = &history.last.job.subject;
        let Some(View::Names(view)) = &history.last.view else { continue };
        // What the hosts file decides, no server does; and what never resolves is told of the name itself.
        if matches!(history.last.outcome, Outcome::Open) && !book.looked_at("resolvers", &[subject]) {
            book.look("resolvers", subject);
            Asked { scene, history, subject, view, book }.tell();
        }
    }
}

struct Asked<'a> {
    scene: &'a Scene,
    history: &'a ProbeHistory,
    subject: &'a Subject,
    view: &'a NamesView,
    book: &'a mut FactBook,
}

/// What one server gave.
struct Server<'a> {
    name: &'a str,
    answers: Vec<&'a ServerAnswer>,
    asked: u32,
    /// Questions that brought no address.
    bad: u32,
}

impl Server<'_> {
    fn words(&self) -> String {
        let one = |answer: &&ServerAnswer| {
            let (times, of) = answer.share.unwrap_or((1, 1));
            let what = if answer.fault == Some(NameFault::Silent) { "nothing".to_owned() } else { answer.said() };
            format!("{what} to {times} of {of}")
        };
        let answers: Vec<String> = self.answers.iter().map(one).collect();
        format!("{} says {}", self.name, answers.join(", "))
    }
}

impl Asked<'_> {
    fn add(&mut self, name: &str, text: String, more: &[(&str, &str)]) {
        let mut fields: BTreeMap<String, String> =
            more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        fields.insert("name".to_owned(), self.view.name.clone());
        fields.insert("detail".to_owned(), text.clone());
        let at = self.history.results.back().map_or(self.scene.now, |result| result.at);
        let (name, source) = (name.to_owned(), "name server".to_owned());
        self.book.add(Fact { name, subject: self.subject.clone(), now: true, at, text, source, fields });
    }

    fn servers(&self) -> Vec<Server<'_>> {
        let mut servers: Vec<Server<'_>> = Vec::new();
        for answer in self.view.decisive() {
            let (times, of) = answer.share.unwrap_or((1, 1));
            let bad = if answer.ips.is_empty() { times } else { 0 };
            match servers.iter_mut().find(|known| known.name == answer.server) {
                Some(known) => {
                    known.answers.push(answer);
                    known.bad += bad;
                }
                None => servers.push(Server { name: &answer.server, answers: vec![answer], asked: of, bad }),
            }
        }
        servers
    }

    /// Whether something fails now: a server that falters where each request is served is somebody's trouble, and not this one's.
    fn fails(&self) -> bool {
        let failing = |history: &ProbeHistory| diagnose::window(history).iter().any(|result| diagnose::failed(&result.outcome));
        self.scene.probes_through(self.subject).any(failing) || diagnose::told_to_fail(self.scene)
    }

    fn tell(&mut self) {
        let servers = self.servers();
        let own = self.view.resolution.servers().filter(|own| !own.servers.is_empty());
        let falters = |server: &&Server<'_>| server.bad >= FALTERS;
        let steady = servers.iter().find(|server| server.bad == 0).map(|server| server.name.to_owned());
        // Where the order decides, nobody asks those behind the first that answers each time; where an address of any counts, one
        // that answers each time is enough.
        let asked = match own {
            Some(own) if own.in_turn => servers.len(),
            Some(_) => usize::from(steady.is_none()) * servers.len(),
            None => servers.iter().position(|server| server.bad == 0).unwrap_or(servers.len()),
        };
        let bad: Vec<&Server<'_>> = servers.iter().take(asked).filter(falters).collect();
        let words = |servers: &[&Server<'_>]| servers.iter().map(|server| server.words()).collect::<Vec<_>>().join("; ");
        let lie = self.lie(&servers);
        if let Some((text, wrong)) = lie.filter(|_| self.fails()) {
            self.add("resolvers:lies-at-times", text, &[("wrong", &wrong), ("wrong_ip", &host_of(&wrong))]);
        } else if let Some(first) = bad.first().filter(|_| self.fails()) {
            let (text, name) = (format!("asked again and again for {}, {}", self.view.name, words(&bad)), first.name.to_owned());
            match steady {
                Some(right) => {
                    let text = format!("{text}; {right} answers each time");
                    self.add("resolvers:one-falters", text, &[("wrong", &name), ("wrong_ip", &host_of(&name)), ("right", &right)]);
                }
                None => self.add("resolvers:all-falter", text, &[("server", &name), ("server_ip", &host_of(&name))]),
            }
        } else if !servers.is_empty() && servers.iter().all(|server| server.bad == 0) {
            let asked: u32 = servers.iter().map(|server| server.asked).sum();
            let text = format!("asked {asked} times for {}, {} name servers answered each time", self.view.name, servers.len());
            self.add("resolvers:steady", text, &[]);
        }
    }

    /// A server that gives, at times, addresses of which none serves, and others that do.
    fn lie(&self, servers: &[Server<'_>]) -> Option<(String, String)> {
        servers.iter().find_map(|server| {
            let worth = |answer: &&ServerAnswer| best(self.scene, self.subject, self.view, &answer.ips).map(|(_, quality)| quality);
            let given: Vec<u8> = server.answers.iter().filter_map(worth).collect();
            (given.contains(&0) && given.iter().any(|quality| *quality > 0)).then_some(())?;
            Some((
                format!("asked again and again for {}, {}: nothing serves at one of these", self.view.name, server.words()),
                server.name.to_owned(),
            ))
        })
    }
}

/// The address of a server, without its port, as nslookup takes it.
fn host_of(server: &str) -> String {
    server.parse::<SocketAddr>().map_or_else(|_| server.to_owned(), |at| at.ip().to_string())
}

#[cfg(test)]
mod tests;
