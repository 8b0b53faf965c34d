//! The statements of a VCL with what they stand in (vcl(7), "Syntax"), and what Varnish answers by them itself: `return (synth(503))`,
//! before a backend is asked or in the place of its answer.

use std::path::Path;

use super::read::set;
use crate::model::{ANSWERS, PathMatch, Place, Protocol, Route, TURNS};

/// Blocks within blocks that are followed.
const DEPTH: usize = 32;
/// Statements of one file at most.
const STATEMENTS: usize = 50_000;
/// The subroutines that an answer of a backend comes to; what stands before a backend is asked goes by the others (vcl-step(7)).
const BEHIND: &[&str] = &["vcl_backend_response", "vcl_deliver"];
/// Those that no request of a client comes to, or that only an answer of Varnish's own does.
const ELSEWHERE: &[&str] = &["vcl_init", "vcl_fini", "vcl_synth", "vcl_backend_error", "vcl_error"];

/// A statement, without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// As written, with single blanks.
    pub text: String,
    /// The line on which it begins.
    pub line: u32,
    /// What it stands in, the outermost first: `sub vcl_recv`, `if (req.url ~ "^/x")`.
    pub within: Vec<String>,
}

/// All statements of a text. Comments and long strings (`{"..."}`) are passed over.
pub fn statements(text: &str) -> Vec<Statement> {
    let (mut out, mut within, mut now, mut line, mut begin) = (Vec::new(), Vec::new(), String::new(), 1_u32, 1_u32);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if out.len() >= STATEMENTS {
            break;
        }
        let take = if rest.starts_with('#') || rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |at| at + 2)
        } else if rest.starts_with("{\"") {
            now.push(' ');
            rest.find("\"}").map_or(rest.len(), |at| at + 2)
        } else if c == '"' {
            let end = rest[1..].find(['"', '\n']).map_or(rest.len(), |at| at + 2);
            now.push_str(rest[..end].trim_end());
            end
        } else {
            match c {
                '{' => {
                    if within.len() < DEPTH {
                        within.push(plain(&now));
                    }
                    now.clear();
                }
                '}' => {
                    within.pop();
                    now.clear();
                }
                ';' => {
                    out.push(Statement { text: plain(&now), line: begin, within: within.clone() });
                    now.clear();
                }
                c => {
                    if now.trim().is_empty() {
                        begin = line;
                    }
                    now.push(c);
                }
            }
            c.len_utf8()
        };
        line += u32::try_from(rest[..take].matches('\n').count()).unwrap_or(0);
        rest = &rest[take..];
    }
    out
}

fn plain(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How Varnish checks a backend (vcl-probe(7)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The request, in the words of [`HEALTH_CHECK`](crate::model::HEALTH_CHECK): `GET /healthz`.
    pub request: String,
    /// The Host that is written into the request.
    pub host: Option<String>,
    /// The status that a server passes by, and no other (vcl-probe(7), `.expected_response`).
    pub expects: String,
}

/// The probe of a backend: one of its own, or a `probe` that it names. `None`: it has none.
pub fn probe(statements: &[Statement], backend: &str) -> Option<Probe> {
    let own = |one: &&Statement| one.within.first().and_then(|outer| outer.strip_prefix("backend ")) == Some(backend);
    let named = statements.iter().filter(own).find_map(|one| assigned(&one.text, ".probe"));
    let outer = named.map(|name| format!("probe {name}"));
    let lines = statements.iter().filter(|one| match (&outer, one.within.as_slice()) {
        (Some(outer), [within]) => within == outer,
        (None, [_, within]) => own(one) && within.starts_with(".probe"),
        _ => false,
    });
    let lines: Vec<&str> = lines.map(|one| one.text.as_str()).collect();
    let value = |name: &str| lines.iter().find_map(|text| assigned(text, name));
    if lines.is_empty() {
        return None;
    }
    let expects = value(".expected_response").unwrap_or("200").to_owned();
    let Some(request) = value(".request") else {
        let request = format!("GET {}", value(".url").map_or("/", |url| url.trim_matches('"')));
        return Some(Probe { request, host: None, expects });
    };
    // `"GET / HTTP/1.1" "Host: shop.test"`.
    let mut parts = request.split('"').skip(1).step_by(2);
    let line = parts.next().unwrap_or_default();
    let host = parts.find_map(|part| part.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("host")));
    let request = line.rsplit_once(' ').map_or(line, |(request, _)| request).to_owned();
    Some(Probe { request, host: host.map(|(_, host)| host.trim().to_owned()), expects })
}

/// The value of `.name = value`.
fn assigned<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    Some(text.strip_prefix(name)?.trim_start().strip_prefix('=')?.trim())
}

/// The routes of requests that Varnish fails by itself, of one file: those that it always does, and those under a condition.
pub fn answers(statements: &[Statement], file: &Path) -> (Vec<Route>, Vec<Route>) {
    let (mut always, mut sometimes) = (Vec::new(), Vec::new());
    for (index, one) in statements.iter().enumerate().filter(|(_, one)| fails(&one.text)) {
        let Some((outer, inner)) = one.within.split_first() else { continue };
        let Some(name) = outer.strip_prefix("sub ").filter(|name| !ELSEWHERE.contains(name)) else { continue };
        let earlier = || statements[..index].iter().any(|other| other.within.first() == Some(outer) && leaves(&other.text));
        let place = Place { file: file.to_owned().into(), line: one.line };
        let all = name == "vcl_recv" && inner.is_empty() && !earlier();
        let takes = if all { PathMatch::Any } else { PathMatch::Condition(one.within.join(" ")) };
        let pattern = if all { "*".to_owned() } else { inner.join(" ") };
        let sample_path = "/".to_owned();
        let mut route = Route { pattern, sample_path, takes: Some(takes), ..Route::new(Protocol::Http, place.clone()) };
        set(&mut route, if BEHIND.contains(&name) { TURNS } else { ANSWERS }, &one.text, &place);
        if all { always.push(route) } else { sometimes.push(route) }
    }
    (always, sometimes)
}

