//! The life of the services that matter, as who manages them tells it: whether they run, how they ended, how often they were
//! started again. systemd is asked over its bus; supervisord, pm2, runit and s6 are known by their files.
//!
//! It asks when it is known what matters, when that changes, and twice a minute. Nothing here judges.

mod pm2;
mod supervisord;
mod told;

use std::{collections::BTreeMap, path::Path, time::Duration};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    again::{Again, Pauses},
    sources::{services, units},
};
use crate::{
    model::{Asked, BlindSpot, Observation, OwnerRole, ProcessInfo, ServiceLife, SourceWish, Stage, Subject},
    sys::{Outbox, Refusal, Root, Sys, blocking},
};

/// How often they are asked about.
const EVERY: Duration = Duration::from_secs(30);
/// How old a list of processes may be.
const FRESH: Duration = Duration::from_secs(10);
/// How long files may take.
const LOOK: Duration = Duration::from_secs(1);
/// [`BlindSpot::source`].
pub const SOURCE: &str = "services";
/// Where runit and s6 keep what they supervise, and services in each that are looked at.
const SUPERVISED: [&str; 5] = ["/etc/service", "/service", "/var/service", "/run/service", "/run/runit/service"];
const SUPERVISED_NAMES: usize = 64;
/// Bytes of runit's status: a TAI64N stamp, a pid, and four flags (runsv(8)).
const RUNIT_STATUS: usize = 20;
/// What TAI64 counts from: 2^62, and ten leap seconds of 1970 (libtai).
const TAI64: u64 = 0x4000_0000_0000_000a;

/// What a unit is to the request.
type Roles = BTreeMap<String, (OwnerRole, Vec<Subject>)>;

/// Asks for as long as somebody listens. `Answered` of [`Stage::Life`] comes after each first answer for a wish.
pub async fn run(sys: Sys, wishes: watch::Receiver<Asked<SourceWish>>, outbox: Outbox, cancel: CancellationToken) {
    let mut told: Option<Vec<ServiceLife>> = None;
    let mut blind: Option<String> = None;
    let mut pauses = Pauses::new(sys.clock, wishes, cancel);
    if !pauses.begin(None).await {
        return;
    }
    let mut fresh = true;
    loop {
        let Asked { number, what: wish } = pauses.wish();
        let Some((lives, refused)) = pauses.unless_over(ask(&sys, &wish)).await else { return };
        let mut news = Vec::new();
        match refused {
            Some(reason) if blind.as_ref() != Some(&reason) => {
                blind = Some(reason.clone());
                let remedy = "look with: systemctl status, or the supervisor's own tool".to_owned();
                news.push(Observation::Blind(BlindSpot { source: SOURCE.to_owned(), reason, remedy }));
            }
            None if blind.take().is_some() => news.push(Observation::Seen { source: SOURCE.to_owned() }),
            Some(_) | None => {}
        }
        // Where there is nothing to tell, nothing is told: an old recording and a host without any manager are alike.
        if told.as_ref() != Some(&lives) && !(lives.is_empty() && told.is_none()) {
            told = Some(lives.clone());
            news.push(Observation::Life(lives));
        }
        if std::mem::take(&mut fresh) {
            news.push(Observation::Answered { stage: Stage::Life, asked: number });
        }
        for observation in news {
            if !outbox.tell(observation).await {
                return;
            }
        }
        match pauses.rest(EVERY).await {
            Again::Due => {}
            Again::Wished => fresh = true,
            Again::Over => return,
        }
    }
}

/// All that is told, and why systemd told nothing although it is there.
async fn ask(sys: &Sys, wish: &SourceWish) -> (Vec<ServiceLife>, Option<String>) {
    let processes = sys.rights.recent_processes(FRESH).await.ok();
    let (root, wished, now) = (sys.root.clone(), wish.clone(), sys.clock.now().wall_s());
    let found = blocking(LOOK, move || {
        let mut roles = Roles::new();
        for service in processes.as_deref().map_or_else(Vec::new, |processes| services(processes, &wished.owners)) {
            if let Some(unit) = service.lead.unit() {
                roles.insert(unit.to_owned(), (service.role, service.serves.clone()));
            }
        }
        for unit in units::by_address(&root, &wished.ownerless) {
            let named = wished.ownerless.iter().filter(|address| unit.names(address));
            let serves = named.map(|address| Subject(address.to_string())).collect();
            roles.insert(unit.name, (OwnerRole::Upstream, serves));
        }
        for (unit, gateway) in &wished.units {
            roles.insert(unit.clone(), (OwnerRole::Gateway, vec![gateway.clone()]));
        }
        let mut supervised = supervised(&root, &wished);
        let all = processes.as_deref().map_or(&[][..], Vec::as_slice);
        let others = supervisord::programs(&root, now).into_iter().chain(pm2::applications(&root, all, now));
        let mut others: Vec<ServiceLife> = others.filter_map(|life| of_interest(life, all, &wished)).collect();
        // Of several that are dead nobody can tell which one the address was.
        if others.iter().filter(|life| life.pid.is_none() && life.role.is_some()).count() > 1 {
            for life in others.iter_mut().filter(|life| life.pid.is_none()) {
                (life.role, life.serves) = (None, Vec::new());
            }
        }
        supervised.append(&mut others);
        (roles, supervised)
    })
    .await;
    let Some((roles, mut lives)) = found else { return (Vec::new(), None) };
    let units: Vec<String> = roles.keys().cloned().collect();
    let refused = match sys.rights.services(&units).await {
        Ok(told) => {
            lives.extend(told.into_iter().map(|mut life| {
                if let Some((role, serves)) = roles.get(&life.unit) {
                    (life.role, life.serves) = (Some(*role), serves.clone());
                }
                life
            }));
            None
        }
        // A host that systemd has not started has nothing to be blind for.
        Err(Refusal::Os { source, .. })
            if matches!(source.kind(), std::io::ErrorKind::Unsupported | std::io::ErrorKind::NotFound) =>
        {
            None
        }
        Err(refusal) => Some(refusal.to_string()),
    };
    // A unit that does not exist and was only guessed by the gateway's name is no news.
    lives.retain(|life| life.load != "not-found" || life.failed());
    (lives, refused)
}

