//! Other consoles of this user on this host: they share what may be sent (DESIGN section 6).
//!
//! The first one listens on a socket of the abstract namespace (unix(7)): nothing is written, nothing is left behind, and it is as
//! wide as the network namespace, which is what the rate is about. Who finds the name taken connects there, and is told how many
//! there are; when the first one goes, another takes its place.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener as StdListener, UnixStream as StdStream},
    },
    path::Path,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream, unix::OwnedWriteHalf},
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Consoles that are counted, besides the first: more do not make it more polite, and a stranger could make thousands.
const COUNTED: usize = 7;
/// How long to wait before the place of one that went is taken: those that wait for it must not all try at once.
const SETTLE_MS: u64 = 50;

/// The other consoles of this user on this host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Others {
    /// How many.
    pub count: u8,
    /// One of them; `None`: none, or not to be seen from here.
    pub pid: Option<u32>,
}

/// What the sockets of consoles are called, before the number of their user.
const NAME: &str = "why502-console-";

/// Whether a socket is a console's own, by its path in the abstract namespace: none that anything of the host's waits at.
pub fn of_a_console(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.strip_prefix('@').is_some_and(|name| name.starts_with(NAME)))
}

/// Tells of other consoles until nobody listens.
pub async fn instances(others: watch::Sender<Others>) {
    let user = rustix::process::geteuid().as_raw();
    by_name(&format!("{NAME}{user}"), user, others).await;
}

async fn by_name(name: &str, user: u32, others: watch::Sender<Others>) {
    while !others.is_closed() {
        let Ok(address) = SocketAddr::from_abstract_name(name.as_bytes()) else { return };
        match StdListener::bind_addr(&address) {
            Ok(listener) => {
                let _ = first(listener, user, &others).await;
                return;
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => match StdStream::connect_addr(&address) {
                Ok(stream) => {
                    // A stranger's word counts for nothing.
                    let Ok(Trust::Ours) = later(stream, user, &others).await else { return };
                    others.send_replace(Others::default());
                }
                // It went in this moment, or it takes nobody more.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            },
            Err(_) => return,
        }
        let turn = u64::from(std::process::id()) % 10;
        tokio::time::sleep(Duration::from_millis(SETTLE_MS * (1 + turn))).await;
    }
}

enum Trust {
    Ours,
    Stranger,
}

/// Whose the other end is, by the kernel's word, and its process. `None`: another user's.
fn peer_of(stream: &UnixStream, user: u32) -> Option<Peer> {
    let peer = stream.peer_cred().ok().filter(|peer| peer.uid() == user)?;
    Some(Peer { pid: peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0) })
}

/// Another console of this user.
struct Peer {
    /// `None`: of another pid namespace.
    pid: Option<u32>,
}

/// The one that was there first: counts the others, and tells them.
async fn first(listener: StdListener, user: u32, others: &watch::Sender<Others>) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let (gone, mut left) = mpsc::channel::<u64>(COUNTED);
    let mut ends: JoinSet<()> = JoinSet::new();
    let mut guests: Vec<(u64, Option<u32>, OwnedWriteHalf)> = Vec::new();
    let mut number = 0;
    loop {
        tokio::select! {
            () = others.closed() => return Ok(()),
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let Some(Peer { pid }) = peer_of(&stream, user).filter(|_| guests.len() < COUNTED) else { continue };
                number += 1;
                let (mut read, write) = stream.into_split();
                let (gone, me) = (gone.clone(), number);
                ends.spawn(async move {
                    // It says nothing: whatever comes is its end.
                    let _ = read.read_u8().await;
                    let _ = gone.send(me).await;
                });
                guests.push((number, pid, write));
            }
            Some(ended) = left.recv() => guests.retain(|(number, ..)| *number != ended),
            Some(_) = ends.join_next(), if !ends.is_empty() => continue,
        }
        let count = u8::try_from(guests.len()).unwrap_or(u8::MAX);
        for (.., write) in &guests {
            // One that does not read is told nothing, and holds nobody up.
            let _ = write.try_write(&[count]);
        }
        others.send_replace(Others { count, pid: guests.first().and_then(|(_, pid, _)| *pid) });
    }
}

/// One that came later: hears from the first how many others there are, until that one goes.
async fn later(stream: StdStream, user: u32, others: &watch::Sender<Others>) -> io::Result<Trust> {
    stream.set_nonblocking(true)?;
    let mut stream = UnixStream::from_std(stream)?;
    let Some(Peer { pid }) = peer_of(&stream, user) else { return Ok(Trust::Stranger) };
    loop {
        tokio::select! {
            () = others.closed() => return Ok(Trust::Ours),
            count = stream.read_u8() => match count {
                Ok(count) => {
                    others.send_replace(Others { count: count.min(u8::try_from(COUNTED).unwrap_or(u8::MAX)), pid });
                }
                Err(_) => return Ok(Trust::Ours),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits for a count.
    async fn counts(others: &mut watch::Receiver<Others>, count: u8) {
        let waited = tokio::time::timeout(Duration::from_secs(20), others.wait_for(|others| others.count == count)).await;
        waited.expect("in time").expect("it runs");
    }

    #[tokio::test]
    async fn each_knows_of_the_others_and_of_their_end() {
        let start = || {
            let (sender, receiver) = watch::channel(Others::default());
            let user = rustix::process::geteuid().as_raw();
            // A console of the person who tests is none of this test's.
            let name = format!("why502-test-{}", std::process::id());
            (tokio::spawn(async move { by_name(&name, user, sender).await }), receiver)
        };
        let (one, mut of_one) = start();
        let (two, mut of_two) = start();
        counts(&mut of_one, 1).await;
        counts(&mut of_two, 1).await;
        assert_eq!(of_two.borrow().pid, Some(std::process::id()));
        let (three, mut of_three) = start();
        for others in [&mut of_one, &mut of_two, &mut of_three] {
            counts(others, 2).await;
        }
        // Whoever is first goes; one of the rest takes its place.
        one.abort();
        drop(of_one);
        counts(&mut of_two, 1).await;
        counts(&mut of_three, 1).await;
        two.abort();
        counts(&mut of_three, 0).await;
        three.abort();
    }
}
