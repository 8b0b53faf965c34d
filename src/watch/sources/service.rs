//! Which processes belong together: the master, its workers, and who supervises them.

use std::collections::{BTreeMap, VecDeque};

use super::units::words_name;
use crate::model::{Address, LogOwner, Order as _, OwnerRole, ProcessInfo, Subject};

/// Processes of one service that are looked into, at most: workers share what their master opened.
const MEMBERS: usize = 24;
/// Services, at most: a gateway with more applications on its own host is a platform, whose logs lie elsewhere.
pub(in crate::watch) const SERVICES: usize = 48;
/// Parents that are followed up, at most.
const PARENTS: usize = 8;
/// Supervisors that write their children's output to files of their own: supervisord(8), runit's and s6's loggers, pm2
/// (which calls itself `PM2 v5.3.0: God Daemon (/root/.pm2)`), systemd's container manager.
const SUPERVISORS: &[&str] = &["supervisord", "runsv", "s6-supervise", "circusd", "honcho", "foreman", "PM2", "monit", "immortal"];

/// Programs that serve applications: one of them whose command line names an address is taken for its owner where the owner may not
/// be seen. Others (an editor, a curl) only speak of it.
const APPLICATION_SERVERS: &[&str] = &[
    "gunicorn",
    "uwsgi",
    "uvicorn",
    "hypercorn",
    "daphne",
    "waitress",
    "granian",
    "puma",
    "unicorn",
    "thin",
    "node",
    "deno",
    "bun",
    "java",
    "python",
    "ruby",
    "php",
    "dotnet",
    "mix",
    "beam",
];

/// Shells that run what others wrote.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh"];

/// Processes that make one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::watch) struct Service {
    /// What it is to the request.
    pub(in crate::watch) role: OwnerRole,
    /// The master.
    pub(in crate::watch) lead: ProcessInfo,
    /// The master, its children, and at the end who supervises them.
    pub(in crate::watch) members: Vec<ProcessInfo>,
    /// The upstreams that it is.
    pub(in crate::watch) serves: Vec<Subject>,
    /// Whether it runs; otherwise it is what a unit's file would start.
    pub(in crate::watch) runs: bool,
}

impl Service {
    /// `gunicorn (811)`, or `gunicorn of app.service` where it does not run.
    pub(in crate::watch) fn name(&self) -> String {
        match (self.runs, self.lead.unit()) {
            (true, _) => format!("{} ({})", self.lead.name, self.lead.pid),
            (false, Some(unit)) => format!("{} of {unit}", self.lead.name),
            (false, None) => self.lead.name.clone(),
        }
    }

    /// Whether a program of this name leads it: by its own word, or by what it was started as.
    pub(in crate::watch) fn is(&self, program: &str) -> bool {
        // A title may have blanks and slashes behind the name: `puma 6.0.0 (tcp://0.0.0.0:9292) [app]`.
        let base = |arg: &String| {
            let word = arg.split([' ', ':']).next().unwrap_or_default();
            word.rsplit('/').next().unwrap_or_default().starts_with(program)
        };
        self.lead.name.starts_with(program) || self.lead.argv.iter().take(3).any(base)
    }

    /// The value of the first of these options on the command line: `--option value`, `--option=value`.
    pub(in crate::watch) fn option(&self, names: &[&str]) -> Option<&str> {
        let argv = &self.lead.argv;
        argv.iter().enumerate().find_map(|(at, arg)| {
            names.iter().find_map(|name| {
                let rest = arg.strip_prefix(name)?;
                match rest.strip_prefix('=') {
                    Some(value) if name.starts_with("--") => Some(value),
                    _ if rest.is_empty() => argv.get(at + 1).map(String::as_str),
                    _ => None,
                }
            })
        })
    }
}

