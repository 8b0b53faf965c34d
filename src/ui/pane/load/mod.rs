//! The load: how the host is, how the gateway and the applications behind it are, and what this program costs. What is not known is
//! `?`, never 0. What is marked stands first: on a small screen it is all that is seen.

mod meaning;
mod service;

use std::borrow::Cow;

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::Pane;
use crate::{
    app::State,
    diagnose::Scene,
    model::{Address, Gateway, HostLoad, ListenerTable, Order as _, Pressure, Queue, text as figures},
    ui::{
        Slot, Ui,
        doc::Doc,
        list::List,
        spark::spark,
        text::{bar, cut, fit, line, right, span, width},
    },
};
use meaning::{concluded, meaning};

/// A share in percent from which on it is marked.
const HIGH: f64 = 90.0;
/// Share of time in percent that tasks waited, from which on pressure is marked: half of it lost.
const PRESSED: f32 = 50.0;
/// From here on a share has a bar.
const ROOMY: u16 = 50;
/// Columns of a bar.
const BAR: usize = 10;
/// Samples of a history that stand in one line.
const HISTORY: usize = 60;
/// Milliseconds between two samples, at most, where the host has something to spare.
const UNPRESSED_MS: u64 = 4_000;
/// Milliseconds over which our own probes are counted.
const PROBES_MS: u64 = 10_000;
/// Retransmitted segments in percent from which on they are marked: a healthy network has below one.
const RETRANSMITTED: f32 = 5.0;

/// The pane.
pub struct Load;

/// One gauge.
struct Gauge {
    key: Cow<'static, str>,
    name: &'static str,
    /// In percent, where it is a share of something.
    share: Option<f64>,
    /// What it shows.
    text: String,
    /// Whether it is high enough to be a fault.
    high: bool,
    /// Whether anything about it is known.
    known: bool,
}

fn percent(value: Option<f64>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| format!("{value:.0}%"))
}

fn share_of(pair: Option<(u64, u64)>) -> Option<f64> {
    pair.filter(|(_, limit)| *limit > 0).map(|(used, limit)| used as f64 / limit as f64 * 100.0)
}

fn of((used, limit): (u64, u64)) -> String {
    // The kernel's largest number is no limit (fs.file-max of a 64-bit host).
    if limit >= u64::MAX / 4 {
        return format!("{}, no limit", figures::thousands(used));
    }
    format!("{}/{}", figures::thousands(used), figures::thousands(limit))
}

fn pressure(value: Option<Pressure>) -> String {
    value.map_or_else(|| "?".to_owned(), |pressure| format!("{:.1}", pressure.some))
}

fn high(share: Option<f64>) -> bool {
    share.is_some_and(|share| share >= HIGH)
}

/// The fullest accept queue, with its socket; of equals that of an upstream, because that is where requests wait, and before any of another
/// network namespace one of this.
fn fullest(scene: &Scene) -> Option<(Queue, String)> {
    let servers = || scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
    let queues = scene.listeners.as_ref()?.listeners.iter().filter_map(|listener| {
        let upstream = servers().any(|server| server.address == listener.address);
        let here = !matches!(listener.address, Address::Inside(..));
        Some((listener.queue?, (upstream, here), listener.address.to_string()))
    });
    let fullness = |queue: &Queue| u64::from(queue.waiting) * 1000 / u64::from(queue.limit.max(1));
    queues.max_by_key(|(queue, place, _)| (fullness(queue), *place, queue.limit)).map(|(queue, _, at)| (queue, at))
}

fn used(total: Option<u64>, free: Option<u64>) -> Option<f64> {
    share_of(total.zip(free).map(|(total, free)| (total.saturating_sub(free), total)))
}

