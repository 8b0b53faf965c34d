//! Counts over time in one row of cells.

use super::Charset;

/// Levels above nothing; block elements are in every console font that has more than ASCII.
const BLOCKS: [char; 8] = ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
/// The same for a terminal that has ASCII alone: each has more ink than the one before.
const SIGNS: [char; 5] = [':', '-', '=', '*', '#'];

/// One cell a count: a dot for nothing, and the higher the more, up to the largest of them.
pub fn spark(counts: &[u64], charset: Charset) -> String {
    let levels: &[char] = match charset {
        Charset::Ascii => &SIGNS,
        Charset::Unicode => &BLOCKS,
    };
    let most = counts.iter().copied().max().unwrap_or(0);
    let cell = |count: u64| {
        // Anything is more than nothing, and only the largest is full.
        let level = u128::from(count) * levels.len() as u128 / u128::from(most.max(1));
        let level = usize::try_from(level).unwrap_or(usize::MAX).clamp(1, levels.len()) - 1;
        if count == 0 { '.' } else { levels.get(level).copied().unwrap_or('#') }
    };
    counts.iter().map(|count| cell(*count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_little_and_most_are_told_apart() {
        assert_eq!(spark(&[0, 1, 50, 100], Charset::Ascii), ".:-#");
        assert_eq!(spark(&[0, 1, 50, 100], Charset::Unicode), ".\u{2581}\u{2584}\u{2588}");
        assert_eq!(spark(&[7, 7], Charset::Ascii), "##");
        assert_eq!(spark(&[0, 0], Charset::Unicode), "..");
        assert_eq!(spark(&[u64::MAX, u64::MAX - 1, 1], Charset::Ascii).len(), 3);
        assert_eq!(spark(&[], Charset::Ascii), "");
    }
}
