//! Which programs are an application, and which never are.

use serde::Deserialize;

use super::CatalogError;
use crate::model::ProcessInfo;

/// Lists of program names, from `assets/services.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    not_the_application: Vec<String>,
    not_the_application_words: Vec<String>,
    application_servers: Vec<String>,
    runtimes: Vec<String>,
}

impl Services {
    pub(super) fn parse(file: &str, text: &str) -> Result<Self, CatalogError> {
        toml::from_str(text).map_err(|e| CatalogError::new(file, e))
    }

    /// Whether this process is certainly not the application behind a gateway.
    pub fn never_the_application(&self, process: &ProcessInfo) -> bool {
        let binary = process.exe.as_deref().and_then(|exe| exe.file_name()).map(|name| name.to_string_lossy());
        let named = |name: &String| *name == process.name || binary.as_deref() == Some(name.as_str());
        let hinted = |word: &String| process.argv.iter().any(|arg| arg.to_ascii_lowercase().contains(word.as_str()));
        self.not_the_application.iter().any(named) || self.not_the_application_words.iter().any(hinted)
    }

    /// Whether this process is a program that does nothing else than serve applications.
    pub fn application_server(&self, process: &ProcessInfo) -> bool {
        runs(&self.application_servers, process)
    }

    /// Whether this process is a program that an application may be written for.
    pub fn may_be_an_application(&self, process: &ProcessInfo) -> bool {
        runs(&self.application_servers, process) || runs(&self.runtimes, process)
    }
}

/// Whether a process is one of these programs, by its own name or by the script that its interpreter runs.
fn runs(programs: &[String], process: &ProcessInfo) -> bool {
    let base = |name: &str| programs.iter().any(|program| name.starts_with(program.as_str()));
    let arg = |arg: &String| arg.rsplit('/').next().is_some_and(base);
    base(&process.name) || process.argv.iter().take(2).any(arg)
}
