//! `apache2 -t`, made where it can change nothing, and what its words mean.
//!
//! It opens neither logs nor ports (server/main.c ends before `open_logs`), but what modules do is theirs to know: it is never run
//! bare. Where a namespace can't be had, or it fails only for want of a right, there is no result, and that is said with the
//! command for a person.

use std::path::{Path, PathBuf};

use super::{super::off_thread, environment};
use crate::{
    model::{ConfigTest, Gateway, Place, RunState},
    sys::{ConfigTestJob, ConfigTested, NOT_MADE, Sys, acting, can_assume},
};

/// Name of the command in [`Gateway::commands`] that this program runs itself: binary, then arguments.
pub const COMMAND: &str = "self-test";
/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 500;
/// What stands before a place in Apache's messages; they nest: an include in an include.
const PLACE: &str = "Syntax error on line ";

/// What an exit and its words come to.
#[derive(Debug, PartialEq, Eq)]
enum Judgement {
    Told(ConfigTest),
    /// A name was not found: without network that says nothing.
    OfNetwork(ConfigTest),
    NotTold(String),
}

/// Makes the test. An error: why there is no result.
pub async fn test(sys: &Sys, gateway: &Gateway) -> Result<ConfigTest, String> {
    if !can_assume() {
        return Err("it takes root to run it where it can change nothing".to_owned());
    }
    let mut job = ConfigTestJob { offline: true, ..prepare(sys, gateway).await? };
    loop {
        let tested = sys.rights.config_test(&job).await.map_err(|refusal| refusal.to_string())?;
        match judge(&tested) {
            Judgement::OfNetwork(_) if job.offline => job.offline = false,
            Judgement::Told(test) | Judgement::OfNetwork(test) => return Ok(test),
            Judgement::NotTold(why) if job.offline && why.starts_with("a network namespace: ") => job.offline = false,
            Judgement::NotTold(why) => return Err(why),
        }
    }
}

async fn prepare(sys: &Sys, gateway: &Gateway) -> Result<ConfigTestJob, String> {
    let words = gateway.commands.get(COMMAND).and_then(|words| words.split_first());
    let Some((binary, args)) = words else { return Err("its binary or its arguments are not known".to_owned()) };
    let mut job = ConfigTestJob {
        args: args.to_vec(),
        files: gateway.logs.iter().map(|log| log.path.clone()).collect(),
        ..ConfigTestJob::default()
    };
    match gateway.state {
        RunState::Running { pid, .. } => {
            // A reload is made by the image that runs, whatever lies on disk by now.
            job.program = PathBuf::from(format!("/proc/{pid}/exe"));
            job.like = Some(pid);
            let root = sys.root.clone();
            let status = off_thread(move || root.text(format!("/proc/{pid}/status")).ok()).await.flatten();
            job.identity = status.and_then(|status| acting(&status)).filter(|user| user.uid != 0);
        }
        RunState::Stopped { .. } => {
            job.program = PathBuf::from(binary);
            let (root, config) = (sys.root.clone(), gateway.config.clone());
            let script = off_thread(move || environment::of_script(&root, &config)).await.flatten();
            let known = script.map(|(_, known)| known).unwrap_or_default();
            job.environment = known.into_iter().filter(|(name, _)| name.starts_with(environment::OF_TEST)).collect();
        }
    }
    Ok(job)
}

fn judge(tested: &ConfigTested) -> Judgement {
    match tested.code {
        Some(0) => {
            let message = "Syntax OK".to_owned();
            Judgement::Told(ConfigTest { passed: true, message, at: None })
        }
        Some(NOT_MADE) => Judgement::NotTold(tested.said.lines().next().unwrap_or("it could not be made").to_owned()),
        Some(_) => {
            let Some((at, message)) = failure(&tested.said) else {
                return Judgement::NotTold("it failed without a reason".to_owned());
            };
            let message: String = message.chars().take(MESSAGE_CHARS).collect();
            // EACCES, EPERM, EMFILE, ENOSPC, EROFS: of our surroundings, or not to be told from them.
            let ours =
                ["Permission denied", "Operation not permitted", "Too many open files", "No space left", "Read-only file system"];
            if ours.iter().any(|words| message.contains(words)) {
                return Judgement::NotTold(message);
            }
            let network = ["failed to set up sockaddr", "could not be resolved", "Could not resolve"];
            let of_network = network.iter().any(|words| message.contains(words));
            let test = ConfigTest { passed: false, message, at };
            if of_network { Judgement::OfNetwork(test) } else { Judgement::Told(test) }
        }
        None => Judgement::NotTold("it was ended before it was done".to_owned()),
    }
}

