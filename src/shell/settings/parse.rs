//! The entries of a file of settings, each with its line. What is not understood is told where it stands, and the rest is read.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::model::Order as _;

/// An entry.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// `theme = "light"`.
    Word(String, String),
    /// `mouse = true`.
    Switch(String, bool),
    /// `[colours] good = "green"`.
    Colour(String, String),
    /// `[keys] zoom = ["z", "F5"]`.
    Key(String, Vec<String>),
}

/// An entry with its line, or why it is none.
pub type Placed = (usize, Result<Entry, String>);

/// The entries in the order of their lines, from 1. An error: the file is no TOML at all.
pub fn entries(text: &str) -> Result<Vec<Placed>, String> {
    let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let table = DeTable::parse(text).map_err(|error| {
        let place = error.span().map_or_else(String::new, |span| format!("line {}: ", line(span.start)));
        format!("{place}{}", error.message())
    })?;
    let mut out = Vec::new();
    for (name, value) in table.get_ref() {
        let (at, name) = (line(name.span().start), name.get_ref().as_ref());
        match (name, value.get_ref()) {
            ("colours" | "colors", DeValue::Table(colours)) => {
                let entry = |(token, words): (&str, &DeValue<'_>)| {
                    let words = string(words).ok_or_else(|| format!("a colour is written as {token} = \"bold red\""))?;
                    Ok(Entry::Colour(token.to_owned(), words))
                };
                out.extend(each(colours).map(|(at, pair)| (line(at), entry(pair))));
            }
            ("keys", DeValue::Table(keys)) => out.extend(each(keys).map(|(at, (name, value))| {
                let keys = strings(value).ok_or_else(|| "keys are written as \"q\" or [\"q\", \"F10\"]".to_owned());
                (line(at), keys.map(|keys| Entry::Key(name.to_owned(), keys)))
            })),
            (_, DeValue::Table(_)) => out.push((at, Err(format!("there is no table {name}: only [colours] and [keys]")))),
            (_, DeValue::Boolean(on)) => out.push((at, Ok(Entry::Switch(name.to_owned(), *on)))),
            (_, DeValue::String(word)) => out.push((at, Ok(Entry::Word(name.to_owned(), word.to_string())))),
            _ => out.push((at, Err(format!("{name} takes neither a number nor a list")))),
        }
    }
    out.order_by_key(|(line, _)| *line);
    Ok(out)
}

/// The entries of a table with the places of their names.
fn each<'t>(table: &'t DeTable<'_>) -> impl Iterator<Item = (usize, (&'t str, &'t DeValue<'t>))> {
    table.iter().map(|(name, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let text: &std::borrow::Cow<'_, str> = name.get_ref();
        (name.span().start, (text.as_ref(), value.get_ref()))
    })
}

fn string(value: &DeValue<'_>) -> Option<String> {
    if let DeValue::String(text) = value { Some(text.to_string()) } else { None }
}

fn strings(value: &DeValue<'_>) -> Option<Vec<String>> {
    match value {
        DeValue::Array(list) => list.iter().map(|one| string(one.get_ref())).collect(),
        one => Some(vec![string(one)?]),
    }
}
