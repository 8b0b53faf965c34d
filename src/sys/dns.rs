//! Names to addresses, by the hosts file and the name servers below the root, or by a gateway's own name servers. getaddrinfo is
//! never called: it blocks, and in a static binary it needs the host's own libc. What it would ask beside files and DNS (NIS, LDAP,
//! multicast DNS) cannot be asked from here, and is told as such.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use thiserror::Error;

use super::Root;
use crate::model::{NameFault, NamesView, Order as _, OwnResolvers, Resolution, ServerAnswer, ServerOf};

mod again;
pub(super) mod files;
pub(super) mod server;

use files::Files;
use server::{Question, ask, no_answer};

/// How long the host's files may take: they are local, unless something is very wrong.
const FILES: Duration = Duration::from_secs(1);
/// How much longer an earlier server is waited for once a later one has answered: who is merely slower decides, who is silent does
/// not hold anybody up.
const GRACE: Duration = Duration::from_millis(150);
/// Characters of a name at most (RFC 1035 section 2.3.4).
const NAME_CHARS: usize = 253;
/// Name servers of a gateway's own that are asked.
const OWN_SERVERS: usize = 8;

/// Why a name has no address.
#[derive(Debug, Error)]
#[error("{name}: {detail}")]
pub struct NameError {
    /// The name.
    pub name: String,
    /// Which kind of failure.
    pub fault: NameFault,
    /// In words.
    pub detail: String,
}

/// Resolves names as the host, or as a gateway, would.
#[derive(Debug, Clone)]
pub struct Dns {
    root: Root,
    /// Where the host's name servers listen; 53, but in tests.
    port: u16,
}

/// Who decides among several name servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// The first in order that answers, be it that there is no such name (resolv.conf(5): nameserver).
    First,
    /// Any that has addresses: nginx asks them in turn, HAProxy all at once.
    Any,
}

impl Dns {
    /// By the files below this root.
    pub fn new(root: Root) -> Self {
        Self { root, port: 53 }
    }

    /// With name servers of the host that listen on another port than 53.
    #[cfg(test)]
    pub fn at_port(root: Root, port: u16) -> Self {
        Self { root, port }
    }

