//! Sockets of .NET that could not connect: of a connector of IIS, of an application that asks another. The error of the system is worded
//! by Windows or by the C library; behind it stands the address (System.Net.Sockets, SocketException). What HttpClient and YARP say of
//! the same is read by `dotnet`.
//!
//! The message is `.NET: <what failed>`. Databases, caches and queues are none of a gateway's upstreams: those are left to others.

use super::{Carried, Entry, Level, go_proxy::is_dependency, terse::unheaded, trace::first_line};

/// Classes of the errors that an address stands behind.
const CLASSES: [&str; 2] =
    ["System.Net.Sockets.SocketException", "System.Net.Internals.SocketExceptionFactory+ExtendedSocketException"];
/// What stands before a class, as runtime and loggers have it.
const BEFORE: [&str; 3] = ["Unhandled exception. ", "Unhandled Exception: ", "---> "];
/// Words of Windows, which need no class before them (winerror.h: WSAECONNREFUSED, WSAETIMEDOUT).
const OF_WINDOWS: [(&str, &str); 2] = [
    ("No connection could be made because the target machine actively refused it", "connection refused"),
    (
        "A connection attempt failed because the connected party did not properly respond after a period of time, or established connection failed because connected host has failed to respond",
        "connecting timed out",
    ),
];
/// Words of the C library, and of Windows for what others say alike.
const SAID: [(&str, &str); 9] = [
    ("Connection refused", "connection refused"),
    ("Connection timed out", "connecting timed out"),
    ("No route to host", "no route"),
    ("Network is unreachable", "no route"),
    ("A socket operation was attempted to an unreachable host", "no route"),
    ("A socket operation was attempted to an unreachable network", "no route"),
    ("Name or service not known", "name does not resolve"),
    ("No such host is known", "name does not resolve"),
    ("Temporary failure in name resolution", "name does not resolve"),
];

/// Reads the error of a connection.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let head = unheaded(first_line(carried.text));
    let mut rest = head.said.trim_start();
    while let Some(behind) = BEFORE.iter().find_map(|words| rest.strip_prefix(words)) {
        rest = behind;
    }
    let classed = CLASSES.iter().find_map(|class| rest.strip_prefix(class)).and_then(|rest| {
        // `SocketException (111): Connection refused`, `(0x80004005): ...`.
        let (number, said) = rest.split_once(": ")?;
        (number.is_empty() || number.starts_with(" (") && number.ends_with(')')).then_some(said)
    });
    let said = classed.unwrap_or(rest);
    let known = |list: &[(&str, &'static str)]| {
        list.iter().find_map(|(words, failed)| said.strip_prefix(words).map(|behind| (*failed, behind)))
    };
    let (failed, behind) = known(&OF_WINDOWS).or_else(|| classed.and_then(|_| known(&SAID)))?;
    let behind = behind.trim_start_matches(['.', ' ', '(']);
    let address = behind.split([' ', ')']).next().filter(|address| !address.is_empty())?;
    let (host, port) = address.rsplit_once(':')?;
    if host.is_empty() || port.parse::<u16>().is_err() || is_dependency(address) {
        return None;
    }
    let message = format!(".NET: {failed}").into();
    Some(Entry { time: head.time, level: Some(Level::Error), message, upstream: Some(address.into()), ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::read as any;

    #[test]
    fn what_failed_and_where() {
        for (line, message, upstream) in [
            (
                "No connection could be made because the target machine actively refused it 127.0.0.1:8009    at System.Net.Sockets.TcpClient..ctor(String hostname, Int32 port)",
                ".NET: connection refused",
                "127.0.0.1:8009",
            ),
            (
                "System.Net.Sockets.SocketException: No connection could be made because the target machine actively refused it 127.0.0.1:8009",
                ".NET: connection refused",
                "127.0.0.1:8009",
            ),
            (
                " ---> System.Net.Sockets.SocketException (111): Connection refused [::ffff:10.0.0.5]:5001",
                ".NET: connection refused",
                "[::ffff:10.0.0.5]:5001",
            ),
            ("System.Net.Sockets.SocketException (11001): No such host is known. app:80", ".NET: name does not resolve", "app:80"),
        ] {
            let entry = any(line);
            assert_eq!((&*entry.message, entry.upstream.as_deref()), (message, Some(upstream)), "{line}");
        }
        for other in [
            "Connection refused (localhost:5001)",
            "System.Net.Sockets.SocketException (111): Connection refused",
            "System.Net.Sockets.SocketException (111): Connection refused 10.0.0.5:5432",
            "No connection could be made because the target machine actively refused it",
            "System.Net.Http.HttpRequestException: Response status code does not indicate success: 502 (Bad Gateway).",
        ] {
            assert!(!any(other).message.starts_with(".NET: "), "{other}");
        }
    }
}
