//! The applications' code: where it lies, and when it was changed. git, capistrano's symlink, a file that names the revision, or the
//! times of the files themselves tell it. No git is run: its log of HEAD is a text file.

use std::path::{Path, PathBuf};

use super::{Looker, tree};
use crate::{
    model::{Change, ChangeKind, ChangesLooked, OwnerRole, Subject, text},
    sys::FileKind,
    watch::sources::{Service, units::Unit},
};

/// Directories of code that are looked into, at most.
const PLACES: usize = 24;
/// Where applications lie by custom; looked into where nobody runs that could tell.
const CUSTOM: [&str; 3] = ["/srv", "/var/www", "/opt"];
/// Names in each of them that are looked at.
const CUSTOM_NAMES: usize = 12;
/// Directories that hold many things, and are nobody's own.
const SHARED: &[&str] =
    &["/", "/root", "/home", "/tmp", "/var", "/var/www", "/var/lib", "/var/tmp", "/opt", "/srv", "/usr/local", "/mnt"];
/// Those below which no application's own code lies.
const FOREIGN: &[&str] =
    &["/usr", "/etc", "/run", "/proc", "/sys", "/dev", "/bin", "/sbin", "/lib", "/lib64", "/var/run", "/var/log", "/boot"];
/// Directories in which a user keeps interpreters and tools: what runs an application, and no application.
const RUNTIMES: &[&str] = &[
    ".pyenv",
    ".rbenv",
    ".rvm",
    ".nvm",
    ".fnm",
    ".n",
    ".volta",
    ".asdf",
    ".sdkman",
    ".jabba",
    ".rustup",
    ".cargo",
    ".bun",
    ".deno",
    ".local",
    ".conda",
    "miniconda3",
    "anaconda3",
];
/// Seconds that one deploy takes: what was written within them belongs together.
const ONE_DEPLOY_S: i64 = 120;
/// A file that is older than the newest one by so many seconds shows that there was code before it.
const BEFORE_S: i64 = 600;
/// Bytes at the end of git's log that are read, and entries of it that are told.
const REFLOG_BYTES: u64 = 16 << 10;
const REFLOG_ENTRIES: usize = 5;
/// Directories upwards that are searched for the top of the code.
const UPWARDS: usize = 4;

/// Where code lies, and what it is the code of.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    dir: PathBuf,
    concerns: Vec<Subject>,
}

/// Looks at the code of all applications.
pub(super) fn look(looker: &mut Looker<'_>, units: &[Unit]) {
    for place in places(looker, units) {
        of_place(looker, &place);
    }
}

/// Whether a directory can be one application's own.
fn own(dir: &Path) -> bool {
    let home = dir.parent() == Some(Path::new("/home"));
    dir.is_absolute()
        && !home
        && !SHARED.iter().any(|shared| dir == Path::new(shared))
        && !FOREIGN.iter().any(|foreign| dir.starts_with(foreign))
        && !dir.components().any(|part| RUNTIMES.iter().any(|runtime| part.as_os_str() == *runtime))
}

fn places(looker: &Looker<'_>, units: &[Unit]) -> Vec<Place> {
    let mut found: Vec<Place> = Vec::new();
    let mut add = |dir: &Path, concerns: &[Subject]| {
        let dir = top(looker, dir);
        if !own(&dir) || !looker.mounts.answers(&dir) {
            return;
        }
        match found.iter_mut().find(|place| place.dir == dir) {
            Some(known) => {
                known.concerns.extend(concerns.iter().filter(|one| !known.concerns.contains(one)).cloned().collect::<Vec<_>>());
            }
            None => found.push(Place { dir, concerns: concerns.to_vec() }),
        }
    };
    for service in looker.services.iter().filter(|service| service.role == OwnerRole::Upstream) {
        for dir in dirs_of(service) {
            add(&dir, &service.serves);
        }
    }
    for unit in units {
        let named: Vec<Subject> = looker
            .wish
            .ownerless
            .iter()
            .filter(|address| unit.names(address))
            .map(|address| Subject(address.to_string()))
            .collect();
        for dir in unit.cwd.iter().cloned().chain(dirs_of_words(&unit.argv)) {
            add(&dir, &named);
        }
    }
    for (dir, upstream) in &looker.wish.scripts {
        add(dir, std::slice::from_ref(upstream));
    }
    if !looker.wish.ownerless.is_empty() {
        for custom in CUSTOM.map(Path::new).into_iter().filter(|custom| looker.mounts.answers(custom)) {
            for name in looker.root.list_at_most(custom, CUSTOM_NAMES).unwrap_or_default() {
                let dir = custom.join(name);
                if looker.mounts.answers(&dir) && looker.root.stat(&dir).is_ok_and(|info| info.kind == FileKind::Directory) {
                    add(&dir, &[]);
                }
            }
        }
    }
    found.truncate(PLACES);
    found
}

