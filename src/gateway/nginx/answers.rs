//! What nginx answers by itself, so that no upstream is asked: `return`, and what makes one status another (`error_page 404 =502`,
//! `try_files ... =502`).
//!
//! What must not be here: a guess. A condition that only a request can tell (`if ($cookie_x)`) makes a route that takes its
//! requests by that condition; one on a file that is there or not (`if (-f /srv/down)`) is looked up, as nginx does.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use compact_str::CompactString;

use super::{scope::Scope, target::Module, tree::Directive};
use crate::{
    gateway::switch::Switch,
    model::{ANSWERS, Place, Setting, Settings, TURNS},
    sys::Root,
};

/// Statuses from which on nginx looks for an `error_page` (ngx_http_core_module: 300 to 599).
const PAGES_FROM: u16 = 300;
/// The status of `return` with an address alone.
const FOUND: u16 = 302;
/// The first status of a gateway's or server's failure: one that a configuration makes of others is worth telling from here on.
const FAILURES_FROM: u16 = 500;

/// A line that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// As written; the status that comes of it is one of its words.
    pub words: String,
    /// Where it stands.
    pub at: Place,
    /// The file that switches it on.
    pub switch: Option<Switch>,
}

impl Answer {
    /// As a route has it.
    pub fn settings(self) -> Settings {
        let mut settings = Settings::default();
        if let Some(switch) = &self.switch {
            switch.note(&self.at, &mut settings);
        }
        settings.insert(ANSWERS, Setting { value: self.words.into(), at: Some(self.at) });
        settings
    }
}

/// The condition that asks for a file, and how that comes out.
type By<'a> = (&'a Directive, Switch);

/// Variables that a block sets by itself, as far as it was read: the value, and the condition with the file by which it was set.
#[derive(Debug, Default)]
struct Flags<'a>(BTreeMap<&'a str, (&'a str, Option<By<'a>>)>);

impl<'a> Flags<'a> {
    /// Takes in the `set`s of a block. `by`: the condition that it stands under, which holds.
    fn set(&mut self, block: &'a [Directive], by: Option<&By<'a>>) {
        for one in block.iter().filter(|one| one.name == "set") {
            self.take(one, by.cloned());
        }
    }

    fn take(&mut self, one: &'a Directive, by: Option<By<'a>>) {
        let (Some(name), Some(value)) = (one.arg(0).and_then(|name| name.strip_prefix('$')), one.arg(1)) else { return };
        if value.contains('$') {
            self.0.remove(name);
        } else {
            self.0.insert(name, (value, by));
        }
    }

    /// What a condition that may not hold sets is not known any more.
    fn forget(&mut self, block: &'a [Directive]) {
        for name in block.iter().filter(|one| one.name == "set").filter_map(|one| one.arg(0)?.strip_prefix('$')) {
            self.0.remove(name);
        }
    }

    /// Whether the condition of an `if` holds that asks for such a variable, and by which file that was set (ngx_http_rewrite_module:
    /// false is an empty value and `0`).
    fn holds(&self, condition: &Directive) -> Option<(bool, Option<By<'a>>)> {
        let (name, asked) = variable(condition)?;
        let (value, by) = self.0.get(name)?;
        let holds = match asked {
            None => !matches!(*value, "" | "0"),
            Some((true, wanted)) => *value == wanted,
            Some((false, wanted)) => *value != wanted,
        };
        Some((holds, by.clone()))
    }
}

/// The variable that a condition asks for, and whether it is to be, or not to be, a value: `($closed)`, `($closed = 1)`.
fn variable(condition: &Directive) -> Option<(&str, Option<(bool, &str)>)> {
    let words: Vec<&str> = words(condition).collect();
    match words.as_slice() {
        [name] => Some((name.strip_prefix('$')?, None)),
        [name, "=", value] => Some((name.strip_prefix('$')?, Some((true, value)))),
        [name, "!=", value] => Some((name.strip_prefix('$')?, Some((false, value)))),
        _ => None,
    }
}

/// `if (-f /srv/down) { return 503 }`
fn under(condition: &Directive, what: &str) -> String {
    format!("{} {} {{ {what} }}", condition.name, condition.args.join(" "))
}

