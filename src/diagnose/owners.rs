//! Who listened where since we look: another process at the same place is a restart, however the application hides it.

use std::collections::BTreeMap;

use crate::model::{Address, ListenerTable, Stamp};

/// Addresses that are remembered: more than a host's gateways connect to.
const ADDRESSES: usize = 512;
/// Owners of each that are remembered, the latest ones.
const OWNERS: usize = 16;

/// A process that listened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// When it was first seen there.
    pub seen: Stamp,
    /// Its id.
    pub pid: u32,
    /// Its name, of its own choosing.
    pub name: String,
    /// When it started, in seconds since the Unix epoch.
    pub started: Option<i64>,
}

/// Who listened where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Owners {
    by_address: BTreeMap<Address, Vec<Owner>>,
}

impl Owners {
    /// Takes a table in.
    pub fn take(&mut self, at: Stamp, table: &ListenerTable) {
        for (listener, owner) in table.listeners.iter().filter_map(|listener| Some((listener, listener.owner.as_ref()?))) {
            if self.by_address.len() >= ADDRESSES && !self.by_address.contains_key(&listener.address) {
                continue;
            }
            let known = self.by_address.entry(listener.address.clone()).or_default();
            // With SO_REUSEPORT several listen at one place: one that is known is no news.
            if known.iter().any(|before| before.pid == owner.pid && before.started == owner.started) {
                continue;
            }
            if known.len() == OWNERS {
                known.remove(0);
            }
            known.push(Owner { seen: at, pid: owner.pid, name: owner.name.clone(), started: owner.started });
        }
    }

    /// Whether nobody was seen anywhere.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Those of one address, in the order in which they were first seen.
    pub fn of(&self, address: &Address) -> &[Owner] {
        self.by_address.get(address).map_or(&[], Vec::as_slice)
    }

    /// Those of one address that took the place of another: each was seen later than the one before, and started later.
    pub fn successors(&self, address: &Address) -> impl Iterator<Item = &Owner> {
        self.of(address)
            .windows(2)
            .filter(|pair| pair[1].seen > pair[0].seen && pair[1].started > pair[0].started)
            .map(|pair| &pair[1])
    }
}
