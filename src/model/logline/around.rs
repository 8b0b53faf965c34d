//! What people put around a line when they paste it: bullets, quotes, a name, `...` for what they left out.

use std::ops::Range;

/// Marks before a line, at most: a bullet, a name, quotes.
const MARKS: usize = 4;
/// Bytes of what says who or what said it, at most.
const NAME_BYTES: usize = 64;
/// Bytes of the name of a tag, at most: `blockquote`.
const TAG_BYTES: usize = 10;
/// Bytes of a line that was cut at its beginning within which a message of its own may begin.
const CUT_BYTES: usize = 48;
/// Bullets of lists, as texts and chats have them.
const BULLETS: [&str; 6] = ["- ", "* ", "+ ", "\u{2022} ", "\u{2013} ", "> "];
/// What stands for what was left out.
const LEFT_OUT: [&str; 4] = ["...", "\u{2026}", "[...]", "[\u{2026}]"];
/// Quotes, and what closes each.
const QUOTES: [(char, char); 9] = [
    ('*', '*'),
    ('_', '_'),
    ('`', '`'),
    ('"', '"'),
    ('\'', '\''),
    ('\u{201c}', '\u{201d}'),
    ('\u{201e}', '\u{201c}'),
    ('\u{2018}', '\u{2019}'),
    ('\u{ab}', '\u{bb}'),
];

/// How words end that announce what was said.
const SAYS: [&str; 6] = [" says", " said", " shows", " log", " error", " message"];
/// Members of logfmt that hold a message.
const MEMBERS: [&str; 4] = ["msg=\"", "message=\"", "error=\"", "err=\""];

/// Where the line that is `known` stands within one that has such marks. `None`: taking them off makes none that is.
pub(super) fn within(line: &str, known: impl Fn(&str) -> bool) -> Option<Range<usize>> {
    // An indented line is a trace's, and no marked one.
    let mut rest = without_end(line.trim_end());
    // As long as nothing was taken off it is the line itself, which the caller knows.
    if rest.len() < line.len() && known(rest) {
        return Some(place(line, rest));
    }
    rest = rest.trim_start();
    for _ in 0..MARKS {
        let cut = LEFT_OUT.iter().find_map(|mark| rest.strip_prefix(mark));
        let taken = [unmarked, unclocked, unquoted, member, unnamed].iter().find_map(|taken| taken(rest));
        rest = cut.or(taken)?.trim();
        rest = without_end(rest);
        if known(rest) {
            return Some(place(line, rest));
        }
        if cut.is_some() {
            let starts =
                rest.match_indices(' ').map(|(at, _)| &rest[at + 1..]).take_while(|behind| rest.len() - behind.len() <= CUT_BYTES);
            return starts.into_iter().find(|behind| known(behind)).map(|behind| place(line, behind));
        }
    }
    None
}

/// Where `part` stands, which was cut out of `line`.
fn place(line: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - line.as_ptr().addr();
    start..start + part.len()
}

fn unmarked(text: &str) -> Option<&str> {
    let numbered = || {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let behind = text.get(digits..)?;
        behind.strip_prefix(". ").or_else(|| behind.strip_prefix(") ")).filter(|_| (1..=2).contains(&digits))
    };
    BULLETS.iter().find_map(|bullet| text.strip_prefix(bullet)).or_else(numbered)
}

/// Without the quotes that open and close it, or the tags.
fn unquoted(text: &str) -> Option<&str> {
    if let Some((tag, inner)) = text.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        let named = (1..=TAG_BYTES).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_lowercase());
        let end = inner.rfind("</").unwrap_or(inner.len());
        return named.then_some(&inner[..end]);
    }
    let (open, close) = QUOTES.into_iter().find(|(open, _)| text.starts_with(*open))?;
    let mut inner = text;
    // As many as there are: three of a kind are a fence.
    while let Some(behind) = inner.strip_prefix(open) {
        inner = behind.strip_suffix(close).unwrap_or(behind);
    }
    Some(inner)
}

/// `bob: text`, `<bob> text`, `@bob text`, `the log says: text`, and a file that is marked as code, `error.log`: text.
fn unnamed(text: &str) -> Option<&str> {
    let fits = |c: char| c.is_alphanumeric() || " _-.@'`".contains(c);
    let said = text.split_once(": ").filter(|(name, said)| {
        // Several words may be a part of a line that was wrapped: they announce it, or it is in quotes.
        let announced = || SAYS.iter().any(|word| name.ends_with(word)) || QUOTES.iter().any(|(open, _)| said.starts_with(*open));
        name.len() <= NAME_BYTES && name.chars().all(fits) && (!name.contains(' ') || announced())
    });
    let said = said.map(|(_, said)| said);
    said.or_else(|| {
        let (word, rest) = text.split_once(' ')?;
        let name = word.strip_prefix('<').and_then(|word| word.strip_suffix('>')).or_else(|| word.strip_prefix('@'))?;
        (!name.is_empty() && name.len() <= NAME_BYTES && name.chars().all(fits)).then_some(rest)
    })
}

/// The time of a chat: `14:02 text`, `[2:14 PM] text`.
fn unclocked(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(['[', '(']).unwrap_or(text);
    let length = inner.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b':').count();
    let (clock, rest) = inner.split_at(length);
    let rest = rest.trim_start();
    let rest = ["AM", "PM", "am", "pm"].iter().find_map(|half| rest.strip_prefix(half)).unwrap_or(rest);
    ((4..=8).contains(&length) && clock.contains(':')).then(|| rest.trim_start_matches([']', ')', ',', ' ']))
}

/// The text of `level=error msg="text"`, where nothing in it is escaped (logfmt).
fn member(text: &str) -> Option<&str> {
    let (_, rest) = MEMBERS.iter().find_map(|name| text.split_once(name))?;
    rest.split_once('"').map(|(inner, _)| inner).filter(|inner| !inner.contains('\\'))
}

/// Without the mark that something was left out behind it.
fn without_end(text: &str) -> &str {
    LEFT_OUT.iter().find_map(|mark| text.strip_suffix(mark)).map_or(text, str::trim_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_off_as_far_as_they_make_a_line_known() {
        const LINE: &str = "upstream timed out";
        for line in [
            "- upstream timed out",
            "  * upstream timed out ...",
            "bob: `upstream timed out`",
            "1. \"upstream timed out\"",
            "<bob> \u{201c}upstream timed out\u{2026}\u{201d}",
            "```upstream timed out```",
            "...4321 upstream timed out",
            "upstream timed out...",
            "**upstream timed out**",
            "<code>upstream timed out</code>",
            "[2:14 PM] bob: upstream timed out",
            "and the log says: \"upstream timed out\"",
            "level=error msg=\"upstream timed out\" code=2",
            "`error.log`: `upstream timed out`",
            "error.log`: `upstream timed out",
        ] {
            let found = within(line, |text| text == LINE).map(|place| &line[place]);
            assert_eq!(found, Some(LINE), "{line}");
        }
        for line in ["upstream timed out", "it says upstream timed out", "- - - - - - upstream timed out", "", "\u{2026}", "''"] {
            assert_eq!(within(line, |text| text == LINE), None, "{line}");
        }
    }
}
