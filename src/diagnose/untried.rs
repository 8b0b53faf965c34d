//! What nobody tried, and is never shown as fine: servers of a pool, as a large one is not tried as a whole at once, and the query of
//! the URL that was named.

use std::collections::BTreeSet;

use super::Scene;
use crate::model::{BlindSpot, Gateway, Place, Role, Subject};

/// Pools that are told of, at most.
const TOLD: usize = 8;

/// All of that.
pub fn untried(scene: &Scene) -> Vec<BlindSpot> {
    pools(scene).into_iter().chain(query(scene)).collect()
}

/// That the URL was asked for without its query, which may hold a secret, or do something.
fn query(scene: &Scene) -> Option<BlindSpot> {
    let run = scene.run.as_ref().filter(|run| run.probing)?;
    let (page, _) = run.url.as_deref()?.split_once('?')?;
    Some(BlindSpot {
        source: format!("the query of {page}"),
        reason: "it is not sent, as it may hold a secret or do something: the page was asked for without it".to_owned(),
        remedy: "ask for the whole URL by hand, where that is safe: curl -sS -o /dev/null -w '%{http_code}\\n' 'URL'".to_owned(),
    })
}

/// Pools of which some servers were tried, and not all.
fn pools(scene: &Scene) -> Vec<BlindSpot> {
    let mut seen: BTreeSet<(Option<&str>, &Place)> = BTreeSet::new();
    let mut found = Vec::new();
    for (_, route) in scene.gateways.iter().flat_map(Gateway::routes) {
        let Some(first) = route.servers.first().filter(|_| route.servers.len() > 1) else { continue };
        if found.len() >= TOLD || !seen.insert((route.pool.as_deref(), &first.at)) {
            continue;
        }
        let all: BTreeSet<Subject> = route
            .servers
            .iter()
            .filter(|server| server.role == Role::Primary)
            .map(|server| Subject(server.address.to_string()))
            .collect();
        let tried = all.iter().filter(|subject| scene.probes_about("upstream", subject).next().is_some()).count();
        if tried > 0 && tried < all.len() {
            let name = route.pool.as_deref().unwrap_or("a route");
            found.push(BlindSpot {
                source: format!("servers of {name}"),
                reason: format!("{tried} of {} were tried so far, those first that the logs name as failing", all.len()),
                remedy: "let the console run: it tries all of them in turn; or name one with --upstream".to_owned(),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RunInfo;

    #[test]
    fn a_query_that_is_not_sent_is_told() {
        let of = |url: &str| {
            let mut scene = Scene::default();
            scene.run = Some(RunInfo {
                version: String::new(),
                host: String::new(),
                url: Some(url.to_owned()),
                probing: true,
                user: String::new(),
                excerpt: false,
                copied: false,
            });
            untried(&scene).into_iter().map(|spot| spot.source).collect::<Vec<_>>()
        };
        assert_eq!(of("http://shop.test/cart"), [""; 0]);
        assert_eq!(of("http://shop.test/cart?token=s3cret"), ["the query of http://shop.test/cart"], "and not what it says");
    }
}