/// Whether a statement ends a subroutine: `return (pass)`, `error 404` of Varnish 3.
fn leaves(text: &str) -> bool {
    text.starts_with("return") || text.starts_with("error ")
}

/// `return (synth(503, "Maintenance"))`, `return (error(503))` in a backend's subroutine, `error 503 "Maintenance"` of Varnish 3.
fn fails(text: &str) -> bool {
    let dense: String = text.chars().filter(|c| !c.is_whitespace()).take(32).collect();
    let made = ["return(synth(", "return(error(", "error"].iter().find_map(|begin| dense.strip_prefix(begin));
    made.is_some_and(|rest| {
        let status = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
        status.len() == 3 && status.starts_with('5')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const VCL: &str = "vcl 4.1; // return (synth(500));\nbackend a { .host = \"h#1\"; .probe = { .url = \"/x\"; } }\nacl office { \"10.20.0.0\"/16; }\n\
        sub vcl_recv {\n  if (client.ip !~ office) { return (synth(503, \"Main; {tenance\")); }\n  /* }\n  */ return\n    (pass);\n}\n\
        sub vcl_deliver { if (resp.http.x) { return(synth( 502 )); } }\nsub vcl_backend_fetch { return (error(503)); }\n\
        sub vcl_synth { synthetic({\"<a href=\"http://x\">}; return (synth(503));\"}); return (deliver); }\n";

    #[test]
    fn a_statement_has_its_line_and_what_it_stands_in() {
        let told: Vec<_> =
            statements(VCL).iter().map(|one| format!("{} {}: {}", one.line, one.within.join(" / "), one.text)).collect();
        assert_eq!(
            told,
            [
                "1 : vcl 4.1",
                "2 backend a: .host = \"h#1\"",
                "2 backend a / .probe =: .url = \"/x\"",
                "3 acl office: \"10.20.0.0\"/16",
                "5 sub vcl_recv / if (client.ip !~ office): return (synth(503, \"Main; {tenance\"))",
                "7 sub vcl_recv: return (pass)",
                "10 sub vcl_deliver / if (resp.http.x): return(synth( 502 ))",
                "11 sub vcl_backend_fetch: return (error(503))",
                "12 sub vcl_synth: synthetic( )",
                "12 sub vcl_synth: return (deliver)",
            ]
        );
    }

    #[test]
    fn a_probe_is_told_by_its_request() {
        let of = |text: &str| probe(&statements(text), "a").map(|probe| (probe.request, probe.host.unwrap_or_default()));
        let told = |request: &str, host: &str| Some((request.to_owned(), host.to_owned()));
        assert_eq!(of(VCL), told("GET /x", ""));
        assert_eq!(of("probe p { .interval = 1s; }\nbackend a { .host = \"h\"; .probe = p; }"), told("GET /", ""));
        let whole =
            "backend a {\n .probe = {\n .request = \"HEAD /up HTTP/1.1\"\n \"Host: shop.test\" \"Connection: close\";\n }\n}";
        assert_eq!(of(whole), told("HEAD /up", "shop.test"));
        assert_eq!(of("probe p { .url = \"/\"; } backend a { .host = \"h\"; } backend b { .probe = p; }"), None);
    }

    #[test]
    fn what_varnish_fails_by_itself_has_its_line() {
        let of = |text: &str| {
            let (always, sometimes) = answers(&statements(text), Path::new("/v.vcl"));
            let said = |route: &Route| {
                let (key, said) = [ANSWERS, TURNS].iter().find_map(|key| Some((*key, route.settings.get(key)?)))?;
                Some(format!("{} {key} {}", said.at.as_ref()?.line, said.value))
            };
            let said = |routes: &[Route]| routes.iter().filter_map(said).collect::<Vec<_>>();
            (said(&always), said(&sometimes))
        };
        let conditional = [
            "5 answers return (synth(503, \"Main; {tenance\"))",
            "10 turns return(synth( 502 ))",
            "11 answers return (error(503))",
        ];
        assert_eq!(of(VCL), (vec![], conditional.map(str::to_owned).into()));
        let closed = "sub vcl_recv {\n set req.http.x = \"y\";\n return (synth(503));\n}";
        assert_eq!(of(closed), (vec!["3 answers return (synth(503))".to_owned()], vec![]));
        let old =
            "sub vcl_recv {\n if (req.http.x) { return (lookup); }\n error 503 \"Maintenance\";\n}\nsub vcl_error { error 500; }";
        assert_eq!(of(old), (vec![], vec!["3 answers error 503 \"Maintenance\"".to_owned()]));
        assert_eq!(of("sub vcl_recv { return (synth(405)); error 200; } return (synth(503));"), (vec![], vec![]));
    }
}
