//! One line for the chat: what fails, since when, why, what is done.

use super::{State, word};
use crate::model::{Verdict, document::safe, rfc3339, text::duration};

/// Characters of it: what a chat shows without folding.
const CHARS: usize = 400;

/// The line.
pub fn status(state: &State) -> String {
    let (scene, assessment) = state.shown();
    let now = scene.now.wall_s();
    let host = scene.run.as_ref().map_or("", |run| run.host.as_str());
    let symptom = &assessment.symptom;
    let mut parts = vec![format!("[{} {host}] {}", rfc3339(now), word(assessment.verdict))];
    match (assessment.verdict, symptom.words.is_empty()) {
        (Verdict::Ok, _) | (_, true) => parts.push(assessment.headline.clone()),
        (_, false) => {
            let of = assessment.url.as_ref().map_or_else(String::new, |url| format!(" on {url}"));
            let share = symptom.share_words().map_or_else(String::new, |share| format!(" ({share})"));
            let since = symptom.since.map_or_else(String::new, |since| {
                format!(", since {} ({})", symptom.since_words(&rfc3339(since)), duration((now - since).max(0)))
            });
            parts.push(format!("{}{of}{share}{since}", symptom.words));
        }
    }
    if let Some(cause) = assessment.causes.first() {
        parts.push(format!("{} {}: {}", cause.confidence.word(), cause.id, cause.summary));
        if let Some(advice) = cause.mitigate.first().or_else(|| cause.fix.first()) {
            parts.push(format!("next: {}", if advice.text.is_empty() { advice.to_string() } else { advice.text.clone() }));
        }
    } else if assessment.verdict != Verdict::Ok {
        parts.push("cause not known yet".to_owned());
    }
    let line = state.handed_over(safe(&parts.join(" | ")));
    if line.chars().count() <= CHARS { line } else { line.chars().take(CHARS - 3).chain("...".chars()).collect() }
}
