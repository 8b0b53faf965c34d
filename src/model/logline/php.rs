//! PHP's error log (main/main.c, `php_log_err_with_severity`): `[20-Nov-2026 23:36:34 UTC] PHP Fatal error:  ...`, and the same
//! without stamp on stderr, by syslog, or behind `NOTICE: PHP message: ` of a worker of php-fpm; and the log of frameworks, by
//! Monolog.

use super::{Carried, Dialect, Entry, Level, TimeShape, trace::first_line};

/// PHP's words for what went wrong, and what they weigh.
const KINDS: &[(&str, Level)] = &[
    ("Fatal error", Level::Error),
    ("Parse error", Level::Error),
    ("Recoverable fatal error", Level::Error),
    ("Startup", Level::Warning),
    ("Core Warning", Level::Warning),
    ("Warning", Level::Warning),
    ("Notice", Level::Notice),
    ("Deprecated", Level::Notice),
    ("Strict Standards", Level::Notice),
];

/// Reads a line of PHP's.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = first_line(carried.text);
    let entry = Entry { dialect: Dialect::Php, ..Entry::default() };
    if let Some((time, rest)) = text.strip_prefix('[').and_then(|text| TimeShape::Php.leading(text)) {
        // With the name of a zone it is PHP's; php-fpm and Tomcat write none.
        let zoned = time.text.bytes().filter(|byte| *byte == b' ').count() > 1;
        let said = rest.strip_prefix("] ").filter(|_| zoned)?;
        let (level, message) = message(said).map_or((None, said), |(level, message)| (Some(level), message));
        return Some(Entry { time: Some(time), level, message: message.into(), ..entry });
    }
    monolog(text, &entry)
        .or_else(|| {
            // As a page shows it (`display_errors`), without PHP's name.
            let shown = text.strip_prefix("Fatal error: ").or_else(|| text.strip_prefix("Parse error: "))?;
            let message = format!("PHP {}  {}", text[..text.len() - shown.len()].trim_end(), shown.trim_start()).into();
            shown.contains(" in /").then(|| Entry { level: Some(Level::Error), message, ..entry.clone() })
        })
        .or_else(|| message(text).map(|(level, message)| Entry { level: Some(level), message: message.into(), ..entry }))
}

/// `[2026-11-20 23:36:34] production.ERROR: text {"exception":"..."} []`: Monolog's line formatter (`LineFormatter::SIMPLE_FORMAT`), by
/// which Laravel and Symfony write. The message begins with the level, which says whether somebody handled it.
fn monolog<'a>(text: &'a str, entry: &Entry<'a>) -> Option<Entry<'a>> {
    let text = text.strip_prefix('[')?;
    let (time, rest) = TimeShape::Dashed.leading(text).or_else(|| TimeShape::Rfc3339.leading(text))?;
    let rest = rest.strip_prefix("] ")?;
    let (head, said) = rest.split_once(": ")?;
    let (channel, level) = head.rsplit_once('.')?;
    let named =
        (1..=40).contains(&channel.len()) && channel.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let graded = level.bytes().all(|byte| byte.is_ascii_uppercase()).then(|| Level::parse(level))??;
    let message = &rest[rest.len() - said.len() - ": ".len() - level.len()..];
    named.then(|| Entry { time: Some(time), level: Some(graded), message: message.trim_end().into(), ..entry.clone() })
}

/// `PHP Fatal error:  ...`, also behind what php-fpm puts before it.
pub(super) fn message(text: &str) -> Option<(Level, &str)> {
    let text = text.strip_prefix("NOTICE: ").unwrap_or(text);
    let text = text.strip_prefix("PHP message: ").unwrap_or(text);
    let kind = text.strip_prefix("PHP ")?;
    KINDS
        .iter()
        .find(|(word, _)| kind.strip_prefix(word).is_some_and(|rest| rest.starts_with(':')))
        .map(|(_, level)| (*level, text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline::read as any;

    #[test]
    fn an_error_is_the_same_wherever_it_stands() {
        const SAID: &str = "PHP Fatal error:  Uncaught Error: Call to undefined function f() in /srv/x.php:1";
        for line in [
            format!("[20-Nov-2026 23:36:34 UTC] {SAID}"),
            format!("[20-Nov-2026 23:36:34 Europe/Berlin] {SAID}\nStack trace:\n#0 {{main}}\n  thrown in /srv/x.php on line 1"),
            SAID.to_owned(),
            format!("NOTICE: PHP message: {SAID}"),
            format!("Nov 20 02:17:41 gw1 php[811]: {SAID}"),
        ] {
            let entry = any(&line);
            assert_eq!((entry.dialect, entry.level, &*entry.message), (Dialect::Php, Some(Level::Error), SAID), "{line}");
        }
        let own = any(r#"[2026-11-20 23:36:34] production.ERROR: SQLSTATE[HY000] [2002] Connection refused {"exception":"x"}"#);
        let said = r#"ERROR: SQLSTATE[HY000] [2002] Connection refused {"exception":"x"}"#;
        assert_eq!((own.dialect, own.level, &*own.message), (Dialect::Php, Some(Level::Error), said));
        assert_ne!(any("[2026-11-20 23:36:34 +0000] [1] [ERROR] x.ERROR: y").dialect, Dialect::Php);
        let own = any("[20-Nov-2026 23:36:34 UTC] cart: no stock");
        assert_eq!((own.dialect, own.level, &*own.message), (Dialect::Php, None, "cart: no stock"));
        assert_eq!(any("PHP is fun").dialect, Dialect::Plain);
    }
}
