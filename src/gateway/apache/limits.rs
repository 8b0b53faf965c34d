//! Settings of Apache as a whole. How many requests it can work on at once: MaxRequestWorkers, and what its processes and threads allow
//! (server/mpm). Whether it stores answers (mod_cache).

use std::collections::BTreeMap;

use super::{modules::Modules, scope::Scope, tree::Directive};
use crate::model::{CACHE, CACHE_STALE, Setting};

/// `ServerLimit` and `ThreadsPerChild` where none is set, by MPM (DEFAULT_SERVER_LIMIT, DEFAULT_THREADS_PER_CHILD).
const MPMS: &[(&str, u64, u64)] = &[("mpm_event_module", 16, 25), ("mpm_worker_module", 16, 25), ("mpm_prefork_module", 256, 1)];

/// The settings, and `workers possible`: what ServerLimit and ThreadsPerChild allow.
pub fn settings(tree: &[Directive], modules: &Modules) -> BTreeMap<String, Setting> {
    let scope = Scope::new(tree);
    let mut out = BTreeMap::new();
    for (name, key) in [("MaxRequestWorkers", "maxrequestworkers"), ("MaxRequestWorkers", "maxclients")] {
        if let Some(one) = scope.get(key) {
            out.entry(name.to_owned()).or_insert_with(|| one.setting());
        }
    }
    for (name, key) in [("ServerLimit", "serverlimit"), ("ThreadsPerChild", "threadsperchild")] {
        out.extend(scope.get(key).map(|one| (name.to_owned(), one.setting())));
    }
    let number = |key: &str, default: u64| scope.value(key).map_or(Some(default), |value| value.parse().ok());
    let mpm = MPMS.iter().find(|(module, ..)| modules.has(module));
    let possible = mpm.and_then(|(module, servers, threads)| {
        let threads = if *module == "mpm_prefork_module" { 1 } else { number("threadsperchild", *threads)? };
        number("serverlimit", *servers)?.checked_mul(threads)
    });
    if let Some(cache) = anywhere(tree, "cacheenable") {
        out.insert(CACHE.to_owned(), named("CacheEnable", cache));
        // On unless it is switched off (mod_cache, CacheStaleOnError).
        match anywhere(tree, "cachestaleonerror") {
            Some(stale) if !stale.on() => {}
            Some(stale) => drop(out.insert(CACHE_STALE.to_owned(), named("CacheStaleOnError", stale))),
            None => {
                out.insert(CACHE_STALE.to_owned(), Setting { value: "CacheStaleOnError, on by default".into(), at: None });
            }
        }
    }
    out.extend(possible.map(|all| ("workers possible".to_owned(), Setting { value: all.to_string().into(), at: None })));
    out
}

fn named(name: &str, directive: &Directive) -> Setting {
    Setting { value: format!("{name} {}", directive.text).into(), at: Some(directive.place()) }
}

/// The first directive of this name, in whatever section it stands.
fn anywhere<'a>(tree: &'a [Directive], name: &str) -> Option<&'a Directive> {
    tree.iter().find_map(|one| if one.name == name { Some(one) } else { anywhere(one.children(), name) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_serves_what_is_stale_unless_told_not_to() {
        let one = |name: &str, text: &str, block| Directive {
            name: name.into(),
            text: text.into(),
            block,
            file: std::sync::Arc::default(),
            line: 1,
        };
        let of = |tree: &[Directive]| {
            let settings = settings(tree, &Modules::default());
            (settings.contains_key(CACHE), settings.contains_key(CACHE_STALE))
        };
        let enabled = || one("cacheenable", "disk /", None);
        assert_eq!(of(&[one("proxypass", "/ http://127.0.0.1:8000/", None)]), (false, false));
        assert_eq!(of(&[one("virtualhost", "*:80", Some(vec![enabled()].into()))]), (true, true));
        assert_eq!(of(&[enabled(), one("cachestaleonerror", "off", None)]), (true, false));
    }
}
