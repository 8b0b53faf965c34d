//! The listing of iptables-save(8) with counters. What is not understood becomes unknown, never a match.

use super::rules::{Chain, Field, Rule, Ruleset, Test, Value, Verdict};

/// Rules that are read, at most: the listing itself is bounded.
const RULES: usize = 100_000;
/// Characters of a rule that are kept.
const TEXT_CHARS: usize = 400;

/// The priorities of the tables at every hook (linux/netfilter_ipv4.h).
const TABLES: [(&str, i64); 5] = [("raw", -300), ("mangle", -150), ("nat", -100), ("filter", 0), ("security", 50)];
const HOOKS: [&str; 5] = ["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"];

/// Reads a listing.
pub(in crate::probe) fn read(tool: &'static str, text: &str, six: bool) -> Ruleset {
    let mut chains: Vec<Chain> = Vec::new();
    let mut table = "";
    for (number, line) in text.lines().enumerate().take(RULES) {
        if let Some(name) = line.strip_prefix('*') {
            table = name.trim();
        } else if let Some(rest) = line.strip_prefix(':') {
            chains.extend(read_chain(table, rest, six));
        } else if let Some(rule) = read_rule(line, number) {
            let (chain, rule) = rule;
            if let Some(chain) = chains.iter_mut().find(|known| known.table == table && known.name == chain) {
                chain.rules.push(rule);
            }
        }
    }
    Ruleset { tool, chains }
}

/// `OUTPUT ACCEPT [12:720]`
fn read_chain(table: &str, line: &str, six: bool) -> Option<Chain> {
    let mut words = line.split_ascii_whitespace();
    let (name, policy) = (words.next()?, words.next()?);
    let priority = TABLES.iter().find(|(known, _)| *known == table).map_or(0, |(_, priority)| *priority);
    let hook = HOOKS.contains(&name).then(|| (name.to_ascii_lowercase(), priority));
    let packets = words.next().and_then(packets);
    Some(Chain {
        table: table.to_owned(),
        name: name.to_owned(),
        families: (!six, six),
        hook,
        drops: policy == "DROP",
        packets,
        rules: Vec::new(),
    })
}

/// `[12:720]`
fn packets(text: &str) -> Option<u64> {
    text.strip_prefix('[')?.split(':').next()?.parse().ok()
}

