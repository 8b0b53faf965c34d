//! A gateway's own test of its configuration, where it can change nothing: this program, executed again by
//! [`Rights::config_test`](super::Rights::config_test), which becomes the gateway's binary.
//!
//! Even `nginx -t` creates logs, its pid file and temporary directories, and opens the sockets that it is to listen on. So the
//! child takes a mount namespace of its own in which every file system is read-only, puts throw-away files over those that
//! are opened for writing and throw-away directories over those in which something is made, and takes a network namespace
//! of its own, too, unless names have to be resolved. What it then still tries to write fails, and is a reason to say that
//! the test could not be made, never that it failed.
//!
//! What must not be here: a fallback that runs the test without all of this.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    os::{
        fd::OwnedFd,
        unix::{ffi::OsStringExt as _, fs::MetadataExt as _, process::CommandExt as _},
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::{
    fs::{FileType, Mode, OFlags},
    io::Errno,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags},
};
use serde::{Deserialize, Serialize};

mod confined;

use super::{Way, identity};
use crate::model::Identity;

/// The hidden mode of this program that becomes a gateway's test.
pub const CONFIG_TEST_MODE: &str = "__config-test";
/// The exit status that says: the test was not made, and why stands on standard error. nginx itself ends with 0 or 1.
pub const NOT_MADE: u8 = 97;

/// Bytes of a job: paths of logs, with room.
const JOB_BYTES: u64 = 1 << 20;
/// Bytes of an environment that are read.
const ENVIRONMENT_BYTES: u64 = 256 << 10;
/// Mounts of this host, at most: a node with more than these has no test.
const MOUNTS: usize = 20_000;
/// Entries of a covered directory, at most: each costs a mount.
const ENTRIES: usize = 1_000;
/// What throw-away file systems hold: a few log lines and empty files.
const SCRATCH: &str = "size=4m,nr_inodes=8k";
/// Where the throw-away files are made before they are put in their places. It is a directory on every host, and it is
/// itself again before the test begins.
const WORKSHOP: &str = "/sys";

/// A test to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTestJob {
    /// The binary: an absolute path, or `/proc/PID/exe` for the image that runs.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// As whom. `None`: as root.
    pub identity: Option<Identity>,
    /// The process whose environment and view of the files it gets. `None`: none of its own, and ours.
    pub like: Option<u32>,
    /// Variables that it gets besides: those that its configuration names, where no process has them.
    #[serde(default)]
    pub environment: Vec<(String, String)>,
    /// Files that it opens for writing: covered by empty ones. What is no regular file is left alone.
    pub files: Vec<PathBuf>,
    /// Directories in which it makes something: covered by ones that show the same, read-only.
    pub dirs: Vec<PathBuf>,
    /// The way into the namespaces in which it runs, where they are others than ours.
    #[serde(default)]
    pub way: Option<Way>,
    /// Whether it has no network: it then opens no port of the host, and finds no names but those of the hosts file.
    pub offline: bool,
}

/// What the test said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigTested {
    /// Its exit status. `None`: it was killed.
    pub code: Option<u8>,
    /// Its standard error, up to a bound. Foreign text.
    pub said: String,
}

/// Reads a job from standard input and becomes the test. Returns only when that cannot be done.
#[expect(clippy::print_stderr, reason = "standard error is how the parent is told")]
pub fn serve() -> ExitCode {
    become_test().unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::from(NOT_MADE)
    })
}

