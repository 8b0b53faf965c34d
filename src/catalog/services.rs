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

    /// Whether this process runs applications.
    pub fn serves_applications(&self, process: &ProcessInfo) -> bool {
        let base = |name: &str| self.application_servers.iter().any(|server| name.starts_with(server.as_str()));
        let arg = |arg: &String| arg.rsplit('/').next().is_some_and(base);
        base(&process.name) || process.argv.iter().take(2).any(arg)
    }
}
