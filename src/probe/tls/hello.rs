//! A ClientHello made by hand, and the first answer to it: what a peer speaks that rustls does not.
//!
//! Nothing of it is a handshake: the connection is dropped after the answer. rustls speaks TLS 1.2 and 1.3 with the suites of
//! today; a gateway with OpenSSL may speak far older ones, and its peer too.

use std::time::Duration;

use super::{
    super::wire::{Conn, Peer},
    suites,
};
use crate::{
    model::{Order as _, Phase, TlsVersion},
    sys::Stopwatch,
};

/// Bytes of an answer that are read: a ServerHello has hundreds.
const ANSWER: usize = 4 << 10;
/// Named groups that OpenSSL and Go offer: x25519, P-256, x448, P-521, P-384 (RFC 8446 section 4.2.7).
const GROUPS: [u16; 5] = [0x001d, 0x0017, 0x001e, 0x0019, 0x0018];
/// Signature schemes, new and old (RFC 8446 section 4.2.3); SHA-1 ones last.
const SCHEMES: [u16; 16] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0804, 0x0805, 0x0806, 0x0809, 0x080a, 0x080b, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201,
];

/// What is offered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// Versions, in any order; not empty.
    pub(super) versions: Vec<TlsVersion>,
    /// Suites of all of them.
    pub(super) suites: Vec<u16>,
    /// The server name.
    pub(super) sni: Option<String>,
}

/// What came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::probe) enum Answer {
    /// It would go on with this version and suite.
    Hello(TlsVersion, u16),
    /// An alert of this number (RFC 8446 section 6).
    Alert(u8),
    /// It closed.
    Closed,
    /// Something that is no TLS.
    NotTls,
    /// Nothing, or not enough, in time; or no connection at all.
    Nothing,
}

impl Question {
    /// The bytes of the record.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let newest = self.versions.iter().copied().max().unwrap_or(TlsVersion::Tls12);
        let old = newest.min(TlsVersion::Tls12);
        let mut body = old.wire().to_be_bytes().to_vec();
        // Neither random nor session id guard anything here: no key is ever made.
        body.extend((0_u8..32).map(|index| index.wrapping_mul(37).wrapping_add(11)));
        body.extend(sized8(&[]));
        body.extend(sized16(&words(&self.suites)));
        body.extend([1, 0]);
        if newest > TlsVersion::Ssl3 {
            body.extend(sized16(&self.extensions(newest)));
        }
        let length = u32::try_from(body.len()).unwrap_or_default().to_be_bytes();
        let message = [&[1, length[1], length[2], length[3]], body.as_slice()].concat();
        // The record's version is the oldest one for the sake of old peers (RFC 8446 section 5.1).
        let record = if newest == TlsVersion::Ssl3 { [0x16, 3, 0] } else { [0x16, 3, 1] };
        [record.as_slice(), &sized16(&message)].concat()
    }

    fn extensions(&self, newest: TlsVersion) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |number: u16, value: Vec<u8>| {
            out.extend(number.to_be_bytes());
            out.extend(sized16(&value));
        };
        if let Some(name) = &self.sni {
            let entry = [&[0], sized16(name.as_bytes()).as_slice()].concat();
            add(0, sized16(&entry));
        }
        add(10, sized16(&words(&GROUPS)));
        add(11, sized8(&[0]));
        if newest >= TlsVersion::Tls12 {
            add(13, sized16(&words(&SCHEMES)));
        }
        // extended_master_secret, renegotiation_info: some peers refuse who does not know them.
        add(23, Vec::new());
        add(0xff01, vec![0]);
        if newest >= TlsVersion::Tls13 {
            let mut versions: Vec<TlsVersion> = self.versions.clone();
            versions.order_by(|a, b| b.cmp(a));
            add(43, sized8(&words(&versions.iter().map(|version| version.wire()).collect::<Vec<_>>())));
            // psk_dhe_ke.
            add(45, sized8(&[1]));
            // Any 32 bytes are a key of x25519 (RFC 7748 section 5): these are its base point.
            let mut point = [0; 32];
            point[0] = 9;
            let share = [&GROUPS[0].to_be_bytes(), sized16(&point).as_slice()].concat();
            add(51, sized16(&share));
        }
        out
    }

    /// Asks over a connection of its own.
    pub(super) async fn ask(&self, peer: &Peer, within: Duration) -> Answer {
        let Ok(stream) = peer.connect(within).await else { return Answer::Nothing };
        let mut conn = Conn::new(stream, Stopwatch::start(), within);
        let _ = conn.send(&self.bytes()).await;
        let mut bytes = Vec::new();
        loop {
            match (conn.read(&mut bytes, Phase::Tls).await, read(&bytes)) {
                (_, Some(answer)) => return answer,
                (Ok(0), None) => return if bytes.is_empty() { Answer::Closed } else { Answer::NotTls },
                (Ok(_), None) if bytes.len() > ANSWER => return Answer::NotTls,
                (Ok(_), None) => {}
                (Err(crate::model::Outcome::Reset(_)), None) => return Answer::Closed,
                (Err(_), None) => return Answer::Nothing,
            }
        }
    }
}

