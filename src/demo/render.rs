//! The demo's nginx.conf.

use super::{Fault, Instance};

/// What differs from one fault to the other.
#[derive(Debug, Clone)]
pub(super) struct Config<'a> {
    /// Whose it is.
    pub(super) instance: &'a Instance,
    /// The name of its pool.
    pub(super) name: &'a str,
    /// What is broken.
    pub(super) fault: &'a Fault,
    /// The user of the workers, where root starts them.
    pub(super) user: Option<&'a str>,
    /// The port that the gateway listens on.
    pub(super) port: u16,
    /// Scheme and address that it points to.
    pub(super) upstream: Upstream,
    /// Whether the buffer for response headers is raised.
    pub(super) large_buffer: bool,
    /// Whether an edit went wrong: a semicolon is missing.
    pub(super) broken: bool,
}

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upstream {
    /// A port of 127.0.0.1.
    Port(u16),
    /// The same, in TLS.
    TlsPort(u16),
    /// A unix socket.
    Socket(String),
    /// A name that does not exist.
    NoName,
}

impl Config<'_> {
    /// The text.
    pub(super) fn render(&self) -> String {
        let Self { instance, name, fault, user, port, upstream, large_buffer, broken } = self;
        let (program, config, pid) = (instance.program.display(), instance.config.display(), instance.pid_file());
        let user = user.map_or_else(String::new, |user| format!("user {user};\n"));
        let pool = |server: &str| format!("    upstream {name} {{\n        server {server};\n    }}\n");
        let (before, pass) = match upstream {
            Upstream::Port(port) => (pool(&format!("127.0.0.1:{port}")), format!("proxy_pass http://{name};")),
            Upstream::TlsPort(port) => (pool(&format!("127.0.0.1:{port}")), format!("proxy_pass https://{name};")),
            Upstream::Socket(path) => (pool(&format!("unix:{path}")), format!("proxy_pass http://{name};")),
            // A name in a variable is resolved for each request; elsewhere nginx would not even start with it. This gateway
            // asks the name servers of the host, whatever `resolver` says.
            Upstream::NoName => (
                "    resolver 127.0.0.53;\n".to_owned(),
                "set $backend shop.invalid:8000;\n            proxy_pass http://$backend;".to_owned(),
            ),
        };
        let buffer = if *large_buffer { "\n            proxy_buffer_size 16k;" } else { "" };
        let connect = if *broken { "proxy_connect_timeout 2s" } else { "proxy_connect_timeout 2s;" };
        format!(
            "# The gateway of: why502 demo {id}\n\
             # Fault: {what}.\n\
             # Mend it, test it, reload it:\n\
             #   {program} -t -c {config}\n\
             #   kill -HUP $(cat {pid})\n\
             {user}worker_processes 1;\n\
             pid nginx.pid;\n\
             error_log logs/error.log notice;\n\
             events {{\n    worker_connections 512;\n}}\n\
             http {{\n    access_log logs/access.log combined;\n{before}    \
             server {{\n        listen 127.0.0.1:{port};\n        server_name shop.demo;\n        location / {{\n            \
             {pass}\n            proxy_read_timeout 3s;{buffer}\n            {connect}\n        }}\n    }}\n}}\n",
            id = fault.id,
            what = fault.what,
            pid = pid.display(),
        )
    }
}
