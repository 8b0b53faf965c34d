//! The real terminal: taken over, drawn on, listened to, lent to an editor, given back.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::{
    Stream, StreamExt as _,
    stream::{self, LocalBoxStream},
};
use ratatui::Terminal;
use tokio::{
    sync::{Mutex, mpsc, watch},
    task::JoinHandle,
};

use super::{
    clipboard,
    collect::Collectors,
    effects,
    keys::Keys,
    linear::{Lines, run_linear},
    papers,
    past::Past,
    record::Recorder,
    run_loop::{Feed, Input, Ports, TICK, run_loop},
    screen::{Screen, size_of_terminal},
    settings::Settings,
    signals, term,
    writer::{FrameWriter, Link},
};
use crate::{
    app::{Effect, State, Told},
    model::{Observation, Stamp},
    sys::{Clock, Rights, Stamped, operators_zone, terminal_again},
    ui::{Styles, Ui},
};

/// Answers that wait to be taken in, at most: each comes of something that a person asked for.
const ANSWERS: usize = 16;

/// How this run is shown, and what it may do.
#[derive(Debug)]
pub struct Session {
    /// What the person settled.
    pub settings: Settings,
    /// The clock.
    pub clock: Clock,
    /// The collectors. `None`: a recording is shown.
    pub control: Option<Collectors>,
    /// Where deeds of the operator are kept.
    pub recorder: Option<Arc<Recorder>>,
    /// Where the past is looked up.
    pub past: Past,
    /// By what an editor is opened. `None`: by nothing.
    pub rights: Option<Rights>,
    /// Where the speed of a recording is set.
    pub speed: Option<watch::Sender<u32>>,
}

/// Draws on the real terminal until the person leaves. The feed is boxed: the loop is large, and would be made once for each kind of feed.
pub async fn on_terminal(session: Session, state: &mut State, feed: LocalBoxStream<'_, Feed>) -> anyhow::Result<()> {
    let environment = |name: &str| std::env::var(name).ok();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment(name).filter(|value| !value.is_empty()));
    let utf8 = locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let term = environment("TERM");
    let mut ui = Ui::choose(term.as_deref(), no_color, utf8, session.settings.look.ascii);
    ui.zone = operators_zone();
    // GNU screen takes the parts of a colour for a background.
    let announced = environment("COLORTERM").is_some_and(|value| matches!(value.as_str(), "truecolor" | "24bit"));
    let true_colour = announced && !term.as_deref().is_some_and(|term| term.starts_with("screen"));
    ui.styles = session.settings.styles(ui.styles != Styles::mono(), true_colour);
    ui.keys = session.settings.keys.clone();
    state.view.local_time = session.settings.local_time;
    if let Some(complaint) = session.settings.complaint() {
        state.view.message = Some((session.clock.now(), complaint));
    }
    let wrong: Vec<Feed> = session
        .settings
        .wrong
        .iter()
        .map(|spot| Feed::Seen(Stamped { at: session.clock.now(), observation: Observation::Blind(spot.clone()) }))
        .collect();
    let feed = stream::iter(wrong).chain(feed);
    // A terminal that can do nothing but print (terminfo's dumb): a screen would be rubbish on it.
    let dumb = term.as_deref().is_none_or(|term| matches!(term, "" | "dumb"));
    let whole = !(session.settings.look.linear || dumb);
    if whole && session.settings.look.mouse {
        state.view.mouse = true;
        let _ = term::mouse(true);
    }
    state.options.edits = session.rights.is_some();
    term::install_panic_hook();
    let guard = if whole { Some(term::Guard::take()?) } else { None };
    let (drawn, frames_done) = mpsc::channel(1);
    let (writer, link) = FrameWriter::new(io::stdout(), move || {
        let _ = drawn.try_send(());
    });
    let writer = writer.straight(terminal_again());
    let (tell, told) = mpsc::channel(ANSWERS);
    let told = stream::unfold(told, |mut told| async move { told.recv().await.map(|answer| (Feed::Told(answer), told)) });
    let (listens, listening) = watch::channel(true);
    let (let_go, gone) = mpsc::channel(1);
    let (end, ended) = mpsc::channel(1);
    let lender = Lender { listens, gone: Arc::new(Mutex::new(gone)), end, lent: Arc::default(), editing: None };
    let clipboard = clipboard::way(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let mut ports = Live { session, link: link.clone(), tell, lender, clipboard, whole };
    let feed = stream::select(feed, told);
    let left = if whole {
        let mut terminal = Terminal::new(Screen::new(writer))?;
        let keys = Keys::start(listening, let_go)?;
        let keys = stream::unfold(keys, |mut keys| async move { keys.next().await.map(|input| (input, keys)) });
        run_loop(&mut terminal, &ui, state, &mut ports, feed, input(keys, frames_done, ended, link.clone())?).await
    } else {
        let mut writer = writer;
        let lines = Lines::start(listening, let_go)?;
        let lines = stream::unfold(lines, |mut lines| async move { Some((lines.next().await.unwrap_or(Input::End), lines)) });
        let input = input(lines, frames_done, ended, link.clone())?;
        run_linear(&mut writer, &ui, columns, state, &mut ports, feed, input).await.map(|()| false)
    };
    if let Some(editing) = ports.lender.editing.take() {
        // An editor that still runs is told to go.
        editing.abort();
        let _ = editing.await;
    }
    // The rest of a frame would land on the screen that is given back.
    link.settled(term::PATIENCE).await;
    match left {
        Ok(keep) => {
            if keep {
                term::Guard::keep_screen();
            }
            drop(guard);
            Ok(())
        }
        // The terminal went: nobody is there to be told.
        Err(_) if link.broken() => Ok(()),
        Err(error) => {
            drop(guard);
            Err(error.into())
        }
    }
}

