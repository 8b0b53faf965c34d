//! Facts about what was changed: `change:...`. Which change lies between the last request that was served and the first that failed,
//! and of which kinds of change it is known that there was none.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, changes},
    model::{Change, ChangeKind, Fact, Subject, rfc3339, text},
};

/// Kinds of changes of which it is told that there was none right before, with what a person calls them.
const QUIET: &[(ChangeKind, &str, &str)] = &[
    (ChangeKind::Deploy, "change:no-deploy", "code"),
    (ChangeKind::Packages, "change:no-packages", "packages"),
    (ChangeKind::Names, "change:no-names", "hosts and resolv.conf"),
    (ChangeKind::Config, "change:no-config", "configurations"),
];

/// The name of a suspect's fact. `None`: of this kind none is suspected.
fn name(change: &Change) -> Option<&'static str> {
    match change.kind {
        // Whose code it is decides how much it says.
        ChangeKind::Deploy if change.concerns.is_empty() => Some("change:deploy-near"),
        ChangeKind::Deploy => Some("change:deploy"),
        ChangeKind::Packages if change.concerns.is_empty() => Some("change:packages-near"),
        ChangeKind::Packages => Some("change:packages"),
        ChangeKind::Config => Some("change:config"),
        ChangeKind::Unit => Some("change:unit"),
        ChangeKind::Names => Some("change:names"),
        ChangeKind::Certificate => Some("change:certificate"),
        ChangeKind::Job => Some("change:job"),
        ChangeKind::Boot => Some("change:boot"),
        ChangeKind::Network => Some("change:network"),
        ChangeKind::Login => Some("change:deed"),
        ChangeKind::Clock | ChangeKind::Start => None,
    }
}

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    const SUSPECTS: &[&str] = &[
        "change:deploy",
        "change:deploy-near",
        "change:packages",
        "change:packages-near",
        "change:config",
        "change:unit",
        "change:names",
        "change:certificate",
        "change:job",
        "change:boot",
        "change:network",
        "change:deed",
    ];
    SUSPECTS.iter().copied().chain(QUIET.iter().map(|(_, name, _)| *name)).map(str::to_owned).collect()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let Some(all) = &scene.changes else { return };
    book.look("change", &Subject::host());
    let suspects = changes::suspects(scene);
    for (before, change) in &suspects {
        let Some(name) = name(change) else { continue };
        let subjects = if change.concerns.is_empty() { vec![Subject::host()] } else { change.concerns.clone() };
        for subject in subjects {
            // The nearest comes first.
            if book.find(name, &[&subject]).is_some() {
                continue;
            }
            let when = match before {
                ..0 => format!("{} after the first failure", text::duration(-before)),
                0 => "in the second of the first failure".to_owned(),
                _ => format!("{} before the first failure", text::duration(*before)),
            };
            let by = change.by.as_ref().map_or_else(String::new, |by| format!(", by {by}"));
            let fields = BTreeMap::from([
                ("change".to_owned(), change.kind.word().to_owned()),
                ("changed".to_owned(), change.what.clone()),
                ("changed_at".to_owned(), rfc3339(change.at)),
                ("changed_when".to_owned(), when.clone()),
            ]);
            book.add(Fact {
                name: name.to_owned(),
                subject,
                now: true,
                at: scene.now,
                text: format!("{}{by}: {when}", change.what),
                source: change.source.clone(),
                fields,
            });
        }
    }
    let end = changes::onset(scene).unwrap_or(scene.now.wall_s());
    for (kind, name, called) in QUIET {
        let looked: Vec<_> = all.looked.iter().filter(|looked| looked.kind == *kind).collect();
        if looked.is_empty() || suspects.iter().any(|(_, change)| change.kind == *kind) {
            continue;
        }
        // An installation has a time, too, and is none.
        let listed =
            all.list.iter().filter(|change| change.kind == *kind && !change.first && change.at <= end).map(|change| change.at);
        let newest = listed.max().or_else(|| looked.iter().filter_map(|looked| looked.newest).filter(|at| *at <= end).max());
        let hours = (end - all.from).max(0) / 3600;
        let last = match newest {
            Some(at) if at >= all.from => format!("the last change is {} before that", text::duration(end - at)),
            Some(at) => format!("none within {hours} h, the last one {} before", text::duration(end - at)),
            None => format!("no change within {hours} h"),
        };
        let places = match looked.as_slice() {
            [one] => one.place.clone(),
            more => format!("{} places", more.len()),
        };
        let left: Vec<&str> = looked.iter().filter_map(|looked| looked.left_out.as_deref()).collect();
        let left = left.first().map_or_else(String::new, |left| format!("; {left}"));
        book.add(Fact {
            name: (*name).to_owned(),
            subject: Subject::host(),
            now: true,
            at: scene.now,
            text: format!("{called} ({places}): {last}{left}"),
            source: "times of files, and logs".to_owned(),
            fields: BTreeMap::new(),
        });
    }
}
