//! What gateways call the same setting: `proxy_read_timeout`, `timeout server`, `ProxyTimeout`.

use serde::Deserialize;

use crate::model::{Setting, Settings};

/// A setting with its names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SettingSpec {
    /// Its id.
    pub id: String,
    /// What it says, as the begin of a sentence: `waits for the answer`.
    pub title: String,
    /// Its names, the strongest first; `_read_timeout` stands for those of all modules of nginx's that end so.
    pub names: Vec<String>,
}

impl SettingSpec {
    /// The one of these settings that is in force, with its name.
    pub fn of<'a>(&self, settings: &'a Settings) -> Option<(&'a str, &'a Setting)> {
        self.names.iter().find_map(|name| {
            if name.starts_with('_') {
                settings.iter().find(|(key, _)| key.ends_with(name.as_str()))
            } else {
                settings.get_key_value(name)
            }
        })
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) setting: Vec<SettingSpec>,
}