    /// All addresses of a name as the host resolves it, IPv4 first.
    pub async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        self.resolve(name, &Resolution::AtEachUse).await
    }

    /// All addresses of a name as the gateway resolves it, IPv4 first. The files are read anew each time: mending them is a way out
    /// of an outage. A gateway that has no name server of its own, though it needs one, is looked at with the host's eyes.
    pub async fn resolve(&self, name: &str, resolution: &Resolution) -> Result<Vec<IpAddr>, NameError> {
        if let Some(ip) = literal(name) {
            return Ok(vec![ip]);
        }
        let own = resolution.servers().filter(|own| !own.servers.is_empty());
        let view = self.look(name, own, false).await.map_err(|(fault, detail)| error(name, fault, detail))?;
        if view.ips.is_empty() { Err(failure(name, &view, own.is_some())) } else { Ok(view.ips) }
    }

    /// Everything that files and name servers say of a name, each server asked on its own and all side by side.
    pub async fn view(&self, name: &str, resolution: &Resolution) -> Result<NamesView, NameError> {
        let own = resolution.servers().filter(|own| !own.servers.is_empty());
        let looked = self.look(name, own, true).await.map_err(|(fault, detail)| error(name, fault, detail))?;
        Ok(NamesView { resolution: resolution.clone(), ..looked })
    }

    /// Why a view has no address.
    pub fn fault(view: &NamesView) -> NameError {
        failure(&view.name, view, view.resolution.servers().is_some_and(|own| !own.servers.is_empty()))
    }

    /// `all`: until each server has answered or its time is over, and the host's too where a gateway has its own; else until it is
    /// clear what comes out.
    async fn look(&self, name: &str, own: Option<&OwnResolvers>, all: bool) -> Result<NamesView, (NameFault, String)> {
        if name.is_empty() || name.len() > NAME_CHARS || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err((NameFault::NxDomain, "this can be nobody's name".to_owned()));
        }
        let (root, asked) = (self.root.clone(), name.to_owned());
        let files = super::blocking(FILES, move || files::read(&root, &asked)).await;
        let files = files.ok_or_else(|| (NameFault::Silent, "the files in /etc could not be read in time".to_owned()))?;
        let mut view = NamesView {
            name: name.to_owned(),
            hosts: files.hosts.clone(),
            modules: files.modules.clone(),
            search: files.search.clone(),
            ..NamesView::default()
        };
        let by_host = all || own.is_none();
        // What the hosts file decides needs no server, unless somebody wants to know all.
        let decided = without_dns(name, &files);
        let ask_host = by_host && (all || decided.is_none());
        let plain = [name.trim_end_matches('.').to_owned()];
        let (host, gateway) = tokio::join!(async { if ask_host { self.of_host(&files, all).await } else { Vec::new() } }, async {
            match own {
                Some(own) => self.of_gateway(own, &plain, all).await,
                None => Vec::new(),
            }
        },);
        if own.is_some() {
            let from = chosen(&gateway, Rule::Any);
            (view.ips, view.by) = from.map_or_else(Default::default, |answer| (answer.ips.clone(), answer.server.clone()));
        } else if let Some((ips, by)) = decided {
            (view.ips, view.by) = (ips, by);
        } else {
            let from = chosen(&host, Rule::First).filter(|answer| !answer.ips.is_empty());
            (view.ips, view.by) = match from {
                Some(answer) => (answer.ips.clone(), answer.server.clone()),
                // The hosts file after DNS.
                None if !files.hosts.is_empty() && files.modules.iter().any(|module| module == "files") => {
                    let ips = files.hosts.iter().map(|line| line.ip).collect();
                    (ips, format!("/etc/hosts:{}", files.hosts[0].line))
                }
                None if files.modules.iter().any(|module| module == "myhostname") && !files.own.is_empty() => {
                    (files.own.clone(), "the host's own name".to_owned())
                }
                None => Default::default(),
            };
            view.unsure = unsure(&files, !view.ips.is_empty());
        }
        view.servers = host.into_iter().chain(gateway).collect();
        if files.none_named {
            // glibc asks this host then, and who has a server here is well; the fault of others is that none is named.
            let named = |answer: &mut ServerAnswer| {
                if answer.of == ServerOf::Host && !answer.answered() {
                    answer.fault = Some(NameFault::NoServer);
                    "/etc/resolv.conf names no server".clone_into(&mut answer.error);
                }
            };
            view.servers.iter_mut().for_each(named);
        }
        Ok(view)
    }

    async fn of_host(&self, files: &Files, all: bool) -> Vec<ServerAnswer> {
        let question = Question { names: &files.candidates, four: true, six: true };
        let asked = files.servers.iter().map(|ip| ask(SocketAddr::new(*ip, self.port), ServerOf::Host, question));
        gather(asked, Rule::First, all).await
    }

    async fn of_gateway(&self, own: &OwnResolvers, names: &[String], all: bool) -> Vec<ServerAnswer> {
        let question = Question { names, four: !own.no_ipv4, six: !own.no_ipv6 };
        let asked = own.servers.iter().take(OWN_SERVERS).map(|written| async move {
            match self.place(written).await {
                Some(at) => ask(at, ServerOf::Gateway, question).await,
                None => no_answer(written, ServerOf::Gateway, NameFault::NoServer, "its own name does not resolve".to_owned()),
            }
        });
        gather(asked, Rule::Any, all).await
    }

    /// Where a name server as written in a configuration is: `10.0.0.2`, `[::1]:5353`, `dns.internal`.
    async fn place(&self, written: &str) -> Option<SocketAddr> {
        /// Where name servers listen (RFC 1035 section 4.2).
        const PORT: u16 = 53;
        if let Ok(at) = written.parse::<SocketAddr>() {
            return Some(at);
        }
        if let Some(ip) = literal(written) {
            return Some(SocketAddr::new(ip, PORT));
        }
        let (host, port) = match written.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (written, PORT),
        };
        // As nginx has it resolved at start: by the host.
        let found = Box::pin(self.look(host, None, false)).await.ok()?;
        found.ips.first().map(|ip| SocketAddr::new(*ip, port))
    }
}

