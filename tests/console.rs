//! The console's own loop with an injected feed and keys, a terminal of memory and paused time: what a person meets who sits
//! before it. What only a real terminal can show is in `pty.rs`, how screens look in `screens.rs`.

#[path = "console/deeds.rs"]
mod deeds;
#[path = "console/hands.rs"]
mod hands;
#[path = "common/incident.rs"]
mod incident;
#[path = "console/linear.rs"]
mod linear;
#[path = "console/panes.rs"]
mod panes;

use std::time::Duration;

use crossterm::event::{KeyCode, KeyModifiers};
use hands::{Hands, loop_with};
use incident::{Incident, UPSTREAM};
use tokio::time::Instant;
use why502::{
    app::Effect,
    model::{LogBatch, LogCount, LogFormat, Observation, Outcome, SourceKind},
    shell::{Feed, Input},
};

/// An incident as it comes to the console that was just started.
fn feed(hands: &Hands, incident: Incident) {
    hands.feed(Feed::Catalog(incident::catalog()));
    incident.seen.into_iter().for_each(|stamped| hands.feed(Feed::Seen(stamped)));
}

/// A screen on which the verdict of [`Incident::broken`] stands.
async fn broken(hands: &Hands) {
    feed(hands, Incident::broken());
    hands.wait_for("the verdict", |screen| screen.contains("CRITICAL")).await;
}

#[tokio::test(start_paused = true)]
async fn the_verdict_comes_when_the_evidence_does() {
    let (left, state) = loop_with(async |hands| {
        hands.wait_for("the first frame", |screen| screen.contains("CHECKLIST")).await;
        assert!(hands.began.elapsed() < Duration::from_millis(20), "the first frame waits for nothing");
        assert!(!hands.screen().contains("CRITICAL"), "nothing is known yet");
        let fed = Instant::now();
        broken(&hands).await;
        assert!(fed.elapsed() < Duration::from_millis(200), "the verdict took {:?}", fed.elapsed());
        assert!(hands.screen().contains("upstream-down"), "{}", hands.screen());
        hands.press('q');
    })
    .await;
    assert_eq!(left, Ok(false));
    assert_eq!(state.assessment.causes.first().map(|cause| cause.id.as_str()), Some("upstream-down"));
}

