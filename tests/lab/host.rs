//! A throw-away host: own processes, mounts, network and name by `unshare`, made up by `host.sh`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::scenario::{Scenario, Way};

/// Seconds after which a host is ended, whatever it does: set-up, traffic and two rounds of `check` take below 20, on a machine of its own.
const HOST_S: u32 = 240;
/// Seconds after which `check` is ended: above its own ten, so that a `check` that overruns is seen as such.
const CHECK_S: u32 = 20;
/// Where programs are looked for in a host: Debian's own, and behind them the caller's, for a node from elsewhere.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What a host left behind.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Where its files are.
    pub(crate) directory: PathBuf,
}

impl Seen {
    /// A file that it left: `url.json`, `bare.stderr`, ... Empty where there is none.
    pub(crate) fn text(&self, way: Way, what: &str) -> String {
        fs::read_to_string(self.directory.join(format!("{}.{what}", way.word()))).unwrap_or_default()
    }
}

/// What the lab needs and this machine lacks, each with its remedy.
pub(crate) fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    let path = path();
    let there = |program: &&str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    let programs = [
        "nginx", "gunicorn", "node", "python3", "curl", "ip", "ss", "pgrep", "setpriv", "unshare", "timeout", "dnsmasq", "openssl",
    ];
    let absent: Vec<_> = programs.into_iter().filter(|program| !there(program)).collect();
    if !absent.is_empty() {
        missing.push(format!("no {} (`tests/run` as root installs what is missing)", absent.join(", ")));
    }
    let fpm = fs::read_dir("/usr/sbin")
        .is_ok_and(|dir| dir.filter_map(Result::ok).any(|entry| entry.file_name().to_string_lossy().starts_with("php-fpm")));
    if !fpm {
        missing.push("no php-fpm (`tests/run` as root installs it)".to_owned());
    }
    let mut namespaces = unshare();
    namespaces.args(["mount", "-t", "tmpfs", "lab", "/media"]).stdin(Stdio::null());
    match namespaces.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', ", ");
            missing.push(format!("no namespaces of its own ({why}): it needs root, and in a container --privileged"));
        }
        Err(error) => missing.push(format!("unshare: {error}")),
    }
    missing
}

fn path() -> String {
    format!("{PATH}:{}", std::env::var("PATH").unwrap_or_default())
}

/// The command that runs what follows in namespaces of its own, and ends all of it when it ends itself.
fn unshare() -> Command {
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", &HOST_S.to_string()]);
    command.args(["unshare", "--pid", "--mount", "--net", "--uts", "--fork", "--kill-child", "--mount-proc", "--"]);
    // Nothing of the caller's session gets in: proxies, locales, cargo's own variables.
    command.env_clear().env("PATH", path()).env("HOME", "/root").env("LANG", "C.UTF-8");
    // What `check` keeps from one run to the next is kept for this host alone.
    command.env("XDG_STATE_HOME", "/media/lab/state");
    command
}

/// `target/lab`, wherever the target directory is.
fn results() -> PathBuf {
    let writable = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // That is `tmp` in the target directory, or in a target triple's folder there; cargo tags both, the outer one last.
    writable.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last().unwrap_or(writable).join("lab")
}

/// Runs a scenario in a host of its own. An error: the set-up failed, or the fault is not what the scenario says.
pub(crate) fn run(scenario: &Scenario, only_faults: bool) -> Result<Seen, String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab");
    let results = results();
    let directory = results.join(&scenario.name);
    // What an earlier run left must not be taken for this one's.
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
    let setup = directory.join("setup.sh");
    fs::write(&setup, &scenario.setup).map_err(|e| format!("{}: {e}", setup.display()))?;

    let built = || env!("CARGO_BIN_EXE_why502").into();
    let program = if only_faults { "".into() } else { std::env::var_os("LAB_PROGRAM").unwrap_or_else(built) };
    let ways: Vec<_> = scenario.ways.iter().map(|way| way.word()).collect();
    let output = unshare()
        .arg("bash")
        .arg(tools.join("host.sh"))
        .env("LAB_TOOLS", &tools)
        .env("LAB_OUT", &directory)
        .env("LAB_PROGRAM", program)
        .env("LAB_URL", &scenario.url)
        .env("LAB_STATUS", scenario.status.join(" "))
        .env("LAB_OPTIONS", scenario.options.join(" "))
        .env("LAB_USER", &scenario.user)
        .env("LAB_TRIES", scenario.tries.to_string())
        .env("LAB_TRAFFIC", scenario.traffic.to_string())
        .env("LAB_WAYS", ways.join(" "))
        .env("LAB_WITHIN_MS", scenario.within_ms.to_string())
        .env("LAB_DEADLINE_S", CHECK_S.to_string())
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("unshare: {e}"))?;
    for way in &scenario.ways {
        let name = match way {
            Way::Url => format!("{}.json", scenario.name),
            Way::Bare => format!("{}.bare.json", scenario.name),
        };
        let _ = fs::copy(directory.join(format!("{}.json", way.word())), results.join(name));
    }
    if output.status.success() {
        return Ok(Seen { directory });
    }
    Err(format!(
        "{}: {}\n  the host ended with {}\n  {}\n  its files: {}",
        scenario.name,
        scenario.why,
        output.status,
        String::from_utf8_lossy(&output.stderr).trim().replace('\n', "\n  "),
        directory.display()
    ))
}