fn become_test() -> Result<ExitCode, String> {
    let says = |what: &str| {
        let what = what.to_owned();
        move |error: &dyn std::fmt::Display| format!("{what}: {error}")
    };
    let mut text = Vec::new();
    io::stdin().lock().take(JOB_BYTES).read_to_end(&mut text).map_err(|e| says("reading the job")(&e))?;
    let mut job: ConfigTestJob = serde_json::from_slice(&text).map_err(|e| says("reading the job")(&e))?;
    if !is_gateway(&job.program) {
        return Err(format!("{} is no gateway's program", job.program.display()));
    }
    let environment = job.like.map(environment).unwrap_or_default();
    let way = job.way.as_ref();
    if let Some(way) = way.filter(|way| way.files) {
        let root = format!("/proc/{}/root", way.pid);
        for path in job.files.iter_mut().chain(&mut job.dirs) {
            if let Ok(inside) = path.strip_prefix(&root) {
                *path = Path::new("/").join(inside);
            }
        }
        // Its image is one of its own files, and the numbers of /proc are others there.
        if job.program.starts_with("/proc") {
            job.program = fs::read_link(&job.program).map_err(|e| says("the gateway's binary")(&e))?;
        }
    }
    let strange = way.filter(|way| way.files).map(|way| confined::capabilities(way.pid));
    let strange = strange.transpose().map_err(|e| says("the gateway's capabilities")(&e))?;
    // Our own entry of /proc, for a container's shows other processes.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let us = rustix::fs::open("/proc/self", flags, Mode::empty()).map_err(|e| says("/proc")(&e))?;
    let root = match way {
        Some(way) => {
            let dir = way.open().map_err(|e| says("the gateway's process")(&e))?;
            Some(rustix::fs::openat(&dir, "root", flags, Mode::empty()).map_err(|e| says("the gateway's root")(&e))?)
        }
        None => None,
    };
    if let Some(way) = way.filter(|_| !job.offline) {
        way.enter_net().map_err(|e| says("the gateway's network")(&e))?;
    }
    if let Some(pid) = job.like {
        // A service may have a /tmp of its own (systemd.exec(5), PrivateTmp=).
        let view = fs::File::open(format!("/proc/{pid}/ns/mnt")).map_err(|e| says("the gateway's mounts")(&e))?;
        setns(view, CloneFlags::CLONE_NEWNS).map_err(|e| says("the gateway's mounts")(&e))?;
    }
    if let Some(root) = &root {
        // The copy of the mounts that is made next takes the working directory along (mount_namespaces(7)): by it we come below the
        // gateway's root, and never back to where a write would last.
        rustix::process::fchdir(root).map_err(|e| says("the gateway's root")(&e))?;
    }
    unshare(CloneFlags::CLONE_NEWNS).map_err(|e| says("a mount namespace")(&e))?;
    // Nothing that happens from here on may reach the host's own namespace (mount_namespaces(7)).
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(|e| says("making mounts private")(&e))?;
    if job.offline {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| says("a network namespace")(&e))?;
        // Addresses of the host are not here, and may be bound all the same (ip-sysctl). Where that can't be said, the test
        // fails to bind, and is made again with the network.
        for family in ["ipv4", "ipv6"] {
            let _ = fs::write(format!("/proc/sys/net/{family}/ip_nonlocal_bind"), "1");
        }
    }
    read_only(&us).map_err(|e| says("making mounts read-only")(&e))?;
    if root.is_some() {
        rustix::process::chroot(".").map_err(|e| says("the gateway's root")(&e))?;
    }
    // By it the descriptors of this process are reached, whatever is mounted on /proc.
    rustix::process::fchdir(&us).map_err(|e| says("/proc")(&e))?;
    let mut dirs = job.dirs.clone();
    dirs.sort();
    dirs.dedup();
    for dir in &dirs {
        cover_dir(dir).map_err(|e| says(&format!("covering {}", dir.display()))(&e))?;
    }
    cover_files(&job.files).map_err(|e| says("covering files")(&e))?;

    match strange {
        Some(kept) => confined::prepare(kept).map_err(|e| says("a process id namespace")(&e))?,
        None => confined::bound(!confined::OF_THE_HOST.bits()).map_err(|e| says("giving up capabilities")(&e))?,
    }
    if let Some(identity) = job.identity.as_ref().filter(|identity| identity.uid != 0) {
        identity::assume(identity).map_err(|e| says("becoming the gateway's user")(&e))?;
    }
    identity::die_with_parent().map_err(|e| says("the parent")(&e))?;
    let mut command = Command::new(&job.program);
    command
        .args(&job.args)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(job.environment)
        .envs(environment)
        .current_dir("/")
        .stdin(Stdio::null());
    let ended = if strange.is_some() { confined::run(&mut command) } else { Err(command.exec()) };
    ended.map_err(|error| says(&format!("running {}", job.program.display()))(&error))
}

