//! Kernel messages, as dmesg, syslog and journalctl show them: `[12345.678901] text`.

use super::{Carried, Dialect, Entry};

/// Bytes of what an administrator lets a filter put before a packet, at most (xt_LOG.h: 30; nf_tables: 127).
const PREFIX_BYTES: usize = 128;

/// Reads a message of the kernel: what syslog says is from it, or a line with dmesg's time since boot.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (stamped, text) = match since_boot(carried.text) {
        Some(text) => (true, text),
        None => (false, carried.text),
    };
    if let Some(said) = stamped.then(|| of_systemd(text)).flatten() {
        return Some(Entry { dialect: Dialect::Systemd, message: said.trim_end().into(), ..Entry::default() });
    }
    let filtered = filtered(text);
    (stamped || carried.program == Some("kernel") || filtered.is_some()).then(|| Entry {
        dialect: Dialect::Kernel,
        message: text.trim_end().into(),
        upstream: filtered.map(Into::into),
        ..Entry::default()
    })
}

/// What systemd wrote to the kernel's log, where no journal ran or the unit says so (systemd-system.conf(5), LogTarget=kmsg;
/// src/basic/log.c, `write_to_kmsg`): `systemd[1]: text`, `systemd-oomd[811]: text`.
fn of_systemd(text: &str) -> Option<&str> {
    let (tag, said) = text.strip_prefix("systemd")?.split_once("]: ")?;
    let (name, pid) = tag.split_once('[')?;
    (matches!(name, "" | "-oomd") && !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some(said)
}

/// Where a connection went that a packet filter logged: `[UFW BLOCK] IN=docker0 OUT= ... SRC=172.17.0.2 DST=172.17.0.1 ... PROTO=TCP
/// SPT=41234 DPT=8000 ...` (net/netfilter/nf_log_syslog.c).
fn filtered(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("IN=").filter(|(prefix, _)| prefix.len() <= PREFIX_BYTES)?;
    let (interfaces, rest) = rest.split_once(" SRC=")?;
    let (packet, ports) = rest.split_once(" PROTO=TCP ")?;
    let value = |text: &str, name: &str| text.split(' ').find_map(|word| word.strip_prefix(name).map(str::to_owned));
    let (host, port) = (value(packet, "DST=")?, value(ports, "DPT=")?);
    let port: u16 = port.parse().ok().filter(|_| interfaces.contains(" OUT="))?;
    Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
}

/// The text behind `[12345.678901] ` (kernel/printk/printk.c, `print_time`), or behind the wall time of `dmesg -T`, which the
/// caller has taken for the line's own.
fn since_boot(text: &str) -> Option<&str> {
    let (stamp, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let (seconds, fraction) = stamp.trim_start().split_once('.')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    (digits(seconds) && digits(fraction) && fraction.len() == 6).then_some(rest)
}
