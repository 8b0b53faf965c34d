//! Times and sizes as nginx writes them (`ngx_parse_time`, `ngx_parse_size`).

/// Milliseconds of `60`, `60s`, `1m30s`, `500ms`, `1h 30m`. `None`: nginx would refuse it.
pub fn milliseconds(text: &str) -> Option<u64> {
    let bytes = text.trim().as_bytes();
    let (mut total, mut at) = (0_u64, 0);
    if bytes.is_empty() {
        return None;
    }
    while at < bytes.len() {
        if bytes[at] == b' ' {
            at += 1;
            continue;
        }
        let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number: u64 = std::str::from_utf8(&bytes[at..at + digits]).ok()?.parse().ok()?;
        at += digits;
        let letters = bytes[at..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
        let unit: u64 = match &bytes[at..at + letters] {
            b"ms" => 1,
            b"" | b"s" => 1000,
            b"m" => 60_000,
            b"h" => 3_600_000,
            b"d" => 86_400_000,
            b"w" => 7 * 86_400_000,
            b"M" => 30 * 86_400_000,
            b"y" => 365 * 86_400_000,
            _ => return None,
        };
        at += letters;
        total = total.checked_add(number.checked_mul(unit)?)?;
    }
    Some(total)
}

/// Bytes of `4096`, `4k`, `1M`. `None`: nginx would refuse it.
pub fn bytes(text: &str) -> Option<u32> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 1 << 10),
        b'm' | b'M' => (&text[..text.len() - 1], 1 << 20),
        _ => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_nginx_s() {
        for (text, expected) in
            [("60", Some(60_000)), ("1m30s", Some(90_000)), ("500ms", Some(500)), ("1h 30m", Some(5_400_000)), ("0", Some(0))]
        {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
        for bad in ["", "s", "5x", "99999999999999999999", "99999999999y", "-1", "$t"] {
            assert_eq!(milliseconds(bad), None, "{bad}");
        }
        assert_eq!((bytes("4k"), bytes("16K"), bytes("1m"), bytes("4096")), (Some(4096), Some(16_384), Some(1 << 20), Some(4096)));
        assert_eq!((bytes(""), bytes("k"), bytes("9999m"), bytes("x")), (None, None, None, None));
    }
}
