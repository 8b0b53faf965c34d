//! Facts about what an application speaks by its own settings: `spoken:...`. An application whose workers all wait for the rest of what
//! they take for HTTP answers nobody in any protocol, so that no probe can tell; how it was started can.

use std::{collections::BTreeMap, path::Path};

use super::{FactBook, probes};
use crate::{
    catalog::Catalog,
    diagnose::Scene,
    model::{Address, Fact, Protocol, Subject},
};

/// Whose settings these are.
const KIND: &str = "uwsgi";
/// Its settings of a socket that speaks one protocol and no other, with that protocol as a probe would name it
/// (<https://uwsgi-docs.readthedocs.io/en/latest/Options.html>). What `socket` alone speaks, `protocol` may change.
const SPEAKS: &[(&str, &str)] = &[("http-socket", "http/1"), ("http", "http/1"), ("uwsgi-socket", "uwsgi")];

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    vec!["spoken:other-protocol".to_owned()]
}

/// The fact: the gateway speaks another protocol to an application that serves nobody.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for app in scene.apps.iter().filter(|app| app.kind == KIND) {
        for (key, spoken) in SPEAKS {
            let Some(setting) = app.settings.get(*key) else { continue };
            for subject in app.serves.iter().filter(|subject| names_it(&setting.value, subject)) {
                book.look("spoken", subject);
                let Ok(address) = subject.0.parse::<Address>() else { continue };
                let routes = scene.routes_to(&address);
                let Some(used) = routes.iter().map(|(.., route)| route.protocol).find(|used| !alike(*used, spoken)) else {
                    continue;
                };
                let mut straight = scene.probes_about("upstream", subject);
                if straight.any(|history| probes::window(history).iter().any(|result| result.outcome.serves() == Some(true))) {
                    continue;
                }
                let text = format!(
                    "{} speaks {spoken} there, by {key} ({}), and the gateway {}",
                    app.title(),
                    setting.from,
                    used.scheme()
                );
                let fields = [
                    ("peer", (*spoken).to_owned()),
                    ("mismatch", probes::mixed_up(used, spoken).to_owned()),
                    ("scheme", used.scheme().to_owned()),
                ];
                let fields = BTreeMap::from(fields.map(|(key, value)| (key.to_owned(), value)));
                let (name, subject, source) = ("spoken:other-protocol".to_owned(), subject.clone(), setting.from.clone());
                book.add(Fact { name, subject, now: true, at: scene.now, text, source, fields });
            }
        }
    }
}

/// Whether a gateway that speaks so is understood. TLS in front of it is another matter.
fn alike(used: Protocol, spoken: &str) -> bool {
    match used {
        Protocol::Http | Protocol::Https => spoken == "http/1",
        Protocol::Uwsgi => spoken == "uwsgi",
        // Bytes are handed on as they come.
        Protocol::Stream => true,
        Protocol::Fastcgi | Protocol::Scgi | Protocol::Ajp | Protocol::Grpc | Protocol::Grpcs => false,
    }
}

/// Whether a setting (`127.0.0.1:8000`, `:8000`, `/run/app.sock`) names this upstream.
fn names_it(value: &str, subject: &Subject) -> bool {
    let Ok(address) = subject.0.parse::<Address>() else { return false };
    match address.bare() {
        Address::Unix(path) => Path::new(value) == path.as_path(),
        Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => {
            let port = value.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.is_some() && port == address.port()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn only_what_cannot_be_understood_is_another_protocol() {
        assert!(alike(Protocol::Http, "http/1") && alike(Protocol::Uwsgi, "uwsgi") && alike(Protocol::Stream, "http/1"));
        assert!(!alike(Protocol::Uwsgi, "http/1") && !alike(Protocol::Http, "uwsgi") && !alike(Protocol::Fastcgi, "http/1"));
    }
}
