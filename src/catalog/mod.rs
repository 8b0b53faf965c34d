//! Layer 1: the knowledge, embedded from `assets/` and checked.
//!
//! Signatures (log line to fact), causes (what speaks for and against, what to do), steps of the checklist. All of it is
//! data in TOML; this module parses it, compiles its patterns, and says with file and key what is wrong with it. It knows
//! neither what was observed nor how it is shown.
//!
//! To add a signature, a cause or a step: one block in the file that fits below `assets/`. To add a file: its line in the
//! list in `embedded.rs`.

mod cause;
mod embedded;
mod services;
mod signature;
mod step;

pub use cause::{AdviceSpec, CauseSpec, EvidenceSpec};
pub use services::Services;
pub use signature::{About, Presence, Rank, Signature, Signatures};
pub use step::{GuideRef, StepSpec};
use thiserror::Error;

/// What is wrong with a file of the catalogue.
#[derive(Debug, Error)]
#[error("{file}: {problem}")]
pub struct CatalogError {
    /// The file, below `assets/` or in the config directory.
    pub file: String,
    /// What is wrong, with line or id.
    pub problem: String,
}

impl CatalogError {
    fn new(file: &str, problem: impl std::fmt::Display) -> Self {
        Self { file: file.to_owned(), problem: problem.to_string() }
    }
}

/// All knowledge.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Log lines to facts.
    pub signatures: Signatures,
    /// Causes, in the order of the files.
    pub causes: Vec<CauseSpec>,
    /// Programs that are, and that never are, an application.
    pub services: Services,
    /// Steps of the checklist, in the order in which one works.
    pub steps: Vec<StepSpec>,
}

impl Catalog {
    /// What this program was built with. An error here is a defect of the program that its tests find.
    pub fn embedded() -> Result<Self, CatalogError> {
        let (file, text) = embedded::SERVICES;
        let services = Services::parse(file, text)?;
        let mut catalog = Self { signatures: Signatures::parse(embedded::SIGNATURES)?, services, ..Self::default() };
        for (file, text) in embedded::CAUSES {
            catalog.causes.extend(cause::parse(file, text)?);
        }
        for (file, text) in embedded::PLAYBOOK {
            catalog.steps.extend(step::parse(file, text)?);
        }
        Ok(catalog)
    }

    /// The cause with this id.
    pub fn cause(&self, id: &str) -> Option<&CauseSpec> {
        self.causes.iter().find(|cause| cause.id == id)
    }

    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<&StepSpec> {
        self.steps.iter().find(|step| step.id == id)
    }
}
