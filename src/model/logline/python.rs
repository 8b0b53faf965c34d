//! Python programs: traces, and lines of the logging module in the forms that frameworks make of them.
//!
//! - a trace, with or without a line before it: `Exception: text (what was being done)`;
//! - Flask, `[2026-11-21 05:15:54,637] ERROR in app: Exception on /x [GET]`, and Django, `Internal Server Error: /x`: the path is
//!   taken out of the message;
//! - `ERROR:name:text` (`logging.basicConfig`), `2026-11-20 23:36:34,123 - name - ERROR - text`;
//! - the last line of a trace alone.

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime,
    trace::{self, Language, first_line},
};

/// Exceptions of Python's own that no other language has (library/exceptions), as a cut-off trace ends in them.
const OWN: &[&str] = &[
    "ModuleNotFoundError",
    "ImportError",
    "AttributeError",
    "ConnectionRefusedError",
    "ConnectionResetError",
    "ConnectionAbortedError",
    "BrokenPipeError",
    "BlockingIOError",
    "FileNotFoundError",
    "PermissionError",
    "ProcessLookupError",
    "InterruptedError",
    "OSError",
    "IOError",
    "MemoryError",
    "KeyError",
    "ValueError",
    "ZeroDivisionError",
    "UnicodeDecodeError",
    "RecursionError",
    "NotImplementedError",
    "IndentationError",
    "AssertionError",
    "SystemError",
    "SystemExit",
];
/// What frameworks say of a request that failed, before its path.
const OF_REQUEST: [&str; 5] =
    ["Exception on ", "Internal Server Error: ", "Bad Gateway: ", "Service Unavailable: ", "Gateway Timeout: "];

/// Reads a line or a trace of a Python program.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let trace = trace::of(text).filter(|trace| trace.language == Language::Python);
    let line = first_line(text);
    let (time, level, said) = head(line);
    let (doing, request) = match OF_REQUEST.iter().find_map(|before| Some((*before, said.strip_prefix(before)?))) {
        Some((doing, request)) => (doing.trim_end_matches([':', ' ']), Some(request)),
        None => (said, None),
    };
    let entry = Entry { dialect: Dialect::Python, time, level, request: request.map(Into::into), ..Entry::default() };
    match trace {
        Some(trace) => {
            let doing = if line.trim_start().starts_with("Traceback (most") { "" } else { doing };
            let message = if doing.is_empty() { trace.exception } else { format!("{} ({doing})", trace.exception).into() };
            Some(Entry { level: level.or(Some(Level::Error)), message, ..entry })
        }
        None if is_log(line)
            || request.is_some() && said.contains(": /")
            || line.starts_with("Traceback (most recent call last):") =>
        {
            Some(Entry { message: doing.into(), ..entry })
        }
        None => {
            let name = line.split(':').next().unwrap_or_default();
            let own = OWN.contains(&name) || of_module(name);
            own.then_some(Entry { level: Some(Level::Error), message: Cow::Borrowed(line), ..entry })
        }
    }
}

