//! Lines that something broke on their way into a paste: a terminal cuts them at its last column, a mail program fills them word
//! by word, and quotes them.
//!
//! It must not tell what a line means. To add a way of breaking: a function here, and its use in the reader.

use std::borrow::Cow;

use crate::model::{
    NginxErrorLine,
    logline::{self, LineTime, TimeShape},
};

/// Characters of a line from which on it may have been wrapped: terminals are seldom narrower.
const WRAPPED_CHARS: usize = 60;
/// Bytes of one line that is put together again: nginx cuts its own at 2,048 (`NGX_MAX_ERROR_STR`).
const JOINED_BYTES: usize = 4096;

/// How something broke the lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum How {
    /// It did not.
    #[default]
    Whole,
    /// A terminal cut them at this column.
    Cut(usize),
    /// Word by word.
    Filled(Fill),
}

/// Puts lines together again that a terminal cut, or somebody filled word by word.
#[derive(Debug, Default)]
pub(super) struct Mender {
    how: How,
    /// How the last line ended that came.
    last: String,
    /// What came of the line that is not whole yet.
    part: Vec<u8>,
    length: u64,
}

impl Mender {
    /// Of a paste that begins so.
    pub(super) fn of(head: &str) -> Self {
        let how = cut_at(head).map(How::Cut).or_else(|| filled_at(head).map(How::Filled)).unwrap_or_default();
        Self { how, ..Self::default() }
    }

    /// Whether there is anything to mend.
    pub(super) fn mends(&self) -> bool {
        self.how != How::Whole
    }

    /// Takes the next line, and gives those that are whole.
    pub(super) fn line(&mut self, line: &[u8], length: u64, mut whole: impl FnMut(&[u8], u64)) {
        let text = String::from_utf8_lossy(line);
        if let How::Filled(fill) = self.how {
            return self.filled(fill, &text, length, whole);
        }
        if self.part.len() >= JOINED_BYTES || !self.part.is_empty() && begins_anew(&text) {
            self.end(&mut whole);
        }
        self.part.extend_from_slice(line);
        self.length += length;
        if !matches!(self.how, How::Cut(cut) if text.chars().count() >= cut) {
            self.end(whole);
        }
    }

    /// As [`Self::line`], of lines that were filled.
    fn filled(&mut self, fill: Fill, text: &str, length: u64, mut whole: impl FnMut(&[u8], u64)) {
        let goes_on = !self.part.is_empty() && self.part.len() < JOINED_BYTES && fill.broke(&self.last, text);
        if !goes_on {
            self.end(&mut whole);
        } else if fill.blank_lost(&self.last) {
            self.part.push(b' ');
        }
        self.part.extend_from_slice(text.as_bytes());
        self.length += length;
        text.clone_into(&mut self.last);
        // What does not begin as an entry has none that goes on.
        if !goes_on && !fill.begins(text) {
            self.end(whole);
        }
    }

    /// There is no more of the line that is open.
    pub(super) fn end(&mut self, mut whole: impl FnMut(&[u8], u64)) {
        if !self.part.is_empty() {
            whole(&self.part, self.length);
        }
        self.part.clear();
        self.length = 0;
    }
}

/// Whether this is the rest of a line that something wrapped: the line before is long and has no end yet.
pub(super) fn continues(line: &str, next: &str) -> bool {
    let ended = line.ends_with('"') && line.contains(", host: \"");
    // The fence around a paste belongs to no line of it (CommonMark, section 4.5).
    let fence = ["```", "~~~"].iter().any(|fence| next.trim_start().starts_with(fence));
    let open = line.chars().count() >= WRAPPED_CHARS && line.len() < JOINED_BYTES && !ended;
    open && !fence && !headed(next) && !next.trim().is_empty()
}

/// Whether a line begins as no rest of another does: with its level, or with the name of one of several files (tail(1)).
fn headed(line: &str) -> bool {
    const LEVEL_CHARS: usize = 4;
    let level = line.bytes().take_while(u8::is_ascii_uppercase).count();
    line.starts_with("==> ") || level >= LEVEL_CHARS && line[level..].starts_with(": ")
}

