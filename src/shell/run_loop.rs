//! The loop of the console: one message at a time through `update`, a frame when something changed and the terminal is free.
//!
//! It runs in tests as it runs on a host: input is a stream, the backend is ratatui's, time is tokio's.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use ratatui::{Terminal, backend::Backend};
use tokio::time::{Instant, MissedTickBehavior};

use super::pace::{Frame, Pace};
use crate::{
    app::{self, Effect, Event, Msg, State},
    catalog::Catalog,
    model::{Observation, SourceKind, Stage, Stamp},
    sys::Stamped,
    ui::{self, Ui},
};

/// How often time passes for the state: clocks on the screen show seconds.
const TICK: Duration = Duration::from_secs(1);
/// Observations taken in before the terminal and the keys have their turn, and for how long.
const BATCH: usize = 64;
const BATCH_TIME: Duration = Duration::from_millis(2);

/// What comes from the person, the terminal and the system.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key.
    Key(crossterm::event::KeyEvent),
    /// The terminal has another size now.
    Resize,
    /// Stop in the background.
    Stop,
    /// Continued after a stop.
    Resume,
    /// The terminal took a frame.
    Drawn,
    /// The terminal is gone, or a signal says so.
    End,
}

/// What comes from the host, or from a recording.
#[derive(Debug)]
pub enum Feed {
    /// An observation.
    Seen(Stamped),
    /// The knowledge is ready.
    Catalog(Arc<Catalog>),
}

/// What the loop needs from outside of it, besides what comes.
pub trait Ports {
    /// Now, for input and ticks.
    fn now(&self) -> Stamp;
    /// Carries an effect out. `Quit`, `Redraw` and `Suspend` are the loop's own and never come here.
    fn carry_out(&mut self, effect: &Effect);
    /// A key is about to be taken in. There for tests of what a defect does; a build for users has nothing here.
    fn pressed(&self) {}
    /// Whether the terminal can take a frame.
    fn can_draw(&self) -> bool;
    /// Stops in the background, and takes the terminal again afterwards.
    fn suspend(&mut self);
}

/// Runs until the person leaves or the terminal goes. `true`: the last screen is to stay.
pub async fn run_loop<B, P>(
    terminal: &mut Terminal<B>,
    ui: &Ui,
    state: &mut State,
    ports: &mut P,
    feed: impl Stream<Item = Feed>,
    input: impl Stream<Item = Input>,
) -> Result<bool, B::Error>
where
    B: Backend,
    P: Ports,
{
    // Fused: a recording ends, and the loop goes on.
    let (mut feed, mut input) = (std::pin::pin!(feed.fuse()), std::pin::pin!(input));
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    terminal.draw(|frame| ui::draw(state, ui, frame))?;
    let (mut pace, mut open) = (Pace::new(Instant::now()), true);
    loop {
        let mut effects = Vec::new();
        tokio::select! {
            biased;
            given = input.next() => match given {
                Some(Input::Key(key)) => {
                    ports.pressed();
                    if let Some(action) = ui::keymap::action(state, ui, terminal.size()?, key) {
                        effects = app::update(state, Event { at: ports.now(), msg: Msg::Act(action) });
                        pace.key();
                    }
                }
                Some(Input::Resize) => {
                    terminal.autoresize()?;
                    // Also when the size is the old one again: between two resizes the terminal cut off what did not fit.
                    terminal.clear()?;
                    pace.key();
                }
                Some(Input::Stop) => effects.push(Effect::Suspend),
                Some(Input::Resume) => effects.push(Effect::Redraw),
                Some(Input::Drawn) => {}
                Some(Input::End) | None => return Ok(false),
            },
            fed = feed.next(), if open => {
                let began = Instant::now();
                let mut news = false;
                match fed {
                    Some(fed) => news |= take(state, fed, ports.now(), &mut effects),
                    None => open = false,
                }
                // Under a flood the rest of what is there is taken in one go, and drawn once.
                for _ in 1..BATCH {
                    if began.elapsed() >= BATCH_TIME {
                        break;
                    }
                    let Some(Some(fed)) = feed.next().now_or_never() else { break };
                    news |= take(state, fed, ports.now(), &mut effects);
                }
                if news {
                    pace.news();
                }
            }
            _ = ticks.tick() => pace.news(),
            () = tokio::time::sleep_until(pace.due().unwrap_or_else(Instant::now)), if pace.due().is_some() && ports.can_draw() => {}
        }
        let frame = if ports.can_draw() { pace.frame(Instant::now()) } else { None };
        match frame {
            Some(Frame::Newest) => effects.extend(app::update(state, Event { at: ports.now(), msg: Msg::Tick })),
            Some(Frame::Answer) | None => {}
        }
        for effect in effects {
            match effect {
                Effect::Quit(keep) => return Ok(keep),
                Effect::Redraw => {
                    terminal.clear()?;
                    pace.key();
                }
                Effect::Suspend => {
                    ports.suspend();
                    terminal.clear()?;
                    pace.key();
                }
                Effect::Probe(_) | Effect::Find(_) | Effect::Follow(_) | Effect::Journal(_) | Effect::Copy(_) | Effect::Heal => {
                    ports.carry_out(&effect);
                }
            }
        }
        if frame.is_some() {
            terminal.draw(|frame| ui::draw(state, ui, frame))?;
        }
    }
}

/// Takes in what came. `true`: it is news, and worth a frame of its own; the rest is drawn with the next second, so that a
/// healthy host costs one frame a second whatever its collectors say.
fn take(state: &mut State, fed: Feed, now: Stamp, effects: &mut Vec<Effect>) -> bool {
    let (news, event) = match fed {
        Feed::Seen(stamped) => {
            (is_news(state, &stamped.observation), Event { at: stamped.at, msg: Msg::Observed(stamped.observation) })
        }
        Feed::Catalog(catalog) => (true, Event { at: now, msg: Msg::Catalog(catalog) }),
    };
    effects.extend(app::update(state, event));
    news
}

/// Whether an observation tells more than that everything goes on as it did.
fn is_news(state: &State, observation: &Observation) -> bool {
    match observation {
        Observation::Probe(report) => state.scene.history(&report.job).is_none_or(|known| known.last.outcome != report.outcome),
        Observation::Log(batch) => batch.lookback || batch.kind != SourceKind::Access || state.view.logs.lines,
        Observation::Load(_) => state.scene.loads.is_empty(),
        Observation::Done(Stage::Probes { round, .. }) => *round <= 1,
        Observation::Run(_)
        | Observation::End
        | Observation::Gateways(_)
        | Observation::Onset(_)
        | Observation::Listeners(_)
        | Observation::Sources(_)
        | Observation::Blind(_)
        | Observation::Seen { .. }
        | Observation::Dropped { .. }
        | Observation::Done(
            Stage::Gateways | Stage::ConfigTest | Stage::Listeners | Stage::Sources | Stage::Journal | Stage::Logs | Stage::Load,
        ) => true,
    }
}
