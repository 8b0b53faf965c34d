//! A probe as a command that a person can run.

use crate::model::{Address, Command, Gateway, HttpRequest, ProbeJob, Protocol, RunState};

/// Words before a command that is run where an address is meant: with this host's programs where only the network matters. `None`:
/// no gateway that runs there is known.
fn enter(gateways: &[Gateway], place: &str, address: &Address) -> Option<Vec<String>> {
    let there = |gateway: &Gateway| Some((gateway.inside.clone().filter(|inside| inside.place == place)?, gateway.state.clone()));
    let (inside, state) = gateways.iter().find_map(there)?;
    match (address.bare(), state) {
        (Address::Tcp(_), RunState::Running { pid, .. }) => {
            Some(["nsenter", "--target", &pid.to_string(), "--net", "--"].map(str::to_owned).into())
        }
        _ => Some(inside.enter),
    }
}

/// The same by hand, as the same user. `None`: no common tool speaks this protocol.
pub fn by_hand(job: &ProbeJob, gateways: &[Gateway]) -> Option<Command> {
    let place = job.address.place();
    let enter = match place {
        Some(place) => enter(gateways, place, &job.address)?,
        None => Vec::new(),
    };
    // In a container the user has no name to sudo as a rule, and over TCP who asks makes no difference.
    let who = job.identity.iter().filter(|_| place.is_none());
    let who = who.flat_map(|identity| ["sudo".to_owned(), "-u".to_owned(), identity.name.clone()]);
    let who = enter.into_iter().chain(who);
    let request = job.request.as_ref();
    let path = request.map_or("/".into(), HttpRequest::target);
    let host = request.map(|request| request.host.as_str());
    let http = matches!(job.protocol, Protocol::Http | Protocol::Https);
    let mut words: Vec<String> = match (job.address.bare(), http) {
        // Not below what is bare.
        (Address::Inside(..), _) => return None,
        (Address::Unix(socket), true) => {
            vec!["--unix-socket".to_owned(), socket.display().to_string(), format!("http://localhost{path}")]
        }
        (Address::Tcp(at), true) if job.probe == "gateway" && host.is_some() => {
            let host = host.unwrap_or_default();
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let (scheme, port) = (job.protocol.scheme(), at.port());
            let url = format!("{scheme}://{name}:{port}{path}");
            vec!["--resolve".to_owned(), format!("{name}:{port}:{}", at.ip()), url]
        }
        (Address::Tcp(_) | Address::Name(..), true) => vec![format!("{}://{}{path}", job.protocol.scheme(), job.address.bare())],
        (Address::Tcp(at), false) => {
            return Command::new(who.chain(["nc".to_owned(), "-vz".to_owned(), at.ip().to_string(), at.port().to_string()]));
        }
        (Address::Name(name, port), false) => {
            return Command::new(who.chain(["nc".to_owned(), "-vz".to_owned(), name.clone(), port.to_string()]));
        }
        (Address::Unix(socket), false) => {
            return Command::new(who.chain(["nc".to_owned(), "-vzU".to_owned(), socket.display().to_string()]));
        }
    };
    if job.preamble {
        words.insert(0, "--haproxy-protocol".to_owned());
    }
    if let Some(host) = host.filter(|_| job.probe != "gateway") {
        words.splice(0..0, ["-H".to_owned(), format!("Host: {host}")]);
    }
    Command::new(who.chain(["curl".to_owned(), "-sv".to_owned(), "-o".to_owned(), "/dev/null".to_owned()]).chain(words))
}
