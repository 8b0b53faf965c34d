//! Log lines that somebody pasted: of any source, mixed, with prompts and prefixes before them, wrapped by a terminal.
//!
//! Pure: text in, batches out. It must not look at the host: `why502 explain` gives the same answer on any machine. To add a
//! format: its recognition in [`line_of`].

use std::{borrow::Cow, collections::BTreeMap};

use jiff::tz::TimeZone;

use super::logs::{
    batch::Batcher,
    lines::{Lines, Sink},
    skeleton::{self, STAMP_BYTES, common},
};
use crate::model::{
    LogBatch, LogFormat, LogSource, SourceKind,
    logline::{self, Dialect, Writer},
};

/// Characters of a line from which on it may have been wrapped: terminals are seldom narrower.
const WRAPPED_CHARS: usize = 60;
/// Bytes of one line that is put together again: nginx cuts its own at 2,048 (`NGX_MAX_ERROR_STR`).
const JOINED_BYTES: usize = 4096;

/// Bytes of the beginning from which it is told whether a terminal cut the lines: more than anybody pastes.
const HEAD_BYTES: usize = 256 << 10;

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
            cut: None,
            full: false,
            alone: false,
            stamp: [0; STAMP_BYTES],
            whole: Vec::new(),
            whole_length: 0,
            open: None,
            sources: BTreeMap::new(),
        };
        Self { head: Some(Vec::new()), lines: Lines::default(), reader }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(head) = &mut self.head else { return self.lines.push(bytes, |_| true, &mut self.reader) };
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
        self.lines.finish(true, &mut self.reader);
        self.reader.close();
        let Reader { nginx, sources, .. } = self.reader;
        std::iter::once(nginx).chain(sources.into_values()).flat_map(|mut batcher| batcher.all()).collect()
    }

    fn begin(&mut self) {
        if let Some(head) = self.head.take() {
            self.reader.cut = cut_at(&String::from_utf8_lossy(&head));
            self.lines.push(&head, |_| true, &mut self.reader);
        }
    }
}

/// The lines of a paste, by the program that wrote them.
#[derive(Debug)]
struct Reader {
    zone: TimeZone,
    now: i64,
    cut: Option<usize>,
    /// The line before was as long as those that the terminal cut.
    full: bool,
    /// Lines of nginx's error log, which are told by their raw bytes.
    nginx: Batcher,
    /// Whether the line behind the next begins with a stamp of its own, so that it is no part of it.
    alone: bool,
    /// What the last of those began with: most lines begin like the one before.
    stamp: [u8; STAMP_BYTES],
    /// A line that begins as nginx begins one, as it came: what follows may belong to it. Empty: there is none.
    whole: Vec<u8>,
    whole_length: u64,
    /// The same of another program, or one that was put together.
    open: Option<String>,
    sources: BTreeMap<Dialect, Batcher>,
}

impl Sink for Reader {
    fn line(&mut self, line: &[u8], length: u64, _: bool) {
        let line = unquoted(line);
        // What a terminal cut goes on in the next line, whatever that looks like.
        let follows = self.full;
        self.full = self.cut.is_some_and(|cut| String::from_utf8_lossy(line).chars().count() == cut);
        let alone = std::mem::take(&mut self.alone) && !self.full && !follows;
        if alone && self.whole.is_empty() && self.open.is_none() && self.raw(line, length) {
            return;
        }
        if skeleton::begins(line) {
            self.close();
            self.whole.extend_from_slice(line);
            self.whole_length = length;
            if alone {
                self.close();
            }
            return;
        }
        let text = String::from_utf8_lossy(line);
        let unpacked = logline::docker_json(&text).unwrap_or(Cow::Borrowed(&text));
        self.text(&unpacked, follows);
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
        self.alone = false;
        self.full = false;
        self.close();
    }

    fn dropped(&mut self, _: u64) {}
}

impl Reader {
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

    fn text(&mut self, raw: &str, follows: bool) {
        if !self.whole.is_empty() {
            self.open = Some(String::from_utf8_lossy(&self.whole).into_owned());
            self.whole.clear();
        }
        let begins = logline::begins(raw);
        let stamped = skeleton::stamped(raw.as_bytes()) || common::begins(raw.as_bytes());
        let cut_before = follows && begins != Some(0);
        let goes_on = |line: &String| {
            line.len() < JOINED_BYTES && (cut_before || begins.is_none() && !self.full && !stamped && continues(line, raw))
        };
        if let Some(line) = self.open.as_mut().filter(|line| goes_on(line)) {
            join(line, raw, self.cut);
        } else if let Some(at) = begins {
            self.close();
            self.open = Some(raw[at..].to_owned());
        } else {
            self.close();
            if self.full {
                // Which program's line it is may be told by what was cut off.
                self.open = Some(raw.to_owned());
            } else if !raw.trim().is_empty() {
                self.add(raw);
            }
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
        } else if let Some(line) = self.open.take() {
            self.add(line_of(&line).unwrap_or(&line));
        }
    }

