//! Lines of those that watch over processes: systemd, the audit system, container runtimes. They are known by the program that
//! syslog or the journal names; audit records and events also by their shape.

use super::{Carried, Dialect, Entry};

/// Programs whose lines are about containers.
const CONTAINER_PROGRAMS: &[&str] = &["dockerd", "containerd", "kubelet", "podman", "conmon", "docker", "crio"];

/// Reads a line of systemd, by the name that it has in the journal: `systemd[1]`, `systemd-oomd[700]`.
pub(super) fn systemd<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let dialect = match carried.program {
        Some("systemd" | "systemd-oomd" | "systemd-coredump" | "systemd-journald") => Dialect::Systemd,
        // `app.service: Start request repeated too quickly.`, pasted alone: its signatures know it as nobody's, too.
        None if carried.text.split_once(": ").is_some_and(|(unit, _)| is_unit(unit)) || is_old(carried.text) => Dialect::Plain,
        Some(_) | None => return None,
    };
    Some(Entry { dialect, message: carried.text.trim_end().into(), ..Entry::default() })
}

/// What systemd said of a unit before v220, without a colon behind its name (src/core/service.c, src/core/unit.c).
fn is_old(text: &str) -> bool {
    const SAID: [&str; 4] = ["start request repeated too quickly", "holdoff time over", "failed.", "watchdog timeout (limit "];
    let within = |begin: &str, end: &str| text.strip_prefix(begin).and_then(|rest| rest.split(end).next()).is_some_and(is_unit);
    let said = || text.split_once(' ').is_some_and(|(unit, rest)| is_unit(unit) && SAID.iter().any(|said| rest.starts_with(said)));
    within("Unit ", " entered failed state") || within("start request repeated too quickly for ", ",") || said()
}

/// The name of a unit of those that run programs (systemd.unit(5)).
fn is_unit(name: &str) -> bool {
    let ends = [".service", ".socket", ".scope"];
    name.len() <= 255 && !name.contains(char::is_whitespace) && ends.iter().any(|end| name.ends_with(end))
}

/// Reads an audit record: as auditd writes it (`type=AVC msg=audit(1795217794.123:456): avc:  denied ...`), as the kernel tells it
/// where no auditd runs (`audit: type=1400 audit(...): ...`). The message begins behind the record's number.
pub(super) fn audit<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let text = text.split_once("] ").filter(|(stamp, _)| stamp.starts_with('[')).map_or(text, |(_, rest)| rest);
    let text = text.strip_prefix("audit: ").unwrap_or(text);
    let by_program = matches!(carried.program, Some("audit" | "auditd" | "audisp-syslog" | "kernel"));
    // The journal has `AVC avc:  denied` from its own transport of audit records (systemd-journald(8), ReadKMsg and audit).
    let rest = match text.strip_prefix("type=") {
        Some(rest) => rest.split_once("): ").filter(|(head, _)| head.contains("audit("))?.1,
        // Nobody else's messages begin so.
        None if text.starts_with("avc:  denied  {") => text,
        None => {
            by_program.then(|| text.find("avc:  denied").or_else(|| text.find("apparmor=\""))).flatten().map(|at| &text[at..])?
        }
    };
    Some(Entry { dialect: Dialect::Audit, message: rest.trim_end().into(), ..Entry::default() })
}

/// Reads a line of a container runtime, by its program; `docker events` by the shape of its lines
/// (`2026-11-20T23:36:34.123456789Z container die 4f5e... (exitCode=137, ...)`).
pub(super) fn container<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let text = carried.text;
    let event = text.split_once(" container ").or_else(|| text.strip_prefix("container ").map(|rest| ("", rest)));
    let event = event.and_then(|(before, rest)| {
        let (verb, rest) = rest.split_once(' ')?;
        let stamped = before.is_empty() || super::LineTime::leading(before).is_some_and(|(_, rest)| rest.is_empty());
        let known = ["die", "oom", "kill", "stop", "start", "restart", "health_status:"].contains(&verb);
        (stamped && known && rest.contains('(')).then(|| &text[text.len() - rest.len() - verb.len() - 1..])
    });
    let message = match event {
        Some(event) => event,
        None if CONTAINER_PROGRAMS.contains(&carried.program?) => text,
        None => return None,
    };
    Some(Entry { dialect: Dialect::Container, message: message.trim_end().into(), ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Dialect, carried, read, read_kernel};

    #[test]
    fn each_is_known_by_its_program_or_its_shape() {
        for (line, dialect, message) in [
            (
                "Nov 20 02:17:41 gw1 systemd[1]: app.service: Failed with result 'oom-kill'.",
                Dialect::Systemd,
                "app.service: Failed with result 'oom-kill'.",
            ),
            (
                "type=AVC msg=audit(1795217794.123:456): avc:  denied  { name_connect } for  pid=7 comm=\"nginx\"",
                Dialect::Audit,
                "avc:  denied  { name_connect } for  pid=7 comm=\"nginx\"",
            ),
            (
                "Nov 20 02:17:41 gw1 kernel: [  12.345678] audit: type=1400 audit(1795217794.123:45): apparmor=\"DENIED\" operation=\"connect\"",
                Dialect::Audit,
                "apparmor=\"DENIED\" operation=\"connect\"",
            ),
            (
                "Nov 20 02:17:41 gw1 audit[700]: AVC avc:  denied  { connectto } for  pid=7",
                Dialect::Audit,
                "avc:  denied  { connectto } for  pid=7",
            ),
            (
                "2026-11-20T23:36:34.123456789Z container die 4f5e6d (exitCode=137, image=shop, name=shop-web-1)",
                Dialect::Container,
                "die 4f5e6d (exitCode=137, image=shop, name=shop-web-1)",
            ),
            (
                "août 09 13:47:03 gw1 systemd[1]: Unit app.service entered failed state.",
                Dialect::Systemd,
                "Unit app.service entered failed state.",
            ),
            (
                "app.service start request repeated too quickly, refusing to start.",
                Dialect::Plain,
                "app.service start request repeated too quickly, refusing to start.",
            ),
            (
                "Nov 20 02:17:41 gw1 kernel: [  12.345678] Out of memory: Killed process 811 (gunicorn)",
                Dialect::Kernel,
                "Out of memory: Killed process 811 (gunicorn)",
            ),
        ] {
            let entry = read(line);
            assert_eq!((entry.dialect, &*entry.message), (dialect, message), "{line}");
        }
    }

    #[test]
    fn a_denial_in_the_kernels_own_log_is_one_of_the_audit_system() {
        let entry = read_kernel("audit: type=1400 audit(1795217794.123:45): apparmor=\"DENIED\" operation=\"connect\"");
        assert_eq!((entry.dialect, &*entry.message), (Dialect::Audit, "apparmor=\"DENIED\" operation=\"connect\""));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(text in "(type=|audit|container |\\[|\\) ?: |avc:  denied|[a-z é:(\\]]){0,12}") {
            let carried = carried(&text);
            let _ = (super::systemd(&carried), super::audit(&carried), super::container(&carried));
        }
    }
}
