//! Sentences and commands of the catalogue, filled in with what is known of an incident.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    LogGroup, ProbeResult, Scene,
    again::{Again, Logged, Why, again},
    rank::Held,
    relation::{STRANGER, cut_short},
    scope::Scope,
    symptom, window,
};
use crate::{
    catalog::{AdviceSpec, is_field, runs},
    model::{Address, Advice, Command, Gateway, Outcome, ProcessInfo, Protocol, RunState, logline::Dialect},
};

/// Values for sentences and commands: those of the evidence, strongest first, and those of the place.
pub fn fields<'a>(
    scene: &'a Scene,
    scope: &Scope<'_>,
    evidence: &[Held<'_>],
    symptom: &symptom::View,
    logged: &OnceCell<Logged<'a>>,
) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let mut set = |key: &str, value: String| {
        fields.entry(key.to_owned()).or_insert(value);
    };
    set("subject", scope.subject.0.clone());
    if let Some(gateway) = scope.gateway {
        set("gateway", gateway.kind.clone());
        set("config", gateway.config.display().to_string());
        if let Some(identity) = &gateway.identity {
            set("gateway_user", identity.name.clone());
        }
        if let Some(log) = gateway.logs.iter().find(|log| log.kind == crate::model::SourceKind::Error) {
            set("error_log", log.id());
        }
    }
    if let Some((site, route)) = scope.route {
        let server = route.servers.iter().find(|server| server.address.to_string() == scope.subject.0);
        set("place", server.map_or(&route.at, |server| &server.at).to_string());
        set("scheme", route.protocol.called().to_owned());
        set("module", nginx_module(route.protocol).to_owned());
        if let Some(host) = site.host() {
            set("host", host.to_owned());
        }
        if route.servers.len() > 1 {
            set("pool_size", route.servers.len().to_string());
        }
        // Caddy and Envoy wait for ever unless told otherwise.
        if route.read_ms < u64::MAX {
            let limit = (route.read_ms / 1000).to_string();
            match cut_short(scope, evidence, symptom) {
                Some(waited) => {
                    set("waited_s", (waited / 1000).to_string());
                    set("patience_s", limit);
                }
                None => set("read_s", limit),
            }
        }
    }
    // A command takes only what is an address.
    let address: Result<Address, String> = scope.subject.0.parse();
    if let Ok(address) = &address {
        set("address", address.bare().to_string());
        inside(scope.gateway, address, &mut set);
    }
    match address.map(|address| address.inside(None)) {
        Ok(Address::Unix(path)) => {
            set("socket", path.display().to_string());
            if let Some(dir) = path.parent() {
                set("dir", dir.display().to_string());
            }
        }
        Ok(Address::Tcp(at)) => set("port", at.port().to_string()),
        Ok(Address::Name(name, port)) => {
            set("name", name);
            set("port", port.to_string());
        }
        Ok(Address::Inside(..)) | Err(_) => {}
    }
    match again(scene, scope, symptom, logged) {
        Some(Again::Ask(url)) => set("url", url),
        Some(Again::Watch(watched)) => {
            set(watched.why.field(), watched.request);
            if watched.log.starts_with('/') {
                set("request_log", watched.log);
            }
        }
        None => {}
    }
    if let Some(url) = &symptom.url {
        set("url", url.clone());
    }
    let straight = || scene.probes_about("upstream", &scope.subject);
    if let Some(request) = straight().next().and_then(|history| history.last.job.request.as_ref()) {
        set("path", request.path.clone());
        set("host", request.host.clone());
    }
    let pages = |fails: bool| {
        let mut pages = straight().filter(move |history| (symptom::own_failures(scene, history).hits > 0) == fails);
        pages.find_map(|history| Some(history.last.job.request.as_ref()?.target().into_owned()))
    };
    if let (Some(fails), Some(served)) = (pages(true), pages(false)) {
        set("of_pages", format!("{fails}, though it serves {served}"));
    }
    // What is hardly more than a coincidence has no say in what is told.
    for (.., fact) in evidence.iter().filter(|(weight, spec, _)| *weight > spec.weight * STRANGER) {
        for (key, value) in &fact.fields {
            // Where a program listens may be a port, and commands about unix sockets take none.
            if key != "socket" || value.starts_with(['/', '@']) {
                set(key, value.clone());
            }
        }
    }
    // What is told of a failure is its own status, and not that of another page or of a try that was served.
    let failed = |result: &ProbeResult| match result.outcome {
        Outcome::Status(status) if symptom::failed(&result.outcome) => Some(status),
        _ => None,
    };
    if let Some(status) = straight().find_map(|history| window(history).into_iter().find_map(failed)) {
        set("status", status.to_string());
    }
    // Whose last words are worth reading, where no evidence names it.
    if let Some(service) = scene.units.iter().find(|service| service.serves.contains(&scope.subject)) {
        set("unit", service.unit.clone());
    }
    limits(scope.gateway, &mut fields);
    // Caddy has a way of its own to write a socket (caddyserver.com/docs/conventions, network addresses).
    if let Some(there) = fields.get("elsewhere") {
        let caddy = scope.gateway.is_some_and(|gateway| gateway.kind == "caddy");
        let written = if caddy { there.replace("unix:/", "unix//") } else { there.clone() };
        fields.insert("elsewhere_written".to_owned(), written);
    }
    fields
}

