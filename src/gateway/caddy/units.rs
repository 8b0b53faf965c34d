//! Times and sizes as Caddy writes them (caddy.ParseDuration, go-humanize).

/// Milliseconds of `5s`, `1m30s`, `500ms`, `1d`, `1.5h`. `None`: Caddy would refuse it.
pub fn milliseconds(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0_f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..letters] {
            "ns" => 1e-6,
            "us" | "µs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            _ => return None,
        };
        rest = &rest[letters..];
        total += number * unit;
    }
    whole(total)
}

/// Milliseconds of a number of nanoseconds, as JSON has durations.
pub fn of_nanoseconds(nanoseconds: f64) -> Option<u64> {
    whole(nanoseconds / 1e6)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was looked at before")]
fn whole(milliseconds: f64) -> Option<u64> {
    /// A century, which no time-out is meant to be.
    const MOST: f64 = 3.2e12;
    (milliseconds.is_finite() && (0.0..MOST).contains(&milliseconds)).then(|| milliseconds.ceil() as u64)
}

/// Bytes of `4096`, `4KB`, `4KiB`, `1MiB`. `None`: Caddy would refuse it.
pub fn bytes(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u32 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1_000,
        "ki" | "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mi" | "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gi" | "gib" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_caddy_s() {
        for (text, expected) in [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("700ms", Some(700)),
            ("1.5h", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("0", Some(0)),
            ("5", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("99999999999999999999999h", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        assert_eq!(of_nanoseconds(700_000_000.0), Some(700));
        assert_eq!(
            (bytes("4KiB"), bytes("1MB"), bytes("512"), bytes("9999gb"), bytes("x")),
            (Some(4096), Some(1_000_000), Some(512), None, None)
        );
    }
}