fn words(all: &[u16]) -> Vec<u8> {
    all.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Bytes with their length in front; what is too long can't be, by the bounds of who calls.
fn sized16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes(), bytes].concat()
}

fn sized8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap_or_default()], bytes].concat()
}

/// What these first bytes are; `None`: there are too few to tell.
pub(in crate::probe) fn read(bytes: &[u8]) -> Option<Answer> {
    match bytes.first()? {
        0x15 => bytes.get(6).map(|description| Answer::Alert(*description)),
        0x16 => {
            // A ServerHello is the first message: its header, and then version, random, session id, suite (RFC 8446 section 4.1.3).
            if bytes.get(1).is_some_and(|major| *major != 3) || bytes.get(5).is_some_and(|kind| *kind != 2) {
                return Some(Answer::NotTls);
            }
            let length = usize::from(*bytes.get(7)?) << 8 | usize::from(*bytes.get(8)?);
            let message = bytes.get(9..)?;
            let whole = message.get(..length).or_else(|| message.get(..ANSWER))?;
            Some(server_hello(whole).unwrap_or(Answer::NotTls))
        }
        _ => Some(Answer::NotTls),
    }
}

fn server_hello(message: &[u8]) -> Option<Answer> {
    let word = |at: usize| Some(u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]));
    let after_id = 35 + usize::from(*message.get(34)?);
    let suite = word(after_id)?;
    let mut version = TlsVersion::of_wire(word(0)?)?;
    let mut at = after_id + 5;
    while let (Some(kind), Some(length)) = (word(at), word(at + 2)) {
        if kind == 43 {
            version = TlsVersion::of_wire(word(at + 4)?)?;
        }
        at += 4 + usize::from(length);
    }
    Some(Answer::Hello(version, suite))
}

/// Which versions a peer speaks, each with the suite that it chooses when offered all.
pub(super) async fn spoken(peer: &Peer, sni: Option<&str>, within: Duration) -> Vec<(TlsVersion, u16)> {
    let questions: Vec<Question> = TlsVersion::ALL
        .into_iter()
        .map(|version| Question { versions: vec![version], suites: suites::all(), sni: sni.map(str::to_owned) })
        .collect();
    // Side by side: a peer that is silent to each would cost the sum otherwise.
    let answers = futures_util::future::join_all(questions.iter().map(|question| question.ask(peer, within))).await;
    let hello = |(version, answer): (TlsVersion, Answer)| match answer {
        Answer::Hello(chosen, suite) if chosen == version => Some((version, suite)),
        _ => None,
    };
    TlsVersion::ALL.into_iter().zip(answers).filter_map(hello).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_one_record_and_names_what_it_offers() {
        let ask = |versions: &[TlsVersion]| {
            Question { versions: versions.to_vec(), suites: suites::all(), sni: Some("app.test".to_owned()) }.bytes()
        };
        for version in TlsVersion::ALL {
            let bytes = ask(&[version]);
            assert_eq!(usize::from(u16::from_be_bytes([bytes[3], bytes[4]])), bytes.len() - 5, "{version}");
            assert_eq!(bytes[9..11], version.min(TlsVersion::Tls12).wire().to_be_bytes());
            // SSL 3.0 has no extensions, and so no name.
            assert_eq!(bytes.windows(8).any(|part| part == b"app.test"), version > TlsVersion::Ssl3);
        }
    }

    #[test]
    fn answers_are_read_and_garbage_is_survived() {
        let mut hello = vec![0x16, 3, 3, 0, 44, 2, 0, 0, 40, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0xc0, 0x2f, 0, 0, 0]);
        assert_eq!(read(&hello), Some(Answer::Hello(TlsVersion::Tls12, 0xc02f)));
        for cut in 1..hello.len() {
            assert!(matches!(read(&hello[..cut]), None | Some(Answer::Hello(..) | Answer::NotTls)), "{cut}");
        }
        assert_eq!(read(&[0x15, 3, 3, 0, 2, 2, 70]), Some(Answer::Alert(70)));
        assert_eq!(read(b"HTTP/1.1 400"), Some(Answer::NotTls));
        assert_eq!(read(&[0x16, 9, 9, 9, 9, 9, 9, 9, 9]), Some(Answer::NotTls));
        let mut odd = hello.clone();
        odd[43] = 255;
        assert_eq!(read(&odd), Some(Answer::NotTls));
    }
}