/// The services of these owners, those of gateways first, each once.
pub(in crate::watch) fn services(processes: &[ProcessInfo], owners: &[LogOwner]) -> Vec<Service> {
    let by_pid: BTreeMap<u32, &ProcessInfo> = processes.iter().map(|process| (process.pid, process)).collect();
    let mut children: BTreeMap<u32, Vec<&ProcessInfo>> = BTreeMap::new();
    for process in processes {
        children.entry(process.ppid).or_default().push(process);
    }
    let mut owners: Vec<&LogOwner> = owners.iter().collect();
    owners.order_by_key(|owner| (owner.role, owner.pid));
    let mut out: Vec<Service> = Vec::new();
    for owner in owners {
        let Some(process) = by_pid.get(&owner.pid).filter(|_| out.len() < SERVICES) else { continue };
        let lead = master(process, &by_pid);
        if let Some(known) = out.iter_mut().find(|service| service.lead.pid == lead.pid) {
            known.serves.extend(owner.serves.iter().filter(|one| !known.serves.contains(one)).cloned().collect::<Vec<_>>());
            continue;
        }
        let mut members = vec![lead.clone()];
        let mut waiting: VecDeque<u32> = VecDeque::from([lead.pid]);
        while let Some(pid) = waiting.pop_front() {
            for child in children.get(&pid).into_iter().flatten() {
                if members.len() < MEMBERS {
                    members.push((*child).clone());
                    waiting.push_back(child.pid);
                }
            }
        }
        members.extend(supervisor(lead, &by_pid).cloned());
        out.push(Service { role: owner.role, lead: lead.clone(), members, serves: owner.serves.clone(), runs: true });
    }
    out
}

/// Who would listen on these addresses by its own command line.
pub(in crate::watch) fn by_address(processes: &[ProcessInfo], addresses: &[Address]) -> Vec<LogOwner> {
    let known = |word: &str| {
        let base = word.rsplit('/').next().unwrap_or_default();
        APPLICATION_SERVERS.iter().any(|server| base.starts_with(server))
    };
    let serves = |process: &&ProcessInfo| {
        // A shell that starts it again whenever it ends holds its log meanwhile.
        let shell = SHELLS.contains(&process.name.as_str());
        let script = || process.argv.iter().any(|arg| arg.split_ascii_whitespace().any(known));
        known(&process.name) || process.argv.iter().take(2).any(|arg| known(arg)) || shell && script()
    };
    let owner = |process: &ProcessInfo| {
        let named = addresses.iter().filter(|address| words_name(&process.argv, address));
        let serves: Vec<Subject> = named.map(|address| Subject(address.to_string())).collect();
        (!serves.is_empty()).then_some(LogOwner { pid: process.pid, role: OwnerRole::Upstream, serves })
    };
    let candidates = processes.iter().filter(|process| !addresses.is_empty() && serves(process));
    candidates.filter_map(owner).take(SERVICES).collect()
}

/// The uppermost parent that is of the same program.
fn master<'a>(process: &'a ProcessInfo, by_pid: &BTreeMap<u32, &'a ProcessInfo>) -> &'a ProcessInfo {
    let mut lead = process;
    for _ in 0..PARENTS {
        let same = |parent: &&&ProcessInfo| {
            let program = parent.name == lead.name || parent.exe.is_some() && parent.exe == lead.exe;
            // An interpreter is not yet the same program: supervisord and gunicorn are both python3.
            let words = |process: &ProcessInfo| process.argv.iter().take(2).cloned().collect::<Vec<_>>();
            let titled = |process: &ProcessInfo| process.argv.len() <= 1;
            parent.pid > 1 && program && (parent.name == lead.name || words(parent) == words(lead) || titled(parent))
        };
        match by_pid.get(&lead.ppid).filter(same).filter(|parent| !supervises(parent)) {
            Some(parent) => lead = parent,
            None => break,
        }
    }
    lead
}

fn supervises(process: &ProcessInfo) -> bool {
    SUPERVISORS.iter().any(|name| process.name.starts_with(name) || process.argv.first().is_some_and(|arg| arg.starts_with(name)))
}

/// The nearest parent that supervises.
fn supervisor<'a>(lead: &ProcessInfo, by_pid: &BTreeMap<u32, &'a ProcessInfo>) -> Option<&'a ProcessInfo> {
    let mut pid = lead.ppid;
    for _ in 0..PARENTS {
        let parent = by_pid.get(&pid)?;
        if supervises(parent) {
            return Some(parent);
        }
        pid = parent.ppid;
    }
    None
}

