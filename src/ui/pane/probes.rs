//! The probes: what was tried, and what came of it.

use ratatui::{buffer::Buffer, layout::Rect, style::Style, text::Line};

use std::{borrow::Cow, path::PathBuf};

use super::Pane;
use crate::{
    app::State,
    diagnose::{self, ProbeHistory, edit_at},
    model::{Address, Advice, Outcome, ProbeJob},
    ui::{
        Slot, Ui,
        doc::Doc,
        list::List,
        text::{clean, fit, fixed, line, right, span, width},
    },
};

/// From here on each phase has its column.
const ROOMY: u16 = 100;
/// Columns of a phase.
const PHASE: usize = 6;
/// Results of the strip where there is room.
const STRIP: usize = 30;

/// The pane.
pub struct Probes;

/// A probe as planned, with what it found so far.
struct Entry<'a> {
    job: &'a ProbeJob,
    history: Option<&'a ProbeHistory>,
}

fn key(job: &ProbeJob) -> String {
    let host = job.request.as_ref().map_or("", |request| request.host.as_str());
    let who = job.identity.as_ref().map_or("", |identity| identity.name.as_str());
    [job.probe.as_str(), &job.subject.0, &job.label(), host, who].join("\u{1f}")
}

/// The plan in its order; without one (a recording of another build), whatever was found.
fn all(state: &State) -> Vec<Entry<'_>> {
    let scene = state.shown().0;
    // The plan is that of now.
    if state.plan.jobs.is_empty() || state.view.past.is_some() {
        return scene.probes.iter().map(|history| Entry { job: &history.last.job, history: Some(history) }).collect();
    }
    state.plan.jobs.iter().map(|job| Entry { job, history: scene.history(job) }).collect()
}

/// A short word for the kind: it is the first column.
fn kind(job: &ProbeJob) -> &str {
    match job.probe.as_str() {
        "client" => "pub",
        "via" => "via",
        "no-cache" => "new",
        "as-browser" => "web",
        "http2" => "h2",
        "other-family" => "ip",
        "gateway" => "gw",
        "upstream" => "up",
        "candidate" => "alt",
        "name" => "dns",
        "resolvers" => "dns*",
        "public-name" => "name",
        "address" => "addr",
        "socket-path" => "sock",
        "check" => "chk",
        "reach" => "way",
        "keepalive" => "keep",
        other => other,
    }
}

/// Whether it is asked of the gateway on this host, in whatever shape.
fn through_gateway(job: &ProbeJob) -> bool {
    matches!(job.probe.as_str(), "gateway" | "no-cache" | "as-browser" | "http2" | "other-family")
}

/// Where it goes, as a person would say it.
fn label(job: &ProbeJob, roomy: bool) -> String {
    let label = job.label();
    match &job.request {
        // The gateway is asked on loopback for a name: the name is what tells one probe from another.
        Some(request) if through_gateway(job) && roomy => {
            format!("{}://{}{}  at {}", job.protocol.scheme(), request.host, request.target(), job.address)
        }
        Some(request) if through_gateway(job) => format!("{}{}", request.host, bare(&request.target())),
        _ if roomy => label,
        _ => match job.address.bare() {
            Address::Unix(_) => label.strip_prefix("unix:").unwrap_or(&label).to_owned(),
            Address::Tcp(_) | Address::Name(..) | Address::Inside(..) => {
                bare(label.strip_prefix("http://").unwrap_or(&label)).to_owned()
            }
        },
    }
}

/// Without the slash that every request ends with at least.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

/// `!` failed, `.` fine, `-` not tried.
fn sign(outcome: &Outcome) -> char {
    match outcome {
        Outcome::Status(500..) => '!',
        outcome => match outcome.serves() {
            Some(true) => '.',
            Some(false) => '!',
            None => '-',
        },
    }
}

fn style(ui: &Ui, outcome: &Outcome) -> Style {
    match sign(outcome) {
        '!' => ui.styles.bad,
        '.' => ui.styles.good,
        _ => ui.styles.unknown,
    }
}

fn strip(history: &ProbeHistory, columns: usize) -> String {
    let skip = history.results.len().saturating_sub(columns);
    history.results.iter().skip(skip).map(|result| sign(&result.outcome)).collect()
}

/// `0.3`, `12`, `1340`; `-`: there was none.
fn ms(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 9.95 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
    }
}

