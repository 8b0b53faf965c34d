//! Go programs: what the runtime writes when one dies (`panic: `, `fatal error: `), and lines of the log package, `2026/11/20
//! 02:17:41 http: panic serving 127.0.0.1:46210: ...`.

use super::{Carried, Dialect, Entry, Level, TimeShape, trace::first_line};

/// What the runtime says as it ends a program (runtime/panic.go), besides `panic: `.
const FATAL: &[&str] = &[
    "all goroutines are asleep - deadlock!",
    "concurrent map ",
    "out of memory",
    "runtime: out of memory",
    "stack overflow",
    "unexpected signal",
];

/// Reads a line of Go's runtime or of its log package.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let line = first_line(text);
    let entry = Entry { dialect: Dialect::Go, ..Entry::default() };
    let fatal = line.strip_prefix("fatal error: ").is_some_and(|said| FATAL.iter().any(|known| said.starts_with(known)));
    // The word alone is any program's; a goroutine behind it is Go's.
    let panic = line.starts_with("panic: ") && (text.contains("\ngoroutine ") || line.starts_with("panic: runtime error: "));
    if fatal || panic || line.starts_with("runtime: out of memory: ") {
        return Some(Entry { level: Some(Level::Critical), message: line.into(), ..entry });
    }
    let (time, rest) = TimeShape::Slashed.leading(line)?;
    let said = rest.strip_prefix(' ')?;
    // nginx writes its level there, Squid its process.
    let other = said.starts_with('[') || said.starts_with("kid") || said.is_empty();
    // `main.go:12: ` is put there by a flag of the log package.
    let file = said.split_once(": ").filter(|(file, _)| !file.contains(' ') && file.contains(".go:"));
    let said = file.map_or(said, |(_, said)| said);
    (!other).then(|| Entry { time: Some(time), message: said.into(), ..entry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn the_runtime_and_the_log_package() {
        for (line, message) in [
            (
                "panic: assignment to entry in nil map\n\ngoroutine 1 [running]:\nmain.main()\n\t/srv/main.go:5 +0xe5",
                "panic: assignment to entry in nil map",
            ),
            ("fatal error: all goroutines are asleep - deadlock!", "fatal error: all goroutines are asleep - deadlock!"),
            (
                "2026/11/21 05:25:41 listen tcp 127.0.0.1:8088: bind: address already in use",
                "listen tcp 127.0.0.1:8088: bind: address already in use",
            ),
            (
                "2026/11/21 05:25:41 main.go:12: dial tcp 127.0.0.1:5432: connect: connection refused",
                "dial tcp 127.0.0.1:5432: connect: connection refused",
            ),
        ] {
            let entry = any(line);
            assert_eq!((entry.dialect, &*entry.message), (Dialect::Go, message));
        }
        for other in
            ["panic: at the disco", "fatal error: bad luck", "2026/11/20 23:36:34 kid1| x", "2026/11/20 23:36:34 [error] 17"]
        {
            assert_ne!(any(other).dialect, Dialect::Go, "{other}");
        }
    }
}
