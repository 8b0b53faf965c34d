//! What Envoy and Traefik say of the servers behind them: Envoy by its admin port (`/clusters?format=json`, admin/v3/clusters.proto),
//! Traefik by its API where `api.insecure` opens it (`/api/http/services`). Neither could be run where this was written: the readers
//! follow their documented formats, and what has another form is told as nothing.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    model::{Address, BlindSpot, Gateway, Health, LiveCheck, LiveServer, LiveState, Role},
    sys::{AdminQuestion, Sys},
};

/// Key of [`Gateway::commands`] under which the way to ask stands: address and path.
pub const PAGE: &str = "live-page";
/// Bytes of a foreign text that are kept.
const WORDS: usize = 200;

/// How the answer of a product is read.
pub type Reader = fn(&[u8]) -> Option<Vec<LiveServer>>;

/// Asks. No answer, or another one, is no loss to be told: that it listens is known by its file only.
pub async fn live(sys: &Sys, gateway: &Gateway, reader: Option<Reader>) -> Result<Option<LiveState>, BlindSpot> {
    let Some(reader) = reader.filter(|_| sys.root.is_running() && sys.probing) else { return Ok(None) };
    let Some([at, path]) = gateway.commands.get(PAGE).map(Vec::as_slice) else { return Ok(None) };
    let Ok(to) = at.parse::<Address>() else { return Ok(None) };
    let question = AdminQuestion::ModernPage { host: "localhost".to_owned(), path: path.clone() };
    let Ok(answer) = sys.rights.ask_gateway(&to, &question).await else { return Ok(None) };
    let body = memchr::memmem::find(&answer, b"\r\n\r\n").filter(|_| answer.get(9..12) == Some(b"200"));
    let Some(servers) = body.and_then(|from| reader(&answer[from + 4..])) else { return Ok(None) };
    Ok(Some(LiveState::new(gateway, format!("http://{at}{path}"), servers, Vec::new())))
}

fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(WORDS)].to_owned()
}

#[derive(Debug, Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Debug, Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Debug, Deserialize)]
struct Host {
    address: HostAddress,
    #[serde(default)]
    stats: Vec<Stat>,
    #[serde(default)]
    health_status: HostHealth,
    #[serde(default)]
    hostname: String,
}

#[derive(Debug, Deserialize)]
struct HostAddress {
    socket_address: Option<SocketAddress>,
    pipe: Option<Pipe>,
}

#[derive(Debug, Deserialize)]
struct SocketAddress {
    address: String,
    #[serde(default)]
    port_value: u16,
}

#[derive(Debug, Deserialize)]
struct Pipe {
    path: String,
}

/// Fields that are at their default are left out of the JSON (protobuf's mapping): a gauge of 0 has no value.
#[derive(Debug, Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HostHealth {
    failed_active_health_check: bool,
    active_hc_timeout: bool,
    failed_outlier_check: bool,
    eds_health_status: String,
}

/// Envoy's clusters.
pub fn envoy(body: &[u8]) -> Option<Vec<LiveServer>> {
    let clusters: Clusters = serde_json::from_slice(body).ok()?;
    let one = |cluster: &Cluster, host: &Host| {
        let address = match (&host.address.socket_address, &host.address.pipe) {
            (Some(at), _) => Some(Address::Tcp((at.address.parse::<std::net::IpAddr>().ok()?, at.port_value).into())),
            (None, Some(pipe)) => Some(Address::Unix(pipe.path.clone().into())),
            (None, None) => None,
        };
        let health = &host.health_status;
        let why = if health.active_hc_timeout {
            Some("active health check timed out")
        } else if health.failed_active_health_check {
            Some("active health check failed")
        } else if health.failed_outlier_check {
            Some("ejected by outlier detection")
        } else {
            None
        };
        let state = match (why, health.eds_health_status.as_str()) {
            (Some(_), _) | (None, "UNHEALTHY" | "TIMEOUT") => Health::Down,
            (None, "DRAINING") => Health::Draining,
            (None, _) => Health::Unchecked,
        };
        let busy = host.stats.iter().find(|stat| stat.name == "rq_active").and_then(|stat| stat.value.parse().ok());
        Some(LiveServer {
            pool: kept(&cluster.name),
            name: address.as_ref().map(ToString::to_string).unwrap_or_default(),
            address,
            host: (!host.hostname.is_empty()).then(|| kept(&host.hostname)),
            role: Role::Primary,
            health: state,
            check: why.map(|why| LiveCheck { result: why.to_owned(), ..LiveCheck::default() }),
            for_s: None,
            busy: busy.unwrap_or(0),
            limit: None,
            queued: 0,
        })
    };
    let servers =
        clusters.cluster_statuses.iter().flat_map(|cluster| cluster.host_statuses.iter().map(move |host| (cluster, host)));
    Some(servers.filter_map(|(cluster, host)| one(cluster, host)).collect())
}

