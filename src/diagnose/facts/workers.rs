//! Facts about the workers of application servers: `workers:...`. All of them busy while connections wait is the whole story of an
//! overload; one that is free speaks against it.

use std::collections::BTreeMap;

use super::FactBook;
use crate::{
    catalog::Catalog,
    diagnose::{Scene, names::resolved},
    model::{Address, Fact, Subject, Workers, text},
};

/// Requests that our own probes may have under way at one server at once: the gateway's, the straight one, and their companions. So many
/// busy workers and waiting connections prove nothing.
const OURS: u64 = 5;
/// Milliseconds from which on it is worth a word that even the youngest of the requests under way has lasted so long: they wait for something.
const LONG_MS: u64 = 5_000;

/// The names.
pub fn names(_: &Catalog) -> Vec<String> {
    ["workers:used-up", "workers:free", "workers:limit-was-reached"].map(str::to_owned).into()
}

/// The facts.
pub fn produce(scene: &Scene, _: &Catalog, book: &mut FactBook) {
    for workers in &scene.workers {
        for subject in &workers.serves {
            if !book.looked_at("workers", &[subject]) {
                book.look("workers", subject);
                about(scene, workers, subject, book);
            }
        }
    }
}

fn about(scene: &Scene, workers: &Workers, subject: &Subject, book: &mut FactBook) {
    let pool = if workers.pool.is_empty() { String::new() } else { format!(" pool {}", workers.pool) };
    let who = format!("{}{pool}", workers.program);
    // php-fpm cannot tell of a unix socket's queue and says 0 (fpm_sockets.c, fpm_socket_get_listening_queue).
    let waiting = workers.waiting.max(queue(scene, subject)).unwrap_or(0);
    let fields = BTreeMap::from([
        ("busy".to_owned(), workers.busy.to_string()),
        ("waiting".to_owned(), waiting.to_string()),
        ("setting".to_owned(), workers.limit_name.clone()),
        ("program".to_owned(), workers.program.clone()),
    ]);
    let mut add = |name: &str, now: bool, text: String| {
        let (name, source) = (format!("workers:{name}"), workers.source.clone());
        book.add(Fact { name, subject: subject.clone(), now, at: scene.now, text, source, fields: fields.clone() });
    };
    let limit = workers.limit.map_or_else(String::new, |limit| format!(" ({} = {limit})", workers.limit_name));
    let all = if workers.busy == 1 { "the only worker".to_owned() } else { format!("all {} workers", workers.busy) };
    let verb = if workers.busy == 1 { "is" } else { "are" };
    let wait = format!("{} more connection{} wait{}", text::thousands(waiting), plural(waiting, "s", ""), plural(waiting, "", "s"));
    if workers.used_up() && waiting > 0 && workers.busy.saturating_add(waiting) > OURS {
        let long = workers.youngest_ms.filter(|ms| *ms >= LONG_MS);
        let long = long.map_or_else(String::new, |ms| format!(", each for {} s or more", ms / 1_000));
        add("used-up", true, format!("{all} of {who}{limit} {verb} busy{long}, and {wait}"));
    } else if workers.idle > 0 {
        let total = workers.busy.saturating_add(workers.idle);
        add("free", true, format!("{} of {total} workers of {who} are free", workers.idle));
    }
    if let Some(times) = workers.limit_reached.filter(|times| *times > 0) {
        add(
            "limit-was-reached",
            false,
            format!("{who} has reached{limit} {times} time{} since it started", plural(times, "s", "")),
        );
    }
}

fn plural(number: u64, many: &'static str, one: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

/// Connections that wait in the kernel's queue of this upstream.
fn queue(scene: &Scene, subject: &Subject) -> Option<u64> {
    let table = scene.listeners.as_ref()?;
    let address: Address = subject.0.parse().ok()?;
    let listener = resolved(scene, &address).iter().find_map(|address| table.taking(address).cloned())?;
    listener.queue.map(|queue| u64::from(queue.waiting))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(workers: Workers) -> Vec<(String, String)> {
        let serves = vec![Subject("127.0.0.1:9000".to_owned())];
        let mut scene = Scene::default();
        scene.workers = vec![Workers { serves, ..workers }];
        let mut book = FactBook::default();
        produce(&scene, &Catalog::embedded().expect("catalogue"), &mut book);
        book.facts.into_iter().map(|fact| (fact.name, fact.text)).collect()
    }

    #[test]
    fn workers_are_used_up_by_others_than_us() {
        let of = |busy, waiting, youngest_ms| Workers {
            program: "php-fpm".into(),
            pool: "www".into(),
            busy,
            waiting: Some(waiting),
            limit: Some(busy),
            limit_name: "pm.max_children".into(),
            youngest_ms,
            ..Workers::default()
        };
        let facts = book(of(5, 12, Some(900)));
        assert_eq!(facts.len(), 1);
        assert_eq!(facts[0].0, "workers:used-up");
        assert_eq!(facts[0].1, "all 5 workers of php-fpm pool www (pm.max_children = 5) are busy, and 12 more connections wait");
        assert!(book(of(5, 12, Some(65_000)))[0].1.contains("are busy, each for 65 s or more, and 12 more"));
        assert!(book(of(2, 1, None)).is_empty(), "these may be our own");
        assert!(book(of(50, 0, None)).is_empty(), "nobody waits");
        let free = Workers { idle: 1, limit_reached: Some(2), ..of(5, 12, None) };
        let names: Vec<String> = book(free).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["workers:free", "workers:limit-was-reached"]);
    }
}
