//! The files of `assets/` that are part of the program. A test compares these lists with the folders.

/// Name and text of a file.
type File = (&'static str, &'static str);

/// Log lines to facts.
pub const SIGNATURES: &[File] = &[
    ("signatures/nginx.toml", include_str!("../../assets/signatures/nginx.toml")),
    ("signatures/nginx-gateway.toml", include_str!("../../assets/signatures/nginx-gateway.toml")),
    ("signatures/nginx-tls.toml", include_str!("../../assets/signatures/nginx-tls.toml")),
    ("signatures/nginx-more.toml", include_str!("../../assets/signatures/nginx-more.toml")),
    ("signatures/ingress-nginx.toml", include_str!("../../assets/signatures/ingress-nginx.toml")),
    ("signatures/go.toml", include_str!("../../assets/signatures/go.toml")),
    ("signatures/go-proxy.toml", include_str!("../../assets/signatures/go-proxy.toml")),
    ("signatures/go-answer.toml", include_str!("../../assets/signatures/go-answer.toml")),
    ("signatures/caddy.toml", include_str!("../../assets/signatures/caddy.toml")),
    ("signatures/traefik.toml", include_str!("../../assets/signatures/traefik.toml")),
    ("signatures/envoy-connect.toml", include_str!("../../assets/signatures/envoy-connect.toml")),
    ("signatures/envoy.toml", include_str!("../../assets/signatures/envoy.toml")),
    ("signatures/cloud.toml", include_str!("../../assets/signatures/cloud.toml")),
    ("signatures/cloud-aws.toml", include_str!("../../assets/signatures/cloud-aws.toml")),
    ("signatures/access.toml", include_str!("../../assets/signatures/access.toml")),
    ("signatures/apache.toml", include_str!("../../assets/signatures/apache.toml")),
    ("signatures/haproxy.toml", include_str!("../../assets/signatures/haproxy.toml")),
    ("signatures/lighttpd.toml", include_str!("../../assets/signatures/lighttpd.toml")),
    ("signatures/squid.toml", include_str!("../../assets/signatures/squid.toml")),
    ("signatures/varnish.toml", include_str!("../../assets/signatures/varnish.toml")),
    ("signatures/kernel.toml", include_str!("../../assets/signatures/kernel.toml")),
    ("signatures/systemd.toml", include_str!("../../assets/signatures/systemd.toml")),
    ("signatures/audit.toml", include_str!("../../assets/signatures/audit.toml")),
    ("signatures/container.toml", include_str!("../../assets/signatures/container.toml")),
    ("signatures/php-fpm.toml", include_str!("../../assets/signatures/php-fpm.toml")),
    ("signatures/php.toml", include_str!("../../assets/signatures/php.toml")),
    ("signatures/gunicorn.toml", include_str!("../../assets/signatures/gunicorn.toml")),
    ("signatures/uwsgi.toml", include_str!("../../assets/signatures/uwsgi.toml")),
    ("signatures/uvicorn.toml", include_str!("../../assets/signatures/uvicorn.toml")),
    ("signatures/ruby.toml", include_str!("../../assets/signatures/ruby.toml")),
    ("signatures/node.toml", include_str!("../../assets/signatures/node.toml")),
    ("signatures/java.toml", include_str!("../../assets/signatures/java.toml")),
    ("signatures/python.toml", include_str!("../../assets/signatures/python.toml")),
];

/// Causes.
pub const CAUSES: &[File] = &[
    ("causes/application.toml", include_str!("../../assets/causes/application.toml")),
    ("causes/gateway.toml", include_str!("../../assets/causes/gateway.toml")),
    ("causes/network.toml", include_str!("../../assets/causes/network.toml")),
    ("causes/host.toml", include_str!("../../assets/causes/host.toml")),
];

/// Programs that listen on many hosts.
pub const SERVICES: File = ("services.toml", include_str!("../../assets/services.toml"));

/// The checklist.
pub const PLAYBOOK: &[File] = &[("playbook/502.toml", include_str!("../../assets/playbook/502.toml"))];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_below_assets_is_listed() {
        let assets = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for (folder, files) in [("signatures", SIGNATURES), ("causes", CAUSES), ("playbook", PLAYBOOK)] {
            for entry in std::fs::read_dir(assets.join(folder)).expect("folder of assets") {
                let name = format!("{folder}/{}", entry.expect("entry").file_name().to_string_lossy());
                assert!(files.iter().any(|(listed, _)| *listed == name), "assets/{name} is not listed in catalog/embedded.rs");
            }
        }
    }
}