#[derive(Debug, Deserialize)]
struct Service {
    #[serde(default)]
    name: String,
    /// By URL: `UP` or `DOWN`.
    #[serde(rename = "serverStatus", default)]
    servers: BTreeMap<String, String>,
}

/// Traefik's services.
pub fn traefik(body: &[u8]) -> Option<Vec<LiveServer>> {
    let services: Vec<Service> = serde_json::from_slice(body).ok()?;
    let one = |service: &Service, url: &str, status: &str| {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        let port = if scheme == "https" { 443 } else { 80 };
        let address: Address = authority.parse().or_else(|_| format!("{authority}:{port}").parse()).ok()?;
        Some(LiveServer {
            pool: kept(&service.name),
            name: kept(url),
            host: None,
            address: Some(address),
            role: Role::Primary,
            // Without a check every server is told as up.
            health: if status == "DOWN" { Health::Down } else { Health::Unchecked },
            check: None,
            for_s: None,
            busy: 0,
            limit: None,
            queued: 0,
        })
    };
    let servers = services.iter().flat_map(|service| service.servers.iter().map(move |(url, status)| (service, url, status)));
    Some(servers.filter_map(|(service, url, status)| one(service, url, status)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_clusters_are_read() {
        // Composed by admin/v3/clusters.proto.
        let body = br#"{"cluster_statuses":[{"name":"shop","host_statuses":[
            {"address":{"socket_address":{"address":"127.0.0.1","port_value":8001}},"stats":[{"name":"rq_active","value":"3","type":"GAUGE"}],
             "health_status":{"failed_active_health_check":true,"eds_health_status":"HEALTHY"}},
            {"address":{"socket_address":{"address":"127.0.0.1","port_value":8002}},"stats":[{"name":"rq_active","type":"GAUGE"}],
             "health_status":{"failed_outlier_check":true}},
            {"address":{"pipe":{"path":"/run/app.sock"}},"health_status":{"eds_health_status":"HEALTHY"}}]},{"name":"empty"}]}"#;
        let told = envoy(body).expect("clusters");
        let shown: Vec<_> = told.iter().map(|one| (one.name.as_str(), one.health, one.busy)).collect();
        assert_eq!(
            shown,
            [
                ("127.0.0.1:8001", Health::Down, 3),
                ("127.0.0.1:8002", Health::Down, 0),
                ("unix:/run/app.sock", Health::Unchecked, 0)
            ]
        );
        assert!(envoy(b"shop::default_priority::max_connections::1024").is_none());
    }

    #[test]
    fn traefiks_services_are_read() {
        // Composed by doc.traefik.io/traefik/operations/api.
        let body = br#"[{"loadBalancer":{"servers":[{"url":"http://127.0.0.1:8001"}]},"status":"enabled",
            "serverStatus":{"http://127.0.0.1:8001":"DOWN","https://10.0.0.2/":"UP"},"name":"shop@file"},{"name":"api@internal"}]"#;
        let told = traefik(body).expect("services");
        let shown: Vec<_> = told.iter().map(|one| (one.address.clone().map(|at| at.to_string()), one.health)).collect();
        assert_eq!(shown, [(Some("127.0.0.1:8001".into()), Health::Down), (Some("10.0.0.2:443".into()), Health::Unchecked)]);
        assert!(traefik(b"{}").is_none());
    }
}
