//! Filters and the mouse in every pane.

use crossterm::event::{KeyCode, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use why502::{app::Effect, shell::Input};

use super::{broken, hands::loop_with};

fn mouse(kind: MouseEventKind, column: u16, row: u16) -> Input {
    Input::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
}

fn click(column: u16, row: u16) -> Input {
    mouse(MouseEventKind::Down(MouseButton::Left), column, row)
}

/// Column and row at which a text begins on the screen.
fn place(screen: &str, text: &str) -> (u16, u16) {
    let found = screen.lines().enumerate().find_map(|(row, line)| Some((line[..line.find(text)?].chars().count(), row)));
    let (column, row) = found.unwrap_or_else(|| panic!("no {text}:\n{screen}"));
    (u16::try_from(column).expect("a screen"), u16::try_from(row).expect("a screen"))
}

#[tokio::test(start_paused = true)]
async fn every_pane_is_filtered_by_the_keys_of_the_logs() {
    let (_, state) = loop_with(async |hands| {
        broken(&hands).await;
        // The checklist: only what names a log, as it is typed, and then for good.
        "&log".chars().for_each(|c| hands.press(c));
        hands.wait_for("what is left while one types", |screen| screen.contains("+\"log\"") && !screen.contains("ping")).await;
        hands.key(KeyCode::Enter, KeyModifiers::NONE);
        hands.wait_for("what is left", |screen| screen.contains("+\"log\"") && screen.contains("the gateway's error log")).await;
        // The selected row goes, and all come back.
        hands.press('x');
        hands.wait_for("without the row", |screen| !screen.contains("the gateway's error log")).await;
        hands.press('X');
        hands.wait_for("all rows", |screen| !screen.contains("+\"log\"") && screen.contains("10 server load")).await;
        // Each pane for itself.
        for pane in ['2', '3', '4', '6', '7', '8'] {
            hands.press(pane);
            "!up".chars().for_each(|c| hands.press(c));
            hands.key(KeyCode::Enter, KeyModifiers::NONE);
            hands.wait_for("the filter in the title", |screen| screen.contains("-\"up\"")).await;
        }
        hands.press('1');
        hands
            .wait_for("the checklist without a filter", |screen| {
                screen
                    .lines()
                    .any(|line| line.contains("═1 CHECKLIST") && !line.chars().take(30).collect::<String>().contains("up\""))
            })
            .await;
    })
    .await;
    assert_eq!(
        state.view.narrow.keys().copied().collect::<Vec<_>>(),
        ["causes", "changes", "config", "load", "probes", "timeline"]
    );
    assert!(state.view.logs.filters.is_empty(), "the logs have their own");
}

#[tokio::test(start_paused = true)]
async fn a_click_selects_a_second_one_explains_and_the_wheel_goes_on() {
    loop_with(async |hands| {
        broken(&hands).await;
        hands.press('M');
        hands.settle().await;
        assert!(hands.effects().contains(&Effect::Mouse(true)));
        // A row of another pane: focus and row at once.
        let (x, y) = place(&hands.screen(), "psi    waiting");
        hands.input(click(x, y));
        let chosen = |screen: &str| screen.lines().any(|line| line.contains("> psi "));
        hands.wait_for("the row", chosen).await;
        hands.input(click(x, y));
        hands.wait_for("what is told of it", |screen| screen.contains("WHY: load")).await;
        hands.input(mouse(MouseEventKind::Down(MouseButton::Right), 0, 0));
        hands.wait_for("the panes", |screen| screen.contains("CHECKLIST")).await;
        // The wheel goes by rows in the pane below it, and leaves the focus.
        let (x, y) = place(&hands.screen(), "server load");
        let before = hands.screen();
        hands.input(mouse(MouseEventKind::ScrollDown, x, y));
        hands.wait_for("another part of the list", |screen| screen != before).await;
        assert!(chosen(&hands.screen()), "{}", hands.screen());
        // A key in the last line.
        // A word to the person stands there for some seconds.
        hands.wait_for("the keys below", |screen| screen.contains("? help")).await;
        let (x, y) = place(&hands.screen(), "? help");
        hands.input(click(x, y));
        hands.wait_for("the keys", |screen| screen.contains("KEYS")).await;
        // Outside of everything, and where nothing is.
        for (x, y) in [(0, 0), (500, 500), (79, 1)] {
            hands.input(click(x, y));
            hands.input(mouse(MouseEventKind::ScrollUp, x, y));
        }
        hands.settle().await;
    })
    .await
    .0
    .expect("it runs on");
}
