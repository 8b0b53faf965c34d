//! JSON objects in which a collector of logs wraps a line: Filebeat and Kibana, CloudWatch Insights, Loki, Fluent Bit, Google Cloud
//! Logging, Splunk. The line is taken out, to be read like any other.
//!
//! It must not touch objects that a program writes itself and that have a reader. To add a collector: the name of its member in
//! [`LINES`] or its object in [`OBJECTS`], and what tells it apart in [`MARKS`].

use super::{carried, json::Object, known};

/// Members that hold the line.
const LINES: &[&str] = &["message", "@message", "log", "line", "MESSAGE", "textPayload", "_raw", "msg", "Message", "event"];
/// Objects that may hold that member: Kibana's export, Google's payload, Splunk's result, Datadog's content, ECS.
const OBJECTS: &[&str] = &["_source", "jsonPayload", "result", "content", "attributes", "event", "fields"];
/// Members that only a collector writes, or a program that writes for one.
const MARKS: &[&str] = &[
    "@timestamp",
    "@message",
    "@logStream",
    "kubernetes",
    "agent",
    "_source",
    "_index",
    "logGroup",
    "logName",
    "insertId",
    "_raw",
    "container_name",
    "container_id",
    "ingestionTime",
    "textPayload",
    "labels",
    "syslog",
];
/// Members that hold a trace beside the message (logstash-logback-encoder, ECS logging).
const TRACES: &[&str] = &["stack_trace", "error.stack_trace", "stacktrace", "exception", "stack"];

/// The line in an envelope; several lines are one entry. `None`: it is none, or a program with a reader wrote it so.
pub fn enveloped(line: &str) -> Option<String> {
    let line = line.trim();
    if !line.starts_with('{') {
        return of_members(line);
    }
    if !line.ends_with('}') || known(&carried(line)).is_some() {
        return None;
    }
    let object = Object::of(line)?;
    let inner = OBJECTS.iter().filter_map(|name| object.object(name));
    let (holder, text) =
        std::iter::once(object).chain(inner).find_map(|holder| Some((holder, LINES.iter().find_map(|name| holder.text(name))?)))?;
    let text = text.trim_end();
    let known_text = || super::begins(text.split('\n').next().unwrap_or(text)).is_some() || super::begins(text).is_some();
    if text.is_empty() || !(MARKS.iter().any(|mark| object.get(mark).is_some()) || known_text()) {
        return None;
    }
    let trace = TRACES.iter().find_map(|name| holder.text(name).or_else(|| object.text(name)));
    Some(match trace.filter(|trace| !trace.trim().is_empty()) {
        Some(trace) => format!("{text}\n{}", trace.trim_end()),
        None => text.to_owned(),
    })
}

/// Whether a program wrote this object itself, by its logger: then it is an entry of its own. A collector has one for each line.
pub fn is_record(line: &str) -> bool {
    let Some(object) = Object::of(line.trim()) else { return false };
    let has = |names: &[&str]| names.iter().any(|name| object.get(name).is_some());
    has(&["level", "levelname", "severity"]) && !has(MARKS)
}

/// Members alone: the object was shown over several lines (`aws logs filter-log-events`, `jq`), or a part of it was pasted, whose first
/// quote may be missing: `level": "CRITICAL", "event": "WORKER TIMEOUT (pid:46)",`.
fn of_members(line: &str) -> Option<String> {
    let end = line.find("\":")?;
    let name = line.strip_prefix('"').map_or(&line[..end], |_| &line[1..end.max(1)]);
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_@.".contains(&byte)) {
        return None;
    }
    let members = line.trim_start_matches('"').trim_end_matches([',', '}', ' ']);
    let object = format!("{{\"{members}}}");
    let object = Object::of(&object)?;
    let text = LINES.iter().chain(TRACES).find_map(|name| object.text(name))?;
    super::begins(&text).is_some().then(|| text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "2026/11/20 02:17:41 [error] 811#811: *5 connect() failed (111: Connection refused) while connecting to upstream";

    #[test]
    fn collectors_envelopes_are_opened() {
        for line in [
            format!(r#"{{"@timestamp":"2026-11-20T02:17:41Z","log":{{"offset":1}},"message":"{LINE}"}}"#),
            format!(r#"{{"_index":"logs","_source":{{"message":"{LINE}","host":"gw1"}}}}"#),
            format!(r#"{{"line":"{LINE}","timestamp":"2026-11-20T02:17:41Z"}}"#),
            format!(r#"{{"insertId":"1","textPayload":"{LINE}\n","severity":"ERROR"}}"#),
            format!(r#"{{"result":{{"_raw":"{LINE}"}}}}"#),
        ] {
            assert_eq!(enveloped(&line).as_deref(), Some(LINE), "{line}");
        }
        let alone = format!("            \"message\": \"{}\",", "2026/11/20 02:17:41 [error] 811#811: *5 open() \\\"/x\\\" failed");
        assert_eq!(enveloped(&alone).as_deref(), Some("2026/11/20 02:17:41 [error] 811#811: *5 open() \"/x\" failed"), "{alone}");
        for part in [
            r#""level": "CRITICAL", "event": "WORKER TIMEOUT (pid:46)","#,
            r#"level": "CRITICAL", "event": "WORKER TIMEOUT (pid:46)"}"#,
            r#"{"event": "WORKER TIMEOUT (pid:46)", "level": "critical", "logger": "gunicorn.error"}"#,
        ] {
            assert_eq!(enveloped(part).as_deref(), Some("WORKER TIMEOUT (pid:46)"), "{part}");
        }
        let traced = r#"{"@timestamp":"2026-11-20T02:17:41Z","level":"ERROR","message":"it broke","stack_trace":"java.lang.OutOfMemoryError: x\n\tat A.b(A.java:1)\n"}"#;
        assert_eq!(enveloped(traced).as_deref(), Some("it broke\njava.lang.OutOfMemoryError: x\n\tat A.b(A.java:1)"));
    }

    #[test]
    fn records_of_a_logger_are_entries_of_their_own() {
        assert!(is_record(r#"{"event": "WORKER TIMEOUT (pid:46)", "level": "critical"}"#));
        assert!(!is_record(r#"{"@timestamp":"2026-11-20T02:17:41Z","level":"x","message":"  File \"a.py\", line 1"}"#));
        assert!(!is_record(r#"{"log":"x","time":"y"}"#));
    }

    #[test]
    fn objects_of_programs_stay_closed() {
        for line in [
            r#"{"level":"error","ts":1795217794.1,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:3000: connect: connection refused"}"#,
            r#"{"message":"a note of somebody's"}"#,
            r#"{"message":"2026/11/20 02:17:41 [error] 8"#,
            r#""message": "a note of somebody's","#,
            r#""message": "#,
            r#"": "#,
            r#"he said "event": "WORKER TIMEOUT (pid:46)""#,
            "{}",
            "",
        ] {
            assert_eq!(enveloped(line), None, "{line}");
        }
    }
}
