//! What a probe saw besides its outcome, as data: a certificate, the answers of name servers, the way to an address.
//!
//! To add one: a file here with its struct, and a variant of [`View`]. `diagnose/facts/` turns it into facts, `ui/` shows it.

mod keepalive;
mod names;
mod path;
mod reach;
mod tls;

use serde::{Deserialize, Serialize};

pub use keepalive::KeepaliveView;
pub use names::{HostsLine, NamesView, PeerSeen, ServerAnswer, ServerOf};
pub use path::{PathPart, PathView};
pub use reach::{Icmp, IcmpMeaning, KernelRoute, Neighbour, PortUse, REWRITE, ReachView, RoundTrips, RuleHit, SentAgain};
pub use tls::{CertView, TlsMisfit, TlsView, TrustFault, TrustFinding, TrustVerdict};

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// A TLS peer: chain, names, validity, version, what it asks for.
    Tls(Box<TlsView>),
    /// What each name server says of a name.
    Names(Box<NamesView>),
    /// How long an idle connection is kept.
    Keepalive(Box<KeepaliveView>),
    /// The way to a unix socket: owner, mode, list and label of each part.
    Path(Box<PathView>),
    /// The way to an address: route, neighbour, filters, path.
    Reach(Box<ReachView>),
}

impl View {
    /// For a person, line by line. Foreign text: sanitise before showing.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Tls(view) => view.lines(),
            Self::Names(view) => view.lines(),
            Self::Keepalive(view) => view.lines(),
            Self::Path(view) => view.lines(),
            Self::Reach(view) => view.lines(),
        }
    }
}
