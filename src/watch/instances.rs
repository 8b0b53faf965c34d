//! Another console of the same user on this host: it is said, and both together send no more than one would.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    model::{BlindSpot, Observation},
    sys::{Others, Outbox, instances},
};

/// The source of what is said of it.
const SOURCE: &str = "another why502";

/// Looks for other consoles and tells of them, until cancelled. `count`: how many there are.
pub async fn run(count: watch::Sender<u8>, outbox: Outbox, cancel: CancellationToken) {
    let (sender, mut others) = watch::channel(Others::default());
    let told = async {
        let mut said = Others::default();
        while others.changed().await.is_ok() {
            let now = *others.borrow_and_update();
            count.send_replace(now.count);
            if now == said {
                continue;
            }
            said = now;
            let observation = if now.count == 0 {
                Observation::Seen { source: SOURCE.to_owned() }
            } else {
                let pid = now.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
                let shares = u32::from(now.count) + 1;
                Observation::Blind(BlindSpot {
                    source: SOURCE.to_owned(),
                    reason: format!("another console of yours runs here{pid}: each probes at 1/{shares} of the rate"),
                    remedy: "close one of them, and the other probes at the full rate".to_owned(),
                })
            };
            if !outbox.tell(observation).await {
                return;
            }
        }
    };
    tokio::select! {
        () = cancel.cancelled() => {}
        () = async { tokio::join!(instances(sender), told) ; } => {}
    }
}
