//! Facts about which site takes a request: `site:...`. A name that no site has is the first one's, or the default one's, without a word:
//! what is served there is another site, be it that somebody misspelt a name or forgot to enable a file.

use std::{collections::BTreeMap, net::IpAddr};

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, nested::Entrances, without_port},
    model::{Fact, Gateway, LEFT_OUT, Site},
};

/// Kinds whose sites are chosen by name and which have one for all other names.
const BY_NAME: &[&str] = &["nginx", "apache"];
/// Names that say that a site is meant for all other names.
const ANY_NAME: &[&str] = &["", "_", "*"];
/// Letters in which a misspelt name differs at most, and letters that a name must have for that to say something.
const MISSPELT: usize = 2;
const LETTERS: usize = 6;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["site:by-default", "site:meant"].map(str::to_owned).into()
}

/// The facts, of the URL that was asked about: `by-default`, no site has its name and one takes it that has others; `meant`, where
/// what was meant is known.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let Some(host) = scene.run.as_ref().and_then(|run| host_of(run.url.as_deref()?)) else { return };
    let is_its = |asked: &str| without_port(asked).eq_ignore_ascii_case(&host);
    let asked = scene.probes_of("gateway").find(|history| history.last.job.request.as_ref().is_some_and(|one| is_its(&one.host)));
    let Some(job) = asked.map(|history| &history.last.job) else { return };
    let Some(entrance) = Entrances::of(scene).taking(&job.address, &host) else { return };
    let (gateway, site) = (entrance.gateway, entrance.site);
    let beside = |other: &&Site| other.listens.iter().any(|listen| listen.address.port() == job.address.port());
    let all = || gateway.sites.iter().filter(beside).flat_map(|site| site.names.iter().map(move |name| (site, name)));
    // A pattern may take it, and one site for all takes any name on purpose.
    let unclear = all().any(|(_, name)| name.starts_with('~') || name.contains('$'));
    let has = |name: &String| takes(name, &host);
    if !BY_NAME.contains(&gateway.kind.as_str())
        || unclear
        || site.names.iter().any(has)
        || gateway.sites.iter().filter(beside).count() < 2
    {
        return;
    }
    let own = || site.names.iter().find(|name| !ANY_NAME.contains(&name.as_str()));
    let meant = meant(gateway, &host, all());
    if meant.is_none() && own().is_none() {
        return;
    }
    let whose = own().map_or_else(String::new, |name| format!(" of {name}"));
    let text = format!(
        "no site of {} has the name {host}: the one{whose} at {} takes its requests, as the default of its address",
        gateway.kind, site.at
    );
    let mut add = |name: &str, text: String, fields: BTreeMap<String, String>| {
        let (name, source, subject) = (name.to_owned(), "configuration".to_owned(), scene.named(gateway));
        book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
    };
    let Some(meant) = meant else { return add("site:by-default", text, BTreeMap::new()) };
    let text = format!("{text}; {meant}");
    let fields = BTreeMap::from([("misnamed".to_owned(), text.clone())]);
    add("site:by-default", text.clone(), BTreeMap::new());
    add("site:meant", text, fields);
}

/// Which site was meant: one whose file is not loaded, or one with nearly that name.
fn meant<'a>(gateway: &'a Gateway, host: &str, all: impl Iterator<Item = (&'a Site, &'a String)>) -> Option<String> {
    let left_out = gateway.settings.get(&format!("{LEFT_OUT} {host}")).and_then(|said| said.at.as_ref());
    if let Some(at) = left_out {
        return Some(format!("{at} has it, and is not loaded"));
    }
    let mut near = all.filter(|(_, name)| nearly(name, host));
    near.next().map(|(site, name)| format!("{} has nearly the same name, {name}", site.at))
}

/// The host of a URL, where it is a name that sites can have.
fn host_of(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split(['/', '?', '#']).next()?;
    let host = without_port(authority).to_ascii_lowercase();
    (host.contains('.') && host.parse::<IpAddr>().is_err() && !host.starts_with('[')).then_some(host)
}

/// Whether a site of this name takes requests for that host.
fn takes(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let under = |tail: &str| host.len() > tail.len() && host.ends_with(tail);
    match (name.strip_prefix('*'), name.strip_suffix('*')) {
        (Some(tail), _) => under(tail),
        (None, Some(head)) => host.starts_with(head),
        (None, None) => name == host || name.starts_with('.') && (under(&name) || name[1..] == *host),
    }
}

/// Whether somebody may have meant the one and written the other.
fn nearly(name: &str, host: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let bare = |text: &str| text.strip_prefix("www.").unwrap_or(text).to_owned();
    bare(&name) == bare(host) || name.len() >= LETTERS && (1..=MISSPELT).contains(&distance(&name, host))
}

/// Letters to be put in, left out or changed to make one of the other (Levenshtein); more than [`MISSPELT`] where that is plain at once.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > MISSPELT {
        return MISSPELT + 1;
    }
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.iter().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (place, known) in other.iter().enumerate() {
            let changed = before + usize::from(letter != known);
            before = row[place + 1];
            row[place + 1] = changed.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_somebody_mixed_up_are_told_from_others() {
        for (name, host, near) in [
            ("shop.test", "www.shop.test", true),
            ("www.shop.test", "shop.test", true),
            ("shpo.example.com", "shop.example.com", true),
            ("shop.exmaple.com", "shop.example.com", true),
            ("blog.example.com", "shop.example.com", false),
            ("a.de", "b.de", false),
            ("_", "shop.test", false),
        ] {
            assert_eq!(nearly(name, host), near, "{name} {host}");
        }
    }

    #[test]
    fn a_site_takes_its_names_and_those_under_them() {
        for (name, host, takes_it) in [
            ("shop.test", "shop.test", true),
            ("*.shop.test", "www.shop.test", true),
            ("*.shop.test", "shop.test", false),
            (".shop.test", "shop.test", true),
            ("www.shop.*", "www.shop.test", true),
            ("shop.test", "www.shop.test", false),
        ] {
            assert_eq!(takes(name, host), takes_it, "{name} {host}");
        }
    }
}