/// Where the code of a service lies, as far as its process tells.
fn dirs_of(service: &Service) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = Vec::new();
    for member in service.members.iter().filter(|member| member.pid == service.lead.pid) {
        dirs.extend(member.cwd.iter().cloned());
        dirs.extend(dirs_of_words(&member.argv));
        dirs.extend(member.exe.iter().filter_map(|exe| exe.parent()).map(Path::to_owned));
    }
    dirs
}

/// Directories that a command line names: of a script, a binary, by `--chdir`.
fn dirs_of_words(argv: &[String]) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for (at, word) in argv.iter().enumerate().take(24) {
        let after = argv.get(at + 1).map(String::as_str);
        if let Some(dir) = word.strip_prefix("--chdir=").or(after.filter(|_| word == "--chdir" || word == "--cwd")) {
            dirs.push(PathBuf::from(dir));
        } else if word.starts_with('/') && !word.contains(':') {
            dirs.extend(Path::new(word).parent().map(Path::to_owned));
        }
    }
    dirs
}

/// The top of the code that a directory is part of: where git or a deploy keeps its state, else the directory itself.
fn top(looker: &Looker<'_>, dir: &Path) -> PathBuf {
    let marks = |dir: &Path| [".git", "releases", "REVISION"].iter().any(|mark| looker.root.lstat(&dir.join(mark)).is_ok());
    let mut at = dir;
    for _ in 0..UPWARDS {
        if !own(at) || !looker.mounts.answers(at) {
            break;
        }
        if marks(at) {
            return at.to_owned();
        }
        match at.parent() {
            Some(parent) => at = parent,
            None => break,
        }
    }
    // `current` itself is the link; what it leads to changes with each deploy.
    dir.to_owned()
}

fn of_place(looker: &mut Looker<'_>, place: &Place) {
    let mut newest = None;
    for (at, what, source, by, first) in [git(looker, place), link(looker, place)].concat() {
        newest = newest.max(Some(at));
        looker.add(Change {
            kind: ChangeKind::Deploy,
            what: format!("{}: {what}", place.dir.display()),
            at,
            source,
            by,
            concerns: place.concerns.clone(),
            first,
        });
    }
    let tree = tree::read(looker.root, &looker.mounts, &place.dir, looker.now + super::AHEAD_S);
    let told = |at: i64| newest.is_some_and(|known: i64| (known - at).abs() <= ONE_DEPLOY_S);
    if let Some((at, file)) = tree.files.first().filter(|(at, _)| !told(*at)) {
        let count = tree.files.iter().take_while(|(other, _)| at - other <= ONE_DEPLOY_S).count();
        let first = tree.files.last().is_none_or(|(oldest, _)| at - oldest <= BEFORE_S);
        let name = file.strip_prefix(&place.dir).unwrap_or(file).display();
        let what = match count {
            1 => format!("{name} was changed"),
            _ => format!("{} files were changed, the last {name}", text::thousands(count as u64)),
        };
        looker.add(Change {
            kind: ChangeKind::Deploy,
            what: format!("{}: {what}", place.dir.display()),
            at: *at,
            source: "times of its files".to_owned(),
            by: None,
            concerns: place.concerns.clone(),
            first,
        });
    }
    // rsync -a, cp -p and tar keep the times of files; when they were put in place is told by their inodes, where not all of them came
    // at once: that is an image or a new host.
    let old = tree.files.first().is_none_or(|(at, _)| !looker.within(*at));
    if let Some((earliest, latest)) = tree.placed.filter(|(earliest, latest)| old && latest - earliest > BEFORE_S && !told(*latest))
    {
        looker.add(Change {
            kind: ChangeKind::Deploy,
            what: format!("{}: older files were put in place, or their owner or mode was changed", place.dir.display()),
            at: latest,
            source: "times of its inodes".to_owned(),
            by: None,
            concerns: place.concerns.clone(),
            first: earliest == latest,
        });
    }
    newest = newest.max(tree.files.first().map(|(at, _)| *at));
    let mut left_out = Vec::new();
    if tree.cut {
        left_out.push("there are more files than are looked at".to_owned());
    }
    if tree.ahead > 0 {
        left_out.push(format!("{} files are ahead of the clock", tree.ahead));
    }
    looker.out.looked.push(ChangesLooked {
        kind: ChangeKind::Deploy,
        place: place.dir.display().to_string(),
        newest,
        left_out: (!left_out.is_empty()).then(|| left_out.join(", ")),
    });
}

