//! The operator's own editor: the one program of theirs that is opened. It has the terminal while it runs, and its rights are those with
//! which this program was started. No shell is asked: `$EDITOR` is split into words.

use std::{
    ffi::OsString,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::broker::{self, Running, Task};

/// Editors that are looked for where none is named: Debian's choice of the user and of the host, POSIX's, and what containers have.
const FALLBACKS: &[&str] = &["sensible-editor", "editor", "vi", "vim", "nano"];

/// How an editor takes a line.
enum Takes {
    /// `+12 file`, as vi(1), nano(1), emacs(1) and most others.
    Plus,
    /// `file:12`.
    Colon,
    /// `--goto file:12`.
    Goto,
    /// It does not, or nobody knows how.
    Nothing,
}

fn takes(program: &str) -> Takes {
    let name = Path::new(program).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let name = name.split('.').next().unwrap_or_default();
    match name {
        "vi" | "vim" | "nvim" | "view" | "gvim" | "nano" | "rnano" | "pico" | "emacs" | "emacsclient" | "mg" | "jed" | "joe"
        | "jmacs" | "jstar" | "jpico" | "ne" | "micro" | "kak" | "mcedit" | "editor" | "sensible-editor" | "select-editor"
        | "vis" | "elvis" | "nvi" | "zile" => Takes::Plus,
        "hx" | "helix" | "subl" | "zed" => Takes::Colon,
        "code" | "codium" | "code-insiders" => Takes::Goto,
        _ => Takes::Nothing,
    }
}

/// The words of the command that opens this file at this line. `env`: a variable of the environment that is not empty; `found`: the
/// path of a program. An error says what is missing.
pub fn words(
    env: impl Fn(&str) -> Option<String>,
    found: impl Fn(&str) -> Option<PathBuf>,
    file: &Path,
    line: u32,
) -> Result<Vec<OsString>, String> {
    let named = ["VISUAL", "EDITOR"].iter().find_map(|name| env(name).map(|value| (*name, value)));
    let mut words: Vec<OsString> = if let Some((name, value)) = named {
        let words = shlex::split(&value).filter(|words| !words.is_empty());
        words.ok_or_else(|| format!("${name} cannot be split into words: {value}"))?.into_iter().map(OsString::from).collect()
    } else {
        let program = FALLBACKS.iter().find_map(|name| found(name));
        vec![program.ok_or("no editor is found: set EDITOR")?.into_os_string()]
    };
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let with_line = || {
        let mut file = file.as_os_str().to_owned();
        file.push(format!(":{line}"));
        file
    };
    match takes(&program) {
        Takes::Plus => words.extend([OsString::from(format!("+{line}")), file.as_os_str().to_owned()]),
        Takes::Colon => words.push(with_line()),
        Takes::Goto => words.extend([OsString::from("--wait"), OsString::from("--goto"), with_line()]),
        Takes::Nothing => words.push(file.as_os_str().to_owned()),
    }
    Ok(words)
}

/// A program in the directories of `PATH`.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| std::fs::metadata(file).is_ok_and(|info| info.is_file() && info.permissions().mode() & 0o111 != 0))
}

/// An editor that runs. When it is dropped before it has ended, it is told that the terminal has gone, as the kernel would.
#[derive(Debug)]
pub struct Editor(Running);

/// The editor as a program, with its words.
pub(super) fn command(file: &Path, line: u32) -> io::Result<Command> {
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let words = words(env, in_path, file, line).map_err(io::Error::other)?;
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

impl Editor {
    /// Starts it on our own terminal.
    pub(super) fn start(file: &Path, line: u32) -> io::Result<Self> {
        broker::start(Task::Edit(file.to_owned(), line)).map(|started| Self(started.running))
    }

    /// Waits until it has ended. `Some`: with this status, which is not that of success.
    pub async fn ended(&mut self) -> io::Result<Option<i32>> {
        let status = self.0.ended().await?;
        Ok(if status == Some(0) { None } else { Some(status.unwrap_or(-1)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(variables: &[(&str, &str)], there: &[&str]) -> Result<Vec<String>, String> {
        let env = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let found = |name: &str| there.contains(&name).then(|| PathBuf::from("/usr/bin").join(name));
        let words = words(env, found, Path::new("/etc/nginx/a b.conf"), 14)?;
        Ok(words.into_iter().map(|word| word.into_string().expect("UTF-8")).collect())
    }

    #[test]
    fn it_is_the_operators_own_with_its_own_words() {
        let of = |variables: &[(&str, &str)]| opened(variables, &["vi", "editor"]).map(|words| words.join("|"));
        assert_eq!(
            of(&[("EDITOR", "nano -w"), ("VISUAL", "/opt/vim -u 'my rc'")]),
            Ok("/opt/vim|-u|my rc|+14|/etc/nginx/a b.conf".into())
        );
        assert_eq!(of(&[("EDITOR", "nano -w")]), Ok("nano|-w|+14|/etc/nginx/a b.conf".into()));
        assert_eq!(of(&[("EDITOR", "vim.tiny")]), Ok("vim.tiny|+14|/etc/nginx/a b.conf".into()));
        assert_eq!(of(&[("EDITOR", "hx")]), Ok("hx|/etc/nginx/a b.conf:14".into()));
        assert_eq!(of(&[("EDITOR", "code")]), Ok("code|--wait|--goto|/etc/nginx/a b.conf:14".into()));
        assert_eq!(of(&[("EDITOR", "ed")]), Ok("ed|/etc/nginx/a b.conf".into()), "it would take +14 for a file");
        assert_eq!(of(&[]), Ok("/usr/bin/editor|+14|/etc/nginx/a b.conf".into()));
    }

    #[test]
    fn no_shell_sees_it_and_what_is_missing_is_told() {
        assert_eq!(
            opened(&[("EDITOR", "vi; rm -rf $HOME")], &[]).map(|words| words.join("|")),
            Ok("vi;|rm|-rf|$HOME|/etc/nginx/a b.conf".into()),
            "words, and nothing else"
        );
        assert!(opened(&[("EDITOR", "vi 'x")], &[]).expect_err("no words").contains("$EDITOR"));
        assert!(opened(&[], &[]).expect_err("none").contains("set EDITOR"));
    }
}
