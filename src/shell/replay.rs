//! `why502 replay`: the console over a recording. Nothing of the host is looked at.

use std::time::Duration;

use futures_util::stream;

use super::{console, record::Recording, run_loop::Feed};
use crate::{
    app::{Options, State},
    catalog::Catalog,
    cli::Replay,
    sys::Clock,
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
    let damage = recording.damage();
    let speed = replay.speed;
    let mut last = recording.begin().run_ms;
    let begin = recording.begin().wall_ms;
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
