//! nft's listing as JSON (libnftables-json(5)). What is not understood becomes unknown, never a match.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::rules::{Chain, Field, Rule, Ruleset, Test, Value, Verdict};

/// Characters of a rule that are kept.
const TEXT_CHARS: usize = 400;
/// Elements of a set that are looked at. A larger one (a blocklist) is not evaluated: it is unknown.
const ELEMENTS: usize = 50_000;

/// Named sets and maps, by table and name.
type Sets<'a> = BTreeMap<(String, &'a str), &'a [Json]>;

/// Reads a listing. `None`: it is none.
pub(in crate::probe) fn read(text: &str) -> Option<Ruleset> {
    let listing: Json = serde_json::from_str(text).ok()?;
    let objects = listing.get("nftables")?.as_array()?;
    let mut sets: Sets<'_> = BTreeMap::new();
    let mut chains: Vec<Chain> = Vec::new();
    for object in objects {
        if let Some(set) = object.get("set").or_else(|| object.get("map"))
            && let (Some(name), Some(elements)) = (set.get("name").and_then(Json::as_str), set.get("elem").and_then(Json::as_array))
        {
            sets.insert((table(set), name), elements);
        }
        if let Some(chain) = object.get("chain") {
            chains.push(read_chain(chain));
        }
    }
    for object in objects {
        let Some(rule) = object.get("rule") else { continue };
        let (table, name) = (table(rule), rule.get("chain").and_then(Json::as_str).unwrap_or_default());
        if let Some(chain) = chains.iter_mut().find(|chain| chain.table == table && chain.name == name) {
            chain.rules.push(read_rule(rule, &table, &sets));
        }
    }
    Some(Ruleset { tool: "nft", chains })
}

/// `inet filter`.
fn table(object: &Json) -> String {
    let text = |key: &str| object.get(key).and_then(Json::as_str).unwrap_or_default();
    format!("{} {}", text("family"), text("table"))
}

fn read_chain(chain: &Json) -> Chain {
    let text = |key: &str| chain.get(key).and_then(Json::as_str);
    let family = text("family").unwrap_or_default();
    Chain {
        table: table(chain),
        name: text("name").unwrap_or_default().to_owned(),
        families: (matches!(family, "ip" | "inet"), matches!(family, "ip6" | "inet")),
        hook: text("hook").map(|hook| (hook.to_owned(), chain.get("prio").and_then(Json::as_i64).unwrap_or_default())),
        drops: text("policy") == Some("drop"),
        packets: None,
        rules: Vec::new(),
    }
}