/// Bytes of a paste of one line that are looked through for others within it.
const ONE_LINE_BYTES: usize = 64 << 10;

/// A paste of one line in which others begin, as a field of a form or a chat has made blanks of their ends: with the ends again; `None`: there are none. Only where
/// all is one line, and begins as the others do: what a client sends stands in lines that have theirs.
pub(super) fn parted(text: &str) -> Option<String> {
    let whole = text.trim_end();
    let head = Head::of(whole).filter(|_| whole.len() <= ONE_LINE_BYTES && !whole.contains('\n'))?;
    let mut ends: Vec<usize> = memchr::memchr_iter(b' ', whole.as_bytes()).collect();
    ends.retain(|end| Head::of(&whole[end + 1..]).as_ref() == Some(&head));
    let mut lines = String::with_capacity(whole.len());
    let mut begin = 0;
    for end in &ends {
        lines.push_str(&whole[begin..*end]);
        lines.push('\n');
        begin = end + 1;
    }
    lines.push_str(&whole[begin..]);
    (!ends.is_empty()).then_some(lines)
}

/// How a line begins that has a time and a writer.
#[derive(Debug, PartialEq, Eq)]
enum Head<'a> {
    /// nginx's error log, with the process.
    Nginx,
    /// syslog, with the host.
    Syslog(&'a str),
}

impl<'a> Head<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let first = *text.as_bytes().first()?;
        if first.is_ascii_digit() && NginxErrorLine::parse(text).is_some_and(|line| line.pid.is_some()) {
            return Some(Self::Nginx);
        }
        let time = TimeShape::Syslog.leading(text).filter(|_| first.is_ascii_uppercase());
        let host = time.and_then(|(_, rest)| rest.strip_prefix(' ')?.split(' ').next())?;
        let carried = logline::carried(text);
        (carried.program.is_some() && carried.text.len() < text.len()).then_some(Self::Syslog(host))
    }
}

/// A line without the marks of a quotation before it, as mail and forums put them.
pub(super) fn unquoted(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|byte| matches!(byte, b'>' | b' ')).count();
    if line.starts_with(b">") { line.get(marks..).unwrap_or_default() } else { line }
}

/// A line with the quotes that its program wrote: chats and word processors make others of them, and blanks that do not break. Where the
/// line has plain ones too, the others are what a client sent.
pub(super) fn plain_quotes(line: &[u8]) -> Cow<'_, [u8]> {
    const MADE: [char; 4] = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{00a0}'];
    // First bytes of those in UTF-8.
    if memchr::memchr2(0xe2, 0xc2, line).is_none() || memchr::memchr(b'"', line).is_some() {
        return Cow::Borrowed(line);
    }
    let text = String::from_utf8_lossy(line);
    if !text.contains(MADE) {
        return Cow::Borrowed(line);
    }
    let quote = |c: char| if c == '\u{a0}' { ' ' } else { '"' };
    Cow::Owned(text.chars().map(|c| if MADE.contains(&c) { quote(c) } else { c }).collect::<String>().into_bytes())
}

/// How the first byte of a colour is written: itself, and as `cat -v`, rsyslog, and programs that quote show it.
const ESCAPES: [&str; 5] = ["\u{1b}", "^[", "#033", "\\x1b", "\\u001b"];
/// Colours as they stay where something dropped that byte: those that programs set.
const COLOURS: [&str; 23] = [
    "[0m", "[1m", "[22m", "[39m", "[30m", "[31m", "[32m", "[33m", "[34m", "[35m", "[36m", "[37m", "[90m", "[91m", "[92m", "[93m",
    "[94m", "[95m", "[96m", "[97m", "[1;31m", "[0;31m", "[0;32m",
];

