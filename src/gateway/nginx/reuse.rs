//! Whether nginx uses a connection to an upstream again: `keepalive` in its `upstream`, and a request that allows it.

use super::{scope::Scope, target::Module, units, vars::Variables};
use crate::model::{Pool, Protocol, Reuse};

/// Milliseconds of `keepalive_timeout` in an `upstream` where none is set (ngx_http_upstream_keepalive_module, since 1.15.3).
const IDLE_MS: u64 = 60_000;
/// Since this version each `upstream` keeps connections, and requests go out as HTTP/1.1, unless told otherwise (CHANGES).
const BY_DEFAULT: (u32, u32, u32) = (1, 29, 7);
/// Since this version the time can be limited, and is.
const LIMITED: (u32, u32, u32) = (1, 15, 3);

/// What holds for requests of this scope to this pool. `pool`: `None`, the server is named directly.
pub fn reuse(
    scope: &Scope<'_>,
    module: Module,
    protocol: Protocol,
    pool: Option<&Pool>,
    variables: &Variables<'_, '_>,
    version: Option<&str>,
) -> Reuse {
    // Without `upstream` there is nowhere to keep a connection.
    let Some(pool) = pool else { return Reuse::Never };
    let version = version.and_then(numbers);
    let by_default = version.is_some_and(|version| version >= BY_DEFAULT);
    let kept = match pool.settings.get("keepalive") {
        Some(setting) => setting.value.split(' ').next().is_some_and(|count| count != "0"),
        None => by_default,
    };
    if !kept {
        return Reuse::Never;
    }
    let allowed = match protocol {
        Protocol::Http | Protocol::Https => match scope.value("proxy_http_version") {
            Some("1.0") => Some(false),
            None if !by_default => Some(false),
            Some(_) | None => connection(scope, variables, by_default),
        },
        Protocol::Fastcgi => Some(scope.on(&module.key("keep_conn"))),
        Protocol::Grpc | Protocol::Grpcs => Some(true),
        Protocol::Uwsgi | Protocol::Scgi | Protocol::Ajp | Protocol::Stream => Some(false),
    };
    match allowed {
        None => Reuse::Unknown,
        Some(false) => Reuse::Never,
        Some(true) => {
            let set = pool.settings.get("keepalive_timeout");
            let default = version.is_none_or(|version| version >= LIMITED).then_some(IDLE_MS);
            let idle_ms = set.map_or(default, |setting| units::milliseconds(&setting.value));
            Reuse::Kept { idle_ms, at: set.and_then(|setting| setting.at.clone()) }
        }
    }
}

/// Whether the request's own `Connection` header lets the connection live. `None`: a variable decides it.
fn connection(scope: &Scope<'_>, variables: &Variables<'_, '_>, by_default: bool) -> Option<bool> {
    let set = scope.nearest("proxy_set_header");
    let header = set.iter().rev().find(|one| one.arg(0).is_some_and(|name| name.eq_ignore_ascii_case("connection")));
    // Where it is not set, nginx says `Connection: close` (ngx_http_proxy_headers), until it keeps connections by default.
    let Some(header) = header else { return Some(by_default) };
    let value = variables.expand(header.arg(1).unwrap_or_default())?;
    Some(value.is_empty() || value.eq_ignore_ascii_case("keep-alive"))
}

/// `1.22.1` as numbers that can be compared.
fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.split('.').map(|part| part.split('-').next().unwrap_or_default().parse().ok());
    Some((parts.next()??, parts.next()??, parts.next().flatten().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_their_numbers() {
        assert!(numbers("1.9.10") < numbers("1.22.1") && numbers("1.29.7") >= Some(BY_DEFAULT));
        assert_eq!((numbers("1.25"), numbers("1.27.3-dev"), numbers("x")), (Some((1, 25, 0)), Some((1, 27, 3)), None));
    }
}
