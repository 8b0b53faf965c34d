//! gunicorn has no status page. Its sync workers, the default, wait for a connection in select(2) and take one request at a time
//! (gunicorn/workers/sync.py), so what they wait for tells the free from the busy. Workers of other classes take many at once: of them
//! nothing is told.

use super::{super::sources::settings::assignments, Ask};
use crate::{model::Workers, sys::Wait};

pub(super) async fn read(ask: &Ask<'_>) -> Vec<Workers> {
    if !ask.service.is("gunicorn") || ask.children.is_empty() || !sync(ask).await {
        return Vec::new();
    }
    let Some((idle, busy)) = ask.idle_and_busy(&ask.children, Wait::Select).await else { return Vec::new() };
    let (limit, limit_name) = (Some(idle + busy), "workers".to_owned());
    vec![Workers { idle, busy, limit, limit_name, source: "what its workers wait for".to_owned(), ..ask.workers("gunicorn") }]
}

/// Whether its workers are of the sync class: nothing says otherwise, on the command line or in its file.
async fn sync(ask: &Ask<'_>) -> bool {
    let class = ask.service.option(&["-k", "--worker-class"]);
    // More than one thread makes it gthread, whatever the class (settings.html#threads).
    let threads = ask.service.option(&["--threads"]);
    if class.is_some_and(|class| class != "sync") || threads.is_some_and(|threads| threads != "1") {
        return false;
    }
    let in_file = ask.off_thread(|settings| {
        let named = settings.service.option(&["-c", "--config"]).unwrap_or("gunicorn.conf.py");
        let text = settings.text(&settings.path(named.strip_prefix("file:").unwrap_or(named))).unwrap_or_default();
        assignments(&text).any(|(_, key, value)| match key {
            "worker_class" => !matches!(value.trim_matches(['"', '\'']), "sync"),
            "threads" => value != "1",
            _ => false,
        })
    });
    !in_file.await.unwrap_or(true)
}
