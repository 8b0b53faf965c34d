//! `why502 replay`: the console over a recording. Nothing of the host is looked at.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::sync::watch;

use super::{
    console, knowledge,
    live::{Session, on_terminal},
    past::Past,
    record::Recording,
    run_loop::Feed,
    settings::{self, Settings},
};
use crate::{
    app::{Options, State},
    cli::Replay,
    model::Observation,
    sys::{Clock, Stamped},
    ui,
};

/// The longest pause between two observations: nobody wants to watch a quiet hour.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Runs it. The value is the exit status.
pub fn run(replay: &Replay) -> anyhow::Result<u8> {
    let recording = Recording::read(&replay.record)?;
    let settings = Settings::read(&replay.look);
    console::require_terminal(&settings.look)?;
    let catalog = std::sync::Arc::new(knowledge::told()?);
    let mut state = State::new(Options::default(), ui::first_pane());
    let damage = recording.damage();
    state.options.speed = Some(replay.speed);
    state.options.mask = settings.look.hide_addresses.then(settings::mask);
    let (speed, paces) = watch::channel(replay.speed);
    let mut last = recording.begin().run_ms;
    let begin = recording.begin().wall_ms;
    let all: Arc<[Stamped]> = recording.seen.into();
    let shown = Arc::clone(&all);
    let seen = (0..shown.len()).filter_map(move |index| shown.get(index).cloned());
    let paced = damage.into_iter().chain(seen).map(move |stamped| {
        if matches!(stamped.observation, Observation::Run(_)) {
            // A run that went on with the recording: nobody wants to watch the time in between.
            last = stamped.at.run_ms;
        }
        let pause = Duration::from_millis(stamped.at.run_ms.saturating_sub(last));
        last = last.max(stamped.at.run_ms);
        (pause, stamped)
    });
    super::threads_can_be_had()?;
    let screen = super::of_screen()?;
    let outcome = screen.block_on(async {
        let seen = stream::unfold((paced, paces), |(mut paced, mut paces)| async move {
            let (pause, stamped) = paced.next()?;
            wait(pause, &mut paces).await;
            Some((Feed::Seen(stamped), (paced, paces)))
        });
        let feed = stream::iter([Feed::Catalog(catalog)]).chain(seen);
        let session = Session {
            settings,
            clock: Clock::starting_at(begin),
            control: None,
            recorder: None,
            past: Past::Memory(all),
            rights: None,
            speed: Some(speed),
        };
        on_terminal(session, &mut state, feed.boxed_local()).await
    });
    screen.shutdown_background();
    outcome.map(|()| 0)
}

/// Waits as long as it took, divided by the speed; one that is changed meanwhile holds from then on.
async fn wait(pause: Duration, paces: &mut watch::Receiver<u32>) {
    loop {
        let speed = *paces.borrow_and_update();
        let waited = async {
            match speed {
                0 => std::future::pending().await,
                speed => tokio::time::sleep((pause / speed).min(LONGEST_PAUSE)).await,
            }
        };
        tokio::select! {
            () = waited => return,
            // Whoever could change it has left.
            changed = paces.changed() => if changed.is_err() { return },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_speed_can_be_changed_and_the_recording_held() {
        let (speed, mut paces) = watch::channel(10);
        let began = tokio::time::Instant::now();
        wait(Duration::from_secs(5), &mut paces).await;
        assert_eq!(began.elapsed(), Duration::from_millis(500));
        wait(Duration::from_hours(10), &mut paces).await;
        assert_eq!(began.elapsed(), Duration::from_millis(1_500), "nobody watches a quiet hour");
        speed.send_replace(0);
        let later = async {
            tokio::time::sleep(Duration::from_mins(1)).await;
            speed.send_replace(1);
        };
        tokio::join!(wait(Duration::from_millis(100), &mut paces), later);
        assert_eq!(began.elapsed(), Duration::from_millis(61_600), "held until it went on");
    }
}
