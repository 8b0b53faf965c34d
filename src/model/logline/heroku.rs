//! Heroku: its router, and what the platform says of a dyno (devcenter.heroku.com, "HTTP routing", "Heroku error codes", "Dyno
//! lifecycle").
//!
//! - `heroku[router]: at=error code=H10 desc="App crashed" method=GET path="/" dyno= status=503 ...`: a request, in the form of
//!   [`super::access_key`]: `503 GET heroku code=H10`, with `up=web.1` where it went to a dyno. With `at=info` the dyno answered.
//! - `heroku[web.1]: Error R15 (Memory quota vastly exceeded)`: the words as they stand there; the dyno is the upstream.

use super::{
    Carried, Dialect, Entry,
    access_key::{by, request_form},
    logfmt,
};

/// Reads a line of Heroku's own, not of an application there (`app[web.1]: ...`).
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let program = carried.program.unwrap_or_default();
    // In a drain by RFC 5424 the process is a field of its own.
    let dyno = program.strip_prefix("heroku[").and_then(|rest| rest.strip_suffix(']'));
    // A collector of logs writes `heroku/web.1:`, and two blanks behind it.
    let dyno = dyno.or_else(|| program.strip_prefix("heroku/"));
    let own = dyno.is_some() || program == "heroku";
    let text = carried.text.trim();
    if text.starts_with("at=") || dyno == Some("router") {
        return router(text, own).or_else(|| old_router(text));
    }
    if own {
        return Some(said(text, dyno));
    }
    // `[web.1]: Error R14 ...` whose beginning was not pasted.
    (carried.program.is_none() && is_error(text)).then(|| said(text, None))
}

/// `Error R14 (Memory quota exceeded)`.
fn is_error(text: &str) -> bool {
    let code = text.strip_prefix("Error R").and_then(|rest| rest.split_once(" ("));
    code.is_some_and(|(number, rest)| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()) && rest.contains(')'))
}

fn said<'a>(text: &'a str, dyno: Option<&'a str>) -> Entry<'a> {
    Entry { dialect: Dialect::Container, message: text.into(), upstream: dyno.map(Into::into), ..Entry::default() }
}

/// `Error H12 (Request timeout) -> POST shop.herokuapp.com/cart dyno=web.1 queue= wait= service=30000ms status=503 bytes=0`, as the
/// router wrote until 2012.
fn old_router(text: &str) -> Option<Entry<'_>> {
    let (error, rest) = text.strip_prefix("Error ")?.split_once(" -> ")?;
    let code = error.split(' ').next().filter(|code| code.len() == 3 && code.starts_with('H'))?;
    let (method, rest) = rest.split_once(' ')?;
    let member = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name)).filter(|value| !value.is_empty());
    let status: Option<u16> = member("status=").and_then(|status| status.parse().ok());
    let dyno = member("dyno=");
    let mut form = request_form(status, Some(method));
    form.push_str(" heroku");
    for (name, value) in [(" up=", dyno), (" code=", Some(code))] {
        if let Some(value) = value {
            form.push_str(name);
            form.push_str(value);
        }
    }
    Some(Entry { dialect: Dialect::Cloud, status, message: form.into(), upstream: dyno.map(Into::into), ..Entry::default() })
}

