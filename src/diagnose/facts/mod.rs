//! From a scene to facts. Each fact's name is made by exactly one producer; each producer lists the names that it makes.
//!
//! To add a producer: a file here with `NAMES`, `FAMILIES` and `produce`, and its line in [`PRODUCERS`].

mod admits;
mod allows;
mod answer;
mod change;
mod check;
mod conf;
mod entries;
mod gateway;
mod held;
mod keepalive;
mod life;
mod listen;
mod listening;
mod live;
mod load;
mod logs;
mod names;
mod nested;
mod probes;
mod rate;
mod reach;
mod resolvers;
mod service;
mod site;
mod source;
mod spoken;
mod time;
mod tls;
mod traffic;
mod unit;
mod upkeep;
mod upstreams;
mod vantage;
mod who;
mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::RandomState;

pub use conf::edited_since_load;
pub use keepalive::{reuse_breaks, span};
pub use listen::Candidates;
pub use logs::LOG_WINDOW_S;
pub use probes::{PROBES, WAITED_MS, window};

use super::Scene;
use crate::{
    catalog::{Catalog, Rank, Signature},
    model::{Fact, Subject},
};

/// A producer: what it is called, all names that it can make, and the making.
struct Producer {
    names: fn(&Catalog) -> Vec<String>,
    produce: fn(&Scene, &Catalog, &mut FactBook),
}

/// In this order: `listen` uses what `probes` found, `held` what `conf` did, `service` what all others did.
const PRODUCERS: &[Producer] = &[
    Producer { names: gateway::names, produce: gateway::produce },
    Producer { names: probes::names, produce: probes::produce },
    Producer { names: rate::names, produce: rate::produce },
    Producer { names: source::names, produce: source::produce },
    Producer { names: time::names, produce: time::produce },
    Producer { names: names::names, produce: names::produce },
    Producer { names: resolvers::names, produce: resolvers::produce },
    Producer { names: tls::names, produce: tls::produce },
    Producer { names: live::names, produce: live::produce },
    Producer { names: workers::names, produce: workers::produce },
    Producer { names: check::names, produce: check::produce },
    Producer { names: conf::names, produce: conf::produce },
    Producer { names: held::names, produce: held::produce },
    Producer { names: admits::names, produce: admits::produce },
    Producer { names: allows::names, produce: allows::produce },
    Producer { names: site::names, produce: site::produce },
    Producer { names: spoken::names, produce: spoken::produce },
    Producer { names: load::names, produce: load::produce },
    Producer { names: logs::names, produce: logs::produce },
    Producer { names: entries::names, produce: entries::produce },
    Producer { names: keepalive::names, produce: keepalive::produce },
    Producer { names: life::names, produce: life::produce },
    Producer { names: unit::names, produce: unit::produce },
    Producer { names: change::names, produce: change::produce },
    Producer { names: traffic::names, produce: traffic::produce },
    Producer { names: reach::names, produce: reach::produce },
    Producer { names: listen::names, produce: listen::produce },
    Producer { names: listening::names, produce: listening::produce },
    Producer { names: nested::names, produce: nested::produce },
    Producer { names: who::names, produce: who::produce },
    Producer { names: answer::names, produce: answer::produce },
    Producer { names: vantage::names, produce: vantage::produce },
    Producer { names: upstreams::names, produce: upstreams::produce },
    Producer { names: upkeep::names, produce: upkeep::produce },
    Producer { names: service::names, produce: service::produce },
];

/// Every name that some producer can make.
pub fn names(catalog: &Catalog) -> Vec<String> {
    PRODUCERS.iter().flat_map(|producer| (producer.names)(catalog)).collect()
}

/// The facts of a scene.
#[derive(Debug, Clone, Default)]
pub struct FactBook {
    /// The facts, each name at most once for each subject.
    facts: Vec<Fact>,
    /// Their places: of each subject by name, and of each name the first.
    of_subject: HashMap<Subject, BTreeMap<String, usize>, RandomState>,
    of_name: HashMap<String, usize, RandomState>,
    /// Which subjects were looked at, by family of facts: `probe:upstream`, `listen`, `log`.
    looked: BTreeMap<String, BTreeSet<Subject>>,
}

