//! Backends to pools and routes: where requests go, and what is spoken there.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use compact_str::CompactString;
use foldhash::fast::RandomState;

use super::{
    acl::{Takes, sample},
    answers::{self, Answer},
    load::{Line, Loaded},
    names,
    proxy::{Proxy, milliseconds},
    server::{self, Around, Parameters, Written},
};
use crate::model::{
    HEALTH_CHECK, HEALTH_CHECK_EXPECTS, HEALTH_CHECK_HOST, HEALTH_CHECK_PORT, PathMatch, Place, Pool, Protocol, Reuse, Role, Route,
    SENDS_PROXY, Setting, Settings,
};

/// Milliseconds that stand for "no time-out is set": longer than anybody waits.
const NO_TIMEOUT_MS: u64 = 86_400_000;
/// What a response header may have (`tune.bufsize` without `tune.maxrewrite`; configuration.txt section 3.2).
const BUFFER_BYTES: u32 = 16_384;
const REWRITE_BYTES: u32 = 1_024;
/// Milliseconds after which idle connections begin to be closed (`pool-purge-delay`).
const PURGE_MS: u64 = 5_000;
/// Servers of a pool that are kept.
const SERVERS: usize = 4_096;

/// Servers that requests are passed to.
#[derive(Debug)]
pub struct Backend<'a> {
    proxy: Proxy<'a>,
    written: Vec<Written>,
    /// Servers beyond those that are kept.
    pub left_out: usize,
    around: &'a Around<'a>,
    header_limit: u32,
    fcgi: Option<&'a super::load::Section>,
    /// What it answers before any of its servers is asked.
    answers: Vec<Answer<'a>>,
    /// What it puts in the place of their answers.
    refusals: Vec<Answer<'a>>,
    /// What is set in it, whatever server it is.
    settings: Settings,
}

/// Backends by name. Each has room of its own, as a table of thousands is half empty.
pub type Backends<'a> = HashMap<&'a str, Box<Backend<'a>>, RandomState>;

/// The rule that leads to a backend, and the requests that come by it.
#[derive(Debug)]
pub struct Front<'p, 'a> {
    /// What is spoken on its ports, where they are those of the web.
    pub web: Option<Protocol>,
    /// What the frontend does with requests (`http-request`).
    pub rules: &'p [&'a Line],
    /// The host name of the requests. `None`: any.
    pub host: Option<&'p str>,
    /// The rule as written.
    pub pattern: String,
    /// A path of theirs.
    pub path: String,
    /// All their paths.
    pub takes: PathMatch,
    /// Where the rule stands.
    pub at: Place,
}

impl Front<'_, '_> {
    fn route(&self, protocol: Protocol) -> Route {
        Route {
            pattern: self.pattern.clone(),
            takes: Some(self.takes.clone()),
            sample_path: self.path.clone(),
            protocol,
            pool: None,
            servers: Vec::new(),
            rewrite: None,
            host_header: None,
            sni: None,
            trust: None,
            params: Vec::new(),
            connect_ms: NO_TIMEOUT_MS,
            read_ms: NO_TIMEOUT_MS,
            header_limit: None,
            source: None,
            reuse: Reuse::Unknown,
            settings: Settings::default(),
            dynamic: None,
            at: self.at.clone(),
        }
    }

    /// A route whose backend only a request tells.
    pub fn dynamic(&self, text: &str) -> Route {
        Route { dynamic: Some(text.to_owned()), ..self.route(Protocol::Http) }
    }
}