/// What limits requests by a zone that a log names, where the configuration tells: the directive that turns them away, and the zone's own.
fn limits(gateway: Option<&Gateway>, fields: &mut BTreeMap<String, String>) {
    let Some(gateway) = gateway else { return };
    for (field, rule, zone) in
        [("request_zone", "limit_req", "limit_req_zone"), ("connection_zone", "limit_conn", "limit_conn_zone")]
    {
        let Some(name) = fields.get(field).cloned() else { continue };
        for (kind, written, place) in [(rule, "limit_rule", "limit_place"), (zone, "limit_zone_rule", "limit_zone_place")] {
            let Some(said) = gateway.settings.get(&format!("{kind} {name}")) else { continue };
            fields.insert(written.to_owned(), said.value.to_string());
            if let Some(at) = &said.at {
                fields.insert(place.to_owned(), at.to_string());
            }
        }
    }
}

/// What advice on an excerpt takes for what only a configuration would tell.
pub fn for_advice(scene: &Scene, fields: &mut BTreeMap<String, String>) {
    fields.entry("place".to_owned()).or_insert_with(|| "its place in the gateway's configuration".to_owned());
    // nginx's error log has the protocol with the upstream: `upstream: "fastcgi://..."`.
    let scheme = |group: &LogGroup| {
        let (_, url) = group.first.split_once(", upstream: \"")?;
        Some(url.split_once("://")?.0.trim_end_matches('s').replace("http", "proxy"))
    };
    let module = scene.logs.values().filter(|group| group.meaning.dialect == Dialect::NginxError).find_map(scheme);
    if let Some(module) = module.filter(|module| matches!(module.as_str(), "proxy" | "fastcgi" | "uwsgi" | "scgi" | "grpc")) {
        fields.entry("module".to_owned()).or_insert(module);
    }
}

/// The word that stands before nginx's directives for this protocol: `fastcgi_read_timeout`.
pub fn nginx_module(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Fastcgi => "fastcgi",
        Protocol::Uwsgi => "uwsgi",
        Protocol::Scgi => "scgi",
        Protocol::Grpc | Protocol::Grpcs => "grpc",
        Protocol::Http | Protocol::Https | Protocol::Ajp | Protocol::Stream => "proxy",
    }
}

/// Who fills in advice of the catalogue for one subject, and leaves out what is in the words of a program that does not run there.
#[derive(Debug)]
pub struct Adviser<'a> {
    fields: &'a BTreeMap<String, String>,
    gateway: Option<&'a Gateway>,
    /// What the settings of the application are those of.
    kinds: Vec<&'a str>,
    /// Who listens there.
    owner: Option<&'a ProcessInfo>,
    /// Whose lines an excerpt has: `nginx error log`.
    written: BTreeSet<&'static str>,
}

impl<'a> Adviser<'a> {
    /// For what a cause is about.
    pub fn new(scene: &'a Scene, scope: &Scope<'a>, fields: &'a BTreeMap<String, String>) -> Self {
        let upstream = &scope.subject;
        let kinds = scene.apps.iter().filter(|app| app.serves.contains(upstream)).map(|app| app.kind.as_str()).collect();
        let address: Option<Address> = upstream.0.parse().ok();
        let owner = address.and_then(|address| scene.listeners.as_ref()?.taking(&address)?.owner.as_ref());
        let logs = scene.logs.values().filter(|_| scene.excerpt());
        let written = logs.map(|group| group.meaning.dialect.title()).collect();
        Self { fields, gateway: scope.gateway, kinds, owner, written }
    }

    /// All of a list that is known whole.
    pub fn all(&self, list: &[AdviceSpec]) -> Vec<Advice> {
        let holds = |spec: &AdviceSpec| !spec.unless.iter().any(|field| self.fields.contains_key(field));
        let theirs = |spec: &&AdviceSpec| holds(spec) && (spec.of.is_empty() || spec.of.iter().any(|name| self.runs(name)));
        list.iter().filter(theirs).filter_map(|spec| advice(spec, self.fields, self.gateway)).collect()
    }

    /// How to see that a cause is gone: by its own list, but for the request that fails where that is not one to be made again.
    /// `for_all`: what is done then.
    pub fn verify(&self, list: &[AdviceSpec], for_all: &[AdviceSpec]) -> Vec<Advice> {
        let watched = [Why::Acts, Why::Query, Why::Others].iter().any(|why| self.fields.contains_key(why.field()));
        if !watched {
            return self.all(list);
        }
        let asks = |spec: &&AdviceSpec| spec.run.iter().any(|word| word.contains("{url}"));
        let others: Vec<AdviceSpec> = list.iter().filter(|spec| !asks(spec)).cloned().collect();
        let mut all = self.all(&others);
        all.extend(self.all(for_all));
        all
    }

