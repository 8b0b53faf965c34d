//! Puma, Passenger, and Ruby programs.
//!
//! - Puma's own lines, `[592] ! Terminating timed out worker (...)`, `- Worker 1 (PID: 594) booted in 0.01s, phase: 0`;
//! - its errors, `2026-11-21 05:21:10 +0000 Rack app ("GET /boom" - (127.0.0.1)): #<RuntimeError: boom>`, with the request taken
//!   out: `#<RuntimeError: boom> (Rack app)`;
//! - Passenger, `[ E 2026-11-20 23:36:34.1234 811/T1 age/Cor/...cpp:123 ]: text`;
//! - Ruby's Logger, `E, [2026-11-20T23:36:34.123456 #811] ERROR -- : text`;
//! - an exception that nothing caught, `/srv/app.rb:3:in 'call': text (LoadError)`: `LoadError: text`.

use super::{
    Carried, Dialect, Entry, Level, TimeShape,
    trace::{self, Language, first_line},
};

/// How lines begin that only Puma writes, behind the process of a cluster.
const PUMA: &[&str] = &[
    "! Terminating timed out worker",
    "! Unable to start worker",
    "! Unable to load application: ",
    "! Complete inability to spawn new workers detected",
    "! WARNING: ",
    "Early termination of worker",
    "Puma starting in ",
    "* Puma version: ",
    "* Listening on ",
    "* Restarting...",
    "=== puma startup: ",
    "=== puma shutdown: ",
    "- Gracefully shutting down workers...",
    "- Gracefully stopping, waiting for requests to finish",
    "- Starting phased worker restart",
];

/// Reads a line of Puma, Passenger or a Ruby program.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    let entry = Entry { dialect: Dialect::Ruby, ..Entry::default() };
    puma(line, &entry)
        .or_else(|| puma_error(line, &entry))
        .or_else(|| passenger(line, &entry))
        .or_else(|| logger(line, &entry))
        .or_else(|| {
            let trace = trace::of(carried.text).filter(|trace| trace.language == Language::Ruby)?;
            Some(Entry { level: Some(Level::Error), message: trace.exception, ..entry.clone() })
        })
        .or_else(|| Some(Entry { level: Some(Level::Error), message: thrown(line)?.into(), ..entry.clone() }))
}

/// The first line of an exception that nothing caught, whose frames the journal has as lines of their own:
/// ``/srv/app.rb:3:in `require': cannot load such file -- x (LoadError)``, in words as with its frames.
fn thrown(line: &str) -> Option<String> {
    let (place, said) = line.split_once("': ")?;
    let (path, _) = place.split_once(":in `").or_else(|| place.split_once(":in '"))?;
    let (_, number) = path.rsplit_once(':')?;
    let (words, class) = said.strip_suffix(')')?.rsplit_once(" (")?;
    let class_fits = class.starts_with(|c: char| c.is_ascii_uppercase())
        && class.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b':' || byte == b'_');
    let number_fits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (class_fits && number_fits && path.contains('/')).then(|| format!("{class}: {words}"))
}

fn puma<'a>(line: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let clustered =
        line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).and_then(|(pid, said)| Some((pid.parse().ok()?, said)));
    let (pid, said) = clustered.map_or((None, line), |(pid, said): (u32, _)| (Some(pid), said));
    let worker = || said.strip_prefix("- Worker ").is_some_and(|rest| rest.contains("(PID: ") && rest.contains(") booted in "));
    (PUMA.iter().any(|own| said.starts_with(own)) || worker()).then(|| Entry { pid, message: said.into(), ..entry.clone() })
}

/// lib/puma/error_logger.rb: `title`, then request in parentheses, then the error as Ruby shows it.
fn puma_error<'a>(line: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let (time, rest) = TimeShape::Dashed.leading(line)?;
    let rest = rest.strip_prefix(' ')?;
    let level = Some(Level::Error);
    if let Some(error) = rest
        .strip_prefix("HTTP parse error, malformed request: ")
        .or_else(|| rest.strip_prefix("HTTP parse error, malformed request "))
    {
        // What could be read of the request may stand before the error.
        let error = error.rfind("#<").map_or(error, |at| &error[at..]);
        return Some(Entry {
            time: Some(time),
            level,
            message: format!("HTTP parse error, malformed request: {error}").into(),
            ..entry.clone()
        });
    }
    let (request, error) = rest.strip_prefix("Rack app (")?.split_once(")): ")?;
    let request = request.strip_prefix('"').and_then(|request| request.split_once('"')).map(|(request, _)| request.into());
    let message = format!("{} (Rack app)", error.trim_end()).into();
    Some(Entry { time: Some(time), level, message, request, ..entry.clone() })
}