/// `own`: the carrier names Heroku; else the members must.
fn router(text: &str, own: bool) -> Option<Entry<'_>> {
    let value = |name: &str| {
        logfmt::pairs(text).find(|(known, _)| *known == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    };
    let at = value("at")?;
    let code = value("code").filter(|code| {
        code.strip_prefix('H').is_some_and(|number| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
    });
    let known = own || code.is_some() && value("desc").is_some() || value("dyno").is_some() && value("service").is_some();
    if !known || !matches!(at, "info" | "warning" | "error") {
        return None;
    }
    let status: Option<u16> = value("status").and_then(|status| status.parse().ok()).filter(|status| (100..600).contains(status));
    if code.is_none() && status.is_none() {
        return None;
    }
    let (method, dyno) = (value("method"), value("dyno"));
    let mut form = request_form(status, method);
    form.push_str(" heroku");
    if let Some(dyno) = dyno {
        form.push_str(" up=");
        form.push_str(dyno);
    }
    match code {
        Some(code) => {
            form.push_str(" code=");
            form.push_str(code);
        }
        None => form.push_str(by(status, dyno.map(|_| true))),
    }
    let path = value("path").unwrap_or_default();
    Some(Entry {
        dialect: Dialect::Cloud,
        status,
        message: form.into(),
        upstream: dyno.map(Into::into),
        server: value("host").map(Into::into),
        client: value("fwd").map(Into::into),
        request: method.map(|method| format!("{method} {path}").into()),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::model::logline::{self, Dialect};

    const H12: &str = r#"2026-11-20T23:36:34.164131+00:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/cart" host=shop.herokuapp.com request_id=ff3f3090 fwd="203.0.113.9" dyno=web.1 connect=1ms service=30001ms status=503 bytes=0 protocol=https"#;

    #[test]
    fn the_router_tells_its_requests() {
        let form = |line: &str| {
            let entry = logline::read(line);
            (entry.dialect, entry.message.into_owned(), entry.status, entry.upstream.map(std::borrow::Cow::into_owned))
        };
        let told = |message: &str, status, upstream: Option<&str>| {
            (Dialect::Cloud, message.to_owned(), Some(status), upstream.map(str::to_owned))
        };
        assert_eq!(form(H12), told("503 GET heroku up=web.1 code=H12", 503, Some("web.1")));
        let crashed = H12
            .replace("code=H12 desc=\"Request timeout\"", "code=H10 desc=\"App crashed\"")
            .replace("dyno=web.1 connect=1ms service=30001ms", "dyno= connect= service=");
        assert_eq!(form(&crashed), told("503 GET heroku code=H10", 503, None));
        let old = "2012-02-20T02:10:47+00:00 heroku[router]: Error H12 (Request timeout) -> POST shop.herokuapp.com/cart dyno=web.1 queue= wait= service=30000ms status=503 bytes=0";
        assert_eq!(form(old), told("503 POST heroku up=web.1 code=H12", 503, Some("web.1")));
        let collected = crashed.replace("2026-11-20T23:36:34.164131+00:00 heroku[router]:", "Nov 20 23:36:34 shop heroku/router: ");
        assert_eq!(form(&collected), told("503 GET heroku code=H10", 503, None));
        // The head was not pasted.
        assert_eq!(form(&crashed[crashed.find("at=").expect("it")..]), told("503 GET heroku code=H10", 503, None));
        let drain = crashed.replace(" heroku[router]: ", " host heroku router - ").replacen("2026", "<158>1 2026", 1);
        assert_eq!(form(&drain), told("503 GET heroku code=H10", 503, None));
        let passed = H12.replace("at=error code=H12 desc=\"Request timeout\"", "at=info").replace("status=503", "status=502");
        assert_eq!(form(&passed), told("502 GET heroku up=web.1 by=upstream", 502, Some("web.1")));
        assert_eq!(form(&passed.replace("status=502", "status=200")), told("200 GET heroku up=web.1", 200, Some("web.1")));
    }

    #[test]
    fn the_platform_speaks_of_a_dyno() {
        let entry = logline::read("2026-11-20T23:36:34.192749+00:00 heroku[web.1]: Error R15 (Memory quota vastly exceeded)");
        assert_eq!(
            (entry.dialect, &*entry.message, entry.upstream.as_deref()),
            (Dialect::Container, "Error R15 (Memory quota vastly exceeded)", Some("web.1"))
        );
        let app = logline::read("2026-11-20T23:36:34.192749+00:00 app[web.1]: Error R15 (Memory quota vastly exceeded)");
        assert_eq!(app.program, Some("app[web.1]"));
        for other in
            ["at=error", "at=info status=500", "at=error code=E12 desc=\"x\" status=500", "Error R1 (x)", "Error R15 of mine"]
        {
            assert_eq!(logline::read(other).dialect, Dialect::Plain, "{other}");
        }
        assert_ne!(app.dialect, Dialect::Container);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..300, noise in "\\PC{0,30}") {
            let text: String = H12.chars().take(cut).chain(noise.chars()).collect();
            let _ = logline::read(&text);
        }
    }
}
