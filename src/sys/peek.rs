//! What of a process is shown only to those who may trace it (ptrace(2), PTRACE_MODE_READ; proc(5)): where its links lead, what it has
//! open, its environment, what it waits for. This process has given that up, and what is confined by Landlock may not do so at all
//! (landlock(7)), whatever its capabilities: it is the broker's. Without a broker the same is done here.
//!
//! Nothing here is read for its meaning, so that the broker can do it; what may wait for a disk is told from what cannot.
//!
//! What must not be here: what writes, or what stops a process.
//!
//! To add an entry: a variant of [`Entry`] with its name in [`NAMES`].

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::ffi::OsStringExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self, Mode, OFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{Root, broker, written::Opened};

/// Entries of one request: with the numbers of their processes they stay far below what it may take.
const TOGETHER: usize = 1_500;
/// Bytes of what is read for who asks, at most: a line.
const TEXT_BYTES: u64 = 4 << 10;

/// An entry of /proc/PID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The program that it executes.
    Exe,
    /// Its working directory.
    Cwd,
    /// Its root.
    Root,
    /// Its network.
    Net,
    /// Its mounts.
    Mounts,
    /// With what environment it was started.
    Environ,
    /// In which system call it is.
    Syscall,
    /// Where in the kernel it waits.
    Wchan,
    /// A descriptor.
    #[serde(rename = "d")]
    Descriptor(u32),
    /// How that was opened.
    #[serde(rename = "i")]
    DescriptorInfo(u32),
}

/// The entries that are there once.
const NAMES: [(&str, Entry); 8] = [
    ("exe", Entry::Exe),
    ("cwd", Entry::Cwd),
    ("root", Entry::Root),
    ("ns/net", Entry::Net),
    ("ns/mnt", Entry::Mounts),
    ("environ", Entry::Environ),
    ("syscall", Entry::Syscall),
    ("wchan", Entry::Wchan),
];

impl Entry {
    /// By its path below /proc/PID. `None`: it is none of these.
    fn named(path: &Path) -> Option<Self> {
        let path = path.to_str()?;
        let number = |dir: &str| path.strip_prefix(dir)?.parse().ok();
        let fixed = || NAMES.iter().find(|(name, _)| *name == path).map(|(_, entry)| *entry);
        fixed().or_else(|| number("fd/").map(Self::Descriptor)).or_else(|| number("fdinfo/").map(Self::DescriptorInfo))
    }

    fn name(self) -> Cow<'static, str> {
        match self {
            Self::Descriptor(number) => format!("fd/{number}").into(),
            Self::DescriptorInfo(number) => format!("fdinfo/{number}").into(),
            Self::Exe | Self::Cwd | Self::Root | Self::Net | Self::Mounts | Self::Environ | Self::Syscall | Self::Wchan => {
                NAMES.iter().find(|(_, entry)| *entry == self).map_or("", |(name, _)| *name).into()
            }
        }
    }

    pub(super) fn path(self, pid: u32) -> String {
        format!("/proc/{pid}/{}", self.name())
    }

    /// Whether the kernel asks who reads it, rather than who has opened it.
    fn is_of_reader(self) -> bool {
        matches!(self, Self::Syscall | Self::Wchan)
    }
}

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Peek {
    /// The texts of links.
    Links(Vec<(u32, Vec<Entry>)>),
    /// How descriptors were opened, and what they lead to, as JSON.
    Opened(Vec<(u32, Vec<u32>)>),
    /// What a file says.
    Text(u32, Entry),
    /// What an entry leads to, opened for reading.
    Open(u32, Entry),
    /// The same, opened for no more than to be told what it is, and to go on from there.
    Place(u32, Entry),
    /// The root of the process whose directory of /proc comes along: another process may have its number by now.
    Root,
}

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) text: Vec<u8>,
    pub(super) opened: Option<OwnedFd>,
}

impl Peek {
    /// Whether it can wait for a file system: a link is told by the kernel alone.
    pub(super) fn may_hang(&self) -> bool {
        !matches!(self, Self::Links(_))
    }

