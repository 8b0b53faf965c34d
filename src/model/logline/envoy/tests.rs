use proptest::prelude::*;

use super::*;
use crate::model::logline;

const DEFAULT: &str = r#"[2026-11-20T23:36:34.402Z] "GET /cart HTTP/1.1" 503 UF 0 91 3 - "-" "curl/7.88.1" "3a6b1c9e-0000-4000-8000-000000000000" "shop.test" "10.0.0.5:8080""#;
const ISTIO: &str = r#"[2026-11-20T23:36:34.402Z] "GET /cart HTTP/1.1" 503 URX,UF upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111} - "delayed connect error: 111" 0 152 3 - "-" "curl/7.88.1" "3a6b1c9e-0000-4000-8000-000000000000" "shop:8000" "10.44.1.23:8000" outbound|8000||shop.default.svc.cluster.local - 10.0.0.1:8000 10.44.1.27:80 - default"#;

#[test]
fn requests_of_the_default_format() {
    let entry = logline::read(DEFAULT);
    assert_eq!((entry.dialect, entry.status, entry.upstream.as_deref()), (Dialect::Envoy, Some(503), Some("10.0.0.5:8080")));
    assert_eq!(entry.message, "503 GET envoy flags=UF up=10.0.0.5:8080 by=gateway");
    assert_eq!(entry.request.as_deref(), Some("GET /cart HTTP/1.1"));
    let form = |from: &str, to: &str| logline::read(&DEFAULT.replace(from, to)).message.into_owned();
    assert_eq!(form("503 UF", "502 -"), "502 GET envoy flags=- up=10.0.0.5:8080 by=upstream");
    assert_eq!(form("503 UF", "200 -"), "200 GET envoy flags=- up=10.0.0.5:8080");
    assert_eq!(form("503 UF", "503 UpstreamConnectionFailure"), "503 GET envoy flags=UF up=10.0.0.5:8080 by=gateway");
    assert_eq!(form("\"10.0.0.5:8080\"", "\"-\""), "503 GET envoy flags=UF by=gateway");
    // Without its time, but with all of its figures.
    assert_eq!(logline::read(DEFAULT.split_once("] ").expect("a stamp").1).message, entry.message);
    assert_ne!(logline::read("\"GET / HTTP/1.1\" 304 - \"-\" \"curl/7.88.1\" \"-\"").dialect, Dialect::Envoy);
    // The agent is the client's.
    assert_eq!(form("curl/7.88.1", "x\" \"y\" \"z\" \"6.6.6.6:1"), entry.message);
}

#[test]
fn requests_of_istio_and_as_json() {
    let text = "503 GET envoy flags=UF,URX up=10.44.1.23:8000 by=gateway details=upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111} reason=delayed connect error: 111";
    assert_eq!(logline::read(ISTIO).message, text);
    let json = r#"{"authority":"shop:8000","bytes_sent":152,"method":"GET","path":"/cart","response_code":503,"response_code_details":"upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111}","response_flags":"UF,URX","start_time":"2026-11-20T23:36:34.402Z","upstream_host":"10.44.1.23:8000","upstream_transport_failure_reason":"delayed connect error: 111"}"#;
    let entry = logline::read(json);
    assert_eq!((&*entry.message, entry.time.map(|time| time.text)), (text, Some("2026-11-20T23:36:34.402Z")));
    let passed = ISTIO
        .replace(
            "503 URX,UF upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111}",
            "502 - via_upstream",
        )
        .replace("\"delayed connect error: 111\"", "\"-\"");
    assert_eq!(logline::read(&passed).message, "502 GET envoy flags=- up=10.44.1.23:8000 by=upstream details=via_upstream");
    let old = ISTIO.replace("upstream_reset_before_response_started{remote_connection_failure,delayed_connect_error:_111} - ", "");
    assert_eq!(
        logline::read(&old).message,
        "503 GET envoy flags=UF,URX up=10.44.1.23:8000 by=gateway reason=delayed connect error: 111"
    );
}

#[test]
fn its_own_log() {
    for line in [
        "[2026-11-20 23:36:34.402][1][warning][config] [source/common/config/grpc_stream.h:193] DeltaAggregatedResources gRPC config stream closed: 14",
        "[2026-11-20 23:36:34.402][000012][warning][config] DeltaAggregatedResources gRPC config stream closed: 14",
        "2026-11-20T23:36:34.402123Z\twarning\tenvoy config external/envoy/source/common/config/grpc_stream.h:152\tDeltaAggregatedResources gRPC config stream closed: 14\tthread=15",
    ] {
        let entry = logline::read(line);
        assert_eq!((entry.dialect, entry.level), (Dialect::Envoy, Some(Level::Warning)), "{line}");
        assert_eq!(entry.message, "config: DeltaAggregatedResources gRPC config stream closed: 14");
    }
    for (why, message) in [
        ("remote reset, transport failure reason: ", "- - envoy flags=UR reason=remote reset"),
        (
            "connection failure, transport failure reason: delayed connect error: 111",
            "- - envoy flags=UF reason=delayed connect error: 111",
        ),
        (
            "local reset, transport failure reason: ",
            "router: [C24][S88] upstream reset: reset reason: local reset, transport failure reason: ",
        ),
    ] {
        let line = format!(
            "2026-11-20T23:36:34.402123Z\tdebug\tenvoy router external/envoy/source/common/router/router.cc:1198\t[C24][S88] upstream reset: reset reason: {why}\tthread=25"
        );
        assert_eq!((&*logline::read(&line).message, logline::read(&line).status), (message, None), "{line}");
    }
    for other in ["[2026-11-20 23:36:34] [error] x", "[2026-11-20T23:36:34.402Z] \"GET / HTTP/1.1\" 200 lower 1 \"-\""] {
        assert_ne!(logline::read(other).dialect, Dialect::Envoy, "{other}");
    }
}

proptest! {
    #[test]
    fn no_line_makes_it_panic(cut in 0usize..600, noise in "\\PC{0,30}") {
        for line in [DEFAULT, ISTIO] {
            let text: String = line.chars().take(cut).chain(noise.chars()).collect();
            let _ = logline::read(&text);
        }
    }
}

#[test]
fn its_own_answers_are_requests_that_failed() {
    for (text, message) in [
        ("no healthy upstream", "503 - envoy flags=UH by=gateway details=local_reply"),
        ("upstream request timeout", "504 - envoy flags=UT by=gateway details=local_reply"),
        (
            "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
            "503 - envoy flags=UC by=gateway details=local_reply reason=connection termination",
        ),
    ] {
        assert_eq!(crate::model::logline::read(text).message, message);
    }
    for other in ["why no healthy upstream", "upstream request timeout is", "upstream connect error"] {
        assert_eq!(crate::model::logline::read(other).dialect, Dialect::Plain, "{other}");
    }
}
