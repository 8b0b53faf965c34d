//! Screens as a person sees them, and the promise that no size and no foreign text breaks them.

mod common;

use common::incident::Incident;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};
use why502::{
    app::State,
    ui::{Ui, draw},
};

/// A modern terminal.
fn modern() -> Ui {
    Ui::choose(Some("xterm-256color"), false, true, false)
}

/// The screen of a state.
fn screen(state: &State, ui: &Ui, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
    terminal.draw(|frame| draw(state, ui, frame)).expect("drawing to memory");
    terminal.backend().buffer().clone()
}

/// Its text, one line a row.
fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width).max(1));
    let rows = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned());
    rows.collect::<Vec<_>>().join("\n")
}

const SIZES: &[(u16, u16)] = &[(80, 24), (120, 36), (160, 45)];

macro_rules! whole_screens {
    ($($name:ident: $state:expr;)*) => {$(
        #[test]
        fn $name() {
            let state = $state.state;
            for (width, height) in SIZES {
                insta::assert_snapshot!(format!("{}-{width}x{height}", stringify!($name)), text(&screen(&state, &modern(), *width, *height)));
            }
        }
    )*};
}

whole_screens! {
    first_frame: Incident::first_frame();
    broken: Incident::broken();
    healthy: Incident::healthy();
    blind: Incident::blind();
    flooded: Incident::flooded();
}
