//! Connections to this host that its packet filter sends elsewhere (DNAT): the published ports of containers where no proxy process
//! listens for them (`"userland-proxy": false` of docker, podman, CNI's portmap).
//!
//! Only what the rules say in plain words is read: a TCP port, perhaps an address, and one target. Rules under other conditions may hold
//! for some requests and are left out.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value as Json;

use super::{FilterRules, FilterTool};
use crate::model::Redirect;

/// Redirects that are kept: a node of a cluster has a few hundred.
const KEPT: usize = 2_000;
/// Chains within chains that are followed.
const DEPTH: usize = 8;

/// A rule of a chain, as far as it matters here.
#[derive(Debug, Clone, Default)]
struct Rule {
    chain: String,
    /// The address that is asked for. `None`: any.
    asked: Option<IpAddr>,
    /// Whether it leaves out what is asked for by 127.0.0.0/8.
    without_loopback: bool,
    port: Option<u16>,
    to: Option<(IpAddr, Option<u16>)>,
    jump: Option<String>,
    /// Whether more is asked for than is understood.
    more: bool,
}

/// Those of all listings.
pub fn of(listings: &[FilterRules]) -> Vec<Redirect> {
    let mut out = Vec::new();
    for listing in listings {
        let (begins, rules) = match listing.tool {
            FilterTool::Nft => nft(&listing.text),
            FilterTool::Iptables | FilterTool::Ip6tables => iptables(&listing.text),
        };
        for begin in begins {
            follow(&rules, &begin, true, 0, &mut out);
        }
    }
    out.sort();
    out.dedup();
    out
}

/// What a connection of this host's own meets, from this chain on.
fn follow(rules: &[Rule], chain: &str, loopback: bool, depth: usize, out: &mut Vec<Redirect>) {
    for rule in rules.iter().filter(|rule| rule.chain == chain && !rule.more) {
        let loopback = loopback && !rule.without_loopback;
        if let Some(next) = &rule.jump
            && depth < DEPTH
        {
            follow(rules, next, loopback, depth + 1, out);
        }
        if let (Some(port), Some((ip, there))) = (rule.port, rule.to)
            && out.len() < KEPT
        {
            let any = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
            let from = SocketAddr::new(rule.asked.unwrap_or(any), port);
            out.push(Redirect { from, to: SocketAddr::new(ip, there.unwrap_or(port)), loopback });
        }
    }
}

/// The chains that this host's own connections begin with, and all rules, of `iptables-save` (iptables-extensions(8): tcp, addrtype, DNAT).
fn iptables(text: &str) -> (Vec<String>, Vec<Rule>) {
    let table = text.split("\n*").find(|part| part.trim_start_matches('*').starts_with("nat\n")).unwrap_or_default();
    let rule = |line: &str| {
        // `[12:345] -A CHAIN ...` with counters.
        let mut words = line.split(' ').skip_while(|word| *word != "-A").skip(1);
        let mut rule = Rule { chain: words.next()?.to_owned(), ..Rule::default() };
        let mut negated = false;
        while let Some(word) = words.next() {
            let not = std::mem::take(&mut negated);
            match word {
                "!" => negated = true,
                "-d" => match (words.next().unwrap_or_default(), not) {
                    ("127.0.0.0/8" | "127.0.0.1/32" | "::1/128", true) => rule.without_loopback = true,
                    (text, false) => match text.trim_end_matches("/32").trim_end_matches("/128").parse() {
                        Ok(ip) => rule.asked = Some(ip),
                        Err(_) => rule.more = true,
                    },
                    (_, true) => rule.more = true,
                },
                "-p" => rule.more |= words.next() != Some("tcp") || not,
                "-m" => rule.more |= !matches!(words.next(), Some("tcp" | "addrtype" | "comment")),
                "--dst-type" => rule.more |= words.next() != Some("LOCAL") || not,
                "--dport" if !not => rule.port = words.next().and_then(|port| port.parse().ok()),
                "--to-destination" => rule.to = words.next().and_then(target),
                // Where it comes in: what is made here comes in nowhere, so `! -i docker0` holds.
                "-i" => {
                    words.next();
                    rule.more |= !not;
                }
                "-j" | "-g" => rule.jump = words.next().filter(|target| *target != "DNAT").map(str::to_owned),
                // A comment is quoted, and may have blanks.
                "--comment" => {
                    let first = words.next().unwrap_or_default();
                    if first.starts_with('"') && !first[1..].ends_with('"') {
                        words.find(|word| word.ends_with('"'));
                    }
                }
                _ => rule.more = true,
            }
        }
        Some(rule)
    };
    (vec!["OUTPUT".to_owned()], table.lines().take_while(|line| *line != "COMMIT").filter_map(rule).collect())
}

/// `172.17.0.2:80`, `172.17.0.2`, `[fd00::2]:80`.
fn target(text: &str) -> Option<(IpAddr, Option<u16>)> {
    let whole = text.parse::<SocketAddr>().ok().map(|at| (at.ip(), Some(at.port())));
    whole.or_else(|| Some((text.trim_matches(['[', ']']).parse().ok()?, None)))
}

