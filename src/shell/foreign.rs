//! Every parser of foreign bytes as one function of bytes: what `tests/fuzz` feeds with whatever it invents, and `tests/fuzz.rs` with
//! what it found.
//!
//! A function here panics if its parser does, or if what it gave breaks a promise: what is said to stand in a line stands there,
//! what is shown has no control characters, what was written is read back the same, what came in pieces says what it says as a whole.
//!
//! To add a parser: a function of bytes, in the `foreign` of its layer where the parser is private to it, its line in [`ALL`], and
//! a real sample in `tests/fuzz/corpus/NAME/`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use ratatui::{Terminal, backend::TestBackend};

use super::{Recording, hand_over::fold_by};
use crate::{
    catalog::Catalog,
    diagnose, gateway,
    model::{
        Gateway, Observation,
        logline::{self, AccessFormat, Entry, JournalExport},
        secrets, text,
    },
    probe, report,
    sys::{self, Root},
    ui::{self, Ui},
    watch,
};

/// A parser: its name, which is that of its corpus, and what feeds it.
pub type Parser = (&'static str, fn(&[u8]));

/// All of them.
pub static ALL: &[Parser] = &[
    ("access-log", access_log),
    ("admin-page", admin_page),
    ("ajp", probe::foreign::ajp),
    ("apache", |bytes| configuration("apache", bytes)),
    ("caddy", |bytes| configuration("caddy", bytes)),
    ("certificate", probe::foreign::certificate),
    ("changes", watch::foreign::changes),
    ("dns", sys::foreign::dns_answer),
    ("envoy", |bytes| configuration("envoy", bytes)),
    ("fastcgi", probe::foreign::fastcgi),
    ("filter-rules", filter_rules),
    ("haproxy", |bytes| configuration("haproxy", bytes)),
    ("http", probe::foreign::http),
    ("journal", journal),
    ("kernel-messages", sys::foreign::kernel_messages),
    ("kernel-record", watch::foreign::kernel_record),
    ("lighttpd", |bytes| configuration("lighttpd", bytes)),
    ("log-line", log_line),
    ("nginx", |bytes| configuration("nginx", bytes)),
    ("paste", watch::foreign::paste),
    ("procfs", procfs),
    ("record", record),
    ("services", services),
    ("squid", |bytes| configuration("squid", bytes)),
    ("text", printable),
    ("tls", probe::foreign::hello),
    ("traefik", |bytes| configuration("traefik", bytes)),
    ("uwsgi", probe::foreign::uwsgi),
    ("varnish", |bytes| configuration("varnish", bytes)),
];

/// A line that a reader writes about a line is at most so much longer: a few words of our own, and each byte escaped.
fn may_grow(bytes: usize) -> usize {
    bytes.saturating_mul(4).saturating_add(512)
}

/// A folder of one thread's own, with files that all have the same content, below which a parser looks at the host.
struct Scratch {
    dir: PathBuf,
    content: PathBuf,
}

impl Scratch {
    fn new(files: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("why502-foreign-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("a folder of one's own");
        let content = dir.join("content");
        fs::write(&content, "").expect("a file in it");
        for file in files {
            let link = dir.join(file.trim_start_matches('/'));
            fs::create_dir_all(link.parent().unwrap_or(&dir)).expect("a folder in it");
            if !link.exists() {
                fs::hard_link(&content, &link).expect("a link in it");
            }
        }
        Self { dir, content }
    }

    fn fill(&self, bytes: &[u8]) -> Root {
        fs::write(&self.content, bytes).expect("a file of one's own");
        Root::below(&self.dir)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

thread_local! {
    static CONFIGURATION: Scratch = Scratch::new(&["/etc/Caddyfile", "/etc/gateway.conf", "/etc/gateway.json", "/etc/gateway.yaml", "/etc/gateway.toml", "/etc/more/one.conf", "/usr/bin/caddy"]);
    static HOST: Scratch = Scratch::new(&[sys::foreign::FILES, watch::foreign::FILES].concat());
}

/// The main configuration of a gateway, and what is recorded of it. A file that it includes has the same content.
fn configuration(kind: &str, bytes: &[u8]) {
    let lines = memchr::memchr_iter(b'\n', bytes).count() + 1;
    // By their names two of them are told in which of their languages they are.
    let names: &[&str] = match kind {
        "caddy" => &["/etc/Caddyfile", "/etc/gateway.json"],
        "traefik" => &["/etc/gateway.yaml", "/etc/gateway.toml"],
        _ => &["/etc/gateway.conf"],
    };
    for name in names {
        let found = CONFIGURATION.with(|scratch| gateway::foreign::configuration(kind, &scratch.fill(bytes), Path::new(name)));
        let gateways = found.expect("a kind that is known").gateways;
        assert_eq!(gateways.len(), 1, "{kind}: what is named is looked at");
        for gateway in &gateways {
            for site in &*gateway.sites {
                let places = std::iter::once(&site.at).chain(site.routes.iter().map(|route| &route.at));
                for at in places.filter(|at| at.file.starts_with("/etc")) {
                    assert!(at.line as usize <= lines, "{at} of {lines} lines");
                }
            }
        }
        let written = serde_json::to_string(&gateways).expect("what is recorded can be written");
        let read: Vec<Gateway> = serde_json::from_str(&written).expect("what was written can be read");
        // By their text: a host that is called `unix` reads like a socket, in the configuration as well.
        assert_eq!(serde_json::to_string(&read).ok(), Some(written), "what was written is read back");
    }
}

/// What an admin page answers.
fn admin_page(bytes: &[u8]) {
    sys::foreign::admin_page(bytes);
    assert!(gateway::foreign::live(bytes) <= bytes.len(), "a server takes at least a byte");
}

/// The listings of packet filters.
fn filter_rules(bytes: &[u8]) {
    probe::foreign::filter_rules(bytes);
    sys::foreign::redirects(bytes);
}

/// Files of the kernel, and of the host's settings.
fn procfs(bytes: &[u8]) {
    HOST.with(|scratch| {
        let root = scratch.fill(bytes);
        sys::foreign::files(&root);
        watch::foreign::files(&root);
    });
}

/// What systemd says.
fn services(bytes: &[u8]) {
    HOST.with(|scratch| sys::foreign::services(bytes, &Root::below(&scratch.dir)));
}

fn check(entry: &Entry<'_>, line: &str) {
    assert!(entry.message.len() <= may_grow(line.len()), "{} bytes of {}", entry.message.len(), line.len());
    let texts = [&entry.upstream, &entry.server, &entry.client, &entry.request];
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= may_grow(line.len()), "{} bytes of {}", text.len(), line.len());
    }
}

/// A line of a log of any format, by every reader.
fn log_line(bytes: &[u8]) {
    for line in String::from_utf8_lossy(bytes).lines() {
        check(&logline::read(line), line);
        check(&logline::read_kernel(line), line);
        for entry in logline::by_each_reader(line) {
            check(&entry, line);
        }
        if let Some(at) = logline::begins(line) {
            check(&logline::read(&line[at..]), line);
        }
        let _ = (logline::docker_json(line), logline::is_ours(line.as_bytes()), logline::request_line(line));
        let key = logline::read_key(line);
        assert!(line.contains(key.message), "a key's message stands in it");
        let _ = (logline::read_access_key(line), logline::request_of_key(line));
        assert!(secrets::line(line).is_none_or(|concealed| concealed.len() <= may_grow(line.len())), "{line}");
    }
}

/// A `log_format` in the first line, and lines of it.
fn access_log(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (format, rest) = text.split_once('\n').unwrap_or((&text, ""));
    let format = AccessFormat::compile(format);
    let cutter = format.cutter();
    for line in rest.lines() {
        let parsed = format.parse(line);
        if let Some(cut) = cutter.as_ref().and_then(|cutter| cutter.cut(line.as_bytes())) {
            assert!(parsed.is_some(), "the quick reader takes what the thorough one refuses: {cut:?}");
        }
        if let Some(parsed) = parsed {
            let mut form = String::new();
            logline::access_form(&parsed, &mut form);
            assert!(form.len() <= may_grow(line.len()), "{form}");
            let _ = (logline::read_access_key(&form), parsed.time.map(logline::AccessTime::second), parsed.path());
        }
    }
}

/// The journal's export in one piece and byte by byte, and its JSON.
fn journal(bytes: &[u8]) {
    let read = |at_once: usize| {
        let (mut export, mut entries) = (JournalExport::default(), Vec::new());
        for piece in bytes.chunks(at_once) {
            export.push(piece, |entry| entries.push(entry));
        }
        (entries, export.lost())
    };
    let whole = read(bytes.len().max(1));
    assert_eq!(whole, read(1), "it depends on how it came");
    let json = String::from_utf8_lossy(bytes);
    for entry in whole.0.into_iter().chain(json.lines().filter_map(logline::journal_json)) {
        let line = entry.line();
        check(&logline::read(&String::from_utf8_lossy(&line)), &String::from_utf8_lossy(&line));
    }
}

fn catalog() -> Arc<Catalog> {
    static CATALOG: OnceLock<Arc<Catalog>> = OnceLock::new();
    // That of the program alone: what a person added to it is none of a test's business.
    let own = || Catalog::with_own(&[], diagnose::fact_names).expect("the catalogue is whole").0.into();
    Arc::clone(CATALOG.get_or_init(own))
}

/// A recording: read back as written, and concluded from, told and drawn, whatever it claims.
fn record(bytes: &[u8]) {
    let Some(recording) = Recording::of_bytes(bytes) else { return };
    for stamped in &recording.seen {
        let written = serde_json::to_string(&stamped.observation).expect("what is recorded can be written");
        let read: Observation = serde_json::from_str(&written).expect("what was written can be read");
        assert_eq!(read, stamped.observation, "what was written is read back");
    }
    let mut state = fold_by(recording, catalog(), None);
    for text in [report::text(&state, 5), report::markdown(&state, 5), report::metrics(&state, 5)] {
        let bare = |c: char| c != '\n' && (c.is_control() || text::is_invisible(c));
        assert!(!text.contains(bare), "a control character reaches the terminal: {text:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&report::json(&state, 5)).expect("JSON");
    assert!(json.is_object(), "{json}");
    state.view.focus = ui::first_pane();
    let Ok(mut terminal) = Terminal::new(TestBackend::new(100, 30));
    let Ok(drawn) = terminal.draw(|frame| ui::draw(&state, &Ui::choose(Some("xterm"), false, true, false), frame));
    for cell in &drawn.buffer.content {
        assert!(!cell.symbol().contains(|c: char| c.is_control()), "a control character on the screen: {:?}", cell.symbol());
    }
}

/// Text for a terminal.
fn printable(bytes: &[u8]) {
    let shown = text::printable_bytes(bytes);
    let bare = |c: char| c.is_control() || text::is_invisible(c);
    assert!(!shown.contains(bare), "{shown:?}");
    let again = text::printable(&shown);
    assert!(again == shown || shown.chars().count() > text::LINE_CHARS, "what can be shown is left as it is");
}
