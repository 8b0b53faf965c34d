//! Settings of a team in `/etc/why502/config.toml` and of a person in `~/.config/why502/config.toml`, which stands in for it, setting by
//! setting: colours, keys, and options that else stand on the command line.
//!
//! Whatever is wrong in them is told with file, line and reason, and left out; nothing in them keeps the program from starting, also not a
//! file system that hangs. To add a setting: its line in [`SETTINGS`], and its arm in [`Settings::take`].

mod parse;

use std::{
    hash::{BuildHasher as _, RandomState},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use self::parse::Entry;
use crate::{
    cli::Look,
    model::{BlindSpot, secrets::Mask},
    sys::{Operator, Root, within},
    ui::{
        Styles, THEMES,
        keymap::{self, Keys, Wish},
    },
};

/// Where a team's own stand.
const SHARED: &str = "/etc/why502/config.toml";
/// Name of a person's own, in the directory of settings.
const FILE: &str = "config.toml";
/// Bytes of one file: many times what all colours and keys take.
const BYTES: u64 = 1 << 18;
/// How long the start waits for them: two small files, whose keys and whose wish to hide addresses must not be lost on a disk that is
/// slow in an outage; but a home may be on a file system that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// Each setting beside colours and keys: its name, its value as long as nobody sets it, and what it does.
pub const SETTINGS: &[(&str, &str, &str)] = &[
    ("theme", "\"terminal\"", "colours: terminal, dark, light or mono"),
    ("ascii", "false", "draw with ASCII characters only"),
    ("linear", "false", "plain lines with a prompt instead of a screen"),
    ("mouse", "false", "take the mouse"),
    ("record", "true", "keep a recording of each run of the console on a real host"),
    ("hide-addresses", "false", "replace addresses and host names in recordings and in all that is exported or copied"),
    ("local-time", "false", "show times in the host's zone instead of UTC"),
];

/// What a person settled.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How it is shown.
    pub look: Look,
    /// Whether no recording is kept.
    pub no_record: bool,
    /// Whether times are shown in the host's zone.
    pub local_time: bool,
    /// Colours of single tokens, each with the place where it is set.
    colours: Vec<(String, String)>,
    /// The keys.
    pub keys: Keys,
    /// What could not be used.
    pub wrong: Vec<BlindSpot>,
}

impl Settings {
    /// What stands in the files, and on the command line before them.
    pub fn read(look: &Look) -> Self {
        let files = match within(PATIENCE, files_of_person) {
            Ok(files) => files.ok_or("it could not be read in time"),
            Err(_) => Err("no thread can be started to read it"),
        };
        let mut settings = match files {
            Ok(files) => Self::of(files),
            Err(why) => {
                let wrong = vec![unused(format!("{SHARED} and ~/.config/why502/{FILE}"), why.to_owned())];
                Self { wrong, ..Self::default() }
            }
        };
        settings.look.stand_in(look);
        settings
    }

    /// What these files settle: each with its name, and its text or why there is none.
    fn of(files: Vec<(String, Result<String, String>)>) -> Self {
        let mut settings = Self::default();
        let mut wishes: Vec<(String, Wish)> = Vec::new();
        for (path, text) in files {
            let parsed = text.and_then(|text| parse::entries(&text));
            match parsed {
                Ok(entries) => {
                    for (line, entry) in entries {
                        let at = format!("{path}:{line}");
                        match entry {
                            Ok(Entry::Key(name, keys)) => wishes.push((at, Wish { name, keys })),
                            Ok(entry) => {
                                if let Err(why) = settings.take(entry) {
                                    settings.wrong.push(unused(at, why));
                                }
                            }
                            Err(why) => settings.wrong.push(unused(at, why)),
                        }
                    }
                }
                Err(why) => settings.wrong.push(unused(path, why)),
            }
        }
        let asked: Vec<Wish> = wishes.iter().map(|(_, wish)| wish.clone()).collect();
        let (keys, errors) = Keys::bound(&asked);
        settings.keys = keys;
        let told = errors.into_iter().filter_map(|(index, why)| Some(unused(wishes.get(index)?.0.clone(), why)));
        settings.wrong.extend(told);
        settings
    }

