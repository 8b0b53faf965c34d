//! The console on a real terminal and a real host.

use std::io::{self, IsTerminal as _};

use crossterm::{
    clipboard::CopyToClipboard,
    event::{Event as TerminalEvent, EventStream, KeyEventKind},
    queue,
};
use futures_util::{Stream, StreamExt as _, stream};
use ratatui::Terminal;
use tokio::sync::mpsc;

use super::{
    collect::{self, Collectors},
    effects,
    record::Recorder,
    run_loop::{Feed, Input, Ports, run_loop},
    screen::Screen,
    signals, term,
    writer::{FrameWriter, Link},
};
use crate::{
    app::{Effect, State},
    cli::Cli,
    model::Stamp,
    sys::{Clock, Stamped},
    ui::{self, Ui},
};

/// Runs it. The value is the exit status: leaving the console is no verdict.
pub fn run(cli: &Cli) -> anyhow::Result<u8> {
    require_terminal()?;
    let sys = collect::sys(&cli.target)?;
    let recorder = cli.record.as_deref().map(Recorder::create).transpose()?;
    let mut state = State::new(collect::options(&cli.target), ui::first_pane());
    let runtime = super::runtime()?;
    let outcome = runtime.block_on(async {
        let collectors = Collectors::start(&sys, &cli.target);
        let (control, feed) = split(collectors, recorder);
        on_terminal(cli.ascii, &mut state, sys.clock, Some(control), feed).await
    });
    // What still hangs in a system call must not hold the exit up.
    runtime.shutdown_background();
    outcome.map(|()| 0)
}

/// Says what to do where there is no terminal to draw on.
pub fn require_terminal() -> anyhow::Result<()> {
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        return Ok(());
    }
    anyhow::bail!("the console needs a terminal; in scripts and pipes use: why502 check")
}

/// Draws on the real terminal until the person leaves.
pub async fn on_terminal(
    ascii: bool,
    state: &mut State,
    clock: Clock,
    control: Option<Collectors>,
    feed: impl Stream<Item = Feed>,
) -> anyhow::Result<()> {
    let environment = |name| std::env::var(name).ok();
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment(name).filter(|value| !value.is_empty()));
    let utf8 = locale.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let no_color = environment("NO_COLOR").is_some_and(|value| !value.is_empty());
    let mut ui = Ui::choose(environment("TERM").as_deref(), no_color, utf8, ascii);
    ui.zone = jiff::tz::TimeZone::system();
    // crossterm's own reading of NO_COLOR resets bold and reverse along with the colours; the styles leave colours out instead.
    crossterm::style::force_color_output(true);
    term::install_panic_hook();
    let guard = term::Guard::take()?;
    let (drawn, frames_done) = mpsc::channel(1);
    let (writer, link) = FrameWriter::new(io::stdout(), move || {
        let _ = drawn.try_send(());
    });
    let mut terminal = Terminal::new(Screen::new(writer))?;
    let mut ports = Live { clock, control, link: link.clone() };
    let left = run_loop(&mut terminal, &ui, state, &mut ports, feed, input(frames_done, link.clone())?).await;
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

/// Keys, sizes, signals, and word from the writer.
fn input(frames_done: mpsc::Receiver<()>, link: Link) -> anyhow::Result<impl Stream<Item = Input>> {
    let keys = EventStream::new().filter_map(|event| async move {
        match event {
            Ok(TerminalEvent::Key(key)) => (key.kind != KeyEventKind::Release).then_some(Input::Key(key)),
            // The size comes by its signal.
            Ok(
                TerminalEvent::Resize(..)
                | TerminalEvent::FocusGained
                | TerminalEvent::FocusLost
                | TerminalEvent::Mouse(_)
                | TerminalEvent::Paste(_),
            ) => None,
            Err(_) => Some(Input::End),
        }
    });
    // When the keys end, the terminal has gone.
    let keys = keys.chain(stream::once(async { Input::End }));
    let written = stream::unfold((frames_done, link), |(mut done, link)| async move {
        done.recv().await.map(|()| (if link.broken() { Input::End } else { Input::Drawn }, (done, link)))
    });
    Ok(stream::select(keys, stream::select(written, signals::stream()?)))
}

/// Parts the collectors from what they send, and keeps a recording of it on the way.
pub fn split(mut collectors: Collectors, mut recorder: Option<Recorder>) -> (Collectors, impl Stream<Item = Feed>) {
    let (_, nothing) = mpsc::channel(1);
    let seen = std::mem::replace(&mut collectors.seen, nothing);
    let (_, never) = tokio::sync::oneshot::channel();
    let catalog = std::mem::replace(&mut collectors.catalog, never);
    let seen = stream::unfold(seen, |mut seen| async move { seen.recv().await.map(|stamped| (stamped, seen)) });
    let recorded = seen.flat_map(move |stamped| {
        let told = recorder.as_mut().and_then(|recorder| recorder.keep(&stamped));
        let told = told.map(|observation| Stamped { at: stamped.at, observation });
        stream::iter(std::iter::once(stamped).chain(told).map(Feed::Seen))
    });
    let catalog = stream::once(catalog).filter_map(|known| async move { known.ok().map(Feed::Catalog) });
    (collectors, stream::select(recorded, catalog))
}

/// The real terminal and host.
struct Live {
    clock: Clock,
    control: Option<Collectors>,
    link: Link,
}

impl Ports for Live {
    fn now(&self) -> Stamp {
        self.clock.now()
    }

    #[cfg(debug_assertions)]
    fn pressed(&self) {
        // For tests/pty.rs: the thread that draws fails in the middle of its work.
        assert!(std::env::var_os("WHY502_TEST_PANIC").is_none(), "as WHY502_TEST_PANIC asks");
    }

    fn carry_out(&mut self, effect: &Effect) {
        if let Effect::Copy(text) = effect {
            // Like a frame: it must neither fall into one nor block. A link with no room for it is stuck, and copies nothing.
            let mut sequence = Vec::new();
            if queue!(sequence, CopyToClipboard::to_clipboard_from(text)).is_ok() {
                self.link.between_frames(sequence);
            }
        }
        if let Some(collectors) = &self.control {
            effects::collecting(effect, collectors);
        }
    }

    fn can_draw(&self) -> bool {
        self.link.idle()
    }

    fn suspend(&mut self) {
        term::restore();
        signals::stop_self();
        // A terminal that cannot be taken again has gone; the next frame finds that out.
        if let Ok(guard) = term::Guard::take() {
            // The guard of the run restores at its end.
            std::mem::forget(guard);
        }
    }
}