/// What the names of programs hold that are gateways of a kind that has such a test.
const GATEWAYS: &[&str] = &["nginx", "openresty", "angie", "tengine", "haproxy", "httpd", "apache", "caddy"];

/// Whether a program is one whose test is asked for: whoever asks reads foreign bytes, and is not to have just anything run.
fn is_gateway(program: &Path) -> bool {
    // The image of a process by its link, as the kernel names it.
    let image = program.starts_with("/proc").then(|| fs::read_link(program).ok()).flatten();
    let name = image.as_deref().unwrap_or(program).file_name().map(|name| name.to_string_lossy().to_ascii_lowercase());
    name.is_some_and(|name| GATEWAYS.iter().any(|known| name.contains(known)))
}

/// The environment of a process, as far as it may be read. nginx writes its title over the beginning of it, so what does not
/// look like a variable is left out; `NGINX` and systemd's would hand over sockets that we do not have.
fn environment(pid: u32) -> Vec<(OsString, OsString)> {
    let mut bytes = Vec::new();
    let read = fs::File::open(format!("/proc/{pid}/environ"));
    let _ = read.and_then(|file| file.take(ENVIRONMENT_BYTES).read_to_end(&mut bytes));
    let variable = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (&entry[..at], &entry[at + 1..]);
        let plain = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let first = name.first().is_some_and(|byte| !byte.is_ascii_digit());
        // HAProxy's master tells itself by variables that it was executed again, and then reads nothing (src/haproxy.c).
        let of_master = name.starts_with(b"HAPROXY_MWORKER") || name == b"HAPROXY_PROCESSES";
        let hands_over = of_master || matches!(name, b"NGINX" | b"NOTIFY_SOCKET" | b"LISTEN_FDS" | b"LISTEN_PID" | b"WATCHDOG_PID");
        (plain && first && !hands_over).then(|| (OsString::from_vec(name.to_vec()), OsString::from_vec(value.to_vec())))
    };
    bytes.split(|byte| *byte == 0).filter_map(variable).collect()
}