/// The first error and its place: `AH00526: Syntax error on line 3 of FILE:` with the message on the next line, or
/// `apache2: Syntax error on line 222 of FILE: Syntax error on line 5 of OTHER: message`, of which the last place is the one.
fn failure(said: &str) -> Option<(Option<Place>, String)> {
    let mut lines = said.lines();
    while let Some(line) = lines.next() {
        if let Some(at) = line.rfind(PLACE) {
            let (number, rest) = line[at + PLACE.len()..].split_once(" of ")?;
            // A path may hold a colon; the message of the same line follows the first that has a blank behind it.
            let (file, message) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
            let message = if message.is_empty() { lines.next().unwrap_or_default() } else { message };
            let place = number.trim().parse().ok().map(|line| Place { file: Path::new(file).to_owned().into(), line });
            return Some((place, message.trim().to_owned()));
        }
        // Warnings: no name for the host, a variable that is not defined.
        let warns = ["AH00558", "AH00111", "AH00112", ":warn]", ":notice]", ":info]", "AH00014", "AH00547", "AH00548"];
        if !line.trim().is_empty() && !warns.iter().any(|words| line.contains(words)) {
            return Some((None, line.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u8, said: &str) -> Judgement {
        judge(&ConfigTested { code: Some(code), said: said.to_owned() })
    }

    #[test]
    fn an_error_is_told_with_its_place() {
        for (words, at, message) in [
            (
                "AH00558: apache2: Could not reliably determine the server's fully qualified domain name\n\
                 AH00526: Syntax error on line 1 of /etc/apache2/sites-enabled/shop.conf:\nInvalid command 'ProxPass', perhaps misspelled\n",
                "/etc/apache2/sites-enabled/shop.conf:1",
                "Invalid command 'ProxPass', perhaps misspelled",
            ),
            (
                "apache2: Syntax error on line 222 of /etc/apache2/apache2.conf: Syntax error on line 5 of /etc/apache2/b.conf: Expected </Foo> but saw </IfModule>\n",
                "/etc/apache2/b.conf:5",
                "Expected </Foo> but saw </IfModule>",
            ),
        ] {
            let Judgement::Told(test) = said(1, words) else { panic!("a result") };
            assert_eq!((test.at.expect("a place").to_string(), test.message), (at.to_owned(), message.to_owned()));
        }
        let missing = "(2)No such file or directory: AH02291: Cannot access directory '/nope/' for main error log\nAH00014: Configuration check failed\n";
        let Judgement::Told(test) = said(1, missing) else { panic!("a result") };
        assert!(test.at.is_none() && test.message.contains("/nope/"));
    }

    #[test]
    fn a_failure_of_our_surroundings_is_none_of_the_configuration() {
        let key = "AH00526: Syntax error on line 4 of /a.conf:\nSSLCertificateKeyFile: Permission denied\n";
        assert!(matches!(said(1, key), Judgement::NotTold(_)));
        assert!(matches!(said(1, ""), Judgement::NotTold(_)));
        assert!(matches!(said(97, "a mount namespace: EPERM"), Judgement::NotTold(_)));
        assert!(matches!(judge(&ConfigTested { code: None, said: String::new() }), Judgement::NotTold(_)));
        let name = "AH00526: Syntax error on line 1 of /a.conf:\nalloc_listener: failed to set up sockaddr for nope.internal\n";
        assert!(matches!(said(1, name), Judgement::OfNetwork(_)));
    }
}
