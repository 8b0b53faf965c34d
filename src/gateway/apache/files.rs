//! Sections of directories, files and locations: which paths they mean, by where the site's files are.

use std::{collections::HashMap, path::Path};

use super::{pattern, scope::Scope, tree::Directive, world::World};
use crate::{
    model::{Address, PathMatch},
    sys::Root,
};

/// Names of one directory that are looked at for a script.
const NAMES: usize = 500;
/// Names of `DirectoryIndex` that are tried.
const INDEXES: usize = 16;
/// Workers of mod_jk that are kept.
const WORKERS: usize = 256;

/// A place that a section means.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    /// As written.
    pub pattern: String,
    /// The paths of requests that get there.
    pub takes: PathMatch,
    /// The URL path of the directory, with its slash: only of one.
    pub under: Option<String>,
    /// A path that leads there, where the section itself tells.
    pub sample: Option<String>,
    /// What is in force there.
    pub scope: Scope<'a>,
    /// Later ones override: the server, directories, files, locations.
    pub rank: u8,
}

impl<'a> Place<'a> {
    /// The server itself.
    pub fn of_server(scope: &Scope<'a>) -> Self {
        Self { pattern: String::new(), takes: PathMatch::Any, under: None, sample: None, scope: scope.clone(), rank: 0 }
    }
}

/// Where the files of a site are.
#[derive(Debug)]
pub struct Files<'w> {
    root: &'w Root,
    documents: String,
    /// `DirectoryIndex`.
    indexes: Vec<String>,
    /// `Alias /url /directory`, both without a slash at the end.
    aliases: Vec<(String, String)>,
}

impl<'w> Files<'w> {
    /// Of a site.
    pub fn of(world: &World<'w>, scope: &Scope<'_>, documents: &str) -> Self {
        let indexes = scope.get("directoryindex").map_or_else(|| vec!["index.html".to_owned()], Directive::args);
        let alias = |one: &Directive| {
            let args = one.args();
            let [url, dir, ..] = args.as_slice() else { return None };
            Some((url.trim_end_matches('/').to_owned(), dir.trim_end_matches('/').to_owned()))
        };
        let aliases = scope.all("alias").filter_map(alias).collect();
        let documents = documents.trim_end_matches('/').to_owned();
        Self { root: world.root, documents, indexes: indexes.into_iter().take(INDEXES).collect(), aliases }
    }

