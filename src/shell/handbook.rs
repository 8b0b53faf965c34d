//! `why502 causes`: the catalogue to read, also without an incident.

use super::{check::print, knowledge};
use crate::{cli::Causes, report::Handbook};

/// Runs it. The value is the exit status.
pub fn run(asked: &Causes) -> anyhow::Result<u8> {
    let catalog = knowledge::told()?;
    let handbook = Handbook::new(&catalog);
    print(&match &asked.id {
        Some(id) => handbook.page(id)?,
        None => handbook.contents(),
    })?;
    Ok(0)
}
