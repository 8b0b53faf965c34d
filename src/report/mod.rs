//! Layer 5: `&State` to text, JSON and Markdown, for `check` and for hand-over. Pure, like `ui/`.
//!
//! Foreign text goes through [`crate::model::text::printable`] here as it does on the screen: a report is read in terminals,
//! mail programs and browsers. To add a format: one file with one function of `&State`.

mod json;
mod markdown;
mod text;

pub use json::json;
pub use markdown::markdown;
pub use text::text;

use crate::{
    app::State,
    model::{Gateway, Verdict},
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

/// The gateway that the report is about: the first that runs, else the first.
fn gateway(state: &State) -> Option<&Gateway> {
    let gateways = &state.shown().0.gateways;
    gateways.iter().find(|gateway| gateway.running()).or_else(|| gateways.first())
}

/// `OK`, as a monitoring plugin says it.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Critical => "CRITICAL",
        Verdict::Unknown => "UNKNOWN",
    }
}
