//! Load balancers and CDNs of the clouds, as far as they write lines: requests, in the form of [`super::access_key`].
//!
//! - AWS Application Load Balancer, and the classic one: `502 GET alb up=10.0.0.1:80 by=gateway sent=yes`. `sent=no`: the request
//!   could not be given to the target (its three times are -1), `sent=yes`: it was, and no answer came.
//! - AWS CloudFront, standard log: `502 GET cloudfront result=OriginConnectError` (`x-edge-detailed-result-type`).
//! - Google Cloud, external Application Load Balancer: `502 GET gcp up=10.0.0.5 details=failed_to_connect_to_backend`.
//! - Cloudflare Logpush, data set `http_requests`: `521 GET cloudflare by=gateway`; and what its own error pages say, as users send
//!   them in: `521 - cloudflare by=gateway`.

use super::{
    Carried, Dialect, Entry, TimeShape,
    access_key::{by, request_form},
    json::{Object, Value},
    request_line,
};

/// Reads a line of a cloud's log.
pub(super) fn read<'a>(carried: &Carried<'a>) -> Option<Entry<'a>> {
    if let Some(entry) = gcp_words(carried.text).or_else(|| tabled(carried.text)) {
        return Some(entry);
    }
    match carried.text.as_bytes().first()? {
        b'{' => Object::of(carried.text).and_then(|object| gcp(object).or_else(|| cloudflare(object))),
        byte if byte.is_ascii_digit() => cloudfront(carried.text).or_else(|| load_balancer(carried.text)),
        _ => {
            if let Some(page) = cloudflare_page(carried.text).or_else(|| cloudfront_page(carried.text)) {
                return Some(page);
            }
            let (kind, rest) = carried.text.split_once(' ')?;
            matches!(kind, "http" | "https" | "h2" | "grpcs" | "ws" | "wss").then(|| load_balancer(rest))?
        }
    }
}

/// `time elb client:port target:port 0.000 0.001 0.000 502 - 34 366 "GET http://... HTTP/1.1" ...`
/// (Elastic Load Balancing user guide, "Access log entries").
fn load_balancer(text: &str) -> Option<Entry<'_>> {
    let (time, rest) = TimeShape::Rfc3339.leading(text)?;
    let mut words = rest.strip_prefix(' ')?.splitn(11, ' ');
    let _name = words.next()?;
    let client = words.next()?.rsplit_once(':')?.0;
    let target = words.next()?;
    let times: [f64; 3] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?];
    let status = words.next()?;
    let of_target = words.next()?;
    let (received, sent) = (words.next()?, words.next()?);
    let number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if !number(received) || !number(sent) || !(number(of_target) || of_target == "-") {
        return None;
    }
    let status: Option<u16> = if status == "-" { None } else { Some(status.parse().ok()?) };
    let line = words.next()?.strip_prefix('"')?;
    let line = line.split('"').next().unwrap_or(line);
    let mut form = request_form(status, request_line(line).map(|(method, _)| method));
    form.push_str(" alb");
    let target = Some(target).filter(|target| *target != "-");
    if let Some(target) = target {
        form.push_str(" up=");
        form.push_str(target);
    }
    let own = by(status, Some(of_target != "-"));
    form.push_str(own);
    if own == " by=gateway" {
        form.push_str(if times.iter().all(|time| *time < 0.0) { " sent=no" } else { " sent=yes" });
    }
    Some(Entry {
        dialect: Dialect::Cloud,
        time: Some(time),
        status,
        message: form.into(),
        upstream: target.map(Into::into),
        client: Some(client.into()),
        request: Some(line.into()),
        ..Entry::default()
    })
}

/// A row of a table that somebody made of that log's numbers: `|0.003|0.0|-1.0|502|525|155|`. Three times stand before the status, and the
/// last is -1 where the target gave no answer; of an average over requests it would be no whole number.
fn tabled(text: &str) -> Option<Entry<'_>> {
    // The first bar may have been taken for a mark of quoting.
    let mut cells = text.trim().trim_start_matches('|').split('|').map(str::trim);
    let mut time = || cells.next().filter(|cell| cell.contains('.') || *cell == "-1")?.parse::<f64>().ok();
    let (request, target, response) = (time()?, time()?, time()?);
    let status: u16 = cells.next()?.parse().ok().filter(|status| (502..=504).contains(status))?;
    #[expect(clippy::float_cmp, reason = "it is written so")]
    let unanswered = response == -1.0 && request >= -1.0;
    let form = format!("{} alb by=gateway sent={}", request_form(Some(status), None), if target < 0.0 { "no" } else { "yes" });
    unanswered.then(|| Entry { dialect: Dialect::Cloud, status: Some(status), message: form.into(), ..Entry::default() })
}