/// All backends, by name, and what HAProxy would refuse of them.
pub fn backends<'a>(loaded: &'a Loaded, around: &'a Around<'a>) -> (Backends<'a>, Vec<(Place, String)>) {
    let mut problems = Vec::new();
    let mut all = HashMap::with_hasher(RandomState::default());
    let number = |key: &str| loaded.global_value(key).and_then(|text| text.parse::<u32>().ok());
    let buffer = number("tune.bufsize").unwrap_or(BUFFER_BYTES);
    let rewrite = number("tune.maxrewrite").unwrap_or(REWRITE_BYTES).min(buffer / 2);
    for section in &loaded.sections {
        let proxy = Proxy::of(loaded, section);
        if !proxy.is_back() {
            continue;
        }
        let mut defaults = Parameters::default();
        let mut written: Vec<Written> = Vec::new();
        let port = proxy.own("bind").next().and_then(|line| line.word(1).rsplit(':').next()?.parse().ok());
        // A `default-server` holds for what follows it.
        let of_defaults =
            proxy.all("default-server").filter(|line| !proxy.own("default-server").any(|own| own.place() == line.place()));
        of_defaults.for_each(|line| defaults.take(line, 1));
        for line in &section.lines {
            match line.word(0) {
                "default-server" => defaults.take(line, 1),
                "server" | "server-template" => match server::servers(line, &defaults, proxy.http(), port, around) {
                    Ok(servers) => written.extend(servers),
                    Err(error) => problems.push((line.place(), error)),
                },
                _ => {}
            }
        }
        let left_out = written.len().saturating_sub(SERVERS);
        written.truncate(SERVERS);
        written.shrink_to_fit();
        if proxy.own("disabled").next().is_some() {
            for one in &mut written {
                one.server.role = Role::Down;
            }
        }
        let app = proxy.last(&["use-fcgi-app"]).map(|line| line.word(1));
        let fcgi = app.and_then(|name| loaded.of("fcgi-app").find(|section| section.name == name));
        let mut settings = BTreeMap::new();
        proxy.settings(&mut settings);
        let settings = settings.into();
        let (answers, refusals) = (answers::answers(&proxy), answers::refusals(&proxy));
        let header_limit = buffer.saturating_sub(rewrite);
        let backend = Backend { proxy, written, left_out, around, header_limit, fcgi, answers, refusals, settings };
        // A `listen` and a `backend` of one name would not load.
        all.entry(section.name.as_str()).or_insert_with(|| Box::new(backend));
    }
    (all, problems)
}

/// `source 10.0.0.9`, `source 10.0.0.9:1024-2048`, `source 0.0.0.0 usesrc clientip` (which is none).
fn source(text: Option<&str>) -> Option<IpAddr> {
    let text = text?;
    let ip = text.parse().ok().or_else(|| text.rsplit_once(':')?.0.trim_matches(['[', ']']).parse().ok());
    ip.filter(|ip: &IpAddr| !ip.is_unspecified())
}

