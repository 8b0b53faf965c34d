//! How large a recording may become, and what stays of one that has become too large.

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
pub(super) fn happens_often(line: &[u8]) -> bool {
    const MARK: &[u8] = b"\"seen\":{\"";
    let Some(at) = line.windows(MARK.len()).take(200).position(|window| window == MARK) else { return false };
    let rest = line.get(at + MARK.len()..).unwrap_or_default();
    let kind = rest.split(|byte| *byte == b'"').next().unwrap_or_default();
    OFTEN.iter().any(|often| often.as_bytes() == kind)
}
