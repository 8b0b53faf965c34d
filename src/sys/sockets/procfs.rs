//! /proc/net/tcp, tcp6 and unix (proc(5)), and the overflow count of /proc/net/netstat.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};

use super::{ListeningSocket, tcp};
use crate::{
    model::Address,
    sys::{FileError, Root, net::SUN_PATH},
};

/// TCP_LISTEN of the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";
/// `__SO_ACCEPTCON` of the kernel's `net.h`: the socket listens.
const ACCEPTCON: u32 = 0x1_0000;
/// SOCK_STREAM in hexadecimal, as /proc/net/unix writes it.
const STREAM: &str = "0001";

/// The listening sockets by the text files. At least one of them must be there.
pub(in crate::sys) fn read(root: &Root) -> Result<Vec<ListeningSocket>, FileError> {
    let mut found = Vec::new();
    let four = root.text("/proc/net/tcp");
    let six = root.text("/proc/net/tcp6");
    let unix = root.text("/proc/net/unix");
    for text in four.as_ref().into_iter().chain(&six) {
        found.extend(text.lines().skip(1).filter_map(inet_line));
    }
    if let Ok(text) = &unix {
        found.extend(text.lines().skip(1).filter_map(unix_line));
    }
    match (four, six, unix) {
        (Err(error), Err(_), Err(_)) => Err(error),
        _ => Ok(found),
    }
}

/// `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...`. The queue's limit is not told here.
fn inet_line(line: &str) -> Option<ListeningSocket> {
    let mut fields = line.split_ascii_whitespace();
    let (ip, port) = fields.nth(1)?.split_once(':')?;
    if fields.nth(1)? != LISTEN {
        return None;
    }
    // Four bytes of the address at a time, in the machine's own order.
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = if ip.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let mut bytes = [0; 16];
        for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
            four.copy_from_slice(&word(at * 8)?);
        }
        Ipv6Addr::from(bytes).into()
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(ListeningSocket { address: tcp(ip, port), inode: fields.nth(5)?.parse().ok()?, queue: None })
}

/// `Num RefCount Protocol Flags Type St Inode Path`; the path may hold blanks.
fn unix_line(line: &str) -> Option<ListeningSocket> {
    let mut rest = line;
    let mut next = || {
        rest = rest.trim_start_matches(' ');
        let (field, after) = rest.split_once(' ')?;
        rest = after;
        Some(field)
    };
    let (_, _, _) = (next()?, next()?, next()?);
    let flags = u32::from_str_radix(next()?, 16).ok()?;
    let (kind, _, inode) = (next()?, next()?, next()?.parse().ok()?);
    // An abstract name that is padded to the end of the address; its NUL bytes are written like the first one, as `@`.
    let name = if rest.starts_with('@') && rest.len() == SUN_PATH { rest.trim_end_matches('@') } else { rest };
    (flags & ACCEPTCON != 0 && kind == STREAM && !name.is_empty()).then(|| ListeningSocket {
        address: Address::Unix(PathBuf::from(name)),
        inode,
        queue: None,
    })
}

/// `TcpExt: name name ...` on one line, `TcpExt: value value ...` on the next.
pub(in crate::sys) fn overflows(text: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let at = names.split(' ').position(|name| name == "ListenOverflows")?;
    values.split(' ').nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_as_the_kernel_writes_them() {
        let of = |line: &str| inet_line(line).map(|l| (l.address.to_string(), l.inode));
        let text =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 123456 1 0000 100 0 0 10 0";
        assert_eq!(of(text), Some(("127.0.0.1:8080".to_owned(), 123_456)));
        assert_eq!(of(&text.replace(" 0A ", " 01 ")), None);
        let six = "   1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1 0 100 0 0 10 0";
        assert_eq!(of(six), Some(("[::1]:80".to_owned(), 77)));
        let mapped = six.replace("00000000000000000000000001000000", "0000000000000000FFFF00000100007F");
        assert_eq!(of(&mapped), Some(("127.0.0.1:80".to_owned(), 77)));
        let of = |line: &str| unix_line(line).map(|l| (l.address.to_string(), l.inode));
        assert_eq!(
            of("00000000c725cc98: 00000002 00000000 00010000 0001 01  1070 /run/a b.sock"),
            Some(("unix:/run/a b.sock".to_owned(), 1070))
        );
        assert_eq!(of("00000000c725cc98: 00000002 00000000 00010000 0001 01  1070 @abs"), Some(("unix:@abs".to_owned(), 1070)));
        let padded = format!("00000000c725cc98: 00000002 00000000 00010000 0001 01  1070 @abs{}", "@".repeat(SUN_PATH - 4));
        assert_eq!(of(&padded), Some(("unix:@abs".to_owned(), 1070)));
        for other in [
            "00000000c725cc98: 00000003 00000000 00000000 0001 03  1070",
            "00000000c725cc98: 00000002 00000000 00010000 0005 01  1070 /x",
            "",
            "a b",
        ] {
            assert_eq!(of(other), None, "{other:?}");
        }
        for hostile in ["", ":", "0: zz:zz x 0A 0 0 0 0 0 1", "0: \u{e9}\u{e9}\u{e9}\u{e9}:0 x 0A 0 0 0 0 0 1"] {
            assert_eq!(inet_line(hostile), None, "{hostile:?}");
        }
    }

    #[test]
    fn the_overflow_count_is_found_by_name() {
        assert_eq!(overflows("TcpExt: A ListenOverflows B\nTcpExt: 1 42 3\nIpExt: X\nIpExt: 1\n"), Some(42));
        assert_eq!(overflows("TcpExt: A B\nTcpExt: 1 2\n"), None);
        assert_eq!(overflows(""), None);
    }
}
