//! Facts about TLS: `tls:...` of upstreams, by what their gateway offers and accepts; `edge-tls:...` of the gateway's own listeners.
//!
//! Only what the gateway itself would refuse is a `tls:` fault: an expired certificate that nobody verifies is none.

use std::{collections::BTreeMap, path::PathBuf};

use super::{FactBook, window};
use crate::{
    catalog::Catalog,
    diagnose::{ProbeHistory, Scene, symptom},
    model::{Fact, Outcome, RunState, Site, TlsMisfit, TlsView, TrustFault, TrustVerdict, View, clock_of, text},
};

/// Seconds before its end in which a certificate of the gateway's own is worth a word: renewal by ACME begins 30 days before.
const SOON_S: i64 = 10 * 86_400;

/// What names of files with certificates end with.
const CERTIFICATES: &[&str] = &["pem", "crt", "cer", "cert", "chain"];

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    let faults = |family: &'static str| TrustFault::ALL.map(|fault| format!("{family}:{}", fault.word()));
    let misfits = TlsMisfit::ALL.map(|misfit| format!("tls:{}", misfit.word()));
    let others = [
        "tls:agrees",
        "tls:verifies",
        "tls:not-verified",
        "tls:plain",
        "tls:files-newer",
        "edge-tls:verifies",
        "edge-tls:expires-soon",
        "edge-tls:plain",
        "edge-tls:not-reloaded",
    ];
    faults("tls").into_iter().chain(misfits).chain(faults("edge-tls")).chain(others.map(str::to_owned)).collect()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for history in &scene.probes {
        let job = &history.last.job;
        match job.probe.as_str() {
            "upstream" if !job.tls() => {
                add(history, "tls:plain".to_owned(), format!("the gateway speaks no TLS to {}", job.address), &[], book);
            }
            "gateway" if !job.tls() => {
                add(history, "edge-tls:plain".to_owned(), format!("{} is no TLS", job.label()), &[], book);
            }
            _ => {}
        }
        let Some(View::Tls(view)) = &history.last.view else { continue };
        match history.last.job.probe.as_str() {
            "tls" => upstream(scene, history, view, book),
            "edge-tls" => edge(scene, history, view, book),
            _ => {}
        }
    }
}

/// A fact about what the probe saw; the first of several routes to one upstream speaks for it.
fn add(history: &ProbeHistory, name: String, text: String, more: &[(&str, &str)], book: &mut FactBook) {
    let job = &history.last.job;
    let Some(at) = history.results.back().map(|result| result.at) else { return };
    if book.find(&name, &[&job.subject]).is_some() {
        return;
    }
    let mut fields = BTreeMap::from([("address".to_owned(), job.address.to_string()), ("detail".to_owned(), text.clone())]);
    fields.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    book.add(Fact { name, subject: job.subject.clone(), now: true, at, text, source: "TLS probe".to_owned(), fields });
}

fn upstream(scene: &Scene, history: &ProbeHistory, view: &TlsView, book: &mut FactBook) {
    let (job, outcome) = (&history.last.job, &history.last.outcome);
    let address = &job.address;
    if let Some((misfit, text)) = &view.misfit {
        book.look("tls", &job.subject);
        let name = format!("tls:{}", misfit.word());
        add(history, name, format!("{address}: {text}"), &[("misfit", misfit.word()), ("detail", text)], book);
    } else if view.version.is_some() {
        book.look("tls", &job.subject);
        let terms = view.lines().into_iter().next().unwrap_or_default();
        add(history, "tls:agrees".to_owned(), format!("{address}: the TLS handshake succeeds ({terms})"), &[], book);
    }
    if matches!(outcome, Outcome::Skipped(_)) && view.misfit.is_none() {
        return;
    }
    match &view.verdict {
        TrustVerdict::Refused(findings) => {
            book.look("tls", &job.subject);
            for finding in findings {
                let hint = view.other_sni.as_ref().map_or_else(String::new, |other| format!("; {other}"));
                let text = format!("{address}: {}{hint}", finding.text);
                let more = [("why", finding.text.as_str()), ("judged_by", view.judged_by.as_str())];
                add(history, format!("tls:{}", finding.fault.word()), text, &more, book);
            }
        }
        TrustVerdict::Trusted => {
            files_newer(scene, history, book);
            let text = format!("{address}: the gateway would trust the certificate, by {}", view.judged_by);
            add(history, "tls:verifies".to_owned(), text, &[], book);
        }
        TrustVerdict::NotVerified => {
            let text = format!("{address}: the gateway verifies no certificate there");
            add(history, "tls:not-verified".to_owned(), text, &[], book);
        }
        TrustVerdict::Unknown(_) | TrustVerdict::NotSeen => {}
    }
}

