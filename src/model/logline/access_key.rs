//! Requests of access logs in the form in which they are grouped: `502 GET up=127.0.0.1:8000,127.0.0.1:8001 ups=502,502`.
//!
//! The form is one line of words, and what decides comes first: the status that the client got, the method (of those that are
//! known; a client may invent any), the word of the program whose log it is ([`PROGRAMS`]; nginx and plain access logs have
//! none), then what that program tells:
//!
//! - `pool=<name>`: the pool or service that the request was for (ingress-nginx);
//! - `up=<address>{,<address>}` and `ups=<status>{,<status>}`: of each attempt at an upstream the address and its status, `-`
//!   for what is not known;
//! - `by=upstream`: the upstream itself gave this answer; `by=gateway`: the gateway made it. Only told of answers from 500 on,
//!   and only where the log has what tells it;
//! - what else a program's reader adds, described there;
//! - `from=why502`: a request of ours, which is none of a user's.
//!
//! Nothing in it differs from request to request, so that it is the key of the group, and a group's meaning can be read back
//! from it. To add a program: its word in [`PROGRAMS`], and its reader makes the form with [`request_form`].

use std::fmt::Write as _;

use super::{AccessLine, Dialect, Entry};

/// The words of programs in the form, and whose log it then is.
const PROGRAMS: &[(&str, Dialect)] = &[
    ("caddy", Dialect::Caddy),
    ("traefik", Dialect::Traefik),
    ("envoy", Dialect::Envoy),
    ("alb", Dialect::Cloud),
    ("cloudfront", Dialect::Cloud),
    ("gcp", Dialect::Cloud),
    ("cloudflare", Dialect::Cloud),
    ("heroku", Dialect::Cloud),
    ("iis", Dialect::Iis),
    ("httpsys", Dialect::Iis),
];

/// What the User-Agent of each of our own requests contains: by it they are found in logs, and told from those of users.
pub const PROBE_MARK: &str = "(+probe)";
/// The word at the end of the form of such a request.
const OURS: &str = " from=why502";

/// Whether a line of an access log is a request of ours.
pub fn is_ours(line: &[u8]) -> bool {
    memchr::memmem::find(line, PROBE_MARK.as_bytes()).is_some()
}

/// Makes the key of a request that of one of ours.
pub fn mark_ours(key: &mut String) {
    key.push_str(OURS);
}

/// Whether this is the key of requests of ours.
pub fn ours_of_key(key: &str) -> bool {
    key.ends_with(OURS)
}

/// From this status on it is told who made an answer.
const FAILED: u16 = 500;

/// Reads a request back from the key of its group. `None`: it is not the form of a request. No other key begins with a status,
/// since in those each number is a `#`.
pub fn request_of_key(key: &str) -> Option<Entry<'_>> {
    let status = key.get(..3)?;
    let is_status = status.bytes().all(|byte| byte.is_ascii_digit()) && key.get(3..).is_some_and(|rest| rest.starts_with(' '));
    is_status.then(|| read_access_key(key))
}

/// Reads a request back from the key of its group.
pub fn read_access_key(key: &str) -> Entry<'_> {
    let status = key.split(' ').next().and_then(|word| word.parse().ok());
    let attempts = key.split(' ').find_map(|word| word.strip_prefix("up="));
    // The last attempt is the one that decided.
    let upstream = attempts.and_then(|list| list.rsplit(',').next()).filter(|address| *address != "-");
    let word = key.split(' ').nth(2).unwrap_or_default();
    let dialect = PROGRAMS.iter().find(|(known, _)| *known == word).map_or(Dialect::NginxAccess, |(_, dialect)| *dialect);
    Entry { dialect, message: key.into(), status, upstream: upstream.map(Into::into), ..Entry::default() }
}

/// The beginning of the form: status and method.
pub(super) fn request_form(status: Option<u16>, method: Option<&str>) -> String {
    let mut form = String::with_capacity(64);
    begin(status, method, &mut form);
    form
}

fn begin(status: Option<u16>, method: Option<&str>, form: &mut String) {
    match status {
        // Writing to a String cannot fail, here and below.
        Some(status) => {
            let _ = write!(form, "{status:03}");
        }
        None => form.push('-'),
    }
    let _ = write!(form, " {}", method.filter(|method| known_method(method)).unwrap_or("-"));
}

/// Who made an answer, for the end of the form.
pub(super) fn by(status: Option<u16>, upstream: Option<bool>) -> &'static str {
    match upstream.filter(|_| status >= Some(FAILED)) {
        Some(true) => " by=upstream",
        Some(false) => " by=gateway",
        None => "",
    }
}

/// Appends the form of a line of nginx's access log.
pub fn access_form(line: &AccessLine<'_>, form: &mut String) {
    begin(line.status, line.method, form);
    attempts(line, form);
}

