//! The configuration while it is being mended: whether what runs is what is on disk, and each save with what it means, what the gateway's
//! own test says of it, what is at the addresses that it names, and the load that took it. The way back is a command to copy.

mod explain;

use std::{borrow::Cow, path::PathBuf};

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use super::Pane;
use crate::{
    app::State,
    diagnose::{Edit, Load, Standing},
    model::{Address, Command, ConfigTest, FileFate, Gateway, Order as _, Outcome, Subject, WayBack, text as figures},
    ui::{
        Slot, Ui,
        list::List,
        text::{clean, fixed, line, span, width, wrap},
    },
};

/// What separates the parts of a key.
const UNIT: char = '\u{1f}';
/// Files, or addresses, that are named in one line.
const NAMED: usize = 3;
/// Sentences of an edit that are shown in its row.
const WORDS: usize = 4;
/// Columns from which on there is room for times.
const ROOMY: usize = 100;
/// Lines of a row, at most.
const LINES: usize = 10;

/// The pane.
pub struct Config;

/// A row.
enum Entry<'a> {
    Gateway(&'a Gateway),
    Edit(&'a Edit),
    Load(&'a Load),
}

impl Entry<'_> {
    fn key(&self) -> String {
        match self {
            Self::Gateway(gateway) => format!("gateway{UNIT}{}{UNIT}{}", gateway.kind, gateway.config.display()),
            Self::Edit(edit) => format!("edit{UNIT}{}", edit.number),
            Self::Load(load) => format!("load{UNIT}{}{UNIT}{}{UNIT}{}", load.kind, load.config.display(), load.at),
        }
    }

    /// When it happened, for the order.
    fn at(&self) -> i64 {
        match self {
            Self::Gateway(_) => i64::MAX,
            Self::Edit(edit) => edit.saved(),
            Self::Load(load) => load.at,
        }
    }
}

/// The gateways that have a configuration, then what happened to it, newest first.
fn all(state: &State) -> Vec<Entry<'_>> {
    let scene = state.shown().0;
    let mut all: Vec<Entry<'_>> = scene.gateways.iter().map(Entry::Gateway).collect();
    let mut happened: Vec<Entry<'_>> = scene.watch.loads.iter().map(Entry::Load).collect();
    happened.extend(scene.watch.edits.iter().map(Entry::Edit));
    // What was saved and loaded in the same second was loaded after it was saved.
    happened.order_by_key(Entry::at);
    let rank = |entry: &Entry<'_>| match entry {
        Entry::Edit(edit) => (edit.saved(), 0, edit.number),
        Entry::Load(load) => (load.at, 1, 0),
        Entry::Gateway(_) => (i64::MAX, 2, 0),
    };
    happened.order_by_key(|entry| std::cmp::Reverse(rank(entry)));
    all.extend(happened);
    all
}

fn standing(state: &State, gateway: &Gateway) -> Standing {
    Standing::of(state.shown().0, state.catalog.as_deref(), gateway)
}

/// The gateways of which a reload is missing.
pub fn not_reloaded(state: &State) -> bool {
    state.shown().0.gateways.iter().any(|gateway| standing(state, gateway).reload_missing())
}

/// The command that is missing: the reload, where what is on disk would load.
fn missing(state: &State, gateway: &Gateway) -> Option<Command> {
    let loads = gateway.test.as_ref().is_none_or(|test| test.passed);
    if standing(state, gateway).reload_missing() && loads { command(gateway, "reload") } else { None }
}

fn gateway_of<'a>(state: &'a State, edit: &Edit) -> Option<&'a Gateway> {
    state.shown().0.gateways.iter().find(|gateway| gateway.kind == edit.what.kind && gateway.config == edit.what.config)
}

fn command(gateway: &Gateway, name: &str) -> Option<Command> {
    gateway.commands.get(name).cloned().and_then(Command::new)
}

