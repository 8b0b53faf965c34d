//! Groups of log lines that mean the same: how many, when, and what they say.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::{
    catalog::{Signature, Signatures},
    model::{
        Address, LogBatch, LogCount, LogFormat, SourceKind, Stamp,
        logline::{self, Dialect, Entry, Level},
    },
};

/// A pause, in seconds, that parts the failures of one outage from those of the one before.
pub const OUTAGE_GAP_S: i64 = 300;

/// What the lines of a group say.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Meaning {
    /// Whose words.
    pub dialect: Dialect,
    /// How bad it is by their own words.
    pub level: Option<Level>,
    /// The program that wrote them.
    pub program: Option<String>,
    /// The upstream that they name: an address, or the name of a pool or server.
    pub upstream: Option<String>,
    /// The status that was answered: these are requests.
    pub status: Option<u16>,
    /// Id of the signature that knows them. `None`: none does, or it was not looked for yet.
    pub signature: Option<String>,
    /// What the signature's pattern names in them: `process`, `unit`, `signal`.
    pub fields: BTreeMap<String, String>,
}

impl Meaning {
    fn of(entry: &Entry<'_>) -> Self {
        Self {
            dialect: entry.dialect,
            level: entry.level,
            program: entry.program.map(str::to_owned),
            upstream: entry.upstream.as_deref().map(str::to_owned),
            status: entry.status,
            ..Self::default()
        }
    }
}

/// What a line of this format and group says.
fn entry<'a>(format: &LogFormat, key: &'a str, line: &'a str) -> Entry<'a> {
    match format {
        LogFormat::NginxError => logline::read(line),
        // A line is kept up to a length only, and what a client asked for can be longer: the key was made of the whole line.
        LogFormat::Plain => {
            let entry = logline::read(line);
            if entry.status.is_some() { entry } else { logline::request_of_key(key).unwrap_or(entry) }
        }
        LogFormat::NginxAccess(_) => logline::read_access_key(key),
        LogFormat::Kernel => logline::read_kernel(line),
    }
}

/// Places of signatures that were found, by dialect and message: groups differ by server and upstream, and hundreds of them say the same.
pub type Known = HashMap<Dialect, HashMap<Box<str>, Option<usize>>>;

/// Lines that mean the same.
#[derive(Debug, Clone, PartialEq)]
pub struct LogGroup {
    /// Its number in the order in which groups came, from 1: by it its lines name it.
    pub number: u64,
    /// [`crate::model::LogSource::id`].
    pub source: String,
    /// Whose log.
    pub kind: SourceKind,
    /// How its lines are read.
    pub format: LogFormat,
    /// What its lines have in common.
    pub key: String,
    /// Lines in all.
    pub count: u64,
    /// Lines that came after we began to look.
    pub live: u64,
    /// Lines per second, oldest first.
    pub seconds: VecDeque<(i64, u32)>,
    /// The second at which the last row of lines without a long pause ([`OUTAGE_GAP_S`]) began: `seconds` goes back less far.
    pub row_began: Option<i64>,
    /// The first line, verbatim.
    pub first: String,
    /// The last line, verbatim.
    pub last: String,
    /// What its lines say, by the first of them.
    pub meaning: Meaning,
    /// When a line of it was last taken in.
    pub seen: Stamp,
}

impl LogGroup {
    /// A group without a line. `first`: its first one.
    pub fn new(batch: &LogBatch, key: String, first: &str, at: Stamp) -> Self {
        let meaning = Meaning::of(&entry(&batch.format, &key, first));
        Self {
            number: 0,
            source: batch.source.clone(),
            kind: batch.kind,
            format: batch.format.clone(),
            key,
            count: 0,
            live: 0,
            seconds: VecDeque::new(),
            row_began: None,
            first: first.to_owned(),
            last: String::new(),
            meaning,
            seen: at,
        }
    }

    /// Finds its signature. What was found for others is in `known`.
    pub fn classify(&mut self, signatures: &Signatures, known: &mut Known) {
        let entry = entry(&self.format, &self.key, &self.first);
        let same = known.get(&entry.dialect).and_then(|known| known.get(&*entry.message)).copied();
        let place = same.unwrap_or_else(|| {
            let place = signatures.place(&entry);
            known.entry(entry.dialect).or_default().insert(entry.message.as_ref().into(), place);
            place
        });
        let signature = place.and_then(|place| signatures.at(place));
        self.meaning.signature = signature.map(|signature| signature.id.clone());
        self.meaning.fields = signature.map(|signature| signature.fields(&entry)).unwrap_or_default();
    }