#[tokio::test(start_paused = true)]
async fn keys_lead_to_the_screens() {
    let (left, state) = loop_with(async |hands| {
        broken(&hands).await;
        hands.press('?');
        hands.wait_for("the keys", |screen| screen.contains("KEYS") && screen.contains("No key changes the host")).await;
        hands.key(KeyCode::Esc, KeyModifiers::NONE);
        hands.wait_for("the panes again", |screen| screen.contains("CHECKLIST")).await;
        // By number to the causes, and why.
        hands.press('2');
        hands.key(KeyCode::Enter, KeyModifiers::NONE);
        hands.wait_for("the explanation", |screen| screen.contains("WHY: causes") && screen.contains("Stop the bleeding")).await;
        hands.key(KeyCode::Esc, KeyModifiers::NONE);
        hands.wait_for("the panes again", |screen| screen.contains("CHECKLIST")).await;
        // The pane after the causes, alone.
        hands.key(KeyCode::Tab, KeyModifiers::NONE);
        hands.press('z');
        hands.wait_for("the probes alone", |screen| screen.contains("PROBES") && !screen.contains("CHECKLIST")).await;
        hands.press('z');
        hands.wait_for("all panes", |screen| screen.contains("CHECKLIST")).await;
        hands.press('q');
    })
    .await;
    assert_eq!((left, state.view.focus), (Ok(false), "probes"));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_answered_within_a_tenth_of_a_second() {
    loop_with(async |hands| {
        broken(&hands).await;
        for _ in 0..20 {
            for (key, sign) in [('?', "KEYS"), ('?', "CHECKLIST")] {
                let pressed = Instant::now();
                hands.press(key);
                hands.wait_for(sign, |screen| screen.contains(sign)).await;
                assert!(pressed.elapsed() <= Duration::from_millis(100), "{:?}", pressed.elapsed());
            }
        }
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_view_stands_still_while_collection_goes_on() {
    loop_with(async |hands| {
        broken(&hands).await;
        hands.press('Z');
        hands.settle().await;
        let dropped = Observation::Dropped { collector: "logs".into(), count: 4242 };
        hands.observe(dropped);
        hands.settle().await;
        assert!(!hands.screen().contains("4,242 dropped"), "the view is frozen:\n{}", hands.screen());
        hands.press('Z');
        hands.wait_for("what came meanwhile", |screen| screen.contains("4,242 dropped")).await;
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn a_line_is_on_the_screen_when_it_is_written() {
    loop_with(async |hands| {
        broken(&hands).await;
        hands.press('5');
        hands.press('l');
        hands.wait_for("the lines", |screen| screen.contains("latest lines  follow")).await;
        // Requests too, which are no news as long as nobody reads them.
        for (number, kind) in [SourceKind::Error, SourceKind::App, SourceKind::Access].into_iter().cycle().take(30).enumerate() {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let line = format!("line {number}");
            let count = LogCount { key: line.clone(), count: 1, first: line.clone(), ..LogCount::default() };
            let batch = LogBatch {
                source: "/srv/shop/app.log".into(),
                kind,
                format: LogFormat::Plain,
                counts: vec![count],
                lookback: false,
                dropped: 0,
            };
            let written = Instant::now();
            hands.observe(Observation::Log(batch));
            hands.wait_for(&line, |screen| screen.lines().any(|row| row.starts_with('>') && row.trim_end().ends_with(&line))).await;
            assert!(written.elapsed() <= Duration::from_millis(100), "{line} took {:?}", written.elapsed());
        }
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn what_is_searched_is_typed_found_and_left() {
    let (left, state) = loop_with(async |hands| {
        broken(&hands).await;
        hands.press('5');
        "/prematurely".chars().for_each(|c| hands.press(c));
        hands.wait_for("what is typed", |screen| screen.contains("find: prematurely   1 found")).await;
        hands.key(KeyCode::Enter, KeyModifiers::NONE);
        hands.wait_for("the row", |screen| screen.lines().any(|row| row.starts_with('>') && row.contains("prematurely"))).await;
        // q is a letter while one types, and quits afterwards.
        "/q".chars().for_each(|c| hands.press(c));
        hands.wait_for("the letter", |screen| screen.contains("find: q")).await;
        hands.key(KeyCode::Esc, KeyModifiers::NONE);
        hands.press('q');
        hands.ended().await;
    })
    .await;
    assert_eq!(left, Ok(false));
    assert_eq!(state.view.logs.search.map(|search| search.text().to_owned()).as_deref(), Some("prematurely"));
}

/// What `why502 check --json` prints on another host.
const ELSEWHERE: &str = r#"{"schema":"why502/1","at":"2026-11-20T02:31:07Z","host":"lap\u001b[31mtop","target":{"url":"http://shop.test/"},
    "hops":[{"name":"client","target":"http://shop.test/","outcome":"status 200"},{"name":"tcp","target":"x","outcome":"OK"}]}"#;

#[tokio::test(start_paused = true)]
async fn what_was_seen_elsewhere_is_pasted_or_read_and_compared() {
    loop_with(async |hands| {
        broken(&hands).await;
        hands.input(Input::Paste("rm -rf /\nq".to_owned()));
        hands.wait_for("a word that it is nothing", |screen| screen.contains("nothing was done with it")).await;
        hands.press('v');
        hands.wait_for("the command", |screen| screen.contains("SEEN ELSEWHERE") && screen.contains("ssh HOST why502 check")).await;
        hands.press('v');
        hands.input(Input::Paste("/tmp/seen.json\nq".to_owned()));
        hands.wait_for("the file's name", |screen| screen.contains("file: /tmp/seen.json")).await;
        hands.key(KeyCode::Enter, KeyModifiers::NONE);
        hands.settle().await;
        assert!(hands.effects().contains(&Effect::ReadVantage("/tmp/seen.json".to_owned())), "{:?}", hands.effects());
        hands.input(Input::Paste(ELSEWHERE.to_owned()));
        hands.settle().await;
        let seen = hands.effects().into_iter().find_map(|effect| match effect {
            Effect::Vantage(seen) => Some(seen),
            _ => None,
        });
        // As the collectors give it back, so that it is recorded, too.
        hands.observe(Observation::Vantage(seen.expect("what was pasted")));
        hands
            .wait_for("the comparison", |screen| {
                screen.contains("lap") && screen.contains("status 200") && screen.contains("Served there and not here")
            })
            .await;
    })
    .await
    .0
    .expect("it runs on");
}

/// A way to end it.
type End = fn(&Hands);

#[tokio::test(start_paused = true)]
async fn every_end_ends_it() {
    let ends: [(&str, End, bool); 5] = [
        ("q", |hands| hands.press('q'), false),
        ("Q leaves the screen", |hands| hands.press('Q'), true),
        ("Ctrl-C", |hands| hands.key(KeyCode::Char('c'), KeyModifiers::CONTROL), false),
        ("a signal, or the terminal's end", |hands| hands.input(Input::End), false),
        ("no more input", Hands::hang_up, false),
    ];
    for (what, end, keeps) in ends {
        // From behind every overlay, too.
        for before in ["", "?", "2\n", "z", "Z"] {
            let began = Instant::now();
            let (left, _) = loop_with(async |hands| {
                broken(&hands).await;
                before.chars().for_each(|c| if c == '\n' { hands.key(KeyCode::Enter, KeyModifiers::NONE) } else { hands.press(c) });
                end(&hands);
                hands.ended().await;
            })
            .await;
            assert_eq!(left, Ok(keeps), "{what} after {before:?}");
            assert!(began.elapsed() < Duration::from_secs(1), "{what} after {before:?}");
        }
    }
}

/// Log lines as they come in an outage, by the thousand.
fn flood() -> Observation {
    let incident = Incident::flooded();
    let mut batches = incident.seen.into_iter().filter_map(|stamped| match stamped.observation {
        Observation::Log(batch) if batch.counts.len() > 100 => Some(LogBatch { lookback: false, ..batch }),
        _ => None,
    });
    Observation::Log(batches.next_back().expect("a flood has a large batch"))
}

// Real time: a flood leaves no idle moment in which paused time would go on.
#[tokio::test]
async fn a_flood_starves_neither_keys_nor_frames() {
    let batch = flood();
    let (left, state) = loop_with(async |hands| {
        broken(&hands).await;
        let done = hands.flood(move || batch.clone());
        hands.wait_for("the flood on the screen", |screen| screen.contains("300 groups") || screen.contains("303 groups")).await;
        for (key, sign) in [('?', "KEYS"), ('?', "CHECKLIST"), ('5', "═5 LOGS"), ('?', "KEYS")] {
            hands.press(key);
            // How soon is the machine's affair, and measured by tests/bench.
            hands.wait_for(sign, |screen| screen.contains(sign)).await;
        }
        assert!(!done.is_finished(), "the flood went on all the time");
        hands.press('q');
        hands.ended().await;
        done.abort();
    })
    .await;
    assert_eq!(left, Ok(false));
    assert!(state.scene.logs.len() >= 300);
}

#[tokio::test(start_paused = true)]
async fn a_terminal_that_is_stuck_gets_no_frame_and_then_the_newest() {
    loop_with(async |hands| {
        feed(&hands, Incident::first_frame());
        hands.wait_for("the first frame", |screen| screen.contains("CHECKLIST")).await;
        hands.settle().await;
        hands.block_terminal();
        let frames = hands.frames();
        broken_unseen(&hands);
        hands.press('?');
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(hands.frames(), frames, "no frame while the terminal is busy");
        let freed = Instant::now();
        hands.free_terminal();
        hands.wait_for("the newest state", |screen| screen.contains("CRITICAL") && screen.contains("KEYS")).await;
        assert!(freed.elapsed() <= Duration::from_millis(100), "{:?}", freed.elapsed());
        assert_eq!(hands.frames(), frames + 1, "what lay between is not drawn");
    })
    .await
    .0
    .expect("it runs on");
}

fn broken_unseen(hands: &Hands) {
    Incident::broken().seen.into_iter().for_each(|stamped| hands.feed(Feed::Seen(stamped)));
}

#[tokio::test(start_paused = true)]
async fn when_idle_it_draws_at_most_once_a_second() {
    loop_with(async |hands| {
        feed(&hands, Incident::healthy());
        hands.settle().await;
        let frames = hands.frames();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let drawn = hands.frames() - frames;
        assert!((55..=60).contains(&drawn), "{drawn} frames in a minute: the clock goes on, and nothing else");
        // What every collector of a healthy host sends: load every 2 s, a probe's round every 10 s.
        let quiet = Incident::healthy();
        let load = Observation::Load(Box::new(incident::load()));
        let round: Vec<Observation> = quiet.seen.into_iter().map(|stamped| stamped.observation).collect();
        let probes: Vec<&Observation> = round.iter().filter(|seen| matches!(seen, Observation::Probe(_))).take(2).collect();
        let frames = hands.frames();
        for tenth in 0..600 {
            if tenth % 20 == 7 {
                hands.observe(load.clone());
            }
            if tenth % 100 == 33 {
                for probe in &probes {
                    hands.observe((*probe).clone());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let drawn = hands.frames() - frames;
        assert!(drawn <= 61, "{drawn} frames in a minute of a healthy host");
    })
    .await
    .0
    .expect("it runs on");
}

/// Every other second of a host on which nothing is seen only the clock is drawn: the rest has to stand there as it was.
#[tokio::test(start_paused = true)]
async fn the_clock_goes_on_over_panes_that_stand() {
    let parts = |screen: &str| screen.split_once('\n').map(|(first, rest)| (first.to_owned(), rest.to_owned())).expect("lines");
    loop_with(async |hands| {
        feed(&hands, Incident::healthy());
        hands.settle().await;
        let mut stood = 0;
        for second in 0..10 {
            let (clock, panes) = parts(&hands.screen());
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (clock_then, panes_then) = parts(&hands.screen());
            assert_ne!(clock, clock_then, "second {second}");
            stood += u32::from(panes == panes_then);
            if second % 3 == 0 {
                continue;
            }
            // A key has everything drawn: only ages may differ from what stood there.
            hands.press('?');
            hands.settle().await;
            hands.press('?');
            hands.settle().await;
            let digits = |screen: &str| screen.replace(|letter: char| letter.is_ascii_digit(), "#");
            assert_eq!(digits(&panes_then), digits(&parts(&hands.screen()).1), "second {second}");
        }
        assert!(stood > 0);
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_and_on_request_everything_is_drawn_anew() {
    loop_with(async |hands| {
        broken(&hands).await;
        for (what, ask, stops) in [
            ("Ctrl-Z", Input::Key(hands::ctrl('z')), 1),
            ("SIGTSTP", Input::Stop, 1),
            ("SIGCONT", Input::Resume, 0),
            ("Ctrl-L", Input::Key(hands::ctrl('l')), 0),
        ] {
            let (stopped, clears) = (hands.stops(), hands.clears());
            hands.input(ask);
            hands.settle().await;
            assert_eq!(hands.stops() - stopped, stops, "{what}");
            assert_eq!(hands.clears() - clears, 1, "{what}: what other programs wrote is wiped out");
            assert!(hands.screen().contains("CRITICAL"), "{what}:\n{}", hands.screen());
        }
    })
    .await
    .0
    .expect("it runs on");
}

#[tokio::test(start_paused = true)]
async fn a_new_size_is_drawn_at_once() {
    loop_with(async |hands| {
        feed(&hands, Incident::blind());
        hands.settle().await;
        for (width, height) in [(160, 45), (1, 1), (40, 10), (80, 24)] {
            hands.resize(width, height);
            hands.wait_for_size(width, height).await;
        }
        assert!(hands.screen().contains("CHECKLIST"));
    })
    .await
    .0
    .expect("it runs on");
}

#[test]
fn when_all_is_served_again_every_view_is_asked_for_once_more() {
    let mut incident = Incident::broken();
    let before = incident.state.plan.clone();
    let served = |_: &_| Outcome::Status(200);
    incident.rounds(1, served);
    assert_eq!(incident.state.plan.asked, before.asked, "one answer is not the end");
    incident.rounds(9, served);
    assert!(incident.state.plan.period_ms > before.period_ms, "it is calm: {:?}", incident.state.plan);
    assert_eq!(incident.state.plan.asked, before.asked + 1);
    // Once, and not with each change of the plan.
    incident.rounds(9, served);
    assert_eq!(incident.state.plan.asked, before.asked + 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_done_is_handed_out() {
    loop_with(async |hands| {
        broken(&hands).await;
        let follow = |effect: &Effect| matches!(effect, Effect::Follow(logs) if logs.what.len() == 2);
        let probe = |effect: &Effect| {
            matches!(effect, Effect::Probe(plan) if plan.jobs.iter().any(|job| job.address.to_string() == UPSTREAM))
        };
        assert!(hands.effects().iter().any(follow), "the gateway's logs are followed: {:?}", hands.effects());
        assert!(hands.effects().iter().any(probe), "the upstream is asked: {:?}", hands.effects());
        let done = hands.effects().len();
        hands.press('r');
        hands.settle().await;
        assert!(hands.effects()[done..].iter().any(probe), "r asks for a round now");
        hands.press('2');
        hands.press('y');
        hands.settle().await;
        let copied = |effect: &Effect| matches!(effect, Effect::Copy(text) if !text.is_empty());
        assert!(hands.effects().iter().any(copied), "{:?}", hands.effects());
        hands.wait_for("a word about it", |screen| screen.contains("copied to the terminal's clipboard")).await;
    })
    .await
    .0
    .expect("it runs on");
}