/// Appends the attempts of a line of nginx's access log, and who made the answer.
pub(super) fn attempts(line: &AccessLine<'_>, form: &mut String) {
    for (at, address) in line.upstream_addrs.iter().enumerate() {
        let _ = write!(form, "{}{address}", if at == 0 { " up=" } else { "," });
    }
    for (at, status) in line.upstream_statuses.iter().enumerate() {
        form.push_str(if at == 0 { " ups=" } else { "," });
        match status {
            Some(status) => {
                let _ = write!(form, "{status:03}");
            }
            None => form.push('-'),
        }
    }
    // nginx writes its own 502 and 504 into $upstream_status too; only an answer has a time at which its header was there.
    let last = line.upstream_header_times.last();
    let passed_on = line.status.is_some() && line.upstream_statuses.last() == Some(&line.status);
    let answered = last.filter(|_| passed_on).map(Option::is_some);
    let given_up =
        passed_on && line.status == Some(504) && line.upstream_response_times.last().copied().flatten().is_some_and(waited_out);
    form.push_str(by(line.status, answered.or_else(|| given_up.then_some(false))));
}

/// Whether so many seconds are those of a time-out, which people write in whole ones: 60.002.
fn waited_out(seconds: f64) -> bool {
    /// What nginx needs to give up and to log, at most, in seconds.
    const LATE_S: f64 = 0.05;
    seconds >= 1.0 && seconds.fract() <= LATE_S
}

/// The methods of RFC 9110, PATCH and WebDAV: an invented one must not make a group of its own.
fn known_method(method: &str) -> bool {
    const METHODS: [&str; 16] = [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "DELETE",
        "OPTIONS",
        "PATCH",
        "CONNECT",
        "TRACE",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
    ];
    METHODS.contains(&method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AccessFormat;

    #[test]
    fn status_and_last_upstream_are_read_back() {
        let entry = read_access_key("502 GET up=127.0.0.1:8000,unix:/run/b.sock ups=502,502");
        assert_eq!((entry.dialect, entry.status), (Dialect::NginxAccess, Some(502)));
        assert_eq!(entry.upstream.as_deref(), Some("unix:/run/b.sock"));
        let entry = read_access_key("? not of the log format");
        assert_eq!((entry.status, entry.upstream), (None, None));
        let mut ours = "502 GET up=127.0.0.1:8000".to_owned();
        mark_ours(&mut ours);
        let entry = request_of_key(&ours).expect("a request");
        assert_eq!((entry.status, entry.upstream.as_deref()), (Some(502), Some("127.0.0.1:8000")));
        assert!(ours_of_key(&ours) && !ours_of_key("502 GET up=127.0.0.1:8000"));
        let entry = request_of_key("503 POST envoy flags=UF up=10.0.0.5:80").expect("a request");
        assert_eq!((entry.dialect, entry.status, entry.upstream.as_deref()), (Dialect::Envoy, Some(503), Some("10.0.0.5:80")));
        for other in ["[error] 502 GET", "? not of the log format", "", "5021 GET", "#:#:# x", "502"] {
            assert_eq!(request_of_key(other), None, "{other:?}");
        }
    }

    #[test]
    fn it_is_told_who_made_the_answer() {
        let format = AccessFormat::compile("$status $request_method us=$upstream_status uht=$upstream_header_time");
        let form = |line: &str| {
            let mut form = String::new();
            access_form(&format.parse(line).expect("a line"), &mut form);
            form
        };
        assert_eq!(form("502 GET us=502 uht=-"), "502 GET ups=502 by=gateway");
        assert_eq!(form("502 GET us=502, 502 uht=-, 0.003"), "502 GET ups=502,502 by=upstream");
        assert_eq!(form("502 GET us=502, 502 uht=0.003, -"), "502 GET ups=502,502 by=gateway");
        assert_eq!(form("200 GET us=200 uht=0.003"), "200 GET ups=200");
        // An error page of the gateway's own replaced the upstream's answer.
        assert_eq!(form("503 GET us=500 uht=0.003"), "503 GET ups=500");
        assert_eq!(form("500 GET us=- uht=-"), "500 GET");
    }

    #[test]
    fn a_504_after_whole_seconds_is_the_gateways() {
        let format = AccessFormat::compile("$status $request_method us=$upstream_status urt=$upstream_response_time");
        let form = |line: &str| {
            let mut form = String::new();
            access_form(&format.parse(line).expect("a line"), &mut form);
            form
        };
        assert_eq!(form("504 GET us=504 urt=60.002"), "504 GET ups=504 by=gateway");
        assert_eq!(form("504 GET us=502, 504 urt=0.001, 5.000"), "504 GET ups=502,504 by=gateway");
        // The next hop's, as far as this tells; and a refusal at once.
        assert_eq!(form("504 GET us=504 urt=60.341"), "504 GET ups=504");
        assert_eq!(form("502 GET us=502 urt=0.000"), "502 GET ups=502");
    }
}
