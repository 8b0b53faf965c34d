//! What is recorded in the place of an observation that holds secrets.
//!
//! Configurations have rules of their own; everything else is walked string by string, so that a new kind of observation is covered
//! before anybody thinks of it.

use serde_json::Value;

use super::Line;
use crate::{
    model::{
        LogBatch, LogCount, LogFormat, Observation, Stamp,
        secrets::{self, Mask},
    },
    sys::Stamped,
};

/// The line that is recorded of an observation, without its end.
pub fn line(stamped: Stamped, mask: Option<&Mask>) -> serde_json::Result<Vec<u8>> {
    let Some(mask) = mask else { return without_secrets(stamped) };
    mask.learn_from(&stamped.observation);
    let mut value: Value = serde_json::from_slice(&without_secrets(stamped)?)?;
    mask.value(&mut value);
    serde_json::to_vec(&value)
}

fn without_secrets(stamped: Stamped) -> serde_json::Result<Vec<u8>> {
    let at = stamped.at;
    match stamped.observation {
        // Rewrite rules and regular expressions look like queries: here only names that tell of a secret count.
        Observation::Gateways(mut all) => {
            all.iter_mut().for_each(secrets::conceal_gateway);
            write(at, &Observation::Gateways(all))
        }
        Observation::Edited(mut edits) => {
            edits.iter_mut().for_each(secrets::conceal_edit);
            write(at, &Observation::Edited(edits))
        }
        // Text by text, as the others are walked, but without a tree of it: in a flood there are thousands of lines a second.
        Observation::Log(mut batch) => {
            conceal_batch(&mut batch);
            write(at, &Observation::Log(batch))
        }
        // Figures alone.
        seen @ (Observation::Load(_) | Observation::Done(_) | Observation::Answered { .. } | Observation::End) => write(at, &seen),
        seen => {
            let mut value = serde_json::to_value(seen)?;
            conceal(&mut value);
            serde_json::to_vec(&Line { at, seen: value })
        }
    }
}

fn conceal_batch(batch: &mut LogBatch) {
    let conceal = |text: &mut String| {
        if let Some(concealed) = secrets::text(text) {
            *text = concealed;
        }
    };
    let LogBatch { source, kind: _, format, counts, lookback: _, dropped: _ } = batch;
    conceal(source);
    match format {
        LogFormat::NginxAccess(format) => conceal(format),
        LogFormat::NginxError | LogFormat::Kernel | LogFormat::Plain => {}
    }
    for LogCount { second: _, key, count: _, later: _, first, last } in counts {
        conceal(key);
        conceal(first);
        last.iter_mut().for_each(conceal);
    }
}

fn write(at: Stamp, seen: &Observation) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&Line { at, seen })
}

/// A string whose name is told beside it.
fn named(name: &str, value: &mut String) {
    if matches!(name, "QUERY_STRING" | "query") {
        *value = secrets::query(value);
    } else if let Some(concealed) = secrets::value_of(name, value) {
        *value = concealed;
    }
}

fn conceal(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(concealed) = secrets::text(text) {
                *text = concealed;
            }
        }
        Value::Array(list) => {
            // A header, a parameter, or an option with its value.
            let mut before: Option<String> = None;
            for item in list.iter_mut() {
                let own = item.as_str().filter(|text| !text.contains(char::is_whitespace)).map(str::to_owned);
                if let (Some(name), Value::String(text)) = (&before, &mut *item) {
                    named(name, text);
                }
                conceal(item);
                before = own;
            }
        }
        Value::Object(map) => {
            for (name, item) in map.iter_mut() {
                if let Value::String(text) = item {
                    named(name, text);
                }
                conceal(item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HttpRequest, Outcome, ProbeJob, ProbeReport, Protocol, SourceKind, Subject};

    #[test]
    fn no_secret_of_a_log_a_probe_or_a_command_line_is_recorded() {
        let mut job = ProbeJob::new(
            "gateway",
            Subject("shop".to_owned()),
            "127.0.0.1:80".parse().expect("an address"),
            Protocol::Http,
            (1, 1),
        );
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        job.request = Some(HttpRequest {
            method: "GET".to_owned(),
            path: "/a?session=hunter2".to_owned(),
            query: Some("session=hunter2&hunter2".to_owned()),
            host: "shop".to_owned(),
            headers: vec![pair("Authorization", "Basic hunter2")],
            params: vec![pair("QUERY_STRING", "session=hunter2"), pair("DB_PASSWORD", "hunter2"), pair("SCRIPT_NAME", "/a.php")],
        });
        let count = LogCount {
            key: "GET /a?session=hunter2".to_owned(),
            count: 1,
            first: "GET /a?session=hunter2 502".to_owned(),
            last: Some("GET /b?session=hunter2 502".to_owned()),
            ..LogCount::default()
        };
        let batch = LogBatch {
            source: "/var/log/a?token=hunter2".to_owned(),
            kind: SourceKind::Access,
            format: LogFormat::NginxAccess("$status token=hunter2".to_owned()),
            counts: vec![count],
            lookback: false,
            dropped: 0,
        };
        let report = ProbeReport { detail: "Set-Cookie: id=hunter2".to_owned(), ..ProbeReport::new(job, Outcome::Status(502)) };
        for observation in [Observation::Log(batch), Observation::Probe(Box::new(report))] {
            let stamped = Stamped { at: Stamp::default(), observation };
            let text = String::from_utf8(line(stamped, None).expect("JSON")).expect("UTF-8");
            assert!(!text.contains("hunter2") && text.contains("secret~"), "{text}");
            assert!(serde_json::from_str::<Line<Observation>>(&text).is_ok(), "it can be read: {text}");
        }
        let mut argv = serde_json::json!(["app", "--db-password", "hunter2", "--port", "80"]);
        conceal(&mut argv);
        assert!(!argv.to_string().contains("hunter2") && argv.to_string().contains("\"80\""), "{argv}");
    }
}
