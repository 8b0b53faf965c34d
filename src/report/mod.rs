//! Layer 5: `&State` to text, JSON and Markdown, for `check` and for hand-over. Pure, like `ui/`.
//!
//! Foreign text goes through [`crate::model::text::printable`] here as it does on the screen: a report is read in terminals,
//! mail programs and browsers. What is handed over is a [`Document`] of `app/papers`; here it becomes Markdown or HTML. To add a format
//! of documents: one file with one function of `&Document`.

mod handbook;
mod html;
mod json;
mod markdown;
mod metrics;
mod text;

pub use handbook::{Handbook, UnknownCause};
pub use json::json;
pub use metrics::metrics;
pub use text::text;

use crate::{
    app::{
        Paper, State,
        papers::{self, around, distance, gateway, word},
    },
    model::{Document, Verdict},
};

/// The exit status of `check`: that of a monitoring plugin (Monitoring Plugins Development Guidelines, "Plugin Return Codes").
pub fn exit_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ok => 0,
        Verdict::Warning => 1,
        Verdict::Critical => 2,
        Verdict::Unknown => 3,
    }
}

/// A document as Markdown.
pub fn as_markdown(document: &Document) -> String {
    markdown::render(document)
}

/// A document as one HTML file.
pub fn as_html(document: &Document) -> String {
    html::render(document)
}

/// The report as Markdown. `took_ms`: how long the pass took.
pub fn markdown(state: &State, took_ms: u64) -> String {
    as_markdown(&papers::document(state, Paper::Report, Some(took_ms)))
}

/// The report as one HTML file. `took_ms`: how long the pass took.
pub fn html(state: &State, took_ms: u64) -> String {
    as_html(&papers::document(state, Paper::Report, Some(took_ms)))
}

/// The ticket for the hosting provider, as Markdown.
pub fn ticket(state: &State) -> String {
    as_markdown(&papers::document(state, Paper::Ticket, None))
}
