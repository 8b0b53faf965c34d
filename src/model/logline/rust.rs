//! Rust programs: what the standard library writes when a thread panics (library/std/src/panicking.rs, `default_hook`). Since 1.73 the text
//! stands on a line of its own below the place, and is put behind it here: `thread 'main' panicked at src/main.rs:22:10: text`.

use super::{Carried, Entry, Level, trace::first_line};

/// Reads the lines of a panic.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let line = first_line(carried.text);
    let (name, behind) = line.strip_prefix("thread '")?.split_once('\'')?;
    let panicked = behind.trim_start_matches(|c: char| " ()".contains(c) || c.is_ascii_digit());
    if name.is_empty() || !behind.starts_with(' ') || !panicked.starts_with("panicked at ") {
        return None;
    }
    let below = carried.text.lines().nth(1).filter(|_| line.ends_with(':'));
    let message = below.map_or_else(|| line.into(), |text| format!("{line} {}", text.trim_end()).into());
    // The main thread's ends the program.
    let level = if name == "main" { Level::Critical } else { Level::Error };
    Some(Entry { level: Some(level), message, ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{Dialect, Level, read};

    #[test]
    fn a_panic_is_told_with_its_text() {
        for (text, message, level) in [
            (
                "thread 'main' panicked at src/main.rs:22:10:\ncalled `Result::unwrap()` on an `Err` value: PoolTimedOut\nnote: run with",
                "thread 'main' panicked at src/main.rs:22:10: called `Result::unwrap()` on an `Err` value: PoolTimedOut",
                Level::Critical,
            ),
            (
                "thread 'worker-1' (811) panicked at src/cart.rs:9:5:",
                "thread 'worker-1' (811) panicked at src/cart.rs:9:5:",
                Level::Error,
            ),
            (
                "thread 'main' panicked at 'boom', src/main.rs:4:5\nnote: x",
                "thread 'main' panicked at 'boom', src/main.rs:4:5",
                Level::Critical,
            ),
        ] {
            let entry = read(text);
            assert_eq!((entry.dialect, &*entry.message, entry.level), (Dialect::Plain, message, Some(level)));
        }
        for other in ["thread 'main' has overflowed its stack", "thread '' panicked at x", "the thread 'main' panicked at x"] {
            assert_eq!(read(other).level, None, "{other}");
        }
    }
}
