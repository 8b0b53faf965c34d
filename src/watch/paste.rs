//! Log lines that somebody pasted: of any source, mixed, with prompts and prefixes before them, wrapped by a terminal.
//!
//! Pure: text in, batches out. It must not look at the host: `why502 explain` gives the same answer on any machine. To add a
//! format: its recognition in [`line_of`].

use std::{borrow::Cow, collections::BTreeMap};

use jiff::tz::TimeZone;

use super::logs::{
    batch::Batcher,
    join::{Joined, Joiner, condense, nginx_unfinished},
    lines::{Lines, Sink},
    skeleton::{self, STAMP_BYTES, common},
};
use crate::model::{
    JournalEntry, JournalExport, LogBatch, LogFormat, LogSource, SourceKind,
    logline::{self, Dialect, Writer},
};

mod markup;
mod status;
mod wrap;
mod zone;

use markup::unmarked;
use wrap::{Mender, continues, join, parted, plain_quotes, uncoloured, unquoted};

/// Bytes of the beginning from which it is told whether a terminal cut the lines: more than anybody pastes.
const HEAD_BYTES: usize = 256 << 10;

/// How the journal's export format begins.
const EXPORT_BEGINS: &[&[u8]] = &[b"__CURSOR=", b"__REALTIME_TIMESTAMP="];

/// Reads a paste. Times without zone are taken in `zone`; lines of the future of `now` (in seconds since the Unix epoch) are
/// those of last year.
pub fn read(text: &str, zone: &TimeZone, now: i64) -> Vec<LogBatch> {
    let mut paste = Paste::new(zone.clone(), now);
    paste.push(text.as_bytes());
    paste.finish()
}

/// Reads a paste or a file of any size, piece by piece, in bounded memory.
#[derive(Debug)]
pub struct Paste {
    /// The beginning, until it is known whether a terminal cut its lines.
    head: Option<Vec<u8>>,
    /// Where it is the journal's export format, which is no text of lines.
    export: Option<JournalExport>,
    lines: Lines,
    reader: Reader,
}

impl Paste {
    /// As [`read`].
    pub fn new(zone: TimeZone, now: i64) -> Self {
        let reader = Reader {
            nginx: batcher(Dialect::NginxError, None, &zone, now),
            zone,
            now,
            mender: Mender::default(),
            cut: false,
            colours: Colours::Nowhere,
            alone: false,
            stamp: [0; STAMP_BYTES],
            whole: Vec::new(),
            whole_length: 0,
            open: Joiner::any(),
            wraps: false,
            sources: BTreeMap::new(),
            status: status::Status::default(),
        };
        Self { head: Some(Vec::new()), export: None, lines: Lines::default(), reader }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(head) = &mut self.head else { return self.take(bytes) };
        head.extend_from_slice(bytes);
        if head.len() >= HEAD_BYTES {
            self.begin();
        }
    }

    /// The batches that are full.
    pub fn full(&mut self) -> Vec<LogBatch> {
        let mut full = self.reader.nginx.full();
        full.extend(self.reader.sources.values_mut().flat_map(Batcher::full));
        full
    }

    /// There is no more: the rest.
    pub fn finish(mut self) -> Vec<LogBatch> {
        self.begin();
        // The last entry of an export may be without its end.
        if self.export.is_some() {
            self.take(b"\n\n");
        }
        self.lines.finish(true, &mut self.reader);
        self.reader.mended();
        self.reader.close();
        let Reader { nginx, sources, .. } = self.reader;
        std::iter::once(nginx).chain(sources.into_values()).flat_map(|mut batcher| batcher.all()).collect()
    }

    fn begin(&mut self) {
        if let Some(mut head) = self.head.take() {
            if EXPORT_BEGINS.iter().any(|begin| head.starts_with(begin)) {
                self.export = Some(JournalExport::default());
            } else {
                if let Some(lines) = parted(&String::from_utf8_lossy(&head)) {
                    head = lines.into_bytes();
                }
                let text = String::from_utf8_lossy(&head);
                self.reader.colours = match uncoloured(text.as_bytes()) {
                    Cow::Owned(_) => Colours::Somewhere,
                    Cow::Borrowed(_) => Colours::Nowhere,
                };
                self.reader.mender = Mender::of(&text);
                self.reader.cut = self.reader.mender.mends();
                self.reader.now = zone::latest(&text, self.reader.now);
                if let Some(zone) = zone::zone_of(&text, self.reader.now) {
                    self.reader.zone = zone;
                }
                self.reader.nginx = batcher(Dialect::NginxError, None, &self.reader.zone, self.reader.now);
            }
            self.take(&head);
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        match &mut self.export {
            Some(export) => export.push(bytes, |entry| self.reader.entry(&entry)),
            None => self.lines.push(bytes, |_| true, &mut self.reader),
        }
    }
}

/// Where something in a paste is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    /// Not where it begins, so that only what is escaped in full is looked for.
    Nowhere,
    Somewhere,
}

