//! `caddy validate`, made where it can change nothing, and what its words mean.
//!
//! It provisions every module of the configuration: that creates logs, storage, and keys of a local authority (`tls internal`).
//! So all of it is read-only there but for what is covered, and what it still tries to write is no fault of the configuration.

use std::path::{Path, PathBuf};

use crate::{
    model::{ConfigTest, Gateway, Identity, Place, RunState},
    sys::{ConfigTestJob, ConfigTested, FileKind, NOT_MADE, Root, Sys, can_assume},
};

/// Name of the command in [`Gateway::commands`] that this program runs itself: binary, then arguments.
pub const COMMAND: &str = "self-test";
/// How often the test is made at most, each time with one more thing covered that it tried to write.
const ROUNDS: usize = 8;
/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 500;

/// What an exit and its words come to.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Told(ConfigTest),
    /// It tried to write here, where everything is read-only.
    Writes(PathBuf),
    NotTold(String),
}

/// Makes the test. An error: why there is no result.
pub async fn test(sys: &Sys, gateway: &Gateway) -> Result<ConfigTest, String> {
    if !can_assume() {
        return Err("it takes root to run it where it can change nothing".to_owned());
    }
    let words = gateway.commands.get(COMMAND).and_then(|words| words.split_first());
    let Some((binary, args)) = words else { return Err("there is no file to test, or its binary is not known".to_owned()) };
    let mut job = ConfigTestJob {
        program: PathBuf::from(binary),
        args: args.to_vec(),
        // Names are resolved when requests come: none is needed to load it.
        offline: true,
        files: gateway.logs.iter().map(|log| log.path.clone()).collect(),
        ..ConfigTestJob::default()
    };
    match gateway.state {
        RunState::Running { pid, .. } => {
            // A reload is made by the image that runs, whatever lies on disk by now. As its own user it may not be opened by that
            // link where it has capabilities (proc_pid_exe(5), ptrace(2)), so its file is run where that is the same.
            let image = PathBuf::from(format!("/proc/{pid}/exe"));
            let id = |path: &Path| sys.root.stat(path).ok().map(|info| info.id);
            if id(&image) != id(&job.program) {
                job.program = image;
            }
            job.like = Some(pid);
            job.identity = gateway.identity.clone();
        }
        // As root it may read what its own user may not: only a refusal of the text itself is told.
        RunState::Stopped { .. } => job.identity = gateway.identity.clone().filter(|identity: &Identity| identity.uid != 0),
    }
    for _ in 0..ROUNDS {
        let tested = sys.rights.config_test(&job).await.map_err(|refusal| refusal.to_string())?;
        match judge(&tested, &gateway.config) {
            Judgement::Told(test) => return Ok(test),
            Judgement::Writes(path) => cover(&sys.root, &mut job, path)?,
            Judgement::NotTold(why) if job.offline && why.starts_with("a network namespace: ") => job.offline = false,
            Judgement::NotTold(why) => return Err(why),
        }
    }
    Err(format!("it writes in more than {ROUNDS} places"))
}

/// Covers what it tried to write: an existing file or directory itself, else the nearest directory above that is there.
fn cover(root: &Root, job: &mut ConfigTestJob, path: PathBuf) -> Result<(), String> {
    let shown = path.display().to_string();
    let (list, path) = match root.stat(&path).map(|info| info.kind) {
        Ok(FileKind::RegularFile) => (&mut job.files, path),
        Ok(FileKind::Directory) => (&mut job.dirs, path),
        Ok(_) | Err(_) => {
            let parent = path.ancestors().skip(1).find(|dir| root.stat(dir).is_ok_and(|info| info.kind == FileKind::Directory));
            // What is covered by a throw-away directory must be small: the root and its like are not.
            match parent.filter(|dir| dir.components().count() > 2) {
                Some(parent) => (&mut job.dirs, parent.to_owned()),
                None => return Err(format!("it writes to {shown}")),
            }
        }
    };
    if list.contains(&path) {
        return Err(format!("it writes to {shown}, which could not be covered"));
    }
    list.push(path);
    Ok(())
}