/// An answer under a condition, with what made that hold: a file that it asks for, or another condition that set its variable.
fn conditional(condition: &Directive, answer: Answer, by: Option<By<'_>>) -> Answer {
    let words = under(condition, &answer.words);
    let Some((setter, switch)) = by else { return Answer { words, ..answer } };
    let set = setter.children().iter().find(|one| one.name == "set").map_or_else(String::new, |one| written(one, 0));
    let words = if std::ptr::eq(setter, condition) { words } else { format!("{} {words}", under(setter, &set)) };
    Answer { words, switch: Some(switch), ..answer }
}

/// What answers every request that gets into this block, before anything is passed on (the rewrite phase goes before the content's,
/// development guide, "Phases"). `holds`: whether the condition of an `if` does, where that can be told.
pub fn returned<'a>(
    block: &'a [Directive],
    scope: &Scope<'a>,
    holds: &mut dyn FnMut(&Directive) -> Option<Switch>,
) -> Option<Answer> {
    let mut flags = Flags::default();
    for one in block {
        match one.name.as_str() {
            "return" => return of_return(one, scope),
            // It may lead elsewhere, or end the phase.
            "rewrite" | "break" => return None,
            "set" => flags.take(one, None),
            "if" => {
                let by_file = holds(one).map(|switch| (switch.holds, Some((one, switch))));
                let (true, by) = by_file.or_else(|| flags.holds(one)).unwrap_or_else(|| {
                    flags.forget(one.children());
                    (false, None)
                }) else {
                    continue;
                };
                flags.set(one.children(), by.as_ref());
                let inner = scope.within(one.children());
                let answer = one.children().iter().find(|inside| inside.name == "return").and_then(|it| of_return(it, &inner));
                if let Some(answer) = answer {
                    return Some(conditional(one, answer, by));
                }
            }
            _ => {}
        }
    }
    None
}

/// What an `if` of this block answers whose condition only a request tells; a file may have a part in it.
pub fn sometimes<'a>(
    condition: &'a Directive,
    (block, scope): (&'a [Directive], &Scope<'a>),
    holds: &mut dyn FnMut(&Directive) -> Option<Switch>,
) -> Option<Answer> {
    let inner = scope.within(condition.children());
    let answer = returned(condition.children(), &inner, &mut |_| None)?;
    let sets = |one: &&Directive| {
        let name = variable(condition).map(|(name, _)| name);
        let mut set = one.children().iter().filter(|inside| inside.name == "set").filter_map(|inside| inside.arg(0));
        one.name == "if" && name.is_some() && set.any(|set| set.strip_prefix('$') == name)
    };
    let by = block.iter().filter(sets).find_map(|one| Some((one, holds(one).filter(|switch| switch.holds)?)));
    Some(conditional(condition, answer, by))
}

/// What a location without an upstream answers where what it serves is not there.
pub fn missed(scope: &Scope<'_>) -> Option<Answer> {
    let fallback = scope.own("try_files").last().and_then(|one| Some((one, one.args.last()?.strip_prefix('=')?)));
    if let Some((one, status)) = fallback.filter(|(_, status)| status.parse().is_ok_and(|code: u16| code >= FAILURES_FROM)) {
        return Some(Answer { words: format!("{} ={status} {status}", written(one, 1)), at: one.place(), switch: None });
    }
    turned(scope)
}

/// The status that `error_page` makes of an upstream's, where nginx looks at those at all (`proxy_intercept_errors`).
pub fn turns(scope: &Scope<'_>, module: Module) -> Option<(CompactString, Setting)> {
    let answer = turned(scope).filter(|_| scope.on(&module.key("intercept_errors")))?;
    Some((TURNS.into(), Setting { value: answer.words.into(), at: Some(answer.at) }))
}

/// An `error_page 404 =502 /x` that makes a failure of what is none.
fn turned(scope: &Scope<'_>) -> Option<Answer> {
    scope.nearest("error_page").iter().find_map(|one| {
        let made = one.args.iter().find_map(|arg| arg.strip_prefix('=')).and_then(|code| code.parse::<u16>().ok())?;
        (made >= FAILURES_FROM).then(|| Answer { words: written(one, 0), at: one.place(), switch: None })
    })
}

