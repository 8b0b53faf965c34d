//! JSON with the line of each value: what a finding points to. Read as RFC 8259 says, and past most of what it does not.

/// Values within values at most: Caddy's routes of an imported Caddyfile are some twenty deep.
const DEPTH: usize = 96;
/// Values of one text at most.
const VALUES: usize = 2_000_000;

/// A value with its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// The line on which it begins, from 1.
    pub line: u32,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `true`, `false`, and what is none of JSON.
    Word(String),
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object, in its order.
    Object(Vec<(String, Value)>),
}

/// What is not there.
static NOTHING: Value = Value { line: 0, kind: Kind::Word(String::new()) };

impl Value {
    /// Of a text. An error: the line at which it is no JSON.
    pub fn parse(text: &str) -> Result<Self, u32> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut parser = Parser { rest: text, line: 1, values: VALUES };
        let value = parser.value(0).ok_or(parser.line)?;
        parser.blanks();
        if parser.rest.is_empty() { Ok(value) } else { Err(parser.line) }
    }

    /// A member of an object; an empty word where there is none.
    pub fn at(&self, name: &str) -> &Self {
        match &self.kind {
            Kind::Object(members) => members.iter().find(|(known, _)| known == name).map_or(&NOTHING, |(_, value)| value),
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => &NOTHING,
        }
    }

    /// The members of an object.
    pub fn members(&self) -> &[(String, Self)] {
        match &self.kind {
            Kind::Object(members) => members,
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => &[],
        }
    }

    /// The values of a list.
    pub fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Word(_) | Kind::Number(_) | Kind::Text(_) | Kind::Object(_) => &[],
        }
    }

    /// The texts of a list.
    pub fn texts(&self) -> Vec<String> {
        self.items().iter().filter_map(|item| item.text().map(str::to_owned)).collect()
    }

    /// A text.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            Kind::Word(_) | Kind::Number(_) | Kind::List(_) | Kind::Object(_) => None,
        }
    }

    /// A number.
    pub fn number(&self) -> Option<f64> {
        match self.kind {
            Kind::Number(number) => Some(number),
            Kind::Word(_) | Kind::Text(_) | Kind::List(_) | Kind::Object(_) => None,
        }
    }

    /// Whether it is `true`.
    pub fn is_true(&self) -> bool {
        matches!(&self.kind, Kind::Word(word) if word == "true")
    }

    /// Whether it is there, and not null.
    pub fn is_there(&self) -> bool {
        !matches!(&self.kind, Kind::Word(word) if word.is_empty() || word == "null")
    }

    /// As a person would write it, on one line and up to a length.
    pub fn shown(&self) -> String {
        const CHARS: usize = 200;
        let text = match &self.kind {
            Kind::Word(word) => word.clone(),
            Kind::Number(number) => number.to_string(),
            Kind::Text(text) => text.clone(),
            Kind::List(items) => items.iter().take(20).map(Self::shown).collect::<Vec<_>>().join(" "),
            Kind::Object(members) => {
                members.iter().take(20).map(|(name, value)| format!("{name} {}", value.shown())).collect::<Vec<_>>().join(", ")
            }
        };
        text.chars().take(CHARS).collect()
    }
}

struct Parser<'a> {
    rest: &'a str,
    line: u32,
    values: usize,
}

impl Parser<'_> {
    fn blanks(&mut self) {
        let trimmed = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let blank = &self.rest.as_bytes()[..self.rest.len() - trimmed.len()];
        self.line = self.line.saturating_add(u32::try_from(memchr::memchr_iter(b'\n', blank).count()).unwrap_or(u32::MAX));
        self.rest = trimmed;
    }

    fn take(&mut self, mark: char) -> bool {
        self.blanks();
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.blanks();
        self.values = self.values.checked_sub(1)?;
        let line = self.line;
        if depth > DEPTH {
            return None;
        }
        let kind = if self.take('{') {
            Kind::Object(self.members(depth)?)
        } else if self.take('[') {
            let mut items = Vec::new();
            while !self.take(']') {
                items.push(self.value(depth + 1)?);
                let _ = self.take(',');
            }
            Kind::List(items)
        } else if self.rest.starts_with('"') {
            Kind::Text(self.string()?)
        } else {
            let length =
                self.rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))).unwrap_or(self.rest.len());
            let (word, rest) = self.rest.split_at(length);
            self.rest = rest;
            match word.parse::<f64>() {
                Ok(number) if !word.starts_with(|c: char| c.is_ascii_alphabetic()) => Kind::Number(number),
                Ok(_) | Err(_) if matches!(word, "true" | "false" | "null") => Kind::Word(word.to_owned()),
                Ok(_) | Err(_) => return None,
            }
        };
        Some(Value { line, kind })
    }

    fn members(&mut self, depth: usize) -> Option<Vec<(String, Value)>> {
        let mut members = Vec::new();
        while !self.take('}') {
            self.blanks();
            let name = self.string()?;
            if !self.take(':') {
                return None;
            }
            members.push((name, self.value(depth + 1)?));
            let _ = self.take(',');
        }
        Some(members)
    }

    fn string(&mut self) -> Option<String> {
        let body = self.rest.strip_prefix('"')?;
        let bytes = body.as_bytes();
        let mut end = 0;
        loop {
            match bytes.get(end)? {
                b'"' => break,
                b'\\' => end += 2,
                // A line's end within a text is not allowed, and would make the lines after it wrong.
                b'\n' => return None,
                _ => end += 1,
            }
        }
        // The escapes are serde_json's to read.
        let whole = self.rest.get(..end + 2)?;
        self.rest = &self.rest[end + 2..];
        Some(serde_json::from_str(whole).unwrap_or_else(|_| whole.trim_matches('"').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_lines() {
        let value = Value::parse("{\n \"a\": [1,\n \"x\\u0041\\\"\"],\n\"b\": {\"c\": true, \"d\": null}}").expect("JSON");
        assert_eq!(value.at("a").items()[1], Value { line: 3, kind: Kind::Text("xA\"".to_owned()) });
        assert_eq!((value.at("a").items()[0].number(), value.at("b").line), (Some(1.0), 4));
        assert!(value.at("b").at("c").is_true() && !value.at("b").at("d").is_there() && !value.at("none").at("x").is_there());
        for (bad, line) in [("{\n\"a\" 1}", 2), ("[1,\n\n", 3), ("", 1), ("{} x", 1), ("nan", 1), ("\"a\nb\"", 1), ("\"\\", 1)] {
            assert_eq!(Value::parse(bad), Err(line), "{bad:?}");
        }
        assert!(Value::parse(&"[".repeat(100_000)).is_err());
    }
}