impl Backend<'_> {
    /// As the model has it.
    pub fn into_pool(self) -> Pool {
        Pool {
            name: self.proxy.name().to_owned(),
            servers: self.written.into_iter().map(|one| one.server).collect(),
            settings: self.settings,
            at: self.proxy.section.head.place(),
        }
    }

    /// The routes of a rule that leads here: one for each way in which its servers are spoken to.
    pub fn routes(&self, front: &Front<'_, '_>) -> Vec<Route> {
        let mut out: Vec<Route> = Vec::new();
        // Its own rules are asked before any of its servers. One under a condition leaves them the others.
        if let Some(answer) = self.answers.iter().find(|answer| answer.condition.is_none()) {
            return vec![Route { settings: answer.settings(), at: answer.line.place(), ..front.route(Protocol::Http) }];
        }
        for one in &self.written {
            let sni = server::sni(&one.parameters, front.host);
            let trust = server::trust(&one.parameters, self.around, front.host).map(Box::new);
            // In TCP mode what comes in is what goes out: with TLS of its own, if it ends here, without otherwise.
            let raw = one.protocol == Protocol::Stream && !self.proxy.http() && !one.parameters.sends_proxy();
            let protocol = front.web.filter(|_| raw && trust.is_none()).unwrap_or(one.protocol);
            let sni = sni.or_else(|| front.host.map(str::to_owned).filter(|_| raw && protocol == Protocol::Https));
            let known = out.iter_mut().find(|known| (known.protocol, &known.sni, &known.trust) == (protocol, &sni, &trust));
            if let Some(known) = known {
                known.servers.push(one.server.clone());
            } else {
                out.push(Route { sni, trust, ..self.route(front, one, protocol) });
            }
        }
        // Without servers there is nothing behind it: it answers by rules of its own, as a page of statistics does.
        out
    }

    /// What is answered here in the place of its servers under conditions that a request or an answer tells, to requests of these paths
    /// for this name, over TLS or not. `front`: what the frontend puts in the place of answers; of a `listen`, and of what both have from
    /// their defaults, it is the same.
    pub fn sometimes(&self, front: &[Answer<'_>], paths: &PathMatch, (name, tls): (&str, bool), out: &mut Vec<Route>) {
        let path = || sample(paths).unwrap_or_else(|| "/".to_owned());
        for answer in &self.answers {
            if let Some(Takes::Paths(takes @ PathMatch::Condition(_))) = answer.condition.as_ref().map(|one| one.takes(name, tls)) {
                out.push(answer.route(takes, path()));
            }
        }
        let known = |answer: &&Answer<'_>| self.refusals.iter().any(|own| std::ptr::eq(own.line, answer.line));
        let refusals = self.refusals.iter().chain(front.iter().filter(|answer| !known(answer)));
        for answer in refusals.filter(|_| !self.written.is_empty()) {
            out.push(answer.route(PathMatch::Condition(answer.line.rest(1).into()), path()));
        }
    }

    fn route(&self, front: &Front<'_, '_>, one: &Written, protocol: Protocol) -> Route {
        let mut own: BTreeMap<CompactString, Setting> = one.parameters.told().collect();
        self.check(one, &mut own);
        if one.parameters.sends_proxy() {
            own.insert(SENDS_PROXY.into(), Setting { value: "PROXY".into(), at: Some(one.server.at.clone()) });
        }
        let settings = if own.is_empty() {
            self.settings.clone()
        } else {
            self.proxy.settings(&mut own);
            own.into()
        };
        let http = self.proxy.http();
        let rules = || front.rules.iter().copied().chain(self.proxy.all("http-request"));
        Route {
            pool: Some(self.proxy.name().to_owned()),
            servers: vec![one.server.clone()],
            rewrite: rules().find_map(rewrite).map(Box::new),
            host_header: rules().filter_map(host_header).last().filter(|_| http),
            reuse: self.reuse(one),
            params: if one.protocol == Protocol::Fastcgi { self.params(&front.path) } else { Vec::new() },
            connect_ms: self.proxy.timeout("connect").unwrap_or(NO_TIMEOUT_MS),
            read_ms: self.proxy.timeout("server").unwrap_or(NO_TIMEOUT_MS),
            header_limit: http.then_some(self.header_limit),
            source: source(one.parameters.value("source").or_else(|| Some(self.proxy.last(&["source"])?.word(1)))),
            settings,
            ..front.route(protocol)
        }
    }

    /// Whether idle connections are used again (configuration.txt, `http-reuse`). By default (`safe`, since 2.0) only for the second
    /// request of a client and later ones, as without any reuse: when such a one breaks, HAProxy closes without an answer and
    /// without a line in the log, so that the client repeats it (http_ana.c, abort_keep_alive).
    fn reuse(&self, one: &Written) -> Reuse {
        if !self.proxy.http() || self.proxy.option("http-server-close").is_some() || self.proxy.option("httpclose").is_some() {
            return Reuse::Never;
        }
        let Some(line) = self.proxy.last(&["http-reuse"]) else { return Reuse::SameClient };
        match line.word(1) {
            "never" | "safe" => Reuse::SameClient,
            "aggressive" | "always" => Reuse::Kept {
                idle_ms: one.parameters.value("pool-purge-delay").map_or(Some(PURGE_MS), milliseconds),
                at: Some(line.place()),
            },
            _ => Reuse::Unknown,
        }
    }

    /// How this server is checked, in the words that are common to all kinds.
    fn check(&self, one: &Written, settings: &mut BTreeMap<CompactString, Setting>) {
        if !one.parameters.has("check") {
            return;
        }
        let at = Some(one.server.at.clone());
        let mut set = |key: &str, value: String| settings.insert(key.into(), Setting { value: value.into(), at: at.clone() });
        let mut words = "connect".to_owned();
        if let Some(line) = self.proxy.option("httpchk") {
            // `httpchk`, `httpchk URI`, `httpchk METHOD URI`; the default is OPTIONS, which is not asked for by us.
            words = match (line.word(2), line.word(3)) {
                ("", _) => "OPTIONS /".to_owned(),
                (uri, "") => format!("OPTIONS {uri}"),
                (method, uri) => format!("{method} {uri}"),
            };
            let sends = self.proxy.all("http-check").filter(|line| line.word(1) == "send");
            if let Some(line) = sends.last() {
                let after = |key: &str| line.words().skip_while(|word| *word != key).nth(1);
                let (method, uri) = words.split_once(' ').unwrap_or(("OPTIONS", "/"));
                words = format!("{} {}", after("meth").unwrap_or(method), after("uri").unwrap_or(uri));
                let words: Vec<&str> = line.words().collect();
                let host = words.windows(3).find(|three| three[0] == "hdr" && three[1].eq_ignore_ascii_case("host"));
                if let Some(three) = host {
                    set(HEALTH_CHECK_HOST, three[2].to_owned());
                }
            }
            let expected: Vec<&Line> = self.proxy.all("http-check").filter(|line| line.word(1) == "expect").collect();
            // `http-check expect status 200,300-310`, without `!` (configuration.txt, `http-check expect`).
            if let [line] = expected.as_slice()
                && let [.., before, "status", codes] = *line.words().collect::<Vec<_>>().as_slice()
                && before != "!"
            {
                set(HEALTH_CHECK_EXPECTS, codes.to_owned());
            }
        }
        set(HEALTH_CHECK, words);
        if let Some(port) = one.parameters.value("port") {
            set(HEALTH_CHECK_PORT, port.to_owned());
        }
    }

    /// What an application by FastCGI is told of the script (configuration.txt section 10).
    fn params(&self, path: &str) -> Vec<(String, String)> {
        let lines = || self.fcgi.into_iter().flat_map(|section| &section.lines);
        let value = |key: &str| lines().find(|line| line.word(0) == key).map(|line| line.word(1).to_owned());
        let root = value("docroot").unwrap_or_default();
        let script = if path.ends_with('/') { format!("{path}{}", value("index").unwrap_or_default()) } else { path.to_owned() };
        let mut out = vec![
            ("DOCUMENT_ROOT".to_owned(), root.clone()),
            ("SCRIPT_NAME".to_owned(), script.clone()),
            ("SCRIPT_FILENAME".to_owned(), format!("{}{script}", root.trim_end_matches('/'))),
        ];
        for line in lines().filter(|line| line.word(0) == "set-param" && !line.word(2).contains('%')) {
            out.retain(|(name, _)| name != line.word(1));
            out.push((line.word(1).to_owned(), line.word(2).to_owned()));
        }
        out
    }
}

