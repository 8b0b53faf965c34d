//! What kubectl shows of pods: the state of containers (`kubectl describe pod`) and events (`kubectl get events`, the end of
//! `describe`). The message is the line without its indentation.
//!
//! Listings are indented as traces are: [`is_listed`] tells that such a line stands alone.

use super::{Carried, Dialect, Entry, Level};

/// What `describe` tells of a container's state (k8s.io/kubectl, pkg/describe, `describeStatus`).
const STATE: &[&str] = &["State", "Last State", "Reason", "Exit Code", "Restart Count"];

/// Reads a line of a listing.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let entry =
        |level, message: &str| Entry { dialect: Dialect::Container, level, message: message.to_owned().into(), ..Entry::default() };
    let text = carried.text.trim_end();
    if let Some(type_of) = event(text) {
        let level = if type_of == "Warning" { Level::Warning } else { Level::Info };
        return Some(entry(Some(level), text.trim_start()));
    }
    let (key, value) = state(text).or_else(|| inspected(text)).or_else(|| flat(text))?;
    Some(entry(None, &format!("{key}: {value}")))
}

/// Reasons for which a container waits or ended (k8s.io/kubernetes, pkg/kubelet).
const REASONS: &[&str] = &[
    "OOMKilled",
    "Error",
    "Completed",
    "CrashLoopBackOff",
    "ContainerCannotRun",
    "ImagePullBackOff",
    "ErrImagePull",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
    "Evicted",
    "DeadlineExceeded",
];

/// `    "reason": "OOMKilled",`, `      reason: OOMKilled`, `            "OOMKilled": true,`: the same in the output of `kubectl get -o`,
/// `crictl inspect` and `docker inspect`.
fn inspected(text: &str) -> Option<(&'static str, &str)> {
    let (key, value) = text.trim_start().trim_end_matches(',').split_once(':')?;
    let value = value.trim().trim_matches('"');
    let told = match key.trim_matches('"') {
        "reason" if REASONS.contains(&value) => ("Reason", value),
        "OOMKilled" if matches!(value, "true" | "false") => ("OOMKilled", value),
        _ => return None,
    };
    text.starts_with("  ").then_some(told)
}

/// Whether a line is one of a listing, which no other goes on with.
pub fn is_listed(line: &str) -> bool {
    let text = line.trim_end();
    event(text).is_some() || state(text).is_some() || inspected(text).is_some() || flat(text).is_some()
}

/// `    Last State:     Terminated`, and the pod's name, which is not indented.
fn state(text: &str) -> Option<(&str, &str)> {
    let (key, rest) = text.trim_start().split_once(':')?;
    let value = rest.trim_start();
    // Columns are filled with blanks: one blank is a sentence's.
    let columns = rest.starts_with("  ") && !value.is_empty() && !value.contains(' ');
    let known = if text.starts_with("  ") { STATE.contains(&key) } else { key == "Name" };
    (known && columns).then_some((key, value))
}

/// `Last State: Terminated`: where a paste has lost columns and indentation. Only what nobody else says.
fn flat(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.trim_start().split_once(": ")?;
    let value = value.trim();
    let number = || !value.is_empty() && value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit());
    let known = match key {
        "Last State" => value == "Terminated",
        "Reason" => REASONS.contains(&value),
        "Exit Code" | "Restart Count" => number(),
        _ => false,
    };
    known.then_some((key, value))
}

/// The type of an event: `  Warning  Unhealthy  12s (x5 over 52s)  kubelet  text` of `describe`, `3m55s  Warning  Unhealthy
/// pod/web-7c9f  text` of `get events`.
fn event(text: &str) -> Option<&str> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next()?;
    let (type_of, aged) = if age(first) {
        // How often it was seen stands behind the age.
        let second = words.next()?;
        let second =
            if second.starts_with("(x") { words.by_ref().find(|word| word.ends_with(')')).and(words.next())? } else { second };
        (second, true)
    } else {
        (first, false)
    };
    let reason = words.next()?;
    let known = matches!(type_of, "Warning" | "Normal")
        && reason.starts_with(|c: char| c.is_ascii_uppercase())
        && reason.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (known && (aged || age(words.next()?))).then_some(type_of)
}

/// `12s`, `3m55s`, `9d`, `<unknown>` (k8s.io/apimachinery, pkg/util/duration).
fn age(word: &str) -> bool {
    matches!(word, "<unknown>" | "<invalid>")
        || (2..=8).contains(&word.len())
            && word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(['s', 'm', 'h', 'd', 'y'])
            && word.bytes().all(|byte| byte.is_ascii_digit() || b"smhdy".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::super::{Dialect, Level, is_listed, read};

    #[test]
    fn states_and_events_are_told() {
        for (line, message) in [
            ("      Reason:       OOMKilled", "Reason: OOMKilled"),
            ("    \"reason\": \"OOMKilled\",", "Reason: OOMKilled"),
            ("      reason: OOMKilled", "Reason: OOMKilled"),
            ("            \"OOMKilled\": true,", "OOMKilled: true"),
            ("    Last State:     Terminated", "Last State: Terminated"),
            ("Last State: Terminated", "Last State: Terminated"),
            ("Reason: Error", "Reason: Error"),
            ("Exit Code: 1", "Exit Code: 1"),
            ("Restart Count: 19", "Restart Count: 19"),
            ("Name:             shop-api-7c9f6b5d4-x2x9q", "Name: shop-api-7c9f6b5d4-x2x9q"),
            (
                "  Warning  Unhealthy  12s (x5 over 52s)  kubelet  Readiness probe failed: x",
                "Warning  Unhealthy  12s (x5 over 52s)  kubelet  Readiness probe failed: x",
            ),
            (
                "3m55s       Warning   Unhealthy    pod/web    Readiness probe failed: x",
                "3m55s       Warning   Unhealthy    pod/web    Readiness probe failed: x",
            ),
            (
                "2m (x14 over 51m)  Warning  BackOff  pod/web  Back-off restarting failed container",
                "2m (x14 over 51m)  Warning  BackOff  pod/web  Back-off restarting failed container",
            ),
        ] {
            let entry = read(line);
            assert_eq!((entry.dialect, &*entry.message), (Dialect::Container, message), "{line}");
            assert!(is_listed(line), "{line}");
        }
        assert_eq!(read("  Warning  BackOff  2m  kubelet  x").level, Some(Level::Warning));
    }

    #[test]
    fn sentences_are_none() {
        for other in [
            "Reason: Worker failed to boot.",
            "  Reason: x",
            "Warning: x",
            "  Normal people",
            "Name: x",
            "12s Warning",
            "State:  on",
            "  reason: it rains",
            "",
        ] {
            assert!(!is_listed(other), "{other}");
        }
    }
}
