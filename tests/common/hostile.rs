//! A state in which every text that a host, a peer or a configuration can choose is hostile.

use why502::{
    app::State,
    model::{
        Address, Advice, BlindSpot, Cause, Change, ChangeKind, Changes, Confidence, ConfigEdit, Evidence, FileFate, Finding,
        HostLoad, Observation, Outcome, RuledOut, RunInfo, Stage, Subject, WayBack,
    },
};

use super::incident::{Incident, error_log, listeners, load, nginx};

/// A state in which every such text is this one.
pub fn hostile(text: &str) -> State {
    let mut incident = Incident::begun(true, text);
    let mut gateway = nginx();
    gateway.version = Some(text.into());
    gateway.config = text.into();
    gateway.blind = vec![BlindSpot { source: text.into(), reason: text.into(), remedy: text.into() }];
    let mut sites = gateway.sites.to_vec();
    sites[0].names = vec![text.into()];
    sites[0].routes[0].servers[0].address = Address::Unix(text.into());
    gateway.sites = sites.into();
    incident.observe(Observation::Run(RunInfo {
        version: text.into(),
        host: text.into(),
        url: Some(text.into()),
        probing: true,
        user: text.into(),
        excerpt: false,
        copied: false,
    }));
    incident.observe(Observation::Gateways(vec![gateway]));
    let mut table = listeners(true);
    for listener in &mut table.listeners {
        listener.address = Address::Unix(text.into());
        if let Some(owner) = &mut listener.owner {
            owner.name = text.into();
        }
    }
    incident.observe(Observation::Edited(vec![ConfigEdit {
        kind: "nginx".into(),
        config: text.into(),
        file: text.into(),
        fate: FileFate::Changed,
        modified: None,
        diff: vec![format!("-{text}"), format!("+{text}")],
        left_out: 1,
        opaque: Some(text.into()),
        back: WayBack::Write { text: text.into(), bytes: false, to: "/etc/shop.conf".into(), made: None },
    }]));
    incident.observe(Observation::Listeners(table));
    incident.observe(Observation::Load(Box::new(HostLoad { disks: vec![(text.into(), 99.0, None)], ..load() })));
    let mut batch = error_log(10, true);
    batch.source = text.into();
    for count in &mut batch.counts {
        count.key = format!("{text}{}", count.key);
        count.first = format!("{text}{}", count.first);
    }
    incident.observe(Observation::Log(batch));
    incident.observe(Observation::Dropped { collector: text.into(), count: 1 });
    let now = incident.state.now.wall_s();
    let deploy = Change {
        kind: ChangeKind::Deploy,
        what: text.into(),
        at: now - 600,
        source: text.into(),
        by: Some(text.into()),
        concerns: Vec::new(),
        first: false,
    };
    incident.observe(Observation::Changes(Box::new(Changes { from: now - 86_400, list: vec![deploy], ..Changes::default() })));
    incident.done(&[Stage::Gateways, Stage::Listeners, Stage::Load, Stage::Logs]);
    incident.rounds(3, |job| if job.probe == "gateway" { Outcome::Status(502) } else { Outcome::Speaks(text.into()) });
    let mut state = incident.state;
    for history in &mut state.scene.probes {
        history.last.detail = text.into();
        history.last.emitter = Some(text.into());
    }
    // What a diagnosis could carry through from any of these.
    let evidence = Evidence { fact: String::new(), text: text.into(), source: text.into(), weight: 0.5 };
    let advice = Advice { text: text.into(), command: None };
    state.assessment.causes.insert(
        0,
        Cause {
            id: "upstream-down".into(),
            reason: Some(text.into()),
            confidence: Confidence::Likely,
            score: 0.5,
            subject: Subject(text.into()),
            summary: text.into(),
            evidence_for: vec![evidence.clone()],
            against: vec![evidence],
            unknown: vec![text.into()],
            explains: vec![("upstream-crashing".into(), Subject(text.into()))],
            mitigate: vec![advice.clone()],
            fix: vec![advice.clone()],
            verify: vec![advice],
        },
    );
    state.assessment.findings.push(Finding {
        id: "x".into(),
        text: text.into(),
        place: text.into(),
        fix: text.into(),
        cause: None,
    });
    state.assessment.ruled_out.push(RuledOut { id: "x".into(), because: text.into() });
    state.assessment.headline = text.into();
    state.assessment.url = Some(text.into());
    state.assessment.symptom.words = text.into();
    for hop in &mut state.assessment.hops {
        (hop.target, hop.outcome) = (text.into(), text.into());
    }
    for step in &mut state.assessment.steps {
        step.text = text.into();
    }
    state.view.message = Some((state.now, text.into()));
    state
}
