//! Tokens to a tree of directives, known or not.

use std::{path::PathBuf, sync::Arc};

use compact_str::CompactString;

pub use super::super::directive::Directive;
use super::lexer::{Lexer, Token, Word};
use crate::model::Place;

/// Blocks within blocks at most, over all includes: `if` in nested locations is six, and a recursion must end.
pub const DEPTH: usize = 48;
/// Problems of one configuration that are kept: a binary file has as many as it has bytes.
pub const PROBLEMS: usize = 100;
/// Directives of one configuration at most, all includes together: 200 bytes each, and 2,000 vhosts have half of it.
pub const DIRECTIVES: usize = 200_000;

/// Parameters of one directive that are kept: `server_name` has a few hundred on the hosts of large resellers.
const WORDS: usize = 10_000;

/// What is wrong, and where; bounded.
#[derive(Debug, Default)]
pub struct Problems(pub Vec<(Place, String)>, usize);

impl Problems {
    /// Notes a problem, unless there are enough.
    pub fn add(&mut self, place: Place, what: impl Into<String>) {
        // A file that is included twice has its problems once.
        let problem = (place, what.into());
        if !self.full() && !self.0.contains(&problem) {
            self.0.push(problem);
        }
        self.1 += 1;
    }

    /// Whether there are enough, or so many of the same that it is not worth making the words for another.
    pub fn full(&self) -> bool {
        self.0.len() >= PROBLEMS || self.1 >= PROBLEMS * 10
    }
}

/// Directives that, leading a line among the parameters of another, mean that this other lacks its `;`. Names that could be
/// a parameter (`server`, `index`) are left out.
const LEADERS: &[&str] = &[
    "listen",
    "server_name",
    "location",
    "include",
    "root",
    "return",
    "rewrite",
    "try_files",
    "upstream",
    "proxy_pass",
    "proxy_set_header",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_buffer_size",
    "proxy_buffers",
    "proxy_http_version",
    "fastcgi_pass",
    "fastcgi_param",
    "fastcgi_index",
    "uwsgi_pass",
    "uwsgi_param",
    "grpc_pass",
    "error_log",
    "access_log",
    "error_page",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_protocols",
    "client_max_body_size",
    "keepalive",
    "add_header",
];

struct Open {
    directive: Directive,
    children: Vec<Directive>,
}

struct Parser<'a> {
    file: Arc<PathBuf>,
    problems: &'a mut Problems,
    budget: &'a mut usize,
    depth: usize,
    stack: Vec<Open>,
    /// Blocks that are open beyond [`DEPTH`], whose directives are not kept.
    too_deep: usize,
    out: Vec<Directive>,
}

/// Parses one file. `depth`: of the block that it is included into; `budget`: how many directives may still come.
pub fn parse(file: &Arc<PathBuf>, bytes: &[u8], depth: usize, budget: &mut usize, problems: &mut Problems) -> Vec<Directive> {
    let mut lexer = Lexer::new(bytes);
    let mut parser = Parser { file: Arc::clone(file), problems, budget, depth, stack: Vec::new(), too_deep: 0, out: Vec::new() };
    let mut words: Vec<Word> = Vec::new();
    for token in lexer.by_ref() {
        match token {
            Token::Word(word) => {
                // What exceeds it is passed over, as are its directives when there are too many.
                if words.len() < WORDS {
                    words.push(word);
                }
            }
            Token::End(line) if words.is_empty() => parser.bad(line, "unexpected \";\""),
            Token::End(_) => parser.statement(&mut words, false),
            Token::Open(line) => {
                if words.is_empty() {
                    parser.bad(line, "unexpected \"{\"");
                    words.push(Word { text: CompactString::default(), line, leads: false, quoted: false });
                }
                parser.statement(&mut words, true);
            }
            Token::Close(line) => {
                if let Some(first) = words.first() {
                    let what = format!("unexpected \"}}\": directive \"{}\" is not terminated by \";\"", first.text);
                    parser.bad(first.line, what);
                    parser.statement(&mut words, false);
                }
                parser.close(line);
            }
            Token::Bad(line, what) => parser.bad(line, what),
        }
    }
    if let Some(first) = words.first() {
        let what = format!("unexpected end of file, expecting \";\" or \"}}\": directive \"{}\" has no end", first.text);
        parser.bad(first.line, what);
        parser.statement(&mut words, false);
    }
    // nginx names the last line; the block that has no end is what a person has to find.
    let open: Vec<(u32, String)> = parser.stack.iter().map(|open| (open.directive.line, open.directive.name.to_string())).collect();
    for (line, name) in open {
        parser.bad(line, format!("unexpected end of file, expecting \"}}\": block \"{name}\" has no end"));
    }
    while !parser.stack.is_empty() {
        parser.close(lexer.line());
    }
    parser.out
}

