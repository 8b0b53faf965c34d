//! Programs on the Java virtual machine.
//!
//! - Tomcat (`OneLineFormatter`): `20-Nov-2026 23:36:34.123 SEVERE [main] org.apache...StandardService.initInternal text`;
//! - java.util.logging's own two lines: `Nov 21, 2026 5:21:40 AM Main main`, then `SEVERE: text`;
//! - Spring Boot: `2026-11-20T23:36:34.123Z ERROR 811 --- [main] o.s.boot.SpringApplication : text`;
//! - log4j and logback: `2026-11-20 23:36:34,123 [main] ERROR org.shop.Cart - text`, also with level and thread changed;
//! - a trace, `java.net.ConnectException: Connection refused (what was being done)`: the innermost cause;
//! - what the machine itself says.

use std::borrow::Cow;

use super::{
    Carried, Dialect, Entry, Level, LineTime, TimeShape, netty,
    trace::{self, Language, first_line, told},
};

/// What the machine says itself, and errors of its own at the beginning of a line.
const OWN: &[&str] = &[
    "Exception in thread \"",
    "java.lang.",
    "java.net.",
    "java.io.",
    "java.sql.",
    "java.util.concurrent.",
    "javax.net.ssl.",
    "io.netty.",
    "reactor.netty.",
    "org.apache.catalina.LifecycleException: ",
    "Connection prematurely closed BEFORE response",
    "Connection prematurely closed DURING response",
    "Terminating due to java.lang.OutOfMemoryError: ",
    "Aborting due to java.lang.OutOfMemoryError: ",
    "Error occurred during initialization of VM",
    "Error: Could not find or load main class ",
    "Error: Unable to access jarfile ",
    "OpenJDK 64-Bit Server VM warning: ",
];

/// Reads a line or a trace.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let entry = Entry { dialect: Dialect::Java, ..Entry::default() };
    // The machine's report of its own death begins with a line of one `#`.
    if let Some(fatal) = text
        .lines()
        .take(2)
        .find(|line| line.starts_with("# A fatal error has been detected by the Java"))
        .or_else(|| text.lines().take(2).find(|line| line.starts_with("# There is insufficient memory for the Java")))
    {
        let signal = text.lines().find_map(|line| line.strip_prefix("#  ")).filter(|_| text.contains('\n'));
        let message = match signal.and_then(|signal| signal.split(" at pc=").next()) {
            Some(signal) if signal.len() < 80 => format!("{} {signal}", fatal.trim_end()).into(),
            _ => fatal.into(),
        };
        return Some(Entry { level: Some(Level::Critical), message, ..entry });
    }
    let line = first_line(text);
    let head = tomcat(line).or_else(|| boot(line)).or_else(|| log4j(line));
    if (head.is_some() || OWN.iter().any(|own| line.contains(own)))
        && let Some((message, upstream)) = netty::failed(text)
    {
        let (time, level) = head.map_or((None, Level::Error), |(time, level, _)| (Some(time), level));
        return Some(Entry { time, level: Some(level), message: message.into(), upstream, ..entry });
    }
    let upstream: Option<Cow<'a, str>> = text.lines().take(3).find_map(unbound).map(|port| format!("port {port}").into());
    let entry = Entry { upstream, ..entry };
    if text.lines().take(3).any(is_unreadable) {
        let (time, level) = head.map_or((None, Level::Info), |(time, level, _)| (Some(time), level));
        let message = if is_tls(text) { "Error parsing HTTP request header: TLS" } else { "Error parsing HTTP request header" };
        return Some(Entry { time, level: Some(level), message: message.into(), ..entry });
    }
    if let Some((time, level, said)) = head {
        return Some(Entry { time: Some(time), level: Some(level), message: failing(said, text), ..entry });
    }
    // The second line alone: the first was not pasted.
    if let Some(said) = line.strip_prefix("SEVERE: ").filter(|_| exception_below(text).is_some()) {
        return Some(Entry { level: Some(Level::Critical), message: failing(said, text), ..entry });
    }
    if is_jul(line)
        && let Some((level, said)) = text.lines().nth(1).and_then(|line| line.split_once(": "))
        && let Some(level) = Level::parse(level)
    {
        return Some(Entry { level: Some(level), message: failing(said.trim_end(), text), ..entry });
    }
    match trace::of(text).filter(|trace| trace.language == Language::Java) {
        Some(trace) if trace.uncaught => {
            Some(Entry { level: Some(Level::Error), message: format!("{} (uncaught)", trace.exception).into(), ..entry })
        }
        Some(trace) => Some(Entry { level: Some(Level::Error), message: trace.exception, ..entry }),
        None => {
            // The last part of a trace, pasted alone.
            let line = line.trim_start().strip_prefix("Caused by: ").unwrap_or(line);
            let own = OWN.iter().any(|own| line.starts_with(own)) || entry.upstream.is_some();
            own.then(|| Entry { level: Some(Level::Error), message: uncaught(line), ..entry })
        }
    }
}

