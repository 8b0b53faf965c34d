//! Distinguished names and their strings.

use super::der::{Element, OID, SEQUENCE, SET};

/// Characters of a name that are kept.
const NAME_CHARS: usize = 256;

/// A distinguished name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::probe) struct Name {
    /// Kind and value of each attribute, in order.
    parts: Vec<(Vec<u8>, String)>,
    /// For comparing: in lower case, blanks collapsed, as X509_NAME_cmp(3) does.
    canonical: Vec<(Vec<u8>, String)>,
}

impl Name {
    pub(super) fn read(element: Element<'_>) -> Option<Self> {
        let mut name = Self::default();
        let mut sets = element.inner();
        while !sets.is_empty() {
            let mut set = sets.take(SET)?.inner();
            while !set.is_empty() {
                let mut pair = set.take(SEQUENCE)?.inner();
                let kind = pair.take(OID)?.value.to_vec();
                let value = text(pair.any()?);
                let canonical = value.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
                name.canonical.push((kind.clone(), canonical));
                name.parts.push((kind, value));
            }
        }
        Some(name)
    }

    /// Whether they are the same name to OpenSSL.
    pub(super) fn same(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }

    /// Values of its common names.
    pub(super) fn common_names(&self) -> impl Iterator<Item = &str> {
        self.of(&[0x55, 4, 3])
    }

    /// Values of its organizations, for comparing.
    pub(super) fn organizations(&self) -> impl Iterator<Item = &str> {
        self.canonical.iter().filter(|(kind, _)| kind == &[0x55, 4, 10]).map(|(_, value)| value.as_str())
    }

    fn of(&self, wanted: &'static [u8]) -> impl Iterator<Item = &str> {
        self.parts.iter().filter(move |(kind, _)| kind == wanted).map(|(_, value)| value.as_str())
    }

    /// The common name, or all of it, for a sentence.
    pub(super) fn short(&self) -> String {
        self.common_names().last().map_or_else(|| self.to_string(), |name| format!("\"{name}\""))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.parts.is_empty() {
            return f.write_str("(empty)");
        }
        for (index, (kind, value)) in self.parts.iter().enumerate() {
            // RFC 4519's short names.
            let short = match kind.as_slice() {
                [0x55, 4, 3] => "CN",
                [0x55, 4, 6] => "C",
                [0x55, 4, 7] => "L",
                [0x55, 4, 8] => "ST",
                [0x55, 4, 10] => "O",
                [0x55, 4, 11] => "OU",
                [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
                _ => "?",
            };
            write!(f, "{}{short}={value}", if index > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

/// A string of any of ASN.1's kinds, cut.
pub(super) fn text(element: Element<'_>) -> String {
    let bytes = element.value;
    let all: String = match element.tag {
        // BMPString.
        0x1e => char::decode_utf16(bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])))
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .take(NAME_CHARS)
            .collect(),
        // T61String, which everybody fills with Latin-1.
        0x14 => bytes.iter().take(NAME_CHARS).map(|byte| char::from(*byte)).collect(),
        _ => String::from_utf8_lossy(&bytes[..bytes.len().min(4 * NAME_CHARS)]).chars().take(NAME_CHARS).collect(),
    };
    all
}