/// A line without the colours that a program or `journalctl` gave it (ECMA-48 section 8.3.117, SGR, and what erases a line).
pub(super) fn uncoloured(line: &[u8]) -> Cow<'_, [u8]> {
    let escaped = memchr::memchr(0x1b, line).is_some();
    if !escaped && memchr::memmem::find(line, b"m").is_none_or(|_| memchr::memchr(b'[', line).is_none()) {
        return Cow::Borrowed(line);
    }
    let Ok(text) = std::str::from_utf8(line) else { return Cow::Borrowed(line) };
    let (mut kept, mut rest, mut found) = (String::new(), text, false);
    while let Some(at) = rest.find(['\u{1b}', '^', '#', '\\', '[']) {
        let here = &rest[at..];
        let length = ESCAPES.iter().find_map(|escape| Some(escape.len() + sequence(here.strip_prefix(escape)?)?));
        let length = length.or_else(|| COLOURS.iter().find(|colour| here.starts_with(**colour)).map(|colour| colour.len()));
        // Each of the characters that were looked for is one byte.
        kept.push_str(&rest[..at + usize::from(length.is_none())]);
        rest = &here[length.unwrap_or(1)..];
        found |= length.is_some();
    }
    if !found {
        return Cow::Borrowed(line);
    }
    kept.push_str(rest);
    Cow::Owned(kept.into_bytes())
}

/// How long a control sequence is behind its first byte: `[`, numbers, a letter of those that colour or erase.
fn sequence(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix('[')?;
    let end = numbers.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
    matches!(numbers.as_bytes().get(end), Some(b'm' | b'K')).then_some(end + 2)
}

/// Whether this is no rest of another line: it begins as a known program's does, or with a time.
fn begins_anew(line: &str) -> bool {
    logline::begins(line) == Some(0) || LineTime::leading(line.trim_start_matches('[')).is_some()
}

/// How lines were filled: an editor, a mail program, `fold -s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fill {
    /// Characters of the longest line.
    width: usize,
    /// Each entry has a stamp of its own, so that only those begin anew.
    stamped: bool,
    /// The blank at which a line was broken stayed at its end.
    blanks: bool,
}

impl Fill {
    /// Whether a line begins an entry.
    fn begins(self, line: &str) -> bool {
        let stamped = LineTime::leading(line.trim_start_matches('[')).is_some();
        stamped || line.starts_with('{') || !self.stamped && logline::begins(line) == Some(0)
    }

    /// Whether a line was broken before this one: its first word had no room there.
    fn broke(self, line: &str, next: &str) -> bool {
        let ended = line.ends_with('"') && line.contains("host: \"") || line.ends_with('}');
        let word = next.split(' ').next().unwrap_or_default();
        // The word before and the one behind it, with a blank between and one behind.
        let forced = line.trim_end().chars().count() + word.chars().count() + 2 > self.width;
        forced && !ended && !word.is_empty() && !next.starts_with(['\t', '`', '$', '#']) && !self.begins(next)
    }

    /// Whether a blank belongs between a line and the rest of it.
    fn blank_lost(self, line: &str) -> bool {
        !(line.ends_with(' ') || self.blanks && line.chars().count() == self.width)
    }
}

/// How the lines were filled word by word, if they were: wherever one goes on its first word had no room before, and put together
/// each is the line of a program, with fewer strange ones between. Longer lines than anybody fills are whole.
fn filled_at(text: &str) -> Option<Fill> {
    const FILLED: std::ops::RangeInclusive<usize> = 50..=132;
    let lines: Vec<Cow<'_, str>> = text.lines().map(|line| String::from_utf8_lossy(unquoted(line.as_bytes()))).collect();
    let width = lines.iter().map(|line| line.chars().count()).max().filter(|width| FILLED.contains(width))?;
    let first = lines.iter().find(|line| !line.trim().is_empty())?;
    let stamped = LineTime::leading(first.trim_start_matches('[')).is_some();
    let fill = Fill { width, stamped, blanks: lines.iter().any(|line| line.ends_with(' ')) };
    let (mut joined, mut breaks): (Vec<(String, bool)>, usize) = (Vec::new(), 0);
    let mut last = "";
    for line in &lines {
        match joined.last_mut().filter(|(open, _)| fill.begins(open) && fill.broke(last, line)) {
            Some((open, parts)) => {
                // What is a line by itself goes on only in the middle of a sentence.
                let within = open.trim_end().ends_with([':', ',', '(']) || stamped && last.ends_with(' ');
                if logline::begins(line) == Some(0) && !within {
                    return None;
                }
                if fill.blank_lost(last) {
                    open.push(' ');
                }
                open.push_str(line);
                (*parts, breaks) = (true, breaks + 1);
            }
            None => joined.push((line.clone().into_owned(), false)),
        }
        last = line;
    }
    let strange = |line: &str| !line.trim().is_empty() && logline::begins(line).is_none();
    let before = lines.iter().filter(|line| strange(line)).count();
    let after = joined.iter().filter(|(line, _)| strange(line)).count();
    let mended = joined.iter().all(|(line, parts)| !parts || !strange(line));
    (breaks > 1 && mended && (after < before || after == 0)).then_some(fill)
}