#[cfg(test)]
pub(in crate::watch) mod tests {
    use super::*;
    use crate::model::Identity;

    /// A process of this command line, whose name is that of its first word.
    pub(in crate::watch) fn process(pid: u32, ppid: u32, argv: &[&str]) -> ProcessInfo {
        let name = argv[0].rsplit('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
        ProcessInfo {
            pid,
            ppid,
            name: name.chars().take(15).collect(),
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            exe: None,
            identity: Identity { name: "app".into(), uid: 1000, gid: 1000, groups: Vec::new() },
            started: None,
            start_ticks: None,
            state: 'S',
            cgroup: None,
            cwd: None,
            net_ns: None,
            threads: 1,
        }
    }

    /// A service of one process.
    pub(in crate::watch) fn service(argv: &[&str]) -> Service {
        let lead = process(811, 1, argv);
        Service { role: OwnerRole::Upstream, members: vec![lead.clone()], lead, serves: Vec::new(), runs: true }
    }

    #[test]
    fn a_worker_leads_to_its_master_its_siblings_and_its_supervisor() {
        let list = [
            process(1, 0, &["systemd"]),
            process(50, 1, &["supervisord", "-n"]),
            process(60, 50, &["gunicorn", "app:app"]),
            process(61, 60, &["gunicorn", "app:app"]),
            process(62, 60, &["gunicorn", "app:app"]),
            process(70, 50, &["celery"]),
        ];
        let owner = |pid| LogOwner { pid, role: OwnerRole::Upstream, serves: vec![Subject(format!("127.0.0.1:{pid}"))] };
        let found = services(&list, &[owner(62), owner(61), owner(9)]);
        assert_eq!(found.len(), 1, "two workers of one service, and one that has ended");
        assert_eq!(found[0].members.iter().map(|member| member.pid).collect::<Vec<_>>(), [60, 61, 62, 50]);
        assert_eq!(found[0].name(), "gunicorn (60)");
        assert_eq!(found[0].serves.len(), 2, "it is whatever its workers are");
    }

    #[test]
    fn an_owner_that_may_not_be_seen_is_known_by_its_command_line() {
        let list = [
            process(7, 1, &["/usr/bin/python3", "/usr/bin/gunicorn", "-b", "127.0.0.1:8000", "a:b"]),
            process(8, 1, &["curl", "http://127.0.0.1:8000/"]),
            process(9, 1, &["node", "app.js", "--port=18000"]),
            process(10, 1, &["bash", "-c", "while :; do node site.js '127.0.0.1:8000'; sleep 1; done"]),
            process(11, 1, &["bash", "-c", "curl -s http://127.0.0.1:8000/"]),
        ];
        let found = by_address(&list, &["127.0.0.1:8000".parse().expect("address")]);
        let owner = |pid| LogOwner { pid, role: OwnerRole::Upstream, serves: vec![Subject("127.0.0.1:8000".into())] };
        assert_eq!(found, [owner(7), owner(10)]);
    }

    #[test]
    fn a_parent_loop_ends() {
        let list = [process(5, 6, &["a"]), process(6, 5, &["a"])];
        assert_eq!(services(&list, &[LogOwner { pid: 5, role: OwnerRole::Gateway, serves: Vec::new() }]).len(), 1);
    }

    #[test]
    fn options_are_read_in_both_ways() {
        let service = service(&["/usr/bin/python3", "/usr/bin/gunicorn", "-c", "a.py", "--error-logfile=/x", "--log-file", "/y"]);
        assert_eq!(service.option(&["-c", "--config"]), Some("a.py"));
        assert_eq!(service.option(&["--error-logfile"]), Some("/x"));
        assert_eq!(service.option(&["--log-file"]), Some("/y"));
        assert_eq!(service.option(&["--log"]), None, "no part of another option");
        assert!(service.is("gunicorn") && !service.is("uwsgi"));
    }
}
