//! Which programs are an application, and which never are.

use serde::Deserialize;

use crate::model::ProcessInfo;

/// Lists of program names, from `assets/services.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    not_the_application: Vec<String>,
    not_the_application_words: Vec<String>,
    bystanders: Vec<String>,
    application_servers: Vec<String>,
    runtimes: Vec<String>,
    status: Vec<StatusHelp>,
}

/// How the state of a program's own is opened.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusHelp {
    /// The program: a gateway's kind, or what a process is called.
    pub of: String,
    /// Lines of its configuration. Empty: it offers none.
    pub lines: Vec<String>,
    /// Where they belong, or what is to be had instead.
    pub place: String,
}

impl StatusHelp {
    /// `nginx: put "..." into a server block`.
    pub fn text(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(|line| format!("`{line}`")).collect();
        if lines.is_empty() {
            format!("{}: {}", self.of, self.place)
        } else {
            format!("{}: {} in {}", self.of, lines.join(", "), self.place)
        }
    }
}

impl Services {
    /// How the state of this gateway is opened.
    pub fn status_of(&self, kind: &str) -> Option<&StatusHelp> {
        self.status.iter().find(|help| help.of == kind)
    }

    /// How the state of this application server is opened.
    pub fn status_of_process(&self, process: &ProcessInfo) -> Option<&StatusHelp> {
        self.status.iter().find(|help| runs(&help.of, process))
    }

    /// Whether this process is certainly not the application behind a gateway.
    pub fn never_the_application(&self, process: &ProcessInfo) -> bool {
        let binary = process.exe.as_deref().and_then(|exe| exe.file_name()).map(|name| name.to_string_lossy());
        let named = |name: &String| *name == process.name || binary.as_deref() == Some(name.as_str());
        let hinted = |word: &String| process.argv.iter().any(|arg| arg.to_ascii_lowercase().contains(word.as_str()));
        self.not_the_application.iter().any(named) || self.not_the_application_words.iter().any(hinted)
    }

    /// Whether the kernel's name of a process is that of a program whose end is no application's: a desktop's, a backup's.
    pub fn is_bystander(&self, comm: &str) -> bool {
        self.bystanders.iter().any(|name| name == comm)
    }

    /// Whether something of this name (a unit's, a container's) may serve: it is called as an application server or a runtime is.
    pub fn may_serve(&self, name: &str) -> bool {
        self.application_servers.iter().chain(&self.runtimes).any(|program| name.contains(program.as_str()))
    }

    /// Whether this process is a program that does nothing else than serve applications.
    pub fn application_server(&self, process: &ProcessInfo) -> bool {
        any_runs(&self.application_servers, process)
    }

    /// Whether this process is a program that an application may be written for.
    pub fn may_be_an_application(&self, process: &ProcessInfo) -> bool {
        any_runs(&self.application_servers, process) || any_runs(&self.runtimes, process)
    }
}

fn any_runs(programs: &[String], process: &ProcessInfo) -> bool {
    programs.iter().any(|program| runs(program, process))
}

/// Whether a process is this program, by its own name or by the script that its interpreter runs.
pub fn runs(program: &str, process: &ProcessInfo) -> bool {
    let arg = |arg: &String| arg.rsplit('/').next().is_some_and(|name| name.starts_with(program));
    process.name.starts_with(program) || process.argv.iter().take(2).any(arg)
}
