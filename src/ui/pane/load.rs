//! The load: how the host is, and what this program costs it. What is not known is `?`, never 0.

use ratatui::{buffer::Buffer, layout::Rect, text::Line};

use super::Pane;
use crate::{
    app::State,
    diagnose::Scene,
    model::{Gateway, HostLoad, ListenerTable, Pressure, Queue, text as figures},
    ui::{
        Slot, Ui,
        doc::Doc,
        list::List,
        text::{bar, cut, fit, line, right, span, width},
    },
};

/// A share in percent from which on it is marked.
const HIGH: f64 = 90.0;
/// Share of time in percent that tasks waited, from which on pressure is marked: half of it lost.
const PRESSED: f32 = 50.0;
/// From here on a share has a bar.
const ROOMY: u16 = 50;
/// Columns of a bar.
const BAR: usize = 10;

/// The pane.
pub struct Load;

/// One gauge.
struct Gauge {
    key: String,
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
    format!("{}/{}", figures::thousands(used), figures::thousands(limit))
}

fn pressure(value: Option<Pressure>) -> String {
    value.map_or_else(|| "?".to_owned(), |pressure| format!("{:.1}", pressure.some))
}

fn high(share: Option<f64>) -> bool {
    share.is_some_and(|share| share >= HIGH)
}

/// The fullest accept queue, with its socket; of equals that of an upstream, because that is where requests wait.
fn fullest(scene: &Scene) -> Option<(Queue, String)> {
    let servers = || scene.gateways.iter().flat_map(Gateway::routes).flat_map(|(_, route)| &route.servers);
    let queues = scene.listeners.as_ref()?.listeners.iter().filter_map(|listener| {
        let upstream = servers().any(|server| server.address == listener.address);
        Some((listener.queue?, upstream, listener.address.to_string()))
    });
    let fullness = |queue: &Queue| u64::from(queue.waiting) * 1000 / u64::from(queue.limit.max(1));
    queues.max_by_key(|(queue, upstream, _)| (fullness(queue), *upstream, queue.limit)).map(|(queue, _, at)| (queue, at))
}

fn used(total: Option<u64>, free: Option<u64>) -> Option<f64> {
    share_of(total.zip(free).map(|(total, free)| (total.saturating_sub(free), total)))
}

