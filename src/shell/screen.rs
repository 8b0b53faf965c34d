//! The terminal as ratatui draws on it: writes only, and only what a frame needs.
//!
//! crossterm's own backend asks the terminal where its cursor is whenever the screen is wiped, and waits up to two seconds for
//! the answer, on a line that may be slow, stuck or gone; and it runs `tput` where the kernel knows no size. Here nothing is
//! asked, and a wipe goes out together with the frame that follows, so nobody sees an empty screen in between.

use std::io::{self, Write};

use crossterm::{
    queue,
    terminal::{Clear, ClearType as CrosstermClear, window_size},
};
use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// The size of a terminal that does not know its own, as on serial lines: what a VT100 has.
const UNKNOWN_SIZE: Size = Size { width: 80, height: 24 };

/// The terminal behind a writer.
#[derive(Debug)]
pub struct Screen<W: Write> {
    inner: CrosstermBackend<W>,
    /// Wipe before the next frame.
    wipe: bool,
    /// What the kernel is asked for the size; a test has another answer.
    size: fn() -> io::Result<Size>,
}

impl<W: Write> Screen<W> {
    /// Draws on the terminal that `out` leads to.
    pub fn new(out: W) -> Self {
        Self { inner: CrosstermBackend::new(out), wipe: false, size: size_of_terminal }
    }
}

fn size_of_terminal() -> io::Result<Size> {
    let known = window_size()?;
    let or = |known: u16, unknown| if known == 0 { unknown } else { known };
    Ok(Size { width: or(known.columns, UNKNOWN_SIZE.width), height: or(known.rows, UNKNOWN_SIZE.height) })
}

impl<W: Write> Backend for Screen<W> {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut content = content.peekable();
        if std::mem::take(&mut self.wipe) {
            queue!(self.inner, Clear(CrosstermClear::All))?;
        }
        // A frame that changes nothing writes nothing.
        if content.peek().is_none() { Ok(()) } else { self.inner.draw(content) }
    }

    /// It is hidden when the terminal is taken, and nothing here shows it.
    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Nothing here is typed into; the terminal gets its cursor back with everything else.
    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.wipe = true;
        Ok(())
    }

    /// Parts are not wiped by a program that has the whole screen.
    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        (self.size)()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use ratatui::{Terminal, text::Text};

    use super::*;

    /// What was written and not yet looked at.
    #[derive(Clone, Default)]
    struct Line(Rc<RefCell<Vec<u8>>>);

    impl Line {
        fn written(&self) -> String {
            String::from_utf8(self.0.take()).expect("UTF-8")
        }
    }

    impl Write for Line {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn terminal() -> (Terminal<Screen<Line>>, Line) {
        let line = Line::default();
        let screen = Screen { size: || Ok(Size::new(10, 2)), ..Screen::new(line.clone()) };
        (Terminal::new(screen).expect("memory"), line)
    }

    fn frame(terminal: &mut Terminal<Screen<Line>>, text: &str) {
        terminal.draw(|frame| frame.render_widget(Text::raw(text), frame.area())).expect("memory");
    }

    #[test]
    fn a_frame_writes_what_changed_and_nothing_when_nothing_did() {
        let (mut terminal, line) = terminal();
        frame(&mut terminal, "12:00:01");
        assert!(line.written().contains("12:00:01"));
        frame(&mut terminal, "12:00:02");
        let written = line.written();
        assert!(written.contains('2') && !written.contains("12:00") && written.len() < 40, "{written:?}");
        frame(&mut terminal, "12:00:02");
        assert_eq!(line.written(), "");
    }

    #[test]
    fn a_wipe_goes_out_with_the_frame_and_asks_nothing() {
        let (mut terminal, line) = terminal();
        frame(&mut terminal, "old");
        line.written();
        terminal.clear().expect("memory");
        assert_eq!(line.written(), "", "nobody sees an empty screen in between");
        frame(&mut terminal, "new");
        let written = line.written();
        assert!(written.starts_with("\u{1b}[2J") && written.contains("new"), "{written:?}");
        // CSI 6 n, "report cursor position", would wait for an answer.
        assert!(!written.contains("[6n"));
    }
}
