//! Components of Kubernetes by klog: `W1120 23:36:34.402313       7 controller.go:1225] text` (k8s.io/klog); the controller of
//! ingress-nginx among them.

use super::{Carried, Dialect, Entry, Level, TimeShape};

/// Reads a line of klog's. The message is what stands behind the bracket.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let level = match carried.text.as_bytes().first()? {
        b'I' => Level::Info,
        b'W' => Level::Warning,
        b'E' => Level::Error,
        b'F' => Level::Critical,
        _ => return None,
    };
    let (time, rest) = TimeShape::Klog.leading(carried.text.get(1..)?)?;
    let (pid, rest) = rest.strip_prefix(' ')?.trim_start().split_once(' ')?;
    let (place, text) = rest.split_once("] ").or_else(|| rest.strip_suffix(']').map(|place| (place, "")))?;
    let (file, line) = place.rsplit_once(':')?;
    let fits = file.rsplit_once('.').is_some_and(|(_, kind)| kind == "go")
        && !file.contains(' ')
        && line.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(Entry {
        dialect: Dialect::Klog,
        time: Some(time),
        level: Some(level),
        pid: Some(pid.parse().ok()?),
        message: text.trim_end().into(),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logline;

    #[test]
    fn a_line_of_the_ingress_controller() {
        const LINE: &str =
            "W1120 23:36:34.402313       7 controller.go:1225] Service \"shop/web\" does not have any active Endpoint.";
        let entry = logline::read(LINE);
        assert_eq!((entry.dialect, entry.level, entry.pid), (Dialect::Klog, Some(Level::Warning), Some(7)));
        assert_eq!(entry.message, "Service \"shop/web\" does not have any active Endpoint.");
        assert_eq!(entry.time.map(|time| time.text), Some("1120 23:36:34.402313"));
        for at in 0..LINE.len() {
            let _ = logline::read(&LINE[..at]);
        }
        for other in ["Warning: x", "E1120 x", "I1120 23:36:34.402313 7 no place] x", "W1120 23:36:34.402313 x controller.go:1] x"]
        {
            assert_ne!(logline::read(other).dialect, Dialect::Klog, "{other}");
        }
    }
}