    /// Its signature, where it was found.
    pub fn signature<'a>(&self, signatures: &'a Signatures) -> Option<&'a Signature> {
        signatures.by_id(self.meaning.signature.as_deref()?)
    }

    /// How bad its lines are: by their own words, of requests by the status. `None`: they do not say.
    pub fn level(&self) -> Option<Level> {
        let of_status = |status| match status {
            500.. => Level::Error,
            400.. => Level::Notice,
            _ => Level::Info,
        };
        self.meaning.level.or(self.meaning.status.map(of_status))
    }

    /// Whether its lines are requests of the gateway's own clients: HAProxy and Caddy may have them in one log with their notices.
    pub fn is_request(&self) -> bool {
        match self.kind {
            SourceKind::Access => true,
            SourceKind::Error => self.meaning.status.is_some(),
            SourceKind::App | SourceKind::Kernel => false,
        }
    }

    /// Whether its lines are requests of our own.
    pub fn ours(&self) -> bool {
        matches!(self.kind, SourceKind::Access | SourceKind::Error) && logline::ours_of_key(&self.key)
    }

    /// The upstream's address, where its lines name one.
    pub fn upstream(&self) -> Option<Address> {
        self.meaning.upstream.as_deref()?.parse().ok()
    }

    /// The second of its first line that is still known.
    pub fn first_second(&self) -> Option<i64> {
        self.seconds.front().map(|(second, _)| *second)
    }

    /// The second of its last line.
    pub fn last_second(&self) -> Option<i64> {
        self.seconds.back().map(|(second, _)| *second)
    }

    /// The same group as it was at this second, as far as that can be told. `None`: it had no line by then.
    pub fn until(&self, second: i64) -> Option<Self> {
        let seconds: VecDeque<(i64, u32)> = self.seconds.iter().copied().filter(|(at, _)| *at <= second).collect();
        if seconds.is_empty() {
            return None;
        }
        let count = seconds.iter().map(|(_, lines)| u64::from(*lines)).sum();
        let row_began = self.row_began.filter(|began| *began <= second);
        // Which line was the last by then is not known: the first is like it.
        Some(Self { seconds, count, live: 0, row_began, last: self.first.clone(), ..self.clone() })
    }

    /// Lines from this second on.
    pub fn since(&self, second: i64) -> u64 {
        self.seconds.iter().rev().take_while(|(at, _)| *at >= second).map(|(_, count)| u64::from(*count)).sum()
    }

    /// Lines by steps of so many seconds that end with the one in which `now` is, oldest first.
    pub fn steps(&self, now: i64, steps: usize, step_s: i64) -> Vec<u64> {
        let mut counts = vec![0_u64; steps];
        let last = now.div_euclid(step_s);
        for (second, count) in self.seconds.iter().rev() {
            let back = last.saturating_sub(second.div_euclid(step_s));
            if let Some(at) = usize::try_from(back).ok().and_then(|back| steps.checked_sub(1)?.checked_sub(back)) {
                counts[at] = counts[at].saturating_add(u64::from(*count));
            }
        }
        counts
    }

    /// Counts lines. At most `seconds` figures are kept of when they came.
    pub fn take(&mut self, count: LogCount, lookback: bool, at: Stamp, seconds: usize) {
        self.count += u64::from(count.count);
        if !lookback {
            self.live += u64::from(count.count);
        }
        self.seen = at;
        let later: u32 = count.later.iter().fold(0, |sum, (_, lines)| sum.saturating_add(*lines));
        self.came(count.second.unwrap_or_else(|| at.wall_s()), count.count.saturating_sub(later));
        for (second, lines) in count.later {
            self.came(second, lines);
            self.merge(seconds);
        }
        self.merge(seconds);
        self.last = count.last.unwrap_or(count.first);
    }

    /// Lines come nearly in order; one that comes late is put in its place so that the ends stay right.
    fn came(&mut self, second: i64, lines: u32) {
        self.row_began = match (self.row_began, self.last_second()) {
            (Some(began), Some(last)) if second > last => Some(if second - last > OUTAGE_GAP_S { second } else { began }),
            (Some(began), _) => Some(if second < began && began - second <= OUTAGE_GAP_S { second } else { began }),
            (None, _) => Some(second),
        };
        match self.seconds.iter().rposition(|(known, _)| *known <= second) {
            Some(index) if self.seconds[index].0 == second => {
                self.seconds[index].1 = self.seconds[index].1.saturating_add(lines);
            }
            Some(index) => self.seconds.insert(index + 1, (second, lines)),
            None => self.seconds.push_front((second, lines)),
        }
    }

    /// Keeps the figures at so many: of the older half, each two neighbours become one, so the further back, the coarser. The
    /// first second and the sum stay.
    fn merge(&mut self, most: usize) {
        if self.seconds.len() <= most {
            return;
        }
        let recent = self.seconds.split_off(self.seconds.len() / 2);
        let older: Vec<(i64, u32)> = std::mem::take(&mut self.seconds).into();
        self.seconds.reserve_exact(most + 1);
        self.seconds.extend(older.chunks(2).map(|pair| {
            let lines = pair.iter().fold(0u32, |sum, (_, lines)| sum.saturating_add(*lines));
            (pair[0].0, lines)
        }));
        self.seconds.extend(recent);
    }
}
