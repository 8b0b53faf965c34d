//! What was known at a moment of the past: the recording, folded up to it.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use super::record::Recording;
use crate::{diagnose::Scene, sys::Stamped};

/// Where the past of this run is kept.
#[derive(Debug, Clone)]
pub enum Past {
    /// In a file, as soon as it is there.
    File(Arc<Mutex<Option<PathBuf>>>),
    /// In memory: a recording that is replayed.
    Memory(Arc<[Stamped]>),
}

impl Past {
    /// What was known at this second since the Unix epoch. Reads the whole recording up to it: for a thread of its own.
    pub fn at(&self, second: i64) -> Result<Box<Scene>, String> {
        let mut scene = Box::<Scene>::default();
        let mut take = |stamped: &Stamped| {
            let still = stamped.at.wall_s() <= second;
            if still {
                scene.observe(stamped.at, stamped.observation.clone());
            }
            still
        };
        match self {
            Self::Memory(seen) => drop(seen.iter().try_for_each(|stamped| take(stamped).then_some(()))),
            Self::File(path) => {
                let path = path.lock().ok().and_then(|path| path.clone());
                let path = path.ok_or("the past is looked up in the recording, and this run is not recorded")?;
                Recording::each(&path, |stamped| take(&stamped)).map_err(|error| error.to_string())?;
            }
        }
        scene.now.wall_ms = scene.now.wall_ms.max(second.saturating_mul(1000));
        Ok(scene)
    }
}
