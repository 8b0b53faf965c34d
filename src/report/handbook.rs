//! The catalogue of causes as a handbook: a list of all, and a page for each. It knows of no incident.

use std::collections::BTreeMap;

use textwrap::{Options, WordSplitter};
use thiserror::Error;

use crate::{
    catalog::{AdviceSpec, Catalog, CauseSpec, EvidenceSpec, is_field},
    model::Command,
};

/// Columns of a page: what reads well, and fits a terminal of 80 with none wrapped twice.
const COLUMNS: usize = 80;
/// Evidence of at least this weight is strong: alone it leaves a cause likely.
const STRONG: f64 = 0.6;
/// Evidence below this weight is weak.
const WEAK: f64 = 0.3;

/// There is no such cause.
#[derive(Debug, Error)]
#[error("there is no cause {id:?}{hint}; for all of them: why502 causes")]
pub struct UnknownCause {
    id: String,
    hint: String,
}

/// The handbook.
#[derive(Debug)]
pub struct Handbook<'a> {
    catalog: &'a Catalog,
}

impl<'a> Handbook<'a> {
    /// Of this catalogue.
    pub fn new(catalog: &'a Catalog) -> Self {
        Self { catalog }
    }

    /// All causes, a line each, by where they lie.
    pub fn contents(&self) -> String {
        let widest = self.catalog.causes.iter().map(|cause| cause.id.len()).max().unwrap_or(0);
        let mut out = String::new();
        let mut section = "";
        for cause in &self.catalog.causes {
            if cause.section != section {
                section = &cause.section;
                out.push_str(&format!("{}{section}\n", if out.is_empty() { "" } else { "\n" }));
            }
            let id = format!("  {:widest$}  ", cause.id);
            out.push_str(&wrapped(&cause.title, &id));
        }
        out.push_str("\nMore about one: why502 causes ID\n");
        out
    }

    /// What there is to know about one cause.
    pub fn page(&self, id: &str) -> Result<String, UnknownCause> {
        let cause = self.catalog.cause(id).ok_or_else(|| self.unknown(id))?;
        let mut page = Page { out: format!("{}: {}\n", cause.id, cause.title) };
        page.heading("What it is, and what it is not");
        page.text(cause.what.trim());
        page.heading("What speaks for it (* proves it while it holds)");
        page.items(cause.evidence_for.iter().map(|spec| self.evidence(spec)));
        page.lines_that_tell(&self.lines(cause));
        page.heading("What speaks against it");
        page.items(cause.against.iter().map(|spec| self.evidence(spec)));
        page.heading("What rules it out");
        page.items(cause.excluded_by.iter().map(|fact| ("x".to_owned(), self.catalog.says(fact).to_owned())));
        page.heading("What must have been looked at before it is confirmed");
        page.items(cause.needs.iter().map(|family| ("?".to_owned(), self.family(family).to_owned())));
        page.heading("What follows from it, and stands below it");
        page.items(cause.explains.iter().map(|id| (">".to_owned(), self.named(id))));
        page.heading("What it may follow from");
        let roots = self.catalog.causes.iter().filter(|other| other.explains.contains(&cause.id));
        page.items(roots.map(|root| ("<".to_owned(), self.named(&root.id))));
        page.heading("To stop the bleeding");
        page.advice(&cause.mitigate);
        page.heading("To remove it");
        page.advice(&cause.fix);
        page.heading("To see that it is gone");
        page.advice(&cause.verify);
        page.heading("To keep it away");
        page.items(cause.prevent.iter().map(|text| ("-".to_owned(), text.clone())));
        page.heading("To read more");
        page.items(cause.refs.iter().map(|text| ("-".to_owned(), text.clone())));
        Ok(page.finished())
    }

    fn unknown(&self, id: &str) -> UnknownCause {
        let near: Vec<&str> = self
            .catalog
            .causes
            .iter()
            .map(|cause| cause.id.as_str())
            .filter(|known| known.contains(id) || id.contains(known))
            .collect();
        let hint = if near.is_empty() { String::new() } else { format!(", but {}", near.join(", ")) };
        UnknownCause { id: id.to_owned(), hint }
    }

