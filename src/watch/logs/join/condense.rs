//! An entry of many lines to what is kept of it.
//!
//! Kept are the first line, the lines that tell an exception, and of each run of frames the first and the last ones; what is left out is
//! said by number. What the readers make of the whole entry, they must make of this.

use crate::watch::logs::batch::VERBATIM_BYTES;

/// Bytes that are kept: what [`batch`](crate::watch::logs::batch) keeps verbatim, less than the marks of what was left out.
const KEPT_BYTES: usize = VERBATIM_BYTES - 160;
/// Bytes of the first line.
const FIRST_BYTES: usize = 850;
/// Bytes of each line below it.
const LINE_BYTES: usize = 300;
/// Frames at either end of a run of them.
const FRAMES: usize = 2;

/// What is kept of these lines, of which `left` more were not taken.
pub(in crate::watch) fn condense(text: &[u8], left: u64) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.split('\n').collect();
    if text.len() <= KEPT_BYTES && left == 0 {
        return text.into_owned().into_bytes();
    }
    let mut ranked: Vec<(u8, usize)> = lines.iter().enumerate().map(|(at, _)| (rank(&lines, at), at)).collect();
    ranked.sort_unstable();
    let mut room = KEPT_BYTES;
    let mut keep = vec![false; lines.len()];
    for (_, at) in ranked {
        let size = cut(lines[at], at).len() + 1;
        // One line that does not fit is not the end: a shorter one may.
        if size <= room {
            room -= size;
            keep[at] = true;
        }
    }
    let mut kept = String::with_capacity(VERBATIM_BYTES);
    let mut skipped = 0u64;
    for (at, line) in lines.iter().enumerate() {
        if !keep[at] {
            skipped += 1;
            continue;
        }
        mark(&mut kept, std::mem::take(&mut skipped));
        if at > 0 {
            kept.push('\n');
        }
        kept.push_str(cut(line, at));
    }
    mark(&mut kept, skipped + left);
    kept.into_bytes()
}

/// How soon a line may be left out: the highest first.
fn rank(lines: &[&str], at: usize) -> u8 {
    let frame = |at: usize| lines.get(at).is_some_and(|line| is_frame(line));
    let line = lines[at];
    let last = lines.len() - 1;
    if at == 0 {
        return 0;
    }
    if !is_frame(line) {
        let told = line.trim_start();
        // The end of frames is an exception; nginx tells the request in the last line.
        let telling =
            frame(at - 1) || frame(at + 1) || at == last || told.starts_with("Caused by: ") || told.starts_with("FATAL ERROR: ");
        return if telling || told.contains("Traceback (most recent") || line.contains('^') { 1 } else { 3 };
    }
    let before = (1..=FRAMES).all(|back| at >= back && frame(at - back));
    let after = (1..=FRAMES).all(|on| frame(at + on));
    if before && after { 4 } else { 2 }
}

fn is_frame(line: &str) -> bool {
    let text = line.trim_start();
    let indented = text.len() < line.len();
    let exception = indented && text.split(':').next().is_some_and(|name| name.ends_with("Exception") || name.ends_with("Error"));
    indented && !text.starts_with("Caused by: ") && !exception && !text.starts_with('^')
        || text.starts_with('#') && !text.starts_with("# ")
}

fn cut(line: &str, at: usize) -> &str {
    let most = if at == 0 { FIRST_BYTES } else { LINE_BYTES };
    // nginx's last line has the tail with client and upstream.
    let most = if line.contains(", client: ") { FIRST_BYTES } else { most };
    &line[..line.floor_char_boundary(most)]
}

fn mark(kept: &mut String, skipped: u64) {
    match skipped {
        0 => {}
        1 => kept.push_str("\n  ... 1 line"),
        lines => kept.push_str(&format!("\n  ... {lines} lines")),
    }
}
