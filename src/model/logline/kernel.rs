//! Kernel messages, as dmesg, syslog and journalctl show them: `[12345.678901] text`.

use super::{Carried, Dialect, Entry};

/// Reads a message of the kernel: what syslog says is from it, or a line with dmesg's time since boot.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (stamped, text) = match since_boot(carried.text) {
        Some(text) => (true, text),
        None => (false, carried.text),
    };
    (stamped || carried.program == Some("kernel")).then(|| Entry {
        dialect: Dialect::Kernel,
        message: text.trim_end().into(),
        ..Entry::default()
    })
}

/// The text behind `[12345.678901] ` (kernel/printk/printk.c, `print_time`), or behind the wall time of `dmesg -T`, which the
/// caller has taken for the line's own.
fn since_boot(text: &str) -> Option<&str> {
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (seconds, fraction) = stamp.trim_start().split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(seconds) && digits(fraction) && fraction.len() == 6).then_some(rest)
}
