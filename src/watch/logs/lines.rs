//! Bytes to lines, in bounded memory.

/// Bytes of a line that are kept at most. nginx cuts its own at 2 kB (`NGX_MAX_ERROR_STR`); applications log whole requests.
pub(in crate::watch) const LINE_BYTES: usize = 64 << 10;

/// Takes the lines of a log, one by one.
pub(in crate::watch) trait Sink: Send {
    /// A line without its end: at most [`LINE_BYTES`] of it, and how long it was. `lookback`: it was there when we began.
    fn line(&mut self, line: &[u8], length: u64, lookback: bool);
    /// What stands behind the next line, as far as it was read: whoever wants to know whether that belongs to it.
    fn ahead(&mut self, _behind: &[u8]) {}
    /// A line without a byte. Only a person leaves one.
    fn blank(&mut self) {}
    /// So many lines were passed over.
    fn dropped(&mut self, lines: u64);
}

/// Puts lines together over the ends of what was read. A line longer than [`LINE_BYTES`] is never held whole: its beginning
/// is kept, and its length is counted.
#[derive(Debug, Default)]
pub(in crate::watch) struct Lines {
    partial: Vec<u8>,
    /// Length of the line so far, kept or not.
    length: u64,
    /// Bytes are passed over up to the next line end.
    skipping: bool,
    /// How many were. `None`: it does not matter, the line is counted already.
    skipped: Option<u64>,
}

impl Lines {
    /// Begins in the middle of a file: what stands before the first line end is passed over.
    pub(in crate::watch) fn skipping() -> Self {
        Self { skipping: true, skipped: Some(0), ..Self::default() }
    }

    /// The same, where the line whose end is passed over is counted already.
    pub(super) fn passing() -> Self {
        Self { skipping: true, ..Self::default() }
    }

    /// Takes the next bytes. `lookback` is asked with the index one behind the line's end.
    pub(in crate::watch) fn push(&mut self, bytes: &[u8], lookback: impl Fn(usize) -> bool, sink: &mut impl Sink) {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let piece = bytes.get(from..end).unwrap_or_default();
            from = end + 1;
            if std::mem::take(&mut self.skipping) {
                // The tail of an ordinary line is no loss: its like stands in front of it.
                if self.skipped.take().is_some_and(|skipped| skipped + piece.len() as u64 > LINE_BYTES as u64) {
                    sink.dropped(1);
                }
                continue;
            }
            sink.ahead(bytes.get(from..).unwrap_or_default());
            if self.length == 0 {
                emit(piece, piece.len() as u64, lookback(from), sink);
            } else {
                self.keep(piece);
                emit(&self.partial, self.length, lookback(from), sink);
                self.partial.clear();
                self.length = 0;
            }
        }
        let rest = bytes.get(from..).unwrap_or_default();
        if self.skipping {
            self.skipped = self.skipped.map(|skipped| skipped.saturating_add(rest.len() as u64));
        } else {
            self.keep(rest);
        }
    }

    /// Whether a line waits for its end.
    pub(super) fn unfinished(&self) -> bool {
        self.length > 0
    }

    /// Tells a line that lacks its end as far as it goes; what comes of it later is a line of its own.
    pub(super) fn tear(&mut self, lookback: bool, sink: &mut impl Sink) {
        if self.length > 0 {
            emit(&self.partial, self.length, lookback, sink);
        }
        self.partial.clear();
        self.length = 0;
    }

    /// The file ends here for good: an unfinished line is a line all the same, because it may be the last that a dying
    /// process wrote.
    pub(in crate::watch) fn finish(&mut self, lookback: bool, sink: &mut impl Sink) {
        if self.length > 0 {
            emit(&self.partial, self.length, lookback, sink);
        }
        *self = Self::default();
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.partial.len());
        self.partial.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
        self.length = self.length.saturating_add(piece.len() as u64);
        if self.partial.is_empty() && self.partial.capacity() > LINE_BYTES {
            self.partial.shrink_to(LINE_BYTES);
        }
    }
}

/// Hands on a line without carriage return, and without the zero bytes that a file has in front after it was truncated
/// under a writer that does not append. Empty lines say nothing.
fn emit(line: &[u8], length: u64, lookback: bool, sink: &mut impl Sink) {
    let line = line.get(..LINE_BYTES.min(line.len())).unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let zeros = line.iter().take_while(|byte| **byte == 0).count();
    let line = line.get(zeros..).unwrap_or_default();
    if line.is_empty() {
        sink.blank();
    } else {
        sink.line(line, length, lookback);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    struct Seen(Vec<(Vec<u8>, u64)>);

    impl Sink for Seen {
        fn line(&mut self, line: &[u8], length: u64, _: bool) {
            self.0.push((line.to_owned(), length));
        }
        fn dropped(&mut self, _: u64) {}
    }

    #[test]
    fn a_huge_line_is_cut_and_its_length_told() {
        let (mut lines, mut seen) = (Lines::default(), Seen::default());
        let piece = vec![b'x'; 1 << 20];
        for _ in 0..20 {
            lines.push(&piece, |_| false, &mut seen);
            assert!(lines.partial.capacity() <= 2 * LINE_BYTES);
        }
        lines.push(b"end\nnext\r\n", |_| false, &mut seen);
        assert_eq!(seen.0.len(), 2);
        assert_eq!((seen.0[0].0.len(), seen.0[0].1), (LINE_BYTES, (20 << 20) + 3));
        assert_eq!(seen.0[1].0, b"next");
        // Also when it comes in one piece.
        lines.push(&[&piece[..], b"\n"].concat(), |_| false, &mut seen);
        assert_eq!((seen.0[2].0.len(), seen.0[2].1), (LINE_BYTES, 1 << 20));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_lines_are_the_same(text in proptest::collection::vec(proptest::sample::select(vec![b'a', b'b', b'\n', b'\r', 0, 0xff]), 0..200), cuts in proptest::collection::vec(1usize..20, 1..50)) {
            let (mut whole, mut pieces) = (Seen::default(), Seen::default());
            let mut lines = Lines::default();
            lines.push(&text, |_| false, &mut whole);
            lines.finish(false, &mut whole);
            let (mut rest, mut lines) = (&text[..], Lines::default());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                lines.push(piece, |_| false, &mut pieces);
                rest = after;
            }
            lines.finish(false, &mut pieces);
            prop_assert_eq!(whole.0, pieces.0);
        }
    }
}