fn all(state: &State) -> Vec<Gauge> {
    let scene = state.shown().0;
    let nothing = HostLoad::default();
    let load = scene.load().unwrap_or(&nothing);
    let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let gauge = |name: &'static str, share, text, high, known| Gauge { key: Cow::Borrowed(name), name, share, text, high, known };
    let average = load.load.map_or_else(|| "?".to_owned(), |[one, ..]| format!("{one:.2}"));
    let cpu = load.cpu.map(f64::from);
    let mut out: Vec<Gauge> = scene.services().iter().map(|service| service::gauge(scene, service)).collect();
    out.push(gauge(
        "cpu",
        cpu,
        format!("{}  load {average}  run {}  steal {}", percent(cpu), number(load.runnable), percent(load.steal.map(f64::from))),
        high(cpu),
        cpu.is_some(),
    ));
    let memory = used(load.mem_total, load.mem_available);
    let swap = match load.swap_total {
        Some(0) => "none".to_owned(),
        total => percent(share_of(load.swap_used.zip(total))),
    };
    let size = load.mem_total.map_or_else(String::new, |total| format!(" of {}", figures::bytes(total)));
    let kills = load.oom_kills.map_or_else(|| "?".to_owned(), figures::thousands);
    out.push(gauge("mem", memory, format!("{}{size}  swap {swap}  oom {kills}", percent(memory)), high(memory), memory.is_some()));
    let psi = [load.psi_cpu, load.psi_mem, load.psi_io];
    let pressed = psi.iter().flatten().any(|pressure| pressure.some >= PRESSED);
    let told = format!("waiting % cpu {}  mem {}  io {}", pressure(psi[0]), pressure(psi[1]), pressure(psi[2]));
    out.push(gauge("psi", None, told, pressed, psi.iter().any(Option::is_some)));
    if load.disks.is_empty() {
        out.push(gauge("disk", None, "?".to_owned(), false, false));
    }
    let mut disks: Vec<_> = load.disks.iter().collect();
    // The fullest first: on a small screen it is the only one that is seen.
    disks.order_by(|a, b| b.1.max(b.2.unwrap_or(0.0)).total_cmp(&a.1.max(a.2.unwrap_or(0.0))).then_with(|| a.0.cmp(&b.0)));
    for (mount, space, inodes) in disks {
        let (space, inodes) = (Some(f64::from(*space)), inodes.map(f64::from));
        out.push(Gauge {
            key: Cow::Owned(format!("disk\u{1f}{mount}")),
            name: "disk",
            share: space,
            text: format!("{}  inodes {}  {mount}", percent(space), percent(inodes)),
            high: high(space) || high(inodes),
            known: true,
        });
    }
    let queue = fullest(scene);
    let overflows = scene.listeners.as_ref().and_then(|table| table.overflows).map_or_else(|| "?".to_owned(), figures::thousands);
    let told = queue.as_ref().map_or_else(|| "?".to_owned(), |(queue, at)| format!("{}/{} {at}", queue.waiting, queue.limit));
    out.push(gauge(
        "accq",
        None,
        format!("{told}  overflows {overflows}"),
        queue.as_ref().is_some_and(|(queue, _)| queue.full()),
        queue.is_some(),
    ));
    let files = share_of(load.files);
    out.push(gauge(
        "files",
        files,
        load.files.map_or_else(|| "?".to_owned(), |pair| format!("{}  {}", percent(files), of(pair))),
        high(files),
        files.is_some(),
    ));
    let tasks = share_of(load.tasks);
    let blocked = load.blocked.map_or_else(|| "?".to_owned(), |count| count.to_string());
    let told = load.tasks.map_or_else(|| "?".to_owned(), |pair| format!("{}  {}", percent(tasks), of(pair)));
    out.push(gauge("tasks", tasks, format!("{told}  in disk wait {blocked}"), high(tasks), tasks.is_some()));
    let lost =
        |value: Option<f32>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.1}").trim_end_matches(".0").to_owned());
    let net = load.net;
    let sockets = share_of(load.tcp_mem);
    let told = format!(
        "resent {}%  drop {}/s  err {}/s  tcpmem {}",
        lost(net.and_then(|net| net.retransmitted)),
        lost(net.map(|net| net.dropped)),
        lost(net.map(|net| net.errors)),
        percent(sockets),
    );
    let marked = high(sockets) || net.and_then(|net| net.retransmitted).is_some_and(|share| share >= RETRANSMITTED);
    out.push(gauge("net", None, told, marked, net.is_some() || sockets.is_some()));
    let tracked = share_of(load.conntrack);
    let told =
        load.conntrack.map_or_else(|| "? (off, or not readable)".to_owned(), |pair| format!("{}  {}", percent(tracked), of(pair)));
    out.push(gauge("ctrack", tracked, told, high(tracked), tracked.is_some()));
    let cost = load.self_cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.1}%"));
    let memory = load.self_rss.map_or_else(|| "?".to_owned(), figures::bytes);
    let woken = load.self_wakeups.map_or_else(|| "?".to_owned(), |count| format!("{count:.0}"));
    let bytes = state.terminal_bytes.map_or_else(String::new, |bytes| format!("  tty {}/s", figures::bytes(bytes)));
    let slower = load.pace_ms.filter(|ms| *ms > UNPRESSED_MS).map_or("", |_| "  slowed down");
    let told = format!("cpu {cost}  {memory}  wakes {woken}/s  probes {:.1}/s{bytes}{slower}", probes_a_second(scene));
    out.push(gauge("self", None, told, false, load.self_cpu.is_some() || load.self_rss.is_some()));
    // Stable: among what is marked and what is not the order stays.
    out.order_by_key(|gauge| !gauge.high);
    out
}

