//! What an application server says of its own workers: how many are busy, how many could be, and what waits for one.

use serde::{Deserialize, Serialize};

use super::Subject;

/// The workers of one application server, or of one pool of it. What is not told is `None`, never 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workers {
    /// The program: `php-fpm`, `gunicorn`.
    pub program: String,
    /// Its pool, where it has several: `www`. Foreign text.
    pub pool: String,
    /// The master's process id.
    pub pid: u32,
    /// The upstreams that it is, as the gateways name them.
    pub serves: Vec<Subject>,
    /// Who says so: `status page /status of /run/php/www.sock`, `/proc`.
    pub source: String,
    /// Workers that have a request.
    pub busy: u64,
    /// Workers that have none.
    pub idle: u64,
    /// How many there may be at once.
    pub limit: Option<u64>,
    /// The setting that says so: `pm.max_children`.
    pub limit_name: String,
    /// Connections that wait for a worker, by its own word. `None`: it does not tell; the kernel's queue may.
    pub waiting: Option<u64>,
    /// How often the limit was reached since it started.
    pub limit_reached: Option<u64>,
    /// Requests that it ended for their time since it started.
    pub ended_for_time: Option<u64>,
    /// Requests that were slow by its own measure since it started.
    pub slow: Option<u64>,
    /// Milliseconds that the youngest of the requests under way has lasted. `None`: it does not tell, or there is none.
    pub youngest_ms: Option<u64>,
}

impl Workers {
    /// Whether none is left, and no further one may be started.
    pub fn used_up(&self) -> bool {
        self.idle == 0 && self.busy > 0 && self.limit.is_none_or(|limit| self.busy >= limit)
    }

    /// Whether a person would call `other` news after this: figures that move all the time are none.
    pub fn same_as(&self, other: &Self) -> bool {
        let still = |one: &Self| Self {
            busy: u64::from(one.used_up()),
            idle: 0,
            waiting: one.waiting.map(|waiting| waiting.min(1)),
            youngest_ms: None,
            ..one.clone()
        };
        still(self) == still(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_used_up_when_no_more_may_be_started() {
        let of = |busy, idle, limit| Workers { busy, idle, limit, ..Workers::default() };
        assert!(of(2, 0, Some(2)).used_up() && of(2, 0, None).used_up());
        assert!(!of(2, 0, Some(5)).used_up(), "three more may be started");
        assert!(!of(1, 1, Some(2)).used_up() && !of(0, 0, Some(2)).used_up());
        assert!(of(1, 1, Some(2)).same_as(&of(0, 2, Some(2))) && !of(2, 0, Some(2)).same_as(&of(1, 1, Some(2))));
    }
}
