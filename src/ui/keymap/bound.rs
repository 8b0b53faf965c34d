//! The keys of a person: those of the table, but for what the person's settings bind anew.
//!
//! A wish that cannot be fulfilled is told and left out: the key of the table stays, and nobody is locked out of anything.

use std::collections::BTreeMap;

use crossterm::event::KeyCode::{
    self, BackTab, Backspace, Char, Delete, Down, End, Enter, Esc, F, Home, Insert, Left, PageDown, PageUp, Right, Tab, Up,
};

use super::{Binding, Key, keys};
use crate::model::Order as _;

/// Keys that have names.
const NAMED: &[(&str, KeyCode)] = &[
    ("Space", Char(' ')),
    ("Tab", Tab),
    ("Shift-Tab", BackTab),
    ("Enter", Enter),
    ("Esc", Esc),
    ("Backspace", Backspace),
    ("Up", Up),
    ("Down", Down),
    ("Left", Left),
    ("Right", Right),
    ("Home", Home),
    ("End", End),
    ("PgUp", PageUp),
    ("PgDn", PageDown),
    ("Insert", Insert),
    ("Delete", Delete),
];
/// Function keys that terminals have.
const FUNCTIONS: u8 = 12;
/// What Ctrl makes of these letters is another key to a terminal (ascii(7)).
const SAME: &[(char, &str)] = &[('i', "Tab"), ('m', "Enter"), ('j', "Enter"), ('h', "Backspace"), ('[', "Esc")];
/// What cannot be bound anew: the way out that always works, and the numbers, which are what they say.
const FIXED: &[&str] = &["quit-now", "pane-by-number"];

impl Key {
    /// A key as a person writes it: `q`, `Ctrl-x`, `F5`, `Space`. The error says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Some((_, code)) = NAMED.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            return Ok(Self::Plain(*code));
        }
        let mut chars = text.chars();
        if let (Some(c), None) = (chars.next(), chars.next())
            && !c.is_control()
        {
            return Ok(Self::Plain(Char(c)));
        }
        let ctrl = text.get(..5).filter(|begin| begin.eq_ignore_ascii_case("ctrl-")).and_then(|_| text.get(5..));
        if let Some(letter) = ctrl {
            let c = letter.chars().next().filter(|c| letter.len() == 1 && c.is_ascii_alphabetic());
            let c = c.ok_or_else(|| format!("{text} is no key: write Ctrl- and a letter"))?.to_ascii_lowercase();
            return match SAME.iter().find(|(same, _)| *same == c) {
                Some((_, name)) => Err(format!("a terminal sends {text} and {name} as the same")),
                None => Ok(Self::Ctrl(c)),
            };
        }
        let function = text.strip_prefix(['F', 'f']).and_then(|number| number.parse().ok());
        match function.filter(|number| (1..=FUNCTIONS).contains(number)) {
            Some(number) => Ok(Self::Plain(F(number))),
            None => Err(format!("{text} is no key: write a character, Ctrl-x, F1 to F{FUNCTIONS}, or a name like Space or PgUp")),
        }
    }

    /// How it is written.
    pub fn written(self) -> String {
        match self {
            Self::Ctrl('c') => "Ctrl-C".to_owned(),
            Self::Ctrl(c) => format!("Ctrl-{c}"),
            Self::Plain(F(number)) => format!("F{number}"),
            Self::Plain(code) => match (NAMED.iter().find(|(_, known)| *known == code), code) {
                (Some((name, _)), _) => (*name).to_owned(),
                (None, Char(c)) => c.to_string(),
                (None, _) => "?".to_owned(),
            },
        }
    }
}

/// What somebody wants bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The name of what the keys do.
    pub name: String,
    /// The keys.
    pub keys: Vec<String>,
}

/// The keys of this person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys(BTreeMap<&'static str, (Vec<Key>, String)>);

impl Keys {
    /// Whether something can be bound anew.
    pub fn bindable(name: &str) -> bool {
        !FIXED.contains(&name)
    }

    /// With these wishes; those that cannot be fulfilled are told by their index.
    pub fn bound(wishes: &[Wish]) -> (Self, Vec<(usize, String)>) {
        let mut errors = Vec::new();
        let mut taken: Vec<(usize, &'static Binding, Vec<Key>)> = Vec::new();
        for (index, wish) in wishes.iter().enumerate() {
            match understood(wish) {
                Ok((binding, keys)) => {
                    // What is said last holds: a person's own file comes after that of the team.
                    taken.retain(|(_, known, _)| known.name != binding.name);
                    taken.push((index, binding, keys));
                }
                Err(why) => errors.push((index, why)),
            }
        }
        // Two may change their keys with each other: what counts is the whole, and the last wish that spoils it goes.
        while let Some((at, why)) = conflict(&taken) {
            let (index, ..) = taken.remove(at);
            errors.push((index, why));
        }
        errors.order_by_key(|(index, _)| *index);
        let write = |keys: &[Key]| keys.iter().map(|key| key.written()).collect::<Vec<_>>().join(", ");
        let bound = taken.into_iter().map(|(_, binding, keys)| (binding.name, (keys.clone(), write(&keys))));
        (Self(bound.collect()), errors)
    }

    /// The keys of a binding.
    pub fn of<'a>(&'a self, binding: &'static Binding) -> &'a [Key] {
        self.0.get(binding.name).map_or(binding.keys, |(keys, _)| keys)
    }

    /// How they are written.
    pub fn label<'a>(&'a self, binding: &'static Binding) -> &'a str {
        self.0.get(binding.name).map_or(binding.label, |(_, label)| label)
    }

    /// How the first of them is written.
    pub fn first<'a>(&'a self, binding: &'static Binding) -> &'a str {
        let label = self.label(binding);
        label.split_once(", ").map_or(label, |(first, _)| first)
    }

    /// The name of what a key does that is written so, whatever is possible now.
    pub fn name_of(&self, written: &str) -> Option<&'static str> {
        let key = Key::parse(written).ok()?;
        keys().find(|binding| self.of(binding).contains(&key)).map(|binding| binding.name)
    }

