//! A `frontend`, `backend` or `listen` with what it has from its `defaults`.

use std::collections::BTreeMap;

use compact_str::CompactString;

use super::load::{Line, Loaded, Section, joined};
use crate::model::Setting;

/// Sections that one may be from, at most: `defaults a from b` in turn.
const CHAIN: usize = 16;

/// Settings that bear on a failing request, by the words that their lines begin with.
const SETTINGS: &[&[&str]] = &[
    &["timeout", "connect"],
    &["timeout", "server"],
    &["timeout", "queue"],
    &["timeout", "check"],
    &["timeout", "http-request"],
    &["timeout", "http-keep-alive"],
    &["timeout", "client"],
    &["timeout", "tunnel"],
    &["retries"],
    &["retry-on"],
    &["balance"],
    &["http-reuse"],
    &["maxconn"],
    &["fullconn"],
    &["http-check"],
    &["source"],
    &["option", "httpchk"],
    &["option", "redispatch"],
    &["option", "tcp-check"],
    &["option", "http-server-close"],
    &["option", "httpclose"],
    &["option", "prefer-last-server"],
    &["option", "external-check"],
];

/// One proxy.
#[derive(Debug, Clone)]
pub struct Proxy<'a> {
    /// Its own section.
    pub section: &'a Section,
    /// Where what it is from stands.
    loaded: &'a Loaded,
}

impl<'a> Proxy<'a> {
    /// Of a section.
    pub fn of(loaded: &'a Loaded, section: &'a Section) -> Self {
        Self { section, loaded }
    }

    /// Its own section, then those that it is from, nearest first.
    fn chain(&self) -> impl Iterator<Item = &'a Section> + use<'a> {
        let loaded = self.loaded;
        std::iter::successors(Some(self.section), |from| loaded.sections.get(from.defaults?)).take(CHAIN)
    }

    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.section.name
    }

    /// Whether it has servers.
    pub fn is_back(&self) -> bool {
        matches!(self.section.kind.as_str(), "backend" | "listen")
    }

    /// Whether it understands HTTP; the default is that it does not (configuration.txt, `mode`).
    pub fn http(&self) -> bool {
        self.last(&["mode"]).is_some_and(|line| line.word(1) == "http")
    }

    /// Its own lines that begin with this word.
    pub fn own(&self, word: &'static str) -> impl Iterator<Item = &'a Line> + use<'a> {
        self.section.lines.iter().filter(move |line| line.is(&[word]))
    }

    /// All lines that begin with this word, those of its defaults first.
    pub fn all(&self, word: &'static str) -> impl Iterator<Item = &'a Line> + use<'a> {
        let mut sections: [Option<&'a Section>; CHAIN] = [None; CHAIN];
        sections.iter_mut().zip(self.chain()).for_each(|(place, section)| *place = Some(section));
        sections.into_iter().rev().flatten().flat_map(|section| &section.lines).filter(move |line| line.is(&[word]))
    }

    /// The line that is in force: its own last one, else that of its defaults.
    pub fn last(&self, words: &[&str]) -> Option<&'a Line> {
        self.chain().find_map(|section| section.lines.iter().rfind(|line| line.is(words)))
    }

    /// The line by which an option is on.
    pub fn option(&self, name: &str) -> Option<&'a Line> {
        self.chain()
            .flat_map(|section| section.lines.iter().rev())
            .find_map(
                |line| {
                    if line.is(&["option", name]) { Some(Some(line)) } else { (off_option(line) == Some(name)).then_some(None) }
                },
            )
            .flatten()
    }

    /// Milliseconds of a time-out. `None`: it is not set, so there is none.
    pub fn timeout(&self, name: &str) -> Option<u64> {
        milliseconds(self.last(&["timeout", name])?.word(2))
    }

    /// What bears on a failing request, with its places.
    pub fn settings(&self, out: &mut BTreeMap<CompactString, Setting>) {
        let mut off: Vec<&str> = Vec::new();
        for line in self.chain().flat_map(|section| section.lines.iter().rev()) {
            if let Some(option) = off_option(line) {
                off.push(option);
            } else if let Some(words) = SETTINGS.iter().find(|words| line.is(words))
                && !(words[0] == "option" && off.contains(&words[1]))
            {
                let setting = || Setting { value: line.rest(words.len()), at: Some(line.place()) };
                out.entry(joined(words.iter().copied())).or_insert_with(setting);
            }
        }
    }
}

/// The option that a line turns off, or back to what it is by default.
fn off_option(line: &Line) -> Option<&str> {
    (line.is(&["no", "option"]) || line.is(&["default", "option"])).then(|| line.word(2))
}

/// A time as HAProxy reads it: milliseconds unless a unit is given (configuration.txt section 2.5).
pub fn milliseconds(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    match &text[end..] {
        "" | "ms" => Some(number),
        "us" => Some(number.div_ceil(1000)),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        "d" => number.checked_mul(86_400_000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let of = |text| milliseconds(text);
        assert_eq!([of("5000"), of("5s"), of("1m"), of("10us"), of("2d")], [5000, 5000, 60_000, 1, 172_800_000].map(Some));
        assert_eq!([of(""), of("5x"), of("s"), of("99999999999999999999s"), of("18446744073709551615d")], [None; 5]);
    }
}