    /// Looks, with the rights of this process. `dir`: what comes along.
    pub(super) fn look(&self, dir: Option<BorrowedFd<'_>>) -> io::Result<Seen> {
        let opened = |opened: OwnedFd| Seen { opened: Some(opened), ..Seen::default() };
        match self {
            Self::Links(links) => {
                let all = links.iter().flat_map(|(pid, entries)| entries.iter().map(|entry| entry.path(*pid)));
                Ok(Seen { text: all.flat_map(|path| Told::of(fs::readlink(path, Vec::new())).0).collect(), opened: None })
            }
            Self::Opened(descriptors) => {
                let root = Root::host();
                let all = descriptors.iter().flat_map(|(pid, numbers)| numbers.iter().map(|number| (*pid, *number)));
                let opened: Vec<_> = all.map(|(pid, number)| Opened::of(&root, pid, number)).collect();
                Ok(Seen { text: serde_json::to_vec(&opened)?, opened: None })
            }
            Self::Text(pid, entry) => {
                let mut text = Vec::new();
                let file = fs::open(entry.path(*pid), READING, Mode::empty())?;
                File::from(file).take(TEXT_BYTES).read_to_end(&mut text)?;
                Ok(Seen { text, opened: None })
            }
            Self::Open(pid, entry) => Ok(opened(fs::open(entry.path(*pid), READING, Mode::empty())?)),
            Self::Place(pid, entry) => Ok(opened(fs::open(entry.path(*pid), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)),
            Self::Root => {
                let dir = dir.ok_or(Errno::BADF)?;
                Ok(opened(fs::openat(dir, "root", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
            }
        }
    }

    /// Has it looked at by whoever may.
    fn seen(self, dir: Option<BorrowedFd<'_>>) -> io::Result<Seen> {
        if broker::brokered() { broker::peek(self, dir) } else { self.look(dir) }
    }
}

/// NONBLOCK: a FIFO without writer must not hold us up. NOCTTY: a terminal must not become ours.
pub(super) const READING: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A link as it is handed on: the number of the error, or none, its text, and the byte that no path holds.
struct Told(Vec<u8>);

impl Told {
    fn of(link: rustix::io::Result<std::ffi::CString>) -> Self {
        match link {
            Ok(text) => Self([&[0], text.as_bytes_with_nul()].concat()),
            Err(error) => Self(vec![u8::try_from(error.raw_os_error()).unwrap_or(u8::MAX), 0]),
        }
    }

    /// All that were told.
    fn read(text: &[u8]) -> impl Iterator<Item = Result<PathBuf, Errno>> + '_ {
        let mut rest = text;
        std::iter::from_fn(move || {
            let (error, after) = rest.split_first()?;
            let end = memchr::memchr(0, after)?;
            let (link, after) = after.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            Some(match error {
                0 => Ok(PathBuf::from(std::ffi::OsString::from_vec(link.to_vec()))),
                error => Err(Errno::from_raw_os_error(i32::from(*error))),
            })
        })
    }
}

/// What a path of the host's leads to, where that is not shown to everybody: the process and its entry. What is shown of ourselves is
/// shown to us.
pub(super) fn at(path: &Path) -> Option<(u32, Entry)> {
    let rest = path.strip_prefix("/proc").ok()?;
    let mut parts = rest.components();
    let pid: u32 = parts.next()?.as_os_str().to_str()?.parse().ok()?;
    let entry = Entry::named(parts.as_path())?;
    (pid != std::process::id()).then_some((pid, entry))
}

/// Where links lead, in their order: as many as are asked for.
pub(super) fn links(wanted: &[(u32, Vec<Entry>)]) -> Vec<Result<PathBuf, Errno>> {
    let mut all = Vec::new();
    for (count, some) in requests(wanted) {
        let until = all.len() + count;
        let why = match Peek::Links(some).seen(None) {
            Ok(seen) => {
                all.extend(Told::read(&seen.text));
                Errno::IO
            }
            Err(error) => Errno::from_io_error(&error).unwrap_or(Errno::IO),
        };
        all.resize(until, Err(why));
    }
    all
}

/// How descriptors were opened, in their order: as many as are asked for. `None`: it may not be told.
pub(super) fn opened(wanted: &[(u32, Vec<u32>)]) -> Vec<Option<Opened>> {
    let mut all = Vec::new();
    for (count, some) in requests(wanted) {
        let until = all.len() + count;
        let seen = Peek::Opened(some).seen(None).ok();
        all.extend(seen.and_then(|seen| serde_json::from_slice::<Vec<Option<Opened>>>(&seen.text).ok()).unwrap_or_default());
        all.resize(until, None);
    }
    all
}

/// What is wanted of processes.
type Wanted<T> = Vec<(u32, Vec<T>)>;

/// The same in pieces that a request may have, with how much of it each is.
fn requests<T: Clone>(wanted: &[(u32, Vec<T>)]) -> Vec<(usize, Wanted<T>)> {
    let mut all: Vec<(usize, Wanted<T>)> = Vec::new();
    let pieces = wanted.iter().flat_map(|(pid, entries)| entries.chunks(TOGETHER).map(|some| (*pid, some.to_vec())));
    for (pid, some) in pieces {
        match all.last_mut().filter(|(count, _)| count + some.len() <= TOGETHER) {
            Some((count, request)) => {
                *count += some.len();
                request.push((pid, some));
            }
            None => all.push((some.len(), vec![(pid, some)])),
        }
    }
    all
}

/// Where one link leads.
pub(super) fn link(pid: u32, entry: Entry) -> Result<PathBuf, Errno> {
    links(&[(pid, vec![entry])]).pop().unwrap_or(Err(Errno::IO))
}

/// What a file says that tells it to whoever reads it alone. `None`: it is another one, to be opened.
pub(super) fn text(pid: u32, entry: Entry) -> Option<io::Result<Vec<u8>>> {
    entry.is_of_reader().then(|| Ok(Peek::Text(pid, entry).seen(None)?.text))
}

/// Opens what an entry leads to, for reading.
pub(super) fn open(pid: u32, entry: Entry) -> io::Result<OwnedFd> {
    descriptor(Peek::Open(pid, entry).seen(None)?)
}

/// What an entry leads to, opened for no more than to be told what it is.
pub(super) fn place(pid: u32, entry: Entry) -> io::Result<OwnedFd> {
    descriptor(Peek::Place(pid, entry).seen(None)?)
}

/// The root of a process, by its directory of /proc.
pub(super) fn root(dir: &OwnedFd) -> io::Result<OwnedFd> {
    descriptor(Peek::Root.seen(Some(dir.as_fd()))?)
}

fn descriptor(seen: Seen) -> io::Result<OwnedFd> {
    seen.opened.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_told_from_what_everybody_is_shown() {
        for (name, entry) in NAMES {
            assert_eq!((at(Path::new(&format!("/proc/1/{name}"))), &*entry.name()), (Some((1, entry)), name));
        }
        assert_eq!(at(Path::new("/proc/1/fd/17")), Some((1, Entry::Descriptor(17))));
        assert_eq!(at(Path::new("/proc/1/fdinfo/17")), Some((1, Entry::DescriptorInfo(17))));
        for other in ["/proc/1", "/proc/1/status", "/proc/1/fd", "/proc/1/fd/x", "/proc/1/root/etc", "/proc/self/exe", "/etc/1/exe"]
        {
            assert_eq!(at(Path::new(other)), None, "{other}");
        }
        assert_eq!(at(Path::new(&format!("/proc/{}/exe", std::process::id()))), None);
    }

    #[test]
    fn links_come_in_their_order_however_many_they_are() {
        let own = std::process::id();
        let exe = std::env::current_exe().expect("our program");
        let nowhere = vec![Entry::Descriptor(9_999_999); 2 * TOGETHER];
        let all = links(&[(own, vec![Entry::Exe]), (own, nowhere), (u32::MAX, vec![Entry::Cwd]), (own, vec![Entry::Exe])]);
        assert_eq!((all.len(), &all[0], &all[2 * TOGETHER + 2]), (2 * TOGETHER + 3, &Ok(exe.clone()), &Ok(exe)));
        assert!(all[1..=2 * TOGETHER + 1].iter().all(|link| *link == Err(Errno::NOENT)));
        assert_eq!(links(&[]), []);
    }
}
