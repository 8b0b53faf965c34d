//! Facts about what an application speaks by its own settings: `spoken:...`. An application whose workers all wait for the rest of what
//! they take for HTTP answers nobody in any protocol, so that no probe can tell; how it was started can.

use std::{collections::BTreeMap, path::Path};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Address, Fact, Outcome, Protocol, Subject},
};

/// A setting by which an application server listens with one protocol and no other, in the clear.
struct Door {
    /// Whose setting.
    kind: &'static str,
    /// Its name.
    key: &'static str,
    /// The protocol, as a probe would name it.
    speaks: &'static str,
    /// Other settings by which something else is spoken there.
    unless: &'static [&'static str],
}

/// What turns TLS or another protocol on in gunicorn (gunicorn/config.py, `is_ssl`, `protocol`).
const GUNICORN_OTHER: &[&str] = &["--certfile", "certfile", "--keyfile", "keyfile", "--protocol", "protocol"];
/// Of uwsgi (<https://uwsgi-docs.readthedocs.io/en/latest/Options.html>): what `socket` alone speaks, `protocol` may change.
const DOORS: &[Door] = &[
    Door { kind: "uwsgi", key: "http-socket", speaks: "http/1", unless: &[] },
    Door { kind: "uwsgi", key: "http", speaks: "http/1", unless: &[] },
    Door { kind: "uwsgi", key: "uwsgi-socket", speaks: "uwsgi", unless: &[] },
    Door { kind: "gunicorn", key: "--bind", speaks: "http/1", unless: GUNICORN_OTHER },
    Door { kind: "gunicorn", key: "bind", speaks: "http/1", unless: GUNICORN_OTHER },
];

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["spoken:other-protocol".to_owned()]
}

/// The fact: the gateway speaks another protocol to an application that serves nobody.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for app in &scene.apps {
        let of_app = |door: &&Door| app.kind == door.kind && !door.unless.iter().any(|name| app.settings.contains_key(*name));
        for Door { key, speaks: spoken, .. } in DOORS.iter().filter(of_app) {
            let Some(setting) = app.settings.get(*key) else { continue };
            for subject in app.serves.iter().filter(|subject| names_it(&setting.value, subject)) {
                book.look("spoken", subject);
                let Ok(address) = subject.0.parse::<Address>() else { continue };
                let routes = scene.routes_to(&address);
                let Some(used) = routes.iter().map(|(.., route)| route.protocol).find(|used| !alike(*used, spoken)) else {
                    continue;
                };
                let straight = ["upstream", "tls"].into_iter().flat_map(|probe| scene.probes_about(probe, subject));
                let mut results = straight.flat_map(probes::window);
                if results.any(|result| used.tls() && result.outcome == Outcome::Open || result.outcome.serves() == Some(true)) {
                    continue;
                }
                let clear = if used.tls() { " without TLS" } else { "" };
                let text = format!(
                    "{} speaks {spoken}{clear} there, by {key} ({}), and the gateway {}",
                    app.title(),
                    setting.from,
                    used.scheme()
                );
                let fields = [
                    ("peer", format!("{spoken}{clear}")),
                    ("mismatch", probes::mixed_up(used, spoken).to_owned()),
                    ("scheme", used.called().to_owned()),
                ];
                let fields = BTreeMap::from(fields.map(|(key, value)| (key.to_owned(), value)));
                let (name, subject, source) = ("spoken:other-protocol".to_owned(), subject.clone(), setting.from.clone());
                book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
            }
        }
    }
}

/// Whether a gateway that speaks so is understood by who speaks this, in the clear.
fn alike(used: Protocol, spoken: &str) -> bool {
    match used {
        Protocol::Http => spoken == "http/1",
        Protocol::Uwsgi => spoken == "uwsgi",
        // Bytes are handed on as they come.
        Protocol::Stream => true,
        Protocol::Https | Protocol::Fastcgi | Protocol::Scgi | Protocol::Ajp | Protocol::Grpc | Protocol::Grpcs => false,
    }
}

