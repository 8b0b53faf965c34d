//! Everything about a group or a line: what it means, how often and when, which requests, and what stood next to it in time.

use std::collections::{BTreeMap, HashMap};

use ratatui::text::Line;

use super::{
    groups::{RATE, kind, message},
    lens::{Lens, Told, tags},
    lines::words,
    request::{NEAR_S, Request, neighbours, same_request},
};
use crate::{
    app::State,
    diagnose::{LogGroup, OVERFLOW_KEY},
    model::{AccessFormat, FoundLog, LogFormat, LogPlace, Order as _, SourceKind, logline, text as figures},
    ui::{Ui, doc::Doc, spark::spark},
};

/// Lines that are shown of what stood around one.
const AROUND: usize = 12;
/// Requests that are told of a group.
const REQUESTS: usize = 5;

/// What lies ready for any explanation.
struct Desk<'a> {
    state: &'a State,
    ui: &'a Ui,
    lens: Lens<'a>,
    all: Vec<Told<'a>>,
    tags: HashMap<&'a str, String>,
}

impl<'a> Desk<'a> {
    fn new(state: &'a State, ui: &'a Ui) -> Self {
        let lens = Lens::of(state);
        Self { state, ui, all: lens.all_lines(), tags: tags(lens.scene), lens }
    }

    /// What the signature says, and what of that holds now.
    fn meaning(&self, doc: &mut Doc<'_>, group: &LogGroup) {
        let styles = &self.ui.styles;
        match self.lens.signature(group) {
            Some(signature) => {
                doc.text(&signature.explain);
                let assessment = self.state.shown().1;
                for cause in &signature.causes {
                    let found = assessment.causes.iter().position(|found| found.id == *cause);
                    let ruled_out = assessment.ruled_out.iter().find(|out| out.id == *cause);
                    let said = match (found, ruled_out) {
                        (Some(at), _) => format!("{cause}: {}, number {}", assessment.causes[at].confidence.word(), at + 1),
                        (None, Some(out)) => format!("{cause}: ruled out, {}", out.because),
                        (None, None) => cause.clone(),
                    };
                    doc.field_styled("speaks for", &said, if found.is_some() { styles.strong } else { styles.text });
                }
                doc.field("signature", &signature.id);
                doc.field("known from", &signature.origin);
            }
            None if group.key == OVERFLOW_KEY => {
                doc.text("Lines of more kinds than are kept apart: they are counted together here.");
            }
            None if group.kind == SourceKind::Access => doc.text("Requests, as the gateway's access log tells them."),
            None if self.state.catalog.is_none() => doc.text("The signatures are still being compiled."),
            None => doc.text("No signature knows this line. It is counted, and speaks for no cause."),
        }
    }

