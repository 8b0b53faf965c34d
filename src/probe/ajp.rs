//! The AJP 1.3 connector's own ping: CPing and CPong (Tomcat, "The Apache Tomcat Connectors: AJP protocol reference"). It asks for no
//! secret and runs nothing; Apache's own `ping=` sends the same.

use super::{http1::Answer, sniff, wire::Conn};
use crate::model::{Garbage, Outcome, Phase};

/// Server to container: length 1, type 10.
pub(super) const CPING: &[u8] = &[0x12, 0x34, 0x00, 0x01, 0x0a];
/// Container to server: length 1, type 9.
const CPONG: &[u8] = &[b'A', b'B', 0x00, 0x01, 0x09];

/// Reads the answer to a ping.
pub(super) async fn receive(conn: &mut Conn) -> Answer {
    let mut first = Vec::new();
    while first.len() < CPONG.len() {
        match conn.read(&mut first, Phase::Head).await {
            Ok(0) if first.is_empty() => return Answer::of(Outcome::Closed(Phase::Head)),
            Ok(0) => break,
            Ok(_) => {}
            Err(outcome) => return Answer::of(outcome),
        }
    }
    if first.starts_with(CPONG) {
        return Answer::noted(Outcome::Open, "it answers the ping of AJP".to_owned());
    }
    match sniff::speaks(&first) {
        Some(name) if name != "ajp" => Answer::noted(Outcome::Speaks(name.to_owned()), sniff::quote(&first)),
        _ => Answer::noted(Outcome::Invalid(Garbage::Framing("no answer to the ping of AJP".to_owned())), sniff::quote(&first)),
    }
}
