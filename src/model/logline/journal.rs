//! Entries of systemd's journal, as `journalctl -o export` and `-o json` write them
//! (<https://systemd.io/JOURNAL_EXPORT_FORMATS>).
//!
//! An entry of the export format is a block of fields that an empty line ends. A field is `NAME=value`, or, where the value has
//! bytes other than printable ones, `NAME`, a line end, its length in 64 bits (little endian), the bytes, a line end.

use serde_json::Value;

/// Bytes of a value that are kept: more than a line of a log is kept of.
const VALUE_BYTES: usize = 64 << 10;
/// Bytes of a field's name, at most: journald takes 64 (`sd_journal_sendv`, `JOURNAL_FIELD_LENGTH_MAX`).
const NAME_BYTES: usize = 256;
/// The longest value that is passed over byte by byte; a claim beyond it makes no sense (journald's `DATA_SIZE_MAX` is 768 MiB),
/// and what follows it can't be read.
const CLAIM_BYTES: u64 = 1 << 30;

/// An entry: what of it matters to a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalEntry {
    /// When it was taken in, in microseconds since the Unix epoch.
    pub realtime_us: Option<i64>,
    /// When it was taken in, in microseconds since boot.
    pub monotonic_us: Option<u64>,
    /// Who wrote it: `SYSLOG_IDENTIFIER`, else the process's name.
    pub identifier: Option<String>,
    /// The process that wrote it.
    pub pid: Option<u32>,
    /// Urgency, 0 (emergency) to 7 (debug), as in syslog(3).
    pub priority: Option<u8>,
    /// The unit that it is about: what systemd itself says of a service, or a core dump of it, belongs to that service's log.
    pub unit: Option<String>,
    /// Whether the kernel wrote it.
    pub kernel: bool,
    /// What it says. Bytes of any kind; several lines are possible.
    pub message: Vec<u8>,
    /// How long that was, kept or not.
    pub length: u64,
}

impl JournalEntry {
    fn set(&mut self, name: &[u8], value: &[u8], length: u64) {
        let text = || std::str::from_utf8(value).ok();
        let number = || text().and_then(|text| text.trim().parse::<u64>().ok());
        match name {
            b"MESSAGE" => {
                self.message = value.to_vec();
                self.length = length;
            }
            b"__REALTIME_TIMESTAMP" => self.realtime_us = number().and_then(|us| us.try_into().ok()),
            b"__MONOTONIC_TIMESTAMP" => self.monotonic_us = number(),
            b"PRIORITY" => self.priority = number().and_then(|level| u8::try_from(level).ok()).filter(|level| *level <= 7),
            b"SYSLOG_IDENTIFIER" => self.identifier = text().map(str::to_owned),
            b"_COMM" if self.identifier.is_none() => self.identifier = text().map(str::to_owned),
            b"SYSLOG_PID" if self.pid.is_none() => self.pid = number().and_then(|pid| pid.try_into().ok()),
            b"_PID" => self.pid = number().and_then(|pid| pid.try_into().ok()),
            // What is said about a unit goes before the unit that says it.
            b"UNIT" | b"COREDUMP_UNIT" | b"OBJECT_SYSTEMD_UNIT" => self.unit = text().map(str::to_owned),
            b"_SYSTEMD_UNIT" if self.unit.is_none() => self.unit = text().map(str::to_owned),
            b"_TRANSPORT" => self.kernel = value == b"kernel",
            _ => {}
        }
    }

    /// The entry in the words of a syslog line with a stamp of RFC 3339: `2026-11-20T02:17:41.123456Z gunicorn[811]: text`, as
    /// `journalctl -o short-iso-precise` shows it, so that it is read as any line that syslog carried.
    pub fn line(&self) -> Vec<u8> {
        let mut line = String::new();
        let at = self.realtime_us.and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
        if let Some(at) = at {
            line.push_str(&format!("{at:.6} "));
        }
        // A colon or blank in it would end it too early, and without any it is no syslog line.
        let name = self.identifier.as_deref().filter(|name| !name.is_empty()).unwrap_or("unknown");
        line.extend(name.chars().map(|c| if c.is_whitespace() || ":[]".contains(c) { '_' } else { c }));
        if let Some(pid) = self.pid {
            line.push_str(&format!("[{pid}]"));
        }
        line.push_str(": ");
        [line.as_bytes(), &self.message].concat()
    }
}

/// Where in an entry the next byte belongs.
#[derive(Debug)]
enum Reading {
    /// A line: a name, or a name and a value, or the end of an entry.
    Line { passed: u64 },
    /// The length of a value.
    Length { name: Vec<u8>, bytes: Vec<u8> },
    /// A value of so many bytes, of which this many are still to come.
    Value { name: Vec<u8>, length: u64, left: u64 },
    /// What is behind a value: a line end.
    Behind,
    /// What was read makes no sense: it is passed over to the next empty line.
    Lost { line: usize },
}

/// Reads the export format in pieces of any size. Its memory is bounded, whatever a value claims to be.
#[derive(Debug)]
pub struct JournalExport {
    reading: Reading,
    buffer: Vec<u8>,
    entry: JournalEntry,
    any: bool,
    lost: u64,
}

impl Default for JournalExport {
    fn default() -> Self {
        Self { reading: Reading::Line { passed: 0 }, buffer: Vec::new(), entry: JournalEntry::default(), any: false, lost: 0 }
    }
}

