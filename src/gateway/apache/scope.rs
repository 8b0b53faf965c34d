//! Which directive is in force where: the section itself, its virtual host, the main server.

use super::{super::scope, tree::Directive};

/// A section and those around it.
pub type Scope<'a> = scope::Scope<'a, Directive>;

impl scope::Named for Directive {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Scope<'_> {
    /// The first parameter of the one that is in force.
    pub fn value(&self, name: &str) -> Option<String> {
        self.get(name).map(Directive::first)
    }

    /// Whether a flag is on.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(Directive::on)
    }
}