    fn add(&mut self, line: &str) {
        let entry = logline::read(line);
        let batcher = match entry.dialect {
            Dialect::NginxError => &mut self.nginx,
            other => self.sources.entry(other).or_insert_with(|| batcher(other, entry.status, &self.zone, self.now)),
        };
        batcher.add(line.as_bytes(), line.len() as u64, true, None);
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
    logline::begins(raw).map(|at| &raw[at..])
}

/// Whether this is the rest of a line that something wrapped: the line before is long and has no end yet.
fn continues(line: &str, next: &str) -> bool {
    let ended = line.ends_with('"') && line.contains(", host: \"");
    line.chars().count() >= WRAPPED_CHARS && line.len() < JOINED_BYTES && !ended && !next.trim().is_empty()
}

/// A line without the marks of a quotation before it, as mail and forums put them.
fn unquoted(line: &[u8]) -> &[u8] {
    let marks = line.iter().take_while(|byte| matches!(byte, b'>' | b' ')).count();
    if line.starts_with(b">") { line.get(marks..).unwrap_or_default() } else { line }
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
            Some(open) if logline::begins(line) != Some(0) => {
                open.push_str(line);
                halves += 1;
            }
            Some(_) => wholes += 1,
            None => {}
        }
        if !full || logline::begins(line) == Some(0) {
            joined.push(line.clone().into_owned());
        }
        full = *length == cut;
    }
    if wholes >= halves {
        return None;
    }
    let known = |lines: &[&str]| -> Vec<bool> { lines.iter().map(|line| line_of(line).is_some()).collect() };
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