    /// The places with handlers or rules in a section.
    pub fn places<'a>(&self, section: &'a Directive, scope: &Scope<'a>, out: &mut Vec<(Vec<&'a Directive>, Place<'a>)>) {
        match section.name.as_str() {
            "directory" | "directorymatch" => {
                let Some(under) = self.url_of(section) else { return };
                let takes = if under == "/" { PathMatch::Any } else { PathMatch::Prefix(under.clone()) };
                place(section, takes, Some(under.clone()), 1, scope, out);
                let inner = scope.within(section.children());
                for files in section.children().iter().filter(|one| matches!(one.name.as_str(), "files" | "filesmatch")) {
                    self.files(files, &under, &inner, out);
                }
            }
            "files" | "filesmatch" => self.files(section, "/", scope, out),
            "location" | "locationmatch" => {
                let (takes, sample, _) = location(section);
                let known = out.len();
                place(section, takes, None, 3, scope, out);
                out.iter_mut().skip(known).for_each(|(_, place)| place.sample = Some(sample.clone()));
            }
            "if" => place(section, PathMatch::Condition(section.text.to_string()), None, 3, scope, out),
            _ => {}
        }
    }

    fn files<'a>(&self, section: &'a Directive, under: &str, scope: &Scope<'a>, out: &mut Vec<(Vec<&'a Directive>, Place<'a>)>) {
        let takes = self.takes(section, under);
        let known = out.len();
        place(section, takes, None, 2, scope, out);
        for (_, place) in out.iter_mut().skip(known) {
            place.sample = Some(self.sample_below(&place.takes, under));
        }
    }

    /// The paths of `<Files>` and `<FilesMatch>`: a directory whose index is such a file is one of them.
    pub fn takes(&self, section: &Directive, under: &str) -> PathMatch {
        let args = section.args();
        let names = match args.as_slice() {
            [tilde, pattern, ..] if tilde == "~" => pattern.clone(),
            [pattern, ..] if section.name == "filesmatch" => pattern.clone(),
            [glob, ..] => pattern::of_glob(glob),
            [] => return PathMatch::Condition(section.text.to_string()),
        };
        let paths = pattern::of_files(&names, under);
        let matches = |name: &str| PathMatch::Pattern(paths.clone()).takes(&format!("{under}{name}")) == Some(true);
        match self.index(under) {
            Some(index) if matches(&index) => PathMatch::Pattern(format!("{paths}|^{}$", regex::escape(under))),
            Some(_) | None => PathMatch::Pattern(paths),
        }
    }

    /// The index of a directory: the first that is there.
    fn index(&self, under: &str) -> Option<String> {
        let dir = format!("{}{under}", self.documents);
        let there = |name: &&String| self.root.stat(Path::new(&format!("{dir}{name}"))).is_ok();
        self.indexes.iter().find(there).cloned()
    }

    /// The URL path of a directory section, with its slash. `None`: none of this site's files are there.
    fn url_of(&self, section: &Directive) -> Option<String> {
        let args = section.args();
        let (text, pattern) = match args.as_slice() {
            [tilde, pattern, ..] if tilde == "~" => (pattern, true),
            [pattern, ..] => (pattern, section.name == "directorymatch"),
            [] => return None,
        };
        if pattern || text.contains(['*', '?', '[']) {
            let regex = if pattern { text.clone() } else { pattern::of_glob(text) };
            return (PathMatch::Pattern(regex).takes(&self.documents) == Some(true)).then(|| "/".to_owned());
        }
        let dir = text.trim_end_matches('/');
        let below =
            |outer: &str, inner: &str| inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
        if below(dir, &self.documents) {
            return Some("/".to_owned());
        }
        if below(&self.documents, dir) {
            return Some(format!("{}/", &dir[self.documents.len()..]));
        }
        let alias = self.aliases.iter().find(|(_, target)| below(target, dir))?;
        Some(format!("{}{}/", alias.0, &dir[alias.1.len()..]))
    }

    /// A path that leads to a place: of a script that is there, as an invented one would not be found.
    pub fn sample(&self, place: &Place<'_>) -> String {
        if let Some(sample) = &place.sample {
            return sample.clone();
        }
        self.sample_below(&place.takes, place.under.as_deref().unwrap_or("/"))
    }

    /// The same by what is taken and the directory.
    fn sample_below(&self, taken: &PathMatch, under: &str) -> String {
        if !matches!(taken, PathMatch::Pattern(_)) {
            return match taken {
                PathMatch::Prefix(prefix) | PathMatch::FinalPrefix(prefix) | PathMatch::Exact(prefix) => prefix.clone(),
                PathMatch::Pattern(_) | PathMatch::Any | PathMatch::Condition(_) => under.to_owned(),
            };
        }
        let takes = |name: &str| taken.takes(&format!("{under}{name}")) == Some(true);
        let index = self.index(under).filter(|name| takes(name));
        let listed = || {
            let names = self.root.list(Path::new(&format!("{}{under}", self.documents))).unwrap_or_default();
            let mut names: Vec<String> = names.into_iter().filter_map(|name| name.into_string().ok()).collect();
            names.sort();
            names.into_iter().take(NAMES).find(|name| takes(name))
        };
        let name = index.or_else(listed).or_else(|| takes("index.php").then(|| "index.php".to_owned()));
        match (name, taken) {
            (Some(name), _) => format!("{under}{name}"),
            (None, PathMatch::Pattern(pattern)) => pattern::sample(pattern),
            (None, _) => under.to_owned(),
        }
    }
}

