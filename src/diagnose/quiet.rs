//! Excerpts in which nothing is wrong: kernels, runtimes and applications complain of what no user notices.
//!
//! Nothing here weighs a cause: it only says whose symptoms are no sign of a fault. To add a rule: a case of [`symptomless`].

use super::{LogGroup, Scene, rank::Held};
use crate::{
    catalog::{Catalog, Presence, Rank, Signature},
    model::logline::{Level, Writer, shown_answer},
};

/// Seconds that a restart may take in which nobody listens, and none calls it an outage.
const RESTART_S: i64 = 10;
/// Failures that it may cost.
const RESTART_FAILURES: u64 = 5;
/// Requests that must have been served after it, the last of them so many seconds later.
const SERVED: u64 = 3;
const SERVED_FOR_S: i64 = 60;

/// Whose symptoms are no sign of a fault in an excerpt. The host's, where neither a gateway nor an application says that something
/// fails: a kernel tells of every port and process. The application's too, where requests are told and all of them were served: a
/// slow page is none that failed.
pub fn symptomless(scene: &Scene, catalog: &Catalog) -> Vec<Writer> {
    // That somebody spoke another protocol to it is of a scanner, where no gateway says that its requests fail.
    let strange = |signature: &Signature| signature.reason.as_deref().is_some_and(|reason| reason.contains("-to-"));
    let fault = |id: &str, writer: Writer| {
        let counts = |signature: &Signature| signature.rank == Rank::Root || signature.rank == Rank::Symptom && !strange(signature);
        catalog
            .signatures
            .by_id(id)
            .is_some_and(|one| if writer == Writer::Application { counts(one) } else { one.rank != Rank::Context })
    };
    let says = |writer: Writer| {
        let groups = scene.logs.values().filter(move |group| group.meaning.dialect.writer() == writer);
        groups
            .filter(|group| group.meaning.status.is_none())
            .any(|group| group.meaning.signature.as_deref().is_some_and(|id| fault(id, writer)))
    };
    let mut statuses = scene.logs.values().filter_map(|group| group.meaning.status).peekable();
    let told = statuses.peek().is_some();
    let failed = statuses.any(|status| status >= 500);
    if failed || says(Writer::Gateway) {
        Vec::new()
    } else if told {
        vec![Writer::Host, Writer::Application]
    } else if says(Writer::Application) {
        Vec::new()
    } else {
        vec![Writer::Host, Writer::Application]
    }
}

/// Whether all that fails in an excerpt are a few requests while something was started anew, and others were served for a while since.
pub fn restarted(scene: &Scene, catalog: &Catalog) -> bool {
    let failed = |group: &&LogGroup| {
        let signature = || group.signature(&catalog.signatures).is_some_and(|signature| signature.rank != Rank::Context);
        group.meaning.status.map_or_else(signature, |status| status >= 500)
    };
    let absent = |group: &LogGroup| {
        let absent = |signature: &Signature| signature.rank == Rank::Symptom && signature.presence == Some(Presence::Absent);
        group.signature(&catalog.signatures).map_or(group.meaning.status.is_some(), absent)
    };
    let failures: Vec<_> = scene.logs.values().filter(failed).collect();
    let seconds = || failures.iter().flat_map(|group| group.seconds.iter().map(|(second, _)| *second));
    let (Some(first), Some(last)) = (seconds().min(), seconds().max()) else { return false };
    let few = failures.iter().map(|group| group.count).sum::<u64>() <= RESTART_FAILURES && last - first <= RESTART_S;
    if !few || !failures.iter().all(|group| absent(group)) {
        return false;
    }
    served(scene).map(|group| group.since(last + 1)).sum::<u64>() >= SERVED
        && served(scene).filter_map(LogGroup::last_second).max() >= Some(last + SERVED_FOR_S)
}

/// The lines of an excerpt that tell of requests that were served.
pub fn served(scene: &Scene) -> impl Iterator<Item = &LogGroup> {
    scene.logs.values().filter(|group| matches!(group.meaning.status, Some(200..=399)))
}

/// Whether only symptoms in the logs of these speak for a cause.
pub fn of_symptoms(speaking_for: &[Held<'_>], scene: &Scene, catalog: &Catalog, writers: &[Writer]) -> bool {
    speaking_for.iter().all(|(.., fact)| {
        let id = fact.name.strip_prefix("log:");
        let symptom = id.and_then(|id| catalog.signatures.by_id(id)).is_some_and(|signature| signature.rank == Rank::Symptom);
        let tells = |group: &&LogGroup| group.meaning.signature.as_deref() == id;
        symptom && scene.logs.values().find(tells).is_some_and(|group| writers.contains(&group.meaning.dialect.writer()))
    })
}

/// Whether a gateway tells of errors that nothing here knows, and that are no daily bread: of an upstream, or such as it hardly goes on with.
pub fn unexplained(scene: &Scene) -> bool {
    let loud = |group: &LogGroup| {
        let at_an_upstream = group.meaning.upstream.is_some() && group.level() >= Some(Level::Error);
        group.meaning.status.is_none() && (at_an_upstream || group.level() >= Some(Level::Alert))
    };
    let unknown = |group: &&LogGroup| group.meaning.signature.is_none() && group.meaning.dialect.writer() == Writer::Gateway;
    scene.logs.values().filter(unknown).any(loud)
}

/// The 502, 503 or 504 that a line of an excerpt shows which nothing here knows.
pub fn unknown_answer(scene: &Scene) -> Option<u16> {
    let unknown = scene.logs.values().filter(|group| group.meaning.signature.is_none());
    unknown
        .filter_map(|group| group.meaning.status.map_or_else(|| shown_answer(&group.first), Some))
        .find(|status| matches!(status, 502..=504))
}
