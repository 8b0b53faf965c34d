//! `why502 replay`: the console over a recording. Nothing of the host is looked at.

use std::time::Duration;

use futures_util::stream;

use super::{console, record::Recording, run_loop::Feed};
use crate::{
    app::{Options, State},
    catalog::Catalog,
    cli::Replay,
    model::{BlindSpot, Observation},
    sys::{Clock, Stamped},
    ui,
};

/// The longest pause between two observations: nobody wants to watch a quiet hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs it. The value is the exit status.
pub fn run(replay: &Replay) -> anyhow::Result<u8> {
    let recording = Recording::read(&replay.record)?;
    console::require_terminal()?;
    let catalog = std::sync::Arc::new(Catalog::embedded()?);
    let mut state = State::new(Options::default(), ui::first_pane());
    let damage = damage(&recording);
    let speed = replay.speed;
    let mut last = recording.seen.first().map_or(0, |stamped| stamped.at.run_ms);
    let begin = recording.seen.first().map_or(0, |stamped| stamped.at.wall_ms);
    let paced = damage.into_iter().chain(recording.seen).map(move |stamped| {
        let pause = Duration::from_millis(stamped.at.run_ms.saturating_sub(last)) / speed;
        last = last.max(stamped.at.run_ms);
        (pause.min(LONGEST_PAUSE), stamped)
    });
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(async {
        let seen = stream::unfold(paced, |mut paced| async move {
            let (pause, stamped) = paced.next()?;
            tokio::time::sleep(pause).await;
            Some((Feed::Seen(stamped), paced))
        });
        let feed = futures_util::StreamExt::chain(stream::iter([Feed::Catalog(catalog)]), seen);
        console::on_terminal(replay.ascii, &mut state, Clock::starting_at(begin), None, feed).await
    });
    runtime.shutdown_background();
    outcome.map(|()| 0)
}

/// What of the recording was lost, as a blind spot.
fn damage(recording: &Recording) -> Option<Stamped> {
    let (number, why) = recording.damaged.first()?;
    let at = recording.seen.first().map(|stamped| stamped.at).unwrap_or_default();
    let reason = format!("{} lines are damaged, the first is line {number}: {why}", recording.damaged.len());
    let remedy = "the others are shown; a recording that was cut off ends early".to_owned();
    Some(Stamped { at, observation: Observation::Blind(BlindSpot { source: "recording".to_owned(), reason, remedy }) })
}