    /// Whether this is the gateway's kind or the application server's name.
    fn runs(&self, name: &str) -> bool {
        self.gateway.is_some_and(|gateway| gateway.kind == name)
            || self.kinds.iter().any(|kind| kind.split(' ').next() == Some(name))
            || self.owner.is_some_and(|owner| runs(name, owner))
            || self.written.iter().any(|title| title.split(' ').next() == Some(name))
    }
}

/// A text with its `{fields}` filled in; `None` when one is not known. `%{http_code}` is curl's own and stays, as do the braces of a
/// gateway's configuration, which hold more than a name.
pub fn fill(text: &str, fields: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        match after.split_once('}') {
            Some((key, after)) if is_field(key) && !before.ends_with('%') => {
                out.push_str(fields.get(key)?);
                rest = after;
            }
            Some(_) | None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Some(out)
}

/// Fields of commands whose meaning hangs on the network in which the gateway runs, and on its files: the resolver's.
const OF_NET: &[&str] = &["{port}", "{address}", "{ip}", "{server_ip}", "{wrong_ip}", "{socket}"];
const OF_FILES: &[&str] = &["{name}"];
/// The fields with the words before such a command, where that is another than ours. A path has its own below `/proc/PID/root`.
const ENTER_NET: &str = "enter_net";
const ENTER_FILES: &str = "enter_files";

/// What of an address in other namespaces goes into commands for a person on this host.
fn inside(gateway: Option<&Gateway>, address: &Address, set: &mut impl FnMut(&str, String)) {
    let (Some(_), Some(gateway)) = (address.place(), gateway) else { return };
    let RunState::Running { pid, .. } = gateway.state else { return };
    if let Some(inside) = &gateway.inside {
        if inside.net {
            set(ENTER_NET, format!("nsenter --target {pid} --net --"));
        }
        set(ENTER_FILES, inside.enter.join(" "));
    }
    if let Address::Unix(path) = address.bare()
        && let Ok(rest) = path.strip_prefix("/")
    {
        let path = std::path::Path::new(&format!("/proc/{pid}/root")).join(rest);
        set("socket", path.display().to_string());
        set("dir", path.parent().unwrap_or(&path).display().to_string());
        set("socket_there", address.bare().to_string().trim_start_matches("unix:").to_owned());
    }
}

/// Advice with its fields filled in. `{@reload}` stands for the gateway's own words of that command.
fn advice(spec: &AdviceSpec, fields: &BTreeMap<String, String>, gateway: Option<&Gateway>) -> Option<Advice> {
    let text = fill(&spec.text, fields)?;
    if spec.run.is_empty() {
        return Some(Advice { text, command: None });
    }
    let mut words = Vec::new();
    for word in &spec.run {
        match word.strip_prefix("{@").and_then(|rest| rest.strip_suffix('}')) {
            Some(command) => words.extend(gateway?.commands.get(command)?.iter().cloned()),
            // The kernel tells of a socket by the name that its owner gave it.
            None if word == "{socket}" && spec.run[0] == "ss" => {
                words.push(fields.get("socket_there").or_else(|| fields.get("socket"))?.clone());
            }
            None => words.push(fill(word, fields)?),
        }
    }
    let names = |field: &&&str| spec.run.iter().any(|word| word.contains(**field));
    let there = OF_FILES.iter().find(names).map(|_| ENTER_FILES).or_else(|| OF_NET.iter().find(names).map(|_| ENTER_NET));
    if let Some(enter) = there.and_then(|enter| fields.get(enter)) {
        words.splice(0..0, enter.split(' ').map(str::to_owned));
    }
    Some(Advice { text, command: Some(Command::new(words)?) })
}

/// What is missing when a family was not looked at.
pub fn looking(family: &str) -> String {
    match family {
        "listen" => "which process listens where was not seen".to_owned(),
        "log" => "no log was read".to_owned(),
        "gateway" => "the gateway's process was not seen".to_owned(),
        other => match other.strip_prefix("probe:") {
            Some(probe) => format!("the {probe} probe was not made"),
            None => format!("{other} was not looked at"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_a_field_that_is_not_known_is_no_text() {
        let fields = BTreeMap::from([("subject".to_owned(), "127.0.0.1:8000".to_owned())]);
        assert_eq!(fill("nothing on {subject}.", &fields).as_deref(), Some("nothing on 127.0.0.1:8000."));
        assert_eq!(fill("restart {unit}", &fields), None);
        assert_eq!(fill("%{http_code} {subject}", &fields).as_deref(), Some("%{http_code} 127.0.0.1:8000"));
        assert_eq!(fill("a { without an end", &fields).as_deref(), Some("a { without an end"));
        assert_eq!(
            fill("on {subject}: http { keepalive 4s }", &fields).as_deref(),
            Some("on 127.0.0.1:8000: http { keepalive 4s }")
        );
    }
}
