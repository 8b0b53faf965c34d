//! Loss that reaches the end, packets that are too large for the way, and local ports.

use super::Told;
use crate::model::RoundTrips;

/// From this share of packets on, as the lower end of the interval, loss is no accident.
const LOSS: f64 = 0.03;
/// The same of pings and connections together, where some of either are lost: each bears the other out.
const LOSS_OF_BOTH: f64 = 0.015;
/// Segments sent again from which on that is no accident.
const SENT_AGAIN: u64 = 3;
/// 95 % of the normal distribution.
const Z: f64 = 1.96;
/// Share of the ports that the kernel may take from which on a search for a free one fails: it does not try all of them.
const PORTS_HELD: f64 = 0.9;

/// The interval in which the share of lost packets lies with 95 % (Wilson).
fn lost(trips: RoundTrips) -> (f64, f64) {
    let n = f64::from(trips.sent.max(1));
    let share = f64::from(trips.sent.saturating_sub(trips.back)) / n;
    let middle = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}

fn range(low: f64, high: f64) -> String {
    format!("{:.0} to {:.0} %", low * 100.0, high * 100.0)
}

impl Told<'_> {
    pub(super) fn losses(&mut self, stalls: bool) {
        let view = self.view;
        if view.local {
            return;
        }
        let (low, high) = lost(view.knocks);
        let some = view.knocks.back > 0 && view.knocks.back < view.knocks.sent;
        // Those of a size that comes through are pings like others.
        let sized = view.sizes.iter().filter(|(_, _, back)| *back > 0);
        let (more, more_back) = sized.fold((0, 0), |(sent, came), (_, of, back)| (sent + of, came + back));
        let pings = view.pings.filter(|pings| pings.sent > 0 && pings.back > 0);
        let pings = pings.map(|pings| RoundTrips { sent: pings.sent + more, back: pings.back + more_back, ..pings });
        let both = pings.map(|pings| {
            let sum = RoundTrips { sent: pings.sent + view.knocks.sent, back: pings.back + view.knocks.back, ..pings };
            (pings, lost(pings), lost(sum))
        });
        match both {
            // Connections that all stand beside pings that are lost: somebody limits ICMP.
            Some((pings, of_pings, of_both))
                if some && (of_pings.0 >= LOSS || pings.back < pings.sent && of_both.0 >= LOSS_OF_BOTH) =>
            {
                let (low, high) = if of_pings.0 >= LOSS { of_pings } else { of_both };
                let text = format!(
                    "of {} pings to {} {} came back, and of {} connections {} stood at once: {} of the packets are lost",
                    pings.sent,
                    self.host_name(),
                    pings.back,
                    view.knocks.sent,
                    view.knocks.back,
                    range(low, high)
                );
                let fields = [("loss", range(low, high))];
                self.add("reach:lossy", text, "probe", fields);
            }
            _ if some && low >= LOSS => {
                let text =
                    format!("of {} connections to {} {} stood within 0.7 s", view.knocks.sent, self.subject.0, view.knocks.back);
                self.add("reach:connects-lost", text, "probe", [("loss", range(low, high))]);
            }
            _ => {}
        }
        self.sent_again();
        let largest = view.sizes.first();
        let passing = view.sizes.iter().filter(|(_, sent, back)| back == sent).map(|(bytes, ..)| *bytes).max();
        if let (Some((bytes, sent, 0)), Some(mtu)) = (largest, passing)
            && *sent > 1
            && stalls
        {
            let text = format!(
                "packets of {bytes} bytes to {} are lost in silence, and those of {mtu} come back: the path's MTU is smaller than this host knows",
                self.host_name()
            );
            self.add("reach:mtu-black-hole", text, "probe", [("mtu", mtu.to_string()), ("bytes", bytes.to_string())]);
        }
    }

    /// What open connections had to send again: the kernel's own count, of the gateway's connections, too.
    fn sent_again(&mut self) {
        let Some(sockets) = self.view.sockets.filter(|sockets| sockets.connections > 0) else { return };
        let trips = |again: u64| {
            let sent = u32::try_from(sockets.segments).unwrap_or(u32::MAX);
            RoundTrips { sent, back: sent.saturating_sub(u32::try_from(again).unwrap_or(u32::MAX)), ..RoundTrips::default() }
        };
        let (low, high) = lost(trips(sockets.again));
        if low < LOSS_OF_BOTH || sockets.again < SENT_AGAIN {
            return;
        }
        let gateways = match sockets.gateways_again {
            0 => String::new(),
            again => format!(", {again} of them by the gateway"),
        };
        let text = format!(
            "{} of {} segments ({:.0} %) on {} open connections to {} had to be sent again{gateways}",
            sockets.again,
            sockets.segments,
            sockets.again as f64 * 100.0 / sockets.segments.max(1) as f64,
            sockets.connections,
            self.subject.0
        );
        self.add("reach:sent-again", text, "socket table (TCP_INFO)", [("loss", range(low, high))]);
    }

    pub(super) fn ports(&mut self) {
        let Some(ports) = self.view.ports else { return };
        let to = &self.subject.0;
        if f64::from(ports.held) >= f64::from(ports.range) * PORTS_HELD {
            let text = format!(
                "{} of {} local ports are held by connections to {to}, {} of them in TIME_WAIT",
                ports.held, ports.range, ports.waiting
            );
            self.add(
                "reach:ports-exhausted",
                text,
                "socket table",
                [("held", ports.held.to_string()), ("range", ports.range.to_string())],
            );
        } else {
            let text = format!("only {} of {} local ports are held by connections to {to}", ports.held, ports.range);
            self.add("reach:ports-free", text, "socket table", []);
        }
    }
}
