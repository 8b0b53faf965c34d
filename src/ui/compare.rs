//! What somebody elsewhere saw, beside what is seen here: hop by hop, and what the difference says.

use ratatui::text::Line;

use super::{
    Ui,
    text::{clean, fit, fixed, line, span},
};
use crate::{
    app::State,
    model::{Command, ELSEWHERE, Hop, HopState, Vantage},
};

/// Columns of a hop's name, and of what came of it here.
const NAME: usize = 10;
const HERE: usize = 26;

/// The lines.
pub fn lines(state: &State, ui: &Ui) -> Vec<Line<'static>> {
    let styles = &ui.styles;
    let (scene, assessment) = state.shown();
    let url = assessment.url.as_deref().unwrap_or("URL");
    let command = Command::new(["ssh", "HOST", "why502", "check", url, "--json"]);
    let mut out = vec![
        line([fixed("Run this where it fails, or anywhere else, and paste what it prints here:", styles.text)]),
        line([span(
            format!("  {}", command.map_or_else(|| "why502 check URL --json".to_owned(), |command| command.to_string())),
            styles.key,
        )]),
        line([span(format!("Or press {} and name a file that holds it.", ui.keys.named("compare")), styles.text)]),
    ];
    for blind in scene.blind.values().filter(|blind| blind.source.starts_with(ELSEWHERE)) {
        out.push(line([span(format!("{}: {}", clean(&blind.source), clean(&blind.reason)), styles.bad)]));
    }
    for seen in &scene.vantages {
        out.push(Line::default());
        let url = seen.url.as_deref().map_or_else(String::new, |url| format!(", {}", clean(url)));
        out.push(line([span(format!("{}, {}{url}", clean(&seen.host), clean(&seen.at)), styles.key)]));
        out.push(line([span(format!("  {}{}{}", fit("hop", NAME), fit("here", HERE), clean(&seen.host)), styles.quiet)]));
        for (name, here, there) in beside(&assessment.hops, seen) {
            let differs = here != there && here != "--" && there != "--";
            let style = if differs { styles.warn } else { styles.text };
            out.push(line([span(
                format!("{} {}{}{there}", if differs { "!" } else { " " }, fit(&name, NAME), fit(&here, HERE)),
                style,
            )]));
        }
        out.push(line([span(meaning(&assessment.hops, seen), styles.text)]));
    }
    out
}

/// Hops of here and there by name, those of here first.
fn beside(here: &[Hop], there: &Vantage) -> Vec<(String, String, String)> {
    let outcome = |name: &str| there.hops.iter().find(|(known, _)| known == name).map_or("--", |(_, outcome)| outcome.as_str());
    let mut rows: Vec<(String, String, String)> =
        here.iter().map(|hop| (clean(&hop.name), clean(&hop.outcome), clean(outcome(&hop.name)))).collect();
    for (name, outcome) in there.hops.iter().filter(|(name, _)| !here.iter().any(|hop| hop.name == *name)) {
        rows.push((clean(name), "--".to_owned(), clean(outcome)));
    }
    rows
}

/// What the two together say.
fn meaning(here: &[Hop], there: &Vantage) -> &'static str {
    let entrances = || here.iter().filter(|hop| matches!(hop.name.as_str(), "client" | "edge"));
    let fails = entrances().any(|hop| matches!(hop.state, HopState::Broken | HopState::Shows));
    let serves = entrances().any(|hop| hop.state == HopState::Good);
    match (there.served(), fails, serves) {
        (None, ..) => "No client there asked for it: give check the URL that fails.",
        (Some(true), true, _) => "Served there and not here: there it meets another gateway, or another way to it.",
        (Some(false), true, _) => "It fails from there as well: the fault is at this gateway or behind it.",
        (Some(false), false, true) => {
            "It fails only there: look between there and this gateway: names, network, what stands in front."
        }
        (Some(true), false, true) => "Served there and here.",
        (Some(_), false, false) => "Nothing has been asked for here yet.",
    }
}