/// How wide the terminal is now; a line of text where nobody knows.
fn columns() -> u16 {
    size_of_terminal().map_or(80, |size| size.width)
}

/// Keys, sizes, signals, the end of an editor, and word from the writer.
fn input(
    keys: impl Stream<Item = Input> + Send + 'static,
    frames_done: mpsc::Receiver<()>,
    ended: mpsc::Receiver<Result<(), String>>,
    link: Link,
) -> anyhow::Result<impl Stream<Item = Input>> {
    let written = stream::unfold((frames_done, link), |(mut done, link)| async move {
        done.recv().await.map(|()| (if link.broken() { Input::End } else { Input::Drawn }, (done, link)))
    });
    let edited = stream::unfold(ended, |mut ended| async move { ended.recv().await.map(|how| (Input::Edited(how), ended)) });
    Ok(stream::select(stream::select(keys, edited), stream::select(written, signals::stream()?)))
}

/// Lends the terminal to an editor.
struct Lender {
    listens: watch::Sender<bool>,
    gone: Arc<Mutex<mpsc::Receiver<()>>>,
    end: mpsc::Sender<Result<(), String>>,
    lent: Arc<AtomicBool>,
    editing: Option<JoinHandle<()>>,
}

/// The real terminal and host.
struct Live {
    session: Session,
    link: Link,
    tell: mpsc::Sender<Told>,
    lender: Lender,
    clipboard: clipboard::Way,
    /// The whole screen is ours; else lines are appended to it.
    whole: bool,
}

impl Live {
    /// Does what takes its time where nothing waits for it, and tells what came of it.
    fn aside(&self, work: impl FnOnce() -> Told + Send + 'static) {
        let tell = self.tell.clone();
        tokio::task::spawn_blocking(move || {
            // Whoever has left needs no answer.
            let _ = tell.blocking_send(work());
        });
    }

    fn copy(&self, text: &str) {
        if let Some(sequence) = clipboard::sequence(self.clipboard, text) {
            // Like a frame: it must neither fall into one nor block. A link with no room for it is stuck, and copies nothing.
            self.link.between_frames(sequence);
        } else {
            let text = text.to_owned();
            self.aside(move || Told::Message(papers::keep_copy(&text)));
        }
    }
}

impl Ports for Live {
    fn now(&self) -> Stamp {
        self.session.clock.now()
    }

