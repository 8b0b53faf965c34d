//! The same lines in raw bytes, cut only as far as their group needs it: what a flood is read with.

use super::{ATTEMPTS, AccessFormat, AccessTime, Field, Part};

/// What a field between two literals is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Status,
    Request,
    Method,
    UpstreamAddr,
    UpstreamStatus,
    UpstreamHeaderTime,
    Other,
}

/// A compiled format that is simple enough to be cut in raw bytes: no value is told twice, and where two variables stand in a
/// row, neither is of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessCutter {
    /// What stands before the first variable.
    head: Vec<u8>,
    /// Each variable with the literal that ends it; that of the last may be empty.
    steps: Vec<(Role, Vec<u8>)>,
    /// How the time stamp is written.
    time: Option<Field>,
}

/// The raw values that make the group of a request, each as the line has it; empty where the format has none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessCut<'a> {
    /// The time stamp.
    pub time: &'a [u8],
    /// The status.
    pub status: &'a [u8],
    /// The method, or the word in its place; empty where the request has no such word.
    pub method: &'a [u8],
    /// Addresses of the attempts.
    pub upstream_addrs: &'a [u8],
    /// Statuses of the attempts.
    pub upstream_statuses: &'a [u8],
    /// Whether the last attempt gave an answer. `None`: the format does not tell.
    pub answered: Option<bool>,
}

impl AccessFormat {
    /// The format in raw bytes; `None`: it is not simple enough, and [`Self::parse`] reads it.
    pub fn cutter(&self) -> Option<AccessCutter> {
        let mut cutter = AccessCutter { head: Vec::new(), steps: Vec::new(), time: None };
        // Whether the variable before this part has no end yet.
        let mut open = false;
        for part in &self.parts {
            match part {
                Part::Literal(text) => {
                    match cutter.steps.last_mut() {
                        Some((_, end)) if open => end.extend_from_slice(text.as_bytes()),
                        Some(_) => return None,
                        None => cutter.head.extend_from_slice(text.as_bytes()),
                    }
                    open = false;
                }
                Part::Field(field) => {
                    let role = cutter.role(*field);
                    if open {
                        // Where the first ends and the second begins is of no use when nothing of them is.
                        let before = cutter.steps.last().map(|(role, _)| *role);
                        if (role, before) != (Role::Other, Some(Role::Other)) {
                            return None;
                        }
                    } else {
                        let twice = role != Role::Other && cutter.steps.iter().any(|(known, _)| known.same_value(role));
                        if twice {
                            return None;
                        }
                        cutter.steps.push((role, Vec::new()));
                    }
                    open = true;
                }
            }
        }
        // Three in a row would be cut elsewhere by `parse`.
        let rows = self.parts.windows(3).any(|row| row.iter().all(|part| matches!(part, Part::Field(_))));
        (!rows).then_some(cutter)
    }
}

impl Role {
    fn same_value(self, other: Self) -> bool {
        let method = |role| matches!(role, Self::Request | Self::Method);
        self == other || (method(self) && method(other))
    }
}

impl AccessCutter {
    /// What a variable is good for, after those before it: the first time stamp counts.
    fn role(&mut self, field: Field) -> Role {
        match field {
            Field::TimeLocal | Field::TimeIso | Field::Msec if self.time.is_none() => {
                self.time = Some(field);
                Role::Time
            }
            Field::Status => Role::Status,
            Field::Request => Role::Request,
            Field::Method => Role::Method,
            Field::UpstreamAddr => Role::UpstreamAddr,
            Field::UpstreamStatus => Role::UpstreamStatus,
            Field::UpstreamHeaderTime => Role::UpstreamHeaderTime,
            Field::TimeLocal
            | Field::TimeIso
            | Field::Msec
            | Field::Uri
            | Field::Host
            | Field::RemoteAddr
            | Field::RequestTime
            | Field::UpstreamConnectTime
            | Field::UpstreamResponseTime
            | Field::Other => Role::Other,
        }
    }

    /// Cuts a line. `None`: it is not of this format, or one that needs a closer look.
    pub fn cut<'a>(&self, line: &'a [u8]) -> Option<AccessCut<'a>> {
        let mut cut = AccessCut::default();
        let mut rest = line.strip_prefix(self.head.as_slice())?;
        for (role, literal) in &self.steps {
            let end = end_of(rest, literal)?;
            let (value, after) = rest.split_at_checked(end)?;
            match role {
                Role::Time => cut.time = value,
                Role::Status => cut.status = value,
                Role::Request => cut.method = method(value)?,
                Role::Method => cut.method = value,
                Role::UpstreamAddr => cut.upstream_addrs = value,
                Role::UpstreamStatus => cut.upstream_statuses = value,
                Role::UpstreamHeaderTime => cut.answered = Some(answered(value)?),
                Role::Other => {}
            }
            rest = after.get(literal.len()..)?;
        }
        Some(cut)
    }

    /// The time stamp in a form that says how it is read.
    pub fn time<'a>(&self, text: &'a str) -> Option<AccessTime<'a>> {
        match self.time? {
            Field::TimeLocal => Some(AccessTime::Local(text)),
            Field::TimeIso => Some(AccessTime::Iso(text)),
            Field::Msec => Some(AccessTime::Msec(text)),
            Field::Status
            | Field::Request
            | Field::Method
            | Field::Uri
            | Field::Host
            | Field::RemoteAddr
            | Field::RequestTime
            | Field::UpstreamAddr
            | Field::UpstreamStatus
            | Field::UpstreamConnectTime
            | Field::UpstreamHeaderTime
            | Field::UpstreamResponseTime
            | Field::Other => None,
        }
    }
}

/// `find_end` in bytes.
fn end_of(text: &[u8], literal: &[u8]) -> Option<usize> {
    let Some(first) = literal.first() else { return Some(text.len()) };
    let mut from = 0;
    loop {
        let at = from + memchr::memchr(*first, text.get(from..)?)?;
        if text.get(at..)?.starts_with(literal) {
            let slashes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
            if *first != b'"' || slashes % 2 == 0 {
                return Some(at);
            }
        }
        from = at + 1;
    }
}

/// Whether the last of these times is one. `None`: it is neither a time nor `-`, or there may be more attempts than are told.
fn answered(times: &[u8]) -> Option<bool> {
    if times.iter().filter(|byte| matches!(byte, b',' | b':')).count() >= ATTEMPTS {
        return None;
    }
    let last = times.rsplit(|byte| *byte == b' ').next()?;
    let (whole, fraction) = match last {
        b"-" => return Some(false),
        _ => last.split_at(last.iter().position(|byte| *byte == b'.')?),
    };
    // `%T.%03M`.
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    (digits(whole) && digits(fraction.get(1..)?)).then_some(true)
}

/// What stands in the place of the method in a request; empty where that is too long for one. `None`: there is no target, so it
/// is no request line, whatever the method.
fn method(request: &[u8]) -> Option<&[u8]> {
    // As in `request_line`.
    const METHOD_BYTES: usize = 16;
    let head = request.get(..=METHOD_BYTES).unwrap_or(request);
    let Some(end) = head.iter().position(|byte| *byte == b' ') else { return Some(&[]) };
    let target = &request[end + 1..];
    (!target.is_empty() && !target.starts_with(b" HTTP/")).then_some(&request[..end])
}