/// Whether this names an exception of a module, `psycopg2.errors.OperationalError`. Java's packages begin with a domain turned round.
fn of_module(name: &str) -> bool {
    let Some((module, class)) = name.rsplit_once('.') else { return false };
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let java = ["java", "javax", "jakarta", "org", "com", "net", "io", "kotlin", "scala"];
    class.ends_with("Error")
        && word(class)
        && class.starts_with(|c: char| c.is_ascii_uppercase())
        && module.split('.').all(word)
        && module
            .split('.')
            .next()
            .is_some_and(|first| !java.contains(&first) && first.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Takes off what a formatter of the logging module puts before a message.
fn head(line: &str) -> (Option<LineTime<'_>>, Option<Level>, &str) {
    let open = line.strip_prefix('[').unwrap_or(line);
    let (time, rest) = LineTime::leading(open).map_or((None, line), |(time, rest)| (Some(time), rest));
    let rest = rest.trim_start_matches([']', ' ', ':', ',']);
    if let Some((level, said)) = basic(line).or_else(|| flask(rest)).or_else(|| dashed(rest)) {
        return (time, Some(level), said);
    }
    let length = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    match Level::parse(&rest[..length]).filter(|_| rest[length..].starts_with([' ', ':', ']'])) {
        Some(level) => (time, Some(level), rest[length..].trim_start_matches([' ', ':', ']', '-'])),
        None => (time, None, rest),
    }
}

/// Whether a line is in a form that only the logging module makes.
fn is_log(line: &str) -> bool {
    let rest = line.strip_prefix('[').and_then(LineTime::leading).map_or(line, |(_, rest)| rest.trim_start_matches([']', ' ']));
    let dashes =
        || LineTime::leading(line).is_some_and(|(time, rest)| time.text.contains(',') && dashed(rest.trim_start()).is_some());
    basic(line).is_some() || rest.len() < line.len() && flask(rest).is_some() || dashes()
}

/// `ERROR:name:text`.
fn basic(line: &str) -> Option<(Level, &str)> {
    let (level, rest) = word(line)?;
    let (name, said) = rest.strip_prefix(':')?.split_once(':')?;
    let named = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    named.then_some((level, said))
}

/// `ERROR in app: text`.
fn flask(rest: &str) -> Option<(Level, &str)> {
    let (level, rest) = word(rest)?;
    let (module, said) = rest.strip_prefix(" in ")?.split_once(": ")?;
    (!module.contains(' ')).then_some((level, said))
}

/// `- name - ERROR - text`.
fn dashed(rest: &str) -> Option<(Level, &str)> {
    let (name, rest) = rest.strip_prefix("- ")?.split_once(" - ")?;
    let (level, said) = rest.split_once(" - ")?;
    let named = !name.contains(' ');
    Some((Level::parse(level).filter(|_| named)?, said))
}

/// A level in capitals at the beginning, and what stands behind it.
fn word(text: &str) -> Option<(Level, &str)> {
    let length = text.bytes().take_while(u8::is_ascii_uppercase).count();
    Some((Level::parse(&text[..length])?, &text[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    const FRAMES: &str = "Traceback (most recent call last):\n  File \"/srv/app.py\", line 5, in boom\n    return 1/0\n           ~^~\nZeroDivisionError: division by zero";

    #[test]
    fn a_trace_says_what_it_ends_in_and_what_was_being_done() {
        let message = |head: &str| {
            let text = format!("{head}{FRAMES}");
            let entry = any(&text);
            (entry.dialect, entry.level, entry.message.into_owned(), entry.request.map(Cow::into_owned))
        };
        let error = Some(Level::Error);
        let bare = "ZeroDivisionError: division by zero";
        assert_eq!(message(""), (Dialect::Python, error, bare.into(), None));
        assert_eq!(
            message("[2026-11-21 05:15:54,637] ERROR in app: Exception on /boom [GET]\n"),
            (Dialect::Python, error, format!("{bare} (Exception on)"), Some("/boom [GET]".into()))
        );
        assert_eq!(
            message("Internal Server Error: /cart\n"),
            (Dialect::Python, error, format!("{bare} (Internal Server Error)"), Some("/cart".into()))
        );
        assert_eq!(
            message("2026-11-20 23:36:34,123 ERROR it broke\n"),
            (Dialect::Python, error, format!("{bare} (it broke)"), None)
        );
        assert_eq!(message("ERROR:shop.cart:it broke\n"), (Dialect::Python, error, format!("{bare} (it broke)"), None));
        let time = any("2026-11-20 23:36:34,123 - shop - WARNING - slow");
        assert_eq!((time.dialect, time.level, &*time.message), (Dialect::Python, Some(Level::Warning), "slow"));
    }

    #[test]
    fn chained_exceptions_end_in_the_last() {
        let text = "Traceback (most recent call last):\n  File \"a\", line 1\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a\", line 2\nRuntimeError: no x\nTraceback (most recent call last):\nMemoryError";
        assert_eq!(any(text).message, "RuntimeError: no x");
        // Cut off before its end, it says nothing.
        assert_eq!(any("Traceback (most recent call last):\n  File \"a\", line 1").message, "Traceback (most recent call last):");
    }

    #[test]
    fn the_last_line_alone_and_lines_of_others() {
        assert_eq!(any("ModuleNotFoundError: No module named 'x'").dialect, Dialect::Python);
        for other in
            ["Error: x", "TypeError: x is not a function", "2026-11-20 23:36:34,123 ERROR x", "INFO: x", "Exception on holiday"]
        {
            assert_ne!(any(other).dialect, Dialect::Python, "{other}");
        }
    }
}
