//! How large a recording may become, and what stays of one that has become too large.

use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write};

/// How large a recording may become. While it is made smaller there are two of it, so that the bound of 64 MB holds for both together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes at which it is made smaller.
    pub most: u64,
    /// Bytes of its beginning that stay.
    pub head: u64,
    /// Bytes between beginning and end that stay: what happens seldom.
    pub seldom: u64,
    /// Bytes of its end that stay.
    pub tail: u64,
}

/// 64 MB in all.
pub(super) const BOUNDS: Bounds = Bounds { most: 40 << 20, head: 4 << 20, seldom: 4 << 20, tail: 16 << 20 };

/// Kinds of observations of which there are many, and of which the middle may go.
const OFTEN: &[&str] = &["log", "probe", "load", "services", "listeners", "live", "workers", "done"];

/// Whether a line is of a kind of which there are many: by the first word of what was seen, without parsing all of it.
fn happens_often(line: &[u8]) -> bool {
    const MARK: &[u8] = b"\"seen\":{\"";
    let Some(at) = line.windows(MARK.len()).take(200).position(|window| window == MARK) else { return false };
    let rest = line.get(at + MARK.len()..).unwrap_or_default();
    let kind = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    OFTEN.iter().any(|often| often.as_bytes() == kind)
}

/// Copies a recording of so many bytes without what lies between its beginning and its end, except what happens seldom; in the place of what is
/// left out stands what `told` says of so many lines. Gives the bytes that were written.
pub(super) fn shorten(
    recording: impl Read,
    out: impl Write,
    length: u64,
    bounds: &Bounds,
    told: impl Fn(u64) -> io::Result<Vec<u8>>,
) -> io::Result<u64> {
    let (mut reader, mut out) = (BufReader::new(recording), BufWriter::new(out));
    let tail_from = length.saturating_sub(bounds.tail);
    let (mut at, mut seldom, mut gone, mut written) = (0_u64, 0_u64, 0_u64, 0_u64);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            break;
        }
        let keep = if at < bounds.head || at >= tail_from {
            true
        } else if !happens_often(&line) && seldom + read <= bounds.seldom {
            seldom += read;
            true
        } else {
            false
        };
        at += read;
        if keep {
            if at > tail_from && gone > 0 {
                let told = told(gone)?;
                out.write_all(&told)?;
                written += told.len() as u64;
                gone = 0;
            }
            out.write_all(&line)?;
            written += read;
        } else {
            gone += 1;
        }
    }
    out.flush()?;
    Ok(written)
}
