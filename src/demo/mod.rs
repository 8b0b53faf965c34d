//! Layer 2: a real small gateway on loopback, broken on purpose, to try the console on and to practise on.
//!
//! Everything is this program executed again, in modes that the command line does not name ([`Mode`]): a gateway with
//! nginx's process titles, configuration, logs and error pages (`master`, `worker`, `proxy`), the application behind it
//! (`application`), and one that clears up (`janitor`). `stage` starts them in a private directory (`place`) and heals what
//! `fault` says is broken. The console finds the gateway as it finds any nginx: nothing of the demo is told to it.
//!
//! Each child reads a pipe whose other end only the starter holds (`lifeline`), so that they all go when it goes, even by
//! SIGKILL. Unlike the collectors, the demo is a part of the observed world: it has sockets, files and processes of its own,
//! all of them below its directory and on 127.0.0.1.
//!
//! What must not be here: a look at anything else on the host; an address that is not loopback, unless a person writes one
//! into the demo's own configuration.
//!
//! To add a fault: one entry in [`FAULTS`], and what it breaks that nothing could break before in `application` or `stage`.
//! `tests/demo.rs` walks the table.

mod access;
mod application;
mod fault;
mod janitor;
mod lifeline;
mod log;
mod master;
mod page;
mod place;
mod proxy;
mod render;
mod request;
mod stage;
mod tls;
mod traffic;
mod upstream;
mod worker;

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::ExitCode,
};

use futures_util::future::BoxFuture;

pub use fault::{FAULTS, Fault, by_id};
pub use stage::{Stage, StageError};

use crate::model::Gateway;

/// The first argument of the application's mode.
const APPLICATION: &str = "__demo-application";
/// The first argument of the mode that clears up.
const JANITOR: &str = "__demo-janitor";
/// nginx makes one text of its arguments, behind this (`ngx_setproctitle`).
const MASTER_TITLE: &str = "nginx: master process ";
/// What nginx calls its workers.
const WORKER_TITLE: &str = "nginx: worker process";
/// The name of the gateway's program in the demo's directory, as which a person can run it too.
const NGINX: &str = "nginx";
/// What the gateway calls itself: a real version's behaviour (invalid upstream headers are fatal since 1.23.0), by its demo.
const SERVER: &str = "nginx/1.26.3-demo";

/// One gateway: what it runs and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its program.
    pub program: PathBuf,
    /// Its main configuration file.
    pub config: PathBuf,
    /// What relative paths are relative to.
    pub prefix: PathBuf,
}

impl Instance {
    /// The title of its master process.
    pub fn title(&self) -> String {
        format!("{MASTER_TITLE}{} -c {} -p {}", self.program.display(), self.config.display(), self.prefix.display())
    }

    fn of_title(title: &str) -> Option<Self> {
        let (program, rest) = title.strip_prefix(MASTER_TITLE)?.split_once(" -c ")?;
        let (config, prefix) = rest.split_once(" -p ")?;
        Some(Self { program: program.into(), config: config.into(), prefix: prefix.into() })
    }

    /// Where its pid is written.
    fn pid_file(&self) -> PathBuf {
        self.prefix.join("nginx.pid")
    }
}

/// Reads an instance's configuration, as the console would. The reader of configurations is a neighbour of this module, so it
/// is handed in from above. `None`: nothing could be read at all.
pub type Load = fn(Instance) -> BoxFuture<'static, Option<Gateway>>;

/// What this process is to be, instead of the program that a person started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// The gateway's master process.
    Master(Instance),
    /// Its worker; what it serves comes through descriptors.
    Worker,
    /// The gateway's program as a person runs it: `nginx -t -c FILE`.
    Nginx(Vec<String>),
    /// The application: where it listens, and how it behaves.
    Application(Vec<String>),
    /// Removes this directory when the starter has gone.
    Janitor(PathBuf),
}

/// The mode that a command line asks for, of the program that lies at `exe`. `None`: it is a person's.
pub fn mode(args: impl IntoIterator<Item = OsString>, exe: Option<&Path>) -> Option<Mode> {
    let mut args = args.into_iter();
    let zeroth = args.next()?;
    let title = zeroth.to_str().unwrap_or_default();
    if title == WORKER_TITLE {
        return Some(Mode::Worker);
    }
    if let Some(instance) = Instance::of_title(title) {
        return Some(Mode::Master(instance));
    }
    let text = |arg: OsString| arg.to_string_lossy().into_owned();
    // Whoever runs it as /proc/PID/exe names it by nothing but where it lies.
    if [Some(Path::new(&zeroth)), exe].iter().flatten().any(|path| path.file_name() == Some(OsStr::new(NGINX))) {
        return Some(Mode::Nginx(args.map(text).collect()));
    }
    match args.next()?.to_str()? {
        APPLICATION => Some(Mode::Application(args.map(text).collect())),
        JANITOR => args.next().map(|dir| Mode::Janitor(dir.into())),
        _ => None,
    }
}

/// Is what the mode says until the end.
pub fn serve(mode: Mode, load: Load) -> ExitCode {
    match mode {
        Mode::Master(instance) => master::serve(instance, load),
        Mode::Worker => worker::serve(),
        Mode::Nginx(words) => master::command(&words, load),
        Mode::Application(words) => application::serve(&words),
        Mode::Janitor(dir) => janitor::serve(&dir),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_told_from_what_people_type() {
        let of = |words: &[&str]| mode(words.iter().map(OsString::from), Some(Path::new("/usr/bin/why502")));
        let instance = Instance { program: "/d/nginx".into(), config: "/d/nginx.conf".into(), prefix: "/d".into() };
        assert_eq!(of(&[&instance.title()]), Some(Mode::Master(instance)));
        assert_eq!(of(&["nginx: worker process"]), Some(Mode::Worker));
        assert_eq!(of(&["/d/nginx", "-t"]), Some(Mode::Nginx(vec!["-t".to_owned()])));
        let by_exe = mode(["/proc/1/exe", "-t"].map(OsString::from), Some(Path::new("/d/nginx")));
        assert_eq!(by_exe, Some(Mode::Nginx(vec!["-t".to_owned()])));
        assert_eq!(of(&["why502", JANITOR, "/d"]), Some(Mode::Janitor("/d".into())));
        for words in [&["why502"][..], &["why502", "demo"], &["why502", "check", "nginx"], &[]] {
            assert_eq!(of(words), None, "{words:?}");
        }
    }
}