/// `return 502`, `return 503 "text"`, `return https://...`. A status without a text may become another by `error_page`.
fn of_return(one: &Directive, scope: &Scope<'_>) -> Option<Answer> {
    let first = one.arg(0)?;
    let Ok(status) = first.parse::<u16>() else {
        return Some(Answer { words: format!("return {FOUND} {first}"), at: one.place(), switch: None });
    };
    let plain = Answer { words: written(one, 0), at: one.place(), switch: None };
    if status < PAGES_FROM || one.args.len() > 1 {
        return Some(plain);
    }
    let pages = scope.nearest("error_page");
    let Some(page) = pages.iter().find(|page| page.args.iter().any(|arg| arg == first)) else { return Some(plain) };
    match page.args.iter().find_map(|arg| arg.strip_prefix('=')) {
        // What stands at the page's own address decides.
        Some("") => None,
        Some(_) => Some(Answer { words: format!("{}, {}", plain.words, written(page, 0)), ..plain }),
        // A page of another host is a redirect.
        None if page.args.last().is_some_and(|uri| uri.contains("://")) => None,
        None => Some(plain),
    }
}

/// A directive as written, but for its last parameters.
fn written(one: &Directive, without: usize) -> String {
    let kept = one.args.len().saturating_sub(without);
    std::iter::once(one.name.as_str()).chain(one.args.iter().take(kept).map(AsRef::as_ref)).collect::<Vec<_>>().join(" ")
}

