//! What `systemctl status` shows of a unit that failed, in the words that systemd has for the same in the journal.
//!
//! The unit stands in the first line and how it ended in the third, so that neither tells anything alone.

/// The unit of the listing that is being read.
#[derive(Debug, Default)]
pub(super) struct Status {
    unit: Option<String>,
    /// Whether any unit was named, of whatever kind.
    listed: bool,
}

/// What stands for the unit of a listing whose first line is missing.
const UNNAMED: &str = "unnamed.service";

/// Bytes of a unit's name, at most (systemd.unit(5): 255 characters).
const UNIT_BYTES: usize = 255;

impl Status {
    /// Takes the next line, and gives what systemd said when the unit ended so.
    pub(super) fn said(&mut self, line: &str) -> Option<String> {
        // `● shop.service - Shop API`; the mark is a `*` without UTF-8 (systemd, src/basic/glyph-util.c).
        let marked = line.strip_prefix(['●', '×', '○', '↻', '*', 'x']).and_then(|rest| rest.strip_prefix(' '));
        if let Some(unit) = marked.map(|rest| rest.split(' ').next().unwrap_or_default()) {
            self.listed |= unit.contains('.');
            self.unit = Some(unit.to_owned()).filter(|unit| unit.ends_with(".service") && unit.len() <= UNIT_BYTES);
            return None;
        }
        let unit = match (&self.unit, self.listed) {
            (Some(unit), _) => unit.as_str(),
            // The first line was not pasted.
            (None, false) => UNNAMED,
            (None, true) => return None,
        };
        let state = line.trim_start().strip_prefix("Active: ")?;
        let (state, result) = state.split_once(" (Result: ")?;
        let result =
            result.split(')').next().filter(|result| result.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'))?;
        let ended = matches!(state, "failed" | "activating (auto-restart)") && result != "success";
        ended.then(|| format!("{unit}: Failed with result '{result}'."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(header: &str, active: &str) -> Option<String> {
        let mut status = Status::default();
        assert_eq!(status.said(header), None);
        assert_eq!(status.said("     Loaded: loaded (/etc/systemd/system/shop.service; enabled; preset: enabled)"), None);
        status.said(active)
    }

    #[test]
    fn a_unit_that_failed_is_told_as_in_the_journal() {
        let failed = "     Active: failed (Result: exit-code) since Thu 2026-03-12 09:14:02 UTC; 3min 2s ago";
        let restarted = "     Active: activating (auto-restart) (Result: oom-kill) since Thu 2026-03-12 09:14:02 UTC; 2s ago";
        assert_eq!(said("● shop.service - Shop API", failed).as_deref(), Some("shop.service: Failed with result 'exit-code'."));
        assert_eq!(said("x shop.service - Shop API", restarted).as_deref(), Some("shop.service: Failed with result 'oom-kill'."));
    }

    #[test]
    fn any_other_state_is_none() {
        let failed = "     Active: failed (Result: exit-code) since Thu 2026-03-12 09:14:02 UTC; 3min 2s ago";
        assert_eq!(said("● shop.service - Shop API", "     Active: active (running) since Mon 2026-03-02 08:00:01 UTC"), None);
        assert_eq!(said("● logrotate.timer - Rotation", failed), None);
        // Only the last is a listing whose first line is missing.
        assert_eq!(said("● shop.socket - Shop API", failed), None);
        assert_eq!(said("nothing", "     Active: active (running) since Mon 2026-03-02 08:00:01 UTC"), None);
        assert_eq!(said("nothing", failed).as_deref(), Some("unnamed.service: Failed with result 'exit-code'."));
    }
}
