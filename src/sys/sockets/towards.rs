//! Local ports that connections to one address hold.

use std::{collections::BTreeMap, io, net::SocketAddr, ops::RangeInclusive, time::Duration};

use netlink_packet_sock_diag::{
    AF_INET, AF_INET6, IPPROTO_TCP, SockDiagMessage,
    inet::{ExtensionFlags, InetRequest, SocketId, StateFlags},
};

use super::{DEADLINE, PARTS, aside, dump};
use crate::{model::PortUse, sys::Root};

/// linux/tcp.h: TCP_TIME_WAIT.
const TIME_WAIT: u8 = 6;
/// What the kernel takes ports from where it does not say (ip(7)).
const RANGE: RangeInclusive<u16> = 32_768..=60_999;

/// How many of the ports that the kernel may take are held by connections to this address. `None`: the sockets cannot be listed.
pub async fn towards(root: &Root, to: SocketAddr) -> Option<PortUse> {
    let range = range(&root.text("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default()).unwrap_or(RANGE);
    let reserved = reserved(&root.text("/proc/sys/net/ipv4/ip_local_reserved_ports").unwrap_or_default(), &range);
    let wanted = range.clone();
    let look = aside(move || held(to, &wanted));
    let held = tokio::time::timeout(DEADLINE.min(Duration::from_secs(1)), look).await.ok()??.ok()?;
    let total = u32::from(*range.end()) + 1 - u32::from(*range.start());
    let waiting = held.values().filter(|state| **state == TIME_WAIT).count();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Some(PortUse { range: total.saturating_sub(reserved), held: count(held.len()), waiting: count(waiting) })
}

/// The ports in the range that connections to this address hold, with the state of each.
fn held(to: SocketAddr, range: &RangeInclusive<u16>) -> io::Result<BTreeMap<u16, u8>> {
    let mut held = BTreeMap::new();
    let mut take = |message: SockDiagMessage| {
        if let SockDiagMessage::InetResponse(answer) = message {
            let id = &answer.header.socket_id;
            let same = id.destination_port == to.port() && id.destination_address.to_canonical() == to.ip().to_canonical();
            if same && range.contains(&id.source_port) {
                held.insert(id.source_port, answer.header.state);
            }
        }
    };
    let mut states = StateFlags::all();
    states.remove(StateFlags::LISTEN | StateFlags::CLOSE);
    for (family, mut socket_id) in [(AF_INET, SocketId::new_v4()), (AF_INET6, SocketId::new_v6())] {
        // The kernel lists none of another port (net/ipv4/inet_diag.c).
        socket_id.destination_port = to.port();
        let request =
            InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states: states.clone(), socket_id };
        match dump(SockDiagMessage::InetRequest(request), PARTS, &mut take) {
            Err(error) if family == AF_INET => return Err(error),
            // A kernel without IPv6.
            Ok(()) | Err(_) => {}
        }
    }
    Ok(held)
}

/// `32768 60999`, with a tab between.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut words = text.split_ascii_whitespace().map(str::parse::<u16>);
    let (low, high) = (words.next()?.ok()?, words.next()?.ok()?);
    (low <= high).then_some(low..=high)
}

/// `8080,9000-9010`: how many of them lie in the range.
fn reserved(text: &str, range: &RangeInclusive<u16>) -> u32 {
    let one = |part: &str| {
        let (low, high) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        let (low, high) = (low.parse::<u16>().ok()?.max(*range.start()), high.parse::<u16>().ok()?.min(*range.end()));
        (low <= high).then(|| u32::from(high) - u32::from(low) + 1)
    };
    text.split(',').filter_map(one).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_kernel_writes_them() {
        assert_eq!(range("32768\t60999\n"), Some(32_768..=60_999));
        assert_eq!((range(""), range("9 1"), range("x y")), (None, None, None));
        assert_eq!(reserved("1-10,105,110-120,65000\n", &(100..=115)), 7);
        assert_eq!(reserved("\n", &(1..=9)), 0);
    }

    #[tokio::test]
    async fn connections_to_one_address_are_counted() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listener");
        let at = listener.local_addr().expect("address");
        let _held: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(at).expect("connection")).collect();
        let used = towards(&Root::host(), at).await.expect("sockets");
        assert_eq!((used.held, used.waiting), (5, 0));
        assert!(used.range > 100);
    }
}
