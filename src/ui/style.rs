//! Semantic tokens to styles. A theme is a file of `assets/themes/`: a style for each token, in words.
//!
//! No background is ever painted: the person's own choice of light or dark stays readable (lnav#1402, k9s#1290). Bright
//! black is not used either, because several palettes make it the background's colour. A colour never says anything
//! that a sign or a word does not say too.
//!
//! To add a token: a field here, its line in [`Styles::TOKENS`], and one in each theme. To add a theme: its file, and its line in
//! [`THEMES`].

use std::{collections::BTreeMap, sync::LazyLock};

use ratatui::style::{Color, Modifier, Style};

use crate::model::{CheckState, Confidence, HopState, Verdict};

/// A theme: its name, what it is for, and its file.
#[derive(Debug)]
pub struct Theme {
    /// Its name.
    pub name: &'static str,
    /// What it is for.
    pub what: &'static str,
    text: &'static str,
}

impl Theme {
    /// Its file: tokens with their styles in words.
    pub fn text(&self) -> &'static str {
        self.text
    }
}

/// Every theme; the first is that of whoever names none.
pub const THEMES: &[Theme] = &[
    Theme { name: "terminal", what: "the terminal's own sixteen colours", text: include_str!("../../assets/themes/terminal.toml") },
    Theme { name: "dark", what: "bright colours for a dark background", text: include_str!("../../assets/themes/dark.toml") },
    Theme { name: "light", what: "dark colours for a light background", text: include_str!("../../assets/themes/light.toml") },
    Theme { name: "mono", what: "no colours", text: include_str!("../../assets/themes/mono.toml") },
];

/// A token: its name, and its style among all.
pub type Token = (&'static str, fn(&mut Styles) -> &mut Style);

/// A style for each meaning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Styles {
    /// Ordinary text.
    pub text: Style,
    /// Something that works.
    pub good: Style,
    /// Something that is broken.
    pub bad: Style,
    /// Something to look at: a share fails, a limit is near, a view is held still.
    pub warn: Style,
    /// Something that is not known.
    pub unknown: Style,
    /// What matters less than its neighbours.
    pub quiet: Style,
    /// Titles and the first word of a row.
    pub strong: Style,
    /// The rule above a pane.
    pub rule: Style,
    /// The rule above the pane that has the focus.
    pub focus: Style,
    /// The selected row of the pane that has the focus.
    pub select: Style,
    /// What a search found. Underlined, because a selected row is reversed already.
    pub find: Style,
    /// The name of a key.
    pub key: Style,
    /// A command to copy.
    pub command: Style,
}

impl Styles {
    /// Each token by its name.
    pub const TOKENS: &[Token] = &[
        ("text", |styles| &mut styles.text),
        ("good", |styles| &mut styles.good),
        ("bad", |styles| &mut styles.bad),
        ("warn", |styles| &mut styles.warn),
        ("unknown", |styles| &mut styles.unknown),
        ("quiet", |styles| &mut styles.quiet),
        ("strong", |styles| &mut styles.strong),
        ("rule", |styles| &mut styles.rule),
        ("focus", |styles| &mut styles.focus),
        ("select", |styles| &mut styles.select),
        ("find", |styles| &mut styles.find),
        ("key", |styles| &mut styles.key),
        ("command", |styles| &mut styles.command),
    ];

    /// Sixteen colours, as the terminal's own palette has them.
    pub fn colour() -> Self {
        static COLOUR: LazyLock<Styles> = LazyLock::new(|| of_text(THEMES[0].text));
        *COLOUR
    }

    /// No colours: `NO_COLOR`, or a terminal that has none.
    pub fn mono() -> Self {
        static MONO: LazyLock<Styles> = LazyLock::new(|| of_text(THEMES[THEMES.len() - 1].text));
        *MONO
    }

    /// The theme of this name.
    pub fn theme(name: &str) -> Option<Self> {
        THEMES.iter().find(|theme| theme.name == name).map(|theme| of_text(theme.text))
    }

    /// Gives a token another style, in words: `bold red`, `underlined #ff8800`. `true_colour`: whether the terminal announces that it can show
    /// more than its palette; where it does not, a colour by its parts is left out. The error says what is wrong with the words.
    pub fn set(&mut self, token: &str, words: &str, true_colour: bool) -> Result<(), String> {
        let Some((_, field)) = Self::TOKENS.iter().find(|(name, _)| *name == token) else {
            let names: Vec<&str> = Self::TOKENS.iter().map(|(name, _)| *name).collect();
            return Err(format!("there is no colour {token}; there are {}", names.join(", ")));
        };
        let style = style(words)?;
        if true_colour || !matches!(style.fg, Some(Color::Rgb(..))) {
            *field(self) = style;
        }
        Ok(())
    }