impl JournalExport {
    /// Takes the next bytes; `each` is given each entry that is complete.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(JournalEntry)) {
        while !bytes.is_empty() {
            bytes = match &mut self.reading {
                Reading::Line { .. } => self.line(bytes, &mut each),
                Reading::Length { name, bytes: length } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(8 - length.len()));
                    length.extend(taken);
                    if let Ok(whole) = <[u8; 8]>::try_from(length.as_slice()) {
                        let (name, length) = (std::mem::take(name), u64::from_le_bytes(whole));
                        self.buffer.clear();
                        self.reading = match length {
                            0 => {
                                self.entry.set(&name, b"", 0);
                                Reading::Behind
                            }
                            1..=CLAIM_BYTES => Reading::Value { name, length, left: length },
                            _ => self.lose(),
                        };
                    }
                    rest
                }
                Reading::Value { name, length, left } => {
                    let (taken, rest) = bytes.split_at(bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX)));
                    let room = VALUE_BYTES.saturating_sub(self.buffer.len());
                    self.buffer.extend_from_slice(&taken[..taken.len().min(room)]);
                    *left -= taken.len() as u64;
                    if *left == 0 {
                        self.entry.set(name, &self.buffer, *length);
                        self.buffer.clear();
                        self.reading = Reading::Behind;
                    }
                    rest
                }
                Reading::Behind => {
                    self.reading = if bytes[0] == b'\n' { Reading::Line { passed: 0 } } else { self.lose() };
                    &bytes[1..]
                }
                Reading::Lost { line } => {
                    let (end, rest) = match memchr::memchr(b'\n', bytes) {
                        Some(end) => (Some(end), &bytes[end + 1..]),
                        None => (None, &bytes[bytes.len()..]),
                    };
                    match end {
                        Some(0) if *line == 0 => self.reading = Reading::Line { passed: 0 },
                        Some(_) => *line = 0,
                        None => *line += bytes.len(),
                    }
                    rest
                }
            };
        }
    }

    /// Entries that made no sense, since the last time this was asked.
    pub fn lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    fn line<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(JournalEntry)) -> &'a [u8] {
        let (piece, ended, rest) = match memchr::memchr(b'\n', bytes) {
            Some(end) => (&bytes[..end], true, &bytes[end + 1..]),
            None => (bytes, false, &bytes[bytes.len()..]),
        };
        let room = (VALUE_BYTES + NAME_BYTES).saturating_sub(self.buffer.len());
        self.buffer.extend_from_slice(&piece[..piece.len().min(room)]);
        let over = (piece.len() - piece.len().min(room)) as u64;
        let Reading::Line { passed } = &mut self.reading else { return rest };
        *passed += over;
        if !ended {
            return rest;
        }
        let passed = std::mem::take(passed);
        let line = std::mem::take(&mut self.buffer);
        if line.is_empty() {
            if std::mem::take(&mut self.any) {
                each(std::mem::take(&mut self.entry));
            }
            return rest;
        }
        // What journalctl says beside entries: `-- No entries --`. No field's name begins so.
        if line.starts_with(b"-- ") {
            return rest;
        }
        self.any = true;
        match memchr::memchr(b'=', &line) {
            Some(at) if at <= NAME_BYTES => {
                let (name, value) = (&line[..at], &line[at + 1..]);
                self.entry.set(name, value, value.len() as u64 + passed);
            }
            None if line.len() <= NAME_BYTES => self.reading = Reading::Length { name: line, bytes: Vec::with_capacity(8) },
            _ => self.reading = self.lose(),
        }
        rest
    }

    fn lose(&mut self) -> Reading {
        self.lost += 1;
        self.entry = JournalEntry::default();
        self.any = false;
        self.buffer.clear();
        Reading::Lost { line: 0 }
    }
}

/// An entry as one line of `journalctl -o json`: a value is a string, an array of byte values where it has other bytes than
/// printable ones, an array of those where a field stands several times, or `null` where it was too long.
pub fn journal_json(line: &str) -> Option<JournalEntry> {
    // Most lines are not of the journal, and are not to be taken apart for it.
    let own = ["\"__REALTIME_TIMESTAMP\"", "\"_BOOT_ID\""];
    if !line.trim_start().starts_with('{')
        || !own.iter().any(|name| memchr::memmem::find(line.as_bytes(), name.as_bytes()).is_some())
    {
        return None;
    }
    let Value::Object(fields) = serde_json::from_str(line.trim()).ok()? else { return None };
    let mut entry = JournalEntry::default();
    for (name, value) in &fields {
        if let Some(value) = json_bytes(value) {
            entry.set(name.as_bytes(), &value[..value.len().min(VALUE_BYTES)], value.len() as u64);
        }
    }
    // The order of an object says nothing, and what was said about a unit goes first.
    for name in ["_SYSTEMD_UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT", "UNIT"] {
        if let Some(unit) = fields.get(name).and_then(Value::as_str) {
            entry.unit = Some(unit.to_owned());
        }
    }
    for name in ["_COMM", "SYSLOG_IDENTIFIER"] {
        if let Some(identifier) = fields.get(name).and_then(Value::as_str) {
            entry.identifier = Some(identifier.to_owned());
        }
    }
    Some(entry)
}

fn json_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Array(items) => {
            let bytes: Option<Vec<u8>> = items.iter().map(|item| item.as_u64().and_then(|byte| u8::try_from(byte).ok())).collect();
            bytes.or_else(|| items.first().and_then(json_bytes))
        }
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Null | Value::Bool(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