    /// What its lines have in common.
    fn fields(doc: &mut Doc<'_>, group: &LogGroup) {
        let meaning = &group.meaning;
        if let Some(level) = group.level().filter(|_| meaning.level.is_some()) {
            doc.field("level", level.word());
        }
        let status = meaning.status.map(|status| status.to_string());
        let server = logline::read_key(&group.key).server.map(str::to_owned);
        let named = [("program", &meaning.program), ("status", &status), ("server", &server), ("upstream", &meaning.upstream)];
        for (name, value) in named {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                doc.field(name, value);
            }
        }
        for (name, value) in &meaning.fields {
            doc.field(name, value);
        }
    }

    fn how_often(&self, doc: &mut Doc<'_>, group: &LogGroup) {
        doc.heading("How often");
        doc.field(
            "lines",
            &format!("{}, of them {} since we look", figures::thousands(group.count), figures::thousands(group.live)),
        );
        let now = self.lens.scene.now.wall_s();
        doc.field("last minute", &figures::thousands(group.since(now - 60)));
        let steps = group.steps(now, RATE.0, RATE.1);
        let most = steps.iter().copied().max().unwrap_or(0);
        let minutes = i64::try_from(RATE.0).unwrap_or(0) * RATE.1 / 60;
        let told = format!(
            "{}  {minutes} min until now, at most {} in {} s",
            spark(&steps, self.ui.charset),
            figures::thousands(most),
            RATE.1
        );
        doc.field("rate", &told);
        if let (Some(first), Some(last)) = (group.first_second(), group.last_second()) {
            // Of very many seconds the oldest are not kept apart.
            let name = if group.since(i64::MIN) < group.count { "seen from" } else { "first" };
            doc.field(name, &format!("{}  ({} ago)", self.ui.full(self.state, first), figures::duration(now - first)));
            doc.field("last", &format!("{}  ({} ago)", self.ui.full(self.state, last), figures::duration(now - last)));
        }
    }

    /// Why this log is read.
    fn chosen(&self, doc: &mut Doc<'_>, source: &str) {
        let is = |found: &&FoundLog| match &found.place {
            LogPlace::File(path) => path.display().to_string() == source,
            LogPlace::Journal(unit) => source.strip_prefix("journal:") == Some(unit),
        };
        if let Some(found) = self.lens.scene.sources.iter().find(is).filter(|found| !found.why.is_empty()) {
            doc.field("read because", &found.why);
        }
    }

    /// Lines with their time and log, of each group the nearest one: a flood of requests must not hide the one line of the kernel.
    fn list(&self, doc: &mut Doc<'_>, around: i64, lines: &[Told<'_>]) {
        let mut nearest: Vec<(Told<'_>, u64)> = Vec::new();
        for told in lines {
            let count = 1 + u64::from(told.line.more);
            match nearest.iter_mut().find(|(known, _)| known.line.group == told.line.group) {
                Some((known, all)) => {
                    *all += count;
                    if told.line.second.abs_diff(around) < known.line.second.abs_diff(around) {
                        *known = *told;
                    }
                }
                None => nearest.push((*told, count)),
            }
        }
        let groups = nearest.len();
        if groups > AROUND {
            // What tells of trouble before what does not.
            nearest.order_by_key(|(told, _)| !told.group.is_some_and(|group| self.lens.severe(group)));
            nearest.truncate(AROUND);
        }
        nearest.order_by_key(|(told, _)| (told.line.second, told.line.number));
        for (told, count) in nearest {
            let tag = self.tags.get(told.source).map_or(told.source, String::as_str);
            let more = if count > 1 { format!("  (and {} more like this)", figures::thousands(count - 1)) } else { String::new() };
            doc.field(&self.ui.moment(self.state, told.line.second), &format!("{tag}: {}{more}", words(&told.line.text)));
        }
        if groups > AROUND {
            doc.text(&format!("and lines of {} more kinds", groups - AROUND));
        }
    }

    fn around(&self, doc: &mut Doc<'_>, when: &str, told: &Told<'_>) {
        let near = neighbours(told, &self.all);
        doc.heading(&format!("Within {NEAR_S} s of {when}, in other logs"));
        if near.is_empty() {
            doc.text("nothing that is still kept");
        }
        self.list(doc, told.line.second, &near);
    }

    fn group(&self, group: &LogGroup) -> Vec<Line<'static>> {
        let mut doc = Doc::new(self.ui);
        doc.heading(&message(group));
        self.meaning(&mut doc, group);
        Self::fields(&mut doc, group);
        self.how_often(&mut doc, group);
        doc.heading(&format!("In {} ({})", group.source, kind(group.kind)));
        self.chosen(&mut doc, &group.source);
        doc.field("first line", &group.first);
        if group.last != group.first {
            doc.field("last line", &group.last);
        }
        let own: Vec<&Told<'_>> = self.all.iter().filter(|told| told.line.group == group.number).collect();
        let mut requests: BTreeMap<String, usize> = BTreeMap::new();
        for words in own.iter().filter_map(|told| Request::of(told).words()) {
            *requests.entry(words).or_default() += 1;
        }
        if !requests.is_empty() {
            doc.heading(&format!("Requests, by the latest {} lines", figures::thousands(own.len() as u64)));
            let mut sorted: Vec<(&String, &usize)> = requests.iter().collect();
            sorted.order_by_key(|(_, count)| std::cmp::Reverse(**count));
            for (words, count) in sorted.iter().take(REQUESTS) {
                doc.field(&format!("{}x", figures::thousands(**count as u64)), words);
            }
            if sorted.len() > REQUESTS {
                doc.text(&format!("and {} more", sorted.len() - REQUESTS));
            }
        }
        let first = own.iter().find(|told| Some(told.line.second) == group.first_second());
        if let Some(first) = first {
            self.around(&mut doc, "its first line", first);
        }
        if let Some(last) = own.last().filter(|last| first.is_none_or(|first| first.line.second != last.line.second)) {
            self.around(&mut doc, "its last line", last);
        }
        doc.lines()
    }

    fn line(&self, told: &Told<'_>) -> Vec<Line<'static>> {
        let mut doc = Doc::new(self.ui);
        doc.heading(&words(&told.line.text));
        if let Some(group) = told.group {
            self.meaning(&mut doc, group);
        }
        doc.heading(&format!("The line, in {}", told.source));
        self.chosen(&mut doc, told.source);
        doc.field("time", &self.ui.full(self.state, told.line.second));
        doc.field("verbatim", &told.line.text);
        for (name, value) in fields(told) {
            doc.field(name, &value);
        }
        if let Some(group) = told.group {
            for (name, value) in &group.meaning.fields {
                doc.field(name, value);
            }
            self.how_often(&mut doc, group);
        }
        let same = same_request(told, &self.all);
        if !same.by_id.is_empty() {
            doc.heading("The same request, by its id");
            self.list(&mut doc, told.line.second, &same.by_id);
        }
        if !same.alike.is_empty() {
            doc.heading(&format!("The same client and request within {NEAR_S} s, in other logs"));
            self.list(&mut doc, told.line.second, &same.alike);
        }
        self.around(&mut doc, "it", told);
        doc.lines()
    }
}

