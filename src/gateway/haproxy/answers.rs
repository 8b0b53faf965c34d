//! What HAProxy answers by itself: `http-request deny`, `return` and `tarpit` (configuration.txt section 4.4), which stand before every
//! `use_backend`; and `http-response deny` and `return`, which take the place of a server's answer.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};

use super::{
    acl::{Acls, Condition},
    load::Line,
    proxy::Proxy,
};
use crate::model::{ANSWERS, PathMatch, Protocol, Route, Setting, Settings, TURNS};

/// Lines of ACLs that are told with a rule, at most.
const NAMED: usize = 4;

/// A line that answers requests.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The line.
    pub line: &'a Line,
    /// Which requests. `None`: all.
    pub condition: Option<Condition>,
    /// [`ANSWERS`], or [`TURNS`] where a server was asked first.
    key: &'static str,
    words: CompactString,
}

impl Answer<'_> {
    /// As a route has it: the line as written, in whose words the status stands.
    pub fn settings(&self) -> Settings {
        let setting = Setting { value: self.words.clone(), at: Some(self.line.place()) };
        BTreeMap::from([(self.key.to_owned(), setting)]).into()
    }

    /// The route of requests that it answers.
    pub fn route(&self, takes: PathMatch, sample_path: String) -> Route {
        Route {
            pattern: self.line.rest(2).into(),
            sample_path,
            settings: self.settings(),
            takes: Some(takes),
            ..Route::new(Protocol::Http, self.line.place())
        }
    }
}

/// The answers of a proxy, in the order in which they are asked; none where it does not understand HTTP.
pub fn answers<'a>(proxy: &Proxy<'a>) -> Vec<Answer<'a>> {
    // The status that is sent where none is written.
    of_rules(proxy, "http-request", ANSWERS, |action| match action {
        "deny" => Some("403"),
        "return" => Some("200"),
        "tarpit" => Some("500"),
        _ => None,
    })
}

/// What a proxy puts in the place of a server's answers. Which ones it is about only they tell.
pub fn refusals<'a>(proxy: &Proxy<'a>) -> Vec<Answer<'a>> {
    of_rules(proxy, "http-response", TURNS, |action| match action {
        "deny" => Some("502"),
        "return" => Some("200"),
        _ => None,
    })
}

fn of_rules<'a>(
    proxy: &Proxy<'a>,
    word: &'static str,
    key: &'static str,
    default: fn(&str) -> Option<&'static str>,
) -> Vec<Answer<'a>> {
    if proxy.all(word).next().is_none() || !proxy.http() {
        return Vec::new();
    }
    let acls = Acls::of(proxy.all("acl"));
    let answer = |line: &'a Line| {
        let default = default(line.word(1))?;
        let written =
            line.words().take_while(|word| !matches!(*word, "if" | "unless")).any(|word| matches!(word, "deny_status" | "status"));
        let mut words = if written { line.rest(0) } else { format_compact!("{} ({default})", line.rest(0)) };
        for acl in named(proxy, line) {
            words = format_compact!("{words}; {} ({})", acl.rest(0), acl.place());
        }
        Some(Answer { line, condition: acls.condition(line), key, words })
    };
    proxy.all(word).filter_map(answer).collect()
}

/// The lines of the ACLs that the condition of a rule names: without them nobody knows what it asks for.
fn named<'a>(proxy: &Proxy<'a>, rule: &'a Line) -> impl Iterator<Item = &'a Line> {
    let names: Vec<&str> = rule
        .words()
        .skip_while(|word| !matches!(*word, "if" | "unless"))
        .skip(1)
        .map(|word| word.trim_start_matches('!'))
        .collect();
    proxy.all("acl").filter(move |acl| acl.len() > 2 && names.contains(&acl.word(1))).take(NAMED)
}
