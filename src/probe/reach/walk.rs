//! One packet's way through the rules: which of them meets it? What a rule asks for holds, does not, or cannot be told from here;
//! the three are never mixed up.

use std::collections::BTreeMap;

use super::rules::{Chain, Field, Packet, Rule, Ruleset, Test, Value, Verdict, value_of};
use crate::model::{Order as _, REWRITE, RuleHit};

/// Chains that are entered from chains, at most: the kernel's own bound is 16 (NFT_JUMP_STACK_SIZE).
const DEPTH: usize = 16;
/// Rules that are looked at for one packet, at most: jumps can make few rules many.
const STEPS: usize = 100_000;
/// Rules that are told of, at most.
const HITS: usize = 16;
/// What drops a packet that comes to the end of a chain.
const POLICY: &str = "policy drop";

/// Yes, no, or not to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Yes,
    No,
    Perhaps,
}

impl Holds {
    fn unless(self, negated: bool) -> Self {
        match (self, negated) {
            (Self::Yes, true) => Self::No,
            (Self::No, true) => Self::Yes,
            (other, _) => other,
        }
    }
}

/// Rules of these hooks that drop or reject a packet, or may; with what tells them from others.
pub(in crate::probe) fn hits(ruleset: &Ruleset, packet: &Packet, hooks: &[&str]) -> Vec<(String, RuleHit)> {
    let mut walk = Walk { ruleset, packet: packet.clone(), hits: Vec::new(), steps: 0 };
    for hook in hooks {
        let mut bases: Vec<&Chain> = ruleset
            .chains
            .iter()
            .filter(|chain| chain.hook.as_ref().is_some_and(|(name, _)| name == hook))
            .filter(|chain| if packet.six { chain.families.1 } else { chain.families.0 })
            .collect();
        bases.order_by_key(|chain| chain.hook.as_ref().map(|(_, priority)| *priority));
        for base in bases {
            let end = walk.chain(base, true, 0);
            // What was dropped beyond doubt comes to no other chain.
            if end == End::Dropped {
                return walk.hits;
            }
            if let End::Through { lost } = end
                && base.drops
            {
                walk.hit(base, POLICY, POLICY, "drop", None, !lost, base.packets);
                if !lost {
                    return walk.hits;
                }
            }
        }
    }
    walk.hits
}

/// How a packet leaves a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Accepted,
    Dropped,
    /// By its end, or by `return`. `lost`: or it may have been accepted on the way.
    Through {
        lost: bool,
    },
}

struct Walk<'a> {
    ruleset: &'a Ruleset,
    packet: Packet,
    hits: Vec<(String, RuleHit)>,
    steps: usize,
}