impl FactBook {
    /// The facts of a scene.
    pub fn of(scene: &Scene, catalog: &Catalog) -> Self {
        let mut book = Self::default();
        for producer in PRODUCERS {
            (producer.produce)(scene, catalog, &mut book);
        }
        book
    }

    /// The fact of this name about one of these subjects.
    pub fn find<'a>(&'a self, name: &str, subjects: &[&Subject]) -> Option<&'a Fact> {
        let places = subjects.iter().filter_map(|subject| self.of_subject.get(*subject)?.get(name));
        places.min().map(|place| &self.facts[*place])
    }

    /// The fact of this name about anything.
    pub fn any(&self, name: &str) -> Option<&Fact> {
        self.of_name.get(name).map(|place| &self.facts[*place])
    }

    /// All of them, in the order of their making.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// Those about any of these subjects.
    pub fn bearing<'a>(&'a self, subjects: &[&Subject], catalog: &'a Catalog) -> Bearing<'a> {
        let mut places: Vec<usize> =
            subjects.iter().filter_map(|subject| self.of_subject.get(*subject)).flat_map(BTreeMap::values).copied().collect();
        places.sort_unstable();
        places.dedup();
        let mut bearing = Bearing { by_name: HashMap::default(), logged: Vec::new() };
        for fact in places.into_iter().map(|place| &self.facts[place]) {
            bearing.by_name.entry(fact.name.as_str()).or_insert(fact);
            let signature = fact.name.strip_prefix("log:").and_then(|id| catalog.signatures.by_id(id));
            bearing.logged.extend(signature.filter(|known| known.rank != Rank::Context).map(|signature| (fact, signature)));
        }
        bearing
    }

    /// Whether this family was looked at for one of these subjects, or for anything where `subjects` is empty.
    pub fn looked_at(&self, family: &str, subjects: &[&Subject]) -> bool {
        self.looked.get(family).is_some_and(|known| subjects.is_empty() || subjects.iter().any(|subject| known.contains(*subject)))
    }

    /// Facts from log lines that tell of a failure, be it only of what follows from one.
    pub fn lines<'a>(&'a self, catalog: &'a Catalog) -> impl Iterator<Item = (&'a Fact, &'a Signature)> {
        let known = |fact: &'a Fact| Some((fact, catalog.signatures.by_id(fact.name.strip_prefix("log:")?)?));
        self.facts.iter().filter_map(known).filter(|(_, signature)| signature.rank != Rank::Context)
    }

    fn look(&mut self, family: &str, subject: &Subject) {
        let known = match self.looked.get_mut(family) {
            Some(known) => known,
            None => self.looked.entry(family.to_owned()).or_default(),
        };
        if !known.contains(subject) {
            known.insert(subject.clone());
        }
    }

    fn add(&mut self, fact: Fact) {
        let place = self.facts.len();
        if !self.of_name.contains_key(&fact.name) {
            self.of_name.insert(fact.name.clone(), place);
        }
        self.of_subject.entry(fact.subject.clone()).or_default().entry(fact.name.clone()).or_insert(place);
        self.facts.push(fact);
    }

    /// The fact of this name about this subject, to be told anew.
    fn get_mut(&mut self, name: &str, subject: &Subject) -> Option<&mut Fact> {
        let place = self.of_subject.get(subject)?.get(name)?;
        self.facts.get_mut(*place)
    }
}

/// The facts that bear on something.
#[derive(Debug)]
pub struct Bearing<'a> {
    by_name: HashMap<&'a str, &'a Fact, RandomState>,
    /// Those of logs that tell of a failure, with what is known of such lines, in the order of their making.
    pub logged: Vec<(&'a Fact, &'a Signature)>,
}

impl<'a> Bearing<'a> {
    /// The first fact of this name.
    pub fn find(&self, name: &str) -> Option<&'a Fact> {
        self.by_name.get(name).copied()
    }
}

/// The family of a fact's name: what has to be looked at to know that it does not hold. `probe:upstream:refused` belongs to
/// `probe:upstream`, `log:nginx-refused` to `log`.
pub fn family(name: &str) -> &str {
    let rest = name.strip_prefix("probe:").and_then(|rest| rest.find(':').map(|at| &name[..at + "probe:".len()]));
    rest.unwrap_or_else(|| name.split_once(':').map_or(name, |(family, _)| family))
}
