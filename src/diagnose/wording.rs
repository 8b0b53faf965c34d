//! Sentences and commands of the catalogue, filled in with what is known of an incident.

use std::collections::BTreeMap;

use super::{Scene, scope::Scope, symptom};
use crate::{
    catalog::{AdviceSpec, EvidenceSpec},
    model::{Address, Advice, Command, Fact, Gateway, Outcome},
};

/// Values for sentences and commands: those of the evidence, strongest first, and those of the place.
pub fn fields(
    scene: &Scene,
    scope: &Scope<'_>,
    evidence: &[(f64, EvidenceSpec, Fact)],
    symptom: &symptom::View,
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
        set("scheme", route.protocol.scheme().to_owned());
        if let Some(host) = site.host() {
            set("host", host.to_owned());
        }
        if route.servers.len() > 1 {
            set("pool_size", route.servers.len().to_string());
        }
        set("read_s", (route.read_ms / 1000).to_string());
    }
    // A command takes only what is an address.
    let address: Result<Address, String> = scope.subject.0.parse();
    if let Ok(address) = &address {
        set("address", address.to_string());
    }
    match address {
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
        Err(_) => {}
    }
    if let Some(url) = &symptom.url {
        set("url", url.clone());
    }
    if let Some(history) = scene.probes_of("upstream").find(|history| history.last.job.subject == scope.subject) {
        if let Some(request) = &history.last.job.request {
            set("path", request.path.clone());
            set("host", request.host.clone());
        }
        if let Outcome::Status(status) = history.last.outcome {
            set("status", status.to_string());
        }
    }
    for (_, _, fact) in evidence {
        for (key, value) in &fact.fields {
            set(key, value.clone());
        }
    }
    fields
}

/// A text with its `{fields}` filled in; `None` when one is not known. `%{http_code}` is curl's own and stays.
pub fn fill(text: &str, fields: &BTreeMap<String, String>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (key, after) = after.split_once('}')?;
        out.push_str(before);
        if before.ends_with('%') {
            out.push_str(&format!("{{{key}}}"));
        } else {
            out.push_str(fields.get(key)?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Advice with its fields filled in. `{@reload}` stands for the gateway's own words of that command.
pub fn advice(spec: &AdviceSpec, fields: &BTreeMap<String, String>, gateway: Option<&Gateway>) -> Option<Advice> {
    let text = fill(&spec.text, fields)?;
    if spec.run.is_empty() {
        return Some(Advice { text, command: None });
    }
    let mut words = Vec::new();
    for word in &spec.run {
        match word.strip_prefix("{@").and_then(|rest| rest.strip_suffix('}')) {
            Some(command) => words.extend(gateway?.commands.get(command)?.iter().cloned()),
            None => words.push(fill(word, fields)?),
        }
    }
    Some(Advice { text, command: Some(Command::new(words)?) })
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
        assert_eq!(fill("a { without an end", &fields), None);
    }
}