/// Puts a wrapped line together. A terminal cuts within words; an editor or mail program takes a blank for the break.
fn join(line: &mut String, next: &str, cut: Option<usize>) {
    let blank_lost = cut.is_none() && !line.ends_with(' ') && !next.starts_with(' ') && {
        let end = line.rsplit(' ').next().unwrap_or_default();
        // A break within a quoted value or a word that goes on with punctuation was no blank.
        end.ends_with([',', ':', ')'])
            || end.chars().all(char::is_alphabetic) && next.starts_with(|c: char| c.is_ascii_lowercase() || c == '(')
    };
    if blank_lost {
        line.push(' ');
    }
    line.push_str(if cut.is_some() { next } else { next.trim_end() });
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Lines of programs whose format is only told by what stands behind the first column that a terminal cuts at.
    const BEHIND: [&str; 2] = [
        "Nov 21 05:44:16 lb1 haproxy[6162]: 203.0.113.9:54493 [21/Nov/2026:05:44:15.030] www shop/<NOSRV> 0/1002/-1/-1/1002 503 217 - - sQ-- 12/12/11/0/0 0/1 \"GET /sale/8 HTTP/1.1\"",
        r#"{"level":"error","ts":1795239860.2716236,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:5000: connect: connection refused","request":{"remote_ip":"203.0.113.9","method":"GET","host":"shop.example.com","uri":"/"},"duration":0.001,"status":502,"err_id":"7sxiqb7aa","err_trace":"reverseproxy.statusError (reverseproxy.go:1272)"}"#,
    ];

    fn keys(text: &str) -> Vec<(String, u32)> {
        let batches = read(text, &TimeZone::UTC, 2_000_000_000);
        batches.into_iter().flat_map(|batch| batch.counts).map(|count| (count.key, count.count)).collect()
    }

    #[test]
    fn a_cut_that_hides_the_format_is_mended_too() {
        for line in BEHIND {
            let whole = keys(&format!("{line}\n{line}\n{line}\n"));
            assert_eq!(whole[0].1, 3, "equal lines are not taken for cut ones: {whole:?}");
            for width in [80, 100] {
                let chars: Vec<char> = line.chars().collect();
                let wrapped: Vec<String> = chars.chunks(width).map(|part| part.iter().collect()).collect();
                let wrapped = wrapped.join("\n");
                assert_eq!(keys(&format!("{wrapped}\n{wrapped}\n{wrapped}\n")), whole, "cut at {width}");
            }
        }
    }

    #[test]
    fn a_quotation_is_read_without_its_marks() {
        let words: Vec<&str> = LINE.split(' ').collect();
        let filled: String = words.chunks(9).map(|words| format!("> {}\n", words.join(" "))).collect();
        assert_eq!(errors(&filled)[0].0, errors(LINE)[0].0, "{filled}");
    }

    const LINE: &str = "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, \
                        client: 203.0.113.9, server: shop, request: \"GET /cart HTTP/1.1\", upstream: \"http://127.0.0.1:8000/cart\", host: \"shop\"";

    fn errors(text: &str) -> Vec<(String, u32, String)> {
        let batches = read(text, &TimeZone::UTC, 2_000_000_000);
        let of = batches.into_iter().filter(|batch| batch.kind == SourceKind::Error).flat_map(|batch| batch.counts);
        of.map(|count| (count.key, count.count, count.first)).collect()
    }

    #[test]
    fn a_line_is_found_behind_what_stands_before_it() {
        let plain = errors(LINE);
        assert_eq!(plain.len(), 1);
        for before in [
            "web-1  | ",
            "/var/log/nginx/error.log:",
            "/var/log/nginx/error.log-12:",
            "Nov 20 02:17:41 gw1 nginx: ",
            "[pod/gw-7c9/nginx] ",
            "2026-11-20T02:17:41.123Z ",
            "  ",
            "> ",
        ] {
            let found = errors(&format!("{before}{LINE}"));
            assert_eq!((&found[0].0, found[0].1, found.len()), (&plain[0].0, 1, 1), "{before}");
        }
    }

    #[test]
    fn equal_lines_count_together_and_others_stay_apart() {
        let text = format!("$ tail error.log\n{LINE}\n{LINE}\nsome other words\n");
        assert_eq!(errors(&text)[0].1, 2);
        let all = read(&text, &TimeZone::UTC, 2_000_000_000);
        assert_eq!(all.iter().filter(|batch| batch.kind == SourceKind::App).map(|batch| batch.counts.len()).sum::<usize>(), 2);
    }

    #[test]
    fn wrapped_lines_are_put_together() {
        let plain = errors(LINE);
        for width in [72, 80, 100, 120] {
            let chars: Vec<char> = LINE.chars().collect();
            let wrapped: Vec<String> = chars.chunks(width).map(|part| part.iter().collect()).collect();
            assert_eq!(errors(&wrapped.join("\n"))[0].0, plain[0].0, "cut at {width}");
            let (mut lines, mut line) = (Vec::new(), String::new());
            for word in LINE.split(' ') {
                if line.len() + word.len() >= width {
                    lines.push(std::mem::take(&mut line));
                }
                if !line.is_empty() {
                    line.push(' ');
                }
                line.push_str(word);
            }
            lines.push(line);
            assert_eq!(errors(&lines.join("\n"))[0].0, plain[0].0, "filled at {width}");
        }
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_in_which_pieces_it_comes(
            order in vec(any::<prop::sample::Index>(), 0..40),
            sizes in vec(1usize..200, 1..40),
        ) {
            const ACCESS: &str = "10.0.0.9 - - [20/Nov/2026:02:17:41 +0000] \"GET / HTTP/1.1\" 502 157 \"-\" \"curl/7.88.1\"";
            let later = LINE.replace(":41", ":42").replace("/cart", "/other");
            let (first, second) = LINE.split_at(100);
            let (part, _) = ACCESS.split_at(60);
            let prompt = format!("root@gw1:~# {LINE}");
            let lines = [LINE, &later, first, second, ACCESS, part, &prompt, "", "  at x.js:17", "2026/11/20 02:17:41 [", "a word"];
            let text: String = order.iter().flat_map(|at| [*at.get(&lines), "\n"]).collect();
            let pieces = |sizes: &mut dyn Iterator<Item = usize>| {
                let mut paste = Paste::new(TimeZone::UTC, 2_000_000_000);
                // As if it was long past the beginning.
                paste.head = None;
                let mut rest = text.as_bytes();
                while !rest.is_empty() {
                    let (piece, after) = rest.split_at(sizes.next().unwrap_or(rest.len()).min(rest.len()));
                    paste.push(piece);
                    rest = after;
                }
                paste.finish()
            };
            let whole = pieces(&mut std::iter::empty());
            prop_assert_eq!(&pieces(&mut sizes.iter().copied().cycle()), &whole);
            prop_assert_eq!(pieces(&mut std::iter::repeat(1)), whole);
        }
    }
}
