//! Stack traces within an entry of several lines: which exception one ends in, in words that are the same for all languages.
//!
//! An entry with a trace says `Exception: text (what was being done)`, so that a signature of the exception needs to know neither
//! the framework nor the frames. Where exceptions follow from one another, it is the one that the program wrote last about:
//! Python's last block, Java's innermost `Caused by`.
//!
//! To add a language: a function here, and its place in [`of`].

use std::borrow::Cow;

/// How Python begins a trace (Lib/traceback.py).
const PYTHON: &str = "Traceback (most recent call last):";
/// What stands between two of Python's blocks that follow from one another.
const PYTHON_CHAIN: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];

/// Whose trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    Java,
    Node,
    Ruby,
}

/// A trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace<'a> {
    pub(super) language: Language,
    /// Class and text, of one line: `ModuleNotFoundError: No module named 'x'`.
    pub(super) exception: Cow<'a, str>,
    /// Nothing caught it: the process ended.
    pub(super) uncaught: bool,
}

/// The trace in an entry of several lines.
pub(super) fn of(text: &str) -> Option<Trace<'_>> {
    if !text.contains('\n') {
        return None;
    }
    python(text).or_else(|| node(text)).or_else(|| java(text)).or_else(|| ruby(text))
}

/// What an entry says whose first line tells what was being done: `Exception: text (what was being done)`, or that alone.
pub(super) fn told<'a>(doing: &'a str, text: &'a str) -> Cow<'a, str> {
    match of(text) {
        Some(trace) if doing.is_empty() => trace.exception,
        Some(trace) => format!("{} ({doing})", trace.exception).into(),
        None => doing.into(),
    }
}

/// The first line of an entry.
pub(super) fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text).trim_end()
}

fn python(text: &str) -> Option<Trace<'_>> {
    let mut lines = text.lines();
    let mut exception = None;
    lines.find(|line| line.trim_start().starts_with(PYTHON))?;
    // Frames and what was left out of them are indented.
    while let Some(line) = lines.find(|line| !line.is_empty() && !line.starts_with([' ', '\t'])) {
        exception = Some(line.trim_end());
        // The text of an exception may have several lines, and be of a client's choosing: only Python's own words go on.
        if !lines.any(|line| PYTHON_CHAIN.contains(&line.trim_end())) || !lines.any(|line| line.starts_with(PYTHON)) {
            break;
        }
    }
    let exception = exception?.into();
    Some(Trace { language: Language::Python, exception, uncaught: text.starts_with(PYTHON) })
}

fn node(text: &str) -> Option<Trace<'_>> {
    let script = |line: &&str| {
        line.starts_with("    at ")
            && (line.contains("node:") || [".js:", ".mjs:", ".cjs:", ".ts:", "<anonymous>"].iter().any(|end| line.contains(end)))
    };
    let ended = text.lines().any(|line| line.starts_with("Node.js v"));
    if !ended && !text.lines().any(|line| script(&line)) {
        return None;
    }
    // An exception that nothing caught is told below the line of code that threw it, and a caret (src/node_errors.cc).
    let caret = |line: &str| {
        !line.is_empty() && line.contains('^') && line.bytes().all(|byte| byte == b' ' || byte == b'^' || byte == b'\t')
    };
    let mut below = text.lines().skip_while(|line| !caret(line)).skip(1).skip_while(|line| line.is_empty());
    let (exception, thrown) = match below.next() {
        Some(line) => (line.trim_end(), true),
        None => (text.lines().find_map(thrown)?, false),
    };
    let exception = exception.strip_prefix("Uncaught ").unwrap_or(exception);
    Some(Trace { language: Language::Node, exception: exception.into(), uncaught: thrown || ended })
}

/// Where a line names an error of JavaScript: `failed: TypeError: x is not a function`.
fn thrown(line: &str) -> Option<&str> {
    let at = line.find("Error: ").or_else(|| line.find("Error [")).or_else(|| line.find("Rejection: "))?;
    let name = line[..at].chars().rev().take_while(char::is_ascii_alphanumeric).count();
    let start = at - name;
    Some(line[start..].trim_end())
}

fn java(text: &str) -> Option<Trace<'_>> {
    let frame = |line: &str| {
        let call = line.trim_start();
        let source = || {
            [".java:", ".kt:", ".scala:", ".groovy:", "(Native Method)", "(Unknown Source)", "(<generated>)"]
                .iter()
                .any(|end| line.contains(end))
        };
        call.len() < line.len() && call.starts_with("at ") && (line.starts_with('\t') || source())
    };
    let mut before = "";
    let mut found = None;
    let mut cause = None;
    for line in text.lines() {
        if frame(line) {
            found = found.or(Some(before));
        } else if let Some(next) = line.trim_start().strip_prefix("Caused by: ") {
            cause = Some(next);
        } else if !line.trim().is_empty() {
            before = line;
        }
    }
    let outer = found?;
    let uncaught = outer.starts_with("Exception in thread ");
    let outer =
        outer.strip_prefix("Exception in thread \"").and_then(|rest| rest.split_once("\" ")).map_or(outer, |(_, rest)| rest);
    // A logger may put the exception behind its own words in one line.
    let exception = cause.unwrap_or(outer).trim();
    Some(Trace { language: Language::Java, exception: exception.into(), uncaught })
}

/// `/srv/app.rb:3:in 'block': no such file (LoadError)` and `\tfrom ...` (error.c, `rb_error_write`).
fn ruby(text: &str) -> Option<Trace<'_>> {
    text.lines().find(|line| line.starts_with("\tfrom ") && line.contains(".rb"))?;
    // A path with a line number before it looks like grep's, which is taken off.
    let head = text.lines().find(|line| line.contains(":in `") || line.contains(":in '") || line.starts_with("in `"))?;
    let (_, said) = head.split_once("': ")?;
    let (words, class) = said.trim_end().strip_suffix(')')?.rsplit_once(" (")?;
    let exception = format!("{class}: {words}").into();
    Some(Trace { language: Language::Ruby, exception, uncaught: true })
}

#[cfg(test)]
mod tests;
