//! The three lines on top: where and since when; the verdict; the path of the request.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
};

use super::{
    Ui, pane,
    text::{cut, fixed, line, span, width},
};
use crate::{
    app::{Recording, State},
    diagnose::Scene,
    model::{Gateway, Hop, HopState, Stage, Verdict, text as figures},
};

/// Columns from which on there is room for our own cost and for advice.
const WIDE: u16 = 120;
/// Listening ports that are named.
const PORTS: usize = 3;

/// Draws as many of the three lines as fit; on a single line the verdict.
pub fn draw(state: &State, ui: &Ui, area: Rect, buf: &mut Buffer) {
    let columns = usize::from(area.width);
    let mut put = |row: u16, line: &Line<'static>| {
        if row < area.height {
            buf.set_line(area.x, area.y + row, line, area.width);
        }
    };
    match area.height {
        0 => {}
        1 => put(0, &verdict(state, ui, columns)),
        2 => {
            put(0, &verdict(state, ui, columns));
            put(1, &path(state, ui, columns));
        }
        _ => {
            put(0, &place(state, ui, columns));
            put(1, &verdict(state, ui, columns));
            put(2, &path(state, ui, columns));
        }
    }
}

/// The gateway that the screen is about: the first that runs, else the first.
pub fn gateway(scene: &Scene) -> Option<&Gateway> {
    scene.gateways.iter().find(|gateway| gateway.running()).or_else(|| scene.gateways.first())
}

/// Parts of the first pass that are not complete.
pub fn pending(scene: &Scene) -> Vec<&'static str> {
    if before_us(scene) {
        return Vec::new();
    }
    let probing = scene.run.as_ref().is_none_or(|run| run.probing);
    let probed = scene.done.iter().any(|stage| matches!(stage, Stage::Probes { .. }));
    let done = |stage| scene.done.contains(&stage);
    [
        (done(Stage::Gateways), "gateways"),
        (done(Stage::Listeners), "listeners"),
        (done(Stage::Logs), "logs"),
        (done(Stage::Load), "load"),
        (probed || !probing, "probes"),
    ]
    .into_iter()
    .filter_map(|(done, name)| (!done).then_some(name))
    .collect()
}

/// Whether a time is looked at before this program ran: nothing was looked at then, and nothing will be.
pub fn before_us(scene: &Scene) -> bool {
    scene.run.is_some() && scene.began.is_none()
}

/// Lines and observations that were dropped.
pub fn dropped(scene: &Scene) -> u64 {
    scene.dropped.values().fold(0, |sum, count| sum.saturating_add(*count))
}

