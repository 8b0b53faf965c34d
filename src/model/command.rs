//! Commands that are shown and copied, never run, and the advice that they belong to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A command for a person to run: a list of words, quoted for the shell only when it is shown.
///
/// There is no way to make one from a line of text, so a file name or host name with blanks, quotes or `;` cannot
/// become syntax; a word with a control byte makes no command at all, because no terminal could show it faithfully.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Command(Vec<String>);

impl Command {
    /// A command of these words. `None` when there is no word, or a control character in one.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Option<Self> {
        let words: Vec<String> = words.into_iter().map(Into::into).collect();
        let hostile = |word: &String| word.chars().any(|c| c.is_control() || super::text::is_invisible(c));
        (!words.is_empty() && !words.iter().any(hostile)).then_some(Self(words))
    }
}

impl TryFrom<Vec<String>> for Command {
    type Error = &'static str;
    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        Self::new(words).ok_or("a command with no word or with control characters")
    }
}

impl From<Command> for Vec<String> {
    fn from(command: Command) -> Self {
        command.0
    }
}

impl fmt::Display for Command {
    /// The line to paste into a POSIX shell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Control bytes are refused by `new`, NUL among them, so quoting cannot fail.
        f.write_str(&shlex::try_join(self.0.iter().map(String::as_str)).unwrap_or_default())
    }
}

/// Something to do: a sentence, and the command for it where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// The sentence, in the imperative.
    pub text: String,
    /// The command.
    pub command: Option<Command>,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.command {
            None => f.write_str(&self.text),
            Some(command) if self.text.is_empty() => command.fmt(f),
            Some(command) => write!(f, "{}: {command}", self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_words() {
        let line = Command::new(["ls", "-l", "/run/a b; rm -rf $HOME'.sock"]).expect("printable").to_string();
        assert_eq!(shlex::split(&line).expect("quoted"), ["ls", "-l", "/run/a b; rm -rf $HOME'.sock"]);
    }

    #[test]
    fn what_a_terminal_cannot_show_makes_no_command() {
        for word in ["a\nb", "a\u{1b}[2J", "a\0b", "a\u{9b}31m", "a\u{202e}b", "a\u{200b}b"] {
            assert_eq!(Command::new(["cat", word]), None, "{word:?}");
        }
        assert_eq!(Command::new(Vec::<String>::new()), None);
    }
}
