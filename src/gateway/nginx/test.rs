//! `nginx -t`, made where it can change nothing, and what its words mean.
//!
//! It is never run bare: where a namespace can't be had, or it fails only for want of a right, there is no result, and that
//! is said with the command for a person.

use std::path::{Path, PathBuf};

use crate::{
    model::{ConfigTest, Gateway, Place, RunState},
    sys::{ConfigTestJob, ConfigTested, FileKind, NOT_MADE, Root, Sys, acting, can_assume},
};

/// Name of the command in [`Gateway::commands`] that this program runs itself: binary, then arguments.
pub const COMMAND: &str = "self-test";
/// Name in [`Gateway::settings`] of its pid file, which the test opens for writing, too (`ngx_create_pidfile`).
pub const PID_FILE: &str = "pid";
/// How often the test is made at most, each time with one more thing covered that it tried to write.
const ROUNDS: usize = 12;
/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 500;

/// What an exit and its words come to.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Told(ConfigTest),
    /// It tried to write here, where everything is read-only.
    Writes(PathBuf),
    /// A name was not found, or an address could not be bound: without network that says nothing.
    OfNetwork(ConfigTest),
    NotTold(String),
}

/// Makes the test. An error: why there is no result.
pub async fn test(sys: &Sys, gateway: &Gateway) -> Result<ConfigTest, String> {
    if !can_assume() {
        return Err("it takes root to run it where it can change nothing".to_owned());
    }
    let job = prepare(sys, gateway)?;
    let mut job = ConfigTestJob { offline: true, ..job };
    for _ in 0..ROUNDS {
        let tested = sys.rights.config_test(&job).await.map_err(|refusal| refusal.to_string())?;
        match judge(&tested) {
            Judgement::OfNetwork(_) if job.offline => job.offline = false,
            Judgement::Told(test) | Judgement::OfNetwork(test) => return Ok(test),
            Judgement::Writes(path) => cover(&sys.root, &mut job, path)?,
            Judgement::NotTold(why) if job.offline && why.starts_with("a network namespace: ") => job.offline = false,
            Judgement::NotTold(why) => return Err(why),
        }
    }
    Err(format!("it writes in more than {ROUNDS} places"))
}

fn prepare(sys: &Sys, gateway: &Gateway) -> Result<ConfigTestJob, String> {
    let words = gateway.commands.get(COMMAND).and_then(|words| words.split_first());
    let Some((binary, args)) = words else { return Err("its binary or its arguments are not known".to_owned()) };
    let pid_file = gateway.settings.get(PID_FILE).map(|setting| PathBuf::from(setting.value.as_str()));
    let mut job = ConfigTestJob {
        args: args.to_vec(),
        files: gateway.logs.iter().map(|log| log.path.clone()).chain(pid_file).collect(),
        ..ConfigTestJob::default()
    };
    match gateway.state {
        RunState::Running { pid, .. } => {
            // A reload is made by the image that runs, whatever lies on disk by now.
            job.program = PathBuf::from(format!("/proc/{pid}/exe"));
            job.like = Some(pid);
            job.identity =
                sys.root.text(format!("/proc/{pid}/status")).ok().and_then(|status| acting(&status)).filter(|user| user.uid != 0);
        }
        RunState::Stopped { .. } => job.program = PathBuf::from(binary),
    }
    Ok(job)
}

/// Covers what it tried to write: an existing file or directory itself, else the directory in which it is to be made.
fn cover(root: &Root, job: &mut ConfigTestJob, path: PathBuf) -> Result<(), String> {
    let (list, path) = match root.stat(&path).map(|info| info.kind) {
        Ok(FileKind::RegularFile) => (&mut job.files, path),
        Ok(FileKind::Directory) => (&mut job.dirs, path),
        Ok(_) | Err(_) => match path.parent() {
            Some(parent) => (&mut job.dirs, parent.to_owned()),
            None => return Err(format!("it writes to {}", path.display())),
        },
    };
    if list.contains(&path) {
        return Err(format!("it writes to {}, which could not be covered", path.display()));
    }
    list.push(path);
    Ok(())
}