/// The column at which a terminal cut the lines, if it did: the longest lines are then equally long, to the letter; put together
/// with what follows them they are lines of programs, no fewer than before and with fewer strange ones between; and what follows
/// those is again a line of a program. Of lines that a mail program filled word by word a third part follows.
fn cut_at(text: &str) -> Option<usize> {
    let lines: Vec<Cow<'_, str>> = text.lines().map(|line| String::from_utf8_lossy(unquoted(line.as_bytes()))).collect();
    let lengths: Vec<usize> = lines.iter().map(|line| line.chars().count()).collect();
    let cut = lengths.iter().copied().max().filter(|longest| *longest >= WRAPPED_CHARS)?;
    if lengths.iter().filter(|length| **length == cut).count() < 2 {
        return None;
    }
    let (mut joined, mut full): (Vec<String>, bool) = (Vec::new(), false);
    let (mut halves, mut wholes) = (0, 0);
    for (line, length) in lines.iter().zip(&lengths) {
        match joined.last_mut().filter(|line| full && line.len() < JOINED_BYTES) {
            Some(open) if !begins_anew(line) => {
                open.push_str(line);
                halves += 1;
            }
            Some(_) => wholes += 1,
            None => {}
        }
        if !full || begins_anew(line) {
            joined.push(line.clone().into_owned());
        }
        full = *length == cut;
    }
    if wholes >= halves {
        return None;
    }
    let known = |lines: &[&str]| -> Vec<bool> { lines.iter().map(|line| logline::begins(line).is_some()).collect() };
    let count = |known: &[bool], wanted: bool| known.iter().filter(|known| **known == wanted).count();
    let joined: Vec<&str> = joined.iter().map(String::as_str).collect();
    let before = known(&lines.iter().map(AsRef::as_ref).collect::<Vec<&str>>());
    let after = known(&joined);
    // An indented line is a trace's, whatever cut it.
    let parted = |at: &usize| after[*at] && after.get(at + 1) == Some(&false) && !joined[at + 1].starts_with([' ', '\t']);
    let parted = (0..after.len()).filter(parted).count();
    let whole = count(&after, true) >= count(&before, true) && count(&after, false) < count(&before, false);
    (whole && parted * 2 <= count(&after, true)).then_some(cut)
}

/// Puts a line together that was filled word by word: an editor or mail program takes a blank for the break.
pub(super) fn join(line: &mut String, next: &str) {
    let blank_lost = !line.ends_with(' ') && !next.starts_with(' ') && {
        let end = line.rsplit(' ').next().unwrap_or_default();
        // A break within a quoted value or a word that goes on with punctuation was no blank.
        // `[client 192.0.2.1]`, `[pid 7]`.
        let named = end.strip_prefix('[').is_some_and(|name| matches!(name, "client" | "pid" | "remote"));
        // Behind a number or a value without quotes letters are another word.
        let quoted = line.matches('"').count() % 2 == 1;
        let number = end.chars().all(|c| c.is_ascii_digit()) || end.contains('=') && end.ends_with(char::is_alphanumeric);
        named
            || end.ends_with([',', ':', ')'])
            || end.chars().all(char::is_alphabetic) && next.starts_with(|c: char| c.is_ascii_lowercase() || c == '(')
            || number && !quoted && next.starts_with(|c: char| c.is_ascii_alphabetic())
    };
    if blank_lost {
        line.push(' ');
    }
    line.push_str(next.trim_end());
}
