//! Which directive is in force where: the section itself, its virtual host, the main server.

use std::{collections::HashMap, rc::Rc};

use super::tree::Directive;
use crate::model::Setting;

/// One section's own directives by name.
#[derive(Debug)]
struct Level<'a>(HashMap<&'a str, Vec<&'a Directive>>);

/// A section and those around it, outermost first.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a>(Vec<Rc<Level<'a>>>);

impl<'a> Scope<'a> {
    /// The scope of a section inside this one.
    pub fn within(&self, directives: &'a [Directive]) -> Self {
        let mut by_name: HashMap<&str, Vec<&Directive>> = HashMap::new();
        for directive in directives {
            by_name.entry(&directive.name).or_default().push(directive);
        }
        let mut levels = self.0.clone();
        levels.push(Rc::new(Level(by_name)));
        Self(levels)
    }

    /// The one of a name that is in force: of the innermost section that has any, the last.
    pub fn get(&self, name: &str) -> Option<&'a Directive> {
        self.0.iter().rev().find_map(|level| level.0.get(name)).and_then(|found| found.last().copied())
    }

    /// Its first parameter.
    pub fn value(&self, name: &str) -> Option<String> {
        self.get(name).map(Directive::first)
    }

    /// Whether a flag is on.
    pub fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(Directive::on)
    }

    /// All parameters of what is in force, and where.
    pub fn setting(&self, name: &str) -> Option<Setting> {
        self.get(name).map(Directive::setting)
    }

    /// Those of a name of all levels, outermost first: what a virtual host adds to the main server's.
    pub fn all(&self, name: &str) -> Vec<&'a Directive> {
        self.0.iter().filter_map(|level| level.0.get(name)).flatten().copied().collect()
    }
}
