//! Sizes, the mouse, settings, and lines instead of a screen.

use nix::sys::signal::Signal;
use vt100::MouseProtocolMode;

use super::*;

fn nonzero(number: u16) -> std::num::NonZero<u16> {
    std::num::NonZero::new(number).expect("not 0")
}

#[test]
fn any_size_will_do() {
    let (mut console, _root) = started(&[]);
    for (rows, cols) in [(1, 1), (10, 40), (2, 200), (60, 10), (45, 160), (24, 80)] {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        console.screen.lock().expect("not poisoned").screen_mut().set_size(nonzero(rows), nonzero(cols));
        console.master.as_ref().expect("terminal is there").resize(size).expect("resized");
    }
    // A key that comes together with the signal of a new size is read with the next key only (crossterm 0.29, its mio source).
    console.wait_for("panes at the last size", |screen| screen.contents().contains("CHECKLIST"));
    console.press("?");
    console.wait_for("help", |screen| screen.contents().contains("KEYS"));
    console.press("qq");
    console.ended();
    console.assert_restored();
}

/// A home with these settings, and what names it in the environment.
fn settled(text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().expect("temporary directory");
    let dir = home.path().join(".config/why502");
    std::fs::create_dir_all(&dir).expect("directory");
    std::fs::write(dir.join("config.toml"), text).expect("written");
    home
}

#[test]
fn the_mouse_is_the_terminals_until_it_is_asked_for_and_comes_back_on_every_way_out() {
    let (mut console, _root) = started(&[]);
    assert_eq!(console.screen.lock().expect("not poisoned").screen().mouse_protocol_mode(), MouseProtocolMode::None);
    console.press("M");
    console.wait_for("the mouse", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::PressRelease);
    console.press("M");
    console.wait_for("no mouse", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::None);
    console.press("M");
    console.wait_for("the mouse", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::PressRelease);
    // The second pane stands to the right: a click in its title moves the focus there (mode 1006: button, column, row).
    let column = |console: &Console| {
        let text = console.text();
        let (row, line) = text.lines().enumerate().find(|(_, line)| line.contains("3 PROBES")).expect("the pane");
        (line[..line.find("3 PROBES").expect("there")].chars().count() + 1, row + 1)
    };
    let (x, y) = column(&console);
    console.press(&format!("\u{1b}[<0;{x};{y}M"));
    console.wait_for("the focus", |screen| screen.contents().lines().any(|line| line.contains("\u{2550}3 PROBES")));
    for end in ["q", "TERM", "a panic"] {
        let home = settled("mouse = true\n");
        let mut environment = vec![("HOME", home.path().to_str().expect("UTF-8"))];
        if end == "a panic" {
            environment.push(("WHY502_TEST_PANIC", "1"));
        }
        let (mut console, _root) = started(&environment);
        console.wait_for("the mouse, as it is settled", |screen| screen.mouse_protocol_mode() == MouseProtocolMode::PressRelease);
        if end == "TERM" {
            console.signal(Signal::SIGTERM);
        } else {
            console.press("q");
        }
        console.ended();
        console.assert_restored();
    }
}

#[test]
fn settings_hold_and_what_is_wrong_in_them_is_told() {
    let home = settled("ascii = true\nrecord = false\nmouse = 3\n[keys]\nzoom = \"F5\"\nquit = [\"q\", \"F10\"]\n");
    let (mut console, _root) = started(&[("HOME", home.path().to_str().expect("UTF-8"))]);
    console.wait_for("what is wrong", |screen| screen.contents().contains("config.toml:3: mouse takes neither"));
    console.wait_for("ASCII", |screen| screen.contents().contains("=1 CHECKLIST"));
    console.press("z\u{1b}[15~");
    console.wait_for("the zoom", |screen| !screen.contents().contains("2 CAUSES"));
    console.press("?");
    console.wait_for("the key in the help", |screen| screen.contents().contains("F5 "));
    console.press("\u{1b}[21~");
    assert_eq!(console.ended(), 0);
    assert!(!home.path().join(".local").exists(), "nothing is recorded");
}