    #[cfg(debug_assertions)]
    fn pressed(&self) {
        // For tests/pty.rs: the thread that draws fails in the middle of its work.
        assert!(std::env::var_os("WHY502_TEST_PANIC").is_none(), "as WHY502_TEST_PANIC asks");
    }

    fn carry_out(&mut self, effect: &Effect) {
        match effect {
            Effect::Copy(text) => self.copy(text),
            Effect::Keep(deed) => {
                if let Some(recorder) = &self.session.recorder {
                    recorder.keep(&Stamped { at: self.now(), observation: Observation::Operator(deed.clone()) });
                }
            }
            Effect::LookBack(to) => {
                let (past, to) = (self.session.past.clone(), *to);
                self.aside(move || Told::Past(to, past.at(to)));
            }
            Effect::Speed(to) => {
                if let Some(speed) = &self.session.speed {
                    speed.send_replace(*to);
                }
            }
            Effect::Mouse(on) => {
                // A link that is stuck has nobody who would miss it; giving the terminal back gives it back, too.
                self.link.between_frames(term::mouse(*on).as_bytes().to_vec());
            }
            effect => {
                if let Some(collectors) = &self.session.control {
                    effects::collecting(effect, collectors);
                }
            }
        }
    }

    fn export(&mut self, begin: String, all: Vec<papers::Paper>) {
        self.aside(move || Told::Message(papers::write(&begin, &all)));
    }

    fn edit(&mut self, file: PathBuf, line: u32) {
        let Some(rights) = self.session.rights.clone().filter(|_| !self.lent()) else { return };
        let whole = self.whole;
        let Lender { listens, gone, end, lent, .. } = &self.lender;
        let (listens, gone, end, link) = (listens.clone(), Arc::clone(gone), end.clone(), self.link.clone());
        lent.store(true, Ordering::SeqCst);
        // A key that is read here is one that the editor misses.
        listens.send_replace(false);
        self.lender.editing = Some(tokio::spawn(async move {
            // The rest of a frame would land on the editor's screen.
            link.settled(term::PATIENCE).await;
            // However busy the host is: what is read here is what the editor misses.
            gone.lock().await.recv().await;
            term::restore();
            let how = match rights.edit(&file, line) {
                Ok(mut editor) => match editor.ended().await {
                    Ok(None) => Ok(()),
                    Ok(Some(code)) => Err(format!("the editor ended with status {code}")),
                    Err(error) => Err(format!("the editor cannot be started: {error}")),
                },
                Err(error) => Err(format!("the editor cannot be started: {error}")),
            };
            // A terminal that cannot be taken again has gone; the next frame finds that out.
            if whole && let Ok(guard) = term::Guard::take() {
                // The guard of the run restores at its end.
                std::mem::forget(guard);
            }
            listens.send_replace(true);
            let _ = end.send(how).await;
        }));
    }

    fn lent(&self) -> bool {
        self.lender.lent.load(Ordering::SeqCst)
    }

    fn returned(&mut self) {
        // Not when it ends: a signal that was meant for it, and that a busy host hands over after its end, would end the run.
        self.lender.lent.store(false, Ordering::SeqCst);
    }

    fn can_draw(&self) -> bool {
        !self.lent() && self.link.idle()
    }

    fn sent(&self) -> Option<u64> {
        Some(self.link.sent())
    }

    fn beat(&self) {
        if let Some(recorder) = &self.session.recorder {
            recorder.beat();
        }
    }

    fn second(&self) -> Box<dyn Fn() -> tokio::time::Instant + Send> {
        let clock = self.session.clock;
        Box::new(move || clock.behind(TICK))
    }

    fn suspend(&mut self) {
        if self.lent() || !self.whole {
            // The editor stopped itself, and all of us with it (vi, kill(0, SIGTSTP)): the terminal is as it left it.
            signals::stop_self();
            return;
        }
        term::restore();
        signals::stop_self();
        // A terminal that cannot be taken again has gone; the next frame finds that out.
        if let Ok(guard) = term::Guard::take() {
            // The guard of the run restores at its end.
            std::mem::forget(guard);
        }
    }
}
