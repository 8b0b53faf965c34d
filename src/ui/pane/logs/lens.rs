//! What of the logs is to be seen: the person's filters applied to groups and lines, and their order.

use std::{borrow::Cow, cmp::Reverse, collections::HashMap};

use crate::{
    app::{Ask, FilterBy, LogFilter, Pattern, State},
    catalog::{Catalog, Rank, Signature},
    diagnose::{LOG_WINDOW_S, LogGroup, Recent, RecentLine, Scene},
    model::{SourceKind, logline::Level},
    ui::is_now,
};

/// A line with all that is known of it.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The log.
    pub source: &'a str,
    /// The line.
    pub line: &'a RecentLine,
    /// Its group.
    pub group: Option<&'a LogGroup>,
}

impl Told<'_> {
    /// The key of its row.
    pub fn key(&self) -> String {
        format!("#{}", self.line.number)
    }
}

/// The number of the line with this row's key.
pub fn number_of(key: &str) -> Option<u64> {
    key.strip_prefix('#')?.parse().ok()
}

/// The key of a group's row.
pub fn key_of(group: &LogGroup) -> String {
    format!("{}\u{1f}{}", group.source, group.key)
}

/// What is seen.
pub struct Lens<'a> {
    state: &'a State,
    pub scene: &'a Scene,
    catalog: Option<&'a Catalog>,
    recent: &'a Recent,
    filters: Vec<Cow<'a, LogFilter>>,
    /// What is older is left out.
    pub from: Option<i64>,
    /// The groups by their number.
    numbered: Vec<Option<&'a LogGroup>>,
}

impl<'a> Lens<'a> {
    pub fn of(state: &'a State) -> Self {
        let scene = state.shown().0;
        let logs = &state.view.logs;
        let recent = logs.held.as_deref().filter(|_| logs.lines).unwrap_or(&scene.recent);
        let mut filters: Vec<Cow<'a, LogFilter>> = logs.filters.iter().map(Cow::Borrowed).collect();
        // What is being typed shows at once what it would leave.
        filters.extend(super::super::pending(state, "logs").map(Cow::Owned));
        // Lines that are held must not grow old before the reader's eyes.
        let held = logs.held.as_ref().filter(|_| logs.lines).and_then(|held| held.latest().next().map(|(_, line)| line.second));
        let now = held.unwrap_or_else(|| scene.now.wall_s());
        let from = logs.window_s.map(|window| now - window);
        let mut numbered = vec![None; scene.logs.len() + 1];
        for group in scene.logs.values() {
            if let Some(place) = usize::try_from(group.number).ok().and_then(|number| numbered.get_mut(number)) {
                *place = Some(group);
            }
        }
        Self { state, scene, catalog: state.catalog.as_deref(), recent, filters, from, numbered }
    }

