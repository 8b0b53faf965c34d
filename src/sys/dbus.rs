//! As much of D-Bus as one question needs: log in, call a method, read what it returns (D-Bus Specification 0.43, "Message
//! Protocol" and "Authentication Protocol"). Calls only; nothing is ever offered, matched or signalled.
//!
//! Written by hand, because a library for all of D-Bus costs this program a megabyte. What a bus answers is bounded like any
//! foreign input: in bytes, in messages, in depth.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Stream;

/// Bytes of one message that are read: the properties of a unit are some 15 kB.
const MESSAGE_BYTES: usize = 512 << 10;
/// Messages that may come before the reply: signals that a bus sends to everybody who logs in.
const OTHERS: usize = 64;
/// Containers within each other, at most: the specification's own limit (section "Valid Signatures").
const DEPTH: usize = 32;
/// Bytes of a line of the login.
const LOGIN_BYTES: usize = 4096;
/// Bytes of a header before its fields: byte order, type, flags, version, length of the body, serial, length of the fields.
const FIXED: usize = 16;

/// A value that a method returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// `s`, `o`, `g`
    Text(String),
    /// `y`, `b`, `q`, `u`, `t`, `h`
    Unsigned(u64),
    /// `n`, `i`, `x`
    Signed(i64),
    /// `a`, `(`, `{`
    List(Vec<Value>),
    /// `d`, which no question here is about.
    Other,
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Unsigned(_) | Self::Signed(_) | Self::List(_) | Self::Other => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(*number).ok(),
            Self::Signed(number) => Some(*number),
            Self::Text(_) | Self::List(_) | Self::Other => None,
        }
    }

    pub(super) fn list(&self) -> &[Self] {
        match self {
            Self::List(list) => list,
            Self::Text(_) | Self::Unsigned(_) | Self::Signed(_) | Self::Other => &[],
        }
    }
}

/// An argument of a call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Argument<'a> {
    Text(&'a str),
    Texts(&'a [&'a str]),
}

/// What is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [Argument<'a>],
}

fn broken(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

/// A connection that is logged in.
#[derive(Debug)]
pub(super) struct Bus {
    stream: Stream,
    serial: u32,
}

impl Bus {
    /// Logs in as who we are. `peer`: it is a program of its own and no bus, where nobody says hello.
    pub(super) async fn login(mut stream: Stream, peer: bool) -> io::Result<Self> {
        let uid: String =
            rustix::process::geteuid().as_raw().to_string().bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        stream.write_all(format!("\0AUTH EXTERNAL {uid}\r\n").as_bytes()).await?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            // Byte by byte: what follows the line is no part of the login.
            line.push(stream.read_u8().await?);
            if line.len() > LOGIN_BYTES {
                return Err(broken("the bus talks without end"));
            }
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bus does not let us in"));
        }
        stream.write_all(b"BEGIN\r\n").await?;
        let mut bus = Self { stream, serial: 0 };
        if !peer {
            let name = "org.freedesktop.DBus";
            let hello = Call { destination: name, path: "/org/freedesktop/DBus", interface: name, member: "Hello", arguments: &[] };
            bus.call(&hello).await?;
        }
        Ok(bus)
    }

    /// Calls, and gives what was returned.
    pub(super) async fn call(&mut self, call: &Call<'_>) -> io::Result<Vec<Value>> {
        self.serial += 1;
        self.stream.write_all(&message(call, self.serial)).await?;
        for _ in 0..OTHERS {
            let message = self.receive().await?;
            if let Some(reply) = reply(&message, self.serial)? {
                return Ok(reply);
            }
        }
        Err(broken("no reply among many messages"))
    }

    /// The next message, whole.
    async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut message = vec![0; FIXED];
        self.stream.read_exact(&mut message).await?;
        let mut head = Reader { bytes: &message, at: 4, big: message[0] == b'B' };
        let (body, _, fields) = (head.u32()?, head.u32()?, head.u32()?);
        let (body, fields) = (body as usize, fields as usize);
        if body > MESSAGE_BYTES || fields > MESSAGE_BYTES {
            return Err(broken("a message that is too long"));
        }
        message.resize(FIXED + fields.next_multiple_of(8) + body, 0);
        self.stream.read_exact(&mut message[FIXED..]).await?;
        Ok(message)
    }
}

