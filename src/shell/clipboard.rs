//! The terminal's clipboard by OSC 52 (xterm's control sequences, "Manipulate Selection Data"), through tmux and GNU screen.

use crossterm::{clipboard::CopyToClipboard, queue};

/// Bytes of a text, at most: xterm takes some 75,000 characters of base64 by default, other terminals no more.
const BYTES: usize = 50_000;
/// Bytes of one of GNU screen's device control strings: it takes 256 less its own (screen(1), "String Escapes").
const SCREEN_PIECE: usize = 240;

/// What lies between this program and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing that minds.
    Straight,
    /// tmux: it takes the sequence itself with `set-clipboard on`, and passes it on with `allow-passthrough on`.
    Tmux,
    /// GNU screen passes on what stands in a device control string.
    Screen,
    /// There is no clipboard.
    None,
}

/// The way by the environment.
pub fn way(env: impl Fn(&str) -> Option<String>) -> Way {
    let term = env("TERM").unwrap_or_default();
    let bare = ["linux", "dumb", "vt52", "vt100", "vt102", "vt220", ""];
    match () {
        () if env("TMUX").is_some() => Way::Tmux,
        () if env("STY").is_some() || term == "screen" || term.starts_with("screen.") || term.starts_with("screen-") => Way::Screen,
        () if bare.contains(&term.as_str()) => Way::None,
        () => Way::Straight,
    }
}

/// The bytes that put a text on the clipboard. `None`: it cannot be had there, or the text is too long for it.
pub fn sequence(way: Way, text: &str) -> Option<Vec<u8>> {
    if way == Way::None || text.len() > BYTES {
        return None;
    }
    let mut plain = Vec::new();
    queue!(plain, CopyToClipboard::to_clipboard_from(text)).ok()?;
    // Ended by BEL: ST would end the string that it is wrapped in.
    let body = plain.strip_suffix(b"\x1b\\").or_else(|| plain.strip_suffix(b"\x07"))?;
    let mut inner = body.to_vec();
    inner.push(7);
    Some(match way {
        Way::None => return None,
        Way::Straight => inner,
        Way::Tmux => {
            let mut out = inner.clone();
            out.extend_from_slice(b"\x1bPtmux;");
            for byte in inner {
                if byte == 0x1b {
                    out.push(0x1b);
                }
                out.push(byte);
            }
            out.extend_from_slice(b"\x1b\\");
            out
        }
        Way::Screen => {
            let mut out = Vec::new();
            for piece in inner.chunks(SCREEN_PIECE) {
                out.extend_from_slice(b"\x1bP");
                out.extend_from_slice(piece);
                out.extend_from_slice(b"\x1b\\");
            }
            out
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(variables: &'static [(&'static str, &'static str)]) -> Way {
        way(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_way_is_found() {
        assert_eq!(by(&[("TERM", "xterm-256color")]), Way::Straight);
        assert_eq!(by(&[("TERM", "screen-256color"), ("TMUX", "/tmp/tmux-0/default,1,0")]), Way::Tmux);
        assert_eq!(by(&[("TERM", "screen.xterm-256color"), ("STY", "1.pts-0.gw1")]), Way::Screen);
        assert_eq!(by(&[("TERM", "linux")]), Way::None);
        assert_eq!(by(&[]), Way::None);
    }

    #[test]
    fn each_gets_what_it_passes_on() {
        let text = |way| sequence(way, "systemctl reload nginx").map(|bytes| String::from_utf8(bytes).expect("ASCII"));
        let plain = "\u{1b}]52;c;c3lzdGVtY3RsIHJlbG9hZCBuZ2lueA==\u{7}";
        assert_eq!(text(Way::Straight).as_deref(), Some(plain));
        assert_eq!(text(Way::Tmux), Some(format!("{plain}\u{1b}Ptmux;\u{1b}{plain}\u{1b}\\")));
        assert_eq!(text(Way::Screen), Some(format!("\u{1b}P{plain}\u{1b}\\")));
        assert_eq!(text(Way::None), None);
        assert_eq!(sequence(Way::Straight, &"x".repeat(BYTES + 1)), None);
        let long = sequence(Way::Screen, &"x".repeat(2_000)).expect("it fits");
        let pieces: Vec<&[u8]> = long.split(|byte| *byte == b'\\').filter(|piece| !piece.is_empty()).collect();
        assert!(pieces.len() > 5 && pieces.iter().all(|piece| piece.len() <= SCREEN_PIECE + 3));
    }
}
