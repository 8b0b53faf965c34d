//! nginx's configuration grammar, by `ngx_conf_read_token` (src/core/ngx_conf_file.c): bytes to tokens with lines.
//!
//! It never fails: what nginx would refuse becomes [`Token::Bad`], and reading goes on after it.

use std::collections::VecDeque;

use compact_str::CompactString;

/// Bytes that nginx takes for one parameter (`NGX_CONF_BUFFER`): longer ones it refuses, and we keep no more of them.
pub const WORD_BYTES: usize = 4096;

/// A token with its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word: name of a directive or a parameter, without quotes and escapes.
    Word(Word),
    /// `;`
    End(u32),
    /// `{`
    Open(u32),
    /// `}`
    Close(u32),
    /// What nginx would refuse, in its words.
    Bad(u32, String),
}

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// Its text. Bytes that are no UTF-8 became U+FFFD.
    pub text: CompactString,
    /// Where it begins.
    pub line: u32,
    /// Whether it is the first on its line.
    pub leads: bool,
    /// Whether it stands in quotes.
    pub quoted: bool,
}

/// Gives the tokens of one file.
#[derive(Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    leads: bool,
    /// Words since the last `;`, `{` or `}`.
    words: usize,
    /// Whether the statement's name says that a Lua block follows.
    lua: bool,
    queue: VecDeque<Token>,
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

impl<'a> Lexer<'a> {
    /// Of a whole file. An UTF-8 byte order mark is passed over; nginx would take it as part of the first word.
    pub fn new(bytes: &'a [u8]) -> Self {
        let mut queue = VecDeque::new();
        let at = if bytes.starts_with(b"\xef\xbb\xbf") {
            queue.push_back(Token::Bad(1, "unknown directive \"\u{feff}\": the file begins with a byte order mark".to_owned()));
            3
        } else {
            0
        };
        Self { bytes, at, line: 1, leads: true, words: 0, lua: false, queue }
    }

    /// The line that was reached.
    pub fn line(&self) -> u32 {
        self.line
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn step(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.line = self.line.saturating_add(1);
            self.leads = true;
        }
        Some(byte)
    }