/// Whether a setting (`127.0.0.1:8000`, `:8000`, `/run/app.sock`) names this upstream.
fn names_it(value: &str, subject: &Subject) -> bool {
    let Ok(address) = subject.0.parse::<Address>() else { return false };
    match address.bare() {
        Address::Unix(path) => Path::new(value.strip_prefix("unix:").unwrap_or(value)) == path.as_path(),
        Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => {
            let port = value.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.is_some() && port == address.port()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AppSetting, AppSettings};

    #[test]
    fn a_setting_names_its_upstream_alone() {
        let names = |value: &str, subject: &str| names_it(value, &Subject(subject.to_owned()));
        assert!(
            names("127.0.0.1:8000", "127.0.0.1:8000")
                && names(":8000", "127.0.0.1:8000")
                && names("/run/a.sock", "unix:/run/a.sock")
        );
        assert!(!names(":8001", "127.0.0.1:8000") && !names("/run/b.sock", "unix:/run/a.sock") && !names("8000", "127.0.0.1:8000"));
    }

    /// What is told of gunicorn with these settings, to which the gateway speaks this, and of which a look came to that.
    fn told(settings: &[&str], used: &str, outcome: Outcome) -> Vec<String> {
        use crate::model::{Gateway, Observation, ProbeJob, ProbeReport, RunState, Stamp};
        let at = serde_json::json!({"file": "/etc/caddy/Caddyfile", "line": 3});
        let site = serde_json::json!({"names": [], "listens": [], "choice": "first-match", "at": at, "routes": [{
            "pattern": "*", "takes": "any", "sample_path": "/", "protocol": used, "pool": null,
            "servers": [{"address": "127.0.0.1:8000", "role": "primary", "at": at}], "host_header": null, "sni": null,
            "connect_ms": 3000, "read_ms": 60000, "header_limit": null, "at": at,
        }]});
        let mut gateway =
            Gateway::new("caddy", "/etc/caddy/Caddyfile", RunState::Running { pid: 7, since: None, workers_since: None });
        gateway.sites = vec![serde_json::from_value(site).expect("a site")].into();
        let mut scene = Scene::default();
        scene.observe(Stamp::default(), Observation::Gateways(vec![gateway]));
        let (address, subject) = ("127.0.0.1:8000".parse::<Address>().expect("an address"), Subject("127.0.0.1:8000".to_owned()));
        let job = ProbeJob::new("tls", subject.clone(), address, Protocol::Https, (3_000, 7_000));
        scene.observe(Stamp::default(), Observation::Probe(Box::new(ProbeReport::new(job, outcome))));
        let setting =
            |name: &&str| ((*name).to_owned(), AppSetting { value: "127.0.0.1:8000".to_owned(), from: "here".to_owned() });
        let settings = settings.iter().map(setting).collect();
        scene.apps = vec![AppSettings { kind: "gunicorn".to_owned(), serves: vec![subject], settings, ..AppSettings::default() }];
        let mut book = FactBook::default();
        produce(&scene, &Catalog::embedded().expect("the catalogue"), &mut book);
        book.facts().iter().map(|fact| fact.fields["mismatch"].clone()).collect()
    }

    #[test]
    fn tls_to_an_application_that_has_no_certificate_is_a_mix_up() {
        use crate::model::Phase;
        let silent = || Outcome::Timeout(Phase::Tls);
        assert_eq!(told(&["--bind"], "https", silent()), ["tls-to-plain"]);
        assert_eq!(told(&["--bind"], "uwsgi", silent()), ["uwsgi-to-http"]);
        let none = Vec::<String>::new();
        assert_eq!(told(&["--bind"], "http", silent()), none, "it is understood");
        assert_eq!(told(&["--bind", "certfile"], "https", silent()), none, "it speaks TLS, or may");
        assert_eq!(told(&["--bind"], "https", Outcome::Open), none, "a handshake came to its end");
        assert_eq!(told(&["--workers"], "https", silent()), none, "where it listens is not known");
    }

    #[test]
    fn only_what_cannot_be_understood_is_another_protocol() {
        assert!(alike(Protocol::Http, "http/1") && alike(Protocol::Uwsgi, "uwsgi") && alike(Protocol::Stream, "http/1"));
        assert!(
            !alike(Protocol::Https, "http/1")
                && !alike(Protocol::Uwsgi, "http/1")
                && !alike(Protocol::Http, "uwsgi")
                && !alike(Protocol::Fastcgi, "http/1")
        );
    }
}
