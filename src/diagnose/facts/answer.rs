//! Facts about answers: `answer:flawed`, where a gateway that sends requests there refuses it; `answer:configured`, where the gateway
//! is told to fail by itself.

use std::collections::BTreeMap;

use super::{FactBook, probes, who::failing_status};
use crate::{
    catalog::Catalog,
    diagnose::{
        ProbeHistory, Scene,
        nested::{Entrance, Entrances},
    },
    model::{
        ANSWERS, ANSWERS_SINCE, ANSWERS_WHILE, ANSWERS_WITHOUT, Address, Fact, Gateway, Outcome, PathMatch, Route, RunState,
        Setting, TURNS, rfc3339, text,
    },
};

/// The first status of a failure.
const FAILURES_FROM: u16 = 500;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["answer:flawed", "answer:configured"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    let entrances = Entrances::of(scene);
    for history in scene.probes_of("gateway") {
        let Some(Configured { gateway, said, how, switch }) = configured(scene, &entrances, history) else { continue };
        let at = said.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let (text, explain) = match how {
            How::Always => (
                format!("{at} tells {} to answer this request by itself: {}", gateway.kind, said.value),
                format!("`{}` at {at} answers the request, and no upstream is asked", said.value),
            ),
            How::Sometimes => (
                format!("{at} tells {} to answer requests by itself under a condition: {}", gateway.kind, said.value),
                format!("`{}` at {at} answers the request, as its condition holds, and no upstream is asked", said.value),
            ),
            How::Of(status) => (
                format!("{at} tells {} to make another answer of the upstream's {status}: {}", gateway.kind, said.value),
                format!("`{}` at {at} makes this of the upstream's {status}", said.value),
            ),
            How::OfSome(status) => (
                format!(
                    "{at} tells {} to make another answer of the upstream's {status} under a condition: {}",
                    gateway.kind, said.value
                ),
                format!("`{}` at {at} makes this of the upstream's {status}, as its condition holds", said.value),
            ),
        };
        let answering = format!("`{}` ({at})", said.value);
        let mut fields: BTreeMap<String, String> =
            [("explain", explain), ("place", at), ("answering", answering)].map(|(key, value)| (key.to_owned(), value)).into();
        let by_itself = match how {
            How::Always => Some(""),
            How::Sometimes => Some(", as its condition holds"),
            How::Of(_) | How::OfSome(_) => None,
        };
        let by_itself = by_itself.map(|condition| format!("{}{condition}; no upstream is asked", fields["answering"]));
        fields.extend(by_itself.map(|text| ("by_itself".to_owned(), text)));
        let switched = switch.map_or_else(String::new, |switch| switch.told(scene, gateway, &mut fields));
        let text = format!("{text}{switched}");
        let (name, source) = ("answer:configured".to_owned(), "configuration".to_owned());
        let subject = scene.named(gateway);
        // Whether a condition holds is seen by the answer alone, which something else may make, too.
        let now = loaded(gateway) && !matches!(how, How::Sometimes | How::OfSome(_));
        book.add(Fact { name, subject, now, at: scene.now, text, source, fields });
    }
    for history in scene.probes_of("upstream").filter(|history| matches!(history.last.outcome, Outcome::Status(_))) {
        let (subject, address) = (&history.last.job.subject, &history.last.job.address);
        book.look("answer", subject);
        let sends =
            |gateway: &&crate::model::Gateway| scene.routes_to(address).iter().any(|(known, ..)| std::ptr::eq(*known, *gateway));
        for gateway in scene.gateways.iter().filter(|_| !history.last.flaws.is_empty()).filter(sends) {
            let refused = history.last.flaws.iter().find(|flaw| flaw.refused_by().contains(&gateway.kind.as_str()));
            let Some(flaw) = refused.filter(|_| book.find("answer:flawed", &[subject]).is_none()) else { continue };
            let text = format!("{} answers with {flaw}, which {} does not take", history.last.job.label(), gateway.kind);
            let fields = BTreeMap::from([("detail".to_owned(), flaw.to_string())]);
            let (name, source) = ("answer:flawed".to_owned(), "probe".to_owned());
            book.add(Fact { name, subject: subject.clone(), now: true, at: scene.now, text, source, fields });
        }
    }
}

/// A line by which a gateway itself makes a failing answer.
#[derive(Debug, Clone, Copy)]
pub struct Configured<'a> {
    /// The gateway.
    pub gateway: &'a Gateway,
    /// The line.
    pub said: &'a Setting,
    /// To which requests.
    pub how: How,
    /// The file that switches it on.
    pub switch: Option<Switch<'a>>,
}

/// A file by whose being there, or not, a line answers.
#[derive(Debug, Clone, Copy)]
pub struct Switch<'a> {
    /// The file, as the gateway names it.
    path: &'a str,
    /// Since when it is there, in seconds since the Unix epoch. `None`: that is not known, or it is its absence that counts.
    since: Option<i64>,
    /// Whether it is there.
    there: bool,
}

