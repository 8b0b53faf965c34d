//! `haproxy -c`, made where it can change nothing, and what its words mean.
//!
//! It binds no address and writes no file; it opens certificates, and looks names up. It is never run bare: where a namespace can't
//! be had there is no result, and that is said with the command for a person.

use std::path::{Path, PathBuf};

use crate::{
    model::{ConfigTest, Gateway, Place, RunState},
    sys::{ConfigTestJob, ConfigTested, NOT_MADE, Sys, can_assume},
};

/// Name of the command in [`Gateway::commands`] that this program runs itself: binary, then arguments.
pub const COMMAND: &str = "self-test";
/// Characters of a message that are kept.
const MESSAGE_CHARS: usize = 500;

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
    let words = gateway.commands.get(COMMAND).and_then(|words| words.split_first());
    let Some((binary, args)) = words else { return Err("its binary or its arguments are not known".to_owned()) };
    let mut job = ConfigTestJob { args: args.to_vec(), offline: true, ..ConfigTestJob::default() };
    match gateway.state {
        RunState::Running { pid, .. } => {
            // A reload is made by the image that runs, whatever lies on disk by now.
            job.program = PathBuf::from(format!("/proc/{pid}/exe"));
            job.like = Some(pid);
        }
        RunState::Stopped { .. } => job.program = PathBuf::from(binary),
    }
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

fn judge(tested: &ConfigTested) -> Judgement {
    let told = |passed, message: &str| {
        let message: String = message.chars().take(MESSAGE_CHARS).collect();
        ConfigTest { passed, at: place(&message), message }
    };
    match tested.code {
        Some(0) => Judgement::Told(told(true, "Configuration file is valid")),
        Some(NOT_MADE) => Judgement::NotTold(tested.said.lines().next().unwrap_or("it could not be made").to_owned()),
        Some(_) => {
            // `[ALERT]    (123) : config : parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword ...`
            let alerts = tested.said.lines().filter(|line| line.starts_with("[ALERT]"));
            let mut words = alerts.filter_map(|line| line.split_once(") : ")).map(|(_, rest)| rest.trim_start_matches("config : "));
            let Some(message) = words.next() else { return Judgement::NotTold("it failed without a reason".to_owned()) };
            if ["Permission denied", "Operation not permitted", "Read-only file system", "Too many open files"]
                .iter()
                .any(|words| message.contains(words))
            {
                return Judgement::NotTold(message.to_owned());
            }
            let test = told(false, message.strip_prefix("parsing ").unwrap_or(message));
            if message.contains("could not resolve address") { Judgement::OfNetwork(test) } else { Judgement::Told(test) }
        }
        None => Judgement::NotTold("it was ended before it was done".to_owned()),
    }
}

/// The place in `[/etc/haproxy/haproxy.cfg:12] : ...`.
fn place(message: &str) -> Option<Place> {
    let (file, line) = message.split_once('[')?.1.split_once(']')?.0.rsplit_once(':')?;
    let line = line.parse().ok()?;
    Path::new(file).is_absolute().then(|| Place { file: PathBuf::from(file).into(), line })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: u8, said: &str) -> Judgement {
        judge(&ConfigTested { code: Some(code), said: said.to_owned() })
    }

    #[test]
    fn an_error_is_told_with_its_place() {
        let words = "[NOTICE]   (6) : haproxy version is 2.6.12-1+deb12u4\n\
                     [ALERT]    (6) : config : parsing [/etc/haproxy/haproxy.cfg:14] : unknown keyword 'sever' in 'backend' section; did you mean 'server' maybe ?\n\
                     [ALERT]    (6) : config : Error(s) found in configuration file : /etc/haproxy/haproxy.cfg\n";
        let Judgement::Told(test) = said(1, words) else { panic!("a result") };
        assert_eq!(test.at.expect("a place").to_string(), "/etc/haproxy/haproxy.cfg:14");
        assert!(!test.passed && test.message.contains("unknown keyword 'sever'"), "{}", test.message);
        let words = "[ALERT]    (6) : config : [/etc/haproxy/haproxy.cfg:20] : 'server shop/a' : could not resolve address 'app.internal'.\n";
        assert!(matches!(said(1, words), Judgement::OfNetwork(_)));
        assert!(matches!(said(0, "[WARNING]  (6) : config : missing timeouts\n"), Judgement::Told(test) if test.passed));
        let denied =
            "[ALERT]    (6) : config : parsing [/a:1] : 'bind *:443' : unable to stat SSL certificate (Permission denied)\n";
        assert!(matches!(said(1, denied), Judgement::NotTold(_)));
        assert!(matches!(said(NOT_MADE, "a mount namespace: no\n"), Judgement::NotTold(why) if why == "a mount namespace: no"));
    }
}
