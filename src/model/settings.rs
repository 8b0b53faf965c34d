//! The settings of a route. Thousands of routes have a handful each, so they take no more room than they need.

use std::{collections::BTreeMap, ops::Index, sync::Arc};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Setting;

/// Settings by their name, in its order; written as a map. A copy shares them until one of the two is changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings(Arc<[(CompactString, Setting)]>);

impl Settings {
    /// The setting of this name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.get_key_value(name).map(|(_, setting)| setting)
    }

    /// The same, with its name as it stands here.
    pub fn get_key_value(&self, name: &str) -> Option<(&str, &Setting)> {
        let place = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(place).map(|(name, setting)| (name.as_str(), setting))
    }

    /// Whether there is one of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// All of them, with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.0.iter().map(|(name, setting)| (name.as_str(), setting))
    }

    /// All of them, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Setting> {
        Arc::make_mut(&mut self.0).iter_mut().map(|(_, setting)| setting)
    }

    /// All of them with their names, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Setting)> {
        Arc::make_mut(&mut self.0).iter_mut().map(|(name, setting)| (name.as_str(), setting))
    }

    /// Puts one in, in the place of one of its name.
    pub fn insert(&mut self, name: impl Into<CompactString>, setting: Setting) {
        let name = name.into();
        let mut all = self.0.to_vec();
        match all.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(place) => all[place].1 = setting,
            Err(place) => all.insert(place, (name, setting)),
        }
        self.0 = all.into();
    }
}

impl Index<&str> for Settings {
    type Output = Setting;

    fn index(&self, name: &str) -> &Setting {
        self.get(name).expect("a setting that was seen before")
    }
}

impl<N: Into<CompactString>> From<BTreeMap<N, Setting>> for Settings {
    fn from(all: BTreeMap<N, Setting>) -> Self {
        Self(all.into_iter().map(|(name, setting)| (name.into(), setting)).collect())
    }
}

impl Serialize for Settings {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Settings {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::<String, _>::deserialize(from).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_name_and_written_as_a_map() {
        let mut settings = Settings::default();
        for (name, value) in [("b", "1"), ("a", "2"), ("b", "3")] {
            settings.insert(name.to_owned(), Setting { value: value.into(), at: None });
        }
        assert_eq!((settings["b"].value.as_str(), settings.contains_key("c")), ("3", false));
        let text = serde_json::to_string(&settings).expect("JSON");
        assert!(text.starts_with("{\"a\":"), "{text}");
        assert_eq!(serde_json::from_str::<Settings>(&text).expect("settings"), settings);
    }
}
