//! Papers that leave the console: private files beside the recordings, of whoever started it.

use std::io::Write as _;

use super::record::Keeper;
use crate::{
    app::{State, papers},
    model::{clock_of, rfc3339},
    report,
};

/// A file to be written: the end of its name, and its text.
pub type Paper = (&'static str, String);

/// All papers of this state, and what their names begin with.
pub fn all(state: &State) -> (String, Vec<Paper>) {
    let (scene, _) = state.shown();
    let host = state.handed_over(scene.run.as_ref().map_or_else(String::new, |run| run.host.clone()));
    let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '.').take(60).collect();
    let at = scene.now.wall_s();
    let day = rfc3339(at).chars().take(10).filter(char::is_ascii_digit).collect::<String>();
    let clock = clock_of(at).replace(':', "");
    let took_ms = scene.now.run_ms;
    let papers = vec![
        ("report.md", report::markdown(state, took_ms)),
        ("report.html", report::html(state, took_ms)),
        ("report.json", state.handed_over(report::json(state, took_ms))),
        ("ticket.md", report::ticket(state)),
        ("status.txt", papers::status(state) + "\n"),
    ];
    (format!("why502-{host}-{day}T{clock}Z"), papers)
}

/// Writes them. What comes back is told to the person.
pub fn write(begin: &str, papers: &[Paper]) -> String {
    match try_write(begin, papers) {
        Ok(message) => message,
        Err(why) => format!("not exported: {why}"),
    }
}

fn try_write(begin: &str, papers: &[Paper]) -> Result<String, String> {
    let keeper = Keeper::of_operator()?;
    for number in 1..100 {
        // A second export within a second, or what somebody else put there.
        let begin = if number == 1 { begin.to_owned() } else { format!("{begin}-{number}") };
        let first = keeper.shelf(&format!("{begin}-{}", papers.first().map_or("", |(end, _)| end)))?;
        if first.path.exists() {
            continue;
        }
        for (end, text) in papers {
            let shelf = keeper.shelf(&format!("{begin}-{end}"))?;
            let written = shelf.create().and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|error| format!("{}: {error}", shelf.path.display()))?;
        }
        let names: Vec<&str> = papers.iter().map(|(end, _)| *end).collect();
        return Ok(format!("{} written: {}/{begin}-*", names.join(", "), keeper.dir().display()));
    }
    Err(format!("{} is full of reports of this second", keeper.dir().display()))
}

/// Keeps what no clipboard takes.
pub fn keep_copy(text: &str) -> String {
    let keep = || -> Result<String, String> {
        let keeper = Keeper::of_operator()?;
        let shelf = keeper.shelf("clipboard.txt")?;
        let wrong = |error: std::io::Error| format!("{}: {error}", shelf.path.display());
        // Put in its place whole, whatever was copied before.
        let mut draft = shelf.draft().map_err(wrong)?;
        draft.write_all(text.as_bytes()).and_then(|()| shelf.replace()).map_err(wrong)?;
        Ok(shelf.path.display().to_string())
    };
    match keep() {
        Ok(path) => format!("this terminal has no clipboard for it: written to {path}"),
        Err(why) => format!("not copied: this terminal has no clipboard, and {why}"),
    }
}
