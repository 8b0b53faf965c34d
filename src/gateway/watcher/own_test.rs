//! The gateways' own tests of their configuration: when one is made, and when one of an earlier run still holds.

use std::time::Duration;

use super::{ALL, Deaf, TEST_SOURCE, Watcher, identity, inside, off_thread};
use crate::{
    gateway::fingerprint,
    model::{Address, BlindSpot, Command, ConfigTest, Gateway, Stamp, TESTED_EARLIER},
};

/// How long a gateway's own test may take in all: a configuration of thousands of certificates takes a second or two.
const TEST_DEADLINE: Duration = Duration::from_secs(5);
/// Seconds for which a test of an earlier run holds, although no file has changed: what a certificate's date or a module needs is
/// nobody's edit.
const HOLDS_S: i64 = 3_600;
/// The same where the configuration names hosts: whether they are found stands in no file.
const NAMES_HOLD_S: i64 = 300;

impl Watcher {
    /// Lets those gateways test their configuration that have not done so since it changed, and tells what is new.
    pub(super) async fn test(&mut self) -> Result<(), Deaf> {
        // Elsewhere the binary is none of this host's; and a test looks names up.
        if !self.sys.probing {
            return Ok(());
        }
        let mut gateways = self.told.clone().unwrap_or_default();
        for gateway in &mut gateways {
            let key = identity(gateway);
            if self.tests.contains_key(&key) {
                continue;
            }
            let Some(kind) = ALL.iter().find(|kind| kind.id() == gateway.kind) else { continue };
            self.tested_ms = self.sys.clock.now().run_ms;
            // Before it is made: what is written meanwhile makes it one of something else.
            let print = self.fingerprint(gateway).await;
            let known = print.and_then(|print| self.known(gateway, print));
            let anew = known.is_none();
            let test = match (known, self.seen_by(gateway)) {
                (Some(known), _) => Ok(known),
                (None, Some(sys)) => {
                    let made = tokio::time::timeout(TEST_DEADLINE, kind.test(&sys, gateway)).await;
                    made.unwrap_or_else(|_| Err(format!("it took longer than {} s", TEST_DEADLINE.as_secs())))
                }
                (None, None) => Err("the namespaces in which it runs could not be entered".to_owned()),
            };
            let test = test.map(|mut test| {
                inside::translate_test(gateway, &mut test);
                test
            });
            gateway.test = test.clone().ok();
            gateway.tested = print.filter(|_| anew && test.as_ref().is_ok_and(|test| test.passed));
            match &test {
                Ok(_) if self.tests.values().any(Result::is_err) => {}
                Ok(_) => self.seen(TEST_SOURCE).await?,
                Err(why) => {
                    let command = gateway.commands.get("test").cloned().and_then(Command::new);
                    let remedy = command.map_or_else(String::new, |command| format!("run it by hand, as root: {command}"));
                    self.spot(BlindSpot { source: TEST_SOURCE.to_owned(), reason: why.clone(), remedy }).await?;
                }
            }
            self.tests.insert(key, test);
        }
        self.gateways(gateways).await
    }

    /// What a test of this gateway is made of. `None`: it cannot be known again.
    async fn fingerprint(&self, gateway: &Gateway) -> Option<u64> {
        // Only who ends soon asks for what an earlier run found.
        self.overrides.known_tests.as_ref()?;
        if gateway.inside.is_some() {
            return None;
        }
        let (root, gateway, now) = (self.sys.root.clone(), gateway.clone(), self.sys.clock.now().wall_s());
        off_thread(move || fingerprint::of(&root, &gateway, now)).await.flatten()
    }

    /// What an earlier run found of the same.
    fn known(&self, gateway: &Gateway, print: u64) -> Option<ConfigTest> {
        let now = self.sys.clock.now().wall_s();
        let by_name = |address: &Address| matches!(address, Address::Name(..));
        let names = gateway.pools.iter().flat_map(|pool| &pool.servers).any(|server| by_name(&server.address))
            || gateway.sites.iter().flat_map(|site| &site.routes).flat_map(|route| &route.servers).any(|one| by_name(&one.address));
        let holds = if names { NAMES_HOLD_S } else { HOLDS_S };
        let known = self.overrides.known_tests.iter().flatten();
        let known = known.filter(|known| known.fingerprint == print && known.config == gateway.config);
        // A clock that was set back makes nothing young again.
        let at = known.map(|known| known.at).find(|at| (0..holds).contains(&now.saturating_sub(*at)))?;
        let when = Stamp { run_ms: 0, wall_ms: at.saturating_mul(1_000) }.utc();
        let message = format!("the test was successful at {when}{TESTED_EARLIER}");
        Some(ConfigTest { passed: true, message, at: None })
    }
}