    fn named(&self, id: &str) -> String {
        self.catalog.cause(id).map_or_else(|| id.to_owned(), |cause| format!("{id}: {}", cause.title))
    }

    fn family<'b>(&'b self, family: &'b str) -> &'b str {
        self.catalog.words.families.get(family).map_or(family, String::as_str)
    }

    fn evidence(&self, spec: &EvidenceSpec) -> (String, String) {
        let strength = match spec.weight {
            weight if weight >= STRONG => "strong",
            weight if weight < WEAK => "weak",
            _ => "fair",
        };
        let sign = format!("{strength:6}{}", if spec.proof { " *" } else { "  " });
        (sign, self.catalog.says(&spec.fact).to_owned())
    }

    /// Log lines that tell of a cause: what they mean, by who writes them.
    fn lines(&self, cause: &CauseSpec) -> BTreeMap<&'static str, Vec<&'a str>> {
        let mut lines: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (dialects, signature) in self.catalog.signatures.with_dialects() {
            let Some(dialect) = dialects.first().filter(|_| signature.causes.contains(&cause.id)) else { continue };
            let known = lines.entry(dialect.title()).or_default();
            if !known.contains(&signature.explain.as_str()) {
                known.push(&signature.explain);
            }
        }
        lines
    }
}

/// A page being written. A heading appears with the first thing below it.
struct Page {
    out: String,
}

impl Page {
    fn heading(&mut self, text: &str) {
        self.drop_empty_heading();
        self.out.push_str(&format!("\n{text}:\n"));
    }

    fn drop_empty_heading(&mut self) {
        if self.out.ends_with(":\n")
            && let Some(at) = self.out.rfind("\n\n")
        {
            self.out.truncate(at + 1);
        }
    }

    fn text(&mut self, text: &str) {
        self.out.push_str(&wrapped(text, "  "));
    }

    fn items(&mut self, items: impl Iterator<Item = (String, String)>) {
        for (sign, text) in items {
            self.out.push_str(&wrapped(&text, &format!("  {sign} ")));
        }
    }

    fn lines_that_tell(&mut self, lines: &BTreeMap<&'static str, Vec<&str>>) {
        if lines.is_empty() {
            return;
        }
        self.heading("Log lines that tell of it");
        for (writer, means) in lines {
            self.out.push_str(&format!("  {writer}\n"));
            self.items(means.iter().map(|text| ("  -".to_owned(), (*text).to_owned())));
        }
    }

    fn advice(&mut self, list: &[AdviceSpec]) {
        for advice in list {
            let of = if advice.of.is_empty() { String::new() } else { format!("{}: ", advice.of.join(", ")) };
            self.out.push_str(&wrapped(&format!("{of}{}", without_incident(&advice.text)), "  - "));
            if let Some(command) = Command::new(advice.run.iter().map(|word| without_incident(word))) {
                self.out.push_str(&format!("    $ {command}\n"));
            }
        }
    }

    fn finished(mut self) -> String {
        self.drop_empty_heading();
        self.out
    }
}

/// A sentence with its sign, wrapped and set in behind the sign.
fn wrapped(text: &str, sign: &str) -> String {
    let inset = " ".repeat(sign.chars().count());
    let shape = Options::new(COLUMNS).initial_indent(sign).subsequent_indent(&inset).break_words(false);
    textwrap::fill(text, shape.word_splitter(WordSplitter::NoHyphenation)) + "\n"
}

/// What an incident would fill in, as a word to replace: `{unit}` becomes `UNIT`. `%{http_code}` is curl's own.
fn without_incident(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        out.push_str(before);
        match behind.split_once('}') {
            Some((name, after)) if is_field(name) && !before.ends_with('%') => {
                out.push_str(&name.to_uppercase().replace('_', "-"));
                rest = after;
            }
            _ => {
                out.push('{');
                rest = behind;
            }
        }
    }
    out + rest
}