/// The same of `nft -j list ruleset` (libnftables-json(5)).
fn nft(text: &str) -> (Vec<String>, Vec<Rule>) {
    let Ok(all) = serde_json::from_str::<Json>(text) else { return (Vec::new(), Vec::new()) };
    let items = || all.get("nftables").and_then(Json::as_array).into_iter().flatten();
    let word = |of: &Json, key: &str| of.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    let chain = |of: &Json, key: &str| format!("{} {} {}", word(of, "family"), word(of, "table"), word(of, key));
    let begins = items().filter_map(|item| item.get("chain"));
    let begins = begins.filter(|one| word(one, "hook") == "output" && word(one, "type") == "nat").map(|one| chain(one, "name"));
    let rule = |one: &Json| {
        let mut rule = Rule { chain: chain(one, "chain"), ..Rule::default() };
        for expression in one.get("expr").and_then(Json::as_array).into_iter().flatten() {
            let Some((kind, body)) = expression.as_object().and_then(|object| object.iter().next()) else { continue };
            match kind.as_str() {
                "match" => meet(&mut rule, body),
                "counter" | "comment" | "log" => {}
                "jump" | "goto" => {
                    rule.jump = Some(format!("{} {} {}", word(one, "family"), word(one, "table"), word(body, "target")));
                }
                "dnat" => {
                    let ip = body.get("addr").and_then(Json::as_str).and_then(|ip| ip.parse().ok());
                    let port = body.get("port").and_then(Json::as_u64).and_then(|port| u16::try_from(port).ok());
                    rule.to = ip.map(|ip| (ip, port));
                }
                _ => rule.more = true,
            }
        }
        rule
    };
    (begins.collect(), items().filter_map(|item| item.get("rule")).map(rule).collect())
}

fn meet(rule: &mut Rule, body: &Json) {
    let (left, right) = (body.get("left").unwrap_or(&Json::Null), body.get("right").unwrap_or(&Json::Null));
    let not = body.get("op").and_then(Json::as_str) == Some("!=");
    let field = left
        .get("payload")
        .map(|payload| (payload.get("protocol").and_then(Json::as_str), payload.get("field").and_then(Json::as_str)));
    let fib = left.get("fib").and_then(|fib| fib.get("result")).and_then(Json::as_str);
    match (field, fib) {
        (Some((Some("tcp" | "th"), Some("dport"))), _) if !not => match right.as_u64().and_then(|port| u16::try_from(port).ok()) {
            Some(port) => rule.port = Some(port),
            None => rule.more = true,
        },
        (Some((Some("ip" | "ip6"), Some("daddr"))), _) if not => {
            let of = |key: &str| right.get("prefix").and_then(|prefix| prefix.get(key));
            let loopback = of("addr").and_then(Json::as_str) == Some("127.0.0.0") || right.as_str() == Some("127.0.0.1");
            rule.without_loopback |= loopback;
            rule.more |= !loopback;
        }
        (Some((Some("ip" | "ip6"), Some("daddr"))), _) => match right.as_str().and_then(|ip| ip.parse().ok()) {
            Some(ip) => rule.asked = Some(ip),
            None => rule.more = true,
        },
        (_, Some("type")) => rule.more |= not || right.as_str() != Some("local"),
        // `meta l4proto tcp`, and where it comes in: what is made here comes in nowhere.
        _ => {
            let key = left.get("meta").and_then(|meta| meta.get("key")).and_then(Json::as_str);
            rule.more |= !matches!((key, not), (Some("l4proto"), false) if right.as_str() == Some("tcp"))
                && !matches!((key, not), (Some("iifname"), true));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(tool: FilterTool, text: &str) -> Vec<String> {
        let all = of(&[FilterRules { tool, text: text.to_owned() }]);
        all.iter().map(|one| format!("{} {}{}", one.from, one.to, if one.loopback { " lo" } else { "" })).collect()
    }

    #[test]
    fn docker_s_rules_are_read() {
        // Of docker 24 with the userland proxy, and without it.
        let text = |without: &str| {
            format!(
                "*filter\n-A INPUT -p tcp -m tcp --dport 1 -j ACCEPT\nCOMMIT\n# x\n*nat\n:PREROUTING ACCEPT [0:0]\n[1:60] -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n[0:0] -A OUTPUT {without}-m addrtype --dst-type LOCAL -j DOCKER\n[0:0] -A DOCKER ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80\n[0:0] -A DOCKER -d 10.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 81 -m comment --comment \"a b\" -j DNAT --to-destination 172.17.0.3\n[0:0] -A DOCKER -p udp -m udp --dport 53 -j DNAT --to-destination 172.17.0.4:53\n[0:0] -A OTHER -p tcp -m tcp --dport 82 -j DNAT --to-destination 172.17.0.5:80\nCOMMIT\n"
            )
        };
        assert_eq!(
            shown(FilterTool::Iptables, &text("! -d 127.0.0.0/8 ")),
            ["0.0.0.0:8080 172.17.0.2:80", "10.0.0.1:81 172.17.0.3:81"]
        );
        assert_eq!(shown(FilterTool::Iptables, &text("")), ["0.0.0.0:8080 172.17.0.2:80 lo", "10.0.0.1:81 172.17.0.3:81 lo"]);
    }

    #[test]
    fn rules_of_nft_are_read() {
        let rule =
            |chain: &str, expr: &str| format!(r#"{{"rule":{{"family":"ip","table":"nat","chain":"{chain}","expr":[{expr}]}}}}"#);
        let port = r#"{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":8080}}"#;
        let local = r#"{"match":{"op":"==","left":{"fib":{"result":"type","flags":["daddr"]}},"right":"local"}}"#;
        let to = r#"{"dnat":{"addr":"172.17.0.2","port":80}}"#;
        let text = format!(
            r#"{{"nftables":[{{"chain":{{"family":"ip","table":"nat","name":"out","type":"nat","hook":"output"}}}},{},{},{}]}}"#,
            rule("out", &format!(r#"{local},{{"jump":{{"target":"ports"}}}}"#)),
            rule("ports", &format!("{port},{to}")),
            rule("other", &format!("{port},{to}")),
        );
        assert_eq!(shown(FilterTool::Nft, &text), ["0.0.0.0:8080 172.17.0.2:80 lo"]);
        assert_eq!(shown(FilterTool::Nft, "no JSON"), Vec::<String>::new());
    }
}
