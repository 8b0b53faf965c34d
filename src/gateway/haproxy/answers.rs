//! What HAProxy answers by itself: `http-request deny`, `return` and `tarpit` (configuration.txt section 4.4), which stand before every
//! `use_backend`.

use std::collections::BTreeMap;

use compact_str::{CompactString, format_compact};

use super::{
    acl::{Acls, Condition},
    load::Line,
    proxy::Proxy,
};
use crate::model::{ANSWERS, Setting, Settings};

/// A line that answers requests.
#[derive(Debug)]
pub struct Answer<'a> {
    /// The line.
    pub line: &'a Line,
    /// Which requests. `None`: all.
    pub condition: Option<Condition>,
    words: CompactString,
}

impl Answer<'_> {
    /// As a route has it: the line as written, in whose words the status stands.
    pub fn settings(&self) -> Settings {
        let setting = Setting { value: self.words.clone(), at: Some(self.line.place()) };
        BTreeMap::from([(ANSWERS.to_owned(), setting)]).into()
    }
}

/// The answers of a proxy, in the order in which they are asked; none where it does not understand HTTP.
pub fn answers<'a>(proxy: &Proxy<'a>) -> Vec<Answer<'a>> {
    if proxy.all("http-request").next().is_none() || !proxy.http() {
        return Vec::new();
    }
    let acls = Acls::of(proxy.all("acl"));
    let answer = |line: &'a Line| {
        // The status that is sent where none is written.
        let default = match line.word(1) {
            "deny" => "403",
            "return" => "200",
            "tarpit" => "500",
            _ => return None,
        };
        let written =
            line.words().take_while(|word| !matches!(*word, "if" | "unless")).any(|word| matches!(word, "deny_status" | "status"));
        let words = if written { line.rest(0) } else { format_compact!("{} ({default})", line.rest(0)) };
        Some(Answer { line, condition: acls.condition(line), words })
    };
    proxy.all("http-request").filter_map(answer).collect()
}