/// A place, where something that proxies stands in its section.
fn place<'a>(
    section: &'a Directive,
    takes: PathMatch,
    under: Option<String>,
    rank: u8,
    scope: &Scope<'a>,
    out: &mut Vec<(Vec<&'a Directive>, Place<'a>)>,
) {
    let content = content(section);
    if content.iter().any(|one| matches!(one.name.as_str(), "sethandler" | "rewriterule")) {
        let pattern = format!("<{} {}>", section.name, section.text);
        out.push((content, Place { pattern, takes, under, sample: None, scope: scope.within(section.children()), rank }));
    }
}

/// What stands in a section, with what stands there for files that exist (`<If "-f %{REQUEST_FILENAME}">`).
fn content(section: &Directive) -> Vec<&Directive> {
    let of_files = |one: &&Directive| one.name == "if" && one.text.contains("-f ");
    let inner = section.children().iter().filter(of_files).flat_map(Directive::children);
    section.children().iter().chain(inner).collect()
}

/// What `<Location>` and `<LocationMatch>` take, a path of it, and the prefix that a target's path replaces.
pub fn location(section: &Directive) -> (PathMatch, String, Option<String>) {
    let args = section.args();
    let of_regex = |text: &String| (PathMatch::Pattern(text.clone()), pattern::sample(text), pattern::head(text));
    match args.as_slice() {
        [tilde, pattern, ..] if tilde == "~" => of_regex(pattern),
        [pattern, ..] if section.name == "locationmatch" => of_regex(pattern),
        // A URL's own wildcards: `*` does not pass a slash.
        [path, ..] if path.contains(['*', '?']) => {
            let text = pattern::of_glob(path);
            let text = text.strip_suffix('$').map(|text| format!("{text}(?:/|$)")).unwrap_or_default();
            let sample = pattern::sample(&text);
            (PathMatch::Pattern(text), sample, None)
        }
        [path, ..] => {
            let (takes, prefix) = pattern::below(path);
            (takes, path.clone(), Some(prefix))
        }
        [] => (PathMatch::Condition(section.text.to_string()), "/".to_owned(), None),
    }
}

/// Workers of mod_jk by name, of `JkWorkersFile`: `worker.app.host=10.0.0.1`, `worker.app.port=8009`; of one that balances
/// (`worker.lb.balance_workers=a,b`) the first.
pub fn jk_workers(world: &World<'_>, scope: &Scope<'_>) -> HashMap<String, Address> {
    let Some(path) = scope.value("jkworkersfile") else { return HashMap::new() };
    let text = world.root.text(world.base.join(path)).unwrap_or_default();
    let mut known: HashMap<&str, HashMap<&str, &str>> = HashMap::new();
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once('=') else { continue };
        let Some((name, property)) = key.trim().strip_prefix("worker.").and_then(|rest| rest.rsplit_once('.')) else { continue };
        if known.len() < WORKERS || known.contains_key(name) {
            known.entry(name).or_default().insert(property, value.trim());
        }
    }
    let address = |of: &HashMap<&str, &str>| -> Option<Address> {
        let host = of.get("host").copied().unwrap_or("localhost");
        let port = of.get("port").map_or(Some(8009), |port| port.parse::<u16>().ok())?;
        of.contains_key("type").then_some(())?;
        Some(
            host.parse()
                .map_or_else(|_| Address::Name(host.to_owned(), port), |ip: std::net::IpAddr| Address::Tcp((ip, port).into())),
        )
    };
    let of = |name: &str| -> Option<Address> {
        let worker = known.get(name)?;
        let first = worker.get("balance_workers").and_then(|list| list.split(',').next()).map(str::trim);
        address(first.and_then(|first| known.get(first)).unwrap_or(worker))
    };
    known.keys().filter_map(|name| Some(((*name).to_owned(), of(name)?))).collect()
}
