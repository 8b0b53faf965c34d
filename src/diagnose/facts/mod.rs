//! From a scene to facts. Each fact's name is made by exactly one producer; each producer lists the names that it makes.
//!
//! To add a producer: a file here with `NAMES`, `FAMILIES` and `produce`, and its line in [`PRODUCERS`].

mod conf;
mod gateway;
mod life;
mod listen;
mod load;
mod logs;
mod probes;

use std::collections::{BTreeMap, BTreeSet};

pub use listen::candidates;
pub use logs::LOG_WINDOW_S;
pub use probes::{PROBES, window};

use super::Scene;
use crate::{
    catalog::{Catalog, Rank},
    model::{Fact, Subject},
};

/// A producer: what it is called, all names that it can make, and the making.
struct Producer {
    names: fn(&Catalog) -> Vec<String>,
    produce: fn(&Scene, &Catalog, &mut FactBook),
}

/// In this order: `listen` uses what `probes` found.
const PRODUCERS: &[Producer] = &[
    Producer { names: gateway::names, produce: gateway::produce },
    Producer { names: probes::names, produce: probes::produce },
    Producer { names: conf::names, produce: conf::produce },
    Producer { names: load::names, produce: load::produce },
    Producer { names: logs::names, produce: logs::produce },
    Producer { names: life::names, produce: life::produce },
    Producer { names: listen::names, produce: listen::produce },
];

/// Every name that some producer can make.
pub fn names(catalog: &Catalog) -> Vec<String> {
    PRODUCERS.iter().flat_map(|producer| (producer.names)(catalog)).collect()
}

/// The facts of a scene.
#[derive(Debug, Clone, Default)]
pub struct FactBook {
    /// The facts, each name at most once for each subject.
    pub facts: Vec<Fact>,
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
        self.facts.iter().find(|fact| fact.name == name && subjects.contains(&&fact.subject))
    }

    /// The fact of this name about anything.
    pub fn any(&self, name: &str) -> Option<&Fact> {
        self.facts.iter().find(|fact| fact.name == name)
    }

    /// Whether this family was looked at for one of these subjects, or for anything where `subjects` is empty.
    pub fn looked_at(&self, family: &str, subjects: &[&Subject]) -> bool {
        self.looked.get(family).is_some_and(|known| subjects.is_empty() || known.iter().any(|subject| subjects.contains(&subject)))
    }

    /// Whether some line of a log tells of a failure, be it only of what follows from one.
    pub fn tells_of_failure(&self, catalog: &Catalog) -> bool {
        let signatures = self.facts.iter().filter_map(|fact| catalog.signatures.by_id(fact.name.strip_prefix("log:")?));
        signatures.into_iter().any(|signature| signature.rank != Rank::Context)
    }

    fn look(&mut self, family: &str, subject: &Subject) {
        self.looked.entry(family.to_owned()).or_default().insert(subject.clone());
    }

    fn add(&mut self, fact: Fact) {
        self.facts.push(fact);
    }
}

/// The family of a fact's name: what has to be looked at to know that it does not hold. `probe:upstream:refused` belongs to
/// `probe:upstream`, `log:nginx-refused` to `log`.
pub fn family(name: &str) -> &str {
    let rest = name.strip_prefix("probe:").and_then(|rest| rest.find(':').map(|at| &name[..at + "probe:".len()]));
    rest.unwrap_or_else(|| name.split_once(':').map_or(name, |(family, _)| family))
}