/// The lines of a paste, by the program that wrote them.
#[derive(Debug)]
struct Reader {
    zone: TimeZone,
    now: i64,
    mender: Mender,
    /// A terminal cut the lines: those that are read are whole.
    cut: bool,
    /// Of millions of lines without any, each would be searched for what a colour may look like.
    colours: Colours,
    /// Lines of nginx's error log, which are told by their raw bytes.
    nginx: Batcher,
    /// Whether the line behind the next begins with a stamp of its own, so that it is no part of it.
    alone: bool,
    /// What the last of those began with: most lines begin like the one before.
    stamp: [u8; STAMP_BYTES],
    /// A line that begins as nginx begins one, as it came: what follows may belong to it. Empty: there is none.
    whole: Vec<u8>,
    whole_length: u64,
    /// The same of another program, or an entry of several lines.
    open: Joiner,
    /// The open line is one of a program that is known: it may have been wrapped.
    wraps: bool,
    sources: BTreeMap<Dialect, Batcher>,
    status: status::Status,
}

impl Sink for Reader {
    fn line(&mut self, line: &[u8], length: u64, _: bool) {
        let coloured = self.colours == Colours::Somewhere || memchr::memchr(0x1b, line).is_some();
        let uncoloured = if coloured { uncoloured(line) } else { Cow::Borrowed(line) };
        let plain = plain_quotes(unquoted(&uncoloured));
        let unmarked = unmarked(&plain);
        let line = unmarked.as_ref();
        // An empty line of what is quoted.
        if line.is_empty() {
            return self.blank();
        }
        if !self.cut {
            return self.logical(line, length);
        }
        // What was seen ahead may be the rest of this one.
        self.alone = false;
        let mut mender = std::mem::take(&mut self.mender);
        mender.line(line, length, |line, length| self.logical(line, length));
        self.mender = mender;
    }

    fn ahead(&mut self, behind: &[u8]) {
        self.alone = match behind.first_chunk() {
            Some(stamp) if *stamp == self.stamp => true,
            Some(stamp) if skeleton::stamped(stamp) => {
                self.stamp = *stamp;
                true
            }
            Some(_) | None => common::begins(behind),
        };
    }

    fn blank(&mut self) {
        self.mended();
        self.alone = false;
        // Traces have empty lines in them: what stands behind one tells whether it goes on.
        self.wraps = false;
        if !self.whole.is_empty() || !self.open.goes_on() {
            self.close();
        }
    }

    fn dropped(&mut self, _: u64) {}
}

impl Reader {
    /// The line that was being put together has no more.
    fn mended(&mut self) {
        let mut mender = std::mem::take(&mut self.mender);
        mender.end(|line, length| self.logical(line, length));
        self.mender = mender;
    }

    /// Takes a line that nothing cuts any more.
    fn logical(&mut self, line: &[u8], length: u64) {
        let alone = std::mem::take(&mut self.alone);
        let apart = self.whole.is_empty() && !self.open.is_open();
        if alone && (apart || skeleton::begins(line) || common::begins(line)) {
            // It begins anew, and so does the line behind it.
            self.close();
            if self.raw(line, length) {
                return;
            }
        }
        if skeleton::begins(line) && !nginx_unfinished(line) {
            self.close();
            self.whole.extend_from_slice(line);
            self.whole_length = length;
            if alone {
                self.close();
            }
            return;
        }
        let text = String::from_utf8_lossy(line);
        if let Some(said) = self.status.said(&text) {
            self.close();
            return self.add(said.as_bytes(), length);
        }
        if let Some(entry) = logline::journal_json(&text) {
            return self.entry(&entry);
        }
        let unpacked = logline::docker_json(&text).or_else(|| {
            let line = logline::enveloped(&text).map(Cow::Owned)?;
            if logline::is_record(&text) {
                self.close();
            }
            Some(line)
        });
        match unpacked {
            Some(entry) if entry.contains('\n') => {
                self.close();
                self.add(&condense(entry.as_bytes(), 0), entry.len() as u64);
            }
            Some(line) => self.text(&line),
            None => self.text(&text),
        }
    }

