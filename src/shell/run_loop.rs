//! The loop of the console: one message at a time through `update`, a frame when something changed and the terminal is free.
//!
//! It runs in tests as it runs on a host: input is a stream, the backend is ratatui's, time is tokio's.

use std::{collections::VecDeque, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{FutureExt as _, Stream, StreamExt as _};
use ratatui::{Terminal, backend::Backend, buffer::Buffer, layout::Rect};
use tokio::{sync::mpsc, time::Instant};

use super::{
    pace::{Frame, Pace},
    papers,
};
use crate::{
    app::{self, Action, Effect, Event, Hand, Msg, Paper, State, Told},
    catalog::Catalog,
    model::Stamp,
    report,
    sys::Stamped,
    ui::{self, Ui},
};

/// How often time passes for the state: clocks on the screen show seconds.
pub(super) const TICK: Duration = Duration::from_secs(1);
/// Ticks over which the bytes for the terminal are counted.
const SENT_TICKS: usize = 11;
/// How long after the end of an editor a signal may still be one that was meant for it.
const OVERTAKEN: Duration = Duration::from_millis(500);
/// Observations taken in before the terminal and the keys have their turn, and for how long.
const BATCH: usize = 64;
const BATCH_TIME: Duration = Duration::from_millis(2);

/// What comes from the person, the terminal and the system.
#[derive(Debug, Clone)]
pub enum Input {
    /// A key.
    Key(crossterm::event::KeyEvent),
    /// A line was typed, where lines are read.
    Line(String),
    /// The mouse.
    Mouse(crossterm::event::MouseEvent),
    /// Something was pasted.
    Paste(String),
    /// The terminal has another size now.
    Resize,
    /// Stop in the background.
    Stop,
    /// Continued after a stop.
    Resume,
    /// The terminal took a frame.
    Drawn,
    /// SIGINT or SIGQUIT: the end, unless an editor has the terminal, whose keys they come from (system(3) ignores them, too).
    Interrupt,
    /// The editor has ended, or could not be started.
    Edited(Result<(), String>),
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
    /// What was asked for is done.
    Told(Told),
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
    /// Bytes that went to the terminal so far. `None`: nobody counts them.
    fn sent(&self) -> Option<u64> {
        None
    }
    /// A second is over.
    fn beat(&self) {}
    /// Tells when the next second is over: behind the others who look once a second, so that a frame shows what they saw.
    fn second(&self) -> Box<dyn Fn() -> Instant + Send> {
        Box::new(|| Instant::now() + TICK)
    }
    /// Stops in the background, and takes the terminal again afterwards.
    fn suspend(&mut self);
    /// Writes papers to files; `begin` is what their names begin with.
    fn export(&mut self, begin: String, papers: Vec<(&'static str, String)>);
    /// Lends the terminal to the operator's editor; its end comes as [`Input::Edited`].
    fn edit(&mut self, file: PathBuf, line: u32);
    /// Whether an editor has the terminal, or its end was not taken in yet.
    fn lent(&self) -> bool;
    /// The end of an editor is taken in.
    fn returned(&mut self) {}
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
    let mut ticks = ticks(ports.second());
    let mut shown = Shown::default();
    shown.draw(terminal, ui, state, false)?;
    let (mut pace, mut open, mut sent) = (Pace::new(Instant::now()), true, Sent::default());
    let mut returned: Option<Instant> = None;
    loop {
        let mut effects = Vec::new();
        let mut second = false;
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
                Some(Input::Paste(text)) => {
                    effects = app::update(state, Event { at: ports.now(), msg: Msg::Act(Action::Pasted(text)) });
                    pace.key();
                }
                // After an editor everything is drawn anew.
                Some(Input::Interrupt | Input::Resize) if ports.lent() => {}
                // Meant for the editor, and overtaken by its end.
                Some(Input::Interrupt) if returned.is_some_and(|at| at.elapsed() < OVERTAKEN) => {}
                Some(Input::Resize) => {
                    terminal.autoresize()?;
                    // Also when the size is the old one again: between two resizes the terminal cut off what did not fit.
                    terminal.clear()?;
                    pace.key();
                }
                Some(Input::Stop) => effects.push(Effect::Suspend),
                Some(Input::Resume) => effects.push(Effect::Redraw),
                Some(Input::Edited(how)) => {
                    returned = Some(Instant::now());
                    ports.returned();
                    effects = app::update(state, Event { at: ports.now(), msg: Msg::Told(Told::Edited(how)) });
                    terminal.autoresize()?;
                    terminal.clear()?;
                    pace.key();
                }
                Some(Input::Mouse(event)) => {
                    if let Some(action) = ui::keymap::mouse(state, ui, terminal.size()?, event) {
                        effects = app::update(state, Event { at: ports.now(), msg: Msg::Act(action) });
                        pace.key();
                    }
                }
                Some(Input::Drawn | Input::Line(_)) => {}
                Some(Input::Interrupt | Input::End) | None => return Ok(false),
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
            Some(()) = ticks.recv() => {
                second = true;
                state.terminal_bytes = sent.a_second(ports.sent());
                pace.news();
            }
            () = tokio::time::sleep_until(pace.due().unwrap_or_else(Instant::now)), if pace.due().is_some() && ports.can_draw() => {}
        }
        let frame = if pace.due().is_some() && ports.can_draw() { pace.frame(Instant::now()) } else { None };
        let assessed_ms = state.assessed_ms;
        match frame {
            Some(Frame::Newest) => effects.extend(app::update(state, Event { at: ports.now(), msg: Msg::Tick })),
            Some(Frame::Answer) | None => {}
        }
        shown.outdated |= !second || state.assessed_ms != assessed_ms || !effects.is_empty();
        match perform(effects, state, ports) {
            After::Leave { keep } => return Ok(keep),
            After::Wipe => {
                terminal.clear()?;
                pace.key();
            }
            After::Go => {}
        }
        // Not on the screen of an editor that was opened just now.
        if frame.is_some() && !ports.lent() {
            shown.draw(terminal, ui, state, second)?;
        }
        if second {
            // Behind the frame: what this wakes works while this thread sleeps, and neither waits for the other's memory.
            ports.beat();
        }
    }
}

/// What stands on the screen. Where nothing came since but a second, only its clock is drawn, every other time: the rest costs a healthy host
/// more than all that is looked at on it, and tells ages in seconds.
#[derive(Debug, Default)]
struct Shown {
    /// The last frame, where it was drawn whole for a second: what a key or the host asked for is not held up by a copy. Empty: another one was.
    whole: Buffer,
    outdated: bool,
}

impl Shown {
    fn draw<B: Backend>(&mut self, terminal: &mut Terminal<B>, ui: &Ui, state: &State, second: bool) -> Result<(), B::Error> {
        let still = !std::mem::take(&mut self.outdated) && self.whole.area.as_size() == terminal.size()?;
        self.whole.area = Rect::default();
        if still {
            terminal.draw(|frame| ui::draw_clock(state, ui, &mut self.whole, frame))?;
            return Ok(());
        }
        let drawn = terminal.draw(|frame| ui::draw(state, ui, frame))?;
        if second {
            self.whole.content.clone_from(&drawn.buffer.content);
            self.whole.area = drawn.buffer.area;
        }
        Ok(())
    }
}

/// A tick at each of these moments, as long as somebody listens; those that nobody took in are one. The timer is that of the thread that
/// waits for all of them: set from another thread, each would wake it up to hear of it.
pub(super) fn ticks(second: Box<dyn Fn() -> Instant + Send>) -> mpsc::Receiver<()> {
    let (tell, ticks) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep_until(second()).await;
            if tell.send(()).await.is_err() {
                return;
            }
        }
    });
    ticks
}

