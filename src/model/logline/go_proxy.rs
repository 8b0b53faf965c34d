//! What net/http and net/http/httputil say by Go's log package, in whatever program: `2026/11/20 23:36:34 http: proxy error:
//! dial tcp 127.0.0.1:9099: connect: connection refused` (ReverseProxy.defaultErrorHandler), `http: Accept error: ...`
//! (Server.Serve). The first becomes the form of [`super::go_error`].

use super::{
    Carried, Dialect, Entry, TimeShape,
    go_error::{self, Failed},
    trace::first_line,
};

/// Reads a line of Go's standard library.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    let (time, text) = match TimeShape::Slashed.leading(carried.text) {
        Some((time, rest)) => (Some(time), rest.strip_prefix(' ')?),
        None => (None, carried.text),
    };
    let entry = Entry { dialect: Dialect::Go, time, ..Entry::default() };
    if let Some(error) = text.strip_prefix("http: proxy error: ") {
        let (message, upstream) = go_error::message(Failed::Request, error, None);
        return Some(Entry { message: message.into(), upstream, ..entry });
    }
    let known = ["http: Accept error: ", "http: response.WriteHeader on hijacked", "http: panic serving "];
    known.iter().any(|known| text.starts_with(known)).then(|| Entry { message: first_line(text).into(), ..entry })
}

#[cfg(test)]
mod tests {
    use crate::model::logline::{self, Dialect};

    #[test]
    fn an_error_of_a_reverse_proxy() {
        for line in [
            "2026/11/20 23:36:34 http: proxy error: dial tcp 127.0.0.1:9099: connect: connection refused",
            "Nov 20 23:36:34 gw1 edge[7]: http: proxy error: dial tcp 127.0.0.1:9099: connect: connection refused",
        ] {
            let entry = logline::read(line);
            assert_eq!((entry.dialect, entry.upstream.as_deref()), (Dialect::Go, Some("127.0.0.1:9099")), "{line}");
            assert_eq!(entry.message, "request failed: dial tcp 127.0.0.1:9099: connect: connection refused");
        }
    }
}
