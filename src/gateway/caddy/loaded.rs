//! What was loaded by the admin API (`POST /load`, `PATCH /config/...`) after the Caddyfile: Caddy then runs what no file of a person's
//! holds, and keeps it in `autosave.json` (caddy.go, unsyncedDecodeAndRun).
//!
//! What must not be here: a Caddyfile that was edited since. That is one that waits for its reload, and is read as it stands.

use std::{collections::BTreeSet, path::Path};

use super::{
    Read,
    instance::{Form, Instance},
};
use crate::{
    model::{Address, Site},
    sys::Root,
};

/// Bytes of a saved configuration that is compared with the files, at most: what somebody loads by hand is small, and that of
/// thousands of sites is not to be read twice at each look.
const BYTES: u64 = 1 << 20;

/// The instance as the admin API left it. `None`: it runs what its files say, or they were changed since.
pub(super) fn by_api(root: &Root, instance: &Instance, read: &Read) -> Option<Instance> {
    let saved = instance.autosave.as_deref().filter(|_| instance.runs() && instance.form == Form::Caddyfile)?;
    let info = root.stat(saved).ok().filter(|info| info.size <= BYTES)?;
    let order = info.modified_order()?;
    // A name that was given to another file shows in its directory, or in the change of its inode.
    let before = |path: &Path| {
        root.lstat(path).is_ok_and(|found| {
            !found.kind.is_symlink()
                && found.changed <= info.modified
                && found.modified_order().is_some_and(|modified| modified < order)
        })
    };
    let files = || read.files.iter().map(|(path, _)| path.as_path());
    let directories: BTreeSet<&Path> =
        files().filter_map(Path::parent).chain(read.watch.iter().map(std::path::PathBuf::as_path)).collect();
    if !read.problems.is_empty() || files().next().is_none() || !files().chain(directories).all(before) {
        return None;
    }
    let (bytes, _) = root.read_at_most(saved, BYTES).ok()?;
    let other = Instance { config: saved.to_owned(), form: Form::Json, ..instance.clone() };
    let saved = super::of_json(&String::from_utf8_lossy(&bytes), &other);
    // Where requests decide, or a part is not understood, what differs is this program's reading.
    (saved.problems.is_empty() && connects(&saved.sites)? != connects(&read.sites)?).then_some(other)
}

/// Where they connect. `None`: requests decide.
fn connects(sites: &[Site]) -> Option<BTreeSet<&Address>> {
    let routes = || sites.iter().flat_map(|site| &site.routes);
    let servers = || routes().flat_map(|route| &route.servers).map(|server| &server.address);
    routes().all(|route| route.dynamic.is_none()).then(|| servers().collect())
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        time::{Duration, SystemTime},
    };

    use super::super::{
        super::tests::tree as files,
        look,
        tests::{init, only, process},
    };
    use crate::gateway::Overrides;

    const SAVED: &str = "/var/lib/caddy/.config/caddy/autosave.json";

    #[test]
    fn what_the_admin_api_loaded_is_what_runs() {
        let json = r#"{"apps":{"http":{"servers":{"s":{"listen":[":80"],"routes":[{"handle":[{"handler":"reverse_proxy","upstreams":[{"dial":"127.0.0.1:9000"}]}]}]}}}}}"#;
        let (dir, root) = files(&[
            ("/etc/caddy/Caddyfile", "http:// {\nreverse_proxy 127.0.0.1:8000\n}\n"),
            ("/proc/7/environ", "HOME=/var/lib/caddy\0"),
            (SAVED, json),
        ]);
        let connects = || {
            let caddy = process(7, &["caddy", "run", "--config", "/etc/caddy/Caddyfile"]);
            let gateway = only(look(&root, Some(&[init(), caddy]), &Overrides::default()));
            let to = gateway.routes().flat_map(|(_, route)| &route.servers).map(|server| server.address.to_string()).collect();
            (gateway.config.display().to_string(), to)
        };
        let at = |path: &str, seconds: u64| {
            let file = File::options().write(true).open(dir.path().join(path.trim_start_matches('/'))).expect("file");
            file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("time");
        };
        at(SAVED, 60);
        assert_eq!(connects(), (SAVED.to_owned(), vec!["127.0.0.1:9000".to_owned()]));
        at("/etc/caddy/Caddyfile", 120);
        let edited = ("/etc/caddy/Caddyfile".to_owned(), vec!["127.0.0.1:8000".to_owned()]);
        assert_eq!(connects(), edited, "it waits for its reload");
        at("/etc/caddy/Caddyfile", 0);
        std::fs::write(dir.path().join(SAVED.trim_start_matches('/')), json.replace("9000", "8000")).expect("file");
        at(SAVED, 60);
        assert_eq!(connects(), edited, "it says the same");
    }
}
