//! The terminal as ratatui draws on it: writes only, and only what a frame needs.
//!
//! crossterm's own backend asks the terminal where its cursor is whenever the screen is wiped, and waits up to two seconds for
//! the answer, on a line that may be slow, stuck or gone; and it runs `tput` where the kernel knows no size. Here nothing is
//! asked, and a wipe goes out together with the frame that follows, so nobody sees an empty screen in between.

//!
//! A frame has the fewest bytes that say the same: one sequence for all that changes of colours and attributes, no sequence where nothing
//! does, and short ways on a line. A link may carry 3 KB a second, and whoever looks at a clock gets one frame a second.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use crossterm::terminal::window_size;
use ratatui::{
    backend::{Backend, ClearType, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
    style::{Color, Modifier},
};
use rustix::termios::tcgetwinsize;

/// The size of a terminal that does not know its own, as on serial lines: what a VT100 has.
const UNKNOWN_SIZE: Size = Size { width: 80, height: 24 };

/// The terminal behind a writer.
#[derive(Debug)]
pub struct Screen<W: Write> {
    out: W,
    /// Wipe before the next frame.
    wipe: bool,
    /// What the kernel is asked for the size; a test has another answer.
    size: fn() -> io::Result<Size>,
}

impl<W: Write> Screen<W> {
    /// Draws on the terminal that `out` leads to.
    pub fn new(out: W) -> Self {
        Self { out, wipe: false, size: size_of_terminal }
    }
}

/// The size of the terminal.
pub fn size_of_terminal() -> io::Result<Size> {
    // It is asked before each frame, and crossterm opens the terminal anew for that.
    let (columns, rows) = match tcgetwinsize(io::stdout()) {
        Ok(known) => (known.ws_col, known.ws_row),
        Err(_) => window_size().map(|known| (known.columns, known.rows))?,
    };
    let or = |known: u16, unknown| if known == 0 { unknown } else { known };
    Ok(Size { width: or(columns, UNKNOWN_SIZE.width), height: or(rows, UNKNOWN_SIZE.height) })
}

/// ED (ECMA-48), the whole screen.
const WIPE: &str = "\u{1b}[2J";

/// Where the terminal's cursor is.
#[derive(Debug, Default)]
struct Cursor {
    /// Column and line behind what was printed last. `None`: anywhere.
    at: Option<(u16, u16)>,
    /// Nothing but ASCII was printed since it was set: of anything else the terminal may have another idea how wide it is.
    sure: bool,
}

impl Cursor {
    /// Puts it there: CUP, or CUF where that is shorter (ECMA-48).
    fn go(&mut self, x: u16, y: u16, text: &mut String) {
        // Writing to a string does not fail.
        let _ = match self.at {
            Some(at) if at == (x, y) => Ok(()),
            Some((column, line)) if line == y && column < x && self.sure => match x - column {
                1 => write!(text, "\u{1b}[C"),
                by => write!(text, "\u{1b}[{by}C"),
            },
            Some(_) | None => {
                self.sure = true;
                match (x, y) {
                    (0, 0) => write!(text, "\u{1b}[H"),
                    (0, _) => write!(text, "\u{1b}[{}H", u32::from(y) + 1),
                    _ => write!(text, "\u{1b}[{};{}H", u32::from(y) + 1, u32::from(x) + 1),
                }
            }
        };
        self.at = Some((x, y));
    }

    /// This was printed.
    fn printed(&mut self, symbol: &str) {
        self.sure &= matches!(symbol.as_bytes(), [b' '..=b'~']);
        self.at = self.at.and_then(|(x, y)| Some((x.checked_add(1)?, y)));
    }
}

/// How the terminal prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Pen {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Pen {
    /// Prints like this from now on: SGR (ECMA-48, 8.3.117; of colours ITU-T T.416).
    fn take(&mut self, to: Self, text: &mut String) {
        let from = std::mem::replace(self, to);
        if from == to {
            return;
        }
        if to == Self::default() {
            text.push_str("\u{1b}[m");
            return;
        }
        text.push_str("\u{1b}[");
        // What one attribute's end ends as well differs; all begin anew instead.
        let kept = if from.modifier.difference(to.modifier).is_empty() {
            from
        } else {
            text.push_str("0;");
            Self::default()
        };
        let begin = to.modifier.difference(kept.modifier);
        for (_, code) in ATTRIBUTES.iter().filter(|(attribute, _)| begin.contains(*attribute)) {
            let _ = write!(text, "{code};");
        }
        if to.fg != kept.fg {
            colour(to.fg, 30, text);
        }
        if to.bg != kept.bg {
            colour(to.bg, 40, text);
        }
        // Something differs: a code was written, and it ends in a semicolon.
        text.pop();
        text.push('m');
    }
}

/// The attributes, and what begins them.
const ATTRIBUTES: [(Modifier, u8); 9] = [
    (Modifier::BOLD, 1),
    (Modifier::DIM, 2),
    (Modifier::ITALIC, 3),
    (Modifier::UNDERLINED, 4),
    (Modifier::SLOW_BLINK, 5),
    (Modifier::RAPID_BLINK, 6),
    (Modifier::REVERSED, 7),
    (Modifier::HIDDEN, 8),
    (Modifier::CROSSED_OUT, 9),
];

