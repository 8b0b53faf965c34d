//! JSON objects in which a collector of logs wraps a line: Filebeat and Kibana, CloudWatch Insights, Loki, Fluent Bit, Google Cloud
//! Logging, Splunk. The line is taken out, to be read like any other.
//!
//! It must not touch objects that a program writes itself and that have a reader. To add a collector: the name of its member in
//! [`LINES`] or its object in [`OBJECTS`], and what tells it apart in [`MARKS`].

use super::{carried, json::Object, known};

/// Members that hold the line.
const LINES: &[&str] = &["message", "@message", "log", "line", "MESSAGE", "textPayload", "_raw", "msg", "Message"];
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
    // A member alone: the object was shown over several lines (`aws logs filter-log-events`, `jq`).
    if let Some((_, member)) = line.split_once('"').filter(|(before, member)| before.is_empty() && member.contains("\":")) {
        let name = member.split('"').next().filter(|name| LINES.contains(name) || TRACES.contains(name))?;
        let object = format!("{{\"{}}}", member.trim_end_matches(','));
        let text = Object::of(&object)?.text(name)?;
        return super::begins(&text).is_some().then(|| text.trim_end().to_owned());
    }
    if !line.starts_with('{') || !line.ends_with('}') || known(&carried(line)).is_some() {
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
        let traced = r#"{"@timestamp":"2026-11-20T02:17:41Z","level":"ERROR","message":"it broke","stack_trace":"java.lang.OutOfMemoryError: x\n\tat A.b(A.java:1)\n"}"#;
        assert_eq!(enveloped(traced).as_deref(), Some("it broke\njava.lang.OutOfMemoryError: x\n\tat A.b(A.java:1)"));
    }

    #[test]
    fn objects_of_programs_stay_closed() {
        for line in [
            r#"{"level":"error","ts":1795217794.1,"logger":"http.log.error","msg":"dial tcp 127.0.0.1:3000: connect: connection refused"}"#,
            r#"{"message":"a note of somebody's"}"#,
            r#"{"message":"2026/11/20 02:17:41 [error] 8"#,
            r#""message": "a note of somebody's","#,
            r#""message": "#,
            "{}",
            "",
        ] {
            assert_eq!(enveloped(line), None, "{line}");
        }
    }
}
