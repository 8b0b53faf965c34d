//! An outage as all logs of a host tell it.

use why502::model::{LogBatch, LogCount, LogFormat, Observation, Outcome, SourceKind, Stage, clock_of, rfc3339};

use crate::common::incident::{Incident, ONSET_S, UPSTREAM, error_log, listeners, load, nginx};

/// When the run begins.
const BEGIN_S: i64 = ONSET_S + 557;

/// The outage as all logs of the host tell it, from a quarter of an hour before it on: the kernel kills the application.
pub fn told() -> Incident {
    let mut incident = Incident::begun(true, "root");
    incident.observe(Observation::Gateways(vec![nginx()]));
    incident.observe(Observation::Listeners(listeners(false)));
    incident.observe(Observation::Load(Box::new(load())));
    incident.observe(accesses(200, ONSET_S - 900..ONSET_S));
    incident.observe(accesses(502, ONSET_S..BEGIN_S));
    incident.observe(Observation::Log(error_log(1204, true)));
    let id = "request_id=4f1c0d9be2a74c13a5d6e7f809a1b2c3";
    let app = |second: i64, key: &str, text: &str| (second, key.to_owned(), format!("{} {text}", rfc3339(second)));
    incident.observe(lines(
        "/srv/shop/app.log",
        SourceKind::App,
        LogFormat::Plain,
        vec![
            app(ONSET_S - 2, "[info] cart loaded", &format!("INFO cart loaded {id}")),
            app(ONSET_S - 1, "[error] pool exhausted", &format!("ERROR pool exhausted {id}")),
            app(ONSET_S - 1, "something nobody knows", "something nobody knows"),
        ],
    ));
    let killed = "Out of memory: Killed process 3121 (gunicorn) total-vm:1403220kB, anon-rss:523112kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:1500kB oom_score_adj:0";
    let count = (ONSET_S - 1, "Out of memory: Killed process # (gunicorn)".to_owned(), killed.to_owned());
    incident.observe(lines("kernel", SourceKind::Kernel, LogFormat::Kernel, vec![count]));
    incident.done(&[Stage::Gateways, Stage::Listeners, Stage::Load, Stage::Logs]);
    incident.rounds(8, |job| if job.probe == "gateway" { Outcome::Status(502) } else { Outcome::Refused });
    incident
}

/// Single lines: second, key and text.
pub fn lines(source: &str, kind: SourceKind, format: LogFormat, lines: Vec<(i64, String, String)>) -> Observation {
    let count = |(second, key, first)| LogCount { second: Some(second), key, count: 1, first, ..LogCount::default() };
    let counts = lines.into_iter().map(count).collect();
    Observation::Log(LogBatch { source: source.into(), kind, format, counts, lookback: true, dropped: 0 })
}

/// Twenty requests in each of these seconds.
fn accesses(status: u16, seconds: std::ops::Range<i64>) -> Observation {
    let line = |second: i64| {
        format!("203.0.113.9 - - [20/Nov/2026:{} +0000] \"GET / HTTP/1.1\" {status} 157 \"-\" \"Mozilla/5.0\"", clock_of(second))
    };
    let counts = seconds.map(|second| LogCount {
        second: Some(second),
        key: format!("{status} GET up={UPSTREAM} ups={status}"),
        count: 20,
        first: line(second),
        last: Some(line(second)),
        ..LogCount::default()
    });
    Observation::Log(LogBatch {
        source: "/var/log/nginx/access.log".into(),
        kind: SourceKind::Access,
        format: LogFormat::NginxAccess(String::new()),
        counts: counts.collect(),
        lookback: true,
        dropped: 0,
    })
}
