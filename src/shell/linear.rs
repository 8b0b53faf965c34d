//! `--linear`: the console as plain lines that are only ever appended, with a prompt. For screen readers, serial lines and links that are
//! too slow for a screen.
//!
//! The same state, the same messages and the same table of commands as on the screen ([`run_loop`](super::run_loop())); what is printed is what the
//! panes draw ([`crate::ui::linear`]). The terminal keeps its own line editing, echo, Ctrl-C and Ctrl-Z: nothing of it is taken over, so nothing has
//! to be given back. No byte moves the cursor and none colours.
//!
//! What changes by itself is told once and at the time: another verdict, another first broken hop, an edit that is not loaded, a word to
//! the person. Figures that go up and down are told when they are asked for.

mod reader;
mod typed;

use std::{io, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::Instant;

pub use self::reader::Lines;
use self::typed::typed;
use super::run_loop::{After, Feed, Input, Ports, paper, perform, take, ticks};
use crate::{
    app::{self, Effect, Event, Hand, Msg, State},
    model::{Stamp, Verdict},
    ui::{Ui, linear, pane},
};

/// Lines that are printed at once; more come with `more`.
const PAGE: usize = 20;
/// Columns below which no line is broken: who says that a terminal is narrower does not know.
const NARROW: u16 = 20;
/// The sign that something can be typed.
const SIGN: &str = "> ";
/// How long nothing new has to come before what is new is told: the first verdicts follow each other within a second.
const SETTLED: Duration = Duration::from_millis(400);

/// Which time is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Shown {
    #[default]
    Now,
    /// As it was when it was held still.
    Held,
    /// As it was at this second since the Unix epoch.
    Past(i64),
}

/// What was told of the state, so that it is told once.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Told {
    verdict: Option<(Verdict, bool, String)>,
    broken: Option<(String, String)>,
    reload: bool,
    paused: bool,
    shown: Shown,
}

impl Told {
    fn of(state: &State) -> Self {
        let assessment = &state.assessment;
        let cause = assessment.causes.first();
        let recovering = assessment.recovery.as_ref().is_some_and(|recovery| !recovery.clear());
        let cause = cause.map_or_else(String::new, |cause| format!("{} {} {}", cause.confidence.word(), cause.id, cause.subject));
        let known = assessment.verdict != Verdict::Unknown || app::first_pass_complete(state);
        let broken = assessment.hops.iter().find(|hop| hop.state == crate::model::HopState::Broken);
        Self {
            verdict: known.then_some((assessment.verdict, recovering, cause)),
            broken: broken.map(|hop| (hop.name.clone(), hop.outcome.clone())),
            reload: pane::not_reloaded(state),
            paused: state.paused,
            shown: match (&state.view.frozen, state.view.past) {
                (None, _) => Shown::Now,
                (Some(_), None) => Shown::Held,
                (Some(_), Some(past)) => Shown::Past(past),
            },
        }
    }
}

/// The person's end of it.
struct Page<'a> {
    ui: &'a Ui,
    columns: u16,
    out: String,
    /// The sign stands at the end of the last line.
    open: bool,
    /// What `more` goes on with.
    rest: Vec<String>,
    told: Told,
    said: Option<(Stamp, String)>,
}

impl Page<'_> {
    fn line(&mut self, text: &str) {
        if std::mem::take(&mut self.open) {
            self.out.push('\n');
        }
        for part in linear::broken(self.ui, text, self.columns) {
            self.out.push_str(&part);
            self.out.push('\n');
        }
    }

    /// Lines, as many as one listens to at once.
    fn lines(&mut self, mut all: Vec<String>) {
        let rest = all.split_off(all.len().min(PAGE));
        for text in &all {
            self.line(text);
        }
        if !rest.is_empty() {
            self.line(&format!("{} more lines: type more", rest.len()));
        }
        self.rest = rest;
    }

    fn prompt(&mut self, state: &State) {
        if !self.open {
            self.out.push_str(state.view.prompt.as_ref().map_or(SIGN, linear::asked));
            self.open = true;
        }
    }

    fn status(&mut self, state: &State) {
        for text in linear::status(state, self.ui) {
            self.line(&text);
        }
    }

    fn pane(&mut self, state: &State) {
        let Some(pane) = pane::by_id(state.view.focus) else { return };
        self.line(&linear::title(state, self.ui, pane));
        let number = |row: Option<usize>| row.map_or_else(|| "   ".to_owned(), |row| format!("{}. ", row + 1));
        let rows = linear::rows(state, self.ui, pane);
        self.lines(rows.into_iter().map(|listed| format!("{}{}", number(listed.row), listed.text)).collect());
    }

    fn row(&mut self, state: &State) {
        let Some(pane) = pane::by_id(state.view.focus) else { return };
        let keys = pane.rows(state);
        let at = pane::selected(state, pane, &keys);
        let rows = linear::rows(state, self.ui, pane);
        match rows.into_iter().find(|listed| listed.row == Some(at)) {
            Some(listed) => self.line(&format!("{}. {}", at + 1, listed.text)),
            None => self.line(&format!("{}.", at + 1)),
        }
    }

    /// What changed by itself since it was told last.
    fn news(&mut self, state: &State) {
        let now = Told::of(state);
        if now.shown != self.told.shown {
            self.line(match now.shown {
                Shown::Past(_) => "this is how it was; now comes back:",
                Shown::Held => "held still; freeze goes on:",
                Shown::Now => "now:",
            });
            self.status(state);
        }
        // Who looks at the past, or holds the view still, does not want to hear of now.
        if now.shown != Shown::Now {
            self.told.shown = now.shown;
            return;
        }
        let back = now.shown != self.told.shown;
        if !back && now.verdict.is_some() && (now.verdict != self.told.verdict || now.broken != self.told.broken) {
            self.line(&self.ui.clock_of(state));
            self.status(state);
        }
        if now.reload && !self.told.reload {
            self.line("the configuration on disk is not loaded: type config");
        } else if self.told.reload && !now.reload {
            self.line("the configuration on disk is loaded");
        }
        if now.paused && !self.told.paused {
            self.line("probing is stopped");
        }
        self.told = now;
    }

    /// A word to the person that was not told yet.
    fn message(&mut self, state: &State) {
        if state.view.message != self.said {
            self.said.clone_from(&state.view.message);
            if let Some((_, message)) = &state.view.message {
                self.line(message);
            }
        }
    }
}