fn gauges(state: &State) -> Vec<Gauge> {
    let scene = state.shown().0;
    let nothing = HostLoad::default();
    let load = scene.load().unwrap_or(&nothing);
    let number = |value: Option<u32>| value.map_or_else(|| "?".to_owned(), |value| value.to_string());
    let gauge = |name: &'static str, share, text, high, known| Gauge { key: name.to_owned(), name, share, text, high, known };
    let average = load.load.map_or_else(|| "?".to_owned(), |[one, ..]| format!("{one:.2}"));
    let cpu = load.cpu.map(f64::from);
    let mut out = vec![gauge(
        "cpu",
        cpu,
        format!("{}  load {average}  run {}  steal {}", percent(cpu), number(load.runnable), percent(load.steal.map(f64::from))),
        high(cpu),
        cpu.is_some(),
    )];
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
    disks.sort_by(|a, b| b.1.max(b.2.unwrap_or(0.0)).total_cmp(&a.1.max(a.2.unwrap_or(0.0))).then_with(|| a.0.cmp(&b.0)));
    for (mount, space, inodes) in disks {
        let (space, inodes) = (Some(f64::from(*space)), inodes.map(f64::from));
        out.push(Gauge {
            key: format!("disk\u{1f}{mount}"),
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
    let tracked = share_of(load.conntrack);
    let told =
        load.conntrack.map_or_else(|| "? (off, or not readable)".to_owned(), |pair| format!("{}  {}", percent(tracked), of(pair)));
    out.push(gauge("ctrack", tracked, told, high(tracked), tracked.is_some()));
    let cost = load.self_cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.1}%"));
    let memory = load.self_rss.map_or_else(|| "?".to_owned(), figures::bytes);
    out.push(gauge(
        "self",
        None,
        format!("cpu {cost}  memory {memory}  (why502 itself)"),
        false,
        load.self_cpu.is_some() || load.self_rss.is_some(),
    ));
    out
}

/// What a gauge means, and when it is marked.
fn meaning(name: &str) -> &'static str {
    match name {
        "cpu" => {
            "Busy share of all processors since the last sample, the load average of one minute, runnable tasks, and what the hypervisor took. Marked from 90 %."
        }
        "mem" => {
            "Memory that new work cannot have without swapping, of all memory; tasks killed for want of memory since boot. Marked from 90 %."
        }
        "psi" => {
            "Pressure stall information: the share of the last 10 s in which some task waited for the resource. High pressure with an idle CPU means waiting, not working. Marked from 50 %."
        }
        "disk" => {
            "Used space and used inodes of a file system that gateway or logs live on. Either of them full makes writing fail. Marked from 90 %."
        }
        "accq" => {
            "The fullest accept queue of all listening sockets: connections that wait to be accepted, of how many may wait. When it is full, new connections are dropped, which overflows counts since boot."
        }
        "files" => "Open files of the whole system, of the kernel's limit. Marked from 90 %.",
        "ctrack" => {
            "Entries of the kernel's connection tracking table, of its limit. When it is full, packets of new connections are dropped. Marked from 90 %."
        }
        _ => "What this program costs the host.",
    }
}

impl Pane for Load {
    fn id(&self) -> &'static str {
        "load"
    }

    fn slot(&self) -> Slot {
        Slot::Host
    }

    fn title(&self, state: &State) -> String {
        let gauges = gauges(state);
        let cores = state.shown().0.load().and_then(|load| load.cores).map_or_else(String::new, |cores| format!(" {cores} cores"));
        let high = gauges.iter().filter(|gauge| gauge.high).count();
        let high = if high == 0 { String::new() } else { format!("  {high} high") };
        let load = state.shown().0.load();
        let own = load.and_then(|load| Some(format!("  self {:.1}% {}", load.self_cpu?, figures::bytes(load.self_rss?))));
        format!("LOAD{cores}{high}{}", own.unwrap_or_default())
    }

    fn rows(&self, state: &State) -> Vec<String> {
        gauges(state).into_iter().map(|gauge| gauge.key).collect()
    }

    fn draw(&self, state: &State, ui: &Ui, focused: bool, area: Rect, buf: &mut Buffer) {
        let gauges = gauges(state);
        let keys: Vec<String> = gauges.iter().map(|gauge| gauge.key.clone()).collect();
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
        let gauge = gauges(state).into_iter().find(|gauge| gauge.key == key)?;
        let mut doc = Doc::new(ui);
        doc.heading(&format!("{}  {}", gauge.name, gauge.text));
        doc.text(meaning(gauge.name));
        if !gauge.known {
            doc.item("?", ui.styles.unknown, "not known on this host, or not yet", "");
        }
        let series = |value: &dyn Fn(&HostLoad) -> Option<f64>| -> Vec<String> {
            scene
                .loads
                .iter()
                .rev()
                .map(|(at, load)| {
                    let value = value(load);
                    format!(
                        "{}  {}  {}",
                        ui.moment(state, at.wall_s()),
                        right(&percent(value), 4),
                        value.map_or_else(String::new, |share| bar(share, 32))
                    )
                })
                .collect()
        };
        let (heading, rows) = match gauge.name {
            "cpu" => ("Busy share, latest first", series(&|load| load.cpu.map(f64::from))),
            "mem" => ("Memory in use, latest first", series(&|load| used(load.mem_total, load.mem_available))),
            "psi" => ("Memory pressure, latest first", series(&|load| load.psi_mem.map(|pressure| f64::from(pressure.some)))),
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
        let gauge = gauges(state).into_iter().find(|gauge| gauge.key == key)?;
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
