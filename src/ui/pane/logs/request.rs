//! Which request a line is about, and which other lines are about the same one.

use super::lens::Told;
use crate::model::{AccessFormat, LogFormat, logline, request_line};

/// Seconds by which lines about one request may be apart: gateway and application write at its end, each by its own clock.
pub const NEAR_S: i64 = 2;
/// Characters that a request's id has at least: 16 are those of a trace's span, 32 nginx's `$request_id`, 36 a UUID's.
const ID_CHARS: usize = 16;

/// What a line tells of its request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Address of the client.
    pub client: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// Target with query.
    pub target: Option<String>,
}

impl Request {
    /// Of a line.
    pub fn of(told: &Told<'_>) -> Self {
        let text = &*told.line.text;
        if let Some(LogFormat::NginxAccess(format)) = told.group.map(|group| &group.format) {
            let format = AccessFormat::compile(format);
            let Some(line) = format.parse(text) else { return Self::default() };
            let own = |text: Option<&str>| text.map(str::to_owned);
            return Self { client: own(line.client), method: own(line.method), target: own(line.target) };
        }
        let entry = logline::read(text);
        let request = entry.request.as_deref().and_then(request_line);
        Self {
            client: entry.client.map(Into::into),
            method: request.map(|(method, _)| method.to_owned()),
            target: request.map(|(_, target)| target.to_owned()),
        }
    }

    /// `GET /cart`, without the query, which may hold what is nobody's business.
    pub fn words(&self) -> Option<String> {
        let target = self.target.as_deref()?;
        let path = target.split(['?', '#']).next().unwrap_or(target);
        Some(format!("{} {path}", self.method.as_deref().unwrap_or("-")))
    }

    /// Whether another line's request can be this one.
    fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
        self.target.is_some()
            && self.target == other.target
            && same(&self.method, &other.method)
            && same(&self.client, &other.client)
    }
}

/// Words of a line that may be the id of its request: long, of hexadecimal digits.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let hex = |word: &&str| {
        word.len() >= ID_CHARS
            && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
            && word.bytes().any(|b| b.is_ascii_digit())
            && word.bytes().filter(u8::is_ascii_hexdigit).count() >= ID_CHARS
    };
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(hex)
}

/// The other lines about the request of a line.
#[derive(Debug, Default)]
pub struct Same<'a> {
    /// Those that have its id, in the order of time.
    pub by_id: Vec<Told<'a>>,
    /// Those of other logs that tell of a request by the same client for the same within [`NEAR_S`]: it, or another like it.
    pub alike: Vec<Told<'a>>,
}

/// Finds them.
pub fn same_request<'a>(told: &Told<'_>, all: &[Told<'a>]) -> Same<'a> {
    let request = Request::of(told);
    let wanted: Vec<&str> = ids(&told.line.text).collect();
    let near = |other: &Told<'_>| other.line.second.abs_diff(told.line.second) <= NEAR_S.unsigned_abs();
    let mut same = Same::default();
    for other in all.iter().filter(|other| other.line.number != told.line.number) {
        let mut theirs = ids(&other.line.text).peekable();
        let has_id = theirs.peek().is_some();
        if theirs.any(|id| wanted.contains(&id)) {
            same.by_id.push(*other);
        } else if (wanted.is_empty() || !has_id) && other.source != told.source && near(other) && request.is(&Request::of(other)) {
            // Another id tells that it is another request.
            same.alike.push(*other);
        }
    }
    same
}

/// The lines of other logs that stand next to a line in time.
pub fn neighbours<'a>(told: &Told<'_>, all: &[Told<'a>]) -> Vec<Told<'a>> {
    let near = |other: &&Told<'_>| other.line.second.abs_diff(told.line.second) <= NEAR_S.unsigned_abs();
    all.iter().filter(|other| other.source != told.source).filter(near).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::RecentLine;

    fn told<'a>(source: &'a str, line: &'a RecentLine) -> Told<'a> {
        Told { source, line, group: None }
    }

    fn line(number: u64, second: i64, text: &str) -> RecentLine {
        RecentLine { number, second, group: 1, text: text.into(), more: 0 }
    }

    #[test]
    fn one_request_is_found_in_other_logs() {
        let error = |second, client, path| {
            line(
                second,
                i64::try_from(second).expect("small"),
                &format!(
                    "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream, client: {client}, server: shop, request: \"GET {path} HTTP/1.1\", upstream: \"http://127.0.0.1:8000{path}\", host: \"shop\""
                ),
            )
        };
        let (mine, same, other_path, other_client, late) = (
            error(10, "203.0.113.9", "/cart"),
            error(11, "203.0.113.9", "/cart"),
            error(12, "203.0.113.9", "/pay"),
            error(9, "203.0.113.8", "/cart"),
            error(13, "203.0.113.9", "/cart"),
        );
        let all = [
            told("a", &mine),
            told("b", &same),
            told("b", &other_path),
            told("b", &other_client),
            told("b", &late),
            told("a", &same),
        ];
        let found: Vec<(&str, u64)> =
            same_request(&all[0], &all).alike.iter().map(|told| (told.source, told.line.number)).collect();
        assert_eq!(found, [("b", 11)]);
        assert_eq!(Request::of(&all[0]).words().as_deref(), Some("GET /cart"));
    }

    #[test]
    fn an_id_joins_lines_at_any_distance() {
        const ID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";
        let lines = [
            line(1, 0, &format!("started rid={ID} path=/")),
            line(2, 500, &format!("{{\"request_id\":\"{ID}\",\"error\":\"pool timeout\"}}")),
            line(3, 1, "no id: deadbeef abcdefabcdefabcdef ----------------"),
        ];
        let all: Vec<Told<'_>> = lines.iter().map(|line| told("app.log", line)).collect();
        assert_eq!(same_request(&all[0], &all).by_id.iter().map(|told| told.line.number).collect::<Vec<_>>(), [2]);
        assert!(same_request(&all[2], &all).by_id.is_empty());
    }
}
