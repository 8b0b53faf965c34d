//! Which cause tells what a finding tells, where both are named: the finding adds the line of the file, and says nothing new.

/// Findings by rules, with the causes that tell the same.
const TELLS: &[(&str, &[&str])] = &[
    (
        "nothing-listens",
        &["upstream-down", "upstream-wrong-address", "upstream-socket-missing", "upstream-crashing", "upstream-oom-killed"],
    ),
    ("no-resolver", &["gateway-config-wrong", "dns-failure"]),
    ("module-missing", &["gateway-config-wrong"]),
    ("resolved-once", &["dns-stale"]),
    ("keepalive-outlives-upstream", &["keepalive-race"]),
    ("header-near-limit", &["response-header-too-big"]),
    ("limit-near", &["gateway-limits"]),
    ("server-out", &["upstream-disabled"]),
    ("server-held-down", &["healthcheck-failing"]),
];

/// Whether this cause tells what this finding does.
pub(super) fn tells(cause: &str, finding: &str) -> bool {
    TELLS.iter().any(|(id, causes)| *id == finding && causes.contains(&cause))
}