impl<'a> Switch<'a> {
    fn of(route: &'a Route) -> Option<Self> {
        let value = |key: &str| route.settings.get(key).map(|said| said.value.as_str());
        let since = value(ANSWERS_SINCE).and_then(|since| since.parse().ok());
        let on = value(ANSWERS_WHILE).map(|path| Self { path, since, there: true });
        on.or_else(|| value(ANSWERS_WITHOUT).map(|path| Self { path, since: None, there: false }))
    }

    /// As a clause; and for sentences and commands.
    fn told(&self, scene: &Scene, gateway: &Gateway, fields: &mut BTreeMap<String, String>) -> String {
        // In another file system it is reached by way of the process that runs there.
        let path = match (&gateway.inside, &gateway.state) {
            (Some(inside), RunState::Running { pid, .. }) if inside.files => format!("/proc/{pid}/root{}", self.path),
            _ => self.path.to_owned(),
        };
        let key = if self.there { "switch_on" } else { "switch_off" };
        fields.insert(key.to_owned(), path);
        let since = self.since.map(|since| {
            let lasts = text::duration(scene.now.wall_s() - since);
            format!("since {} ({lasts})", rfc3339(since))
        });
        match (self.there, since) {
            (true, Some(since)) => {
                fields.insert("switch_since".to_owned(), since.clone());
                format!("; {} is there {since}", self.path)
            }
            (true, None) => format!("; {} is there", self.path),
            (false, _) => format!("; {} is not there", self.path),
        }
    }
}

/// Which requests a line answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// All of the path.
    Always,
    /// Those of the path for which a condition holds that only they tell.
    Sometimes,
    /// Those that the upstream answers with this status.
    Of(u16),
    /// Those of them for which a condition holds that only the answer tells.
    OfSome(u16),
}

/// The line by which a gateway itself makes the failing answer to this request.
pub fn configured<'a>(scene: &Scene, entrances: &Entrances<'a>, through: &ProbeHistory) -> Option<Configured<'a>> {
    let status = failing_status(through)?.to_string();
    let request = through.last.job.request.as_ref()?;
    let Entrance { gateway, site, .. } = entrances.taking(&through.last.job.address, &request.host)?;
    let makes = |said: &&Setting| said.value.split([' ', '=', ',', '(', ')']).any(|word| word == status);
    let route = site.route_for(&request.path);
    let said = |key: &str| route.and_then(|route| route.settings.get(key)).filter(makes);
    if let Some(said) = said(ANSWERS) {
        return Some(Configured { gateway, said, how: How::Always, switch: route.and_then(Switch::of) });
    }
    let straight = || {
        let servers = route.into_iter().flat_map(|route| &route.servers).map(|server| &server.address);
        let servers: Vec<&Address> = servers.collect();
        scene.probes_of("upstream").filter(move |history| servers.contains(&&history.last.job.address))
    };
    let answers = || {
        straight().filter_map(|history| match history.last.outcome {
            Outcome::Status(code) => Some(code),
            _ => None,
        })
    };
    if let Some(said) = said(TURNS) {
        let of = answers().find(|code| said.value.split(' ').any(|word| word == code.to_string()));
        return of.map(|code| Configured { gateway, said, how: How::Of(code), switch: None });
    }
    // Whoever is behind it serves, so that the answer can only be made here.
    let served = answers().find(|code| *code < FAILURES_FROM)?;
    if answers().any(|code| code.to_string() == status) {
        return None;
    }
    let under = |one: &&Route| {
        matches!(one.takes, Some(PathMatch::Condition(_)))
            && (one.pattern.starts_with(" if ")
                || site.route_for(&one.sample_path).zip(route).is_some_and(|(a, b)| std::ptr::eq(a, b)))
    };
    let conditional = |key: &'static str| {
        let mut all = site.routes.iter().filter(under).filter_map(move |one| Some((one, one.settings.get(key)?)));
        all.find(|(_, said)| makes(said))
    };
    if let Some((one, said)) = conditional(ANSWERS) {
        return Some(Configured { gateway, said, how: How::Sometimes, switch: Switch::of(one) });
    }
    // The same answer is judged alike each time; and what breaks the protocol is refused without a rule.
    let steady = probes::window(through).iter().all(|result| matches!(result.outcome, Outcome::Status(500..=599)));
    let sound = straight().all(|history| history.last.flaws.is_empty());
    let (_, said) = conditional(TURNS).filter(|_| steady && sound)?;
    Some(Configured { gateway, said, how: How::OfSome(served), switch: None })
}

/// Whether what is on disk is what runs, as far as the times of the files tell.
fn loaded(gateway: &Gateway) -> bool {
    let RunState::Running { workers_since, .. } = gateway.state else { return false };
    let edited = gateway.files.iter().filter_map(|(_, modified)| *modified).max();
    workers_since.zip(edited).is_some_and(|(loaded, edited)| edited <= loaded + super::conf::START_S)
}
