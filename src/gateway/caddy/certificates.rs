//! The files of certificates and keys that a configuration names: Caddy reads them when it loads the configuration, and not again.
//! Those that it gets by itself (ACME) it looks after by itself.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use compact_str::CompactString;

use super::{tree::Directive, value::Value};

/// Of a Caddyfile: `tls CERTIFICATE KEY`, and in its block `load DIRECTORY...` and what clients' certificates are judged by.
pub fn of_tree(tree: &[Directive]) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let sites = tree.iter().filter(|one| one.name != "{").flat_map(Directive::children);
    for tls in sites.filter(|one| one.name == "tls") {
        if let [certificate, key] = &*tls.args {
            add(&mut out, [certificate.as_str(), key.as_str()]);
        }
        for one in tls.children() {
            match one.name.as_str() {
                "load" => add(&mut out, one.args.iter().map(CompactString::as_str)),
                "client_auth" => {
                    for inner in one.children() {
                        match (inner.name.as_str(), &*inner.args) {
                            ("trusted_ca_cert_file" | "trusted_leaf_cert_file", [file]) => add(&mut out, [file.as_str()]),
                            ("trust_pool", [kind, files @ ..]) if kind == "file" => {
                                let inside = inner.children().iter().filter(|one| one.name == "pem_file").flat_map(|one| &one.args);
                                add(&mut out, files.iter().chain(inside).map(CompactString::as_str));
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
    out
}

/// Of JSON: `load_files` and `load_folders` of the app `tls`.
pub fn of_value(value: &Value) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let loaders = value.at("apps").at("tls").at("certificates");
    for pair in loaders.at("load_files").items() {
        add(&mut out, ["certificate", "key"].into_iter().filter_map(|name| pair.at(name).text()));
    }
    add(&mut out, loaders.at("load_folders").texts().iter().map(String::as_str));
    out
}

/// What a placeholder stands for is not known here.
fn add<'a>(out: &mut BTreeSet<PathBuf>, paths: impl IntoIterator<Item = &'a str>) {
    out.extend(paths.into_iter().filter(|path| !path.contains('{')).map(|path| Path::new("/").join(path)));
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::tree, *};

    #[test]
    fn files_are_found_wherever_they_are_named() {
        let shown = |all: BTreeSet<PathBuf>| all.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ");
        let text = "a.test {\n tls /a.pem /a.key\n}\nb.test {\n tls {\n load /certs\n client_auth {\n trust_pool file /ca.pem\n }\n }\n}\nc.test {\n tls internal\n}\nd.test {\n tls me@d.test\n}\ne.test {\n tls {env.CERT} /e.key\n}\n";
        assert_eq!(shown(of_tree(&tree::of_text(Path::new("/c"), text))), "/a.key /a.pem /ca.pem /certs /e.key");
        let json = r#"{"apps":{"tls":{"certificates":{"load_files":[{"certificate":"/a.pem","key":"/a.key"}],"load_folders":["/certs"]}}}}"#;
        assert_eq!(shown(of_value(&Value::parse(json).expect("JSON"))), "/a.key /a.pem /certs");
    }
}
