//! Whose a log is: by the configuration of a gateway, or because its processes have it open under another name than is configured, as
//! after a rotation of which nobody told them.

use super::Scene;
use crate::model::{FoundLog, Gateway, LogPlace, SourceKind};

/// Whether this gateway writes the log of this id ([`crate::model::LogSource::id`]).
pub fn wrote(scene: &Scene, gateway: &Gateway, source: &str) -> bool {
    gateway.logs.iter().any(|log| log.is(source)) || opened(scene, gateway).any(|log| is(log, source))
}

/// The logs that processes of this gateway have open, and that its configuration does not name.
pub fn opened<'a>(scene: &'a Scene, gateway: &'a Gateway) -> impl Iterator<Item = &'a FoundLog> {
    let gateways = scene.sources.iter().filter(|log| matches!(log.kind, SourceKind::Error | SourceKind::Access));
    gateways.filter(move |log| log.serves.len() == 1 && log.serves.contains(&scene.named(gateway)))
}

fn is(log: &FoundLog, source: &str) -> bool {
    match &log.place {
        LogPlace::File(path) => path.to_str() == Some(source),
        // A unit's journal is of all that runs in it.
        LogPlace::Journal(_) => false,
    }
}