/// Begins a colour; `base`: 30 in front, 40 behind.
fn colour(colour: Color, base: u8, codes: &mut String) {
    // The bright ones are those of aixterm.
    let number = match colour {
        Color::Reset => 9,
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 60,
        Color::LightRed => 61,
        Color::LightGreen => 62,
        Color::LightYellow => 63,
        Color::LightBlue => 64,
        Color::LightMagenta => 65,
        Color::LightCyan => 66,
        Color::White => 67,
        Color::Indexed(index) => {
            let _ = write!(codes, "{};5;{index};", base + 8);
            return;
        }
        Color::Rgb(red, green, blue) => {
            let _ = write!(codes, "{};2;{red};{green};{blue};", base + 8);
            return;
        }
    };
    let _ = write!(codes, "{};", base + number);
}

impl<W: Write> Backend for Screen<W> {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        let mut text = String::new();
        if std::mem::take(&mut self.wipe) {
            text.push_str(WIPE);
        }
        let (mut pen, mut cursor) = (Pen::default(), Cursor::default());
        for (x, y, cell) in content {
            cursor.go(x, y, &mut text);
            pen.take(Pen { fg: cell.fg, bg: cell.bg, modifier: cell.modifier }, &mut text);
            text.push_str(cell.symbol());
            cursor.printed(cell.symbol());
        }
        // Each frame begins, and whatever comes between two finds the terminal, without any.
        pen.take(Pen::default(), &mut text);
        // A frame that changes nothing writes nothing.
        self.out.write_all(text.as_bytes())
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
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use ratatui::{Terminal, style::Stylize as _, text::Text};

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

    proptest::proptest! {
        /// Frame after frame the terminal shows what was drawn, and afterwards prints as if nothing had been.
        #[test]
        fn a_terminal_shows_what_was_drawn(frames in proptest::collection::vec(proptest::collection::vec((0u8..5, 0u8..20, 0u8..20, 0u16..512), 20), 1..5)) {
            let colours = [
                Color::Reset, Color::Red, Color::Gray, Color::DarkGray, Color::LightBlue, Color::White, Color::Indexed(208), Color::Rgb(1, 2, 3),
            ];
            let known = |colour: Color| match colour {
                Color::Red => vt100::Color::Idx(1),
                Color::Gray => vt100::Color::Idx(7),
                Color::DarkGray => vt100::Color::Idx(8),
                Color::LightBlue => vt100::Color::Idx(12),
                Color::White => vt100::Color::Idx(15),
                Color::Indexed(index) => vt100::Color::Idx(index),
                Color::Rgb(red, green, blue) => vt100::Color::Rgb(red, green, blue),
                _ => vt100::Color::Default,
            };
            let (mut terminal, line) = terminal();
            let mut shown = vt100::Parser::new(2.try_into().expect("not 0"), 10.try_into().expect("not 0"), 0);
            for cells in frames {
                let mut wanted = ratatui::buffer::Buffer::empty(ratatui::layout::Rect::new(0, 0, 10, 2));
                for (index, (symbol, fg, bg, modifier)) in cells.into_iter().enumerate() {
                    let at = (u16::try_from(index % 10).expect("small"), u16::try_from(index / 10).expect("small"));
                    let cell = wanted.cell_mut(at).expect("on the screen");
                    cell.set_symbol(["x", " ", "\u{2500}", "\u{e9}", "7"][usize::from(symbol)]);
                    cell.set_fg(colours[usize::from(fg) % 8]).set_bg(colours[usize::from(bg) % 8]);
                    cell.modifier = Modifier::from_bits_truncate(modifier);
                    if cell.modifier.contains(Modifier::BOLD) {
                        // This terminal knows one of both.
                        cell.modifier.remove(Modifier::DIM);
                    }
                }
                terminal.draw(|frame| frame.buffer_mut().clone_from(&wanted)).expect("memory");
                shown.process(line.written().as_bytes());
                for (x, y) in (0..10).flat_map(|x| [(x, 0), (x, 1)]) {
                    let (is, be) = (shown.screen().cell(y, x).expect("on the screen"), wanted.cell((x, y)).expect("on the screen"));
                    let text = if is.contents().is_empty() { " " } else { is.contents() };
                    proptest::prop_assert_eq!(text, be.symbol());
                    proptest::prop_assert_eq!((is.fgcolor(), is.bgcolor()), (known(be.fg), known(be.bg)));
                    let has = |attribute| be.modifier.contains(attribute);
                    proptest::prop_assert_eq!(
                        (is.bold(), is.dim(), is.italic(), is.underline(), is.inverse()),
                        (has(Modifier::BOLD), has(Modifier::DIM), has(Modifier::ITALIC), has(Modifier::UNDERLINED), has(Modifier::REVERSED))
                    );
                }
                shown.process(b"\x1b[2;1H \x08");
                proptest::prop_assert_eq!(shown.screen().fgcolor(), vt100::Color::Default);
                proptest::prop_assert!(!shown.screen().bold() && !shown.screen().inverse());
                // It was printed over.
                terminal.clear().expect("memory");
            }
        }
    }

    #[test]
    fn a_clock_costs_its_digit() {
        let (mut terminal, line) = terminal();
        let styled = |terminal: &mut Terminal<Screen<Line>>, text: &str| {
            let text =
                ratatui::text::Line::from(vec![ratatui::text::Span::raw("up "), ratatui::text::Span::raw(text.to_owned()).bold()]);
            terminal.draw(|frame| frame.render_widget(text, frame.area())).expect("memory");
        };
        styled(&mut terminal, "1:01");
        line.written();
        styled(&mut terminal, "2:02");
        assert_eq!(line.written(), "\u{1b}[1;4H\u{1b}[1m2\u{1b}[2C2\u{1b}[m");
        frame(&mut terminal, "up 2:03");
        assert_eq!(line.written(), "\u{1b}[1;4H2:03");
    }
}