impl Walk<'_> {
    #[expect(clippy::too_many_arguments, reason = "the fields of one thing that is made only here")]
    fn hit(
        &mut self,
        chain: &Chain,
        key: &str,
        text: &str,
        verdict: &str,
        owner: Option<u32>,
        certain: bool,
        packets: Option<u64>,
    ) {
        if self.hits.len() >= HITS {
            return;
        }
        let place = format!("{} {}", chain.table, chain.name);
        self.hits.push((
            format!("{place} {key}"),
            RuleHit {
                tool: self.ruleset.tool.to_owned(),
                chain: place,
                text: text.to_owned(),
                verdict: verdict.to_owned(),
                answers: self.packet.answer,
                certain,
                owner,
                counted: packets,
            },
        ));
    }

    /// Walks a chain. `certain`: whether the packet comes here beyond doubt.
    fn chain(&mut self, chain: &Chain, certain: bool, depth: usize) -> End {
        let mut lost = false;
        for rule in &chain.rules {
            self.steps += 1;
            if self.steps > STEPS {
                return End::Through { lost: true };
            }
            let holds = self.rule(rule);
            if holds == Holds::No {
                continue;
            }
            let sure = holds == Holds::Yes;
            match self.verdict(chain, rule, &rule.verdict, certain && sure && !lost, depth) {
                End::Through { lost: some } => lost |= some,
                End::Accepted if sure => return End::Accepted,
                End::Dropped if sure => return if lost { End::Through { lost } } else { End::Dropped },
                End::Accepted => lost = true,
                // If it is not dropped here, the next rules are as certain as before.
                End::Dropped => {}
            }
            match &rule.verdict {
                Verdict::Return | Verdict::Goto(_) if sure => return End::Through { lost },
                Verdict::Return | Verdict::Goto(_) => lost = true,
                _ => {}
            }
        }
        End::Through { lost }
    }

    fn verdict(&mut self, chain: &Chain, rule: &Rule, verdict: &Verdict, certain: bool, depth: usize) -> End {
        let owner = rule.tests.iter().find_map(|test| match test {
            Test::Is { field: Field::User, values, negated: false } => match values.first() {
                Some(Value::Range(low, high)) if low == high => u32::try_from(*low).ok(),
                _ => None,
            },
            _ => None,
        });
        match verdict {
            Verdict::Accept => End::Accepted,
            Verdict::Drop => {
                self.hit(chain, &rule.key, &rule.text, "drop", owner, certain, rule.packets);
                End::Dropped
            }
            Verdict::Reject(kind) => {
                self.hit(chain, &rule.key, &rule.text, &format!("reject {kind}"), owner, certain, rule.packets);
                End::Dropped
            }
            Verdict::Jump(name) | Verdict::Goto(name) if depth < DEPTH => {
                let next = self.ruleset.chains.iter().find(|other| other.table == chain.table && other.name == *name);
                next.map_or(End::Through { lost: true }, |next| self.chain(next, certain, depth + 1))
            }
            Verdict::Jump(_) | Verdict::Goto(_) => End::Through { lost: true },
            Verdict::Rewrite => {
                if self.packet.destination.is_some() {
                    self.hit(chain, &rule.key, &rule.text, REWRITE, None, certain, rule.packets);
                }
                (self.packet.destination, self.packet.destination_port) = (None, None);
                End::Through { lost: false }
            }
            Verdict::Return | Verdict::Continue => End::Through { lost: false },
            Verdict::Map(field, entries) => {
                for (values, verdict) in entries {
                    match self.compare(*field, values) {
                        Holds::Yes => return self.verdict(chain, rule, verdict, certain, depth),
                        Holds::No => {}
                        Holds::Perhaps => return End::Through { lost: true },
                    }
                }
                End::Through { lost: false }
            }
        }
    }

    fn rule(&self, rule: &Rule) -> Holds {
        let mut holds = Holds::Yes;
        for test in &rule.tests {
            let one = match test {
                Test::Unknown => Holds::Perhaps,
                Test::Is { field, values, negated } => self.compare(*field, values).unless(*negated),
                Test::Flags { mask, set, negated } => {
                    let flags: u8 = if self.packet.answer { 0x12 } else { 0x02 };
                    let equal = flags & mask == *set;
                    if equal { Holds::Yes } else { Holds::No }.unless(*negated)
                }
            };
            match one {
                Holds::No => return Holds::No,
                Holds::Perhaps => holds = Holds::Perhaps,
                Holds::Yes => {}
            }
        }
        holds
    }

    fn compare(&self, field: Field, values: &[Value]) -> Holds {
        let packet = &self.packet;
        let number = match field {
            Field::Source => packet.source.map(value_of),
            Field::Destination => packet.destination.map(value_of),
            Field::SourcePort => packet.source_port.map(u128::from),
            Field::DestinationPort => packet.destination_port.map(u128::from),
            Field::User => packet.user.map(u128::from),
            Field::Group => packet.group.map(u128::from),
            Field::Protocol => Some(6),
            Field::Family => Some(if packet.six { 6 } else { 4 }),
            Field::Out | Field::In | Field::State => None,
        };
        let word = match field {
            Field::Out => packet.device_out.as_deref(),
            Field::In => packet.device_in.as_deref(),
            Field::State => Some(if packet.answer { "established" } else { "new" }),
            Field::Protocol => Some("tcp"),
            Field::Family => Some(if packet.six { "ipv6" } else { "ipv4" }),
            _ => None,
        };
        if number.is_none() && word.is_none() {
            return Holds::Perhaps;
        }
        let mut unknown = false;
        for value in values {
            let (equal, known) = match (value, number, word) {
                (Value::Range(low, high), Some(number), _) => ((*low..=*high).contains(&number), true),
                (Value::Text(text), _, Some(word)) => match text.strip_suffix(['*', '+']) {
                    Some(begin) => (word.starts_with(begin), true),
                    None => (text.eq_ignore_ascii_case(word), true),
                },
                (Value::Unknown | Value::Range(..) | Value::Text(_), ..) => (false, false),
            };
            if equal {
                return Holds::Yes;
            }
            unknown |= !known;
        }
        if unknown { Holds::Perhaps } else { Holds::No }
    }
}

/// By how much each rule's counter rose between two listings; those that count nothing keep `None`.
pub(super) fn counted(before: &[(String, RuleHit)], after: Vec<(String, RuleHit)>) -> Vec<RuleHit> {
    let known: BTreeMap<(&str, &str, bool), Option<u64>> =
        before.iter().map(|(key, hit)| ((hit.tool.as_str(), key.as_str(), hit.answers), hit.counted)).collect();
    after
        .into_iter()
        .map(|(key, mut hit)| {
            let then = known.get(&(hit.tool.as_str(), key.as_str(), hit.answers)).copied().flatten();
            hit.counted = hit.counted.zip(then).map(|(now, then)| now.saturating_sub(then));
            hit
        })
        .collect()
}