/// The certificate is good by what the files say now, requests fail, and a file is younger than the workers: they read it at
/// their start (ngx_ssl_trusted_certificate), so what they trust is what it was.
fn files_newer(scene: &Scene, history: &ProbeHistory, book: &mut FactBook) {
    let job = &history.last.job;
    let Some(trust) = &job.trust else { return };
    let fails = |through: &ProbeHistory| window(through).iter().all(|result| symptom::failed(&result.outcome));
    if !scene.probes_through(&job.subject).any(fails) {
        return;
    }
    for gateway in &scene.gateways {
        let RunState::Running { workers_since: Some(loaded), .. } = gateway.state else { continue };
        let mut ours = gateway.routes().filter(|(_, route)| route.trust.as_ref() == Some(trust));
        let files = [&trust.ca_file, &trust.client_cert, &trust.client_key].into_iter().flatten();
        let newer = files
            .filter_map(|file| gateway.files.iter().find(|(known, _)| known == file))
            .find_map(|(file, modified)| Some((file, modified.filter(|modified| *modified > loaded + 1)?)));
        let (Some(_), Some((file, edited))) = (ours.next(), newer) else { continue };
        let text = format!(
            "{} was changed at {}Z, after the workers started: by it {} would be trusted",
            file.display(),
            clock_of(edited),
            job.address
        );
        let fields = BTreeMap::from([
            ("file".to_owned(), file.display().to_string()),
            ("edited".to_owned(), format!("{}Z", clock_of(edited))),
            ("loaded".to_owned(), format!("{}Z", clock_of(loaded))),
        ]);
        let subject = scene.named(gateway);
        if book.find("tls:files-newer", &[&subject]).is_none() {
            let source = "times of files and processes".to_owned();
            book.add(Fact { name: "tls:files-newer".to_owned(), subject, now: true, at: scene.now, text, source, fields });
        }
    }
}

/// Seconds before its end in which a certificate of this lifetime should have been renewed. One that lives no longer than that in all,
/// as those of Caddy's own authority do (12 hours), is renewed when a third of its life is left (certmagic, RenewalWindowRatio):
/// it is late when half of that is gone.
fn soon_s(lifetime: i64) -> i64 {
    if lifetime <= SOON_S { lifetime / 6 } else { SOON_S }
}

fn edge(scene: &Scene, history: &ProbeHistory, view: &TlsView, book: &mut FactBook) {
    let job = &history.last.job;
    let label = job.sni.as_ref().map_or_else(|| job.address.to_string(), |sni| format!("{sni} at {}", job.address));
    match &view.verdict {
        TrustVerdict::Refused(findings) => {
            book.look("edge-tls", &job.subject);
            for finding in findings {
                let text = format!("{label}: {}", finding.text.replace("the gateway", "a client"));
                add(history, format!("edge-tls:{}", finding.fault.word()), text, &[], book);
            }
        }
        TrustVerdict::Trusted => {
            book.look("edge-tls", &job.subject);
            add(
                history,
                "edge-tls:verifies".to_owned(),
                format!("{label}: a client of this host trusts the certificate"),
                &[],
                book,
            );
        }
        TrustVerdict::NotVerified | TrustVerdict::Unknown(_) | TrustVerdict::NotSeen => {}
    }
    let soon = view.chain.first().map_or(SOON_S, |cert| soon_s(cert.not_after - cert.not_before));
    let left = view.chain.first().map(|cert| cert.not_after - scene.now.wall_s());
    if let Some(left) = left.filter(|left| (0..soon).contains(left)) {
        let text = format!("{label}: the certificate expires in {}", text::duration(left));
        add(history, "edge-tls:expires-soon".to_owned(), text, &[], book);
    }
    let bad = matches!(view.verdict, TrustVerdict::Refused(_)) || left.is_some_and(|left| left < soon);
    if let Some((file, edited)) = bad.then(|| renewed(scene, job.sni.as_deref()?)).flatten() {
        let text = format!(
            "{} was written at {}Z, after the workers started, which still show the one before",
            file.display(),
            clock_of(edited)
        );
        add(history, "edge-tls:not-reloaded".to_owned(), text, &[("file", &file.display().to_string())], book);
    }
}

/// A certificate of the gateway that serves this name, which was written since it loaded its configuration.
fn renewed<'a>(scene: &'a Scene, name: &str) -> Option<(&'a PathBuf, i64)> {
    let serves = |site: &Site| site.listens.iter().any(|listen| listen.tls) && site.names.iter().any(|known| known == name);
    let gateway = scene.gateways.iter().find(|gateway| gateway.sites.iter().any(serves))?;
    let RunState::Running { workers_since: Some(loaded), .. } = gateway.state else { return None };
    let named = |file: &PathBuf| file.extension().is_some_and(|end| CERTIFICATES.iter().any(|known| end == *known));
    let newer = gateway.files.iter().filter_map(|(file, modified)| Some((file, modified.filter(|at| *at > loaded + 1)?)));
    newer.filter(|(file, _)| named(file)).max_by_key(|(_, edited)| *edited)
}
