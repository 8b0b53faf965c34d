//! What one line of any log says, in words that are common to all programs.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::LineTime;

/// Which program's words a line is in. A signature is only ever compared with lines of its own dialects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// nginx error log, and that of its relatives (OpenResty, Tengine, Kong, ingress-nginx).
    NginxError,
    /// nginx access log.
    NginxAccess,
    /// Apache httpd error log.
    ApacheError,
    /// Common and combined log format, of whatever server.
    CommonAccess,
    /// HAProxy: requests and its own notices.
    Haproxy,
    /// Caddy.
    Caddy,
    /// Traefik.
    Traefik,
    /// Envoy.
    Envoy,
    /// Varnish.
    Varnish,
    /// lighttpd error log.
    Lighttpd,
    /// Squid: cache.log and access.log.
    Squid,
    /// Kubernetes components by klog: the controller of ingress-nginx.
    Klog,
    /// Load balancers and CDNs in the cloud.
    Cloud,
    /// LiteSpeed and OpenLiteSpeed.
    Litespeed,
    /// The proxy of Linkerd.
    Linkerd,
    /// Internet Information Services, and Windows' HTTP driver.
    Iis,
    /// php-fpm's own log.
    PhpFpm,
    /// PHP's error log.
    Php,
    /// gunicorn.
    Gunicorn,
    /// uwsgi.
    Uwsgi,
    /// uvicorn.
    Uvicorn,
    /// Puma and Passenger.
    Ruby,
    /// Node.js and pm2.
    Node,
    /// Tomcat and others on the Java virtual machine.
    Java,
    /// .NET: YARP, HttpClient, the ASP.NET Core module of IIS.
    Dotnet,
    /// Python programs: tracebacks, the logging module.
    Python,
    /// Go programs.
    Go,
    /// The kernel.
    Kernel,
    /// systemd.
    Systemd,
    /// The audit system: SELinux, AppArmor.
    Audit,
    /// dockerd, containerd, kubelet.
    Container,
    /// Nothing that is known by its shape.
    #[default]
    Plain,
}

impl Dialect {
    /// What a source of such lines is called where no file is known: `nginx error log`.
    pub fn title(self) -> &'static str {
        match self {
            Self::NginxError => "nginx error log",
            Self::NginxAccess | Self::CommonAccess => "access log",
            Self::ApacheError => "apache error log",
            Self::Haproxy => "haproxy log",
            Self::Caddy => "caddy log",
            Self::Traefik => "traefik log",
            Self::Envoy => "envoy log",
            Self::Varnish => "varnish log",
            Self::Lighttpd => "lighttpd error log",
            Self::Squid => "squid log",
            Self::Klog => "ingress controller log",
            Self::Cloud => "load balancer log",
            Self::Litespeed => "litespeed log",
            Self::Linkerd => "linkerd log",
            Self::Iis => "IIS log",
            Self::PhpFpm => "php-fpm log",
            Self::Php => "php error log",
            Self::Gunicorn => "gunicorn log",
            Self::Uwsgi => "uwsgi log",
            Self::Uvicorn => "uvicorn log",
            Self::Ruby => "ruby application log",
            Self::Node => "node log",
            Self::Java => "java log",
            Self::Dotnet => ".NET log",
            Self::Python => "python log",
            Self::Go => "go program log",
            Self::Kernel => "kernel log",
            Self::Systemd => "systemd journal",
            Self::Audit => "audit log",
            Self::Container => "container runtime log",
            Self::Plain => "other lines",
        }
    }

    /// The kind of gateway whose failures name the request alone, and no upstream once it is connected to one.
    pub fn names_the_request_only(self) -> Option<&'static str> {
        (self == Self::Caddy).then_some("caddy")
    }

    /// Who writes it.
    pub fn writer(self) -> Writer {
        match self {
            Self::NginxError
            | Self::NginxAccess
            | Self::ApacheError
            | Self::CommonAccess
            | Self::Haproxy
            | Self::Caddy
            | Self::Traefik
            | Self::Envoy
            | Self::Varnish
            | Self::Lighttpd
            | Self::Squid
            | Self::Klog
            | Self::Cloud
            | Self::Litespeed
            | Self::Linkerd
            | Self::Iis => Writer::Gateway,
            Self::PhpFpm
            | Self::Php
            | Self::Gunicorn
            | Self::Uwsgi
            | Self::Uvicorn
            | Self::Ruby
            | Self::Node
            | Self::Java
            | Self::Dotnet
            | Self::Python
            | Self::Go
            | Self::Plain => Writer::Application,
            Self::Kernel | Self::Systemd | Self::Audit | Self::Container => Writer::Host,
        }
    }
}

/// Who writes a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// A gateway.
    Gateway,
    /// An application or its server.
    Application,
    /// The host: kernel, supervisor, container runtime.
    Host,
}

/// How bad a line is by its own words, as syslog(3) orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Details.
    Debug,
    /// What happens.
    Info,
    /// What happens seldom.
    Notice,
    /// What may become an error.
    Warning,
    /// Something failed.
    Error,
    /// Something important failed.
    Critical,
    /// Somebody must act.
    Alert,
    /// It is unusable.
    Emergency,
}

impl Level {
    /// A level by any program's word for it, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        const WORDS: &[(&str, Level)] = &[
            ("emerg", Level::Emergency),
            ("emergency", Level::Emergency),
            ("panic", Level::Emergency),
            ("alert", Level::Alert),
            ("crit", Level::Critical),
            ("critical", Level::Critical),
            ("fatal", Level::Critical),
            ("severe", Level::Critical),
            ("dpanic", Level::Critical),
            ("err", Level::Error),
            ("error", Level::Error),
            ("warn", Level::Warning),
            ("warning", Level::Warning),
            ("notice", Level::Notice),
            ("info", Level::Info),
            ("information", Level::Info),
            ("debug", Level::Debug),
            ("trace", Level::Debug),
            ("fine", Level::Debug),
        ];
        // `trace1` to `trace8` are Apache's.
        let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
        WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, level)| *level)
    }

    /// By its number in syslog(3), 0 to 7.
    pub fn of_priority(number: u8) -> Option<Self> {
        [Self::Emergency, Self::Alert, Self::Critical, Self::Error, Self::Warning, Self::Notice, Self::Info, Self::Debug]
            .get(usize::from(number))
            .copied()
    }

    /// The word that stands in keys and on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warn",
            Self::Error => "error",
            Self::Critical => "crit",
            Self::Alert => "alert",
            Self::Emergency => "emerg",
        }
    }
}

/// What one line says. Texts are as logged, for nobody to trust.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entry<'a> {
    /// Whose words.
    pub dialect: Dialect,
    /// Its time stamp.
    pub time: Option<LineTime<'a>>,
    /// How bad it is.
    pub level: Option<Level>,
    /// The program that wrote it, by the line or by what carried it (`php-fpm8.2`, `systemd`), or the container's name.
    pub program: Option<&'a str>,
    /// The process.
    pub pid: Option<u32>,
    /// What it says: what signatures are compared with. A request is told in a form of our own, which its reader describes.
    pub message: Cow<'a, str>,
    /// The upstream that the line names: `127.0.0.1:8000`, `unix:/run/app.sock`, `backend/server`, the name of a pool.
    pub upstream: Option<Cow<'a, str>>,
    /// The site.
    pub server: Option<Cow<'a, str>>,
    /// The client's address.
    pub client: Option<Cow<'a, str>>,
    /// The request line, `GET /path HTTP/1.1`.
    pub request: Option<Cow<'a, str>>,
    /// What the client was answered: such a line tells of a request.
    pub status: Option<u16>,
}