/// Results that came in the last seconds.
fn probes_a_second(scene: &Scene) -> f64 {
    let from = scene.now.run_ms.saturating_sub(PROBES_MS);
    let recent = scene.probes.iter().flat_map(|history| &history.results).filter(|result| result.at.run_ms > from);
    let over = scene.now.run_ms.clamp(1_000, PROBES_MS);
    recent.count() as f64 * 1000.0 / over as f64
}

/// Those of them that pass the filters.
fn gauges(state: &State) -> Vec<Gauge> {
    let lets = super::passing(state, &Load);
    all(state).into_iter().filter(|gauge| lets(&gauge.key)).collect()
}

impl Pane for Load {
    fn id(&self) -> &'static str {
        "load"
    }

    fn slot(&self) -> Slot {
        Slot::Host
    }

    fn title(&self, state: &State) -> String {
        let gauges = all(state);
        let cores = state.shown().0.load().and_then(|load| load.cores).map_or_else(String::new, |cores| format!(" {cores} cores"));
        let high = gauges.iter().filter(|gauge| gauge.high).count();
        let high = if high == 0 { String::new() } else { format!("  {high} high") };
        let load = state.shown().0.load();
        let own = load.and_then(|load| Some(format!("  self {:.1}% {}", load.self_cpu?, figures::bytes(load.self_rss?))));
        format!("LOAD{cores}{high}{}", own.unwrap_or_default())
    }

    fn rows<'a>(&self, state: &'a State) -> Vec<Cow<'a, str>> {
        gauges(state).into_iter().map(|gauge| gauge.key).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let gauges = gauges(state);
        let keys: Vec<&str> = gauges.iter().map(|gauge| gauge.key.as_ref()).collect();
        let selected = super::selected(state, self, &keys);
        let columns = usize::from(area.width).saturating_sub(2);
        List { items: &gauges, selected, focused }.draw(
            ui,
            area,
            buf,
            |_| 1,
            |gauge| {
                let styles = &ui.styles;
                let style = match (gauge.high, gauge.known) {
                    (true, _) => styles.bad,
                    (false, true) => styles.text,
                    (false, false) => styles.unknown,
                };
                let head = format!("{}{}", if gauge.high { "!" } else { " " }, fit(gauge.name, 7));
                let bar = match gauge.share {
                    Some(share) if area.width >= ROOMY => format!("{} ", bar(share, BAR)),
                    Some(_) | None => String::new(),
                };
                let room = columns.saturating_sub(width(&head) + width(&bar));
                vec![line([
                    span(head, if gauge.high { styles.bad } else { styles.quiet }),
                    span(bar, style),
                    span(cut(&gauge.text, room), style),
                ])]
            },
        );
    }

    fn explain(&self, state: &State, ui: &Ui, key: &str) -> Option<Vec<Line<'static>>> {
        let scene = state.shown().0;
        let gauge = all(state).into_iter().find(|gauge| gauge.key == key)?;
        let mut doc = Doc::new(ui);
        doc.heading(&format!("{}  {}", gauge.name, gauge.text));
        doc.text(meaning(gauge.name));
        if !gauge.known {
            doc.item("?", ui.styles.unknown, "not known on this host, or not yet", "");
        }
        if let Some(service) = service::of(scene.services(), key) {
            service::explain(&mut doc, ui, scene, service, &concluded(state, gauge.name));
            return Some(doc.lines());
        }
        let why = concluded(state, gauge.name);
        if !why.is_empty() {
            doc.heading("What was concluded from it");
            for text in &why {
                doc.text(text);
            }
        }
        let series = |value: &dyn Fn(&HostLoad) -> Option<f64>| -> Vec<String> {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is small and not negative")]
            let counts: Vec<u64> = scene
                .loads
                .iter()
                .rev()
                .take(HISTORY)
                .rev()
                .map(|(_, load)| value(load).map_or(0, |value| value.max(0.0) as u64))
                .collect();
            let history = if counts.len() > 2 { vec![spark(&counts, ui.charset)] } else { Vec::new() };
            let rows = scene.loads.iter().rev().map(|(at, load)| {
                let value = value(load);
                format!(
                    "{}  {}  {}",
                    ui.moment(state, at.wall_s()),
                    right(&percent(value), 4),
                    value.map_or_else(String::new, |share| bar(share, 32))
                )
            });
            history.into_iter().chain(rows).collect()
        };
        let (heading, rows) = match gauge.name {
            "cpu" => ("Busy share, latest first", series(&|load| load.cpu.map(f64::from))),
            "mem" => ("Memory in use, latest first", series(&|load| used(load.mem_total, load.mem_available))),
            "psi" => ("Memory pressure, latest first", series(&|load| load.psi_mem.map(|pressure| f64::from(pressure.some)))),
            "tasks" => ("Tasks, latest first", series(&|load| share_of(load.tasks))),
            "net" => ("Segments sent again, latest first", series(&|load| load.net?.retransmitted.map(f64::from))),
            "files" => ("Open files, latest first", series(&|load| share_of(load.files))),
            "ctrack" => ("Tracked connections, latest first", series(&|load| share_of(load.conntrack))),
            "self" => ("Our own share of one processor, latest first", series(&|load| load.self_cpu.map(f64::from))),
            "accq" => ("Accept queues", queues(scene.listeners.as_ref())),
            _ => ("", Vec::new()),
        };
        if !rows.is_empty() {
            doc.heading(heading);
            for row in &rows {
                doc.text(row);
            }
        }
        Some(doc.lines())
    }

    fn copy(&self, state: &State, key: &str) -> Option<(String, &'static str)> {
        let gauge = all(state).into_iter().find(|gauge| gauge.key == key)?;
        Some((crate::ui::text::clean(&format!("{} {}", gauge.name, gauge.text)), "the gauge"))
    }
}

fn queues(table: Option<&ListenerTable>) -> Vec<String> {
    let Some(table) = table else { return Vec::new() };
    table
        .listeners
        .iter()
        .map(|listener| {
            let queue = listener.queue.map_or_else(|| "?".to_owned(), |queue| format!("{}/{}", queue.waiting, queue.limit));
            let owner = listener
                .owner
                .as_ref()
                .map_or_else(|| "owner not known".to_owned(), |owner| format!("{} {}", owner.name, owner.pid));
            format!("{} {}  {owner}", right(&queue, 10), listener.address)
        })
        .collect()
}