/// The port of a connector that did not start: `Failed to start connector [Connector[HTTP/1.1-8080]]` of Tomcat 8.5 to 10,
/// `[Connector["http-nio-127.0.0.1-8080"]]`, `Failed to initialize connector [Connector[AJP/1.3-8009]]`
/// (org.apache.catalina.core.StandardService; the exception below it says the same of a component), and Spring Boot's
/// `The Tomcat connector configured to listen on port 8080 failed to start.`, `Web server failed to start. Port 8080 was already in use.`
fn unbound(line: &str) -> Option<u16> {
    const BEGIN: [&str; 4] = [
        "Failed to initialize connector [Connector[",
        "Failed to start connector [Connector[",
        "Failed to initialize component [Connector[",
        "Failed to start component [Connector[",
    ];
    const BOOT: [(&str, &str); 2] =
        [(" connector configured to listen on port ", " failed to start"), ("erver failed to start. Port ", " was already in use")];
    if let Some(rest) = BEGIN.iter().find_map(|begin| Some(line.split_once(begin)?.1)) {
        return rest.split(']').next()?.trim_matches('"').rsplit('-').next()?.parse().ok();
    }
    BOOT.iter().find_map(|(before, behind)| line.split_once(before)?.1.split_once(behind)?.0.parse().ok())
}

/// As [`told`], also where the exception has no frames: the machine leaves them out of errors that it threw often (hotspot,
/// OmitStackTraceInFastThrow), and people leave them out of what they paste.
fn failing<'a>(doing: &'a str, text: &'a str) -> Cow<'a, str> {
    match exception_below(text).filter(|_| trace::of(text).is_none()) {
        Some(exception) => format!("{exception} ({doing})").into(),
        None => told(doing, text),
    }
}

/// The exception that a line below the first begins with.
fn exception_below(text: &str) -> Option<&str> {
    /// Domains turned round, with which packages begin.
    const PACKAGES: [&str; 10] = ["java.", "javax.", "jakarta.", "org.", "com.", "io.", "net.", "reactor.", "kotlin.", "scala."];
    text.lines().skip(1).map(str::trim).find(|line| {
        let name = line.split(':').next().unwrap_or_default();
        PACKAGES.iter().any(|package| name.starts_with(package))
            && (name.ends_with("Exception") || name.ends_with("Error"))
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._$".contains(&byte))
    })
}

/// What Tomcat says of a request that it could not read (org.apache.coyote.http11, LocalStrings.properties, `iib.*`), with or without the
/// line of the logger before the exception: a scanner, or somebody who spoke another protocol; no fault of the application.
fn is_unreadable(line: &str) -> bool {
    const SAID: [&str; 4] = [
        "Invalid character found in method name",
        "Invalid character (CR or LF) found in method name",
        "Invalid character found in the request target",
        "Invalid character found in the HTTP protocol",
    ];
    let exception = line.trim_start().strip_prefix("java.lang.IllegalArgumentException: ");
    line.contains("Error parsing HTTP request header") || exception.is_some_and(|said| SAID.iter().any(|own| said.starts_with(own)))
}

/// Whether what Tomcat could not read was the beginning of a TLS handshake. The rest of it is the client's.
fn is_tls(text: &str) -> bool {
    let sent = text.split_once("Invalid character found in method name [").map(|(_, sent)| sent);
    sent.is_some_and(|sent| ["0x160x03", "0x16 0x03", "\\x16\\x03", "0x16"].iter().any(|tls| sent.starts_with(tls)))
}

/// `Exception in thread "main" java.lang.X: text`, whose frames are not there: said as with them.
fn uncaught(line: &str) -> Cow<'_, str> {
    let exception = line.strip_prefix("Exception in thread \"").and_then(|rest| rest.split_once("\" "));
    exception.map_or_else(|| line.into(), |(_, exception)| format!("{exception} (uncaught)").into())
}

