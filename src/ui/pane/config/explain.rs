//! Everything about a row of the config pane.

use ratatui::text::Line;

use super::{command, effect, fate, gateway_of, meaning, serves, standing, stands, tested};
use crate::{
    app::State,
    diagnose::{Edit, Load},
    model::{Advice, FileFate, Gateway, WayBack},
    ui::{Ui, doc::Doc},
};

/// The commands that put what is on disk into force; where it would not load, what has to be done first.
fn next(doc: &mut Doc<'_>, gateway: &Gateway) {
    let advice = |name: &str, text: &str| Some(Advice { text: text.to_owned(), command: Some(command(gateway, name)?) });
    let loads = gateway.test.as_ref().is_none_or(|test| test.passed);
    let test = advice("test", if loads { "test what is on disk" } else { "mend it, or take it back, until the test passes" });
    let reload = advice("reload", "reload: running requests are finished, none is lost").filter(|_| loads);
    let list: Vec<Advice> = [test, reload].into_iter().flatten().collect();
    doc.advice("What is missing", &list);
}

/// Everything about how a gateway stands.
pub fn gateway(state: &State, ui: &Ui, gateway: &Gateway) -> Vec<Line<'static>> {
    let mut doc = Doc::new(ui);
    let (text, style) = stands(state, ui, gateway, true);
    let standing = standing(state, gateway);
    doc.heading(&format!("{}, {}", gateway.title(), gateway.config.display()));
    doc.styled(&text, style);
    if let Some(loaded) = standing.loaded {
        doc.field("loaded", &ui.full(state, loaded));
    }
    if !standing.newer.is_empty() {
        doc.heading("Younger than what runs");
        for (path, at) in &standing.newer {
            doc.item("!", ui.styles.warn, &format!("{}  {}", ui.full(state, *at), path.display()), "");
        }
        doc.text("A file that is younger proves only that it was written; what it changes is told at the edits below.");
    }
    if let Some((at, line)) = &standing.failed {
        doc.heading("What was logged of a load that failed");
        doc.text(&format!("{}  {line}", ui.full(state, *at)));
    }
    if !gateway.draining.is_empty() {
        doc.heading("Old workers that finish what they began");
        for old in &gateway.draining {
            let since = old.since.map_or_else(String::new, |since| format!(", started {}", ui.full(state, since)));
            doc.item("*", ui.styles.text, &format!("pid {}{since}", old.pid), "");
        }
        doc.text("They serve by the configuration before: a long request, a web socket, or a client that keeps its connection.");
    }
    match &gateway.test {
        Some(test) if test.passed => doc.field("its own test", "passes"),
        Some(test) => doc.field_styled("its own test", &format!("fails: {}", test.message), ui.styles.bad),
        None => doc.field_styled("its own test", "was not made", ui.styles.unknown),
    }
    if standing.reload_missing() {
        next(&mut doc, gateway);
    }
    doc.lines()
}

/// Everything about an edit.
pub fn edit(state: &State, ui: &Ui, edit: &Edit) -> Vec<Line<'static>> {
    let mut doc = Doc::new(ui);
    let what = match edit.what.fate {
        FileFate::Changed => "was saved",
        FileFate::Added => "is new",
        FileFate::Removed => "is gone",
        FileFate::LeftOut => "is not included any more",
    };
    doc.heading(&format!("{} {what}", edit.what.file.display()));
    doc.field("when", &ui.full(state, edit.saved()));
    let (word, style) = fate(state, ui, edit);
    doc.field_styled("in force", &word, style);
    let message = edit.test.as_ref().filter(|test| !test.passed).map_or_else(String::new, |test| format!(": {}", test.message));
    let good = edit.test.as_ref().is_some_and(|test| test.passed);
    doc.field_styled(
        "its own test",
        &format!("{}{message}", tested(edit.test.as_ref())),
        if good { ui.styles.good } else { ui.styles.bad },
    );
    doc.heading("What it means");
    if edit.words.is_empty() {
        doc.text(&meaning(edit));
    }
    for word in &edit.words {
        let at = word.at.as_ref().map(ToString::to_string).unwrap_or_default();
        doc.item("*", ui.styles.text, &word.text, &at);
        for address in &word.to {
            let style = serves(state, address).map_or(ui.styles.unknown, |good| if good { ui.styles.good } else { ui.styles.bad });
            doc.styled(&format!("  {}", effect(state, address)), style);
        }
    }
    if edit.taken.is_none()
        && let Some(gateway) = gateway_of(state, edit)
        && standing(state, gateway).reload_missing()
    {
        next(&mut doc, gateway);
    }
    doc.heading("The way back to what was found when why502 started");
    match (&edit.what.back, edit.what.back.command()) {
        (WayBack::AsFound, _) => doc.text("it is as it was found"),
        (WayBack::None { why }, _) => doc.text(&format!("no one command: {why}")),
        (_, None) => doc.text("no one command: it would be too long, or a name has control characters"),
        (_, Some(command)) => {
            doc.command(&command);
            doc.text(&format!("then test and reload; {} copies it, why502 never runs it", ui.keys.named("copy")));
        }
    }
    if !edit.what.diff.is_empty() {
        doc.heading("The change");
        for line in &edit.what.diff {
            let style = match line.chars().next() {
                Some('+') => ui.styles.good,
                Some('-') => ui.styles.bad,
                Some('@') => ui.styles.quiet,
                _ => ui.styles.text,
            };
            doc.styled(&line.replace('\t', "    "), style);
        }
        if edit.what.left_out > 0 {
            doc.styled(&format!("and {} more lines", edit.what.left_out), ui.styles.quiet);
        }
    } else if let Some(why) = &edit.what.opaque {
        doc.heading("The change");
        doc.text(&format!("it is not shown: {why}"));
    }
    doc.lines()
}

/// Everything about a load.
pub fn load(state: &State, ui: &Ui, load: &Load) -> Vec<Line<'static>> {
    let mut doc = Doc::new(ui);
    doc.heading(&format!("{} {}", load.kind, if load.restart { "was started" } else { "was reloaded" }));
    doc.field("when", &ui.full(state, load.at));
    doc.text("It is told by the start of the processes that serve now: what was on disk then is in force.");
    doc.lines()
}
