//! What is concluded: symptom, causes, findings, the path of the request, the state of the checklist.

use serde::{Deserialize, Serialize};

use super::{Advice, Share, Stamp, Subject};

/// The overall answer, which is also the exit status of `check`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Requests are served.
    Ok,
    /// A share fails, or a part that others stand in for.
    Warning,
    /// Requests fail steadily, or the gateway is down.
    Critical,
    /// It could not be told.
    #[default]
    Unknown,
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Something speaks for it.
    Possible,
    /// It explains what is seen, and nothing known speaks against it.
    Likely,
    /// Direct proof holds now, what had to be looked at was, and nothing speaks against it.
    Confirmed,
}

impl Confidence {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Confirmed => "confirmed",
        }
    }
}

/// A sentence that speaks for or against a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The fact's name.
    #[serde(skip)]
    pub fact: String,
    /// The sentence.
    pub text: String,
    /// Where it was seen.
    pub source: String,
    /// How much it counts, 0 to 1.
    pub weight: f64,
}

/// A cause, ranked.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// One of the fixed ids of the catalogue.
    pub id: String,
    /// Which of its kinds, where the catalogue has some.
    pub reason: Option<String>,
    /// How sure.
    pub confidence: Confidence,
    /// 0 to 1, for ranking.
    pub score: f64,
    /// Which upstream, host, file or name.
    pub subject: Subject,
    /// One sentence with number, subject and place.
    pub summary: String,
    /// What speaks for it, strongest first.
    pub evidence_for: Vec<Evidence>,
    /// What speaks against it.
    pub against: Vec<Evidence>,
    /// What was not looked at and would matter.
    pub unknown: Vec<String>,
    /// Causes further down that follow from this one: `(id, subject)`.
    pub explains: Vec<(String, Subject)>,
    /// What stops the bleeding, each with its risk.
    pub mitigate: Vec<Advice>,
    /// What removes the cause.
    pub fix: Vec<Advice>,
    /// How to see that it is gone.
    pub verify: Vec<Advice>,
}

/// A cause that was considered and excluded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOut {
    /// Its id.
    pub id: String,
    /// The proof.
    pub because: String,
}

/// Something that ought to be mended. It never raises the verdict by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind.
    pub id: String,
    /// The sentence.
    pub text: String,
    /// File and line.
    #[serde(rename = "where")]
    pub place: String,
    /// What to do.
    pub fix: String,
    /// The cause that tells of it, where one is named: the finding then only adds where it is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// A value that is configured for a request, and the line that says so. Foreign text: sanitise before showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configured {
    /// Whose: the gateway's kind, or the application.
    pub of: String,
    /// What: `waits for the answer`.
    pub what: String,
    /// The value.
    pub value: String,
    /// What it is called there: `proxy_read_timeout`. Empty: it has no name of its own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub setting: String,
    /// File and line, or what else says so. `None`: its own default.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}

impl Configured {
    /// `60s (proxy_read_timeout, /etc/nginx/nginx.conf:12)`
    pub fn shown(&self) -> String {
        let from: Vec<&str> =
            [self.setting.as_str(), self.at.as_deref().unwrap_or_default()].into_iter().filter(|one| !one.is_empty()).collect();
        let default = if self.at.is_none() && !self.setting.is_empty() { ", its default" } else { "" };
        if from.is_empty() { self.value.clone() } else { format!("{} ({}{default})", self.value, from.join(", ")) }
    }
}

/// What a client of the gateway sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Symptom {
    /// The status of the failing requests; `None`: no answer at all, or nothing fails.
    pub status: Option<u16>,
    /// The share of requests that fail, 0 to 1. `None`: none was tried or counted.
    pub share: Option<f64>,
    /// How many requests that share stands on.
    pub tried: u32,
    /// When it began, in seconds since the Unix epoch.
    #[serde(skip)]
    pub since: Option<i64>,
    /// How far that may be off, in seconds, where it is known.
    #[serde(skip)]
    pub since_within_s: Option<u32>,
    /// Nothing older could be read: it began then, or before.
    #[serde(skip)]
    pub since_earlier: bool,
    /// In words: `502`, `refused`, `pending > 10 s`.
    #[serde(skip)]
    pub words: String,
}

impl Symptom {
    /// The share as figures: `None` where nothing was tried or counted.
    pub fn of_tries(&self) -> Option<Share> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32 is between 0 and that")]
        let hits = (self.share?.clamp(0.0, 1.0) * f64::from(self.tried)).round() as u64;
        Some(Share { hits, all: u64::from(self.tried) })
    }

    /// The share in words: `100% of 3` where it is the same each time, else with what so few tries can tell: `3 of 20 (5-36 %)`.
    pub fn share_words(&self) -> Option<String> {
        let share = self.of_tries()?;
        Some(if share.mixed() { share.to_string() } else { format!("{:.0}% of {}", self.share? * 100.0, self.tried) })
    }

    /// When it began, in words, for a time that is written so: `02:17:41Z (+/-1 s)`, `before 02:17:41Z`.
    pub fn since_words(&self, time: &str) -> String {
        let before = if self.since_earlier { "before " } else { "" };
        let within = self.since_within_s.map_or_else(String::new, |within| format!(" (+/-{within} s)"));
        format!("{before}{time}{within}")
    }
}

/// How a hop of the request's path is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopState {
    /// It works.
    Good,
    /// It is broken here.
    Broken,
    /// It shows what is broken further on.
    Shows,
    /// Not looked at, or there is none.
    #[default]
    Unknown,
}

/// One hop of the request's path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hop {
    /// `client`, `gateway`, `name`, `connect`, `tls`, `answer`, `app`.
    pub name: String,
    /// Where.
    pub target: String,
    /// In a word or two: `OK`, `status 502`, `REFUSED`, `--`.
    pub outcome: String,
    /// How long it took.
    pub ms: Option<f64>,
    /// How it is.
    #[serde(skip)]
    pub state: HopState,
}

/// State of a step of the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckState {
    /// It was looked at and is fine.
    Pass,
    /// It was looked at and is not.
    Fail,
    /// It was not, or could not be, looked at.
    Unknown,
    /// It does not apply here.
    NotApplicable,
    /// A person ticked it.
    Done,
    /// A person skipped it.
    Skipped,
}

/// A step of the checklist with its state.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// The step's id in the catalogue.
    pub id: String,
    /// Its state.
    pub state: CheckState,
    /// The proof, or what is missing.
    pub text: String,
    /// When the proof was seen.
    pub at: Option<Stamp>,
    /// The command by which a person can check it.
    pub command: Option<Advice>,
}
