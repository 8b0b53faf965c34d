//! What is large and handed on as a whole: a gateway of 20,000 sites is held by its watcher, by the message about it and by the
//! scene, and must not be there three times.

use std::{ops::Deref, path::PathBuf, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list that is copied by reference. Read as a slice; written as a list of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared<T>(Arc<Vec<T>>);

impl<T: Clone> Shared<T> {
    /// The list, to be changed: others who hold it keep what they have.
    pub fn own(&mut self) -> &mut Vec<T> {
        Arc::make_mut(&mut self.0)
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Deref for Shared<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<Vec<T>> for Shared<T> {
    fn from(mut list: Vec<T>) -> Self {
        list.shrink_to_fit();
        Self(Arc::new(list))
    }
}

impl<T> FromIterator<T> for Shared<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self::from(Vec::from_iter(items))
    }
}

impl<'a, T> IntoIterator for &'a Shared<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Vec::deserialize(from).map(Self::from)
    }
}

/// A path that many places share, for `#[serde(with)]`.
pub mod path {
    use super::{Arc, Deserialize, Deserializer, PathBuf, Serialize, Serializer};

    /// As the path itself.
    pub fn serialize<S: Serializer>(path: &Arc<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        path.as_ref().serialize(to)
    }

    /// Not shared with any other, for nothing is known of these.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<PathBuf>, D::Error> {
        PathBuf::deserialize(from).map(Arc::new)
    }
}