/// Whether a rule is for some requests only.
fn conditional(line: &Line) -> bool {
    line.words().any(|word| word == "if" || word == "unless")
}

/// `http-request set-header Host NAME`.
fn host_header(line: &Line) -> Option<String> {
    let host = line.word(1) == "set-header" && line.word(2).eq_ignore_ascii_case("host");
    (host && !conditional(line) && !line.word(3).contains('%')).then(|| line.word(3).to_owned())
}

/// `replace-path ^/api/(.*) /\1`, `replace-path /api(/)?(.*) /\2`, `set-path %[path,regsub(^/api/,/)]`: what begins the path is
/// replaced. A rule under a condition is not followed.
fn rewrite(line: &Line) -> Option<(String, String)> {
    if conditional(line) {
        return None;
    }
    let literal = |text: &str| !text.contains(['(', '[', '\\', '*', '+', '?', '.', '|', '$', '%']);
    let (from, to) = match line.word(1) {
        "replace-path" | "replace-uri" => {
            let pattern = line.word(2).trim_start_matches('^');
            let slash = pattern.strip_suffix("(/)?(.*)").map(|from| format!("{from}/"));
            let from = slash.or_else(|| pattern.trim_end_matches('$').strip_suffix("(.*)").map(str::to_owned))?;
            (from, line.word(3).split('\\').next().unwrap_or_default().to_owned())
        }
        "set-path" => {
            let inner = line.word(2).strip_prefix("%[path,regsub(^")?.strip_suffix(")]")?;
            let (from, to) = inner.split_once(',')?;
            (from.to_owned(), to.trim_end_matches(",g").trim_matches(['"', '\'']).to_owned())
        }
        _ => return None,
    };
    (literal(&from) && literal(&to) && from.starts_with('/')).then_some((from, to))
}

/// What all servers share.
pub fn around(loaded: &Loaded) -> Around<'_> {
    let mut default_options = Parameters::default();
    for line in loaded.global().filter(|line| line.word(0) == "ssl-default-server-options") {
        default_options.take(line, 1);
    }
    for (key, name) in [("ssl-default-server-ciphers", "ciphers"), ("ssl-default-server-ciphersuites", "ciphersuites")] {
        if let Some(line) = loaded.global().find(|line| line.word(0) == key) {
            default_options.set(name, line);
        }
    }
    Around {
        chroot: loaded.global_value("chroot"),
        ca_base: loaded.global_value("ca-base"),
        crt_base: loaded.global_value("crt-base"),
        verify_none: loaded.global_value("ssl-server-verify") == Some("none"),
        resolvers: names::sections(loaded),
        default_options,
    }
}