fn base_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// `shop.conf, tls.conf and 3 more`.
fn named(files: &[(std::path::PathBuf, i64)]) -> String {
    let names: Vec<String> = files.iter().take(NAMED).map(|(path, _)| base_name(path)).collect();
    let more = files.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// The sentence about what runs, and whether it is good.
fn stands(state: &State, ui: &Ui, gateway: &Gateway, full: bool) -> (String, Style) {
    let (standing, styles) = (standing(state, gateway), &ui.styles);
    if !gateway.running() {
        return (format!("{} does not run; {} files are on disk", gateway.kind, gateway.files.len()), styles.bad);
    }
    let Some(loaded) = standing.loaded else {
        return (format!("{}: when it was loaded is not known", gateway.kind), styles.unknown);
    };
    let since = ui.moment(state, loaded);
    let drains = standing.draining.map_or_else(String::new, |(count, since)| {
        let lasts = figures::duration((state.shown().0.now.wall_s() - since).max(0));
        format!("; {count} old {} for {lasts}", if count == 1 { "worker drains" } else { "workers drain" })
    });
    match standing.newer.first() {
        None => {
            (format!("{} runs what is on disk: {} files, loaded {since}{drains}", gateway.kind, gateway.files.len()), styles.good)
        }
        Some((_, edited)) => {
            let word = if standing.failed.is_some() { "LOAD FAILED" } else { "NOT RELOADED" };
            let what = named(&standing.newer);
            let edited = ui.moment(state, *edited);
            let fails = gateway.test.as_ref().is_some_and(|test| !test.passed);
            let (loads, style) = if fails { (", and would not load", styles.bad) } else { ("", styles.warn) };
            let text = if full {
                format!("{} {word}: {what} saved {edited}{loads}; what runs was loaded {since}{drains}", gateway.kind)
            } else {
                format!("{} {word}: {what}{loads}{drains}", gateway.kind)
            };
            (text, style)
        }
    }
}

/// What the gateway's own test says.
fn tested(test: Option<&ConfigTest>) -> String {
    match test {
        None => "not tested".to_owned(),
        Some(test) if test.passed => "test ok".to_owned(),
        Some(test) => {
            let at = test.at.as_ref().map_or_else(String::new, |at| format!(" at {}", crate::diagnose::short_place(at)));
            format!("test FAILS{at}")
        }
    }
}

/// What a probe found at an address that an edit names.
fn effect(state: &State, address: &Address) -> String {
    let subject = Subject(address.to_string());
    let mut tried = state.shown().0.probes_of("upstream").filter(|history| history.last.job.subject == subject);
    match tried.next().map(|history| &history.last.outcome) {
        None => format!("{address} is not tried yet"),
        Some(Outcome::Status(status)) => format!("{address} answers {status}"),
        Some(Outcome::Open) => format!("{address} takes connections"),
        Some(Outcome::Refused) => format!("nothing listens on {address}"),
        Some(Outcome::NotFound) => format!("{address} does not exist"),
        Some(other) => format!("{address}: {other}"),
    }
}

/// Whether that is good.
fn serves(state: &State, address: &Address) -> Option<bool> {
    let subject = Subject(address.to_string());
    let mut tried = state.shown().0.probes_of("upstream").filter(|history| history.last.job.subject == subject);
    tried.next().map(|history| matches!(history.last.outcome, Outcome::Open) || history.last.outcome.serves() == Some(true))
}

/// What became of it: whether it was loaded.
fn fate(state: &State, ui: &Ui, edit: &Edit) -> (String, Style) {
    let styles = &ui.styles;
    let watch = &state.shown().0.watch;
    let later = watch
        .edits
        .iter()
        .any(|other| other.number > edit.number && other.what.file == edit.what.file && other.what.kind == edit.what.kind);
    if let Some(taken) = edit.taken {
        return (format!("loaded {}", ui.moment(state, taken)), styles.good);
    }
    if later {
        return ("saved again since".to_owned(), styles.quiet);
    }
    let Some(gateway) = gateway_of(state, edit) else { return ("its gateway is gone".to_owned(), styles.unknown) };
    if !gateway.running() {
        return ("not loaded: it does not run".to_owned(), styles.bad);
    }
    if gateway.per_request.contains(&edit.what.file) {
        return ("in force at once: it is read with each request".to_owned(), styles.good);
    }
    let standing = standing(state, gateway);
    match standing.newer.iter().any(|(path, _)| *path == edit.what.file) {
        true if standing.failed.is_some() => ("LOAD FAILED".to_owned(), styles.bad),
        true => ("reload missing".to_owned(), styles.warn),
        false if edit.what.back == WayBack::AsFound => ("as it was loaded".to_owned(), styles.good),
        false => ("loaded".to_owned(), styles.good),
    }
}

/// File, and line where there is one.
fn place(edit: &Edit) -> String {
    let at = edit.words.iter().find_map(|word| word.at.as_ref().filter(|at| *at.file == edit.what.file));
    let failed = edit.test.as_ref().and_then(|test| test.at.as_ref()).filter(|at| *at.file == edit.what.file);
    failed.or(at).map_or_else(|| base_name(&edit.what.file), crate::diagnose::short_place)
}

/// What happened where no request notices it: what became of the bytes.
fn meaning(edit: &Edit) -> String {
    let lines = |sign: char| edit.what.diff.iter().filter(|line| line.starts_with(sign)).count();
    match (edit.what.fate, &edit.what.opaque) {
        (FileFate::Removed, _) => "the file is gone".to_owned(),
        (FileFate::LeftOut, _) => "nothing includes it any more".to_owned(),
        (FileFate::Added, Some(why)) => format!("new file; {why}"),
        (FileFate::Added, None) => format!("new file, {} lines; no request is passed on in another way", lines('+')),
        (FileFate::Changed, Some(why)) => format!("changed; {why}"),
        (FileFate::Changed, None) if edit.what.back == WayBack::AsFound => "taken back: it is as it was found".to_owned(),
        (FileFate::Changed, None) => {
            format!("+{} -{} lines; no request is passed on in another way", lines('+'), lines('-'))
        }
    }
}

/// The lines of a row, in so many columns.
fn lines(state: &State, ui: &Ui, entry: &Entry<'_>, columns: usize) -> Vec<Line<'static>> {
    let styles = &ui.styles;
    let all = match entry {
        Entry::Gateway(gateway) => {
            let (text, style) = stands(state, ui, gateway, columns >= ROOMY);
            let text = clean(&text);
            let mut out = vec![line([span(text.clone(), style)])];
            if let Some(command) = missing(state, gateway).map(|command| command.to_string()) {
                let after = width(&text) + 2;
                let spans = [fixed("  ", Style::new()), span(command.clone(), styles.command)];
                // A command is never broken where it can be had in one piece.
                if after + width(&command) <= columns {
                    out = vec![line(std::iter::once(span(text, style)).chain(spans))];
                } else {
                    out.push(line(spans));
                }
            }
            out
        }
        Entry::Load(load) => {
            let what = if load.restart { "started" } else { "reloaded" };
            let at = span(format!("{} ", ui.moment(state, load.at)), styles.quiet);
            vec![line([at, span(format!("{} {what}: what is on disk was taken", load.kind), styles.good)])]
        }
        Entry::Edit(edit) => edit_lines(state, ui, edit),
    };
    let mut wrapped = wrap(all, columns);
    wrapped.truncate(LINES);
    wrapped
}

/// An edit: when and where, what it means and what is there, and what became of it.
fn edit_lines(state: &State, ui: &Ui, edit: &Edit) -> Vec<Line<'static>> {
    let styles = &ui.styles;
    let when = format!("{} ", ui.moment(state, edit.saved()));
    let indent = " ".repeat(when.len());
    let mut out = Vec::new();
    for (index, word) in edit.words.iter().take(WORDS).enumerate() {
        let mut spans = if index == 0 {
            vec![span(when.clone(), styles.quiet), span(format!("{}  ", place(edit)), styles.strong)]
        } else {
            vec![span(indent.clone(), Style::new())]
        };
        spans.push(span(word.text.clone(), styles.text));
        for address in word.to.iter().take(NAMED) {
            let style = serves(state, address).map_or(styles.unknown, |good| if good { styles.good } else { styles.bad });
            spans.push(span(format!("  {}", effect(state, address)), style));
        }
        out.push(line(spans));
    }
    if edit.words.is_empty() {
        out.push(line([
            span(when, styles.quiet),
            span(format!("{}  ", place(edit)), styles.strong),
            span(meaning(edit), styles.text),
        ]));
    }
    let (word, style) = fate(state, ui, edit);
    let test = edit.test.as_ref();
    let test_style = test.map_or(styles.unknown, |test| if test.passed { styles.good } else { styles.bad });
    let mut tail = vec![span(indent, Style::new()), span(word, style), fixed("  ", Style::new()), span(tested(test), test_style)];
    if edit.words.len() > WORDS {
        tail.push(span(format!("  and {} more changes", edit.words.len() - WORDS), styles.quiet));
    }
    if let Some(test) = test.filter(|test| !test.passed) {
        tail.push(span(format!(": {}", test.message), styles.bad));
    }
    out.push(line(tail));
    out
}

/// Those of them that pass the filters.
fn entries(state: &State) -> Vec<Entry<'_>> {
    let lets = super::passing(state, &Config);
    all(state).into_iter().filter(|entry| lets(&entry.key())).collect()
}