/// What is left to do after effects were carried out.
pub(super) enum After {
    /// Nothing.
    Go,
    /// Draw everything anew.
    Wipe,
    /// Leave; `keep`: the last screen stays.
    Leave { keep: bool },
}

/// What somebody takes who copies this paper.
pub(super) fn paper(state: &State, paper: Paper) -> String {
    match paper {
        Paper::Status => app::papers::status(state),
        Paper::Report | Paper::Ticket => report::as_markdown(&app::papers::document(state, paper, None)),
    }
}

/// Carries effects out, in their order.
pub(super) fn perform<P: Ports>(effects: Vec<Effect>, state: &mut State, ports: &mut P) -> After {
    let mut after = After::Go;
    for effect in effects {
        match effect {
            Effect::Quit(keep) => return After::Leave { keep },
            Effect::Redraw => after = After::Wipe,
            Effect::Suspend => {
                ports.suspend();
                after = After::Wipe;
            }
            Effect::Hand(Hand::Export) => {
                let (begin, papers) = papers::all(state);
                ports.export(begin, papers);
            }
            Effect::Hand(Hand::Copy(which)) => {
                let text = paper(state, which);
                state.view.message = Some((ports.now(), format!("the {} is copied to the terminal's clipboard", which.name())));
                ports.carry_out(&Effect::Copy(text));
            }
            Effect::Copy(text) => ports.carry_out(&Effect::Copy(state.handed_over(text))),
            Effect::Edit { file, line } => ports.edit(file, line),
            Effect::Probe(_)
            | Effect::Find(_)
            | Effect::Follow(_)
            | Effect::Journal(_)
            | Effect::Keep(_)
            | Effect::LookBack(_)
            | Effect::Speed(_)
            | Effect::Vantage(_)
            | Effect::ReadVantage(_)
            | Effect::Mouse(_)
            | Effect::Heal => ports.carry_out(&effect),
        }
    }
    after
}

/// What went to the terminal at the last ticks.
#[derive(Debug, Default)]
struct Sent(VecDeque<u64>);

impl Sent {
    /// Bytes a second over the last ticks, with what is out by now.
    fn a_second(&mut self, now: Option<u64>) -> Option<u64> {
        self.0.push_back(now?);
        if self.0.len() > SENT_TICKS {
            self.0.pop_front();
        }
        let seconds = (self.0.len() as u64 - 1) * TICK.as_secs();
        self.0.front().zip(self.0.back()).and_then(|(first, last)| last.saturating_sub(*first).checked_div(seconds))
    }
}

/// Takes in what came. `true`: it is news, and worth a frame of its own; the rest is drawn with the next second, so that a
/// healthy host costs one frame a second whatever its collectors say.
pub(super) fn take(state: &mut State, fed: Feed, now: Stamp, effects: &mut Vec<Effect>) -> bool {
    let (news, event) = match fed {
        Feed::Seen(stamped) => {
            (app::is_news(state, &stamped.observation), Event { at: stamped.at, msg: Msg::Observed(stamped.observation) })
        }
        Feed::Catalog(catalog) => (true, Event { at: now, msg: Msg::Catalog(catalog) }),
        Feed::Told(told) => (true, Event { at: now, msg: Msg::Told(told) }),
    };
    effects.extend(app::update(state, event));
    news
}