    fn told(&self, (source, line): (&'a str, &'a RecentLine)) -> Told<'a> {
        let group = usize::try_from(line.group).ok().and_then(|number| *self.numbered.get(number)?);
        Told { source, line, group }
    }

    /// What is marked wherever it occurs.
    pub fn search(&self) -> Option<&'a Pattern> {
        let view = &self.state.view;
        match &view.prompt {
            Some(prompt) if prompt.ask == Ask::Find && prompt.pattern.is_some() => prompt.pattern.as_ref(),
            _ => view.logs.search.as_ref(),
        }
    }

    pub fn signature(&self, group: &LogGroup) -> Option<&'a Signature> {
        group.signature(&self.catalog?.signatures)
    }

    /// Whether a line has a signature that speaks for a cause, or is worse than an error.
    fn telling(&self, group: &LogGroup) -> bool {
        self.signature(group).is_some_and(|signature| signature.rank != Rank::Context)
            || group.meaning.level >= Some(Level::Critical)
    }

    /// Whether a line tells of trouble: by its signature, by its level, by the status of the request.
    pub fn severe(&self, group: &LogGroup) -> bool {
        let known = self.signature(group).map(|signature| signature.rank != Rank::Context);
        known.unwrap_or(group.level() >= Some(Level::Error))
    }

    /// What comes first: what can have to do with what fails now; of that, errors, then failed requests, then the rest; what goes
    /// on before what has ended; many before few.
    fn order(&self, group: &LogGroup) -> (bool, u8, bool, i64, Reverse<u64>) {
        let class = match (group.kind, self.severe(group)) {
            (SourceKind::Error | SourceKind::App | SourceKind::Kernel, true) if self.telling(group) => 0,
            (SourceKind::Error | SourceKind::App | SourceKind::Kernel, true) => 1,
            (SourceKind::App, false) => 2,
            (SourceKind::Access, true) => 3,
            (SourceKind::Error | SourceKind::Kernel, false) => 4,
            (SourceKind::Access, false) => 5,
        };
        let last = group.last_second().unwrap_or(0);
        let now = is_now(self.state, last);
        // A line without a time of its own is as old as our sight of it. In an excerpt everything counts: somebody chose it.
        let age = self.scene.now.wall_s() - group.last_second().unwrap_or_else(|| group.seen.wall_s());
        (age > LOG_WINDOW_S && !self.scene.excerpt(), class, !now, if now { 0 } else { -last }, Reverse(group.count))
    }

    /// Lines of a group in the time that is looked at, and whether that is all of them: of very many seconds only the latest
    /// are kept apart.
    pub fn count(&self, group: &LogGroup) -> (u64, bool) {
        match self.from {
            None => (group.count, true),
            Some(from) => {
                let whole = group.first_second().is_none_or(|first| first <= from) || group.since(i64::MIN) >= group.count;
                (group.since(from), whole)
            }
        }
    }

    /// Whether level, source and the filters by group let it pass.
    fn lets(&self, group: &LogGroup) -> bool {
        let logs = &self.state.view.logs;
        logs.source.as_ref().is_none_or(|pick| pick.chosen == group.source)
            // What tells no level may be the one line that matters.
            && logs.level.zip(group.level()).is_none_or(|(least, level)| level >= least)
            && self.filters.iter().all(|filter| match &filter.about {
                FilterBy::Group(source, key) => (*source == group.source && *key == group.key) != filter.hide,
                FilterBy::Text(_) | FilterBy::Row(_) => true,
            })
    }

    /// Whether the filters by text let it pass.
    fn reads(&self, has: impl Fn(&Pattern) -> bool) -> bool {
        self.filters.iter().all(|filter| match &filter.about {
            FilterBy::Text(pattern) => has(pattern) != filter.hide,
            FilterBy::Group(..) | FilterBy::Row(_) => true,
        })
    }

    /// Whether a text occurs in what a group tells.
    pub fn has(&self, group: &LogGroup, pattern: &Pattern) -> bool {
        let causes = self.signature(group).map_or(&[][..], |signature| &signature.causes);
        let texts = [&group.key, &group.first, &group.last, &group.source].into_iter().chain(&group.meaning.program).chain(causes);
        texts.into_iter().any(|text| pattern.is_in(text))
    }

    /// The groups, in no order.
    fn passing(&self) -> impl Iterator<Item = &'a LogGroup> {
        let of_time = |group: &LogGroup| self.from.is_none_or(|from| group.last_second().is_some_and(|last| last >= from));
        self.scene
            .logs
            .values()
            .filter(move |group| self.lets(group) && of_time(group) && self.reads(|pattern| self.has(group, pattern)))
    }

    /// The groups, in the order in which they are shown.
    pub fn groups(&self) -> Vec<&'a LogGroup> {
        let mut groups: Vec<&LogGroup> = self.passing().collect();
        // Of equals, the map's own order stays.
        groups.sort_by_cached_key(|group| self.order(group));
        groups
    }

    /// How many groups are shown, and how many there are.
    pub fn groups_shown(&self) -> (usize, usize) {
        (self.passing().count(), self.scene.logs.len())
    }

    /// The lines of all logs, the newest first.
    pub fn latest(&self) -> impl Iterator<Item = Told<'a>> {
        let mut passing: Vec<Option<bool>> = vec![None; self.numbered.len()];
        let mut lets = move |told: &Told<'_>| {
            let Some((group, known)) =
                told.group.and_then(|group| Some((group, passing.get_mut(usize::try_from(group.number).ok()?)?)))
            else {
                return false;
            };
            *known.get_or_insert_with(|| self.lets(group))
        };
        let of_time = |line: &RecentLine| self.from.is_none_or(|from| line.second >= from);
        self.recent
            .latest()
            .map(|line| self.told(line))
            .filter(move |told| of_time(told.line) && lets(told) && self.reads(|pattern| pattern.is_in(&told.line.text)))
    }

    /// The lines of all logs, the newest last.
    pub fn lines(&self) -> Vec<Told<'a>> {
        let mut lines: Vec<Told<'a>> = self.latest().collect();
        lines.reverse();
        lines
    }

    /// How many lines are shown, and how many there are.
    pub fn lines_shown(&self) -> (usize, usize) {
        (self.latest().count(), self.recent.latest().count())
    }

    /// All lines of all logs, the newest last, whatever the filters say: for what stood around one.
    pub fn all_lines(&self) -> Vec<Told<'a>> {
        let mut lines: Vec<Told<'a>> = self.recent.latest().map(|line| self.told(line)).collect();
        lines.reverse();
        lines
    }

    /// The line with this number.
    pub fn line(&self, number: u64) -> Option<Told<'a>> {
        self.recent.line(number).map(|line| self.told(line))
    }

    /// Lines that came since the view is held.
    pub fn newer(&self) -> u64 {
        self.scene.recent.taken().saturating_sub(self.recent.taken())
    }
}

/// Short names of all logs, each as long as it must be to be the only one: `error.log`, `shop/error.log`.
pub fn tags(scene: &Scene) -> HashMap<&str, String> {
    let tail = |source: &str, parts: usize| {
        let name = source.strip_prefix("journal:").unwrap_or(source);
        let from = name.rmatch_indices('/').nth(parts - 1).map_or(0, |(at, _)| at + 1);
        name[from..].to_owned()
    };
    let mut sources: Vec<&str> = scene.logs.values().map(|group| group.source.as_str()).collect();
    // The map is sorted by source.
    sources.dedup();
    let mut tags: HashMap<&str, String> = HashMap::new();
    let mut short: HashMap<String, usize> = HashMap::new();
    for source in &sources {
        *short.entry(tail(source, 1)).or_default() += 1;
    }
    for source in sources {
        let name = tail(source, 1);
        let name = if short.get(&name).is_some_and(|count| *count > 1) { tail(source, 2) } else { name };
        tags.insert(source, name);
    }
    tags
}
