//! Rules against packets, in the listings of real tools.

use std::net::IpAddr;

use super::{
    iptables, nft,
    rules::{Packet, Ruleset},
    send, walk,
};
use crate::model::REWRITE;

/// `nft -j list ruleset` of nft 1.0.6.
const HARDENED: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
{"table": {"family": "inet", "name": "fw", "handle": 1}},
{"set": {"family": "inet", "name": "allowed", "table": "fw", "type": "ipv4_addr", "handle": 2, "flags": ["interval"], "elem": [{"prefix": {"addr": "10.0.1.0", "len": 24}}, {"range": ["10.0.3.1", "10.0.3.9"]}, {"elem": {"val": "10.0.4.4", "comment": "x"}}]}},
{"chain": {"family": "inet", "table": "fw", "name": "out", "handle": 1, "type": "filter", "hook": "output", "prio": 0, "policy": "drop"}},
{"chain": {"family": "inet", "table": "fw", "name": "ports", "handle": 3}},
{"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 4, "expr": [{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["invalid", {"drop": null}], ["established", {"accept": null}], ["related", {"accept": null}]]}}}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 5, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "lo"}}, {"accept": null}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 6, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "10.0.9.9"}}, {"match": {"op": "<", "left": {"numgen": {"mode": "random", "mod": 100, "offset": 0}}, "right": 60}}, {"counter": {"packets": 7, "bytes": 1}}, {"drop": null}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 7, "expr": [{"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 33}}, {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 9000}}, {"reject": {"type": "tcp reset"}}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 8, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": "@allowed"}}, {"jump": {"target": "ports"}}]}},
{"rule": {"family": "inet", "table": "fw", "chain": "ports", "handle": 9, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": {"set": [22, {"range": [8000, 8010]}, 9000]}}}, {"accept": null}]}}
]}"#;

fn packet(to: &str, port: u16) -> Packet {
    let to: IpAddr = to.parse().expect("an address");
    Packet {
        source: Some(IpAddr::from([10, 0, 1, 10])),
        destination: Some(to),
        destination_port: Some(port),
        device_out: Some("eth0".to_owned()),
        user: Some(33),
        group: Some(33),
        six: to.is_ipv6(),
        ..Packet::default()
    }
}

/// What meets a packet: the rule's verdict, its text, whether it does so beyond doubt.
fn meets(rules: &Ruleset, packet: &Packet) -> Vec<(String, String, bool)> {
    let hits = walk::hits(rules, packet, &["output", "postrouting"]);
    hits.into_iter().map(|(_, hit)| (hit.verdict, hit.text, hit.certain)).collect()
}

#[test]
fn a_hardened_ruleset_is_followed_through_sets_maps_and_jumps() {
    let rules = nft::read(HARDENED).expect("a listing");
    for (to, port) in [("10.0.1.30", 8005), ("10.0.3.5", 22), ("10.0.4.4", 8000)] {
        assert_eq!(meets(&rules, &packet(to, port)), [], "{to}:{port} is allowed");
    }
    let policy = ("drop".to_owned(), "policy drop".to_owned(), true);
    for (to, port) in [("10.0.3.10", 22), ("10.0.1.30", 8011), ("10.0.2.21", 8000), ("2001:db8::1", 8000)] {
        assert_eq!(meets(&rules, &packet(to, port)), std::slice::from_ref(&policy), "{to}:{port} is not");
    }
    let established = Packet { answer: true, ..packet("10.0.2.21", 8000) };
    assert_eq!(meets(&rules, &established), []);
    let reset = meets(&rules, &packet("10.0.1.30", 9000));
    assert_eq!(
        reset,
        [("reject tcp reset".to_owned(), "skuid 33 tcp dport 9000 reject with tcp reset # handle 7".to_owned(), true)]
    );
    let root = Packet { user: Some(0), ..packet("10.0.1.30", 9000) };
    assert_eq!(meets(&rules, &root), [], "the owner decides");
    let unknown = Packet { user: None, ..packet("10.0.1.30", 9000) };
    assert!(!meets(&rules, &unknown)[0].2, "an owner that is not known is no proof");
    // Chance may spare it; then the policy drops it beyond doubt.
    let chance = meets(&rules, &packet("10.0.9.9", 8000));
    assert_eq!(chance.iter().map(|(_, _, certain)| *certain).collect::<Vec<_>>(), [false, true], "{chance:?}");
}

#[test]
fn counters_are_compared_by_their_rule() {
    let then = nft::read(HARDENED).expect("a listing");
    let now = nft::read(&HARDENED.replace("\"packets\": 7", "\"packets\": 12")).expect("a listing");
    let hits = |rules: &Ruleset| walk::hits(rules, &packet("10.0.9.9", 8000), &["output"]);
    let counted = walk::counted(&hits(&then), hits(&now));
    assert_eq!(counted.iter().map(|hit| hit.counted).collect::<Vec<_>>(), [Some(5), None]);
}

