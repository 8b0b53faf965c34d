//! What a scenario is: the keys of `tests/lab/scenarios/*.toml`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Deserialize;

/// The name under which a scenario says that nothing is wrong.
pub(crate) const HEALTHY: &str = "healthy";

/// Wall time that one `check` may take in milliseconds, unless the scenario says otherwise: its own default and half of it, for a machine
/// that is short of processors. How quick it is stands in the figures at the end of a run.
const WITHIN_MS: u64 = 15_000;
/// Requests of ordinary users before `check` is asked, unless the scenario says otherwise.
const TRAFFIC: u32 = 8;
/// Requests by which the lab makes sure of the fault, unless the scenario says otherwise.
const TRIES: u32 = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    scenario: Vec<Scenario>,
}

/// How `check` is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    /// `why502 check --json URL`
    Url,
    /// `why502 check --json`
    Bare,
}

impl Way {
    /// The word, which is also the name of the files it leaves.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Bare => "bare",
        }
    }
}

/// One broken, or healthy, host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// Unique; lower case, digits and hyphens: it names the trial and its files.
    pub(crate) name: String,
    /// What is wrong, in a sentence.
    pub(crate) why: String,
    /// Shell that brings the host there, in the words of `lib.sh`; it fails on the first command that does.
    pub(crate) setup: String,
    /// What a client asks for.
    #[serde(default = "url")]
    pub(crate) url: String,
    /// What the client gets: statuses, or `refused`, `empty`, `timeout`; `a|b` where either will do. All of these must be seen, and nothing else.
    pub(crate) status: Vec<String>,
    /// Requests by which the lab makes sure of that.
    #[serde(default = "tries")]
    pub(crate) tries: u32,
    /// Whether it uses up the machine's processors, so that no other may run beside it.
    #[serde(default)]
    pub(crate) alone: bool,
    /// Requests of ordinary users before `check`; while it runs, two a second go on. 0: nobody comes.
    #[serde(default = "traffic")]
    pub(crate) traffic: u32,
    /// How `check` is called, one after the other.
    #[serde(default = "ways")]
    pub(crate) ways: Vec<Way>,
    /// More words of the command line, without blanks in them: `--vantage`, `/srv/app/elsewhere.json`.
    #[serde(default)]
    pub(crate) options: Vec<String>,
    /// As whom `check` is run. Empty: root.
    #[serde(default)]
    pub(crate) user: String,
    /// Cause ids of which one must stand first; or `healthy` alone.
    pub(crate) cause: Vec<String>,
    /// The first cause's `reason`.
    pub(crate) reason: Option<String>,
    /// The first cause's `subject`.
    pub(crate) subject: Option<String>,
    /// The first red hop of the path: `client`, `edge`, `nginx`, `dns`, `tcp`, `unix`, `tls`, `http`, `fastcgi`, `app`, ...; several with
    /// `|` where that depends on how `check` is called. Without it: any.
    pub(crate) broken: Option<String>,
    /// `ok`, `warning`, `critical` or `unknown`; several with `|` where chance decides. Without it: `ok` where healthy, else `critical`.
    verdict: Option<String>,
    /// Cause ids that must stand among the causes, wherever that is.
    #[serde(default)]
    pub(crate) also: Vec<String>,
    /// Cause ids that may stand nowhere among the causes.
    #[serde(default)]
    pub(crate) absent: Vec<String>,
    /// Ids of findings that must be listed, whatever else is. What is healthy has no others, but for a pool of one server.
    #[serde(default)]
    pub(crate) findings: Vec<String>,
    /// Ids of findings that may not be listed.
    #[serde(default)]
    pub(crate) no_findings: Vec<String>,
    /// Words that the findings that must be listed contain, in text, place or remedy.
    #[serde(default)]
    pub(crate) advises: Vec<String>,
    /// Words that the first cause's advice must contain: in this gateway's and this application server's own terms.
    #[serde(default)]
    pub(crate) fixes: Vec<String>,
    /// Words that the first cause's advice on how to see that it is gone must contain.
    #[serde(default)]
    pub(crate) verifies: Vec<String>,
    /// Words that stand neither in the first cause's summary nor in any of its advice.
    #[serde(default)]
    pub(crate) no_words: Vec<String>,
    /// The URL that all is told of; several with `|`.
    pub(crate) about: Option<String>,
    /// What is told to fail by the logs alone, while that URL is served.
    pub(crate) unasked: Option<String>,
    /// Steps of the checklist whose state matters here, and that state: `pass`, `fail`, `unknown`, `not-applicable`.
    #[serde(default)]
    pub(crate) steps: BTreeMap<String, String>,
    /// Words that the first cause's summary or evidence must contain.
    #[serde(default)]
    pub(crate) says: Vec<String>,
    /// Wall time of one `check` in milliseconds, and its own `took_ms`.
    #[serde(default = "within_ms")]
    pub(crate) within_ms: u64,
}

impl Scenario {
    /// Whether nothing is wrong there.
    pub(crate) fn healthy(&self) -> bool {
        self.cause.iter().any(|id| id == HEALTHY)
    }

    /// The verdict that is right.
    pub(crate) fn verdict(&self) -> &str {
        self.verdict.as_deref().unwrap_or(if self.healthy() { "ok" } else { "critical" })
    }

    fn complaint(&self) -> Option<&'static str> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.name.is_empty() || !self.name.chars().all(plain) {
            return Some("its name has other characters than a-z, 0-9 and -");
        }
        if self.status.is_empty() || self.cause.is_empty() || self.ways.is_empty() || self.tries == 0 {
            return Some("status, cause, ways and tries may not be empty");
        }
        if self.healthy() && (self.cause.len() > 1 || self.reason.is_some() || !self.says.is_empty()) {
            return Some("what is healthy has no cause beside it");
        }
        None
    }
}

fn url() -> String {
    "http://127.0.0.1/".to_owned()
}

fn tries() -> u32 {
    TRIES
}

fn traffic() -> u32 {
    TRAFFIC
}

fn ways() -> Vec<Way> {
    vec![Way::Url, Way::Bare]
}

fn within_ms() -> u64 {
    WITHIN_MS
}

/// All scenarios, by file and place in it.
pub(crate) fn load() -> Result<Vec<Scenario>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios");
    let entries = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let mut files: Vec<_> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    files.sort();
    let mut all: Vec<Scenario> = Vec::new();
    let mut names = BTreeSet::new();
    for path in files {
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let file: File = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
        for scenario in file.scenario {
            let complaint = scenario.complaint().or((!names.insert(scenario.name.clone())).then_some("its name stands twice"));
            if let Some(complaint) = complaint {
                return Err(format!("{}: {}: {complaint}", path.display(), scenario.name));
            }
            all.push(scenario);
        }
    }
    if all.is_empty() {
        return Err(format!("{}: no scenarios", folder.display()));
    }
    Ok(all)
}
