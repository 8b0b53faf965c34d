//! The command line: every key by its name, and what takes a word or more. One table, so that what is offered is what can be done.
//!
//! To add a command: an entry in [`COMMANDS`]; what has a key has its command already.

use super::{Binding, Context, Key, keys, plain};
use crate::{
    app::{Action, Ask, FilterBy, Hand, LogAction, LogFilter, Overlay, Paper, Pattern, Prompt},
    model::{Deed, Order as _},
    ui::pane,
};

/// Commands that are offered at once, at most.
const OFFERED: usize = 12;

/// A command that takes words.
struct Command {
    name: &'static str,
    /// What comes behind it.
    words: &'static str,
    what: &'static str,
    possible: fn(&Context<'_>) -> bool,
    run: fn(&Context<'_>, &str) -> Result<Action, String>,
}

/// What is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// What is typed for it.
    pub text: String,
    /// What comes behind it, or the key that does the same.
    pub beside: String,
    /// What it does.
    pub what: String,
}

fn filter(text: &str, hide: bool) -> Result<Action, String> {
    let pattern = Pattern::new(text).ok_or("a text, or ~ and a regular expression")?;
    Ok(Action::Logs(LogAction::Filter(LogFilter { about: FilterBy::Text(pattern), hide })))
}

static COMMANDS: &[Command] = &[
    Command {
        name: "goto",
        words: "TIME",
        what: "look at everything as it was then: 02:17:40, 02:17, 2026-11-20 02:17, -5m, now",
        possible: |_| true,
        run: |at, words| Ok(Action::LookBack(time(at, words)?)),
    },
    Command {
        name: "pane",
        words: "NAME",
        what: "focus a pane: checklist, causes, probes, load, logs, config, changes, timeline",
        possible: |at| super::no_overlay(at),
        run: |_, words| {
            let found = pane::ALL.iter().find(|pane| !words.is_empty() && pane.id().starts_with(words));
            found.map(|pane| Action::Focus(pane.id())).ok_or_else(|| format!("there is no pane {words}"))
        },
    },
    Command {
        name: "row",
        words: "NUMBER",
        what: "go to a row of the focused pane",
        possible: |at| super::no_overlay(at),
        run: |at, words| {
            let row = words.parse().ok().and_then(|row: usize| at.rows.get(row.checked_sub(1)?));
            let key = row.ok_or_else(|| format!("there is no row {words}: {} has {}", at.pane.id(), at.rows.len()))?;
            Ok(Action::Select { pane: at.pane.id(), key: key.to_string() })
        },
    },
    Command {
        name: "note",
        words: "TEXT",
        what: "note something on the line of time, in the recording and the report",
        possible: |_| true,
        run: |_, words| match words {
            "" => Ok(Action::Type(Prompt::new(Ask::Note, String::new()))),
            text => Ok(Action::Deed(Deed::Note { text: text.to_owned(), step: None })),
        },
    },
    Command {
        name: "find",
        words: "TEXT",
        what: "find a text in the focused pane, or with ~ before it a regular expression",
        possible: |at| super::no_overlay(at),
        run: |_, words| Ok(Action::Type(Prompt::new(Ask::Find, words.to_owned()))),
    },
    Command {
        name: "show-only",
        words: "TEXT",
        what: "show only what has this text in it, in the focused pane",
        possible: |_| true,
        run: |_, words| filter(words, false),
    },
    Command {
        name: "hide-all",
        words: "TEXT",
        what: "hide what has this text in it, in the focused pane",
        possible: |_| true,
        run: |_, words| filter(words, true),
    },
    Command {
        name: "ticket",
        words: "",
        what: "preview the ticket for the hosting provider",
        possible: |at| at.state.catalog.is_some(),
        run: |_, _| Ok(Action::Open(Overlay::Paper(Paper::Ticket))),
    },
    Command {
        name: "status",
        words: "",
        what: "copy the status line for the chat",
        possible: |at| at.state.catalog.is_some(),
        run: |_, _| Ok(Action::Hand(Hand::Copy(Paper::Status))),
    },
];

/// The time that somebody typed, in the zone that is shown. `None`: now.
fn time(at: &Context<'_>, words: &str) -> Result<Option<i64>, String> {
    let wrong = || format!("no time: {words}; write it like 02:17:40, 2026-11-20 02:17 or -5m");
    let words = words.trim().trim_end_matches('Z');
    if words == "now" || words.is_empty() {
        return Ok(None);
    }
    let now = at.state.cursor();
    if let Some(ago) = words.strip_prefix('-') {
        let span: jiff::SignedDuration = ago.parse().map_err(|_| wrong())?;
        return Ok(Some(now.saturating_sub(span.as_secs())));
    }
    let zone = if at.state.view.local_time { at.ui.zone.clone() } else { jiff::tz::TimeZone::UTC };
    let here = jiff::Timestamp::from_second(now).map_err(|_| wrong())?.to_zoned(zone.clone());
    let second = if let Ok(when) = words.parse::<jiff::civil::DateTime>() {
        when.to_zoned(zone).map_err(|_| wrong())?.timestamp().as_second()
    } else {
        let clock: jiff::civil::Time = words.parse().map_err(|_| wrong())?;
        let today = here.with().time(clock).build().map_err(|_| wrong())?.timestamp().as_second();
        // A time of the day that is still to come was that of yesterday.
        if today > at.state.now.wall_s() { today - 86_400 } else { today }
    };
    Ok(Some(second))
}

/// How well a name fits what was typed; the less the better. `None`: not at all.
fn fits(name: &str, typed: &str) -> Option<usize> {
    if typed.is_empty() || name == typed {
        return Some(0);
    }
    if name.starts_with(typed) {
        return Some(1);
    }
    if name.contains(typed) {
        return Some(2);
    }
    // All letters, in this order: `nexp` is next-pane.
    let mut left = typed.chars().peekable();
    for c in name.chars() {
        left.next_if_eq(&c);
    }
    left.peek().is_none().then_some(3)
}

enum Entry {
    Key(&'static Binding),
    Command(&'static Command),
}

/// What fits what was typed and can be done here and now, the best first.
fn matching(at: &Context<'_>, typed: &str) -> Vec<Entry> {
    let word = typed.split(' ').next().unwrap_or_default();
    let bindings = keys().filter(|binding| binding.name != "command" && (binding.possible)(at));
    let commands = COMMANDS.iter().filter(|command| (command.possible)(at));
    let mut found: Vec<(usize, Entry)> = commands
        .filter_map(|command| Some((fits(command.name, word)?, Entry::Command(command))))
        .chain(bindings.filter_map(|binding| Some((fits(binding.name, word)?, Entry::Key(binding)))))
        .collect();
    found.order_by_key(|(rank, _)| *rank);
    // A name that is two keys' is that which is possible first.
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|(_, entry)| {
        seen.insert(match entry {
            Entry::Key(binding) => binding.name,
            Entry::Command(command) => command.name,
        })
    });
    found.into_iter().map(|(_, entry)| entry).collect()
}

/// The names of all commands.
pub fn names() -> impl Iterator<Item = &'static str> {
    keys().map(|binding| binding.name).chain(COMMANDS.iter().map(|command| command.name))
}

/// What is offered for what was typed so far.
pub fn offers(at: &Context<'_>, typed: &str) -> Vec<Offer> {
    let mut offers = all_of(at, typed);
    offers.truncate(OFFERED);
    offers
}

/// Everything that can be done here and now.
pub fn all(at: &Context<'_>) -> Vec<Offer> {
    all_of(at, "")
}

fn all_of(at: &Context<'_>, typed: &str) -> Vec<Offer> {
    let offer = |entry: Entry| match entry {
        Entry::Key(binding) => {
            Offer { text: binding.name.to_owned(), beside: at.ui.keys.first(binding).to_owned(), what: binding.what.to_owned() }
        }
        Entry::Command(command) => {
            Offer { text: command.name.to_owned(), beside: command.words.to_owned(), what: command.what.to_owned() }
        }
    };
    matching(at, typed).into_iter().map(offer).collect()
}

/// What was typed, completed to the offer that is picked.
pub fn complete(at: &Context<'_>, prompt: &Prompt) -> Option<String> {
    let offers = offers(at, &prompt.text);
    let offer = offers.get(prompt.pick.min(offers.len().checked_sub(1)?))?;
    let rest = prompt.text.split_once(' ').map_or("", |(_, rest)| rest);
    Some(format!("{} {rest}", offer.text))
}

/// What was typed, carried out.
pub fn run(at: &Context<'_>, prompt: &Prompt) -> Result<Action, String> {
    let typed = prompt.text.trim();
    if typed.is_empty() && prompt.pick == 0 {
        return Ok(Action::Back);
    }
    let mut found = matching(at, &prompt.text);
    if found.is_empty() {
        return Err(format!("no command that is possible here: {typed}"));
    }
    let entry = found.swap_remove(prompt.pick.min(found.len() - 1));
    let words = prompt.text.split_once(' ').map_or("", |(_, rest)| rest.trim());
    match entry {
        Entry::Command(command) => (command.run)(at, words),
        Entry::Key(binding) => {
            let key = match words.chars().next() {
                Some(digit) if binding.name == "pane-by-number" => plain(digit),
                _ => *binding.keys.first().unwrap_or(&Key::Ctrl('l')),
            };
            (binding.run)(at, key).ok_or_else(|| format!("nothing more to do for {}", binding.name))
        }
    }
}

/// The commands that have no key, as Markdown, for the README.
pub fn table() -> String {
    let mut out = String::from("| command | what it does |\n|---|---|\n");
    for command in COMMANDS {
        let words = if command.words.is_empty() { String::new() } else { format!(" {}", command.words) };
        out.push_str(&format!("| `:{}{words}` | {} |\n", command.name, command.what));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_comes_before_what_only_holds_it() {
        assert_eq!(fits("quit", "quit"), Some(0));
        assert_eq!(fits("quit-now", "quit"), Some(1));
        assert_eq!(fits("no-filter", "filter"), Some(2));
        assert_eq!(fits("next-pane", "nexp"), Some(3));
        assert_eq!(fits("zoom", "quit"), None);
    }

    #[test]
    fn names_are_distinct_words() {
        let mut seen = std::collections::BTreeSet::new();
        for name in keys().map(|binding| binding.name).chain(COMMANDS.iter().map(|command| command.name)) {
            assert!(seen.insert(name), "{name} stands twice");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        }
    }
}