    /// The style of a verdict.
    pub fn verdict(&self, verdict: Verdict) -> Style {
        match verdict {
            Verdict::Ok => self.good,
            Verdict::Warning => self.warn,
            Verdict::Critical => self.bad,
            Verdict::Unknown => self.unknown,
        }
    }

    /// The style of a confidence's word.
    pub fn confidence(&self, confidence: Confidence) -> Style {
        match confidence {
            Confidence::Confirmed => self.bad,
            Confidence::Likely => self.warn,
            Confidence::Possible => self.text,
        }
    }

    /// The style of a step's sign.
    pub fn check(&self, state: CheckState) -> Style {
        match state {
            CheckState::Pass | CheckState::Done => self.good,
            CheckState::Fail => self.bad,
            CheckState::Unknown => self.unknown,
            CheckState::NotApplicable | CheckState::Skipped => self.quiet,
        }
    }

    /// The style of a hop.
    pub fn hop(&self, state: HopState) -> Style {
        match state {
            HopState::Good => self.good,
            HopState::Broken => self.bad,
            HopState::Shows => self.warn,
            HopState::Unknown => self.unknown,
        }
    }
}

/// A style in words.
fn style(words: &str) -> Result<Style, String> {
    let mut style = Style::new();
    for word in words.split_whitespace() {
        style = match word {
            "bold" => style.add_modifier(Modifier::BOLD),
            "dim" => style.add_modifier(Modifier::DIM),
            "italic" => style.add_modifier(Modifier::ITALIC),
            "underlined" => style.add_modifier(Modifier::UNDERLINED),
            "reversed" => style.add_modifier(Modifier::REVERSED),
            colour => style.fg(colour.parse::<Color>().map_err(|_| {
                format!("{colour} is no colour: write red, lightblue, 208 or #ff8800, and before it bold, dim, italic, underlined or reversed")
            })?),
        };
    }
    Ok(style)
}

/// The styles of a theme's file; its own test sees to it that nothing in it is wrong.
fn of_text(text: &str) -> Styles {
    let words: BTreeMap<String, String> = toml::from_str(text).unwrap_or_default();
    let mut styles = Styles::default();
    for (token, words) in &words {
        let _ = styles.set(token, words, true);
    }
    styles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_theme_has_each_token_and_paints_no_background() {
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/themes")).expect("a directory").count();
        assert_eq!(files, THEMES.len(), "each file is listed");
        for theme in THEMES {
            let words: BTreeMap<String, String> = toml::from_str(theme.text).expect("TOML");
            assert_eq!(words.len(), Styles::TOKENS.len(), "{}", theme.name);
            let mut styles = Styles::default();
            for (token, words) in &words {
                assert_eq!(styles.set(token, words, false), Ok(()), "{}", theme.name);
            }
            for (token, field) in Styles::TOKENS {
                assert_eq!(field(&mut styles).bg, None, "{}: {token}", theme.name);
                assert!(!matches!(field(&mut styles).fg, Some(Color::Black | Color::DarkGray)), "{}: {token}", theme.name);
            }
            // What is broken is never told by the colour alone, and never looks like what works.
            assert_ne!(styles.bad, styles.good, "{}", theme.name);
        }
        assert_eq!(Styles::mono().bad.fg, None);
    }

    #[test]
    fn a_colour_of_ones_own_is_taken_and_a_wrong_one_is_told() {
        let mut styles = Styles::colour();
        assert_eq!(styles.set("good", "bold 208", false), Ok(()));
        assert_eq!(styles.good, Style::new().fg(Color::Indexed(208)).add_modifier(Modifier::BOLD));
        assert_eq!(styles.set("bad", "#ff8800", false), Ok(()));
        assert_eq!(styles.bad, Styles::colour().bad, "a terminal that announces no true colour gets none");
        assert_eq!(styles.set("bad", "#ff8800", true), Ok(()));
        assert_eq!(styles.bad.fg, Some(Color::Rgb(255, 136, 0)));
        assert!(styles.set("bad", "on red", true).is_err_and(|why| why.starts_with("on is no colour")));
        assert!(styles.set("goods", "red", true).is_err_and(|why| why.contains("there is no colour goods")));
    }
}
