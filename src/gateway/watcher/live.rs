//! What gateways that run say of themselves: when they are asked, and what of it is new.

use std::time::Duration;

use super::{ALL, Deaf, Watcher, inside};
use crate::model::{BlindSpot, Gateway, Observation};

/// What the names of blind spots about a gateway's live state end with.
pub(super) const LIVE_SOURCE: &str = "'s own view of its servers";
/// How long a gateway may take to tell of itself.
const LIVE_DEADLINE: Duration = Duration::from_secs(1);
/// Milliseconds from one question to the next while all of its servers serve, and while one does not: as probes are made.
pub(super) const LIVE_CALM_MS: u64 = 10_000;
const LIVE_FAILING_MS: u64 = 2_000;

impl Watcher {
    /// Asks gateways that run about themselves, and tells what is new.
    pub(super) async fn live(&mut self) -> Result<(), Deaf> {
        self.asked_ms = self.sys.clock.now().run_ms;
        let running: Vec<Gateway> = self.told.iter().flatten().filter(|gateway| gateway.running()).cloned().collect();
        let mut again = LIVE_CALM_MS;
        for gateway in &running {
            let Some(kind) = ALL.iter().find(|kind| kind.id() == gateway.kind) else { continue };
            let source = format!("{}{LIVE_SOURCE}", gateway.kind);
            let Some(sys) = self.seen_by(gateway) else { continue };
            match tokio::time::timeout(LIVE_DEADLINE, kind.live(&sys, gateway)).await {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(mut state))) => {
                    inside::translate_live(gateway, &mut state);
                    if state.servers.iter().any(|server| !server.health.serves() || server.queued > 0) {
                        again = LIVE_FAILING_MS;
                    }
                    self.seen(&source).await?;
                    let known = self.lives.iter().position(|known| known.is_of(gateway));
                    if known.is_none_or(|at| self.lives[at] != state) {
                        self.lives.retain(|known| !known.is_of(gateway));
                        self.lives.push(state.clone());
                        self.tell(Observation::Live(Box::new(state))).await?;
                    }
                }
                Ok(Err(spot)) => self.spot(BlindSpot { source, ..spot }).await?,
                Err(_) => {
                    let reason = format!("it did not answer within {} s", LIVE_DEADLINE.as_secs());
                    self.spot(BlindSpot { source, reason, remedy: "ask it by hand".to_owned() }).await?;
                }
            }
        }
        self.lives.retain(|known| running.iter().any(|gateway| known.is_of(gateway)));
        self.ask_again_ms = again;
        Ok(())
    }
}
