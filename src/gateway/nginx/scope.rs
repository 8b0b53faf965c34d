//! Which directive is in force where: nginx's inheritance.

use std::{collections::HashMap, rc::Rc};

use super::tree::Directive;
use crate::model::Setting;

/// One block's own directives by name. Made once per block: an `http` with 2,000 servers is asked from each of them.
#[derive(Debug)]
struct Level<'a>(HashMap<&'a str, Vec<&'a Directive>>);

/// A block and those around it, outermost first.
#[derive(Debug, Clone)]
pub struct Scope<'a>(Vec<Rc<Level<'a>>>);

impl<'a> Scope<'a> {
    /// The main level.
    pub fn new(directives: &'a [Directive]) -> Self {
        Self(Vec::new()).within(directives)
    }

    /// The scope of a block inside this one.
    pub fn within(&self, directives: &'a [Directive]) -> Self {
        let mut by_name: HashMap<&str, Vec<&Directive>> = HashMap::new();
        for directive in directives {
            by_name.entry(&directive.name).or_default().push(directive);
        }
        let mut levels = self.0.clone();
        levels.push(Rc::new(Level(by_name)));
        Self(levels)
    }

    /// All of a name at the innermost level that has any: lists such as `proxy_set_header` are inherited only where none
    /// is set (ngx_http_proxy_module: "if and only if there are no directives defined on the current level").
    pub fn all(&self, name: &str) -> &[&'a Directive] {
        self.0.iter().rev().find_map(|level| level.0.get(name)).map_or(&[], Vec::as_slice)
    }

    /// The one of a name that is in force.
    pub fn get(&self, name: &str) -> Option<&'a Directive> {
        self.all(name).last().copied()
    }

    /// Its first parameter.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.arg(0)
    }

    /// Whether a flag is on.
    pub fn on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.eq_ignore_ascii_case("on"))
    }

    /// Those of a name that stand in the innermost block itself.
    pub fn own(&self, name: &str) -> &[&'a Directive] {
        self.0.last().and_then(|level| level.0.get(name)).map_or(&[], Vec::as_slice)
    }

    /// Those of a name, one slice per level, innermost first.
    pub fn levels(&self, name: &str) -> impl Iterator<Item = &[&'a Directive]> {
        self.0.iter().rev().filter_map(move |level| level.0.get(name)).map(Vec::as_slice)
    }

    /// All parameters of what is in force, and where.
    pub fn setting(&self, name: &str) -> Option<Setting> {
        self.get(name).map(|found| Setting { value: found.args.join(" ").into(), at: Some(found.place()) })
    }
}