/// Makes every mount of this namespace read-only.
fn read_only(us: &OwnedFd) -> io::Result<()> {
    let mut text = Vec::new();
    let file = rustix::fs::openat(us, "mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    fs::File::from(file).read_to_end(&mut text)?;
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    if lines.len() > MOUNTS {
        return Err(io::Error::other(format!("there are more than {MOUNTS} mounts")));
    }
    for line in lines {
        let mut fields = line.split(|byte| *byte == b' ').skip(4);
        let (Some(point), Some(options)) = (fields.next(), fields.next()) else { continue };
        let mut flags = MountFlags::BIND | MountFlags::RDONLY;
        for option in options.split(|byte| *byte == b',') {
            flags |= match option {
                b"nosuid" => MountFlags::NOSUID,
                b"nodev" => MountFlags::NODEV,
                b"noexec" => MountFlags::NOEXEC,
                _ => MountFlags::empty(),
            };
        }
        match rustix::mount::mount_remount(Path::new(&unescaped(point)), flags, "") {
            // Another mount lies over it or over the way to it: no path leads there.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A path of mountinfo: blanks and the like are written as `\040` (proc_pid_mountinfo(5)).
fn unescaped(text: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|digits| *byte == b'\\' && digits.iter().all(|digit| (b'0'..=b'7').contains(digit)));
        if let Some(digits) = digits {
            out.push(digits.iter().fold(0_u8, |sum, digit| sum.wrapping_mul(8).wrapping_add(digit - b'0')));
            rest = &after[3..];
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    OsString::from_vec(out)
}

/// Puts a throw-away directory over this one, in which everything is that was there, read-only as it has become.
fn cover_dir(dir: &Path) -> io::Result<()> {
    let original = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let info = fs::metadata(dir)?;
    let inside = PathBuf::from(format!("fd/{}", std::os::fd::AsRawFd::as_raw_fd(&original)));
    let mut entries = Vec::new();
    for entry in fs::read_dir(&inside)? {
        if entries.len() == ENTRIES {
            return Err(io::Error::other(format!("there are more than {ENTRIES} entries")));
        }
        entries.push(entry?);
    }
    let data = format!("{SCRATCH},mode={:o},uid={},gid={}", info.mode() & 0o7777, info.uid(), info.gid());
    mount_scratch(dir, &data)?;
    for entry in entries {
        let (from, to) = (inside.join(entry.file_name()), dir.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else if kind.is_dir() {
            fs::create_dir(&to)?;
            rustix::mount::mount_bind_recursive(&from, &to)?;
        } else {
            fs::File::create_new(&to)?;
            match rustix::mount::mount_bind(&from, &to) {
                Ok(()) => {}
                // It is gone since.
                Err(Errno::NOENT) => fs::remove_file(&to)?,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Puts an empty throw-away file over each of these.
fn cover_files(files: &[PathBuf]) -> io::Result<()> {
    mount_scratch(Path::new(WORKSHOP), SCRATCH)?;
    for (number, path) in files.iter().enumerate() {
        let Ok(info) = rustix::fs::stat(path) else { continue };
        if FileType::from_raw_mode(info.st_mode) != FileType::RegularFile {
            continue;
        }
        let cover = Path::new(WORKSHOP).join(number.to_string());
        fs::File::create_new(&cover)?;
        std::os::unix::fs::chown(&cover, Some(info.st_uid), Some(info.st_gid))?;
        rustix::fs::chmod(&cover, Mode::from_raw_mode(info.st_mode & 0o7777))?;
        rustix::mount::mount_bind(&cover, path)?;
    }
    // The covers stay where they were put.
    Ok(rustix::mount::unmount(WORKSHOP, UnmountFlags::DETACH)?)
}

fn mount_scratch(at: &Path, data: &str) -> io::Result<()> {
    let data = std::ffi::CString::new(data)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    Ok(rustix::mount::mount("why502", at, "tmpfs", flags, data.as_c_str())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gateways_are_tested() {
        for (program, is) in [
            ("/usr/sbin/nginx", true),
            ("/opt/nginx-1.28/sbin/nginx.old", true),
            ("/usr/local/apache2/bin/httpd", true),
            ("/usr/bin/bash", false),
            ("/usr/sbin/nginx/../../bin/bash", false),
            ("/proc/self/exe", false),
        ] {
            assert_eq!(is_gateway(Path::new(program)), is, "{program}");
        }
    }

    #[test]
    fn paths_of_mountinfo_are_read_as_they_are_written() {
        for (written, path) in [("/a", "/a"), (r"/a\040b\011c", "/a b\tc"), (r"/a\134b", r"/a\b"), (r"/a\04", r"/a\04"), ("", "")] {
            assert_eq!(unescaped(written.as_bytes()), OsString::from(path));
        }
    }

    #[test]
    fn sockets_are_not_handed_over_by_the_environment() {
        let mut child = Command::new("sleep")
            .arg("60")
            .env_clear()
            .envs([("NGINX", "6;"), ("LISTEN_FDS", "1"), ("SSL_CERT_DIR", "/etc/a b"), ("1x", "no")])
            .spawn()
            .expect("a process");
        // Between fork and exec it still has our own environment.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        let expected = vec![(OsString::from("SSL_CERT_DIR"), OsString::from("/etc/a b"))];
        while environment(child.id()) != expected && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        let found = environment(child.id());
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert_eq!(found, expected);
    }
}