    /// Counts a line that its raw bytes tell whole. `false`: they don't.
    fn raw(&mut self, line: &[u8], length: u64) -> bool {
        // `2026/`: no address has a slash.
        if line.get(4) == Some(&b'/') {
            return self.nginx.add_raw(line, length, true);
        }
        let Some((dialect, cut)) = common::cut(line) else { return false };
        let access = self.sources.entry(dialect).or_insert_with(|| batcher(dialect, Some(0), &self.zone, self.now));
        access.add_cut(line, &cut, length, true)
    }

    /// An entry of the journal, which nothing has wrapped: it is whole when it has several lines, else the next may belong to it.
    fn entry(&mut self, entry: &JournalEntry) {
        let line = entry.line();
        if !self.whole.is_empty() || line.contains(&b'\n') {
            self.close();
        }
        if line.contains(&b'\n') {
            return self.add(&condense(&line, 0), line.len() as u64);
        }
        self.wraps = false;
        self.text(&String::from_utf8_lossy(&line));
        self.wraps = false;
    }

    fn text(&mut self, raw: &str) {
        if !self.whole.is_empty() {
            self.open.open(&self.whole, self.whole_length, true, None);
            self.wraps = !self.cut;
            self.whole.clear();
        }
        let length = raw.len() as u64;
        let known = line_of(raw);
        // Somebody indented what he quoted.
        let quoted = raw.starts_with([' ', '\t']) && known.is_some() && (!self.open.goes_on() || logline::is_listed(raw));
        let wrapped = self.open.single().filter(|_| self.wraps && known.is_none()).map(String::from_utf8_lossy);
        let anew = skeleton::stamped(raw.as_bytes()) || common::begins(raw.as_bytes());
        let wrapped = wrapped.filter(|line| !anew && continues(line, raw)).map(Cow::into_owned);
        // A break before a blank leaves one blank; frames of a trace are indented by more.
        let frame = !raw.starts_with(' ') || raw.starts_with("  ") || wrapped.is_none();
        if frame && !quoted && !anew && self.open.is_open() && self.open.joins(raw.as_bytes(), length) {
            return;
        }
        if let Some(mut line) = wrapped {
            join(&mut line, raw);
            self.open.open(line.as_bytes(), line.len() as u64, true, None);
            return;
        }
        self.close();
        // What a terminal cut is whole by now.
        self.wraps = known.is_some() && !self.cut;
        if !raw.trim().is_empty() {
            let line = known.unwrap_or(raw);
            self.open.open(line.as_bytes(), line.len() as u64, true, None);
        }
    }

    /// Nothing belongs any more to the line that is open.
    fn close(&mut self) {
        if !self.whole.is_empty() {
            let line = std::mem::take(&mut self.whole);
            let length = self.whole_length;
            self.nginx.add(&line, length, true, None);
            self.whole = line;
            self.whole.clear();
        } else if let Some(Joined { text, length, .. }) = self.open.release() {
            self.add(&text, length);
        }
    }

    fn add(&mut self, text: &[u8], length: u64) {
        let whole = String::from_utf8_lossy(text);
        let entry = logline::read(&whole);
        let batcher = match entry.dialect {
            Dialect::NginxError => &mut self.nginx,
            other => self.sources.entry(other).or_insert_with(|| batcher(other, entry.status, &self.zone, self.now)),
        };
        batcher.add(text, length, true, None);
    }
}

fn batcher(dialect: Dialect, status: Option<u16>, zone: &TimeZone, now: i64) -> Batcher {
    let kind = match dialect.writer() {
        Writer::Gateway if status.is_some() => SourceKind::Access,
        Writer::Gateway => SourceKind::Error,
        Writer::Application => SourceKind::App,
        Writer::Host => SourceKind::Kernel,
    };
    let log = LogSource { path: dialect.title().into(), kind, format: LogFormat::Plain };
    let mut batcher = Batcher::new(log, zone.clone()).spanning();
    batcher.at(now);
    batcher
}

/// The line of a program that is known, within a line: behind a prompt, a file name of grep, the prefix of docker or syslog.
fn line_of(raw: &str) -> Option<&str> {
    logline::within(raw).map(|place| &raw[place])
}

#[cfg(test)]
mod tests;
