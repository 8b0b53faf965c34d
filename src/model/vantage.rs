//! What this program saw from another host, told here: the output of `why502 check URL --json`, piped in.

use serde::{Deserialize, Serialize};

/// What somebody elsewhere saw. Foreign text: sanitise before showing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vantage {
    /// The host that looked.
    pub host: String,
    /// When, as it says.
    pub at: String,
    /// What it asked for.
    #[serde(default)]
    pub url: Option<String>,
    /// What a client there got: `status 502`, `REFUSED`. `None`: it did not try.
    #[serde(default)]
    pub client: Option<String>,
    /// Where a client there asked: the URL of that hop.
    #[serde(default)]
    pub target: Option<String>,
    /// Each hop of the path as it is there: its name, and what came of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<(String, String)>,
}

/// How the blind spot begins that tells of a file which told nothing.
pub const ELSEWHERE: &str = "what was seen elsewhere";

/// Hops that are kept: the longest path has some ten.
const HOPS: usize = 16;

/// Bytes of one field that are kept.
const FIELD_BYTES: usize = 300;

impl Vantage {
    /// Reads the JSON of `check`. `None`: it is none.
    pub fn parse(json: &str) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_str(json).ok()?;
        let text = |value: &serde_json::Value| {
            let text = value.as_str()?;
            Some(text[..text.floor_char_boundary(FIELD_BYTES)].to_owned())
        };
        value.get("schema")?.as_str()?.strip_prefix("why502/")?;
        let hops = value.get("hops")?.as_array()?;
        let client = hops.iter().find(|hop| hop.get("name").and_then(|name| name.as_str()) == Some("client"));
        let outcome = client.and_then(|hop| text(hop.get("outcome")?)).filter(|outcome| outcome != "--");
        Some(Self {
            host: text(value.get("host")?)?,
            at: text(value.get("at")?)?,
            url: value.get("target").and_then(|target| text(target.get("url")?)),
            client: outcome,
            hops: hops.iter().take(HOPS).filter_map(|hop| Some((text(hop.get("name")?)?, text(hop.get("outcome")?)?))).collect(),
            target: client.and_then(|hop| text(hop.get("target")?)).filter(|target| !target.is_empty()),
        })
    }

    /// Whether a client there is served. `None`: it did not try.
    pub fn served(&self) -> Option<bool> {
        let outcome = self.client.as_deref()?;
        let status: Option<u16> = outcome.strip_prefix("status ").and_then(|status| status.parse().ok());
        Some(status.is_some_and(|status| status < 500))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_of_a_check_is_read_and_nothing_else() {
        let json = r#"{"schema":"why502/1","at":"2026-11-20T02:31:07Z","host":"laptop","target":{"url":"http://shop.test/"},
            "verdict":"unknown","hops":[{"name":"client","target":"http://shop.test/","outcome":"status 502","ms":3.1}]}"#;
        let seen = Vantage::parse(json).expect("a check");
        assert_eq!(seen.hops, [("client".to_owned(), "status 502".to_owned())]);
        assert_eq!((seen.host.as_str(), seen.client.as_deref(), seen.served()), ("laptop", Some("status 502"), Some(false)));
        let with = |outcome: &str| Vantage::parse(&json.replace("status 502", outcome)).expect("a check").served();
        assert_eq!((with("status 404"), with("--"), with("REFUSED")), (Some(true), None, Some(false)));
        for bad in ["", "{}", "[1]", r#"{"schema":"other/1"}"#, "not JSON", r#"{"schema":"why502/1","hops":{}}"#] {
            assert_eq!(Vantage::parse(bad), None, "{bad}");
        }
    }
}
