//! Which modules a configuration has: linked into the binary, or loaded by `LoadModule`. What `<IfModule>` asks, and why a
//! directive may be unknown.

use std::collections::BTreeSet;

/// Modules whose source file is not `mod_NAME.c`: by their identifier (server/mpm/*, modules/).
const ODD: &[(&str, &str)] = &[
    ("mpm_event_module", "event.c"),
    ("mpm_worker_module", "worker.c"),
    ("mpm_prefork_module", "prefork.c"),
    ("core_module", "core.c"),
    ("http_module", "http_core.c"),
    ("php5_module", "mod_php5.c"),
    ("php7_module", "mod_php7.c"),
    ("php_module", "mod_php.c"),
];

/// Directives that Apache knows only with a module, as far as a gateway needs them: `Invalid command` otherwise.
const OF: &[(&str, &[&str])] = &[
    (
        "proxy_module",
        &[
            "proxypass",
            "proxypassmatch",
            "proxypassreverse",
            "proxypassreversecookiepath",
            "proxypassreversecookiedomain",
            "proxyrequests",
            "proxypreservehost",
            "proxytimeout",
            "proxyerroroverride",
            "proxyiobuffersize",
            "proxyset",
            "proxy",
            "proxymatch",
            "proxyvia",
            "balancermember",
        ],
    ),
    ("rewrite_module", &["rewriteengine", "rewriterule", "rewritecond", "rewritebase", "rewritemap", "rewriteoptions"]),
    (
        "ssl_module",
        &[
            "sslengine",
            "sslcertificatefile",
            "sslcertificatekeyfile",
            "sslproxyengine",
            "sslproxyverify",
            "sslproxycacertificatefile",
            "sslproxycheckpeername",
            "sslproxycheckpeerexpire",
            "sslproxycheckpeercn",
            "sslproxyprotocol",
        ],
    ),
    ("headers_module", &["header", "requestheader"]),
];

/// The modules.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    /// By both of their names: `mod_proxy.c` and `proxy_module`.
    names: BTreeSet<String>,
    /// Whether what is linked in is known: else a directive may be of a module that we can't see.
    complete: bool,
}

impl Modules {
    /// Those of a binary. `None`: it could not be read.
    pub fn linked(linked: Option<&[String]>) -> Self {
        let core = ["core.c", "http_core.c", "mod_so.c"];
        let all = core.into_iter().chain(linked.unwrap_or_default().iter().map(String::as_str));
        Self { names: all.flat_map(|file| [identifier(file), file.to_owned()]).collect(), complete: linked.is_some() }
    }

    /// `LoadModule proxy_module modules/mod_proxy.so`.
    pub fn load(&mut self, identifier: &str) {
        self.names.extend([source_file(identifier), identifier.to_owned()]);
    }

    /// Whether a module is not there. Where even mod_proxy is not, what is read is a part of a configuration, and nothing is said.
    pub fn lacks(&self, identifier: &str) -> bool {
        self.complete && self.has("proxy_module") && !self.has(identifier)
    }

    /// Whether `<IfModule>` finds it: by identifier or by source file.
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// The module without which this directive is unknown. `None`: it is there, or we can't tell.
    pub fn missing_for(&self, directive: &str) -> Option<&'static str> {
        let (module, _) = OF.iter().find(|(_, directives)| directives.contains(&directive))?;
        (self.complete && !self.has(module)).then_some(module)
    }
}

/// `proxy_module` is `mod_proxy.c`.
fn source_file(identifier: &str) -> String {
    match ODD.iter().find(|(known, _)| *known == identifier) {
        Some((_, file)) => (*file).to_owned(),
        None => identifier.strip_suffix("_module").map_or_else(|| identifier.to_owned(), |name| format!("mod_{name}.c")),
    }
}

/// `mod_proxy.c` is `proxy_module`.
fn identifier(source_file: &str) -> String {
    match ODD.iter().find(|(_, file)| *file == source_file) {
        Some((identifier, _)) => (*identifier).to_owned(),
        None => source_file
            .strip_prefix("mod_")
            .and_then(|name| name.strip_suffix(".c"))
            .map_or_else(|| source_file.to_owned(), |name| format!("{name}_module")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_known_by_both_names() {
        let mut modules = Modules::linked(Some(&["mod_log_config.c".to_owned()]));
        modules.load("proxy_module");
        modules.load("mpm_event_module");
        for name in ["proxy_module", "mod_proxy.c", "mpm_event_module", "event.c", "log_config_module", "core.c"] {
            assert!(modules.has(name), "{name}");
        }
        assert!(!modules.has("ssl_module") && !modules.has("mod_gnutls.c"));
        assert_eq!((modules.missing_for("proxypass"), modules.missing_for("sslengine")), (None, Some("ssl_module")));
        assert_eq!(Modules::linked(None).missing_for("sslengine"), None);
        assert!(modules.lacks("proxy_http_module") && !modules.lacks("log_config_module"));
        assert!(!Modules::linked(Some(&[])).lacks("proxy_http_module"), "a part of a configuration tells nothing");
    }
}
