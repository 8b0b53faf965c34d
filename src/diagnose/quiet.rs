//! Excerpts in which nothing is wrong: kernels, runtimes and applications complain of what no user notices.
//!
//! Nothing here weighs a cause: it only says whose symptoms are no sign of a fault. To add a rule: a case of [`symptomless`].

use super::{LogGroup, Scene, rank::Held};
use crate::{
    catalog::{Catalog, Rank, Signature},
    model::logline::Writer,
};

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

/// Whether only symptoms in the logs of these speak for a cause.
pub fn of_symptoms(speaking_for: &[Held<'_>], scene: &Scene, catalog: &Catalog, writers: &[Writer]) -> bool {
    speaking_for.iter().all(|(.., fact)| {
        let id = fact.name.strip_prefix("log:");
        let symptom = id.and_then(|id| catalog.signatures.by_id(id)).is_some_and(|signature| signature.rank == Rank::Symptom);
        let tells = |group: &&LogGroup| group.meaning.signature.as_deref() == id;
        symptom && scene.logs.values().find(tells).is_some_and(|group| writers.contains(&group.meaning.dialect.writer()))
    })
}
