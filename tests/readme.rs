//! What the README shows is what the program shows: the picture of the screen and the table of keys are made by the program.
//!
//! After a change: `WHY502_WRITE_README=1 cargo test --test readme`, look at it, and commit it with the change.

use std::path::Path;

use ratatui::{Terminal, backend::TestBackend};
use why502::{
    shell::{Recording, fold},
    ui::{self, Ui},
};

/// The screen of a recorded incident, as text.
fn screen(name: &str, columns: u16, rows: u16) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/corpus/{name}.jsonl"));
    let state = fold(Recording::read(&path).expect("a recording")).expect("the catalogue is sound");
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a terminal of cells");
    let ui = Ui::choose(Some("xterm-256color"), false, true, false);
    terminal.draw(|frame| ui::draw(&state, &ui, frame)).expect("drawn");
    let cells = terminal.backend().buffer().content();
    let lines = cells.chunks(usize::from(columns)).map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>());
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Puts `made` between these two marks.
fn with(text: &str, begin: &str, end: &str, made: &str) -> String {
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("README has no {begin:?}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("README has no {end:?}"));
    format!("{before}{begin}{made}{end}{after}")
}

#[test]
fn the_readme_shows_what_the_program_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("README.md");
    let made = with(&readme, "one static file.\n\n```text\n", "```\n", &screen("nginx-app-dead", 80, 24));
    let keys = format!("{}\n{}", ui::keymap::key_table(), ui::keymap::command_table());
    let made = with(&made, "## Keys\n\n", "\n## What it never does", &keys);
    if std::env::var_os("WHY502_WRITE_README").is_some() {
        std::fs::write(&path, made).expect("README.md");
    } else {
        assert!(made == readme, "README.md shows another screen or other keys; see the head of tests/readme.rs");
    }
}