/// The values of a message, if it is the reply to this call.
pub(super) fn reply(message: &[u8], serial: u32) -> io::Result<Option<Vec<Value>>> {
    /// Types of messages and fields of headers.
    const RETURN: u8 = 2;
    const ERROR: u8 = 3;
    const ERROR_NAME: u64 = 4;
    const REPLY_SERIAL: u64 = 5;
    const SIGNATURE: u64 = 8;
    let kind = *message.get(1).ok_or_else(|| broken("an empty message"))?;
    let mut reader = Reader { bytes: message, at: 12, big: message.first() == Some(&b'B') };
    let fields = reader.array(b"(yv)", 0)?;
    let field = |wanted: u64| {
        fields.iter().find_map(|field| match field.list() {
            [Value::Unsigned(code), value] if *code == wanted => Some(value),
            _ => None,
        })
    };
    if !matches!(kind, RETURN | ERROR) || field(REPLY_SERIAL).and_then(Value::number) != Some(i64::from(serial)) {
        return Ok(None);
    }
    if kind == ERROR {
        let name = field(ERROR_NAME).and_then(Value::text).unwrap_or("an error");
        let denied = name.contains("AccessDenied");
        return Err(io::Error::new(
            if denied { io::ErrorKind::PermissionDenied } else { io::ErrorKind::NotFound },
            name.to_owned(),
        ));
    }
    let signature = field(SIGNATURE).and_then(Value::text).unwrap_or_default().to_owned();
    reader.align(8);
    let mut rest = signature.as_bytes();
    let mut values = Vec::new();
    while !rest.is_empty() {
        let (one, behind) = rest.split_at(complete(rest, 0)?);
        values.push(reader.value(one, 0)?);
        rest = behind;
    }
    Ok(Some(values))
}

/// The bytes of a call.
fn message(call: &Call<'_>, serial: u32) -> Vec<u8> {
    let mut body = Writer::default();
    let mut signature = String::new();
    for argument in call.arguments {
        match argument {
            Argument::Text(text) => {
                signature.push('s');
                body.text(text);
            }
            Argument::Texts(texts) => {
                signature.push_str("as");
                let length = body.length();
                for text in *texts {
                    body.text(text);
                }
                body.fill(length);
            }
        }
    }
    // Little-endian, METHOD_CALL, no flags, version 1.
    let mut out = Writer(vec![b'l', 1, 0, 1]);
    out.u32(u32::try_from(body.0.len()).unwrap_or(u32::MAX));
    out.u32(serial);
    let length = out.length();
    for (code, kind, value) in [
        (1, "o", call.path),
        (2, "s", call.interface),
        (3, "s", call.member),
        (6, "s", call.destination),
        (8, "g", signature.as_str()),
    ] {
        if value.is_empty() {
            continue;
        }
        out.align(8);
        out.0.push(code);
        out.signature(kind);
        if kind == "g" { out.signature(value) } else { out.text(value) }
    }
    out.fill(length);
    out.align(8);
    out.0.extend(body.0);
    out.0
}

#[derive(Debug, Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn u32(&mut self, value: u32) {
        self.align(4);
        self.0.extend(value.to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.0.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    /// A length that is filled in later: its place.
    fn length(&mut self) -> usize {
        self.u32(0);
        self.0.len()
    }

    fn fill(&mut self, begin: usize) {
        let length = u32::try_from(self.0.len() - begin).unwrap_or(u32::MAX);
        self.0[begin - 4..begin].copy_from_slice(&length.to_le_bytes());
    }
}

