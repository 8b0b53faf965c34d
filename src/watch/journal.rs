//! systemd's journal of the units that matter: read for what it has, then followed.
//!
//! Its entries come as any log's lines do, one source for each unit (`journal:app.service`), with the time at which journald took
//! them in. Where it may not be read, it is a blind spot with the group that may.

use std::{collections::BTreeMap, time::Duration};

use jiff::tz::TimeZone;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::logs::{batch::Batcher, join::condense};
use crate::{
    model::{
        Asked, BlindSpot, Command, JOURNAL_PREFIX, JournalEntry, JournalExport, LogFormat, LogSource, Observation, SourceKind,
        Stage,
    },
    sys::{JournalQuery, JournalStream, Outbox, Refusal, Sys, Users, own_ids},
};

/// [`BlindSpot::source`] of the journal.
pub const SOURCE: &str = "journal";
/// Entries of the past that are read, of all units together: some minutes of a talkative application.
const PAST: u32 = 2_000;
/// Entries of the past that are read again when following begins, so that none between the two is lost.
const AGAIN: u32 = 500;
/// How long the past may take. It is told as far as it came.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long entries wait to be told together.
const FLUSH: Duration = Duration::from_millis(100);
/// How long it rests before it is tried again after the reader ended, at first, and at last: each time doubles it.
const REST: Duration = Duration::from_secs(2);
const REST_LAST: Duration = Duration::from_mins(1);
/// A reader that ran for longer than this, in milliseconds, ended for another reason than it did before.
const REST_LAST_MS: u64 = 60_000;

/// A unit whose journal is wanted, and whose words they are.
pub type Unit = (String, SourceKind);

/// Follows the journal of these units, and of others when the list changes. Tells `Answered` of [`Stage::Journal`] after the past of each list
/// was read, or can't be; at once, where it is empty.
pub async fn run(sys: Sys, mut units: watch::Receiver<Asked<Vec<Unit>>>, outbox: Outbox, cancel: CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => return,
        wished = units.changed() => if wished.is_err() { return },
    }
    let mut follower = Follower { batchers: BTreeMap::new(), last: BTreeMap::new(), told: None, outbox, sys };
    let mut open = true;
    loop {
        let Asked { number, what: wanted } = units.borrow_and_update().clone();
        follower.batchers.clear();
        for (unit, kind) in &wanted {
            follower.batchers.insert(unit.clone(), batcher(unit, *kind));
        }
        let listening = tokio::select! {
            () = cancel.cancelled() => return,
            news = units.changed(), if open => {
                open = news.is_ok();
                true
            }
            listening = follower.follow(number), if open || !wanted.is_empty() => listening,
        };
        if !listening {
            return;
        }
    }
}

fn batcher(unit: &str, kind: SourceKind) -> Batcher {
    let id = format!("{JOURNAL_PREFIX}{unit}");
    let source = LogSource { path: id.clone().into(), kind, format: LogFormat::Plain };
    Batcher::named(id, source, TimeZone::UTC)
}

struct Follower {
    sys: Sys,
    outbox: Outbox,
    batchers: BTreeMap<String, Batcher>,
    /// The latest entry of each unit that was taken, in microseconds since the Unix epoch.
    last: BTreeMap<String, i64>,
    /// The blind spot that was told.
    told: Option<String>,
}

impl Follower {
    /// Reads the past, then what comes. It returns only when nobody listens: `false`.
    async fn follow(&mut self, asked: u64) -> bool {
        let began_us = self.sys.clock.now().wall_ms.saturating_mul(1000);
        let past = self.read(PAST, false, began_us);
        // Where the time is up, what was read until then is told.
        let listening = tokio::time::timeout(PATIENCE, past).await.unwrap_or(true);
        if !listening || !self.flush().await || !self.outbox.tell(Observation::Answered { stage: Stage::Journal, asked }).await {
            return false;
        }
        if self.batchers.is_empty() {
            std::future::pending::<()>().await;
        }
        let mut rest = REST;
        loop {
            let started_ms = self.sys.clock.now().run_ms;
            if !self.read(AGAIN, true, began_us).await {
                return false;
            }
            // It ends when the journal may not be read, and by whoever kills it.
            if self.sys.clock.now().run_ms.saturating_sub(started_ms) > REST_LAST_MS {
                rest = REST;
            }
            tokio::time::sleep(rest).await;
            rest = (rest * 2).min(REST_LAST);
        }
    }

