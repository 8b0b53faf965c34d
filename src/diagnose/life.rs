//! What the state of a service means, in words.

use crate::model::{ServiceExit, ServiceLife};

/// How a service ended: `exit status 1, start limit hit after 5 restarts`.
pub fn how(service: &ServiceLife) -> String {
    let mut parts = Vec::new();
    match service.exit {
        Some(ServiceExit::Status(0)) if service.result == "success" || service.result.is_empty() => {
            parts.push("it ended by itself or was stopped, exit status 0".to_owned());
        }
        Some(ServiceExit::Status(status)) => parts.push(format!("exit status {status}{}", meaning(status))),
        Some(ServiceExit::Signal(signal)) => parts.push(format!("killed by signal {}", signal_name(signal))),
        Some(ServiceExit::Dumped(signal)) => parts.push(format!("crashed by signal {}", signal_name(signal))),
        None => {}
    }
    match service.result.as_str() {
        "oom-kill" => parts.push("killed for want of memory".to_owned()),
        "watchdog" => parts.push("it missed its watchdog".to_owned()),
        "timeout" => parts.push("it took too long to start or stop".to_owned()),
        "start-limit-hit" => parts.push("its start limit was hit: systemd will not start it again".to_owned()),
        "resources" => parts.push("systemd could not set it up (resources)".to_owned()),
        "protocol" => parts.push("it did not report as its unit says".to_owned()),
        "exec-condition" | "condition" => parts.push("a condition of its unit was not met".to_owned()),
        _ => {}
    }
    if let Some(restarts @ 1..) = service.restarts {
        parts.push(format!("after {restarts} restarts"));
    }
    if service.load == "masked" {
        parts.push("its unit is masked".to_owned());
    }
    if parts.is_empty() {
        if service.sub.is_empty() { service.active.clone() } else { service.sub.clone() }
    } else {
        parts.join(", ")
    }
}

/// What a status means where systemd or a shell has made it (systemd.exec(5), "Process Exit Codes").
fn meaning(status: i32) -> &'static str {
    match status {
        126 => " (found, but not executable)",
        127 => " (command not found)",
        200 => " (CHDIR: its working directory is not there)",
        203 => " (EXEC: its program could not be run)",
        209 => " (STDOUT: its log could not be opened)",
        216 | 217 => " (USER: its user or group is not known)",
        226 => " (NAMESPACE: its mounts could not be set up)",
        _ => "",
    }
}

/// `9 (KILL)`
pub fn signal_name(signal: i32) -> String {
    const NAMES: &[(i32, &str)] = &[
        (1, "HUP"),
        (2, "INT"),
        (3, "QUIT"),
        (4, "ILL"),
        (6, "ABRT"),
        (7, "BUS"),
        (8, "FPE"),
        (9, "KILL"),
        (11, "SEGV"),
        (13, "PIPE"),
        (14, "ALRM"),
        (15, "TERM"),
        (24, "XCPU"),
        (25, "XFSZ"),
        (31, "SYS"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| signal.to_string(), |(number, name)| format!("{number} ({name})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_service_is_told_in_words() {
        let mut service = ServiceLife { active: "failed".into(), sub: "failed".into(), ..ServiceLife::default() };
        assert_eq!(how(&service), "failed");
        service.exit = Some(ServiceExit::Status(1));
        (service.result, service.restarts) = ("start-limit-hit".into(), Some(5));
        assert_eq!(how(&service), "exit status 1, its start limit was hit: systemd will not start it again, after 5 restarts");
        (service.exit, service.restarts, service.result) = (Some(ServiceExit::Signal(9)), Some(0), "oom-kill".into());
        assert_eq!(how(&service), "killed by signal 9 (KILL), killed for want of memory");
        (service.exit, service.result) = (Some(ServiceExit::Status(203)), "exit-code".into());
        assert_eq!(how(&service), "exit status 203 (EXEC: its program could not be run)");
        (service.exit, service.result) = (Some(ServiceExit::Status(0)), "success".into());
        assert_eq!(how(&service), "it ended by itself or was stopped, exit status 0");
    }
}
