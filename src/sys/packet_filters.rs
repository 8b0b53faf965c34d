//! The rules of the host's packet filters, listed by their own tools: a closed set of programs with fixed arguments, run as root
//! only, with a clean environment, and only where the part of the kernel that they ask is there already: a tool that lists an empty
//! table would load it, which is a change of the host.

pub(super) mod redirects;

use std::{io, path::PathBuf, process::Command};

pub use redirects::of as redirects;

use super::{
    Root,
    broker::{self, Task},
    helper::{self, Whole},
};

/// Bytes of a listing that are read. More rules than fit here (a cluster's node has some ten thousand) are not evaluated, and that
/// is said.
const LISTING_BYTES: u64 = 8 << 20;
/// Where such tools are: never looked for in a PATH that somebody else made.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin"];

/// Who lists rules, and in which format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterTool {
    /// nft(8), as JSON (libnftables-json(5)).
    Nft,
    /// iptables-save(8) with counters.
    Iptables,
    /// The same for IPv6.
    Ip6tables,
}

impl FilterTool {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Iptables => "iptables",
            Self::Ip6tables => "ip6tables",
        }
    }
}

/// What one tool listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRules {
    /// Who listed it.
    pub tool: FilterTool,
    /// The listing.
    pub text: String,
}

/// Which part of the kernel a tool asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// nf_tables.
    Tables,
    /// The older ip_tables; the file names the tables that exist.
    Legacy(&'static str),
}

/// Each tool: its names, of which the first that is installed is run, its arguments, and what must be there.
const TOOLS: &[(FilterTool, &[&str], &[&str], Kernel)] = &[
    (FilterTool::Nft, &["nft"], &["-j", "list", "ruleset"], Kernel::Tables),
    (FilterTool::Iptables, &["iptables-nft-save"], &["-c"], Kernel::Tables),
    (FilterTool::Ip6tables, &["ip6tables-nft-save"], &["-c"], Kernel::Tables),
    (FilterTool::Iptables, &["iptables-legacy-save", "iptables-save"], &["-c"], Kernel::Legacy("/proc/net/ip_tables_names")),
    (FilterTool::Ip6tables, &["ip6tables-legacy-save", "ip6tables-save"], &["-c"], Kernel::Legacy("/proc/net/ip6_tables_names")),
];

/// Lists all rules. An error: this is not to be had here.
pub(super) async fn read(root: &Root) -> io::Result<Vec<FilterRules>> {
    if !root.is_host() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let runs = TOOLS.iter().enumerate().filter(|(_, (.., kernel))| loaded(root, *kernel)).map(
        |(number, (tool, names, _, kernel))| async move {
            match installed(names) {
                Some(_) => {
                    let listed = helper::answer(Task::Filter(number), LISTING_BYTES, Whole::All).await;
                    let listed = listed.map_err(|error| match error.kind() {
                        io::ErrorKind::FileTooLarge => io::Error::new(error.kind(), "there are more rules than are read"),
                        _ => error,
                    });
                    listed.map(|text| Some(FilterRules { tool: *tool, text }))
                }
                // One reader of nf_tables is enough; of the others there is nothing else to ask.
                None if *tool == FilterTool::Nft || *kernel != Kernel::Tables => Err(io::ErrorKind::NotFound.into()),
                None => Ok(None),
            }
        },
    );
    let mut found = Vec::new();
    let mut missing = None;
    for listed in futures_util::future::join_all(runs).await {
        match listed {
            Ok(rules) => found.extend(rules),
            Err(error) => missing = Some(error),
        }
    }
    match missing {
        Some(error) if found.is_empty() => Err(error),
        _ => Ok(found),
    }
}

fn loaded(root: &Root, kernel: Kernel) -> bool {
    match kernel {
        Kernel::Tables => {
            let modules = root.text("/proc/modules").unwrap_or_default();
            // What is built in stands in no list of modules; then nothing can be loaded by asking, either.
            modules.is_empty() || modules.lines().any(|line| line.starts_with("nf_tables ")) || built_in(root)
        }
        Kernel::Legacy(names) => root.text(names).is_ok_and(|text| !text.trim().is_empty()),
    }
}

/// Whether nf_tables is part of the kernel itself: then its logger's settings are there, and it is in no list.
fn built_in(root: &Root) -> bool {
    root.stat("/sys/module/nf_tables".as_ref()).is_ok()
}

fn installed(names: &[&str]) -> Option<PathBuf> {
    broker::first_of(names.iter().flat_map(|name| FOLDERS.iter().map(move |folder| PathBuf::from(folder).join(name)))).ok()
}

/// The tool of this number, with its arguments.
pub(super) fn command(number: usize) -> io::Result<Command> {
    let (_, names, arguments, _) = TOOLS.get(number).ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(installed(names).ok_or(io::ErrorKind::NotFound)?);
    command.args(*arguments).env_clear();
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn another_root_has_no_rules_to_be_listed() {
        let dir = tempfile::tempdir().expect("directory");
        assert_eq!(read(&Root::below(dir.path())).await.expect_err("no host").kind(), io::ErrorKind::Unsupported);
    }
}