/// Joins what fits, most important first, in the order in which it is shown. `parts`: (rank, piece).
fn pack(mut parts: Vec<(u8, Span<'static>)>, columns: usize) -> Vec<Span<'static>> {
    let needs = |parts: &[(u8, Span<'static>)]| parts.iter().map(|(_, piece)| width(&piece.content) + 2).sum::<usize>();
    while parts.len() > 1 && needs(&parts) > columns {
        let least = parts.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
        parts.retain(|(rank, _)| *rank != least);
    }
    let mut out = Vec::new();
    for (_, piece) in parts {
        if !out.is_empty() {
            out.push(fixed("  ", piece.style.remove_modifier(ratatui::style::Modifier::all())));
        }
        out.push(piece);
    }
    out
}

/// `left` and, at the right edge, `end`, when both fit; `left` is cut for `end`.
fn ends(left: Vec<Span<'static>>, end: Span<'static>, columns: usize) -> Line<'static> {
    let used: usize = left.iter().map(|piece| width(&piece.content)).sum();
    let gap = columns.saturating_sub(used + width(&end.content));
    line(left.into_iter().chain([span(" ".repeat(gap), ratatui::style::Style::new()), end]))
}

/// Line 1: where, since when, what time it is, what it costs.
fn place(state: &State, ui: &Ui, columns: usize) -> Line<'static> {
    let (scene, assessment) = state.shown();
    let styles = &ui.styles;
    let wide = columns >= usize::from(WIDE);
    let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
    let mut parts = vec![(0, span(format!("why502 {host}").trim_end(), styles.strong))];
    if let Some(gateway) = gateway(scene) {
        parts.push((3, span(gateway.title(), styles.text)));
        let mut ports: Vec<String> = gateway
            .sites
            .iter()
            .flat_map(|site| &site.listens)
            .map(|listen| listen.address.port().map_or_else(|| listen.address.to_string(), |port| format!(":{port}")))
            .collect();
        ports.sort();
        ports.dedup();
        if !ports.is_empty() {
            let more = if ports.len() > PORTS { ".." } else { "" };
            ports.truncate(PORTS);
            parts.push((5, span(format!("{}{more}", ports.join(" ")), styles.text)));
        }
    }
    if let Some(url) = assessment.url.as_deref().or(scene.run.as_ref().and_then(|run| run.url.as_deref())) {
        let short = if wide { url } else { url.split_once("://").map_or(url, |(_, rest)| rest) };
        parts.push((2, span(short, styles.text)));
    }
    let symptom = &assessment.symptom;
    if !symptom.words.is_empty() {
        let since = symptom.since.map_or_else(String::new, |since| {
            let lasts = figures::duration((state.shown_now().wall_s() - since).max(0));
            if wide { format!(" since {} ({lasts})", symptom.since_words(&ui.clock(state, since))) } else { format!(" {lasts}") }
        });
        parts.push((1, span(format!("{}{since}", symptom.words), styles.verdict(assessment.verdict))));
    }
    if !assessment.blind.is_empty() {
        parts.push((4, span(format!("{} not seen", assessment.blind.len()), styles.unknown)));
    }
    if pane::not_reloaded(state) {
        parts.push((2, span(format!("NOT RELOADED ({})", ui.keys.named("watch-config")), styles.warn)));
    }
    if state.paused {
        parts.push((1, span(format!("probing stopped ({})", ui.keys.named("probing")), styles.warn)));
    }
    if dropped(scene) > 0 {
        parts.push((4, span(format!("{} dropped", figures::thousands(dropped(scene))), styles.warn)));
    }
    if matches!(state.recording, Recording::Kept(_)) {
        parts.push((6, fixed("REC", styles.quiet)));
    }
    if wide && let Some(load) = scene.load() {
        let cpu = load.self_cpu.map_or_else(|| "?".to_owned(), |cpu| format!("{cpu:.1}%"));
        let rss = load.self_rss.map_or_else(|| "?".to_owned(), figures::bytes);
        parts.push((6, span(format!("self {cpu} {rss}"), styles.quiet)));
    }
    let clock = if let Some(past) = state.view.past {
        let ago = figures::duration((state.now.wall_s() - past).max(0));
        span(format!("PAST {} (-{ago}, {}: now)", ui.clock(state, past), ui.keys.named("now")), styles.warn)
    } else if state.view.frozen.is_some() {
        span(format!("FROZEN at {}", ui.clock(state, scene.now.wall_s())), styles.warn)
    } else if state.now.wall_ms == 0 {
        // Before the first message there is no time.
        fixed("--:--:--Z", styles.quiet)
    } else {
        span(ui.clock(state, state.now.wall_s()), styles.text)
    };
    let room = columns.saturating_sub(width(&clock.content) + 1);
    ends(pack(parts, room + 1), clock, columns)
}

/// Line 2: the verdict with what it stands on.
fn verdict(state: &State, ui: &Ui, columns: usize) -> Line<'static> {
    let (scene, assessment) = state.shown();
    let styles = &ui.styles;
    let open = pending(scene);
    let word = match assessment.verdict {
        Verdict::Ok if assessment.recovery.as_ref().is_some_and(|recovery| !recovery.clear()) => "RECOVERING",
        Verdict::Ok => "OK",
        Verdict::Warning => "WARNING",
        Verdict::Critical => "CRITICAL",
        Verdict::Unknown if open.is_empty() && state.catalog.is_some() => "UNKNOWN",
        Verdict::Unknown => "LOOKING",
    };
    let style = styles.verdict(assessment.verdict).add_modifier(ratatui::style::Modifier::BOLD);
    let mut left = vec![fixed(word, style), fixed("  ", styles.text)];
    let recovered = assessment.verdict == Verdict::Ok && assessment.recovery.is_some();
    let Some(cause) = assessment.causes.first().filter(|_| !recovered) else {
        let mut said = assessment.headline.clone();
        if assessment.verdict == Verdict::Unknown && !open.is_empty() {
            said = format!("{}{}not yet looked at: {}", said, if said.is_empty() { "" } else { "; " }, open.join(", "));
        } else if said.is_empty() && state.catalog.is_none() {
            "the signatures are still being compiled".clone_into(&mut said);
        }
        left.push(span(said, styles.text));
        return line(left);
    };
    // What was asked about is well, and the rest of the screen is about another page.
    if assessment.served.is_some() {
        left.push(fixed("the asked URL is served; ", styles.text));
    }
    // So are the hops of the line below.
    if let Some((request, _)) = &assessment.unasked {
        left.push(span(format!("{request} fails, not what we ask for; "), styles.text));
    }
    left.push(span(cause.confidence.word(), styles.confidence(cause.confidence)));
    left.push(span(format!(" {}", cause.id), styles.strong));
    if !cause.summary.contains(&cause.subject.0) {
        left.push(span(format!(" {}", cause.subject), styles.text));
    }
    let count = span(format!("  for {} against {}", cause.evidence_for.len(), cause.against.len()), styles.quiet);
    let used: usize = left.iter().map(|piece| width(&piece.content)).sum();
    let room = columns.saturating_sub(used + 2);
    // The sentence matters more than the counts.
    let with_count = room >= width(&count.content) + 30;
    let room = room.saturating_sub(if with_count { width(&count.content) } else { 0 });
    left.push(fixed(": ", styles.text));
    let summary = cut(&cause.summary, room);
    let advice = cause.mitigate.first().or_else(|| cause.fix.first());
    let rest = room.saturating_sub(width(&summary));
    left.push(span(summary, styles.text));
    if columns >= usize::from(WIDE)
        && let Some(advice) = advice
        && rest > 30
    {
        left.push(span(cut(&format!("  DO {advice}"), rest), styles.command));
    }
    if with_count { ends(left, count, columns) } else { line(left) }
}

/// `gateway 502`, `connect REFUSED!`.
fn hop_words(hop: &Hop, first_broken: bool) -> String {
    let outcome = hop.outcome.strip_prefix("status ").unwrap_or(&hop.outcome);
    let outcome = if outcome.is_empty() { "?" } else { outcome };
    format!("{} {outcome}{}", hop.name, if first_broken { "!" } else { "" })
}

/// Hops that can be left out without a loss: those that do not exist on this path, and those behind the first broken one that
/// nothing is known of.
fn idle(hop: &Hop) -> bool {
    hop.state == HopState::Unknown && matches!(hop.outcome.as_str(), "n/a" | "--")
}

/// Line 3: hop by hop. The first broken hop carries a `!`, and always has its place: without room for all, hops that say nothing
/// go first, then those before it.
fn path(state: &State, ui: &Ui, columns: usize) -> Line<'static> {
    const JOINT: &str = " > ";
    let (_, assessment) = state.shown();
    let styles = &ui.styles;
    if assessment.hops.is_empty() {
        return line([fixed("path  client ? > edge ? > gateway ? > dns ? > tcp ? > http ? > app ?", styles.unknown)]);
    }
    let symptom = &assessment.symptom;
    let failing = symptom.share.is_some_and(|share| share > 0.0);
    let share = symptom
        .share_words()
        .map_or_else(String::new, |share| if failing { format!("  {share}") } else { format!("  0% of {} fail", symptom.tried) });
    let room = columns.saturating_sub(width(&share));
    let broken = assessment.hops.iter().position(|hop| hop.state == HopState::Broken);
    let mut hops: Vec<(usize, String, &Hop)> = assessment
        .hops
        .iter()
        .enumerate()
        .map(|(index, hop)| (index, cut(&hop_words(hop, Some(index) == broken), columns).into_owned(), hop))
        .collect();
    let needs = |hops: &[(usize, String, &Hop)]| {
        (hops.len().saturating_sub(1)) * JOINT.len() + hops.iter().map(|(_, word, _)| width(word)).sum::<usize>()
    };
    while needs(&hops) > room
        && let Some(at) = hops.iter().position(|(index, _, hop)| *index > 0 && idle(hop))
    {
        hops.remove(at);
    }
    let mut out = Vec::new();
    // What stands before the broken hop; the mark takes two columns and its joint.
    while needs(&hops) > room.saturating_sub(2 + JOINT.len())
        && needs(&hops) > room
        && hops.first().is_some_and(|(index, ..)| broken.is_some_and(|at| *index < at))
    {
        hops.remove(0);
    }
    if hops.first().is_some_and(|(index, ..)| *index > 0) {
        out.push(fixed("..", styles.quiet));
    }
    for (_, words, hop) in &hops {
        if !out.is_empty() {
            out.push(span(JOINT, styles.quiet));
        }
        out.push(span(words, styles.hop(hop.state)));
    }
    let used: usize = out.iter().map(|piece| width(&piece.content)).sum();
    let free = room.saturating_sub(used);
    if let Some(hop) = broken.and_then(|index| assessment.hops.get(index)) {
        let told = format!("  broken at {} {}", hop.name, hop.target);
        if free >= width(told.trim_end()).min(34) {
            out.push(span(cut(told.trim_end(), free), styles.bad));
        }
    }
    let used: usize = out.iter().map(|piece| width(&piece.content)).sum();
    if used + width(&share) > columns {
        return line(out);
    }
    ends(out, span(share, if failing { styles.verdict(assessment.verdict) } else { styles.good }), columns)
}