/// What `statusDetails` of Google's load balancer says, alone, with a count before it or behind the name of its field
/// (cloud.google.com/load-balancing/docs/https/https-logging-monitoring, "statusDetails HTTP failure messages").
fn gcp_words(text: &str) -> Option<Entry<'_>> {
    const DETAILS: [&str; 6] = [
        "failed_to_connect_to_backend",
        "failed_to_pick_backend",
        "backend_connection_closed_before_data_sent_to_client",
        "backend_connection_closed_after_partial_response_sent",
        "backend_timeout",
        "failed_to_negotiate_alpn",
    ];
    let text = text.trim().trim_end_matches(',');
    if text.len() > 120 || !text.trim_end_matches(['"', '`', '\'']).ends_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    let name = text.rsplit([' ', '\t', ':', '=']).next()?.trim_matches(['"', '`', '\'']);
    let details = DETAILS.iter().find(|known| **known == name)?;
    let before = text[..text.len() - text.rsplit([' ', '\t', ':', '=']).next()?.len()].trim_end_matches([' ', '\t', ':', '=', '"']);
    let counted = before.trim().bytes().all(|byte| byte.is_ascii_digit());
    if !counted && !before.ends_with("statusDetails") {
        return None;
    }
    let status = if *details == "backend_timeout" { 504 } else { 502 };
    let form = format!("{} gcp by=gateway details={details}", request_form(Some(status), None));
    Some(Entry { dialect: Dialect::Cloud, status: Some(status), message: form.into(), ..Entry::default() })
}

/// Tab-separated, 33 fields in fixed order (CloudFront developer guide, "Standard logging reference"); in a paste the tabs may
/// have become blanks, of which no value has any.
fn cloudfront(text: &str) -> Option<Entry<'_>> {
    // Places of fields.
    const EDGE: usize = 2;
    const CLIENT: usize = 4;
    const METHOD: usize = 5;
    const URI: usize = 7;
    const STATUS: usize = 8;
    const HOST: usize = 15;
    const DETAILED: usize = 28;
    let (time, rest) = TimeShape::W3c.leading(text)?;
    let fields: Vec<&str> = rest.split(['\t', ' ']).filter(|field| !field.is_empty()).take(DETAILED).collect();
    // Date and time are two fields.
    let field = |place: usize| fields.get(place - EDGE).copied();
    let status: u16 = field(STATUS)?.parse().ok()?;
    let method = field(METHOD).filter(|method| method.bytes().all(|byte| byte.is_ascii_uppercase()))?;
    // The name of an edge is that of an airport: `FRA56-P1`.
    field(EDGE).filter(|edge| edge.len() >= 4 && edge.bytes().take(3).all(|byte| byte.is_ascii_uppercase()))?;
    let mut form = request_form(Some(status), Some(method));
    form.push_str(" cloudfront");
    // What is a hit or a miss is no matter; an error's name is.
    if let Some(result) = field(DETAILED).filter(|result| result.len() <= 60 && status >= 500) {
        form.push_str(" result=");
        form.push_str(result);
    }
    Some(Entry {
        dialect: Dialect::Cloud,
        time: Some(time),
        status: Some(status),
        message: form.into(),
        client: field(CLIENT).map(Into::into),
        server: field(HOST).map(Into::into),
        request: field(URI).map(|uri| format!("{method} {uri}").into()),
        ..Entry::default()
    })
}