fn read_rule(rule: &Json, table: &str, sets: &Sets<'_>) -> Rule {
    let mut read = Rule {
        key: rule.get("handle").map(Json::to_string).unwrap_or_default(),
        text: String::new(),
        tests: Vec::new(),
        verdict: Verdict::Continue,
        packets: None,
    };
    let mut words = Vec::new();
    for expression in rule.get("expr").and_then(Json::as_array).into_iter().flatten() {
        let Some((kind, body)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
        words.push(word(kind, body));
        match kind.as_str() {
            "match" => read.tests.extend(read_match(body, table, sets)),
            "counter" => read.packets = body.get("packets").and_then(Json::as_u64),
            "vmap" => read.verdict = read_map(body, table, sets).unwrap_or(Verdict::Continue),
            "log" | "mangle" | "comment" | "notrack" | "ct timeout" | "ct helper" | "set" | "flow" | "meter" => {}
            _ => match verdict(kind, body) {
                Some(verdict) => read.verdict = verdict,
                None => read.tests.push(Test::Unknown),
            },
        }
    }
    if !read.key.is_empty() {
        words.push(format!("# handle {}", read.key));
    }
    read.text = words.join(" ").chars().take(TEXT_CHARS).collect();
    read
}

fn verdict(kind: &str, body: &Json) -> Option<Verdict> {
    let target = || body.get("target").and_then(Json::as_str).unwrap_or_default().to_owned();
    Some(match kind {
        "accept" => Verdict::Accept,
        "drop" => Verdict::Drop,
        "return" => Verdict::Return,
        "continue" | "snat" | "masquerade" => Verdict::Continue,
        "jump" => Verdict::Jump(target()),
        "goto" => Verdict::Goto(target()),
        "dnat" | "redirect" | "tproxy" => Verdict::Rewrite,
        "reject" => {
            let (kind, expr) = (body.get("type").and_then(Json::as_str), body.get("expr").and_then(Json::as_str));
            // Without words it is icmp port-unreachable (nft(8), REJECT STATEMENT).
            let words: Vec<&str> =
                [kind.or(Some("icmp")), expr.or(kind.is_none().then_some("port-unreachable"))].into_iter().flatten().collect();
            Verdict::Reject(words.join(" "))
        }
        _ => return None,
    })
}

/// What a match asks for; several tests where the field implies a family or protocol.
fn read_match(body: &Json, table: &str, sets: &Sets<'_>) -> Vec<Test> {
    let (Some(left), Some(right)) = (body.get("left"), body.get("right")) else { return vec![Test::Unknown] };
    let op = body.get("op").and_then(Json::as_str).unwrap_or("==");
    if let Some(flags) = read_flags(left, right, op) {
        return vec![flags];
    }
    let Some((field, mut tests)) = read_field(left) else { return vec![Test::Unknown] };
    let mut values = read_values(right, table, sets);
    let limits: Vec<u128> =
        values.iter().filter_map(|value| if let Value::Range(low, _) = value { Some(*low) } else { None }).collect();
    match (op, limits.first()) {
        ("<", Some(limit)) => values = vec![Value::Range(0, limit.saturating_sub(1))],
        ("<=", Some(limit)) => values = vec![Value::Range(0, *limit)],
        (">", Some(limit)) => values = vec![Value::Range(limit.saturating_add(1), u128::MAX)],
        (">=", Some(limit)) => values = vec![Value::Range(*limit, u128::MAX)],
        ("==" | "!=" | "in", _) => {}
        _ => values = vec![Value::Unknown],
    }
    tests.push(Test::Is { field, values, negated: op == "!=" });
    tests
}

/// The field, and what asking for it implies: `tcp dport` is never that of a datagram.
fn read_field(left: &Json) -> Option<(Field, Vec<Test>)> {
    let is = |field: Field, number: u128| vec![Test::Is { field, values: vec![Value::number(number)], negated: false }];
    if let Some(payload) = left.get("payload") {
        let text = |key: &str| payload.get(key).and_then(Json::as_str).unwrap_or_default();
        let implied = match text("protocol") {
            "ip" => is(Field::Family, 4),
            "ip6" => is(Field::Family, 6),
            "tcp" => is(Field::Protocol, 6),
            "udp" => is(Field::Protocol, 17),
            "sctp" => is(Field::Protocol, 132),
            "th" => Vec::new(),
            _ => return None,
        };
        let field = match text("field") {
            "saddr" => Field::Source,
            "daddr" => Field::Destination,
            "sport" => Field::SourcePort,
            "dport" => Field::DestinationPort,
            "protocol" | "nexthdr" => Field::Protocol,
            _ => return None,
        };
        return Some((field, implied));
    }
    if let Some(key) = left.get("meta").and_then(|meta| meta.get("key")).and_then(Json::as_str) {
        let field = match key {
            "oif" | "oifname" => Field::Out,
            "iif" | "iifname" => Field::In,
            "skuid" => Field::User,
            "skgid" => Field::Group,
            "l4proto" => Field::Protocol,
            "nfproto" => Field::Family,
            _ => return None,
        };
        return Some((field, Vec::new()));
    }
    let state = left.get("ct").and_then(|ct| ct.get("key")).and_then(Json::as_str) == Some("state");
    state.then_some((Field::State, Vec::new()))
}

/// TCP flags: `tcp flags syn`, or `tcp flags & (fin | syn | rst | ack) == syn`.
fn read_flags(left: &Json, right: &Json, op: &str) -> Option<Test> {
    let is_flags = |json: &Json| {
        let payload = json.get("payload")?;
        (payload.get("field")?.as_str()? == "flags").then_some(())
    };
    let negated = op == "!=";
    if let Some([field, mask]) = left.get("&").and_then(Json::as_array).map(Vec::as_slice) {
        is_flags(field)?;
        return Some(Test::Flags { mask: flags(mask)?, set: flags(right)?, negated });
    }
    is_flags(left)?;
    let set = flags(right)?;
    // `tcp flags syn` alone asks whether the bit is set, `==` for all of them.
    let mask = if op == "in" { set } else { 0x3f };
    Some(Test::Flags { mask, set, negated })
}

fn flags(json: &Json) -> Option<u8> {
    match json {
        Json::String(name) => Some(match name.as_str() {
            "fin" => 1,
            "syn" => 2,
            "rst" => 4,
            "psh" => 8,
            "ack" => 16,
            "urg" => 32,
            _ => return None,
        }),
        Json::Number(number) => u8::try_from(number.as_u64()?).ok(),
        Json::Array(list) => list.iter().try_fold(0, |sum, one| Some(sum | flags(one)?)),
        Json::Object(object) => flags(object.get("|")?),
        Json::Null | Json::Bool(_) => None,
    }
}

/// Values: one, a range, a network, a set of them, or the name of a set.
fn read_values(json: &Json, table: &str, sets: &Sets<'_>) -> Vec<Value> {
    let many = |list: &[Json]| -> Vec<Value> {
        if list.len() > ELEMENTS {
            return vec![Value::Unknown];
        }
        list.iter().map(read_value).collect()
    };
    match json {
        Json::String(name) if name.starts_with('@') => {
            sets.get(&(table.to_owned(), &name[1..])).map_or_else(|| vec![Value::Unknown], |list| many(list))
        }
        Json::Array(list) => many(list),
        Json::Object(object) => match object.get("set") {
            Some(Json::Array(list)) => many(list),
            Some(other) => read_values(other, table, sets),
            None => vec![read_value(json)],
        },
        other => vec![read_value(other)],
    }
}

fn read_value(json: &Json) -> Value {
    match json {
        Json::Number(number) => number.as_u64().map_or(Value::Unknown, |number| Value::number(number.into())),
        Json::String(text) => match Value::network(text) {
            Value::Unknown => match text.parse::<u64>() {
                Ok(number) => Value::number(number.into()),
                Err(_) => Value::Text(text.clone()),
            },
            network => network,
        },
        Json::Object(object) => {
            if let Some([low, high]) = object.get("range").and_then(Json::as_array).map(Vec::as_slice) {
                return match (read_value(low), read_value(high)) {
                    (Value::Range(low, _), Value::Range(_, high)) => Value::Range(low, high),
                    _ => Value::Unknown,
                };
            }
            if let Some(prefix) = object.get("prefix") {
                let (address, length) = (prefix.get("addr").and_then(Json::as_str), prefix.get("len").and_then(Json::as_u64));
                return address
                    .zip(length)
                    .map_or(Value::Unknown, |(address, length)| Value::network(&format!("{address}/{length}")));
            }
            object.get("elem").and_then(|elem| elem.get("val")).map_or(Value::Unknown, read_value)
        }
        Json::Null | Json::Bool(_) | Json::Array(_) => Value::Unknown,
    }
}

/// `ct state vmap { established : accept, ... }`.
fn read_map(body: &Json, table: &str, sets: &Sets<'_>) -> Option<Verdict> {
    let (field, _) = read_field(body.get("key")?)?;
    let data = body.get("data")?;
    let entries = match data {
        Json::String(name) => *sets.get(&(table.to_owned(), name.strip_prefix('@')?))?,
        other => other.get("set")?.as_array()?,
    };
    let read = |entry: &Json| {
        let (key, value) = (entry.get(0)?, entry.get(1)?);
        let (kind, body) = value.as_object()?.iter().next()?;
        Some((read_values(key, table, sets), verdict(kind, body)?))
    };
    Some(Verdict::Map(field, entries.iter().take(ELEMENTS).filter_map(read).collect()))
}

/// An expression for a person's eyes.
fn word(kind: &str, body: &Json) -> String {
    match kind {
        "match" => {
            let part = |key: &str| body.get(key).map(side).unwrap_or_default();
            let op = body.get("op").and_then(Json::as_str).filter(|op| !matches!(*op, "==" | "in"));
            [part("left"), op.unwrap_or_default().to_owned(), part("right")]
                .into_iter()
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .join(" ")
        }
        "counter" => "counter".to_owned(),
        "jump" | "goto" => format!("{kind} {}", body.get("target").and_then(Json::as_str).unwrap_or_default()),
        "reject" => match verdict(kind, body) {
            Some(Verdict::Reject(words)) => format!("reject with {words}"),
            _ => "reject".to_owned(),
        },
        "xt" => body.get("name").and_then(Json::as_str).unwrap_or("xt").to_owned(),
        "vmap" => "vmap { ... }".to_owned(),
        other => other.to_owned(),
    }
}

fn side(json: &Json) -> String {
    let text = |json: &Json, key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    match json {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Array(list) => format!("{{ {} }}", list.iter().take(8).map(side).collect::<Vec<_>>().join(", ")),
        Json::Object(object) => match object.iter().next().map(|(kind, body)| (kind.as_str(), body)) {
            Some(("payload", body)) => format!("{} {}", text(body, "protocol"), text(body, "field")),
            Some(("meta", body)) => text(body, "key"),
            Some(("ct", body)) => format!("ct {}", text(body, "key")),
            Some(("set", body)) => side(body),
            Some(("range", Json::Array(ends))) => ends.iter().map(side).collect::<Vec<_>>().join("-"),
            Some(("prefix", body)) => format!("{}/{}", text(body, "addr"), body.get("len").map(side).unwrap_or_default()),
            Some(("numgen", _)) => "numgen random".to_owned(),
            Some((kind, _)) => format!("{kind} ..."),
            None => String::new(),
        },
        Json::Null | Json::Bool(_) => String::new(),
    }
}