/// When, what, where it was seen, by whom, and whether nothing was there before.
type Found = (i64, String, String, Option<String>, bool);

/// What git's log of HEAD says: `OLD NEW Name <mail> SECONDS ZONE<tab>checkout: moving from a to b` (gitrepository-layout(5)).
fn git(looker: &Looker<'_>, place: &Place) -> Vec<Found> {
    let path = place.dir.join(".git/logs/HEAD");
    let Ok((bytes, cut)) = looker.root.tail(&path, REFLOG_BYTES) else { return Vec::new() };
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().skip(usize::from(cut)).collect();
    let entry = |line: &&str| {
        let (head, message) = line.split_once('\t').unwrap_or((line, ""));
        let (who, when) = head.rsplit_once("> ").unwrap_or((head, ""));
        let (ids, who) = who.split_at_checked(82)?;
        let at = when.split(' ').next()?.parse::<i64>().ok()?;
        let name = who.split('<').next().unwrap_or_default().trim();
        let new: String = ids.get(41..48)?.to_owned();
        let cloned = ids.starts_with("0000000000000000000000000000000000000000");
        let what = if message.is_empty() { format!("git {new}") } else { format!("git {message} ({new})") };
        let by = (!name.is_empty()).then(|| name.to_owned());
        Some((at, what, path.display().to_string(), by, cloned))
    };
    // The latest first; of several in one moment the last one is what is there now.
    let mut found: Vec<Found> = Vec::new();
    for one in lines.iter().rev().take(REFLOG_ENTRIES).filter_map(entry) {
        if found.last().is_none_or(|later| later.0 - one.0 > 1) {
            found.push(one);
        }
    }
    found.sort();
    found
}

/// A symlink `current` beside `releases`, as capistrano and its kind switch it, and a file REVISION.
fn link(looker: &Looker<'_>, place: &Place) -> Vec<Found> {
    let mut found = Vec::new();
    let current = place.dir.join("current");
    if let (Ok(info), Ok(target)) = (looker.root.lstat(&current), looker.root.readlink(&current)) {
        let releases = looker.root.list_at_most(&place.dir.join("releases"), 3).map_or(0, |names| names.len());
        let name = target.file_name().map_or_else(|| target.display().to_string(), |name| name.to_string_lossy().into_owned());
        found.push((info.modified, format!("current -> {name}"), "time of the link current".to_owned(), None, releases < 2));
    }
    let revision = place.dir.join("REVISION");
    if let (Ok(info), Ok((bytes, _))) = (looker.root.stat(&revision), looker.root.read_at_most(&revision, 64)) {
        let id: String = String::from_utf8_lossy(&bytes).trim().chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        found.push((info.modified, format!("REVISION {id}"), "time of REVISION".to_owned(), None, false));
    }
    found
}
