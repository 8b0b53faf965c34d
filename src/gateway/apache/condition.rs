//! Sections that Apache decides on while it reads: `<IfModule>`, `<IfDefine>`, `<IfVersion>`, `<IfFile>`, `<IfDirective>`.

use std::{cmp::Ordering, collections::HashMap, path::Path};

use super::{lines::words, modules::Modules};
use crate::sys::Root;

/// What they ask about.
#[derive(Debug)]
pub struct Known<'a> {
    /// Where files are looked for.
    pub root: &'a Root,
    /// What relative paths are relative to.
    pub base: &'a Path,
    /// `-D` on the command line.
    pub defines: &'a [String],
    /// `Define`.
    pub variables: &'a HashMap<String, String>,
    /// The modules so far.
    pub modules: &'a Modules,
    /// The version. `None`: it could not be told, and any 2.4 will do.
    pub version: Option<&'a str>,
}

/// Whether the section's content counts. `None`: it is no condition of this kind.
pub fn holds(section: &str, argument: &str, known: &Known<'_>) -> Option<bool> {
    let argument = argument.trim().trim_matches('"');
    let (negated, argument) = argument.strip_prefix('!').map_or((false, argument), |rest| (true, rest.trim_start()));
    let found = match section {
        "ifmodule" => known.modules.has(argument),
        "ifdefine" => known.defines.iter().any(|name| name == argument) || known.variables.contains_key(argument),
        "iffile" => known.root.stat(&known.base.join(argument)).is_ok(),
        "ifversion" => version(argument, known.version.unwrap_or("2.4.99")),
        // Whether a directive exists is asked for those of modules that may be missing.
        "ifdirective" => known.modules.missing_for(&argument.to_ascii_lowercase()).is_none(),
        _ => return None,
    };
    Some(found != negated)
}

/// `>= 2.4`, `2.4.10`, `/^2\.4/` (mod_version). What is not written is 0.
fn version(argument: &str, version: &str) -> bool {
    let args = words(argument);
    let (operator, wanted) = match args.as_slice() {
        [wanted] => ("=", wanted.as_str()),
        [operator, wanted, ..] => (operator.as_str(), wanted.as_str()),
        [] => return false,
    };
    let (operator, negated) = operator.strip_prefix('!').map_or((operator, false), |rest| (rest, true));
    let pattern = wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')).or((operator == "~").then_some(wanted));
    let holds = if let Some(pattern) = pattern {
        regex::Regex::new(pattern).is_ok_and(|regex| regex.is_match(version))
    } else {
        let numbers = |text: &str| text.split('.').map(|part| part.parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
        let (have, want) = (numbers(version), numbers(wanted));
        // match_version compares all three, with 0 for what is not written.
        let part = |list: &[u32], at: usize| list.get(at).copied().unwrap_or(0);
        let order = (0..3).map(|at| part(&have, at).cmp(&part(&want, at))).find(|order| order.is_ne());
        let order = order.unwrap_or(Ordering::Equal);
        match operator {
            "=" | "==" => order.is_eq(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            _ => false,
        }
    };
    holds != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        for (argument, expected) in [
            (">= 2.4", true),
            ("< 2.4", false),
            (">= 2.4.100", false),
            ("> 2.4.9", true),
            ("!= 2.4.62", false),
            ("/^2\\.4/", true),
            ("~ ^2\\.2", false),
            ("!~ ^2\\.2", true),
            ("", false),
        ] {
            assert_eq!(version(argument, "2.4.62"), expected, "{argument}");
        }
    }
}