/// `[0:0] -A OUTPUT -p tcp -m tcp --dport 8000 -j DROP`
fn read_rule(line: &str, number: usize) -> Option<(String, Rule)> {
    let (count, rest) = match line.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
        Some((count, rest)) => (packets(&format!("[{count}")), rest),
        None => (None, line),
    };
    let words = shlex::split(rest.strip_prefix("-A ")?)?;
    let mut words = words.into_iter().peekable();
    let chain = words.next()?;
    let mut rule = Rule {
        // Rules have no name: the same place with the same words is the same rule.
        key: format!("{number} {rest}"),
        text: rest.chars().take(TEXT_CHARS).collect(),
        tests: Vec::new(),
        verdict: Verdict::Continue,
        packets: count,
    };
    let mut negated = false;
    let mut reject = None;
    while let Some(option) = words.next() {
        if option == "!" {
            negated = true;
            continue;
        }
        let mut argument = || words.next().unwrap_or_default();
        let is = |field: Field, values: Vec<Value>| Test::Is { field, values, negated };
        match option.as_str() {
            "-p" | "--protocol" => {
                let name = argument();
                let values = match name.as_str() {
                    "all" => Vec::new(),
                    name => vec![name.parse().map_or_else(|_| Value::Text(name.to_owned()), Value::number)],
                };
                if !values.is_empty() {
                    rule.tests.push(is(Field::Protocol, values));
                }
            }
            "-s" | "--source" | "--src-range" => rule.tests.push(is(Field::Source, addresses(&argument()))),
            "-d" | "--destination" | "--dst-range" => rule.tests.push(is(Field::Destination, addresses(&argument()))),
            "-o" | "--out-interface" => rule.tests.push(is(Field::Out, vec![Value::Text(argument())])),
            "-i" | "--in-interface" => rule.tests.push(is(Field::In, vec![Value::Text(argument())])),
            "--dport" | "--dports" | "--destination-port" => rule.tests.push(is(Field::DestinationPort, numbers(&argument()))),
            "--sport" | "--sports" | "--source-port" => rule.tests.push(is(Field::SourcePort, numbers(&argument()))),
            "--uid-owner" => rule.tests.push(is(Field::User, numbers(&argument()))),
            "--gid-owner" => rule.tests.push(is(Field::Group, numbers(&argument()))),
            "--ctstate" | "--state" => {
                rule.tests.push(is(Field::State, argument().split(',').map(|word| Value::Text(word.to_owned())).collect()));
            }
            "--syn" => rule.tests.push(Test::Flags { mask: 0x17, set: 0x02, negated }),
            "--tcp-flags" => {
                let (mask, set) = (flags(&argument()), flags(&argument()));
                rule.tests.push(Test::Flags { mask, set, negated });
            }
            "-m" | "--match" | "--comment" | "--log-prefix" | "--log-level" | "--nflog-prefix" | "--nflog-group" => {
                argument();
            }
            "--reject-with" => reject = Some(argument()),
            "-j" | "--jump" => rule.verdict = target(argument()),
            "-g" | "--goto" => rule.verdict = Verdict::Goto(argument()),
            // Options of targets that change neither the way nor the end of a packet.
            "--set-xmark"
            | "--set-mark"
            | "--save-mark"
            | "--restore-mark"
            | "--to-destination"
            | "--to-ports"
            | "--to-source"
            | "--random"
            | "--log-uid"
            | "--notrack"
            | "--clamp-mss-to-pmtu" => {}
            option if option.starts_with('-') => rule.tests.push(Test::Unknown),
            // The argument of an option that is not known.
            _ => {}
        }
        negated = false;
    }
    if let Verdict::Reject(kind) = &mut rule.verdict {
        let how = reject.unwrap_or_else(|| "icmp-port-unreachable".to_owned());
        *kind = if matches!(how.as_str(), "tcp-reset" | "tcp-rst") { "tcp reset".to_owned() } else { how };
    }
    Some((chain, rule))
}

fn target(name: String) -> Verdict {
    match name.as_str() {
        "ACCEPT" => Verdict::Accept,
        "DROP" => Verdict::Drop,
        "REJECT" => Verdict::Reject(String::new()),
        "RETURN" => Verdict::Return,
        "DNAT" | "REDIRECT" | "TPROXY" => Verdict::Rewrite,
        // Targets are in capitals, and those that end a packet's way stand above.
        "LOG" | "NFLOG" | "ULOG" | "MARK" | "CONNMARK" | "CT" | "NOTRACK" | "TRACE" | "TCPMSS" | "TOS" | "DSCP" | "TTL"
        | "CLASSIFY" | "SNAT" | "MASQUERADE" | "CHECKSUM" | "SECMARK" | "CONNSECMARK" | "AUDIT" | "SET" | "TEE" => {
            Verdict::Continue
        }
        _ => Verdict::Jump(name),
    }
}

/// `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, several with commas.
fn addresses(text: &str) -> Vec<Value> {
    let one = |text: &str| match text.split_once('-') {
        Some((low, high)) => match (Value::network(low), Value::network(high)) {
            (Value::Range(low, _), Value::Range(_, high)) => Value::Range(low, high),
            _ => Value::Unknown,
        },
        None => Value::network(text),
    };
    text.split(',').map(one).collect()
}

/// `80`, `8000:8010`, several with commas; a name of a user or service is unknown.
fn numbers(text: &str) -> Vec<Value> {
    let one = |text: &str| {
        let (low, high) = text.split_once([':', '-']).unwrap_or((text, text));
        match (low.parse::<u128>(), high.parse::<u128>()) {
            (Ok(low), Ok(high)) => Value::Range(low, high),
            _ => Value::Unknown,
        }
    };
    text.split(',').map(one).collect()
}

fn flags(text: &str) -> u8 {
    let one = |name: &str| match name {
        "FIN" => 1,
        "SYN" => 2,
        "RST" => 4,
        "PSH" => 8,
        "ACK" => 16,
        "URG" => 32,
        "ALL" => 63,
        _ => 0,
    };
    text.split(',').map(one).fold(0, |sum, one| sum | one)
}