/// A program of a supervisor that is, or was, behind the gateway: its process or that one's child is an owner, or it has none while an
/// address has no owner either. One that runs and is somebody else's is no news.
fn of_interest(mut life: ServiceLife, processes: &[ProcessInfo], wish: &SourceWish) -> Option<ServiceLife> {
    let parent = |pid: u32| processes.iter().find(|process| process.pid == pid).map(|process| process.ppid);
    let own = |pid: u32| life.pid.is_some() && (life.pid == Some(pid) || life.pid == parent(pid));
    if let Some(owner) = wish.owners.iter().find(|owner| own(owner.pid)) {
        (life.role, life.serves) = (Some(owner.role), owner.serves.clone());
        return Some(life);
    }
    let dead = !life.runs() && !wish.ownerless.is_empty();
    if dead && let [address] = wish.ownerless.as_slice() {
        (life.role, life.serves) = (Some(OwnerRole::Upstream), vec![Subject(address.to_string())]);
    }
    (dead && (life.failed() || life.restarts_now())).then_some(life)
}

/// The number of a signal by its name (signal(7)), of those that end programs.
fn signal(name: &str) -> Option<i32> {
    const SIGNALS: [(&str, i32); 12] = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("ILL", 4),
        ("ABRT", 6),
        ("BUS", 7),
        ("FPE", 8),
        ("KILL", 9),
        ("USR1", 10),
        ("SEGV", 11),
        ("PIPE", 13),
        ("TERM", 15),
    ];
    let name = name.strip_prefix("SIG")?;
    SIGNALS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

/// What runit, s6 and daemontools supervise, by their own files: one whose `run` names an address that matters.
fn supervised(root: &Root, wish: &SourceWish) -> Vec<ServiceLife> {
    let mut lives = Vec::new();
    for place in SUPERVISED.map(Path::new) {
        for name in root.list_at_most(place, SUPERVISED_NAMES).unwrap_or_default() {
            let dir = place.join(&name);
            let Ok((script, _)) = root.read_at_most(&dir.join("run"), 16 << 10) else { continue };
            let words: Vec<String> = String::from_utf8_lossy(&script).split_ascii_whitespace().map(str::to_owned).collect();
            let serves: Vec<Subject> = wish
                .dialled
                .iter()
                .filter(|address| units::words_name(&words, address))
                .map(|address| Subject(address.to_string()))
                .collect();
            let Some((bytes, _)) = root.read_at_most(&dir.join("supervise/status"), 64).ok().filter(|_| !serves.is_empty()) else {
                continue;
            };
            if let Some(mut life) = runit(&bytes) {
                life.unit = name.to_string_lossy().into_owned();
                life.source = dir.join("supervise/status").display().to_string();
                (life.role, life.serves) = (Some(OwnerRole::Upstream), serves);
                lives.push(life);
            }
        }
    }
    lives
}

/// runit's status (runit's `runsv.c`, update_status): big-endian TAI64 seconds and nanoseconds, little-endian pid, paused, wanted,
/// got TERM, state.
fn runit(bytes: &[u8]) -> Option<ServiceLife> {
    if bytes.len() != RUNIT_STATUS {
        return None;
    }
    let tai = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let pid = u32::from_le_bytes(bytes.get(12..16)?.try_into().ok()?);
    let (wanted, state) = (*bytes.get(17)?, *bytes.get(19)?);
    let since = tai.checked_sub(TAI64).and_then(|second| i64::try_from(second).ok());
    let (active, sub) = match (state, pid) {
        (1, 1..) => ("active", "running"),
        (2, _) => ("activating", "finishing"),
        _ if wanted == b'u' => ("activating", "auto-restart"),
        _ => ("inactive", "dead"),
    };
    Some(ServiceLife {
        manager: "runit".to_owned(),
        load: "loaded".to_owned(),
        active: active.to_owned(),
        sub: sub.to_owned(),
        since,
        pid: (pid > 0).then_some(pid),
        ..ServiceLife::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runits_status_is_read() {
        let mut bytes = Vec::new();
        bytes.extend((TAI64 + 1_795_227_460).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(811_u32.to_le_bytes());
        bytes.extend([0, b'u', 0, 1]);
        let life = runit(&bytes).expect("a status");
        assert_eq!((life.since, life.pid, life.runs()), (Some(1_795_227_460), Some(811), true));
        bytes[12..16].fill(0);
        bytes[19] = 0;
        assert!(runit(&bytes).expect("a status").restarts_now());
        bytes[17] = b'd';
        assert_eq!(runit(&bytes).expect("a status").active, "inactive");
        assert_eq!(runit(&bytes[..19]), None);
    }
}