fn judge(tested: &ConfigTested) -> Judgement {
    let first = |levels: &[&str]| {
        tested
            .said
            .lines()
            .find_map(|line| levels.iter().find_map(|level| line.split_once(level).map(|(_, rest)| rest.trim_start())))
    };
    let told = |passed, message: &str| {
        let message: String = message.chars().take(MESSAGE_CHARS).collect();
        ConfigTest { passed, at: place(&message), message }
    };
    match tested.code {
        Some(0) => Judgement::Told(told(true, "the test is successful")),
        Some(NOT_MADE) => Judgement::NotTold(tested.said.lines().next().unwrap_or("it could not be made").to_owned()),
        Some(_) => {
            let Some(line) = first(&["[emerg]", "[alert]", "[crit]"]) else {
                return Judgement::NotTold("it failed without a reason".to_owned());
            };
            // "13346#13346: " stands before the message once a log is open.
            let message = line.split_once(": ").filter(|(head, _)| is_pid(head)).map_or(line, |(_, rest)| rest);
            if message.contains("(30: ") {
                return written(message).map_or_else(|| Judgement::NotTold(message.to_owned()), Judgement::Writes);
            }
            // EPERM, EACCES, EMFILE, ENFILE, ENOSPC: of our surroundings, or not to be told from them.
            if ["(1: ", "(13: ", "(23: ", "(24: ", "(28: "].iter().any(|code| message.contains(code)) {
                return Judgement::NotTold(message.to_owned());
            }
            let test = told(false, message);
            let network = ["host not found", "could not be resolved", "bind() to "].iter().any(|words| message.contains(words));
            if network { Judgement::OfNetwork(test) } else { Judgement::Told(test) }
        }
        None => Judgement::NotTold("it was ended before it was done".to_owned()),
    }
}

fn is_pid(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'#')
}

/// The path in `open() "/a/b" failed (30: ...)`, `chown("/a/b", 33) failed`, `bind() to unix:/a/b failed`.
fn written(message: &str) -> Option<PathBuf> {
    let path = match message.split_once("unix:") {
        Some((_, rest)) => rest.split(" failed").next(),
        None => message.split('"').nth(1),
    };
    path.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The place at the end of nginx's message: `... in /etc/nginx/nginx.conf:12`.
fn place(message: &str) -> Option<Place> {
    let (file, line) = message.rsplit_once(" in ")?.1.rsplit_once(':')?;
    let file = Path::new(file);
    file.is_absolute().then_some(())?;
    Some(Place { file: file.to_owned().into(), line: line.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u8, said: &str) -> Judgement {
        judge(&ConfigTested { code: Some(code), said: said.to_owned() })
    }

    #[test]
    fn an_error_is_told_with_its_place() {
        let words = "nginx: [warn] conflicting server name \"a\" on 0.0.0.0:80, ignored\n\
                     nginx: [emerg] unknown directive \"prox_pass\" in /etc/nginx/sites-enabled/shop:8\n\
                     nginx: configuration file /etc/nginx/nginx.conf test failed\n";
        let Judgement::Told(test) = said(1, words) else { panic!("a result") };
        assert_eq!(test.message, "unknown directive \"prox_pass\" in /etc/nginx/sites-enabled/shop:8");
        assert_eq!(test.at.expect("a place").to_string(), "/etc/nginx/sites-enabled/shop:8");
        let Judgement::Told(test) = said(1, "2026/11/21 03:06:21 [emerg] 13346#13346: unknown \"shop\" variable\n") else {
            panic!("a result")
        };
        assert_eq!((test.message.as_str(), test.at), ("unknown \"shop\" variable", None));
    }

    #[test]
    fn a_failure_of_our_surroundings_is_none_of_the_configuration() {
        for (words, path) in [
            ("nginx: [emerg] open() \"/var/log/nginx/a.log\" failed (30: Read-only file system)", "/var/log/nginx/a.log"),
            ("nginx: [emerg] mkdir() \"/var/lib/nginx/body\" failed (30: Read-only file system)", "/var/lib/nginx/body"),
            ("nginx: [emerg] chown(\"/var/lib/nginx/body\", 33) failed (30: Read-only file system)", "/var/lib/nginx/body"),
            ("nginx: [emerg] bind() to unix:/run/a b.sock failed (30: Read-only file system)", "/run/a b.sock"),
        ] {
            assert_eq!(said(1, words), Judgement::Writes(PathBuf::from(path)));
        }
        for words in [
            "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)",
            "nginx: [emerg] cannot load certificate key \"/k\": BIO_new_file() failed (SSL: calling fopen(/k, r) error:10080002) (13: Permission denied)",
            "nginx: [emerg] open() \"/x\" failed (28: No space left on device)",
            "nothing that is known",
            "",
        ] {
            assert!(matches!(said(1, words), Judgement::NotTold(_)), "{words}");
        }
        assert!(matches!(said(97, "a mount namespace: EPERM"), Judgement::NotTold(_)));
        assert!(matches!(judge(&ConfigTested { code: None, said: String::new() }), Judgement::NotTold(_)));
    }

    #[test]
    fn what_needs_the_network_is_told_apart() {
        assert!(matches!(said(1, "nginx: [emerg] host not found in upstream \"a\" in /c:1"), Judgement::OfNetwork(_)));
        assert!(matches!(said(1, "nginx: [emerg] bind() to 10.0.0.9:80 failed (99: Cannot assign)"), Judgement::OfNetwork(_)));
    }
}
