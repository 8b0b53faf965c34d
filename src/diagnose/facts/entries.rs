//! Facts about what logs tell as a whole: `entries:...`. What recurs in the logs of a gateway, of an application and of the kernel,
//! whoever's words they are; and that nothing does, where they were read. They tick steps of the checklist: evidence for a cause
//! are the lines themselves (`log:...`).

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    FactBook, LOG_WINDOW_S,
    logs::{recent, told},
};
use crate::{
    catalog::{Catalog, Rank},
    diagnose::{LogGroup, Scene},
    model::{Fact, FoundLog, JOURNAL_PREFIX, LogSource, SourceKind, Stage, Stamp, Subject, logline::Level, text},
};

/// Characters of a line that a sentence holds.
const LINE_CHARS: usize = 160;
/// What the journal and the kernel's log are called as a whole.
const JOURNAL: &str = "journal";
const KERNEL: &str = "kernel";
/// Names of logs that a sentence holds.
const NAMED: usize = 3;

/// Whose logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    Gateway,
    Application,
    Kernel,
}

impl Whose {
    const ALL: [Self; 3] = [Self::Gateway, Self::Application, Self::Kernel];

    fn of(kind: SourceKind) -> Self {
        match kind {
            SourceKind::Error | SourceKind::Access => Self::Gateway,
            SourceKind::App => Self::Application,
            SourceKind::Kernel => Self::Kernel,
        }
    }

    fn failing(self) -> &'static str {
        match self {
            Self::Gateway => "entries:gateway",
            Self::Application => "entries:application",
            Self::Kernel => "entries:kernel",
        }
    }

    fn quiet(self) -> &'static str {
        match self {
            Self::Gateway => "entries:gateway-quiet",
            Self::Application => "entries:application-quiet",
            Self::Kernel => "entries:kernel-quiet",
        }
    }
}

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    Whose::ALL.into_iter().flat_map(|whose| [whose.failing(), whose.quiet()]).map(str::to_owned).collect()
}

/// The facts.
pub fn produce(scene: &Scene, catalog: &Catalog, book: &mut FactBook) {
    for whose in Whose::ALL {
        let groups = scene.logs.values().filter(|group| Whose::of(group.kind) == whose);
        let told = groups.filter_map(|group| Some((weight(scene, catalog, group)?, group))).max_by_key(|(weight, _)| *weight);
        let fact = match told {
            Some((_, group)) => Some(failing(scene, catalog, whose, group)),
            None => quiet(scene, whose),
        };
        if let Some(fact) = fact {
            book.add(fact);
        }
    }
}

/// How much a group tells of a failure: a root before what follows from one, what is known before what is only loud, many before
/// few. `None`: it does not.
fn weight(scene: &Scene, catalog: &Catalog, group: &LogGroup) -> Option<(u8, u64, Reverse<u64>)> {
    // A list of requests has our own too; where they stand among errors, what is told of them is as true as of others.
    let own = group.kind == SourceKind::Access && group.ours();
    let count = Some(recent(scene, group)).filter(|count| *count > 0 && !own)?;
    let class = match (group.signature(&catalog.signatures).map(|signature| signature.rank), group.kind) {
        (Some(Rank::Root), _) => 4,
        (Some(Rank::Symptom), _) => 3,
        (None, SourceKind::Error | SourceKind::App) if group.level() >= Some(Level::Error) => 2,
        // What a server behind answered, by the gateway's own list of requests.
        (None, SourceKind::Access) if group.level() >= Some(Level::Error) => 1,
        // The kernel's lines were chosen by what they say: one that no signature knows has nothing to do with requests.
        (Some(Rank::Context) | None, _) => return None,
    };
    Some((class, count, Reverse(group.number)))
}

fn failing(scene: &Scene, catalog: &Catalog, whose: Whose, group: &LogGroup) -> Fact {
    let what = match group.signature(&catalog.signatures) {
        Some(signature) => signature.explain.clone(),
        None => text::printable(&group.last).chars().take(LINE_CHARS).collect(),
    };
    let now = scene.now.wall_s();
    let last = group.last_second().unwrap_or(now);
    let text = told(&what, recent(scene, group), now - last);
    let at = Stamp { run_ms: group.seen.run_ms, wall_ms: last * 1000 };
    let (name, source) = (whose.failing().to_owned(), group.source.clone());
    Fact { name, subject: Subject(source.clone()), now: true, at, text, source, fields: BTreeMap::new() }
}

/// That logs were read and tell of no failure. `None`: there is none of this kind, or one of them could not be read.
fn quiet(scene: &Scene, whose: Whose) -> Option<Fact> {
    if scene.excerpt() {
        return None;
    }
    let mut logs: Vec<String> = match whose {
        Whose::Gateway => scene.gateways.iter().filter(|one| one.running()).flat_map(|one| &one.logs).map(LogSource::id).collect(),
        Whose::Application => Vec::new(),
        Whose::Kernel => vec![KERNEL.to_owned()],
    };
    logs.extend(scene.sources.iter().filter(|log| Whose::of(log.kind) == whose).map(FoundLog::id));
    logs.sort();
    logs.dedup();
    let unread = |log: &String| {
        if log.starts_with(JOURNAL_PREFIX) {
            scene.blind.contains_key(JOURNAL) || !scene.done.contains(&Stage::Journal)
        } else {
            scene.blind.contains_key(log) || !scene.heard.contains(log)
        }
    };
    if logs.is_empty() || logs.iter().any(unread) {
        return None;
    }
    let more = logs.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named = logs.iter().take(NAMED).map(|log| text::printable(log)).collect::<Vec<_>>().join(", ");
    Some(Fact {
        name: whose.quiet().to_owned(),
        subject: Subject::host(),
        now: true,
        at: scene.now,
        text: format!("no failure within {} in {named}{more}", text::duration(LOG_WINDOW_S)),
        source: "logs".to_owned(),
        fields: BTreeMap::new(),
    })
}
