//! May the gateway's user reach a unix socket? Walks its path component by component, by mode bits and access control lists.
//!
//! Pure reading: nothing is connected, so it is made with `--no-probe` and below another root, too. The walk itself is
//! [`sys::walk`].

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::BoxFuture;

use super::{Probe, report};
use crate::{
    model::{Address, Identity, Outcome, PathPart, PathView, ProbeJob, ProbeReport, View},
    sys::{self, FileInfo, FileKind, Groups, Ids, Obstacle, Root, SEARCH, Stop, Stopwatch, Sys, Users, WRITE},
};

/// The probe.
#[derive(Debug)]
pub(super) struct SocketPath;

impl Probe for SocketPath {
    fn id(&self) -> &'static str {
        "socket-path"
    }

    fn title(&self) -> &'static str {
        "the way to the upstream's socket"
    }

    fn emits(&self) -> &'static [&'static str] {
        &["open", "not-found", "denied", "refused", "os-error", "skipped"]
    }

    fn sends_request(&self, _job: &ProbeJob) -> bool {
        false
    }

    fn only_reads(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, sys: &'a Sys, job: &'a ProbeJob) -> BoxFuture<'a, ProbeReport> {
        Box::pin(run(sys, job))
    }
}

async fn run(sys: &Sys, job: &ProbeJob) -> ProbeReport {
    let watch = Stopwatch::start();
    let Address::Unix(path) = &job.address else {
        return report(job, Outcome::Skipped("the address is no path".to_owned()));
    };
    let (root, path, identity) = (sys.root.clone(), path.clone(), job.identity.clone());
    let work = move || {
        let identity = identity.unwrap_or_else(|| {
            let (uid, gid, groups) = sys::ourselves();
            Identity { name: Users::read(&root).name(uid), uid, gid, groups }
        });
        walk(&root, &identity, &path)
    };
    let walked = sys::blocking(Duration::from_millis(job.total_ms), work).await;
    let (outcome, detail, view) = walked.unwrap_or_else(|| {
        let why = format!("the file system did not answer within {} ms", job.total_ms);
        (Outcome::Skipped(why.clone()), why, PathView::default())
    });
    let mut report = report(job, outcome);
    report.detail = detail;
    report.view = (!view.parts.is_empty()).then(|| View::Path(Box::new(view)));
    report.phases.total = watch.ms();
    // The walk is computed for the gateway's user, whoever we are.
    report.as_gateway = job.identity.is_some();
    report
}

/// Walks to the socket as somebody: what came of it, the sentence about it, and each part.
fn walk(root: &Root, who: &Identity, path: &Path) -> (Outcome, String, PathView) {
    if path.as_os_str().as_encoded_bytes().starts_with(b"@") {
        let said = "an abstract socket has no path and no permissions".to_owned();
        return (Outcome::Open, said, PathView::default());
    }
    let (ids, mut seen) = (Ids::from(who), Vec::new());
    let walked = sys::walk_seen(root, &ids, path, WRITE, &mut |path, info| seen.push((path.to_owned(), *info)));
    let lacks = match &walked {
        Err(Stop::Denied(obstacle)) => Some(if obstacle.directory { 'x' } else { 'w' }),
        Ok(_) | Err(_) => None,
    };
    let view = PathView { who: who.name.clone(), parts: parts(root, &ids, seen), lacks };
    let (outcome, said) = told(root, who, path, walked);
    (outcome, said, view)
}

/// The parts of a way, for a person.
fn parts(root: &Root, ids: &Ids, seen: Vec<(PathBuf, FileInfo)>) -> Vec<PathPart> {
    let (users, groups) = (Users::read(root), Groups::read(root));
    let part = |(path, info): (PathBuf, FileInfo)| {
        let (letter, right) = match info.kind {
            FileKind::Directory => ('d', SEARCH),
            FileKind::Socket => ('s', WRITE),
            _ => ('-', WRITE),
        };
        let acl = root.acl(&path).map(|acl| acl.rules((info.uid, info.gid), ids.uid, &ids.groups, right).entry);
        let (mode, owner, label) = (format!("{letter}{}", mode(info.mode)), owner(&users, &groups, &info), root.label(&path));
        PathPart { path, mode, owner, acl, label }
    };
    seen.into_iter().map(part).collect()
}

/// `user:group`.
fn owner(users: &Users, groups: &Groups, info: &FileInfo) -> String {
    let group = groups.name(info.gid).map_or_else(|| info.gid.to_string(), str::to_owned);
    format!("{}:{group}", users.name(info.uid))
}

/// What came of a walk, and the sentence about it.
fn told(root: &Root, who: &Identity, path: &Path, walked: Result<(PathBuf, FileInfo), Stop>) -> (Outcome, String) {
    match walked {
        Ok((_, info)) if info.kind == FileKind::Socket => (Outcome::Open, format!("{} may open {}", who.name, path.display())),
        Ok((end, info)) if info.kind == FileKind::Directory => (Outcome::Refused, format!("{} is a directory", end.display())),
        Ok((end, _)) => no_socket(&end),
        Err(Stop::Denied(obstacle)) if !obstacle.directory && obstacle.info.kind != FileKind::Socket => no_socket(&obstacle.path),
        Err(Stop::Denied(obstacle)) => (Outcome::Denied, lacks(root, who, &obstacle)),
        Err(Stop::Missing(at)) => (Outcome::NotFound, format!("{} does not exist", at.display())),
        Err(Stop::NoDirectory(at)) => (Outcome::NotFound, format!("{} is no directory", at.display())),
        Err(Stop::Loop) => (Outcome::Os(rustix::io::Errno::LOOP.raw_os_error()), format!("{}: too many symlinks", path.display())),
        // We may not look ourselves: nothing is known of the user's rights.
        Err(Stop::Unseen(error)) => (Outcome::Skipped(error.to_string()), error.to_string()),
    }
}

fn no_socket(at: &Path) -> (Outcome, String) {
    (Outcome::Refused, format!("{} is no socket", at.display()))
}

/// `www-data lacks x on /run/app (drwxr-x--- app:app)`, with the entry of a list and the label where there are any.
fn lacks(root: &Root, who: &Identity, obstacle: &Obstacle) -> String {
    let Obstacle { path, directory, info, acl } = obstacle;
    let (letter, kind) = if *directory { ('x', 'd') } else { ('w', 's') };
    let owner = owner(&Users::read(root), &Groups::read(root), info);
    let acl = acl.as_ref().map_or_else(String::new, |entry| format!(", its list says {entry}"));
    let label = root.label(path).map_or_else(String::new, |label| format!(", label {label}"));
    format!("{} lacks {letter} on {} ({kind}{} {owner}{acl}{label})", who.name, path.display(), mode(info.mode))
}

/// `rwxr-x---`.
fn mode(bits: u32) -> String {
    let letter = |index: u32| if bits >> (8 - index) & 1 == 1 { ['r', 'w', 'x'][index as usize % 3] } else { '-' };
    (0..9).map(letter).collect()
}

#[cfg(test)]
mod tests;