    /// Reads until the program ends. `false`: nobody listens.
    async fn read(&mut self, lines: u32, follow: bool, began_us: i64) -> bool {
        if self.batchers.is_empty() {
            return true;
        }
        let query = JournalQuery { units: self.batchers.keys().cloned().collect(), lines, follow };
        let mut stream = match self.sys.rights.journal(&query) {
            Ok(stream) => stream,
            Err(refusal) => return self.hidden(&refusal).await,
        };
        let mut export = JournalExport::default();
        let mut flush = tokio::time::interval(FLUSH);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pending = false;
        let mut any = false;
        loop {
            let bytes = tokio::select! {
                bytes = stream.read() => bytes.unwrap_or_default(),
                _ = flush.tick(), if pending => {
                    pending = false;
                    if !self.flush().await {
                        return false;
                    }
                    continue;
                }
            };
            if bytes.is_empty() {
                break;
            }
            any = true;
            export.push(&bytes, |entry| self.take(&entry, began_us));
            // The first after a pause is told at once; what follows it waits for more.
            if !std::mem::replace(&mut pending, true) {
                flush.reset();
                if follow && !self.flush().await {
                    return false;
                }
            }
        }
        self.flush().await && self.ended(stream, any).await
    }

    /// Takes an entry, unless it was taken before.
    fn take(&mut self, entry: &JournalEntry, began_us: i64) {
        let Some(unit) = entry.unit.as_deref() else { return };
        let Some(batcher) = self.batchers.get_mut(unit) else { return };
        let at = entry.realtime_us.unwrap_or(began_us);
        if self.last.get(unit).is_some_and(|last| at <= *last) {
            return;
        }
        self.last.insert(unit.to_owned(), at);
        batcher.at(self.sys.clock.now().wall_s());
        let line = entry.line();
        let (length, lookback, second) = (line.len() as u64, at < began_us, Some(at.div_euclid(1_000_000)));
        if line.contains(&b'\n') {
            // An entry of several lines is whole: a traceback in one message.
            batcher.release();
            batcher.add(&condense(&line, 0), length, lookback, second);
        } else {
            // What a program writes line by line comes as an entry for each.
            batcher.take(&line, length, lookback, second);
        }
    }

    async fn flush(&mut self) -> bool {
        self.batchers.values_mut().for_each(Batcher::release);
        let batches: Vec<_> = self.batchers.values_mut().flat_map(Batcher::all).collect();
        for batch in batches {
            if !self.outbox.tell(Observation::Log(batch)).await {
                return false;
            }
        }
        true
    }

    /// Whether it could read, once it has ended.
    async fn ended(&mut self, stream: JournalStream, any: bool) -> bool {
        let complaint = stream.complaint().await;
        let reason = match complaint.lines().find(|line| !line.starts_with("-- ")).unwrap_or_default() {
            // "No journal files were opened due to insufficient permissions.", and a hint of the groups that may.
            _ if complaint.contains("insufficient permissions") || complaint.contains("not seeing messages from other users") => {
                "it may not be read: only what this user wrote is seen".to_owned()
            }
            "" => return self.seen().await,
            _ if any => return self.seen().await,
            other => other.to_owned(),
        };
        let groups = "systemd-journal";
        let user = Users::read(&self.sys.root).name(own_ids().uid);
        let command = Command::new(["sudo", "usermod", "-aG", groups, &user]);
        let remedy = command.filter(|_| reason.starts_with("it may not")).map_or_else(
            || "look with: journalctl -e".to_owned(),
            |command| format!("add yourself to group {groups}: {command}, then log in again"),
        );
        self.blind(reason, remedy).await
    }

    async fn hidden(&mut self, refusal: &Refusal) -> bool {
        self.blind(refusal.to_string(), "install journalctl, or look at the files of the syslog daemon".to_owned()).await
    }

    async fn blind(&mut self, reason: String, remedy: String) -> bool {
        if self.told.as_ref() == Some(&reason) {
            return true;
        }
        self.told = Some(reason.clone());
        self.outbox.tell(Observation::Blind(BlindSpot { source: SOURCE.to_owned(), reason, remedy })).await
    }

    async fn seen(&mut self) -> bool {
        self.told.take().is_none() || self.outbox.tell(Observation::Seen { source: SOURCE.to_owned() }).await
    }
}

#[cfg(test)]
mod tests;