fn tomcat(line: &str) -> Option<(LineTime<'_>, Level, &str)> {
    let (time, rest) = TimeShape::Php.leading(line)?;
    let (level, rest) = rest.strip_prefix(' ')?.split_once(" [")?;
    let (_thread, rest) = rest.split_once("] ")?;
    let (_logger, said) = rest.split_once(' ')?;
    Some((time, Level::parse(level)?, said))
}

fn boot(line: &str) -> Option<(LineTime<'_>, Level, &str)> {
    let (time, rest) = TimeShape::Rfc3339.leading(line).or_else(|| TimeShape::Dashed.leading(line))?;
    let (level, rest) = rest.trim_start().split_once(' ')?;
    // Without a process where the program does not know its own.
    let (pid, rest) = rest.split_once("--- [")?;
    if !pid.trim().is_empty() && pid.trim().parse::<u32>().is_err() {
        return None;
    }
    let (_thread, rest) = rest.split_once("] ")?;
    let (_logger, said) = rest.split_once(" : ").or_else(|| rest.split_once(": "))?;
    Some((time, Level::parse(level)?, said))
}

fn log4j(line: &str) -> Option<(LineTime<'_>, Level, &str)> {
    let (time, rest) = TimeShape::Dashed.leading(line).or_else(|| TimeShape::Rfc3339.leading(line))?;
    let rest = rest.trim_start();
    let (level, rest) = if let Some((_thread, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        rest.trim_start().split_once(' ')?
    } else {
        // The level stands before the thread.
        let (level, rest) = rest.split_once(' ')?;
        (level, rest.trim_start().strip_prefix('[')?.split_once("] ")?.1)
    };
    let (logger, said) = rest.trim_start().split_once(' ')?;
    // A class's name is what tells these from lines of other programs.
    let class = logger.contains('.') && logger.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._$:-".contains(&byte));
    let level = Level::parse(level).filter(|_| class)?;
    Some((time, level, said.trim_start_matches(['-', ':', ' '])))
}

/// `Nov 21, 2026 5:21:40 AM org.shop.Cart load` (java.util.logging.SimpleFormatter).
pub(super) fn is_jul(line: &str) -> bool {
    let mut words = line.split(' ');
    let month = words.next().is_some_and(|word| word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let day = words.next().and_then(|word| word.strip_suffix(',')).is_some_and(|word| word.parse::<u8>().is_ok());
    let year = words.next().is_some_and(|word| word.len() == 4 && word.parse::<u16>().is_ok());
    let clock = words.next().is_some_and(|word| word.split(':').count() == 3);
    month && day && year && clock && words.next().is_some_and(|word| matches!(word, "AM" | "PM"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn lines_of_loggers() {
        for (line, level, message) in [
            (
                "20-Nov-2026 23:36:34.123 SEVERE [main] org.apache.catalina.core.StandardService.initInternal Failed to initialize connector [Connector[\"http-nio-8080\"]]",
                Level::Critical,
                "Failed to initialize connector [Connector[\"http-nio-8080\"]]",
            ),
            (
                "2026-11-20T23:36:34.123Z ERROR 811 --- [           main] o.s.boot.SpringApplication               : Application run failed",
                Level::Error,
                "Application run failed",
            ),
            (
                "2026-11-20 23:36:34.123  WARN 811 --- [nio-8080-exec-1] c.z.h.p.HikariPool : HikariPool-1 - Connection is not available",
                Level::Warning,
                "HikariPool-1 - Connection is not available",
            ),
            (
                "2026-11-20 23:36:34.123 ERROR --- [           main] o.s.boot.SpringApplication               : Application run failed",
                Level::Error,
                "Application run failed",
            ),
            ("2026-11-20 23:36:34,123 [main] ERROR org.shop.Cart - it broke", Level::Error, "it broke"),
            ("2026-11-20 23:36:34,123 ERROR [main] org.shop.Cart: it broke", Level::Error, "it broke"),
            ("Nov 21, 2026 5:21:40 AM Main main\nSEVERE: it broke", Level::Critical, "it broke"),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, entry.level, &*entry.message), (Dialect::Java, Some(level), message), "{line}");
        }
        assert_eq!(any("2026-11-20 23:36:34,123 [x] ERROR plain words").dialect, Dialect::Plain);
    }

    #[test]
    fn an_error_without_frames_is_told() {
        let heap = "java.lang.OutOfMemoryError: Java heap space (Error finishing response)";
        let text = "SEVERE: Error finishing response\njava.lang.OutOfMemoryError: Java heap space";
        for text in [text.to_owned(), format!("Nov 20, 2026 8:11:23 PM org.apache.coyote.http11.Http11Processor process\n{text}")] {
            assert_eq!(any(&text).message, heap, "{text}");
        }
    }

    #[test]
    fn a_request_that_tomcat_cannot_read_is_no_fault_of_it() {
        let frames = "\n\tat org.apache.coyote.http11.Http11InputBuffer.parseRequestLine(Http11InputBuffer.java:406)";
        for (text, message) in [
            (
                "INFO: Error parsing HTTP request header\n Note: further occurrences of HTTP request parsing errors will be logged at DEBUG level.\njava.lang.IllegalArgumentException: Invalid character found in method name [0x160x030x01]. HTTP method names must be tokens",
                "Error parsing HTTP request header: TLS",
            ),
            (
                "java.lang.IllegalArgumentException: Invalid character found in method name [0x050x01]. HTTP method names must be tokens",
                "Error parsing HTTP request header",
            ),
            (
                "java.lang.IllegalArgumentException: Invalid character found in the request target [/?x=|]. The valid characters are defined in RFC 7230 and RFC 3986",
                "Error parsing HTTP request header",
            ),
        ] {
            let text = format!("{text}{frames}");
            assert_eq!(any(&text).message, message, "{text}");
        }
        let own = format!("java.lang.IllegalArgumentException: Invalid character found in the name of a cart{frames}");
        assert!(any(&own).message.starts_with("java.lang.IllegalArgumentException"));
    }

    #[test]
    fn a_connector_that_did_not_start_is_told_with_its_port() {
        for (line, port) in [
            (
                "20-Nov-2026 23:36:34.123 SEVERE [main] org.apache.catalina.core.StandardService.initInternal Failed to initialize connector [Connector[AJP/1.3-8009]]\n\torg.apache.catalina.LifecycleException: Protocol handler initialization failed",
                "port 8009",
            ),
            (
                "20-Nov-2026 23:36:34.123 SEVERE [main] org.apache.catalina.util.LifecycleBase.handleSubClassException Failed to start component [Connector[\"https-jsse-nio-127.0.0.1-8443\"]]",
                "port 8443",
            ),
            (
                "2026-11-20 23:36:34.123 ERROR --- [           main] o.apache.catalina.core.StandardService   : Failed to start connector [Connector[HTTP/1.1-5076]]",
                "port 5076",
            ),
            (
                "The Tomcat connector configured to listen on port 8080 failed to start. The port may already be in use.",
                "port 8080",
            ),
            ("Web server failed to start. Port 8081 was already in use.", "port 8081"),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, entry.upstream.as_deref()), (Dialect::Java, Some(port)), "{line}");
        }
    }

    #[test]
    fn a_trace_says_its_innermost_cause() {
        let text = "20-Nov-2026 23:36:34.123 SEVERE [http-nio-8080-exec-1] org.apache.X.invoke Servlet.service() threw exception\n\tjava.lang.RuntimeException: no database\n\t\tat Main.db(Main.java:3)\n\tCaused by: java.net.ConnectException: Connection refused\n\t\tat java.base/sun.nio.ch.Net.connect0(Native Method)\n\t\t... 2 more";
        assert_eq!(any(text).message, "java.net.ConnectException: Connection refused (Servlet.service() threw exception)");
        let text = "Exception in thread \"main\" java.lang.RuntimeException: no database\n\tat Main.main(Main.java:7)\nCaused by: java.net.ConnectException: Connection refused\n\t... 2 more";
        assert_eq!(any(text).message, "java.net.ConnectException: Connection refused (uncaught)");
        assert_eq!(
            any("Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space").message,
            "java.lang.OutOfMemoryError: Java heap space (uncaught)"
        );
        let dead = "#\n# A fatal error has been detected by the Java Runtime Environment:\n#\n#  SIGSEGV (0xb) at pc=0x00007f4642cd2f94, pid=1810, tid=1811\n#";
        assert_eq!(any(dead).message, "# A fatal error has been detected by the Java Runtime Environment: SIGSEGV (0xb)");
    }
}