    /// The same for the binding of this name.
    pub fn named(&self, name: &str) -> &str {
        keys().find(|binding| binding.name == name).map_or("", |binding| self.first(binding))
    }
}

/// What a wish is about, and its keys.
fn understood(wish: &Wish) -> Result<(&'static Binding, Vec<Key>), String> {
    let binding = keys().find(|binding| binding.name == wish.name);
    let binding =
        binding.ok_or_else(|| format!("there is nothing named {}; the names are in: why502 generate config", wish.name))?;
    if !Keys::bindable(binding.name) {
        return Err(format!("{} keeps its keys", binding.name));
    }
    let keys = wish.keys.iter().map(|key| Key::parse(key)).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(format!("{} would have no key", binding.name)) } else { Ok((binding, keys)) }
}

/// The last wish that takes a key which another has at the same time, and why it cannot be.
fn conflict(taken: &[(usize, &'static Binding, Vec<Key>)]) -> Option<(usize, String)> {
    let of = |binding: &'static Binding| {
        taken.iter().find(|(_, known, _)| known.name == binding.name).map_or(binding.keys, |(.., keys)| keys.as_slice())
    };
    taken.iter().enumerate().rev().find_map(|(at, (_, binding, own))| {
        let clash = keys().filter(|other| other.name != binding.name).find_map(|other| {
            // Those of the table that share a key are never possible at the same time.
            let apart = other.keys.iter().any(|key| binding.keys.contains(key));
            own.iter().find(|key| !apart && of(other).contains(key)).map(|key| (key, other))
        });
        clash
            .map(|(key, other)| (at, format!("{} is the key of {} already: give that one another, too", key.written(), other.name)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(wishes: &[(&str, &str)]) -> (Keys, Vec<(usize, String)>) {
        let wish = |(name, keys): &(&str, &str)| Wish {
            name: (*name).to_owned(),
            keys: keys.split_whitespace().map(str::to_owned).collect(),
        };
        Keys::bound(&wishes.iter().map(wish).collect::<Vec<_>>())
    }

    #[test]
    fn every_key_of_the_table_can_be_written_and_read() {
        for key in keys().flat_map(|binding| binding.keys) {
            assert!(Key::parse(&key.written()) == Ok(*key) || matches!(key, Key::Ctrl(_)), "{key:?}");
        }
        assert_eq!(Key::parse("ctrl-X"), Ok(Key::Ctrl('x')));
        for bad in ["", "Ctrl-", "Ctrl-i", "Ctrl-1", "F13", "F0", "Hyper-x", "\u{1b}", "ab"] {
            assert!(Key::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_free_key_is_taken_and_two_can_be_changed() {
        let (keys, errors) = bound(&[("zoom", "F5 ="), ("note-here", "s"), ("skip", "m")]);
        assert_eq!(errors, []);
        assert_eq!((keys.named("zoom"), keys.named("note-here"), keys.named("skip"), keys.named("help")), ("F5", "s", "m", "?"));
    }

    #[test]
    fn a_key_that_is_taken_stays_where_it_is() {
        let (keys, errors) = bound(&[("zoom", "m"), ("quit", "F10"), ("zone", "Ctrl-C"), ("zooom", "x"), ("quit-now", "x")]);
        assert_eq!((keys.named("zoom"), keys.named("quit"), keys.named("zone")), ("z", "F10", "t"));
        let told: Vec<&str> = errors.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 2, 3, 4]);
        assert!(told[0].starts_with("m is the key of note-here already"), "{told:?}");
        assert!(told[1].starts_with("Ctrl-C is the key of quit-now"), "{told:?}");
        assert!(told[2].starts_with("there is nothing named zooom") && told[3] == "quit-now keeps its keys", "{told:?}");
    }

    #[test]
    fn what_two_wish_the_first_gets() {
        let (keys, errors) = bound(&[("zoom", "F5"), ("zone", "F5")]);
        assert_eq!((keys.named("zoom"), keys.named("zone"), errors.len()), ("F5", "t", 1));
        // What is possible only where the other is not may share its key, as in the table.
        assert_eq!(bound(&[("next-paper", "F6"), ("next-pane", "F6")]).1, []);
    }
}