/// The length of the first complete type of a signature.
fn complete(signature: &[u8], depth: usize) -> io::Result<usize> {
    let bad = || broken("a signature that makes no sense");
    if depth > DEPTH {
        return Err(bad());
    }
    match signature.first().ok_or_else(bad)? {
        b'a' => Ok(1 + complete(&signature[1..], depth + 1)?),
        open @ (b'(' | b'{') => {
            let close = if *open == b'(' { b')' } else { b'}' };
            let mut at = 1;
            while signature.get(at).ok_or_else(bad)? != &close {
                at += complete(&signature[at..], depth + 1)?;
            }
            if at == 1 { Err(bad()) } else { Ok(at + 1) }
        }
        b'y' | b'b' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'd' | b's' | b'o' | b'g' | b'v' | b'h' => Ok(1),
        _ => Err(bad()),
    }
}

#[derive(Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn take(&mut self, count: usize) -> io::Result<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.saturating_add(count)).ok_or_else(|| broken("a message that ends early"))?;
        self.at += count;
        Ok(taken)
    }

    /// A number of so many bytes.
    fn number(&mut self, size: usize) -> io::Result<u64> {
        self.align(size);
        let big = self.big;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        let bytes = self.take(size)?;
        Ok(if big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.number(4).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    }

    fn text(&mut self, length: usize) -> io::Result<Value> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.take(1)?;
        Ok(Value::Text(text))
    }

    fn value(&mut self, signature: &[u8], depth: usize) -> io::Result<Value> {
        if depth > DEPTH {
            return Err(broken("values within values without end"));
        }
        let signed = |number: u64, bits: u32| (number << (64 - bits)).cast_signed() >> (64 - bits);
        match signature.first() {
            Some(b'y') => Ok(Value::Unsigned(self.number(1)?)),
            Some(b'q') => Ok(Value::Unsigned(self.number(2)?)),
            Some(b'b' | b'u' | b'h') => Ok(Value::Unsigned(self.number(4)?)),
            Some(b't') => Ok(Value::Unsigned(self.number(8)?)),
            Some(b'n') => Ok(Value::Signed(signed(self.number(2)?, 16))),
            Some(b'i') => Ok(Value::Signed(signed(self.number(4)?, 32))),
            Some(b'x') => Ok(Value::Signed(self.number(8)?.cast_signed())),
            Some(b'd') => self.number(8).map(|_| Value::Other),
            Some(b's' | b'o') => {
                let length = self.u32()? as usize;
                self.text(length)
            }
            Some(b'g') => {
                let length = usize::try_from(self.number(1)?).unwrap_or(0);
                self.text(length)
            }
            Some(b'v') => {
                let length = usize::try_from(self.number(1)?).unwrap_or(0);
                let Value::Text(inner) = self.text(length)? else { return Ok(Value::Other) };
                if complete(inner.as_bytes(), depth)? != inner.len() {
                    return Err(broken("a variant of several types"));
                }
                self.value(inner.as_bytes(), depth + 1)
            }
            Some(b'a') => self.array(&signature[1..], depth).map(Value::List),
            Some(b'(' | b'{') => {
                self.align(8);
                let mut inner = &signature[1..signature.len() - 1];
                let mut members = Vec::new();
                while !inner.is_empty() {
                    let (one, behind) = inner.split_at(complete(inner, depth)?);
                    members.push(self.value(one, depth + 1)?);
                    inner = behind;
                }
                Ok(Value::List(members))
            }
            Some(_) | None => Err(broken("a type that does not exist")),
        }
    }

    fn array(&mut self, of: &[u8], depth: usize) -> io::Result<Vec<Value>> {
        let length = self.u32()? as usize;
        if matches!(of.first(), Some(b'(' | b'{' | b't' | b'x' | b'd')) {
            self.align(8);
        }
        let end = self.at.saturating_add(length);
        if end > self.bytes.len() {
            return Err(broken("an array that ends behind its message"));
        }
        let mut values = Vec::new();
        while self.at < end {
            values.push(self.value(of, depth + 1)?);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
