//! Which directive is in force where: nginx's inheritance.
//!
//! Lists such as `proxy_set_header` are inherited only where none is set (ngx_http_proxy_module: "if and only if there are no
//! directives defined on the current level"), so that of all names the innermost level that has any counts.

use super::{super::scope, tree::Directive};
use crate::model::Setting;

/// A block and those around it.
pub type Scope<'a> = scope::Scope<'a, Directive>;

impl scope::Named for Directive {
    fn name(&self) -> &str {
        &self.name
    }
}

impl<'a> Scope<'a> {
    /// The first parameter of the one that is in force.
    pub fn value(&self, name: &str) -> Option<&'a str> {
        self.get(name)?.arg(0)
    }

    /// Whether a flag is on.
    pub fn on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.eq_ignore_ascii_case("on"))
    }
}

/// All parameters of a directive, and where it stands.
pub fn setting(directive: &Directive) -> Setting {
    Setting { value: directive.args.join(" ").into(), at: Some(directive.place()) }
}