/// A record of Cloud Logging of a load balancer (`resource.type` `http_load_balancer`, `jsonPayload.statusDetails`).
fn gcp(object: Object<'_>) -> Option<Entry<'_>> {
    let details = object.object("jsonPayload")?.get("statusDetails")?.plain()?;
    let request = object.object("httpRequest")?;
    let status = request.get("status")?.number().and_then(|status| u16::try_from(status).ok())?;
    let method = request.get("requestMethod").and_then(Value::plain);
    let upstream = request.text("serverIp");
    let mut form = request_form(Some(status), method);
    form.push_str(" gcp");
    if let Some(upstream) = &upstream {
        form.push_str(" up=");
        form.push_str(upstream);
    }
    form.push_str(by(Some(status), (details == "response_sent_by_backend").then_some(true)));
    if status >= 400 {
        form.push_str(" details=");
        form.push_str(&details[..details.floor_char_boundary(80)]);
    }
    let url = request.text("requestUrl").unwrap_or_default();
    Some(Entry {
        dialect: Dialect::Cloud,
        time: object.get("timestamp").and_then(Value::time),
        status: Some(status),
        message: form.into(),
        upstream,
        client: request.text("remoteIp"),
        request: method.map(|method| format!("{method} {url}").into()),
        ..Entry::default()
    })
}

/// A record of Logpush (Cloudflare documentation, data set `http_requests`). `OriginResponseStatus` is 0 where the origin gave no
/// answer.
fn cloudflare(object: Object<'_>) -> Option<Entry<'_>> {
    let number = |name: &str| object.get(name).and_then(Value::number).and_then(|status| u16::try_from(status).ok());
    let status = number("EdgeResponseStatus")?;
    let method = object.get("ClientRequestMethod").and_then(Value::plain);
    let mut form = request_form(Some(status), method);
    form.push_str(" cloudflare");
    form.push_str(by(Some(status), number("OriginResponseStatus").map(|origin| origin != 0)));
    let uri = object.text("ClientRequestURI").or_else(|| object.text("ClientRequestPath")).unwrap_or_default();
    Some(Entry {
        dialect: Dialect::Cloud,
        time: object.get("EdgeStartTimestamp").and_then(Value::time),
        status: Some(status),
        message: form.into(),
        upstream: object.text("OriginIP").filter(|address| !address.is_empty()),
        client: object.text("ClientIP"),
        server: object.text("ClientRequestHost"),
        request: method.map(|method| format!("{method} {uri}").into()),
        ..Entry::default()
    })
}

/// A sentence of CloudFront's error pages (CloudFront developer guide, "Troubleshooting error responses from your origin").
fn cloudfront_page(text: &str) -> Option<Entry<'_>> {
    const SENTENCES: &[(&str, u16, &str)] = &[
        ("CloudFront wasn't able to connect to the origin.", 502, "OriginConnectError"),
        (
            "CloudFront attempted to establish a connection with the origin, but either the attempt failed",
            504,
            "OriginConnectError",
        ),
        ("CloudFront wasn't able to resolve the origin domain name.", 502, "OriginDnsError"),
    ];
    let text = text.trim();
    let &(_, status, result) = SENTENCES.iter().find(|(sentence, ..)| text.starts_with(sentence))?;
    let message = format!("{} cloudfront result={result}", request_form(Some(status), None)).into();
    Some(Entry { dialect: Dialect::Cloud, status: Some(status), message, ..Entry::default() })
}

/// A line of Cloudflare's error page for what only Cloudflare answers, 520 to 527 and 530: `Error 521 Ray ID: ...`, `Error code 521`,
/// `error code: 521`, `shop.example.com | 521: Web server is down`.
fn cloudflare_page(text: &str) -> Option<Entry<'_>> {
    const BEGINNINGS: &[&str] = &["Error code: ", "Error code ", "error code: ", "Error HTTP ", "Error "];
    let text = text.trim();
    let titled = || text.split_once(" | ").map(|(_, title)| title).filter(|title| title.get(3..5) == Some(": "));
    let rest = BEGINNINGS.iter().find_map(|begin| text.strip_prefix(begin)).or_else(titled)?;
    let (number, behind) = rest.split_at_checked(3)?;
    let status: u16 = number.parse().ok().filter(|status| matches!(status, 520..=527 | 530))?;
    let ends = behind.is_empty() || behind.starts_with(": ") || behind.trim_start().starts_with("Ray ID");
    let message = format!("{} cloudflare{}", request_form(Some(status), None), by(Some(status), Some(false)));
    ends.then(|| Entry { dialect: Dialect::Cloud, status: Some(status), message: message.into(), ..Entry::default() })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;
    use crate::model::logline;

    const ALB: &str = r#"http 2026-11-20T23:36:34.402111Z app/shop/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.000 5.001 -1 502 - 34 366 "GET http://shop.test:80/ HTTP/1.1" "curl/7.46.0" - - arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/shop/73e2d6bc24d8a067 "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2026-11-20T23:36:29.364000Z "forward" "-" "-" "10.0.0.1:80" "-" "-" "-""#;
    const CLASSIC: &str = r#"2026-11-20T23:36:34.402111Z shop-lb 203.0.113.9:2817 10.0.0.1:80 -1 -1 -1 503 0 0 0 "GET http://shop.test:80/ HTTP/1.1" "curl/7.38.0" - -"#;
    const CLOUDFRONT: &str = "2026-11-20\t23:36:34\tFRA56-P1\t1045\t203.0.113.9\tGET\td111111abcdef8.cloudfront.net\t/cart\t502\t-\tcurl/7.88.1\t-\t-\tError\tSOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==\tshop.test\thttps\t23\t3.001\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tError\tHTTP/2.0\t-\t-\t11040\t3.001\tOriginConnectError\ttext/html\t507\t-\t-";
    const GCP: &str = r#"{"httpRequest":{"latency":"0.003s","remoteIp":"203.0.113.9","requestMethod":"GET","requestUrl":"https://shop.test/cart","serverIp":"10.128.0.5","status":502},"insertId":"1","jsonPayload":{"@type":"type.googleapis.com/google.cloud.loadbalancing.type.LoadBalancerLogEntry","statusDetails":"failed_to_connect_to_backend"},"resource":{"type":"http_load_balancer"},"severity":"WARNING","timestamp":"2026-11-20T23:36:34.402111Z"}"#;
    const CLOUDFLARE: &str = r#"{"ClientIP":"203.0.113.9","ClientRequestHost":"shop.test","ClientRequestMethod":"GET","ClientRequestURI":"/cart","EdgeResponseStatus":521,"EdgeStartTimestamp":"2026-11-20T23:36:34Z","OriginIP":"198.51.100.7","OriginResponseStatus":0,"RayID":"8a1b2c3d4e5f6789"}"#;

    #[test]
    fn each_tells_its_request() {
        for (line, status, upstream, form) in [
            (ALB, 502, Some("10.0.0.1:80"), "502 GET alb up=10.0.0.1:80 by=gateway sent=yes"),
            (CLASSIC, 503, Some("10.0.0.1:80"), "503 GET alb up=10.0.0.1:80 by=upstream"),
            (CLOUDFRONT, 502, None, "502 GET cloudfront result=OriginConnectError"),
            (GCP, 502, Some("10.128.0.5"), "502 GET gcp up=10.128.0.5 details=failed_to_connect_to_backend"),
            (CLOUDFLARE, 521, Some("198.51.100.7"), "521 GET cloudflare by=gateway"),
        ] {
            let entry = logline::read(line);
            assert_eq!(
                (entry.dialect, entry.status, entry.upstream.as_deref()),
                (Dialect::Cloud, Some(status), upstream),
                "{line}"
            );
            assert_eq!((&*entry.message, entry.client.as_deref()), (form, Some("203.0.113.9")));
            let time = entry.time.expect("a time");
            assert_eq!(time.second(&TimeZone::get("Europe/Berlin").expect("zone"), i64::MAX / 2), Some(1_795_217_794), "{line}");
        }
    }

    #[test]
    fn an_error_page_tells_what_its_number_means() {
        for line in
            ["Error 521 Ray ID: 8f3a1c1f5a9d0e12", "Error code 521", "error code: 521", "shop.test | 521: Web server is down"]
        {
            let entry = logline::read(line);
            assert_eq!((&*entry.message, entry.status), ("521 - cloudflare by=gateway", Some(521)), "{line}");
        }
        for other in ["Error 500 Ray ID: 8f3a", "Error 5210", "error code: 52", "a | 521 b", "Error é21"] {
            assert_ne!(logline::read(other).dialect, Dialect::Cloud, "{other}");
        }
    }

    #[test]
    fn whether_the_target_was_reached() {
        let form = |from: &str, to: &str| logline::read(&ALB.replace(from, to)).message.into_owned();
        assert_eq!(form("0.000 5.001 -1", "-1 -1 -1"), "502 GET alb up=10.0.0.1:80 by=gateway sent=no");
        assert_eq!(form("-1 502 -", "0.000 502 502"), "502 GET alb up=10.0.0.1:80 by=upstream");
        assert_eq!(form("-1 502 -", "0.000 200 200"), "200 GET alb up=10.0.0.1:80");
        assert_eq!(form("10.0.0.1:80 0.000 5.001 -1 502", "- -1 -1 -1 503"), "503 GET alb by=gateway sent=no");
    }

    #[test]
    fn blanks_for_tabs_are_taken_and_other_lines_are_not() {
        assert_eq!(logline::read(&CLOUDFRONT.replace('\t', "  ")).message, "502 GET cloudfront result=OriginConnectError");
        for other in ["2026-11-20\t23:36:34\tERROR\tx", "http is a word", "2026-11-20T23:36:34Z a b c", "{\"status\":502}"] {
            assert_ne!(logline::read(other).dialect, Dialect::Cloud, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(cut in 0usize..600, noise in "\\PC{0,30}") {
            for line in [ALB, CLASSIC, CLOUDFRONT, GCP, CLOUDFLARE] {
                let text: String = line.chars().take(cut).chain(noise.chars()).collect();
                let _ = logline::read(&text);
            }
        }
    }
}
