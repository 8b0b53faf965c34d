//! Lines instead of a screen, over the same state: what is typed, what is told, and that it is told once.

use std::{cell::RefCell, io, rc::Rc, time::Duration};

use futures_util::stream;
use tokio::{sync::mpsc, time::Instant};
use why502::{
    app::{Effect, Options, State},
    model::{Observation, Outcome, Stamp},
    shell::{Feed, Input, Ports, run_linear},
    sys::Stamped,
    ui::{Ui, first_pane},
};

use super::incident::{self, Incident};

/// A minute after the incidents, as in the tests of the screen.
const BEGIN: Stamp = Stamp { run_ms: 60_000, wall_ms: 1_795_141_618_000 + 60_000 };
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Default)]
struct Paper(Rc<RefCell<Vec<u8>>>);

impl io::Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Quiet(Instant, Rc<RefCell<Vec<Effect>>>);

impl Ports for Quiet {
    fn now(&self) -> Stamp {
        let passed = u64::try_from(self.0.elapsed().as_millis()).expect("a short test");
        Stamp { run_ms: BEGIN.run_ms + passed, wall_ms: BEGIN.wall_ms.saturating_add_unsigned(passed) }
    }
    fn carry_out(&mut self, effect: &Effect) {
        self.1.borrow_mut().push(effect.clone());
    }
    fn can_draw(&self) -> bool {
        true
    }
    fn suspend(&mut self) {}
    fn export(&mut self, _: String, _: Vec<(&'static str, String)>) {}
    fn edit(&mut self, _: std::path::PathBuf, _: u32) {}
    fn lent(&self) -> bool {
        false
    }
}

/// Somebody who types and listens.
struct Listener {
    paper: Paper,
    began: Instant,
    lines: mpsc::UnboundedSender<Input>,
    feed: mpsc::UnboundedSender<Feed>,
    effects: Rc<RefCell<Vec<Effect>>>,
    heard: RefCell<usize>,
}

impl Listener {
    fn all(&self) -> String {
        String::from_utf8(self.paper.0.borrow().clone()).expect("UTF-8")
    }

    /// What was printed since the last answer.
    fn news(&self) -> String {
        let all = self.all();
        let from = self.heard.replace(all.len());
        all[from..].to_owned()
    }

    /// Types a line, and gives what is printed then.
    async fn say(&self, line: &str) -> String {
        self.settle().await;
        self.news();
        self.lines.send(Input::Line(line.to_owned())).expect("it listens");
        self.settle().await;
        self.news()
    }

    async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(900)).await;
    }

    fn observe(&self, observation: Observation) {
        let passed = u64::try_from(self.began.elapsed().as_millis()).expect("a short test");
        let at = Stamp { run_ms: BEGIN.run_ms + passed, wall_ms: BEGIN.wall_ms.saturating_add_unsigned(passed) };
        self.feed.send(Feed::Seen(Stamped { at, observation })).expect("it listens");
    }