/// src/cxx_supportlib/LoggingKit/Implementation.cpp.
fn passenger<'a>(line: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let rest = line.strip_prefix("[ ")?;
    // Version 4 wrote no level.
    let (level, rest) = if rest.starts_with(|c: char| c.is_ascii_digit()) { ("E ", rest) } else { rest.split_at_checked(2)? };
    let level = match level {
        "C " => Level::Critical,
        "E " => Level::Error,
        "W " => Level::Warning,
        "N " => Level::Notice,
        "I " => Level::Info,
        "D " => Level::Debug,
        _ => return None,
    };
    let (time, rest) = TimeShape::Dashed.leading(rest)?;
    let (at, said) = rest.split_once(" ]: ")?;
    let pid = at.trim_start().split('/').next().and_then(|pid| pid.parse().ok());
    // `[Client 1-23] ` and the like number a connection.
    let said = said.strip_prefix("[Client ").and_then(|rest| rest.split_once("] ")).map_or(said, |(_, said)| said);
    Some(Entry { time: Some(time), level: Some(level), pid, message: said.into(), ..entry.clone() })
}

/// lib/logger/formatter.rb; Rails puts the request's id before its words.
fn logger<'a>(line: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let (letter, rest) = line.split_once(", [")?;
    if !matches!(letter, "D" | "I" | "W" | "E" | "F" | "A") {
        return None;
    }
    let (time, rest) = TimeShape::Rfc3339.leading(rest)?;
    let (pid, rest) = rest.strip_prefix(" #")?.split_once(']')?;
    let (level, rest) = rest.split_once(" -- ")?;
    let (_program, said) = rest.split_once(": ")?;
    let said = said.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(said, |(_, said)| said);
    let level = Level::parse(level.trim());
    Some(Entry { time: Some(time), level, pid: pid.parse().ok(), message: said.into(), ..entry.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn lines_of_puma_passenger_and_rails() {
        for (line, message) in [
            (
                "[592] ! Terminating timed out worker (worker failed to check in within 6 seconds): 593",
                "! Terminating timed out worker (worker failed to check in within 6 seconds): 593",
            ),
            ("- Worker 1 (PID: 594) booted in 0.01s, phase: 0", "- Worker 1 (PID: 594) booted in 0.01s, phase: 0"),
            (
                "2026-11-21 05:21:10 +0000 Rack app (\"GET /boom\" - (127.0.0.1)): #<RuntimeError: boom>",
                "#<RuntimeError: boom> (Rack app)",
            ),
            (
                "[ E 2026-11-20 23:36:34.1234 811/T1 age/Cor/Con/InternalUtils.cpp:100 ]: [Client 1-23] Sending 502 response: application did not send a complete response",
                "Sending 502 response: application did not send a complete response",
            ),
            (
                "F, [2026-11-20T23:36:34.123456 #811] FATAL -- : [0b1c] ActiveRecord::ConnectionNotEstablished (no)",
                "ActiveRecord::ConnectionNotEstablished (no)",
            ),
            (
                "[ 2026-11-20 23:36:34.1234 7557/433d7940 Pool2/Implementation.cpp:762 ]: Could not spawn process for group /srv/shop#default: x",
                "Could not spawn process for group /srv/shop#default: x",
            ),
            (
                "Nov 20 02:17:41 web1 bundle[811]: /srv/app.rb:3:in `require': cannot load such file -- bootsnap (LoadError)",
                "LoadError: cannot load such file -- bootsnap",
            ),
            (
                "/srv/app.rb:3:in `require': cannot load such file -- x (LoadError)\n\tfrom /srv/app.rb:1:in `<main>'",
                "LoadError: cannot load such file -- x",
            ),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, &*entry.message), (Dialect::Ruby, message), "{line}");
        }
        for other in ["- Worker", "[592] hello", "[ X 2026-11-20 23:36:34.1 1/T1 a ]: b", "E, [x] b"] {
            assert_ne!(any(other).dialect, Dialect::Ruby, "{other}");
        }
    }
}
