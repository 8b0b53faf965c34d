//! What the operator does in the console: notes, commands, papers, the editor, the past.

use crossterm::event::{KeyCode, KeyModifiers};
use why502::{
    app::{Effect, Told},
    model::{CheckState, Deed},
    shell::Feed,
};

use crate::{
    broken, feed,
    hands::{Hands, loop_with},
    incident::{Incident, UPSTREAM},
};

fn type_in(hands: &Hands, text: &str) {
    text.chars().for_each(|c| if c == '\n' { hands.key(KeyCode::Enter, KeyModifiers::NONE) } else { hands.press(c) });
}

#[tokio::test(start_paused = true)]
async fn notes_and_reasons_are_kept_shown_and_recorded() {
    let (_, state) = loop_with(async |hands| {
        broken(&hands).await;
        type_in(&hands, "masked dev about 8081");
        hands.wait_for("what is typed", |screen| screen.contains("note: asked dev about 8081")).await;
        type_in(&hands, "\n");
        // On a step of the checklist: skipped, with a reason.
        type_in(&hands, "1gs");
        hands.wait_for("the question", |screen| screen.contains("skipped because:")).await;
        type_in(&hands, "no browser here\n");
        type_in(&hands, "8");
        hands
            .wait_for("the note on the line of time", |screen| {
                screen.contains("asked dev about 8081") && screen.contains("skipped: no browser here")
            })
            .await;
        let kept: Vec<Deed> = hands
            .effects()
            .into_iter()
            .filter_map(|effect| if let Effect::Keep(deed) = effect { Some(deed) } else { None })
            .collect();
        assert!(
            matches!(
                &kept[..],
                [Deed::Note { step: Some(_), .. }, Deed::Step { state: Some(CheckState::Skipped), reason: Some(_), .. }]
            ),
            "{kept:?}"
        );
        hands.press('q');
        hands.ended().await;
    })
    .await;
    assert_eq!(state.scene.operator.notes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_is_completed_listed_and_carried_out() {
    let (left, state) = loop_with(async |hands| {
        broken(&hands).await;
        type_in(&hands, ":zo");
        hands.wait_for("what is offered", |screen| screen.contains(">zoom z") && screen.contains(":zo")).await;
        assert!(!hands.screen().contains("heal H"), "only what is possible here is offered:\n{}", hands.screen());
        hands.key(KeyCode::Tab, KeyModifiers::NONE);
        hands.wait_for("the whole name", |screen| screen.lines().last().is_some_and(|line| line.starts_with(":zoom"))).await;
        type_in(&hands, "\n");
        hands.wait_for("one pane alone", |screen| !screen.contains("CAUSES")).await;
        type_in(&hands, ":pane cau\n");
        hands.wait_for("the causes", |screen| screen.contains("═2 CAUSES")).await;
        type_in(&hands, ":frobnicate\n");
        hands.wait_for("why not", |screen| screen.contains("no command that is possible here: frobnicate")).await;
        type_in(&hands, ":note by command\n");
        // Down picks another one than the first.
        type_in(&hands, ":quit");
        hands.key(KeyCode::Down, KeyModifiers::NONE);
        hands.wait_for("the second", |screen| screen.contains(">quit-")).await;
        hands.key(KeyCode::Up, KeyModifiers::NONE);
        type_in(&hands, "\n");
        hands.ended().await;
    })
    .await;
    assert_eq!((left, state.view.focus), (Ok(false), "causes"));
    assert_eq!(state.scene.operator.notes.back().map(|note| note.text.as_str()), Some("by command"));
}

#[tokio::test(start_paused = true)]
async fn papers_are_previewed_copied_and_exported() {
    loop_with(async |hands| {
        broken(&hands).await;
        hands.press('Y');
        hands.wait_for("the report", |screen| screen.contains("PREVIEW: report") && screen.contains("CRITICAL")).await;
        hands.key(KeyCode::Tab, KeyModifiers::NONE);
        hands.wait_for("the ticket", |screen| screen.contains("PREVIEW: ticket") && screen.contains("all times are UTC")).await;
        hands.press('y');
        hands.settle().await;
        let copied = hands.effects().into_iter().find_map(|effect| if let Effect::Copy(text) = effect { Some(text) } else { None });
        let copied = copied.expect("something was copied");
        assert!(copied.contains("Connections that fail") && copied.contains("curl") && copied.contains("127.0.0.1"), "{copied}");
        hands.press('E');
        hands.settle().await;
        let (begin, papers) = hands.exported().pop().expect("exported");
        assert!(begin.starts_with("why502-gw1.fra-20261120T"), "{begin}");
        let ends: Vec<&str> = papers.iter().map(|(end, _)| *end).collect();
        assert_eq!(ends, ["report.md", "report.html", "report.json", "ticket.md", "status.txt"]);
        let status = &papers[4].1;
        assert!(status.contains("CRITICAL") && status.contains("upstream-down") && status.lines().count() == 1, "{status}");
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn the_editor_gets_file_line_and_terminal_and_gives_it_back() {
    loop_with(async |hands| {
        broken(&hands).await;
        type_in(&hands, "2e");
        hands.settle().await;
        let opened = hands.effects().into_iter().find_map(|effect| match effect {
            Effect::Edit { file, line } => Some((file, line)),
            _ => None,
        });
        assert_eq!(opened, Some(("/etc/nginx/conf.d/shop.conf".into(), 14)), "where {UPSTREAM} is written");
        // While it runs nothing is drawn, but what the host says is taken in; Ctrl-C is the editor's.
        let (frames, clears) = (hands.frames(), hands.clears());
        hands.input(why502::shell::Input::Interrupt);
        Incident::broken().seen.into_iter().for_each(|stamped| hands.feed(Feed::Seen(stamped)));
        hands.settle().await;
        assert_eq!(hands.frames(), frames);
        hands.leave_editor();
        hands.wait_for("the configuration", |screen| screen.contains("═6 CONFIG")).await;
        assert_eq!(hands.clears() - clears, 1, "what the editor left is wiped out");
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn the_past_is_shown_as_such_and_left_again() {
    let (_, state) = loop_with(async |hands| {
        broken(&hands).await;
        hands.press('[');
        hands.settle().await;
        // The last moment is that of our own begin: what was known then comes from the recording.
        let asked = hands.effects().into_iter().find_map(|effect| if let Effect::LookBack(to) = effect { Some(to) } else { None });
        let to = asked.expect("it is looked up");
        hands.feed(Feed::Told(Told::Past(to, Ok(Box::new(Incident::first_frame().state.scene)))));
        hands.wait_for("the past", |screen| screen.contains("PAST 02:2")).await;
        // And before it: what logs and changes tell, and no conclusions.
        hands.press('[');
        hands
            .wait_for("the time before", |screen| screen.contains("PAST 02:17") && screen.contains("before this program ran"))
            .await;
        assert!(!hands.screen().contains("confirmed"), "{}", hands.screen());
        hands.press('B');
        hands.wait_for("now", |screen| screen.contains("CRITICAL") && !screen.contains("PAST")).await;
        type_in(&hands, ":goto 02:17:39\n");
        hands.wait_for("the time typed", |screen| screen.contains("PAST 02:17:39Z")).await;
        type_in(&hands, ":goto xyz\n");
        hands.wait_for("why not", |screen| screen.contains("no time: xyz")).await;
        hands.key(KeyCode::Esc, KeyModifiers::NONE);
        hands.wait_for("now", |screen| screen.contains("CRITICAL")).await;
    })
    .await;
    assert!(!state.looks_back() && state.view.frozen.is_none());
}

#[tokio::test(start_paused = true)]
async fn every_pane_is_searched() {
    loop_with(async |hands| {
        broken(&hands).await;
        type_in(&hands, "1/resolver\n");
        hands.wait_for("hits", |screen| screen.contains("/resolver ")).await;
        let first = hands.screen().lines().find(|line| line.starts_with('>')).map(str::to_owned);
        hands.press('n');
        hands.settle().await;
        let second = hands.screen().lines().find(|line| line.starts_with('>')).map(str::to_owned);
        assert_ne!(first, second, "the next one is another");
        type_in(&hands, "X");
        hands.wait_for("no search", |screen| !screen.contains("/resolver ")).await;
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn that_it_is_recorded_is_told() {
    loop_with(async |hands| {
        broken(&hands).await;
        let kept = why502::app::Recording::Kept("/home/bob/.local/state/why502/why502-gw1.w502".to_owned());
        hands.feed(Feed::Told(Told::Recording(kept)));
        hands.wait_for("where", |screen| screen.contains("at most 64 MB, in /home/bob/.local/state/why502")).await;
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn who_is_guided_gets_one_step_after_the_other() {
    let (_, state) = loop_with(async |hands| {
        broken(&hands).await;
        hands.press('u');
        hands.wait_for("the first step", |screen| screen.contains("GUIDED: step 1 of") && screen.contains("Why it matters")).await;
        assert!(hands.screen().contains("It fails."), "{}", hands.screen());
        hands.press(' ');
        hands.wait_for("the next one", |screen| screen.contains("GUIDED: step ") && !screen.contains("GUIDED: step 1 of")).await;
        type_in(&hands, "sno browser here\n");
        hands.wait_for("the one after", |screen| screen.contains("GUIDED: step ") && !screen.contains("GUIDED: step 2 of")).await;
        hands.key(KeyCode::Esc, KeyModifiers::NONE);
        hands.wait_for("the list", |screen| !screen.contains("GUIDED")).await;
        hands.press('q');
        hands.ended().await;
    })
    .await;
    let settled: Vec<CheckState> = state.scene.operator.steps.values().map(|step| step.state).collect();
    assert!(settled.contains(&CheckState::Done) && settled.contains(&CheckState::Skipped), "{settled:?}");
}

#[tokio::test(start_paused = true)]
async fn one_key_stops_all_probing_until_it_is_pressed_again() {
    loop_with(async |hands| {
        broken(&hands).await;
        let planned = |effect: &Effect| if let Effect::Probe(plan) = effect { Some(plan.jobs.len()) } else { None };
        let last = || hands.effects().iter().rev().find_map(planned);
        assert!(last() > Some(0), "{:?}", hands.effects());
        hands.press('p');
        hands.wait_for("a word about it", |screen| screen.contains("nothing is sent until you let it go on")).await;
        assert_eq!(last(), Some(0));
        // What comes in, and a wish for a round, plan nothing behind the operator's back.
        feed(&hands, Incident::broken());
        hands.press('r');
        hands.settle().await;
        assert_eq!(last(), Some(0));
        hands.press('p');
        hands.wait_for("a word about it", |screen| screen.contains("probing goes on")).await;
        assert!(last() > Some(0));
    })
    .await
    .0
    .expect("it runs on");
}