/// As whom the probes are made: told only of what was really done so.
fn identity(entries: &[Entry<'_>], user: Option<&str>) -> String {
    let mut wanted: Option<&str> = None;
    let mut real = false;
    for entry in entries {
        if let Some(identity) = &entry.job.identity {
            wanted = wanted.or(Some(&identity.name));
            real |= entry.history.is_some_and(|history| history.last.as_gateway);
        }
    }
    match (wanted, user) {
        (Some(wanted), _) if real => format!(" as {wanted}"),
        (Some(wanted), Some(user)) if user != wanted => format!(" as {user}, not {wanted}"),
        _ => String::new(),
    }
}

/// Columns that the longest result takes, within bounds.
fn result_columns(entries: &[Entry<'_>], roomy: bool) -> usize {
    let longest =
        entries.iter().filter_map(|entry| entry.history).map(|history| width(&clean(&history.last.outcome.to_string()))).max();
    longest.unwrap_or(0).clamp(if roomy { 6 } else { 3 }, if roomy { 24 } else { 12 })
}

fn row(ui: &Ui, entry: &Entry<'_>, results: usize, area: Rect) -> Line<'static> {
    let styles = &ui.styles;
    let columns = usize::from(area.width).saturating_sub(2);
    let roomy = area.width >= ROOMY;
    let last = entry.history.map(|history| &history.last);
    let outcome = last.map_or_else(|| "...".to_owned(), |last| last.outcome.to_string());
    let result = last.map_or(styles.unknown, |last| style(ui, &last.outcome));
    let kinds = if roomy { 6 } else { 5 };
    let strip_columns = if roomy { STRIP } else { (columns / 8).clamp(3, 10) };
    let mut tail = Vec::new();
    if roomy {
        let phases = last.map(|last| last.phases);
        for phase in [
            phases.and_then(|p| p.resolve),
            phases.and_then(|p| p.connect),
            phases.and_then(|p| p.tls),
            phases.and_then(|p| p.first_byte),
        ] {
            tail.push(span(right(&ms(phase), PHASE), styles.quiet));
        }
    }
    tail.push(span(right(&ms(last.map(|last| last.phases.total)), if roomy { PHASE + 1 } else { 5 }), styles.text));
    tail.push(fixed("  ", styles.text));
    let strip = entry.history.map_or_else(String::new, |history| strip(history, strip_columns));
    tail.push(span(fit(&strip, strip_columns), result));
    let used = kinds + 1 + results + tail.iter().map(|piece| width(&piece.content)).sum::<usize>();
    let room = columns.saturating_sub(used);
    let head = [
        span(fit(kind(entry.job), kinds), styles.quiet),
        span(fit(&label(entry.job, roomy), room), styles.text),
        fixed(" ", styles.text),
        span(fit(&outcome, results), result),
    ];
    line(head.into_iter().chain(tail))
}

/// What the files say of where it goes: of several servers behind the gateway, the first.
fn as_configured(state: &State, doc: &mut Doc<'_>, job: &ProbeJob) {
    let Some(catalog) = &state.catalog else { return };
    let upstream = if through_gateway(job) { job.upstreams.first() } else { Some(&job.subject) };
    let values = upstream.map_or_else(Vec::new, |upstream| diagnose::configured(state.shown().0, catalog, upstream));
    let mut of = "";
    for value in &values {
        if of != value.of {
            of = &value.of;
            doc.heading(&format!("As configured: {}", clean(of)));
        }
        doc.item("", Style::new(), &format!("{}: {}", value.what, clean(&value.shown())), "");
    }
}

/// Those of them that pass the filters.
fn entries(state: &State) -> Vec<Entry<'_>> {
    let lets = super::passing(state, &Probes);
    all(state).into_iter().filter(|entry| lets(&key(entry.job))).collect()
}

impl Pane for Probes {
    fn id(&self) -> &'static str {
        "probes"
    }

    fn slot(&self) -> Slot {
        Slot::Try
    }

    fn title(&self, state: &State) -> String {
        let run = state.shown().0.run.as_ref();
        if run.is_some_and(|run| !run.probing) {
            return "PROBES off".to_owned();
        }
        format!("PROBES{}", identity(&all(state), run.map(|run| run.user.as_str())))
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        entries(state).iter().map(|entry| Cow::Owned(key(entry.job))).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        if area.height == 0 {
            return;
        }
        let entries = entries(state);
        if entries.is_empty() {
            let probing = state.shown().0.run.as_ref().is_none_or(|run| run.probing);
            let text = if probing { "nothing to try yet" } else { "switched off: nothing is tried" };
            buf.set_line(area.x, area.y, &line([span(format!("  {text}"), ui.styles.quiet)]), area.width);
            return;
        }
        let results = result_columns(&entries, area.width >= ROOMY);
        let mut area = area;
        if area.width >= ROOMY && usize::from(area.height) > entries.len() {
            let columns = usize::from(area.width).saturating_sub(2);
            let phases: String = ["dns", "tcp", "tls", "first"].iter().map(|name| right(name, PHASE)).collect();
            let tail = format!(" {}{phases}{}  {}", fit("result", results), right("ms", PHASE + 1), fit("last", STRIP));
            let head = format!("{}{tail}", fit("probe", columns.saturating_sub(width(&tail))));
            buf.set_line(area.x + 1, area.y, &line([span(head, ui.styles.quiet)]), area.width.saturating_sub(1));
            area = Rect { y: area.y + 1, height: area.height - 1, ..area };
        }
        let keys: Vec<String> = entries.iter().map(|entry| key(entry.job)).collect();
        let selected = super::selected(state, self, &keys);
        List { items: &entries, selected, focused }.draw(ui, area, buf, |_| 1, |entry| vec![row(ui, entry, results, area)]);
    }

    fn explain(&self, state: &State, ui: &Ui, wanted: &str) -> Option<Vec<Line<'static>>> {
        let entries = all(state);
        let entry = entries.iter().find(|entry| key(entry.job) == wanted)?;
        let job = entry.job;
        let mut doc = Doc::new(ui);
        doc.heading(&format!("{}: {}", job.probe, label(job, true)));
        if let Some(request) = &job.request {
            doc.field("request", &format!("{} {}  Host: {}", request.method, request.target(), request.host));
            for (name, value) in &request.params {
                doc.field("param", &format!("{name} = {value}"));
            }
        }
        doc.field("to", &format!("{} over {}", job.address, job.protocol.scheme()));
        if let Some(sni) = &job.sni {
            doc.field("server name", sni);
        }
        let us = state.shown().0.run.as_ref().map_or("ourselves", |run| run.user.as_str());
        let as_gateway = entry.history.is_some_and(|history| history.last.as_gateway);
        match &job.identity {
            Some(identity) if as_gateway => {
                doc.field("as", &format!("{} (uid {}, gid {}): the gateway's own user", identity.name, identity.uid, identity.gid));
            }
            Some(identity) if us == identity.name => doc.field("as", us),
            Some(identity) => doc.field_styled("as", &format!("{us}, not {}: rights may differ", identity.name), ui.styles.unknown),
            None => doc.field("as", us),
        }
        doc.field("limits", &format!("connect {} ms, all {} ms", job.connect_ms, job.total_ms));
        if let Some(command) = diagnose::by_hand(job, &state.shown().0.gateways) {
            doc.one(&Advice { text: "The same by hand:".to_owned(), command: Some(command) });
        }
        let Some(history) = entry.history else {
            doc.heading("No result yet");
            as_configured(state, &mut doc, job);
            return Some(doc.lines());
        };
        let last = &history.last;
        doc.heading("Last result");
        doc.field_styled("result", &last.outcome.to_string(), style(ui, &last.outcome));
        if let Outcome::Skipped(why) = &last.outcome {
            doc.field("because", why);
        }
        if !last.detail.is_empty() {
            doc.field("detail", &last.detail);
        }
        if let Some(emitter) = &last.emitter {
            doc.field("answered by", emitter);
        }
        if let Some(bytes) = last.head_bytes {
            let limit = job.header_limit.map_or_else(String::new, |limit| format!(" of {limit} that the gateway takes"));
            doc.field("header", &format!("{bytes} bytes{limit}"));
        }
        let phases = &last.phases;
        doc.field(
            "ms",
            &format!(
                "dns {}  connect {}  tls {}  first byte {}  total {}",
                ms(phases.resolve),
                ms(phases.connect),
                ms(phases.tls),
                ms(phases.first_byte),
                ms(Some(phases.total))
            ),
        );
        if let Some(view) = &last.view {
            doc.heading("What it saw");
            view.lines().iter().for_each(|seen| doc.text(&crate::model::text::printable(seen)));
        }
        as_configured(state, &mut doc, job);
        let failed = history.results.iter().filter(|result| sign(&result.outcome) == '!').count();
        doc.heading(&format!("{failed} of the last {} failed, {} tries in all", history.results.len(), history.tries));
        for result in history.results.iter().rev() {
            let text = format!("{}  {}  {} ms", ui.moment(state, result.at.wall_s()), result.outcome, ms(Some(result.ms)));
            doc.item(&sign(&result.outcome).to_string(), style(ui, &result.outcome), &text, "");
        }
        Some(doc.lines())
    }

    fn edit(&self, state: &State, wanted: &str) -> Option<(PathBuf, u32)> {
        let entries = all(state);
        let entry = entries.iter().find(|entry| key(entry.job) == wanted)?;
        edit_at::of_probe(state.shown().0, entry.job)
    }

    fn copy(&self, state: &State, wanted: &str) -> Option<(String, &'static str)> {
        let entries = all(state);
        let entry = entries.iter().find(|entry| key(entry.job) == wanted)?;
        Some((diagnose::by_hand(entry.job, &state.shown().0.gateways)?.to_string(), "the command that does this probe by hand"))
    }
}
