//! Excerpts that people paste: real output of real servers in broken states, and of healthy ones, as an engineer copies it. What
//! each means to an expert stands in `excerpts/expected.toml`, how each was made in `excerpts/lab/`.
//!
//! To add one: a function in `excerpts/lab/`, its expectation (before the program is asked), `excerpts/make NAME`.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde::Deserialize;
use serde_json::Value;

/// What stands in the expectations for an excerpt in which nothing is wrong.
const QUIET: &str = "none";
/// Of the excerpts that were not used in development, the share that must be right, in percent.
const HELD_RIGHT_PERCENT: usize = 90;
/// Of the quiet ones among them, the one in so many that may name a cause.
const HELD_ALARM_IN: usize = 17;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    cause: String,
    #[serde(default)]
    also: Vec<String>,
    subject: Option<String>,
    #[serde(default)]
    held: bool,
    /// For people: what it reproduces, and which of its lines are composed.
    #[serde(rename = "story")]
    _story: Option<String>,
    #[serde(rename = "composed")]
    _composed: Option<String>,
}

/// What the program said, and whether it is right.
struct Answer {
    name: String,
    held: bool,
    quiet: bool,
    wrong: Option<String>,
}

fn ask(name: &str, expected: &Expected) -> Answer {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/excerpts").join(format!("{name}.txt"));
    answer(name, expected, &file)
}

/// What the program says of a file.
fn answer(name: &str, expected: &Expected, file: &Path) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_why502")).args(["explain", "--json"]).arg(file).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let word = |cause: &Value, key: &str| cause[key].as_str().unwrap_or_default().to_owned();
    let causes: Vec<(String, String)> =
        json["causes"].as_array().expect("causes").iter().map(|cause| (word(cause, "id"), word(cause, "subject"))).collect();
    let quiet = expected.cause == QUIET;
    let right = match causes.first() {
        None => quiet,
        Some((id, subject)) => {
            !quiet
                && (*id == expected.cause || expected.also.contains(id))
                && (*id != expected.cause || expected.subject.as_ref().is_none_or(|wanted| subject.contains(wanted.as_str())))
        }
    };
    let wrong = (!right).then(|| {
        let wanted = expected.subject.as_ref().map_or_else(String::new, |subject| format!(" about {subject}"));
        let found: Vec<String> = causes.iter().take(3).map(|(id, subject)| format!("{id} ({subject})")).collect();
        format!("{name}: [{}], expected {}{wanted}", found.join(", "), expected.cause)
    });
    Answer { name: name.to_owned(), held: expected.held, quiet, wrong }
}

/// All of them, in the order of their names.
fn answers() -> Vec<Answer> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/excerpts/expected.toml")).expect("expected.toml");
    let expected: BTreeMap<String, Expected> = toml::from_str(&text).expect("expectations");
    expected.iter().map(|(name, expected)| ask(name, expected)).collect()
}

fn wrong(answers: &[&Answer]) -> Vec<String> {
    answers.iter().filter_map(|answer| answer.wrong.clone()).collect()
}

#[test]
fn excerpts_of_incidents_name_the_cause_and_quiet_ones_none() {
    let answers = answers();
    let known: Vec<&Answer> = answers.iter().filter(|answer| !answer.held).collect();
    let (quiet, broken): (Vec<&Answer>, Vec<&Answer>) = known.iter().partition(|answer| answer.quiet);
    assert!(broken.len() >= 40 && quiet.len() >= 20, "{} incidents, {} quiet", broken.len(), quiet.len());
    let wrong = wrong(&known);
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), known.len(), wrong.join("\n"));
}

#[test]
fn excerpts_that_were_held_back_come_out_as_well_as_promised() {
    let answers = answers();
    let held: Vec<&Answer> = answers.iter().filter(|answer| answer.held).collect();
    let (quiet, broken): (Vec<&Answer>, Vec<&Answer>) = held.iter().partition(|answer| answer.quiet);
    let (missed, alarms) = (wrong(&broken), wrong(&quiet));
    assert!(
        missed.len() * 100 <= broken.len() * (100 - HELD_RIGHT_PERCENT),
        "{} of {}:\n{}",
        missed.len(),
        broken.len(),
        missed.join("\n")
    );
    assert!(alarms.len() <= quiet.len().div_ceil(HELD_ALARM_IN), "{} of {}:\n{}", alarms.len(), quiet.len(), alarms.join("\n"));
}

/// A message alone, and what it means.
#[derive(Deserialize)]
struct Terse {
    text: String,
    #[serde(flatten)]
    expected: Expected,
}

#[test]
fn messages_alone_name_the_cause_and_quiet_ones_none() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/excerpts/terse.toml")).expect("terse.toml");
    let terse: BTreeMap<String, Terse> = toml::from_str(&text).expect("expectations");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("paste.txt");
    let answers: Vec<Answer> = terse
        .iter()
        .map(|(name, terse)| {
            fs::write(&file, &terse.text).expect("it is written");
            answer(name, &terse.expected, &file)
        })
        .collect();
    let quiet = answers.iter().filter(|answer| answer.quiet).count();
    assert!(answers.len() >= quiet + 140 && quiet >= 40, "{} messages, {quiet} quiet", answers.len());
    let wrong = wrong(&answers.iter().collect::<Vec<_>>());
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), answers.len(), wrong.join("\n"));
}

#[test]
fn every_excerpt_has_its_expectation() {
    let named: Vec<String> = answers().into_iter().map(|answer| answer.name).collect();
    let mut files: Vec<String> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/excerpts"))
        .expect("tests/excerpts")
        .filter_map(|entry| entry.expect("entry").file_name().to_str()?.strip_suffix(".txt").map(str::to_owned))
        .collect();
    files.sort();
    assert_eq!(named, files);
}
