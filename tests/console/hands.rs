//! The console's loop on a terminal of memory, and the hands on its keys.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use futures_util::stream;
use ratatui::{
    Terminal,
    backend::{Backend, ClearType, TestBackend, WindowSize},
    buffer::Cell as ScreenCell,
    layout::{Position, Size},
};
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};
use why502::{
    app::{Effect, Options, State},
    model::{Observation, Stamp},
    shell::{Feed, Input, Ports, run_loop},
    sys::Stamped,
    ui::{Ui, first_pane},
};

/// When the runs of these tests begin: a minute after the incidents that are fed to them, so that time only goes on.
const BEGIN: Stamp = Stamp { run_ms: 60_000, wall_ms: 1_795_141_618_000 + 60_000 };
/// How long anything may take, on the clock of the test.
const PATIENCE: Duration = Duration::from_secs(20);

/// What names of files begin with, and the end of each with its text.
pub type Exported = (String, Vec<(&'static str, String)>);

/// What the loop and the hands share.
struct Shared {
    terminal: RefCell<TestBackend>,
    frames: Cell<usize>,
    clears: Cell<usize>,
    stops: Cell<usize>,
    busy: Cell<bool>,
    lent: Cell<bool>,
    papers: RefCell<Vec<Exported>>,
    ended: Cell<bool>,
    effects: RefCell<Vec<Effect>>,
}

/// The terminal, as the loop sees it: counts frames and wipes.
struct Screen(Rc<Shared>);

type Failure = <TestBackend as Backend>::Error;

impl Backend for Screen {
    type Error = Failure;
    fn draw<'a, I: Iterator<Item = (u16, u16, &'a ScreenCell)>>(&mut self, content: I) -> Result<(), Failure> {
        assert!(!self.0.busy.get(), "a frame while the terminal is busy");
        self.0.frames.set(self.0.frames.get() + 1);
        self.0.terminal.borrow_mut().draw(content)
    }
    fn hide_cursor(&mut self) -> Result<(), Failure> {
        self.0.terminal.borrow_mut().hide_cursor()
    }
    fn show_cursor(&mut self) -> Result<(), Failure> {
        self.0.terminal.borrow_mut().show_cursor()
    }
    fn get_cursor_position(&mut self) -> Result<Position, Failure> {
        self.0.terminal.borrow_mut().get_cursor_position()
    }
    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Failure> {
        self.0.terminal.borrow_mut().set_cursor_position(position)
    }
    fn clear(&mut self) -> Result<(), Failure> {
        self.0.clears.set(self.0.clears.get() + 1);
        self.0.terminal.borrow_mut().clear()
    }
    fn clear_region(&mut self, kind: ClearType) -> Result<(), Failure> {
        self.0.clears.set(self.0.clears.get() + 1);
        self.0.terminal.borrow_mut().clear_region(kind)
    }
    fn size(&self) -> Result<Size, Failure> {
        self.0.terminal.borrow().size()
    }
    fn window_size(&mut self) -> Result<WindowSize, Failure> {
        self.0.terminal.borrow_mut().window_size()
    }
    fn flush(&mut self) -> Result<(), Failure> {
        self.0.terminal.borrow_mut().flush()
    }
}

struct TestPorts(Rc<Shared>, Instant);

/// The time on the clock of the test.
fn now(began: Instant) -> Stamp {
    let passed = u64::try_from(began.elapsed().as_millis()).expect("a short test");
    Stamp { run_ms: BEGIN.run_ms + passed, wall_ms: BEGIN.wall_ms.saturating_add_unsigned(passed) }
}

impl Ports for TestPorts {
    fn now(&self) -> Stamp {
        now(self.1)
    }
    fn carry_out(&mut self, effect: &Effect) {
        self.0.effects.borrow_mut().push(effect.clone());
    }
    fn can_draw(&self) -> bool {
        !self.0.busy.get() && !self.0.lent.get()
    }
    fn suspend(&mut self) {
        self.0.stops.set(self.0.stops.get() + 1);
    }
    fn export(&mut self, begin: String, papers: Vec<(&'static str, String)>) {
        self.0.papers.borrow_mut().push((begin, papers));
    }
    fn edit(&mut self, file: std::path::PathBuf, line: u32) {
        self.0.lent.set(true);
        self.0.effects.borrow_mut().push(Effect::Edit { file, line });
    }
    fn lent(&self) -> bool {
        self.0.lent.get()
    }
}

/// A letter with Ctrl.
pub fn ctrl(letter: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)
}

/// The hands of a person, and all that comes from outside.
pub struct Hands {
    /// When the run began.
    pub began: Instant,
    shared: Rc<Shared>,
    keys: RefCell<Option<mpsc::UnboundedSender<Input>>>,
    feed: mpsc::Sender<Feed>,
}

impl Hands {
    /// The text on the screen, one line a row.
    pub fn screen(&self) -> String {
        let terminal = self.shared.terminal.borrow();
        let buffer = terminal.buffer();
        let rows = buffer.content.chunks(usize::from(buffer.area.width).max(1));
        rows.map(|row| row.iter().map(ScreenCell::symbol).collect::<String>() + "\n").collect()
    }

    /// Waits until the screen shows something.
    pub async fn wait_for(&self, what: &str, shows: impl Fn(&str) -> bool) {
        let begin = Instant::now();
        while !shows(&self.screen()) {
            assert!(begin.elapsed() < PATIENCE && !self.shared.ended.get(), "no {what}; the screen shows:\n{}", self.screen());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until something was drawn on a screen of this size.
    pub async fn wait_for_size(&self, width: u16, height: u16) {
        let frames = self.frames();
        let begin = Instant::now();
        while self.frames() == frames {
            assert!(begin.elapsed() < PATIENCE, "nothing is drawn at {width}x{height}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(self.shared.terminal.borrow().buffer().area.as_size(), Size { width, height });
    }

    /// Waits long enough for everything that was sent to have been drawn, and less than a second.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(400)).await;
    }

    /// Waits until the loop has ended.
    pub async fn ended(&self) {
        let begin = Instant::now();
        while !self.shared.ended.get() {
            assert!(begin.elapsed() < PATIENCE, "it still runs; the screen shows:\n{}", self.screen());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends input.
    pub fn input(&self, input: Input) {
        self.keys.borrow().as_ref().expect("not hung up").send(input).expect("the loop runs");
    }

    /// Presses a key.
    pub fn key(&self, code: KeyCode, modifiers: KeyModifiers) {
        self.input(Input::Key(KeyEvent::new(code, modifiers)));
    }

    /// Types a letter.
    pub fn press(&self, letter: char) {
        self.key(KeyCode::Char(letter), KeyModifiers::NONE);
    }

    /// Ends the input.
    pub fn hang_up(&self) {
        *self.keys.borrow_mut() = None;
    }

    /// Sends what the host would.
    pub fn feed(&self, feed: Feed) {
        assert!(self.feed.try_send(feed).is_ok(), "the channel has room");
    }

    /// Sends one observation, made now.
    pub fn observe(&self, observation: Observation) {
        self.feed(Feed::Seen(Stamped { at: now(self.began), observation }));
    }

    /// Sends observations as fast as they can be taken, until the task is aborted or the loop has ended.
    pub fn flood(&self, observation: impl Fn() -> Observation + Send + 'static) -> JoinHandle<()> {
        let (feed, began) = (self.feed.clone(), self.began);
        tokio::spawn(
            async move { while feed.send(Feed::Seen(Stamped { at: now(began), observation: observation() })).await.is_ok() {} },
        )
    }

    /// The terminal takes no more frames.
    pub fn block_terminal(&self) {
        self.shared.busy.set(true);
    }

    /// The terminal has taken what it had, and says so.
    pub fn free_terminal(&self) {
        self.shared.busy.set(false);
        self.input(Input::Drawn);
    }

    /// The window changes its size.
    pub fn resize(&self, width: u16, height: u16) {
        self.shared.terminal.borrow_mut().resize(width, height);
        self.input(Input::Resize);
    }

    /// Frames so far.
    pub fn frames(&self) -> usize {
        self.shared.frames.get()
    }

    /// How often the whole screen was wiped.
    pub fn clears(&self) -> usize {
        self.shared.clears.get()
    }

    /// How often the program stopped in the background.
    pub fn stops(&self) -> usize {
        self.shared.stops.get()
    }

    /// What was exported.
    pub fn exported(&self) -> Vec<Exported> {
        self.shared.papers.borrow().clone()
    }

    /// The editor ends.
    pub fn leave_editor(&self) {
        self.shared.lent.set(false);
        self.input(Input::Edited(Ok(())));
    }

    /// What was handed out to be done.
    pub fn effects(&self) -> Vec<Effect> {
        self.shared.effects.borrow().clone()
    }
}

/// Runs the loop at 80x24 with these hands on it; when they let go, the input ends. Gives how it ended, and the last state.
pub async fn loop_with(script: impl AsyncFnOnce(Hands)) -> (Result<bool, String>, State) {
    let shared = Rc::new(Shared {
        terminal: RefCell::new(TestBackend::new(80, 24)),
        frames: Cell::new(0),
        clears: Cell::new(0),
        stops: Cell::new(0),
        busy: Cell::new(false),
        lent: Cell::new(false),
        papers: RefCell::default(),
        ended: Cell::new(false),
        effects: RefCell::default(),
    });
    let (keys, input) = mpsc::unbounded_channel();
    let (feeder, feed) = mpsc::channel(why502::sys::OUTBOX_CAPACITY);
    let began = Instant::now();
    let input = stream::unfold(input, |mut input| async move { input.recv().await.map(|given| (given, input)) });
    let feed = stream::unfold(feed, |mut feed| async move { feed.recv().await.map(|fed| (fed, feed)) });
    let hands = Hands { began, shared: Rc::clone(&shared), keys: RefCell::new(Some(keys)), feed: feeder };
    let ui = Ui::choose(Some("xterm-256color"), false, true, false);
    let mut state = State::new(Options { edits: true, ..Options::default() }, first_pane());
    let mut terminal = Terminal::new(Screen(Rc::clone(&shared))).expect("a terminal of memory");
    let mut ports = TestPorts(Rc::clone(&shared), began);
    let looping = async {
        let left = run_loop(&mut terminal, &ui, &mut state, &mut ports, feed, input).await;
        shared.ended.set(true);
        left.map_err(|error| error.to_string())
    };
    let (left, ()) = tokio::join!(looping, script(hands));
    (left, state)
}