/// `iptables-save -c` of iptables 1.8.9 (nf_tables).
const SAVED: &str = "# Generated by iptables-save v1.8.9 (nf_tables) on Sat Nov 21 08:41:00 2026
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
[0:0] -A OUTPUT -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.2.21:6443
COMMIT
*filter
:INPUT DROP [3:180]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [10:600]
:ufw-user-output - [0:0]
[4:240] -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
[0:0] -A OUTPUT -o lo -j ACCEPT
[6:360] -A OUTPUT -d 10.0.2.0/24 ! -o eth1 -p tcp -m tcp --dport 8000 -m comment --comment \"no way \\\"out\\\" -j ACCEPT\" -j REJECT --reject-with tcp-reset
[0:0] -A OUTPUT -d 10.0.2.0/24 -p tcp -m multiport --dports 9000:9010,9100 -m owner ! --uid-owner 0 -j DROP
[0:0] -A OUTPUT -m limit --limit 3/min -j LOG --log-prefix \"[UFW] \"
[0:0] -A OUTPUT -j ufw-user-output
[0:0] -A ufw-user-output -p udp -j DROP
[0:0] -A ufw-user-output -d 10.0.5.0/24 -m statistic --mode random --probability 0.5 -j DROP
[0:0] -A ufw-user-output -d 10.0.5.0/24 -p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN -j REJECT --reject-with icmp-port-unreachable
COMMIT
";

#[test]
fn saved_rules_are_read_with_negations_owners_and_comments() {
    let rules = iptables::read("iptables", SAVED, false);
    let verdicts = |to: &str, port| {
        meets(&rules, &packet(to, port)).into_iter().map(|(verdict, _, certain)| (verdict, certain)).collect::<Vec<_>>()
    };
    assert_eq!(verdicts("10.0.2.21", 8000), [("reject tcp reset".to_owned(), true)]);
    assert_eq!(verdicts("10.0.2.21", 9005), [("drop".to_owned(), true)]);
    assert_eq!(verdicts("10.0.2.21", 9011), []);
    assert_eq!(verdicts("10.0.1.1", 8000), []);
    let eth1 = Packet { device_out: Some("eth1".to_owned()), ..packet("10.0.2.21", 8000) };
    assert_eq!(meets(&rules, &eth1), []);
    let root = Packet { user: Some(0), ..packet("10.0.2.21", 9005) };
    assert_eq!(meets(&rules, &root), []);
    // One by chance, the next one all that are left.
    assert_eq!(verdicts("10.0.5.1", 80), [("drop".to_owned(), false), ("reject icmp-port-unreachable".to_owned(), true)]);
    // Where it goes to is another address now: nothing else is beyond doubt.
    let [(rewrite, true), rest @ ..] = &verdicts("10.96.0.1", 443)[..] else { panic!("it is sent elsewhere") };
    assert!(rewrite == REWRITE && rest.iter().all(|(_, certain)| !certain));
    assert_eq!(meets(&rules, &packet("2001:db8::1", 8000)), [], "these rules are not for IPv6");
    let answers = Packet { answer: true, ..packet("10.0.1.10", 40_000) };
    assert_eq!(walk::hits(&rules, &answers, &["prerouting", "input"]), []);
    let news = walk::hits(&rules, &packet("10.0.1.10", 40_000), &["input"]);
    assert_eq!(news.iter().map(|(_, hit)| hit.text.as_str()).collect::<Vec<_>>(), ["policy drop"]);
}

#[test]
fn what_is_no_listing_is_survived() {
    for text in ["", "{", "[]", "{\"nftables\": 7}", "\u{0}"] {
        assert_eq!(nft::read(text), None, "{text}");
    }
    let odd =
        r#"{"nftables": [{"chain": {}}, {"rule": {"expr": [{}, 7, {"match": {}}, {"vmap": {"key": 1}}]}}, {"set": {"elem": 3}}]}"#;
    assert!(nft::read(odd).is_some());
    for text in
        ["*filter\n:OUTPUT\n", "[x] -A", "-A OUTPUT -p", "[1:2] -A OUTPUT '", ":::", "*\n:OUTPUT DROP [18446744073709551616:0]"]
    {
        iptables::read("iptables", text, false);
    }
}

#[test]
fn a_jump_in_a_circle_ends() {
    let mut text = "*filter\n:OUTPUT ACCEPT [0:0]\n:a - [0:0]\n:b - [0:0]\n-A OUTPUT -j a\n".to_owned();
    for _ in 0..50 {
        text.push_str("-A a -j b\n-A b -j a\n");
    }
    assert_eq!(meets(&iptables::read("iptables", &text, false), &packet("10.0.2.21", 8000)), []);
}

#[test]
fn hops_are_told_by_what_is_left_of_them() {
    assert_eq!([64, 63, 128, 127, 60, 255, 250].map(send::hops), [0, 1, 0, 1, 4, 0, 5]);
}