impl Pane for Config {
    fn id(&self) -> &'static str {
        "config"
    }

    fn slot(&self) -> Slot {
        Slot::Mend
    }

    /// As long as nobody touches the configuration, its room belongs to the others.
    fn wanted(&self, state: &State) -> bool {
        let scene = state.shown().0;
        let stands = |gateway: &Gateway| {
            let standing = standing(state, gateway);
            standing.reload_missing() || standing.draining.is_some()
        };
        !scene.watch.edits.is_empty() || !scene.watch.loads.is_empty() || scene.gateways.iter().any(stands)
    }

    fn title(&self, state: &State) -> String {
        let scene = state.shown().0;
        let files: usize = scene.gateways.iter().map(|gateway| gateway.files.len()).sum();
        let edits = scene.watch.edits.len();
        let word = if not_reloaded(state) { "  NOT RELOADED" } else { "" };
        format!("CONFIG {files} files  {edits} {}{word}", if edits == 1 { "edit" } else { "edits" })
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        entries(state).iter().map(|entry| Cow::Owned(entry.key())).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let items = entries(state);
        if items.is_empty() {
            if area.height > 0 {
                let text = " no gateway's configuration is known";
                buf.set_line(area.x, area.y, &line([span(text, ui.styles.quiet)]), area.width);
            }
            return;
        }
        let selected = super::selected(state, self, &items.iter().map(Entry::key).collect::<Vec<_>>());
        // A column for the mark, and one for the bar.
        let columns = usize::from(area.width.saturating_sub(2));
        let rows: Vec<Vec<Line<'static>>> = items.iter().map(|entry| lines(state, ui, entry, columns)).collect();
        List { items: &rows, selected, focused }.draw(ui, area, buf, Vec::len, Clone::clone);
    }

    fn explain(&self, state: &State, ui: &Ui, key: &str) -> Option<Vec<Line<'static>>> {
        let items = all(state);
        Some(match items.iter().find(|entry| entry.key() == key)? {
            Entry::Gateway(gateway) => explain::gateway(state, ui, gateway),
            Entry::Edit(edit) => explain::edit(state, ui, edit),
            Entry::Load(load) => explain::load(state, ui, load),
        })
    }

    /// Of an edit its line, of a gateway its main file, or where its own test fails.
    fn edit(&self, state: &State, key: &str) -> Option<(PathBuf, u32)> {
        match all(state).iter().find(|entry| entry.key() == key)? {
            Entry::Gateway(gateway) => {
                let failed = gateway.test.as_ref().filter(|test| !test.passed).and_then(|test| test.at.as_ref());
                let at = failed.map_or_else(|| (gateway.config.clone(), 1), |at| (at.file.as_ref().clone(), at.line));
                gateway.inside.is_none().then_some(at)
            }
            Entry::Edit(edit) => {
                let line = edit.words.iter().find_map(|word| word.at.as_ref().filter(|at| *at.file == edit.what.file));
                let there = gateway_of(state, edit).is_none_or(|gateway| gateway.inside.is_none());
                there.then(|| (edit.what.file.clone(), line.map_or(1, |at| at.line)))
            }
            Entry::Load(_) => None,
        }
    }

    /// Of a gateway what puts the files into force, of an edit the way back.
    fn copy(&self, state: &State, key: &str) -> Option<(String, &'static str)> {
        match all(state).iter().find(|entry| entry.key() == key)? {
            Entry::Gateway(gateway) => {
                Some((missing(state, gateway).or_else(|| command(gateway, "test"))?.to_string(), "the command"))
            }
            Entry::Edit(edit) => Some((edit.what.back.command()?, "the command that restores the text")),
            Entry::Load(_) => None,
        }
    }
}
