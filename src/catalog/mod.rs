//! Layer 1: the knowledge, embedded from `assets/` and checked.
//!
//! Signatures (log line to fact), causes (what speaks for and against, what to do), findings, steps of the checklist. All of it is
//! data in TOML; this module parses it, compiles its patterns, and says with file and key what is wrong with it. It knows
//! neither what was observed nor how it is shown.
//!
//! To add a signature, a cause, a finding or a step: one block in the file that fits below `assets/`, or a new file there.

mod cause;
mod finding;
mod own;
mod patterns;
mod services;
mod setting;
mod signature;
mod step;
mod upkeep;
mod words;

pub use cause::{AdviceSpec, CauseSpec, EvidenceSpec, is_field};
pub use finding::FindingSpec;
pub use own::OwnFile;
use serde::Deserialize;
pub use services::{Services, runs};
pub use setting::SettingSpec;
pub use signature::{About, Presence, Rank, Signature, Signatures};
pub use step::{GuideRef, StepSpec};
use thiserror::Error;
pub use upkeep::UpkeepPrograms;
pub use words::FactWords;

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
    /// Findings, in the order of their weight.
    pub findings: Vec<FindingSpec>,
    /// Programs that are, and that never are, an application.
    pub services: Services,
    /// What gateways call the same setting, in the order in which a person wants to know them.
    pub settings: Vec<SettingSpec>,
    /// Steps of the checklist, in the order in which one works.
    pub steps: Vec<StepSpec>,
    /// What facts say in words.
    pub words: FactWords,
    /// How to see that any cause is gone, where the request that fails is not one to be made again.
    pub verify: Vec<AdviceSpec>,
    /// Programs that watch, back up and keep data.
    pub upkeep: UpkeepPrograms,
}

/// What this program was built with: `src/build.rs` puts the files of `assets/` into one text.
const EMBEDDED: &str = include_str!(concat!(env!("OUT_DIR"), "/catalogue.json"));

/// All files, read.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    signatures: Vec<signature::File>,
    causes: Vec<cause::File>,
    playbook: Vec<step::File>,
    findings: Vec<finding::File>,
    services: Services,
    settings: Option<setting::File>,
    facts: FactWords,
    verify: cause::ForAll,
    upkeep: UpkeepPrograms,
}

impl Catalog {
    /// What this program was built with. An error here is a defect of the program that its tests find.
    pub fn embedded() -> Result<Self, CatalogError> {
        Self::of(serde_json::from_str(EMBEDDED).map_err(|e| CatalogError::new("the embedded catalogue", e))?)
    }

    /// From files by their names below `assets/`: `causes/gateway.toml`. Other than what is embedded, signatures have their samples.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, CatalogError> {
        let mut all = Files::default();
        for (name, text) in files {
            let wrong = |e| CatalogError::new(name, e);
            match name.split_once('/') {
                Some(("signatures", _)) => all.signatures.push(toml::from_str(text).map_err(wrong)?),
                Some(("causes", _)) => all.causes.push(toml::from_str(text).map_err(wrong)?),
                Some(("findings", _)) => all.findings.push(toml::from_str(text).map_err(wrong)?),
                Some(("playbook", _)) => all.playbook.push(toml::from_str(text).map_err(wrong)?),
                None if name == "services.toml" => all.services = toml::from_str(text).map_err(wrong)?,
                None if name == "verify.toml" => all.verify = toml::from_str(text).map_err(wrong)?,
                None if name == "upkeep.toml" => all.upkeep = toml::from_str(text).map_err(wrong)?,
                None if name == "settings.toml" => all.settings = Some(toml::from_str(text).map_err(wrong)?),
                None if name == "facts.toml" => all.facts = toml::from_str(text).map_err(wrong)?,
                Some(_) | None => return Err(CatalogError::new(name, "no file of the catalogue has this name")),
            }
        }
        Self::of(all)
    }

    fn of(files: Files) -> Result<Self, CatalogError> {
        let causes: Vec<CauseSpec> = files.causes.into_iter().flat_map(cause::File::causes).collect();
        if let Some(problem) = causes.iter().find_map(CauseSpec::problem) {
            return Err(problem);
        }
        let steps = files.playbook.into_iter().flat_map(|file| file.step).collect();
        let findings = files.findings.into_iter().flat_map(|file| file.finding).collect();
        let settings = files.settings.map_or_else(Vec::new, |file| file.setting);
        let signatures = Signatures::of_files(files.signatures);
        let (services, words, upkeep, verify) = (files.services, files.facts, files.upkeep, files.verify.advice);
        Ok(Self { signatures, causes, findings, services, settings, steps, words, verify, upkeep })
    }

    /// The cause with this id.
    pub fn cause(&self, id: &str) -> Option<&CauseSpec> {
        self.causes.iter().find(|cause| cause.id == id)
    }

    /// The finding with this id.
    pub fn finding(&self, id: &str) -> Option<&FindingSpec> {
        self.findings.iter().find(|finding| finding.id == id)
    }

    /// The setting with this id.
    pub fn setting(&self, id: &str) -> Option<&SettingSpec> {
        self.settings.iter().find(|setting| setting.id == id)
    }

    /// What a fact says, as a clause. A name that has no words says itself; a test sees to it that none is left so.
    pub fn says<'a>(&'a self, fact: &'a str) -> &'a str {
        let signature = fact.strip_prefix("log:").and_then(|id| self.signatures.by_id(id)).map(|signature| &signature.explain);
        signature.or_else(|| self.words.facts.get(fact)).map_or(fact, String::as_str)
    }

    /// The step with this id.
    pub fn step(&self, id: &str) -> Option<&StepSpec> {
        self.steps.iter().find(|step| step.id == id)
    }
}

/// What this program was built with, and the samples of its signatures.
#[cfg(test)]
pub fn with_samples() -> Catalog {
    let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let single = |name: &str| (name.to_owned(), std::fs::read_to_string(assets.join(name)).expect("text"));
    let mut files = ["settings.toml", "verify.toml"].map(single).to_vec();
    for folder in ["signatures", "causes", "playbook", "findings"] {
        for entry in std::fs::read_dir(assets.join(folder)).expect("folder of assets") {
            let path = entry.expect("entry").path();
            let text = std::fs::read_to_string(&path).expect("text");
            files.push((path.strip_prefix(&assets).expect("below assets").display().to_string(), text));
        }
    }
    files.sort();
    Catalog::parse(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).expect("the catalogue is sound")
}
