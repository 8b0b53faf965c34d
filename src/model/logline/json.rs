//! JSON objects as they stand in lines of logs: their members in order, borrowed, as far as the line goes.
//!
//! A line may be cut anywhere: those that are kept verbatim are, and terminals cut them too. A parser of whole documents says
//! nothing of such a line; this one tells the members before the cut. It makes no tree, follows no nesting by recursion, and
//! allocates only for strings with escapes.

use std::borrow::Cow;

use super::LineTime;

/// Members of one object that are looked at, at most: records of access logs have up to some sixty.
const MEMBERS: usize = 256;

/// A value as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A string, between its quotes, with its escapes.
    Text(&'a str),
    /// An object or an array with its brackets; without the last where the line was cut.
    Nested(&'a str),
    /// A number, `true`, `false`, `null`.
    Word(&'a str),
}

impl<'a> Value<'a> {
    /// The string without its escapes. `None`: it is no string.
    pub fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(raw) => Some(unescaped(raw)),
            Self::Nested(_) | Self::Word(_) => None,
        }
    }

    /// The string as it stands in the line. `None`: it is no string, or has escapes.
    pub fn plain(self) -> Option<&'a str> {
        match self {
            Self::Text(raw) => Some(raw).filter(|raw| !raw.contains('\\')),
            Self::Nested(_) | Self::Word(_) => None,
        }
    }

    /// A number, also one that is written as a string.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Word(text) | Self::Text(text) => text.parse().ok(),
            Self::Nested(_) => None,
        }
    }

    /// A time stamp: a string, or seconds since the Unix epoch as a number.
    pub fn time(self) -> Option<LineTime<'a>> {
        match self {
            Self::Text(text) => LineTime::leading(text).map(|(time, _)| time),
            Self::Word(text) => super::TimeShape::Epoch.leading(text).map(|(time, _)| time),
            Self::Nested(_) => None,
        }
    }
}

/// An object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Object<'a>(&'a str);

impl<'a> Object<'a> {
    /// The object that a text is. `None`: it does not begin as one, with a member.
    pub fn of(text: &'a str) -> Option<Self> {
        let object = Self(text);
        object.members().next().map(|_| object)
    }

    /// The first member of this name: programs write their own before what a client sent.
    pub fn get(self, name: &str) -> Option<Value<'a>> {
        self.members().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The string that this member is.
    pub fn text(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.text()
    }

    /// The object that this member is.
    pub fn object(self, name: &str) -> Option<Self> {
        match self.get(name)? {
            Value::Nested(text) => Self::of(text),
            Value::Text(_) | Value::Word(_) => None,
        }
    }

    /// The strings in the array that this member is.
    pub fn list(self, name: &str) -> impl Iterator<Item = &'a str> {
        let mut rest = match self.get(name) {
            Some(Value::Nested(text)) => text.strip_prefix('['),
            Some(Value::Text(_) | Value::Word(_)) | None => None,
        };
        std::iter::from_fn(move || {
            let text = rest?.trim_start().trim_start_matches(',');
            match value(text)? {
                (Value::Text(found), after) => {
                    rest = Some(after);
                    Some(found)
                }
                (Value::Nested(_) | Value::Word(_), _) => None,
            }
        })
        .take(MEMBERS)
    }

    /// Names, as they stand there, and values.
    pub fn members(self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let mut rest = self.0.trim_start().strip_prefix('{');
        std::iter::from_fn(move || {
            let text = rest?.trim_start();
            let text = text.strip_prefix(',').unwrap_or(text).trim_start();
            let (name, after) = string(text)?;
            let (found, after) = value(after.trim_start().strip_prefix(':')?)?;
            rest = Some(after);
            Some((name, found))
        })
        .take(MEMBERS)
    }
}

/// A value and what stands behind it. `None`: there is none, or it is a string or number that the line's end cut.
fn value(text: &str) -> Option<(Value<'_>, &str)> {
    let text = text.trim_start();
    match text.as_bytes().first()? {
        b'"' => string(text).map(|(found, after)| (Value::Text(found), after)),
        b'{' | b'[' => {
            let (found, after) = text.split_at(nested(text));
            Some((Value::Nested(found), after))
        }
        _ => {
            let end = text.find([',', '}', ']', ' '])?;
            let (found, after) = text.split_at(end);
            (end > 0).then_some((Value::Word(found), after))
        }
    }
}

/// The text of a string up to its closing quote, and what stands behind that.
fn string(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let end = closing(inner.as_bytes(), 0)?;
    Some((&inner[..end], &inner[end + 1..]))
}

/// Where the quote stands that ends a string which begins before `from`.
fn closing(bytes: &[u8], mut from: usize) -> Option<usize> {
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', bytes.get(from..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// The length of an object or array: up to the bracket that closes it, else all.
fn nested(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            b'"' => match closing(bytes, at + 1) {
                Some(end) => at = end,
                None => return bytes.len(),
            },
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    // What is no JSON after all stays as it is.
    serde_json::from_str::<String>(&format!("\"{raw}\"")).map_or(Cow::Borrowed(raw), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"{"level":"error","ts":1795217794.400655,"msg":"a \"b\" \u00e9","request":{"method":"GET","headers":{"X":["}\"{"]}},"ok":true, "status":502,"list":["a","b"]}"#;

    #[test]
    fn members_are_told_in_order_and_borrowed() {
        let object = Object::of(LINE).expect("an object");
        assert_eq!(object.text("msg").as_deref(), Some("a \"b\" é"));
        assert_eq!(object.get("ts").and_then(Value::time).map(|time| time.text), Some("1795217794.400655"));
        assert_eq!(object.get("status").and_then(Value::number), Some(502));
        assert_eq!(object.object("request").and_then(|request| request.text("method")).as_deref(), Some("GET"));
        assert_eq!(object.list("list").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((object.get("method"), object.get("missing")), (None, None));
        assert_eq!(object.members().count(), 7);
        for other in ["", "{", "{}", "[1]", "{a:1}", "{\"a\"", "{\"a\":", "text {\"a\":1}"] {
            assert_eq!(Object::of(other), None, "{other:?}");
        }
    }

    #[test]
    fn a_cut_line_tells_what_stands_before_the_cut() {
        let cut = &LINE[..LINE.find("]}}").expect("the headers")];
        let object = Object::of(cut).expect("an object");
        assert_eq!(object.text("level").as_deref(), Some("error"));
        assert_eq!(object.object("request").and_then(|request| request.text("method")).as_deref(), Some("GET"));
        assert_eq!(object.get("status"), None);
        // A number that the end cuts could be any other.
        assert_eq!(Object::of("{\"a\":1,\"status\":50").expect("an object").get("status"), None);
    }

    #[test]
    fn what_a_client_sent_cannot_replace_what_stands_before_it() {
        let object = Object::of(r#"{"status":502,"ua":"x\",\"status\":200,\"","status":200}"#).expect("an object");
        assert_eq!(object.get("status").and_then(Value::number), Some(502));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("{{\"a\":{}1{},\"b\":2}}", "[".repeat(200_000), "]".repeat(200_000));
        assert_eq!(Object::of(&deep).and_then(|object| object.get("b")).and_then(Value::number), Some(2));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[{}\\[\\]\",:\\\\a1é ]{0,60}", cut in 0usize..200) {
            for text in [text.as_str(), LINE.get(..cut).unwrap_or(LINE)] {
                if let Some(object) = Object::of(text) {
                    for (name, value) in object.members() {
                        let _ = (value.text(), value.plain(), value.number(), value.time(), object.list(name).count());
                    }
                }
            }
        }
    }
}
