//! `proxy_ssl_*`: what nginx offers to an upstream and what it accepts.

use super::*;
use crate::model::{TlsVersion, TrustSettings};

/// The settings of each route, by its pattern.
fn settings(gateway: &Gateway) -> BTreeMap<String, Option<TrustSettings>> {
    gateway.routes().map(|(_, route)| (route.pattern.clone(), route.trust.as_deref().cloned())).collect()
}

#[test]
fn what_is_in_force_is_told_in_neutral_words() {
    let gateway = http(
        "upstream pool { server 10.0.0.2:443; }
         proxy_ssl_trusted_certificate ca.pem;
         server {
           location /plain { proxy_pass http://10.0.0.1; proxy_ssl_verify on; }
           location /any { proxy_pass https://10.0.0.1:8443; }
           location /pool { proxy_pass https://pool; proxy_ssl_verify on; proxy_ssl_crl /c; }
           location /named { proxy_pass https://10.0.0.1:8443; proxy_ssl_verify on; proxy_ssl_verify_depth 3; proxy_ssl_name app.test:443;
             proxy_ssl_protocols TLSv1.1 TLSv1.2; proxy_ssl_ciphers HIGH; proxy_ssl_certificate /k/c.pem; proxy_ssl_certificate_key k.key; }
           location /later { proxy_pass https://10.0.0.1; proxy_ssl_verify on; proxy_ssl_name $arg_name; }
           location /grpc { grpc_pass grpcs://app.test; }
           location /uwsgi { uwsgi_pass suwsgi://10.0.0.1:3031; uwsgi_ssl_verify on; uwsgi_ssl_trusted_certificate /u.pem; }
         }",
    );
    let settings = settings(&gateway);
    let of = |pattern: &str| settings[pattern].clone();
    assert_eq!(of("/plain"), None);
    let any = of("/any").expect("TLS");
    assert_eq!((any.verify, any.dates, any.name, any.ca_file), (false, false, None, None), "nothing is verified by default");
    let pool = of("/pool").expect("TLS");
    assert_eq!((pool.verify, pool.name.as_deref(), pool.depth), (true, Some("pool"), Some(1)), "the group's name is asked for");
    assert_eq!(pool.ca_file, Some("/etc/nginx/ca.pem".into()), "relative to the folder of the main file");
    assert_eq!(pool.crl_file, Some("/c".into()));
    let named = of("/named").expect("TLS");
    assert_eq!((named.name.as_deref(), named.depth, named.ciphers.as_deref()), (Some("app.test"), Some(3), Some("HIGH")));
    assert_eq!(named.protocols, [TlsVersion::Tls11, TlsVersion::Tls12]);
    assert_eq!((named.client_cert, named.client_key), (Some("/k/c.pem".into()), Some("/etc/nginx/k.key".into())));
    assert_eq!(of("/later").expect("TLS").unclear.as_deref(), Some("the name that proxy_ssl_verify asks for"));
    assert!(of("/grpc").is_some());
    assert_eq!(of("/uwsgi").expect("TLS").ca_file, Some("/u.pem".into()));
}
