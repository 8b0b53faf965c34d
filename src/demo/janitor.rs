//! Removes the demo's directory when everybody has gone: the one child that outlives a starter that was killed.

use std::{fs, io, path::Path, process::ExitCode, time::Duration};

use super::{lifeline, place};

/// How often the removal is tried: another child may just be making its last file.
const TRIES: u32 = 100;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Waits for the end of the starter, and removes the directory.
pub(super) fn serve(dir: &Path) -> ExitCode {
    // Nothing but a directory that this program made may ever be removed.
    if !place::is_ours(dir) {
        return ExitCode::FAILURE;
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return ExitCode::FAILURE };
    runtime.block_on(async {
        let _ = lifeline::end_of(io::stdin()).await;
        for _ in 0..TRIES {
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => tokio::time::sleep(PAUSE).await,
                Ok(()) | Err(_) => return ExitCode::SUCCESS,
            }
        }
        ExitCode::FAILURE
    })
}