#[test]
fn lines_take_nothing_of_the_terminal_and_say_what_a_screen_shows() {
    let root = empty_root();
    let arguments = ["--linear", "--root", root.path().to_str().expect("UTF-8")];
    let mut console = Console::start(&arguments, &[]);
    let plain = |screen: &vt100::Screen| !screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste();
    console.wait_for("the verdict", |screen| plain(screen) && screen.contents().contains("verdict: UNKNOWN  no gateway"));
    console.press("causes\r");
    console.wait_for("the pane", |screen| screen.contents().contains("2 CAUSES"));
    // The terminal's own editing: Ctrl-U takes back what was typed.
    console.press("quit\u{15}note asked dev\r");
    console.press("timeline\r");
    console.wait_for("the note", |screen| screen.contents().contains("note asked dev") && screen.contents().contains("8 TIMELINE"));
    console.press("\u{1a}");
    console.wait_until_stopped();
    console.signal(Signal::SIGCONT);
    console.press("quit\r");
    assert_eq!(console.ended(), 0);
    for end in ["\u{3}", "\u{4}"] {
        let mut console = Console::start(&arguments, &[]);
        console.wait_for("the sign", |screen| screen.contents().contains("> "));
        console.press(end);
        assert_eq!(console.ended(), 0, "{end:?}");
    }
}

#[test]
fn an_editor_that_a_line_opened_has_the_keys() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let editor = dir.path().join("vi");
    std::fs::write(&editor, EDITOR).expect("written");
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let mut console = Console::start(&["demo", "--linear"], &[("EDITOR", editor.to_str().expect("UTF-8"))]);
    console.wait_for("the verdict", |screen| screen.contents().contains("upstream-down"));
    console.press("causes\redit\r");
    console.wait_for("the editor", |screen| screen.contents().contains("EDITING +"));
    console.press("by a line\r");
    console.wait_for("that it is noticed", |screen| screen.contents().contains("is not loaded: type config"));
    console.press("config\r");
    console.wait_for("the edit", |screen| screen.contents().contains("1 edit"));
    console.press("quit\r");
    assert_eq!(console.ended(), 0);
}

/// What the program writes to a terminal of this kind, up to the verdict and the end.
fn written(environment: &[(&str, &str)]) -> String {
    let root = empty_root();
    let mut command = Console::command(&["--root", root.path().to_str().expect("UTF-8")], environment);
    command.env("TERM", environment.iter().find(|(name, _)| *name == "TERM").map_or("xterm", |(_, term)| term));
    let mut console = Console::run(command);
    console.wait_for("the verdict", |screen| screen.contents().contains("no gateway"));
    console.press(if environment.contains(&("TERM", "dumb")) { "quit\r" } else { "q" });
    assert_eq!(console.ended(), 0, "{environment:?}");
    console.assert_restored();
    String::from_utf8(console.bytes.lock().expect("not poisoned").clone()).expect("UTF-8")
}

/// Whether a colour is set (ECMA-48, SGR 30 to 37, 90 to 97, 38): by parameters between `ESC [` and `m`.
fn coloured(bytes: &str) -> bool {
    let sequences = bytes.split("\u{1b}[").skip(1).filter_map(|rest| rest.split_once('m').map(|(parameters, _)| parameters));
    let plain = sequences.filter(|parameters| parameters.chars().all(|c| c.is_ascii_digit() || c == ';'));
    plain.flat_map(|parameters| parameters.split(';')).any(|number| matches!(number.parse(), Ok(30..=38 | 40..=48 | 90..=107)))
}

#[test]
fn every_kind_of_terminal_gets_what_it_can_show() {
    for (environment, colours, ascii) in [
        (&[("TERM", "xterm-256color")][..], true, false),
        (&[("TERM", "screen.xterm-256color")], true, false),
        (&[("TERM", "putty-256color")], true, false),
        (&[("TERM", "made-up")], true, false),
        (&[("TERM", "linux")], true, true),
        (&[("TERM", "vt100")], false, true),
        (&[("TERM", "xterm"), ("NO_COLOR", "1")], false, false),
        (&[("TERM", "xterm"), ("LC_ALL", "C")], true, true),
    ] {
        let bytes = written(environment);
        assert_eq!(coloured(&bytes), colours, "{environment:?}");
        assert_eq!(bytes.is_ascii(), ascii, "{environment:?}");
        // Nothing is painted: no background but the terminal's own.
        assert!(!bytes.contains("\u{1b}[48;") && !bytes.contains("\u{1b}[41m"), "{environment:?}");
    }
    // A terminal that can do nothing but print gets lines, and nothing else.
    let bytes = written(&[("TERM", "dumb")]);
    assert!(!bytes.contains('\u{1b}') && bytes.is_ascii(), "{bytes:?}");
}