    fn take(&mut self, entry: Entry) -> Result<(), String> {
        match entry {
            Entry::Colour(token, words) => {
                // Whether it is one is asked here, where the place is known.
                Styles::colour().set(&token, &words, true)?;
                self.colours.push((token, words));
            }
            Entry::Word(name, word) => match name.as_str() {
                "theme" if Styles::theme(&word).is_some() => self.look.theme = Some(word),
                "theme" => return Err(format!("there is no theme {word}; there are {}", theme_names())),
                _ => return Err(unknown(&name, "a word")),
            },
            Entry::Switch(name, on) => match name.as_str() {
                "ascii" => self.look.ascii = on,
                "linear" => self.look.linear = on,
                "mouse" => self.look.mouse = on,
                "record" => self.no_record = !on,
                "hide-addresses" => self.look.hide_addresses = on,
                "local-time" => self.local_time = on,
                _ => return Err(unknown(&name, "true or false")),
            },
            // They are bound together.
            Entry::Key(..) => {}
        }
        Ok(())
    }

    /// The styles on a terminal that can show these.
    pub fn styles(&self, colours: bool, true_colour: bool) -> Styles {
        if !colours {
            return Styles::mono();
        }
        let mut styles = self.look.theme.as_deref().and_then(Styles::theme).unwrap_or_else(Styles::colour);
        for (token, words) in &self.colours {
            // It was asked for before whether it is one.
            let _ = styles.set(token, words, true_colour);
        }
        styles
    }

    /// What could not be used, in one sentence for the start.
    pub fn complaint(&self) -> Option<String> {
        let first = self.wrong.first()?;
        let more = match self.wrong.len() - 1 {
            0 => String::new(),
            more => format!("; and {more} more, see CAUSES: not seen"),
        };
        Some(format!("{}: {}{more}", first.source, first.reason))
    }
}

/// What hides addresses in this run. The key is made by the system's own random numbers, and kept nowhere.
pub fn mask() -> Arc<Mask> {
    let random = RandomState::new();
    Arc::new(Mask::new((random.hash_one(1), random.hash_one(2))))
}

fn unused(source: String, reason: String) -> BlindSpot {
    BlindSpot { source, reason, remedy: "mend it: until then it is as if it were not set".to_owned() }
}

fn unknown(name: &str, kind: &str) -> String {
    match SETTINGS.iter().find(|(known, ..)| *known == name) {
        Some((_, value, _)) => format!("{name} takes no {kind}: write {name} = {value}"),
        None => format!(
            "there is no setting {name}; there are {}, [colours] and [keys]",
            names(SETTINGS.iter().map(|(name, ..)| *name))
        ),
    }
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

/// The themes, by name.
pub fn theme_names() -> String {
    names(THEMES.iter().map(|theme| theme.name))
}

/// The files that are there, the team's first.
fn files_of_person() -> Vec<(String, Result<String, String>)> {
    let own = Operator::here().ok().and_then(|operator| operator.config_dir()).map(|dir| dir.join(FILE));
    let root = Root::host();
    let read = |path: PathBuf| {
        let text = match root.read_at_most(&path, BYTES) {
            Ok((_, true)) => Err("it is longer than 256 KB".to_owned()),
            Ok((bytes, false)) => String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()),
            Err(error) if error.not_found() => return None,
            Err(error) => Err(error.source.to_string()),
        };
        Some((path.display().to_string(), text))
    };
    std::iter::once(PathBuf::from(SHARED)).chain(own).filter_map(read).collect()
}