fn judge(tested: &ConfigTested, config: &Path) -> Judgement {
    match tested.code {
        Some(0) => Judgement::Told(ConfigTest { passed: true, message: "Valid configuration".to_owned(), at: None }),
        Some(NOT_MADE) => Judgement::NotTold(tested.said.lines().next().unwrap_or("it could not be made").to_owned()),
        Some(_) => {
            // Before 2.7 `validate: ...` stands alone; the last line is the error either way (cmd/main.go).
            let line = tested.said.lines().rev().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('{'));
            let Some(line) = line else { return Judgement::NotTold("it failed without a reason".to_owned()) };
            let message = line.strip_prefix("Error: ").unwrap_or(line);
            let message =
                message.split_once("validate: ").map_or(message, |(head, rest)| if head.is_empty() { rest } else { message });
            if message.contains("read-only file system") {
                return written(message).map_or_else(|| Judgement::NotTold(message.to_owned()), Judgement::Writes);
            }
            // EACCES, EPERM, EMFILE, ENOSPC: of our surroundings, or not to be told from them.
            let ours = [
                "permission denied",
                "operation not permitted",
                "too many open files",
                "no space left",
                "unknown flag",
                "unknown command",
            ];
            if ours.iter().any(|what| message.contains(what)) {
                return Judgement::NotTold(message.chars().take(MESSAGE_CHARS).collect());
            }
            let message: String = message.chars().take(MESSAGE_CHARS).collect();
            Judgement::Told(ConfigTest { passed: false, at: place(&message, config), message })
        }
        None => Judgement::NotTold("it was ended before it was done".to_owned()),
    }
}

/// The path in `open /a/b: read-only file system`, `mkdir /a/b: read-only file system`.
fn written(message: &str) -> Option<PathBuf> {
    let head = message.split(": read-only file system").next()?;
    let start = head.rfind(" /")? + 1;
    Some(PathBuf::from(&head[start..]))
}

/// The place in `adapting config using caddyfile: /etc/caddy/Caddyfile:4: unrecognized directive: x`, or since 2.7
/// `..., at /etc/caddy/Caddyfile:4` or `... at Caddyfile:4`.
fn place(message: &str, config: &Path) -> Option<Place> {
    let words = message.split([' ', ',', '(', ')', '\'', '[', ']']);
    let mut found = words.filter_map(|word| {
        let (file, line) = word.trim_end_matches(':').rsplit_once(':')?;
        let line: u32 = line.parse().ok().filter(|line| *line > 0)?;
        let named = file.starts_with('/') || file.to_ascii_lowercase().contains("caddyfile");
        // An address is no file.
        (named && !file.contains("://")).then(|| Place { file: config.parent().unwrap_or(Path::new("/")).join(file).into(), line })
    });
    found.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u8, said: &str) -> Judgement {
        judge(&ConfigTested { code: Some(code), said: said.to_owned() }, Path::new("/etc/caddy/Caddyfile"))
    }

    #[test]
    fn an_error_is_told_with_its_place() {
        for (words, at) in [
            (
                "{\"level\":\"info\",\"ts\":1.5,\"msg\":\"using provided configuration\"}\n\
                 Error: adapting config using caddyfile: /etc/caddy/Caddyfile:3: unrecognized directive: reverse_prox\n",
                Some("/etc/caddy/Caddyfile:3"),
            ),
            ("validate: adapting config using caddyfile: Caddyfile:4: unrecognized directive: x", Some("/etc/caddy/Caddyfile:4")),
            (
                "Error: adapting config using caddyfile: parsing caddyfile tokens for 'reverse_proxy': parsing upstream 'a b': x, at /etc/caddy/conf.d/a:7",
                Some("/etc/caddy/conf.d/a:7"),
            ),
            ("Error: loading http app module: provision http: loading module 'x': unknown module: http.handlers.x", None),
        ] {
            let Judgement::Told(test) = said(1, words) else { panic!("a result of {words}") };
            assert!(!test.passed && !test.message.is_empty());
            assert_eq!(test.at.map(|at| at.to_string()).as_deref(), at, "{words}");
        }
        assert!(matches!(said(0, "Valid configuration\n"), Judgement::Told(test) if test.passed));
    }

    #[test]
    fn a_failure_of_our_surroundings_is_none_of_the_configuration() {
        for (words, path) in [
            (
                "Error: setting up custom log 'log0': opening log writer using x: open /var/log/caddy/a.log: read-only file system",
                "/var/log/caddy/a.log",
            ),
            ("Error: loading pki app module: mkdir /var/lib/caddy/.local: read-only file system", "/var/lib/caddy/.local"),
        ] {
            assert_eq!(said(1, words), Judgement::Writes(PathBuf::from(path)));
        }
        for words in ["Error: open /key.pem: permission denied", "Error: unknown flag: --adapter", "", "{\"level\":\"error\"}"] {
            assert!(matches!(said(1, words), Judgement::NotTold(_)), "{words}");
        }
        assert!(matches!(said(97, "a mount namespace: EPERM"), Judgement::NotTold(_)));
    }
}
