//! The active health check of a reverse proxy, in the words that are common to all gateways (modules/caddyhttp/reverseproxy/healthchecks.go).

use std::collections::BTreeMap;

use crate::model::{
    HEALTH_CHECK, HEALTH_CHECK_BODY, HEALTH_CHECK_EXPECTS, HEALTH_CHECK_HEADER, HEALTH_CHECK_HOST, HEALTH_CHECK_PORT, Place,
    Setting,
};

/// A header that the check sends.
pub fn header(name: &str, value: &str, at: &Place) -> (String, Setting) {
    let at = Some(at.clone());
    if name.eq_ignore_ascii_case("Host") && !value.contains('{') {
        (HEALTH_CHECK_HOST.to_owned(), Setting { value: value.into(), at })
    } else {
        // Its value may be a secret.
        (HEALTH_CHECK_HEADER.to_owned(), Setting { value: name.into(), at })
    }
}

/// Adds what the settings of a proxy say of its check. Those of JSON have the names of its members.
pub fn add(settings: &mut BTreeMap<String, Setting>) {
    let get = |names: &[&str]| of(settings, names);
    // Either of them makes a check (ActiveHealthChecks.IsEnabled).
    let (uri, port) = (get(&["health_uri", "health_path"]), get(&["health_port"]));
    let Some(first) = uri.clone().or_else(|| port.clone()) else { return };
    let method = get(&["health_method"]).map_or_else(|| "GET".into(), |method| method.value.to_uppercase());
    let path = uri.map_or_else(|| "/".to_owned(), |uri| uri.value.to_string());
    let path = if path.starts_with(['/', '{']) { path } else { format!("/{path}") };
    // A body, a header or another server of its own is not asked for here.
    let own = if settings.contains_key(HEALTH_CHECK_HEADER) {
        " with headers of its own"
    } else if get(&["health_upstream"]).is_some() {
        " at a server of its own"
    } else if get(&["health_request_body"]).is_some() {
        " with a body"
    } else {
        ""
    };
    // In JSON a class of statuses is its first digit (caddyhttp.StatusCodeMatches).
    let status = get(&["health_status", "health_expect_status"]).map(|setting| match setting.value.as_str() {
        class if class.len() == 1 => Setting { value: format!("{class}xx").into(), ..setting },
        _ => setting,
    });
    let body = get(&["health_body", "health_expect_body"]);
    let check = Some(Setting { value: format!("{method} {path}{own}").into(), at: first.at });
    for (key, setting) in
        [(HEALTH_CHECK, check), (HEALTH_CHECK_PORT, port), (HEALTH_CHECK_EXPECTS, status), (HEALTH_CHECK_BODY, body)]
    {
        settings.extend(setting.map(|setting| (key.to_owned(), setting)));
    }
}

/// The first of these settings that says something.
fn of(settings: &BTreeMap<String, Setting>, names: &[&str]) -> Option<Setting> {
    names.iter().find_map(|name| settings.get(*name)).filter(|setting| !setting.value.is_empty()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(written: &[(&str, &str)]) -> BTreeMap<String, String> {
        let setting = |value: &str| Setting { value: value.into(), at: None };
        let mut settings: BTreeMap<String, Setting> =
            written.iter().map(|(name, value)| ((*name).to_owned(), setting(value))).collect();
        add(&mut settings);
        let own = settings.iter().filter(|(name, _)| name.starts_with(HEALTH_CHECK));
        own.map(|(name, setting)| (name.trim_start_matches(HEALTH_CHECK).to_owned(), setting.value.to_string())).collect()
    }

    #[test]
    fn a_check_is_told_in_common_words() {
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        assert_eq!(made(&[("lb_policy", "first"), ("health_interval", "5s")]), of(&[]));
        assert_eq!(
            made(&[("health_uri", "/healthz"), ("health_status", "2xx"), ("health_body", "ok")]),
            of(&[("", "GET /healthz"), ("-expects", "2xx"), ("-body", "ok")])
        );
        assert_eq!(made(&[("health_port", "9001")]), of(&[("", "GET /"), ("-port", "9001")]));
        assert_eq!(
            made(&[("health_uri", "up"), ("health_method", "head"), ("health_expect_status", "2")]),
            of(&[("", "HEAD /up"), ("-expects", "2xx")])
        );
        assert_eq!(made(&[("health_uri", "/up"), ("health_upstream", "10.0.0.1:1")])[""], "GET /up at a server of its own");
        assert_eq!(made(&[("health_uri", "/up"), (HEALTH_CHECK_HEADER, "Authorization")])[""], "GET /up with headers of its own");
    }
}