/// Runs until the person leaves or the input ends. `columns`: how wide the terminal is now.
pub async fn run_linear<P: Ports>(
    out: &mut impl io::Write,
    ui: &Ui,
    columns: impl Fn() -> u16,
    state: &mut State,
    ports: &mut P,
    feed: impl Stream<Item = Feed>,
    input: impl Stream<Item = Input>,
) -> io::Result<()> {
    let (mut feed, mut input) = (std::pin::pin!(feed.fuse()), std::pin::pin!(input));
    let mut page = Page {
        ui,
        columns: columns().max(NARROW),
        out: String::new(),
        open: false,
        rest: Vec::new(),
        told: Told::default(),
        said: None,
    };
    page.line("why502, plain lines. Type a word and Enter; help tells which, Enter alone tells how it stands, quit leaves.");
    let (mut ticks, mut open, mut due) = (ticks(ports.second()), true, None);
    loop {
        page.message(state);
        if due.is_some_and(|due| due <= Instant::now()) && !ports.lent() && ports.can_draw() {
            due = None;
            page.news(state);
        }
        if !ports.lent() {
            page.prompt(state);
            // What a stuck line does not take stays here, and is not added to.
            if ports.can_draw() && !page.out.is_empty() {
                out.write_all(page.out.as_bytes())?;
                out.flush()?;
                page.out.clear();
            }
        }
        let mut effects = Vec::new();
        let mut answer = false;
        tokio::select! {
            biased;
            given = input.next() => match given {
                Some(Input::Line(text)) => {
                    page.columns = columns().max(NARROW);
                    // The person's Enter ended the line of the sign.
                    page.open = false;
                    effects = typed(&mut page, state, ports, &text);
                    answer = true;
                }
                Some(Input::Edited(how)) => {
                    ports.returned();
                    effects = app::update(state, Event { at: ports.now(), msg: Msg::Told(app::Told::Edited(how)) });
                    page.open = false;
                }
                Some(Input::Interrupt) if ports.lent() => {}
                Some(Input::Stop) => effects.push(Effect::Suspend),
                // The sign went out of sight with the stop.
                Some(Input::Resume) => page.open = false,
                Some(Input::Interrupt | Input::End) | None => {
                    // The shell's prompt begins its own line.
                    if page.open {
                        out.write_all(b"\n")?;
                        out.flush()?;
                    }
                    return Ok(());
                }
                Some(Input::Key(_) | Input::Mouse(_) | Input::Paste(_) | Input::Resize | Input::Drawn) => {}
            },
            fed = feed.next(), if open => {
                match fed {
                    Some(fed) => {
                        if take(state, fed, ports.now(), &mut effects) {
                            due.get_or_insert_with(|| Instant::now() + SETTLED);
                        }
                    }
                    None => open = false,
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() && !ports.lent() && ports.can_draw() => {
                effects.extend(app::update(state, Event { at: ports.now(), msg: Msg::Tick }));
            }
            Some(()) = ticks.recv() => {
                effects.extend(app::update(state, Event { at: ports.now(), msg: Msg::Tick }));
                due.get_or_insert_with(Instant::now);
            }
        }
        let effects = printed(&mut page, state, effects);
        match perform(effects, state, ports) {
            After::Leave { .. } => {
                out.write_all(page.out.as_bytes())?;
                out.flush()?;
                return Ok(());
            }
            After::Wipe => page.open = false,
            After::Go => {}
        }
        if answer {
            page.message(state);
        }
    }
}

/// What would go to a clipboard is printed: there it can be taken from, and heard.
fn printed(page: &mut Page<'_>, state: &mut State, effects: Vec<Effect>) -> Vec<Effect> {
    let mut rest = Vec::new();
    for effect in effects {
        let text = match effect {
            Effect::Copy(text) => state.handed_over(text),
            Effect::Hand(Hand::Copy(which)) => paper(state, which),
            // There is no mouse where there are no places.
            Effect::Mouse(_) => String::new(),
            effect => {
                rest.push(effect);
                continue;
            }
        };
        text.lines().for_each(|line| page.line(line));
        state.view.message.clone_from(&page.said);
    }
    rest
}
