//! DER (ITU-T X.690), as much of it as certificates need: definite lengths, tags of one byte.

/// SEQUENCE, SET, and the universal tags that certificates use.
pub const SEQUENCE: u8 = 0x30;
pub const SET: u8 = 0x31;
pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OID: u8 = 0x06;
pub const UTC_TIME: u8 = 0x17;
pub const GENERALIZED_TIME: u8 = 0x18;

/// What is left to read of some bytes. Every read gives `None` where the bytes are not what was asked for; nothing panics.
#[derive(Debug, Clone, Copy)]
pub struct Der<'a>(&'a [u8]);

/// One element.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    /// Its tag.
    pub tag: u8,
    /// What it holds.
    pub value: &'a [u8],
    /// With tag and length: what signatures are made over.
    pub whole: &'a [u8],
}

impl<'a> Element<'a> {
    /// Its elements.
    pub fn inner(&self) -> Der<'a> {
        Der(self.value)
    }
}

impl<'a> Der<'a> {
    /// To read these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether all was read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tag of the next element.
    pub fn peek(&self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element, whatever it is.
    pub fn any(&mut self) -> Option<Element<'a>> {
        let (tag, rest) = self.0.split_first()?;
        // Tags of several bytes do not occur in certificates.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let (bytes, rest) = rest.split_at_checked(count)?;
                (bytes.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        let whole = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some(Element { tag: *tag, value, whole })
    }

    /// The next element, which must have this tag.
    pub fn take(&mut self, tag: u8) -> Option<Element<'a>> {
        if self.peek()? == tag { self.any() } else { None }
    }

    /// The next element, if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Option<Element<'a>> {
        self.take(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_bounded_by_what_is_there() {
        let mut der = Der::new(&[0x30, 0x03, 0x02, 0x01, 0x05, 0x04, 0x81, 0x01, 0xff]);
        let sequence = der.take(SEQUENCE).expect("a sequence");
        assert_eq!(sequence.whole, [0x30, 0x03, 0x02, 0x01, 0x05]);
        assert_eq!(sequence.inner().take(INTEGER).expect("a number").value, [5]);
        assert!(der.take(SEQUENCE).is_none());
        assert_eq!(der.take(OCTET_STRING).expect("bytes").value, [0xff]);
        assert!(der.is_empty());
        for bad in [&[0x30][..], &[0x30, 0x80, 0, 0], &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 1], &[0x1f, 0x81, 1, 0], &[0x30, 5, 1]]
        {
            assert!(Der::new(bad).any().is_none(), "{bad:?}");
        }
    }
}