impl Parser<'_> {
    fn bad(&mut self, line: u32, what: impl Into<String>) {
        if self.problems.full() {
            return;
        }
        self.problems.add(Place { file: Arc::clone(&self.file), line }, what);
    }

    /// A directive is complete: `opens` a block or ended.
    fn statement(&mut self, words: &mut Vec<Word>, opens: bool) {
        while let Some(at) = forgotten_end(words) {
            if let Some(first) = words.first() {
                self.bad(first.line, format!("directive \"{}\" is not terminated by \";\"", first.text));
            }
            self.directive(words.drain(..at), false);
        }
        self.directive(words.drain(..), opens);
    }

    fn directive(&mut self, mut words: std::vec::Drain<'_, Word>, opens: bool) {
        let Some(first) = words.next() else { return };
        let kept = self.too_deep == 0 && *self.budget > 0;
        if kept {
            *self.budget -= 1;
            if *self.budget == 0 {
                self.bad(first.line, format!("more than {DIRECTIVES} directives: the rest was not read"));
            }
        }
        if opens && (self.too_deep > 0 || self.depth + self.stack.len() >= DEPTH) {
            if self.too_deep == 0 {
                self.bad(first.line, format!("blocks are nested deeper than {DEPTH}: this one was not read"));
            }
            self.too_deep += 1;
            return;
        }
        let args = if kept { words.map(|word| word.text).collect() } else { Box::default() };
        let directive = Directive { name: first.text, args, block: None, file: Arc::clone(&self.file), line: first.line };
        if opens {
            self.stack.push(Open { directive, children: Vec::new() });
        } else if kept {
            self.put(directive);
        }
    }

    fn close(&mut self, line: u32) {
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        match self.stack.pop() {
            Some(open) => self.put(Directive { block: Some(open.children.into()), ..open.directive }),
            None => self.bad(line, "unexpected \"}\""),
        }
    }

    fn put(&mut self, directive: Directive) {
        match self.stack.last_mut() {
            Some(open) => open.children.push(directive),
            None => self.out.push(directive),
        }
    }
}

/// Where in a statement another one begins, because a `;` is missing.
fn forgotten_end(words: &[Word]) -> Option<usize> {
    let found = words.iter().skip(1).position(|word| word.leads && !word.quoted && LEADERS.contains(&word.text.as_str()))?;
    Some(found + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Directive>, Vec<String>) {
        let (mut problems, mut budget) = (Problems::default(), DIRECTIVES);
        let tree = parse(&Arc::new("/etc/nginx/nginx.conf".into()), text.as_bytes(), 0, &mut budget, &mut problems);
        (tree, problems.0.into_iter().map(|(place, what)| format!("{}: {what}", place.line)).collect())
    }

    fn shape(tree: &[Directive]) -> String {
        tree.iter()
            .map(|one| match &one.block {
                Some(block) => format!("{}[{}]", one.name, shape(block)),
                None => one.name.to_string(),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn what_is_broken_is_told_with_its_line_and_the_rest_is_read() {
        for (text, tree, complaints) in [
            (
                "http { server { listen 80; }",
                "http[server[listen]]",
                vec!["1: unexpected end of file, expecting \"}\": block \"http\" has no end"],
            ),
            ("a;\n}\nb;", "a b", vec!["2: unexpected \"}\""]),
            ("a {\n b\n}\nc;", "a[b] c", vec!["2: unexpected \"}\": directive \"b\" is not terminated by \";\""]),
            (
                "server {\n listen 80\n server_name x;\n}",
                "server[listen server_name]",
                vec!["2: directive \"listen\" is not terminated by \";\""],
            ),
            (
                "server {\n proxy_read_timeout 5\n location / {\n root /x;\n }\n}",
                "server[proxy_read_timeout location[root]]",
                vec!["2: directive \"proxy_read_timeout\" is not terminated by \";\""],
            ),
            (";;a;", "a", vec!["1: unexpected \";\""]),
            ("{ a; }", "[a]", vec!["1: unexpected \"{\""]),
            ("a b", "a", vec!["1: unexpected end of file, expecting \";\" or \"}\": directive \"a\" has no end"]),
        ] {
            let (read, problems) = read(text);
            assert_eq!((shape(&read).as_str(), problems), (tree, complaints.into_iter().map(str::to_owned).collect()), "{text}");
        }
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let (tree, problems) = read(&format!("{}{}", "a {".repeat(100_000), "}".repeat(100_000)));
        assert!(shape(&tree).len() < DEPTH * 4 && problems.len() == 1, "{problems:?}");
        let (tree, problems) = read(&"a;".repeat(DIRECTIVES + 5));
        assert_eq!((tree.len(), problems.len()), (DIRECTIVES, 1));
        let (_, problems) = read(&"}\n".repeat(100_000));
        assert_eq!(problems.len(), PROBLEMS);
    }
}
