//! What `shell/` tells of what it was asked for: the recording, and everything that takes its time.

use super::State;
use crate::diagnose::Scene;

/// Whether this run is recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Recording {
    /// It is not, and nobody wanted it to be: a replay, the demo.
    #[default]
    Off,
    /// It is, in this file.
    Kept(String),
    /// It is not, for this reason.
    Refused(String),
}

/// An answer.
#[derive(Debug, Clone)]
pub enum Told {
    /// The recording was begun, or could not be.
    Recording(Recording),
    /// What was known at a second of the past, or why that cannot be found out.
    Past(i64, Result<Box<Scene>, String>),
    /// The operator's editor has ended, or could not be started.
    Edited(Result<(), String>),
    /// A sentence for the person.
    Message(String),
    /// What happened in the run that this one goes on with.
    Resumed(Box<Scene>),
}

/// Bytes that a recording takes at most, in words.
pub const BOUND: &str = "64 MB";

/// Takes an answer in.
pub(super) fn take(state: &mut State, told: Told) {
    match told {
        Told::Recording(recording) => {
            let message = match &recording {
                Recording::Off => None,
                Recording::Kept(path) => {
                    let dir = path.rsplit_once('/').map_or(path.as_str(), |(dir, _)| dir);
                    Some(format!("recorded privately, at most {BOUND}, in {dir}; off: --no-record"))
                }
                Recording::Refused(why) => Some(format!("not recorded: {why}")),
            };
            if let Some(message) = message {
                state.view.message = Some((state.now, message));
            }
            state.recording = recording;
        }
        Told::Past(to, found) => super::past::arrived(state, to, found),
        Told::Edited(Ok(())) => {}
        Told::Edited(Err(message)) | Told::Message(message) => state.view.message = Some((state.now, message)),
        Told::Resumed(past) => {
            state.scene.resume(*past);
            state.stale = true;
        }
    }
}