/// What a line names, each with its word.
fn fields(told: &Told<'_>) -> Vec<(&'static str, String)> {
    let text = &*told.line.text;
    let mut out = Vec::new();
    let mut add = |name, value: Option<String>| out.extend(value.filter(|value| !value.is_empty()).map(|value| (name, value)));
    let request = Request::of(told);
    if let Some(LogFormat::NginxAccess(format)) = told.group.map(|group| &group.format) {
        let format = AccessFormat::compile(format);
        let Some(line) = format.parse(text) else { return out };
        let seconds = |list: &[Option<f64>]| {
            list.iter().map(|time| time.map_or_else(|| "-".to_owned(), |time| format!("{time} s"))).collect::<Vec<_>>().join(", ")
        };
        let statuses = |list: &[Option<u16>]| {
            list.iter()
                .map(|status| status.map_or_else(|| "-".to_owned(), |status| status.to_string()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        add("status", line.status.map(|status| status.to_string()));
        add("client", line.client.map(str::to_owned));
        add("host", line.host.map(str::to_owned));
        add("request", request.words());
        add("took", line.request_time.map(|time| format!("{time} s")));
        add("upstream", Some(line.upstream_addrs.join(", ")));
        add("answered", Some(statuses(&line.upstream_statuses)));
        add("connected", Some(seconds(&line.upstream_connect_times)));
        add("header", Some(seconds(&line.upstream_header_times)));
        add("in all", Some(seconds(&line.upstream_response_times)));
        return out;
    }
    let entry = logline::read(text);
    add("level", entry.level.map(|level| level.word().to_owned()));
    add("program", entry.program.map(str::to_owned));
    add("process", entry.pid.map(|pid| pid.to_string()));
    add("status", entry.status.map(|status| status.to_string()));
    add("client", entry.client.map(Into::into));
    add("server", entry.server.map(Into::into));
    add("request", request.words());
    add("upstream", entry.upstream.map(Into::into));
    out
}

/// About a group.
pub fn group(state: &State, ui: &Ui, group: &LogGroup) -> Vec<Line<'static>> {
    Desk::new(state, ui).group(group)
}

/// About the line with this number. `None`: it is no longer kept.
pub fn line(state: &State, ui: &Ui, number: u64) -> Option<Vec<Line<'static>>> {
    let told = Desk::new(state, ui);
    let line = told.all.iter().find(|line| line.line.number == number)?;
    Some(told.line(line))
}