/// A file in which every setting stands with the value that holds without it, each line behind a `#`.
pub fn template() -> String {
    let mut out =
        format!("# Settings of why502: {SHARED} for all, ~/.config/why502/{FILE} for yourself, which stands in for it.\n");
    out.push_str("# What stands behind a # is what holds as long as nobody sets it.\n\n");
    for (name, value, what) in SETTINGS {
        out.push_str(&format!("# {what}\n# {name} = {value}\n"));
    }
    out.push_str(
        "\n# Single colours, over those of the theme: words like bold, dim, italic, underlined, reversed, and red, lightblue,\n",
    );
    out.push_str(
        "# 208 or #ff8800. Colours by their parts are used where the terminal announces true colour (COLORTERM).\n[colours]\n",
    );
    let theme: std::collections::BTreeMap<String, String> =
        THEMES.first().and_then(|theme| toml::from_str(theme.text()).ok()).unwrap_or_default();
    for (token, _) in Styles::TOKENS {
        out.push_str(&format!("# {token} = {:?}\n", theme.get(*token).map_or("", String::as_str)));
    }
    out.push_str(
        "\n# Keys, each by what it does: one or a list. A key that something else has at the same time is refused.\n[keys]\n",
    );
    out.push_str(&keymap::settings_table());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Settings {
        Settings::of(vec![("/c".to_owned(), Ok(text.to_owned()))])
    }

    fn told(settings: &Settings) -> Vec<String> {
        settings.wrong.iter().map(|spot| format!("{}: {}", spot.source, spot.reason)).collect()
    }

    #[test]
    fn what_stands_there_holds() {
        let settings = of(
            "theme = \"light\"\nmouse = true\nrecord = false\nhide-addresses = true\n[colours]\ngood = \"bold 28\"\n[keys]\nzoom = [\"F5\", \"=\"]\nquit = \"F10\"\n",
        );
        assert_eq!(told(&settings), <[String; 0]>::default());
        assert!(settings.look.mouse && settings.no_record && settings.look.hide_addresses && !settings.look.ascii);
        let styles = settings.styles(true, false);
        assert_eq!(styles.rule, Styles::theme("light").expect("a theme").rule);
        assert_eq!(styles.good.fg, Some(ratatui::style::Color::Indexed(28)));
        assert_eq!(settings.styles(false, true), Styles::mono(), "NO_COLOR has the last word");
        assert_eq!((settings.keys.named("zoom"), settings.keys.named("quit")), ("F5", "F10"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_the_rest_holds() {
        let settings = of(
            "theme = \"pink\"\nmous = true\nmouse = \"yes\"\nascii = true\n\n[colours]\ngood = \"on red\"\nbad = \"red\"\n[keys]\nzoom = \"m\"\nquit = 7\nzone = \"F3\"\n[more]\nx = 1\n",
        );
        assert!(settings.look.ascii && settings.look.theme.is_none() && settings.keys.named("zone") == "F3");
        let told = told(&settings);
        for (place, why) in [
            ("/c:1", "there is no theme pink; there are terminal, dark, light, mono"),
            ("/c:2", "there is no setting mous; there are theme, ascii"),
            ("/c:3", "mouse takes no a word: write mouse = false"),
            ("/c:7", "on is no colour"),
            ("/c:10", "m is the key of note-here already"),
            ("/c:11", "keys are written as \"q\" or [\"q\", \"F10\"]"),
            ("/c:13", "there is no table more"),
        ] {
            assert!(told.iter().any(|told| told.starts_with(&format!("{place}: {why}"))), "{place}: {why}\n{told:#?}");
        }
        assert_eq!(told.len(), 7, "{told:#?}");
        assert!(
            settings.complaint().is_some_and(|said| said.starts_with("/c:1: there is no theme pink") && said.contains("6 more"))
        );
        let broken = of("theme = \"light\"\nmouse = = true\n");
        assert!(broken.look.theme.is_none() && self::told(&broken)[0].starts_with("/c: line 2: "), "{:?}", self::told(&broken));
    }

    #[test]
    fn a_persons_own_file_stands_in_for_the_teams() {
        let team = ("/etc/why502/config.toml".to_owned(), Ok("mouse = true\n[keys]\nzoom = \"F5\"\n".to_owned()));
        let own = ("/home/ann/.config/why502/config.toml".to_owned(), Ok("mouse = false\n[keys]\nzoom = \"F6\"\n".to_owned()));
        let settings = Settings::of(vec![team, own]);
        assert!(!settings.look.mouse && settings.keys.named("zoom") == "F6" && settings.wrong.is_empty());
    }

    #[test]
    fn the_template_can_be_read_and_so_can_each_of_its_lines() {
        let template = template();
        assert!(of(&template).wrong.is_empty());
        // Without the signs before them, the lines are the settings that hold anyway.
        let setting = |line: &str| line.strip_prefix("# ").filter(|line| line.contains(" = ")).unwrap_or(line).to_owned();
        let all: Vec<String> = template.lines().map(setting).collect();
        let settings = of(&all.join("\n"));
        assert_eq!(told(&settings), <[String; 0]>::default(), "{}", all.join("\n"));
        assert_eq!(settings.styles(true, true), Styles::colour());
    }

    proptest::proptest! {
        #[test]
        fn no_file_stops_it(text in "([a-z]{1,6}|=|\"|\\[|\\]|\n|#|true|keys|colours| |é){0,60}") {
            let settings = of(&text);
            proptest::prop_assert!(settings.keys.named("quit-now") == "Ctrl-C");
        }
    }
}
