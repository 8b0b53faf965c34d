//! What sets one instance of a gateway apart: the namespaces in which it runs, and processes of it that a reload left behind.

use serde::{Deserialize, Serialize};

use super::Address;

/// A process that was replaced by a reload, and still serves what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldWorker {
    /// Its process id.
    pub pid: u32,
    /// When it started, in seconds since the Unix epoch.
    pub since: Option<i64>,
}

/// Namespaces of this host, other than its own, in which a gateway runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// What they are called: [`Address::place`] of what the gateway listens on and connects to, where that is another than the
    /// host's.
    pub place: String,
    /// Whether its network is another.
    pub net: bool,
    /// Whether its files are others: then they lie below `/proc/PID/root`.
    pub files: bool,
    /// Words that stand before a command for a person to run it there: `docker exec web`.
    pub enter: Vec<String>,
    /// Ports of the host that lead to it: address on the host, port there.
    #[serde(default)]
    pub published: Vec<(Address, u16)>,
}

impl Inside {
    /// Whether an address, as it is written there, is another than it is here.
    pub fn differs(&self, address: &Address) -> bool {
        match address {
            Address::Tcp(_) => self.net,
            // An abstract socket belongs to the network, one with a path to the files (unix(7)).
            Address::Unix(path) if path.as_os_str().as_encoded_bytes().starts_with(b"@") => self.net,
            Address::Unix(_) => self.files,
            Address::Name(..) => self.net || self.files,
            Address::Inside(..) => false,
        }
    }
}