fn literal(name: &str) -> Option<IpAddr> {
    name.strip_prefix('[').and_then(|n| n.strip_suffix(']')).unwrap_or(name).parse().ok()
}

/// Waits for answers; the result is in the order of the servers. Those that were not waited for are left out.
async fn gather<F: Future<Output = ServerAnswer>>(asked: impl Iterator<Item = F>, rule: Rule, all: bool) -> Vec<ServerAnswer> {
    let mut running: FuturesUnordered<_> = asked.enumerate().map(|(index, answer)| async move { (index, answer.await) }).collect();
    let mut answers: Vec<(usize, ServerAnswer)> = Vec::new();
    let mut deadline = None;
    loop {
        let patience = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            next = running.next() => match next {
                Some(answer) => answers.push(answer),
                None => break,
            },
            () = patience => break,
        }
        if all {
            continue;
        }
        let settles = |answer: &ServerAnswer| final_for(rule, answer);
        let first = answers.iter().filter(|(_, answer)| settles(answer)).map(|(index, _)| *index).min();
        if let Some(first) = first {
            let earlier = answers.iter().filter(|(index, _)| *index < first).count();
            if earlier == first || rule == Rule::Any {
                break;
            }
            deadline.get_or_insert_with(|| tokio::time::Instant::now() + GRACE);
        }
    }
    answers.order_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Whether nobody is asked after this answer.
fn final_for(rule: Rule, answer: &ServerAnswer) -> bool {
    match rule {
        Rule::Any => !answer.ips.is_empty(),
        Rule::First => !matches!(answer.fault, Some(NameFault::ServFail | NameFault::Silent | NameFault::NoServer)),
    }
}

/// The answer that counts.
fn chosen(answers: &[ServerAnswer], rule: Rule) -> Option<&ServerAnswer> {
    answers.iter().find(|answer| final_for(rule, answer))
}

/// What is decided before any name server is asked: the hosts file where it comes before DNS, and `localhost`.
fn without_dns(name: &str, files: &Files) -> Option<(Vec<IpAddr>, String)> {
    let place = |module: &str| files.modules.iter().position(|known| known == module).unwrap_or(usize::MAX);
    if let Some(line) = files.hosts.first().filter(|_| place("files") < place("dns").min(place("resolve"))) {
        let ips = files.hosts.iter().map(|line| line.ip).collect();
        return Some((ips, format!("/etc/hosts:{}", line.line)));
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let localhost = name == "localhost" || name.ends_with(".localhost"); // RFC 6761 section 6.3
    localhost.then(|| (vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])], "RFC 6761".to_owned()))
}

/// The modules that may have decided otherwise: those before DNS where that has the name, else all.
fn unsure(files: &Files, found: bool) -> Vec<String> {
    let dns = files.modules.iter().position(|module| module == "dns" || module == "resolve").unwrap_or(usize::MAX);
    let before = |module: &String| files.modules.iter().position(|known| known == module).is_some_and(|at| at < dns);
    files.opaque.iter().filter(|module| !found || before(module)).cloned().collect()
}

fn error(name: &str, fault: NameFault, detail: String) -> NameError {
    NameError { name: name.to_owned(), fault, detail }
}

/// The worst of what the servers said that are asked: with the server's name, so that a person knows where to look.
fn failure(name: &str, view: &NamesView, own: bool) -> NameError {
    let of = if own { ServerOf::Gateway } else { ServerOf::Host };
    let answers: Vec<&ServerAnswer> = view.servers.iter().filter(|answer| answer.of == of).collect();
    let answered = answers.iter().find(|answer| final_for(Rule::First, answer)).or_else(|| answers.iter().find(|a| a.answered()));
    match answered.or_else(|| answers.first()) {
        Some(answer) => {
            let fault = answer.fault.unwrap_or(NameFault::NoData);
            error(name, fault, format!("{}: {}", answer.server, answer.words()))
        }
        None => error(name, NameFault::NoServer, "no name server is configured".to_owned()),
    }
}

#[cfg(test)]
mod tests;