    fn scan(&mut self) -> Option<Token> {
        loop {
            let byte = self.peek()?;
            if is_space(byte) {
                self.step();
                continue;
            }
            let line = self.line;
            match byte {
                b'#' => {
                    let rest = &self.bytes[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                b';' => {
                    self.step();
                    self.statement_ends();
                    return Some(Token::End(line));
                }
                b'{' => {
                    self.step();
                    if self.lua {
                        let body = self.lua_body();
                        self.statement_ends();
                        self.queue.push_back(Token::End(self.line));
                        return Some(Token::Word(Word { text: body.into(), line, leads: false, quoted: true }));
                    }
                    self.statement_ends();
                    return Some(Token::Open(line));
                }
                b'}' => {
                    self.step();
                    self.statement_ends();
                    return Some(Token::Close(line));
                }
                _ => return Some(self.word()),
            }
        }
    }

    fn statement_ends(&mut self) {
        self.words = 0;
        self.lua = false;
    }

    fn word(&mut self) -> Token {
        let (line, leads) = (self.line, std::mem::replace(&mut self.leads, false));
        let quote = self.peek().filter(|byte| matches!(byte, b'"' | b'\''));
        if quote.is_some() {
            self.step();
        } else if let Some(text) = self.plain() {
            self.named(&text, true);
            return Token::Word(Word { text, line, leads, quoted: false });
        }
        let mut kept: Vec<u8> = Vec::new();
        let mut length = 0_usize;
        let mut push = |byte: u8| {
            length += 1;
            if kept.len() < WORD_BYTES {
                kept.push(byte);
            }
        };
        let mut after_dollar = false;
        let mut closed = false;
        while let Some(byte) = self.peek() {
            let ends = match quote {
                Some(quote) => byte == quote,
                // A brace right after `$` belongs to `${name}`; a closing one never ends a word.
                None => is_space(byte) || byte == b';' || (byte == b'{' && !after_dollar),
            };
            if ends {
                closed = true;
                break;
            }
            self.step();
            after_dollar = byte == b'$';
            if byte != b'\\' {
                push(byte);
                continue;
            }
            // ngx_conf_read_token drops the backslash before quotes and itself, knows \t \r \n, and keeps it before others.
            match self.step() {
                Some(escaped @ (b'"' | b'\'' | b'\\')) => push(escaped),
                Some(b't') => push(b'\t'),
                Some(b'r') => push(b'\r'),
                Some(b'n') => push(b'\n'),
                Some(other) => {
                    push(b'\\');
                    push(other);
                }
                None => push(b'\\'),
            }
        }
        if length > WORD_BYTES {
            let what = format!("too long parameter: {length} bytes, and nginx takes {WORD_BYTES}");
            self.queue.push_back(Token::Bad(line, what));
        }
        if let Some(quote) = quote {
            if closed {
                self.step();
                match self.peek() {
                    None | Some(b';' | b'{' | b')') => {}
                    Some(next) if is_space(next) => {}
                    Some(next) => {
                        let what = format!("unexpected \"{}\"", char::from(next).escape_debug());
                        self.queue.push_back(Token::Bad(self.line, what));
                    }
                }
            } else {
                let what = format!("unexpected end of file: the quote {} of line {line} has no end", char::from(quote));
                self.queue.push_back(Token::Bad(line, what));
            }
        }
        let text = CompactString::from_utf8_lossy(&kept);
        self.named(&text, quote.is_none());
        Token::Word(Word { text, line, leads, quoted: quote.is_some() })
    }

    /// A word as nearly all are, without anything that has a meaning of its own. `None`: it is not, and nothing was passed over.
    fn plain(&mut self) -> Option<CompactString> {
        let rest = &self.bytes[self.at..];
        let special = |byte: &u8| is_space(*byte) || matches!(byte, b';' | b'{' | b'\\' | b'$');
        let length =
            rest.iter().take(WORD_BYTES).position(special).filter(|at| matches!(rest[*at], b';' | b'{') || is_space(rest[*at]))?;
        let text = CompactString::from_utf8(&rest[..length]).ok()?;
        self.at += length;
        Some(text)
    }

    /// Notes the name of a directive: lua-nginx-module reads the block of some by Lua's own rules (ngx_http_lua_lex).
    fn named(&mut self, text: &str, bare: bool) {
        if self.words == 0 {
            self.lua = bare && text.ends_with("_by_lua_block");
        }
        self.words += 1;
    }

    /// The text up to the brace that closes a Lua block: strings, long brackets and comments hide braces.
    fn lua_body(&mut self) -> String {
        let start = self.at;
        let line = self.line;
        let mut depth = 1_u32;
        while let Some(byte) = self.step() {
            match byte {
                b'{' => depth = depth.saturating_add(1),
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        let end = (self.at - 1).min(start + WORD_BYTES);
                        return String::from_utf8_lossy(&self.bytes[start..end]).into_owned();
                    }
                }
                b'"' | b'\'' => self.lua_string(byte),
                b'[' => {
                    self.long_bracket();
                }
                b'-' if self.peek() == Some(b'-') => {
                    self.step();
                    let long = self.peek() == Some(b'[') && {
                        self.step();
                        self.long_bracket()
                    };
                    while !long && self.peek().is_some_and(|next| next != b'\n') {
                        self.step();
                    }
                }
                _ => {}
            }
        }
        self.queue.push_back(Token::Bad(line, "unexpected end of file: the Lua block of this line has no end".to_owned()));
        String::new()
    }

    fn lua_string(&mut self, quote: u8) {
        while let Some(byte) = self.step() {
            match byte {
                b'\\' => {
                    self.step();
                }
                // A Lua string ends with its line at the latest: an apostrophe gone wrong must not eat the rest.
                b'\n' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    /// After a `[`: passes over `[[ ... ]]` or `[=[ ... ]=]`. Whether it was one.
    fn long_bracket(&mut self) -> bool {
        let level = self.bytes[self.at..].iter().take_while(|byte| **byte == b'=').count();
        if self.bytes.get(self.at + level) != Some(&b'[') {
            return false;
        }
        self.at += level + 1;
        let end: Vec<u8> = [&b"]"[..], &vec![b'='; level], b"]"].concat();
        let stop = memchr::memmem::find(&self.bytes[self.at..], &end).map_or(self.bytes.len(), |found| self.at + found + end.len());
        while self.at < stop {
            self.step();
        }
        true
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.queue.pop_front().or_else(|| self.scan())
    }
}

#[cfg(test)]
mod tests;
