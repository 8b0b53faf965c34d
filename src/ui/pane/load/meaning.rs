//! What a gauge means, which causes can stand on it, and what was concluded from it.

use crate::app::State;

/// The causes that a gauge can speak for.
fn causes_of(name: &str) -> &'static [&'static str] {
    match name {
        "cpu" | "psi" => &["host-cpu-saturated", "host-memory-exhausted"],
        "mem" => &["host-memory-exhausted", "upstream-oom-killed"],
        "disk" => &["disk-full", "disk-failed"],
        "accq" => &["upstream-overloaded"],
        "files" | "tasks" => &["host-limits"],
        "net" => &["network-degraded", "host-limits"],
        "ctrack" => &["conntrack-full"],
        "gw" => &["gateway-limits", "gateway-down", "disk-full", "disk-failed"],
        "app" => &[
            "upstream-timeout",
            "upstream-overloaded",
            "upstream-oom-killed",
            "host-cpu-saturated",
            "host-memory-exhausted",
            "host-limits",
            "disk-full",
            "disk-failed",
        ],
        _ => &[],
    }
}

/// Why the figures of a gauge are suspects, or are not.
pub(super) fn concluded(state: &State, name: &str) -> Vec<String> {
    let assessment = state.shown().1;
    let mut out = Vec::new();
    for id in causes_of(name) {
        if let Some(cause) = assessment.causes.iter().find(|cause| cause.id == *id) {
            out.push(format!("suspect: {id} ({}): {}", cause.confidence.word(), cause.summary));
        } else if let Some(no) = assessment.ruled_out.iter().find(|no| no.id == *id) {
            out.push(format!("ruled out: {id}: {}", no.because));
        }
    }
    if out.is_empty() && !causes_of(name).is_empty() {
        out.push("no cause stands on it, and none was ruled out by it".to_owned());
    }
    out
}

/// What a gauge means, and when it is marked.
pub(super) fn meaning(name: &str) -> &'static str {
    match name {
        "cpu" => {
            "Busy share of all processors since the last sample, the load average of one minute, runnable tasks, and what the hypervisor took. Marked from 90 %."
        }
        "mem" => {
            "Memory that new work cannot have without swapping, of all memory; tasks killed for want of memory since boot. Marked from 90 %."
        }
        "psi" => {
            "Pressure stall information: the share of the last 10 s in which some task waited for the resource. High pressure with an idle CPU means waiting, not working. Marked from 50 %."
        }
        "disk" => {
            "Used space and used inodes of a file system that gateway or logs live on. Either of them full makes writing fail. Marked from 90 %."
        }
        "accq" => {
            "The fullest accept queue of all listening sockets: connections that wait to be accepted, of how many may wait. When it is full, new connections are dropped, which overflows counts since boot."
        }
        "tasks" => {
            "Processes and threads of the whole system, of how many there may be (the smaller of kernel.pid_max and kernel.threads-max), and those that wait for a disk and cannot be killed. Marked from 90 %."
        }
        "net" => {
            "TCP segments that were sent again, packets that devices dropped or found broken, since the last sample, and the memory of TCP sockets, of what they may have (net.ipv4.tcp_mem). Marked from 5 % and 90 %."
        }
        "gw" | "app" => {
            "One service for itself: its processes, its cgroup, and where it writes to. A limit that is reached here does not show in the host's gauges."
        }
        "files" => "Open files of the whole system, of the kernel's limit. Marked from 90 %.",
        "ctrack" => {
            "Entries of the kernel's connection tracking table, of its limit. When it is full, packets of new connections are dropped. Marked from 90 %."
        }
        _ => {
            "What this program costs the host: its share of one processor, resident memory, how often its threads were woken, probes that it made in the last 10 s, and bytes that it sent to the terminal. Where the host has nothing to spare it looks less often."
        }
    }
}