/// The file that the condition of an `if` asks for: `(-f /srv/down)`, `(!-e $document_root/x)`. `None`: it asks for something else,
/// or for another file with each request. `expand`: a text without its variables.
pub fn tested(condition: &Directive, expand: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let (_, path) = test(condition)?;
    expand(path).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// How it comes out, of this file.
pub fn switch(condition: &Directive, root: &Root, path: &Path) -> Option<Switch> {
    Switch::of(test(condition)?.0, root, path)
}

/// The test and what it is about: `-f` and `/srv/down`.
fn test(condition: &Directive) -> Option<(&str, &str)> {
    let mut words = words(condition);
    let both = (words.next()?, words.next()?);
    (words.next().is_none() && both.0.trim_start_matches('!').starts_with('-')).then_some(both)
}

/// The words of a condition without its brackets.
fn words(condition: &Directive) -> impl Iterator<Item = &str> {
    condition.args.iter().map(|arg| arg.trim_matches(['(', ')'])).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::with, *};
    use crate::model::{ANSWERS_SINCE, ANSWERS_WHILE, ANSWERS_WITHOUT, PathMatch, Route};

    /// `path -> what answers it`, of the first site; `/srv/there` is a file.
    fn answers(server: &str) -> Vec<String> {
        let gateway = with(&format!("events {{}}\nhttp {{\nserver {{\n{server}\n}}\n}}"), &[("/srv/there", "")]);
        let said = |route: &Route| {
            let key = if route.settings.contains_key(TURNS) { TURNS } else { ANSWERS };
            let sometimes = if matches!(route.takes, Some(PathMatch::Condition(_))) { "? " } else { "" };
            let said = &route.settings.get(key)?;
            Some(format!("{sometimes}{} {}: {}", said.at.as_ref()?.line, route.pattern, said.value))
        };
        gateway.sites[0].routes.iter().filter_map(said).collect()
    }

    #[test]
    fn what_nginx_answers_by_itself_has_its_line() {
        for (server, expected) in [
            ("location / { proxy_pass http://127.0.0.1:1; }\nlocation /shop/ { return 502; }", vec!["5 /shop/: return 502"]),
            ("location / { proxy_pass http://127.0.0.1:1; return 503 \"later\"; }", vec!["4 /: return 503 later"]),
            ("return 503;\nlocation / { proxy_pass http://127.0.0.1:1; }", vec!["4 /: return 503"]),
            ("location / { return https://shop.test/; }", vec!["4 /: return 302 https://shop.test/"]),
            ("location / { rewrite ^ /x last; return 502; }", vec![]),
            // Another status is made of it, or another place decides.
            ("error_page 404 =502 /x; location / { return 404; }", vec!["4 /: return 404, error_page 404 =502 /x"]),
            ("error_page 418 = @app; location / { return 418; } location @app { proxy_pass http://127.0.0.1:1; }", vec![]),
            ("error_page 503 /sorry.html; location / { return 503; }", vec!["4 /: return 503"]),
            ("error_page 503 =200 /sorry.html; location / { return 503 \"x\"; }", vec!["4 /: return 503 x"]),
            // Files that are not there.
            ("location / { try_files $uri =502; }", vec!["4 /: try_files $uri =502 502"]),
            ("location / { try_files $uri =404; }", vec![]),
            ("error_page 404 =503 /x;\nlocation / { root /srv; }", vec!["4 /: error_page 404 =503 /x"]),
            // An upstream's answer, where nginx looks at it.
            (
                "error_page 404 =502 /x;\nlocation / { proxy_intercept_errors on; proxy_pass http://127.0.0.1:1; }",
                vec!["4 /: error_page 404 =502 /x"],
            ),
            ("error_page 404 =502 /x;\nlocation / { proxy_pass http://127.0.0.1:1; }", vec![]),
            // Conditions that files tell, and those that only a request does.
            (
                "if (-f /srv/there) { return 503; }\nlocation / { proxy_pass http://127.0.0.1:1; }",
                vec!["4 /: if (-f /srv/there) { return 503 }"],
            ),
            // By way of a variable, which another condition may take back.
            (
                "set $m 0; if (-f /srv/there) { set $m 1; } if ($m) { return 503; }\nlocation / { proxy_pass http://127.0.0.1:1; }",
                vec!["4 /: if (-f /srv/there) { set $m 1 } if ($m) { return 503 }"],
            ),
            (
                "set $m 0; if (-f /srv/gone) { set $m 1; } if ($m = 0) { return 503; }\nlocation / { proxy_pass http://127.0.0.1:1; }",
                vec!["4 /: if ($m = 0) { return 503 }"],
            ),
            (
                "location / { if (-f /srv/there) { set $m 1; } if ($remote_addr = 10.0.0.1) { set $m 0; } if ($m) { return 503; } proxy_pass http://127.0.0.1:1; }",
                vec!["? 4 / if ($m): if (-f /srv/there) { set $m 1 } if ($m) { return 503 }"],
            ),
            ("if (-f /srv/gone) { return 503; }\nlocation / { proxy_pass http://127.0.0.1:1; }", vec![]),
            (
                "if (!-e /srv/gone) { return 503; }\nlocation / { proxy_pass http://127.0.0.1:1; }",
                vec!["4 /: if (!-e /srv/gone) { return 503 }"],
            ),
            (
                "location / { if ($cookie_x) { return 503; } proxy_pass http://127.0.0.1:1; }",
                vec!["? 4 / if ($cookie_x): if ($cookie_x) { return 503 }"],
            ),
            (
                "location / { if (!-f $request_filename) { return 503; } proxy_pass http://127.0.0.1:1; }",
                vec!["? 4 / if (!-f $request_filename): if (!-f $request_filename) { return 503 }"],
            ),
            // A location within one that answers is chosen before it.
            ("location /a/ { return 502; location /a/b/ { proxy_pass http://127.0.0.1:1; } }", vec!["4 /a/: return 502"]),
        ] {
            assert_eq!(answers(server), expected, "{server}");
        }
    }

    #[test]
    fn the_file_that_switches_an_answer_on_is_told() {
        let switch = |server: &str| {
            let gateway = with(
                &format!("events {{}}\nhttp {{ server {{ {server} location / {{ proxy_pass http://127.0.0.1:1; }} }} }}"),
                &[("/srv/there", "")],
            );
            let settings = gateway.sites[0].routes[0].settings.clone();
            let told = |key: &str| settings.get(key).map(|said| said.value.to_string());
            (told(ANSWERS_WHILE), told(ANSWERS_WITHOUT), told(ANSWERS_SINCE).is_some())
        };
        let on = Some("/srv/there".to_owned());
        assert_eq!(switch("if (-f /srv/there) { return 503; }"), (on.clone(), None, true));
        assert_eq!(switch("set $m 0; if (-e /srv/there) { set $m 1; } if ($m = 1) { return 503; }"), (on, None, true));
        assert_eq!(switch("if (!-f /srv/gone) { return 503; }"), (None, Some("/srv/gone".to_owned()), false));
        assert_eq!(switch("if (-f /srv/gone) { return 503; }"), (None, None, false));
        assert_eq!(switch("return 503;"), (None, None, false));
    }

    #[test]
    fn a_path_that_nginx_answers_leads_to_no_upstream() {
        let text = "events {}\nhttp { server { location / { proxy_pass http://127.0.0.1:1; } location /shop/ { return 502; location /shop/api/ { proxy_pass http://127.0.0.1:2; } } } }";
        let gateway = with(text, &[]);
        let servers = |path: &str| gateway.sites[0].route_for(path).expect("a route").servers.len();
        assert_eq!([servers("/"), servers("/shop/"), servers("/shop/api/")], [1, 0, 1]);
    }
}
