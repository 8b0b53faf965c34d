//! Stamps of syslog in other languages than English: `journalctl` writes months in the words of the locale (strftime(3), `%b`).
//!
//! It must not tell what a line means. To add a language: its row in [`MONTHS`], as glibc's localedata has `abmon`.

use std::borrow::Cow;

const ENGLISH: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// Months, in lower case and without the full stop that some have. Those that are English too need no place.
const MONTHS: &[[&str; 12]] = &[
    // French.
    ["janv", "févr", "mars", "avril", "mai", "juin", "juil", "août", "sept", "oct", "nov", "déc"],
    // German, and Austria's January.
    ["jän", "feb", "mär", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez"],
    // Spanish.
    ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
    // Italian.
    ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
    // Portuguese.
    ["jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez"],
    // Dutch.
    ["jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec"],
    // Swedish, Danish and Norwegian.
    ["jan", "feb", "mar", "apr", "maj", "jun", "jul", "aug", "sep", "okt", "nov", "des"],
    // Polish.
    ["sty", "lut", "mar", "kwi", "maj", "cze", "lip", "sie", "wrz", "paź", "lis", "gru"],
    // Czech, whose November is Polish too.
    ["led", "úno", "bře", "dub", "kvě", "čen", "čec", "srp", "zář", "říj", "lis", "pro"],
    // Russian.
    ["янв", "фев", "мар", "апр", "мая", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"],
    // Turkish.
    ["oca", "şub", "mar", "nis", "may", "haz", "tem", "ağu", "eyl", "eki", "kas", "ara"],
    // Chinese, Japanese and Korean.
    ["1月", "2月", "3月", "4月", "5月", "6月", "7月", "8月", "9月", "10月", "11月", "12月"],
];
/// Bytes of such a word, at most, with its full stop.
const WORD_BYTES: usize = 8;

/// A line whose stamp of syslog has the English month.
pub(super) fn in_english(line: &[u8]) -> Cow<'_, [u8]> {
    let month = || {
        let head = line.get(..line.len().min(WORD_BYTES + 1))?;
        let end = memchr::memchr(b' ', head)?;
        let behind = line.get(end..)?.trim_ascii_start();
        // `09 20:31:57 host`.
        let (day, clock) = behind.get(..behind.len().min(11))?.split_at(memchr::memchr(b' ', behind)?.min(behind.len().min(11)));
        let timed = matches!(day.len(), 1 | 2)
            && day.iter().all(u8::is_ascii_digit)
            && matches!(clock, [b' ', a, b, b':', c, d, b':', ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()));
        let word = std::str::from_utf8(line.get(..end).filter(|_| timed)?).ok()?;
        if ENGLISH.contains(&word) {
            return None;
        }
        let word = word.trim_end_matches('.').to_lowercase();
        let at = MONTHS.iter().find_map(|months| months.iter().position(|month| *month == word))?;
        let text = [ENGLISH[at].as_bytes(), if day.len() == 1 { b"  " } else { b" " }, behind].concat();
        Some(text)
    };
    month().map_or(Cow::Borrowed(line), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_of_other_languages_are_those_of_syslog() {
        for (line, english) in [
            ("juil. 05 20:31:57 gw1 systemd[1]: x", "Jul 05 20:31:57 gw1 systemd[1]: x"),
            ("août 09 20:31:57 gw1 systemd[1]: x", "Aug 09 20:31:57 gw1 systemd[1]: x"),
            ("Mär 05 20:31:57 gw1 systemd[1]: x", "Mar 05 20:31:57 gw1 systemd[1]: x"),
            ("8月 09 20:31:57 gw1 systemd[1]: x", "Aug 09 20:31:57 gw1 systemd[1]: x"),
            ("дек  9 20:31:57 gw1 x", "Dec  9 20:31:57 gw1 x"),
            ("dic 9 20:31:57 gw1 x", "Dec  9 20:31:57 gw1 x"),
        ] {
            assert_eq!(String::from_utf8_lossy(&in_english(line.as_bytes())), english);
        }
        for line in ["Nov 20 20:31:57 gw1 x", "juil. 05 gw1 x", "abc 05 20:31:57 x", "a 1 2", "", "mai 5", "2026/11/20 20:31:57 x"]
        {
            assert_eq!(String::from_utf8_lossy(&in_english(line.as_bytes())), line);
        }
    }
}