    async fn wait_for(&self, text: &str) {
        let begin = Instant::now();
        while !self.all().contains(text) {
            assert!(begin.elapsed() < PATIENCE, "no {text}:\n{}", self.all());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Runs it over an outage; gives all that was printed.
async fn with(columns: u16, script: impl AsyncFnOnce(&Listener)) -> String {
    let (lines, input) = mpsc::unbounded_channel();
    let (feeder, feed) = mpsc::unbounded_channel();
    let (paper, began, effects) = (Paper::default(), Instant::now(), Rc::default());
    let listener =
        Listener { paper: paper.clone(), began, lines, feed: feeder, effects: Rc::clone(&effects), heard: RefCell::default() };
    listener.feed.send(Feed::Catalog(incident::catalog())).expect("room");
    for stamped in Incident::broken().seen {
        listener.feed.send(Feed::Seen(stamped)).expect("room");
    }
    let input = stream::unfold(input, |mut input| async move { input.recv().await.map(|given| (given, input)) });
    let feed = stream::unfold(feed, |mut feed| async move { feed.recv().await.map(|fed| (fed, feed)) });
    let ui = Ui::choose(Some("dumb"), false, true, false);
    let mut state = State::new(Options { edits: true, ..Options::default() }, first_pane());
    let (mut out, mut ports) = (paper, Quiet(began, effects));
    let run = run_linear(&mut out, &ui, || columns, &mut state, &mut ports, feed, input);
    let script = async {
        listener.wait_for("CRITICAL").await;
        script(&listener).await;
        let _ = listener.lines.send(Input::End);
    };
    let (ended, ()) = tokio::join!(run, script);
    ended.expect("memory takes all");
    listener.all()
}

#[tokio::test(start_paused = true)]
async fn all_that_the_panes_show_can_be_asked_for() {
    let all = with(80, async |hands| {
        let causes = hands.say("causes").await;
        assert!(causes.contains("2 CAUSES") && causes.contains("1. ") && causes.contains("upstream-down"), "{causes}");
        let why = hands.say("1").await;
        assert!(why.contains("WHY: causes") && why.contains("Speaks for it"), "{why}");
        hands.say("help").await;
        let rest = hands.say("more").await;
        assert!(rest.lines().count() > 5 && !rest.contains("Enter alone"), "{rest}");
        // What lies over the panes need not be left first.
        for (pane, holds) in [
            ("checklist", "repeat the request"),
            ("probes", "127.0.0.1:8000"),
            ("load", "mem"),
            ("logs", "connect() failed"),
            ("config", "CONFIG"),
            ("changes", "CHANGES"),
            ("timeline", "first failure"),
        ] {
            let told = hands.say(pane).await;
            assert!(told.contains(holds), "{pane}: {told}");
        }
        // What is asked for is typed behind the question; a point takes it back.
        assert!(hands.say("note").await.contains("note: "));
        hands.say("asked dev about 8081").await;
        assert!(hands.say("timeline").await.contains("asked dev about 8081"));
        assert!(hands.say("m").await.contains("note: "), "by its key as well");
        assert!(!hands.say(".").await.contains("note: "));
        let found = {
            hands.say("logs").await;
            hands.say("find").await;
            hands.say("prematurely").await
        };
        assert!(found.contains("prematurely closed"), "{found}");
        let only = {
            hands.say("checklist").await;
            hands.say("show-only log").await
        };
        assert!(only.contains("+\"log\"") && !only.contains("repeat the request"), "{only}");
        assert!(hands.say("no-filter").await.contains("repeat the request"));
        let report = hands.say("report").await;
        assert!(report.contains("PREVIEW: report"), "{report}");
        let copied = hands.say("y").await;
        assert!(copied.contains("# ") && copied.contains("upstream-down"), "what is copied is printed: {copied}");
        assert!(hands.effects.borrow().iter().all(|effect| !matches!(effect, Effect::Copy(_))), "and goes to no clipboard");
        for (typed, told) in [
            ("frobnicate", "there is no command frobnicate"),
            ("999", "there is no row 999"),
            ("zoom", "done"),
            ("help", "Enter alone"),
            ("", "verdict: CRITICAL"),
            ("pane nowhere", "there is no pane nowhere"),
            ("goto yesterday", "no time: yesterday"),
        ] {
            let answer = hands.say(typed).await;
            assert!(answer.contains(told), "{typed}: {answer}");
        }
    })
    .await;
    assert!(!all.contains('\u{1b}') && !all.contains('\r') && !all.contains('\u{8}'), "nothing moves the cursor");
    assert!(all.is_ascii(), "a dumb terminal gets ASCII");
    assert!(
        all.lines().all(|line| line.chars().count() <= 84),
        "lines are broken at the width: {:?}",
        all.lines().max_by_key(|line| line.len())
    );
    assert_eq!(all.matches("verdict: CRITICAL").count(), 2, "told once, and once when it was asked for:\n{all}");
}

#[tokio::test(start_paused = true)]
async fn what_changes_is_told_once_and_figures_are_not() {
    let all = with(100, async |hands| {
        hands.settle().await;
        hands.news();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(hands.news(), "", "the clock alone is no news");
        hands.observe(Observation::Dropped { collector: "logs".into(), count: 42 });
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(hands.news(), "", "nor is a figure");
        // The application is up again, and requests are served.
        let mut healed = Incident::broken();
        let from = healed.seen.len();
        healed.observe(Observation::Listeners(incident::listeners(true)));
        healed.rounds(30, |_| Outcome::Status(200));
        for stamped in healed.seen.split_off(from) {
            hands.observe(stamped.observation);
        }
        hands.wait_for("RECOVERING").await;
        tokio::time::sleep(Duration::from_secs(30)).await;
    })
    .await;
    assert_eq!(all.matches("verdict: CRITICAL").count(), 1, "{all}");
    assert!(all.matches("verdict: RECOVERING").count() == 1, "{all}");
}

#[tokio::test(start_paused = true)]
async fn any_line_at_any_width_is_taken() {
    for columns in [1, 7, 40, 500] {
        with(columns, async |hands| {
            let long = "x".repeat(5_000);
            for typed in [
                "logs",
                "1",
                "find",
                "~(",
                "show-only",
                "\u{1b}[2J\u{7}",
                ":",
                "é",
                long.as_str(),
                "hide-all ~(",
                "-1",
                "0",
                "row 0",
                "why x",
            ] {
                hands.say(typed).await;
            }
        })
        .await;
    }
}
