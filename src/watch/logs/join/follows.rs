//! Which lines belong to the line before them.

use super::super::skeleton;
use crate::model::logline::{LineTime, TimeShape};

/// How Python begins a trace (Lib/traceback.py).
const PYTHON: &str = "Traceback (most recent call last):";
/// What stands between Python's traces that follow from one another.
const PYTHON_CHAIN: [&str; 2] = [
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
];
/// What php-fpm puts before each line of a worker.
const SAID: &str = " said into std";
/// Lines of an uncaught exception of Node before its frames: code, caret, text.
const THROW_LINES: u8 = 12;

/// Lines of the text of PHP's exception before its frames.
const PHP_LINES: u8 = 12;

/// What may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Indented lines, and the traces of any language.
    Any,
    /// nginx hands on what FastCGI said, up to the quote that ends it.
    Nginx,
    /// PHP's exception, up to where it was thrown; so many lines came.
    Php(u8),
    /// Frames of Python, up to the exception.
    PythonFrames,
    /// The exception was told.
    PythonEnd,
    /// Another trace comes.
    PythonChain,
    /// Node tells an exception that nothing caught; so many lines came.
    Throw(u8),
    /// V8 tells why it gives up.
    V8,
    /// Go's runtime tells its goroutines.
    Go,
    /// A panic of Rust: its text on a line of its own.
    RustText,
    /// Its frames.
    Rust,
    /// Ruby's frames, which are not always indented.
    Ruby,
    /// The report of a dying Java machine.
    Jvm,
    /// The second line of java.util.logging.
    Jul,
    /// uwsgi's own backtrace.
    Uwsgi,
    /// The kernel's report on memory.
    Oom,
    /// Nothing.
    Ended,
}

/// What may follow a line.
#[derive(Debug)]
pub(super) struct Follows {
    state: State,
    /// Frames were seen.
    frames: bool,
    /// The first line, or a level below it, says that something went wrong: a trace below it is its.
    failed: bool,
    /// The first line is one of those that have an exception below them.
    below: bool,
}

/// Whether a line of nginx's error log hands on what an application said, and does not end it.
#[inline]
pub(in crate::watch) fn nginx_unfinished(line: &[u8]) -> bool {
    // Nearly all of its lines end with the quote behind host or referrer; a text of PHP's seldom ends a line so.
    line.last() != Some(&b'"') && hands_on(line)
}

fn hands_on(line: &[u8]) -> bool {
    let Some(at) = memchr::memmem::find(line, b"FastCGI sent in stderr: \"") else { return false };
    skeleton::begins(line) && !nginx_ends(&line[at..])
}

/// Whether the quote ends here: `" while reading response header from upstream, client: ...`.
fn nginx_ends(line: &[u8]) -> bool {
    memchr::memmem::find(line, b"\" while ").is_some_and(|at| memchr::memmem::find(&line[at..], b", client: ").is_some())
}

/// Whether each line of an entry that begins like this has a stamp of its own.
pub(super) fn each_line_stamped(head: &[u8]) -> bool {
    memchr::memmem::find(head, SAID.as_bytes()).is_some() || is_kernel(head)
}

fn is_kernel(line: &[u8]) -> bool {
    memchr::memmem::find(line, b" invoked oom-killer: ").is_some()
}

impl Follows {
    /// What may follow this line, which nothing carries any more.
    pub(super) fn of(head: &str) -> Self {
        let php = |head: &str| ["PHP Fatal error:  Uncaught ", "PHP Warning:  Uncaught "].iter().any(|php| head.contains(php));
        let state = if nginx_unfinished(head.as_bytes()) {
            State::Nginx
        } else if head.starts_with(PYTHON) {
            State::PythonFrames
        } else if php(head) && !skeleton::begins(head.as_bytes()) {
            State::Php(0)
        } else if is_place(head) {
            State::Throw(0)
        } else if head.starts_with("<--- Last few GCs --->") || head.starts_with("FATAL ERROR: ") {
            State::V8
        } else if head.starts_with("panic: ") || head.starts_with("fatal error: ") || head.contains(" http: panic serving ") {
            State::Go
        } else if head.starts_with("thread '") && head.contains(" panicked at ") {
            if head.ends_with(':') { State::RustText } else { State::Rust }
        } else if head == "#" || head.starts_with("# A fatal error") || head.starts_with("# There is insufficient") {
            State::Jvm
        } else if is_jul(head) {
            State::Jul
        } else if head.contains("!!! uWSGI process ") {
            State::Uwsgi
        } else if is_kernel(head.as_bytes()) {
            State::Oom
        } else if head.contains("#<") || is_ruby(head) || head.starts_with("! Unable to ") || head.contains("] ! Unable to ") {
            State::Ruby
        } else {
            State::Any
        };
        Self { state, frames: false, failed: erroneous(head), below: has_below(head) }
    }

    /// Whether something must still come.
    pub(super) fn wants(&self) -> bool {
        match self.state {
            State::Nginx
            | State::Php(_)
            | State::PythonFrames
            | State::PythonChain
            | State::RustText
            | State::Jul
            | State::Jvm
            | State::V8
            | State::Throw(_) => true,
            // What is below it may stand below an empty line, or be indented and look like a line of its own.
            State::Any => self.below,
            State::PythonEnd | State::Go | State::Rust | State::Ruby | State::Uwsgi | State::Oom | State::Ended => false,
        }
    }

    /// Whether a line belongs to the one that begins with `head`, and what of it is to be kept.
    pub(super) fn takes<'a>(&mut self, head: &str, line: &'a str) -> Option<&'a str> {
        let own = match worker(head) {
            Some(child) => worker(line).filter(|other| other.0 == child.0).map(|(_, said)| said)?,
            None => line,
        };
        self.belongs(head, own).then_some(own)
    }

    fn belongs(&mut self, head: &str, line: &str) -> bool {
        let indented = line.starts_with([' ', '\t']);
        match self.state {
            State::Nginx => {
                if nginx_ends(line.as_bytes()) {
                    self.state = State::Ended;
                }
                !skeleton::begins(line.as_bytes())
            }
            State::Php(lines) => {
                self.frames |= line == "Stack trace:";
                self.state =
                    if line.trim_start().starts_with("thrown in ") { State::Ended } else { State::Php(lines.saturating_add(1)) };
                !begins_anew(line) && lines < if self.frames { u8::MAX } else { PHP_LINES }
            }
            State::PythonFrames => {
                if !indented {
                    self.state = State::PythonEnd;
                }
                indented || !begins_anew(line)
            }
            State::PythonEnd if PYTHON_CHAIN.contains(&line.trim_end()) => {
                self.state = State::PythonChain;
                true
            }
            State::PythonChain => {
                self.state = if line.starts_with(PYTHON) { State::PythonFrames } else { State::Ended };
                line.starts_with(PYTHON)
            }
            State::PythonEnd | State::Ended => false,
            State::Throw(lines) => self.throws(lines, line),
            State::V8 => indented || v8(line),
            // Several threads may find the same fault at once.
            State::Go => indented || go(line) || line == head && head.starts_with("fatal error: "),
            State::RustText => {
                self.state = State::Rust;
                !begins_anew(line)
            }
            State::Rust => indented || line.starts_with("note: ") || line == "stack backtrace:",
            State::Ruby => indented || is_ruby(line),
            State::Jvm => line.starts_with('#'),
            State::Jul => {
                self.state = State::Any;
                self.failed = line.starts_with("SEVERE: ") || line.starts_with("WARNING: ");
                let level = line.split(": ").next().unwrap_or_default();
                (4..=7).contains(&level.len()) && level.bytes().all(|byte| byte.is_ascii_uppercase())
            }
            State::Uwsgi => line.starts_with("*** ") && line.contains("backtrace") || line.ends_with(']') && line.contains(" [0x"),
            State::Oom => of_oom_report(line),
            State::Any => self.follows_any(head, line, indented),
        }
    }

    fn follows_any(&mut self, head: &str, line: &str, indented: bool) -> bool {
        if indented {
            self.frames |= line.trim_start().starts_with("at ");
            // Tables and lists are indented too: what has a stamp of its own, or stars, is a line of its own.
            return !begins_anew(line.trim_start()) && !line.trim_start().starts_with("***");
        }
        // nginx writes no trace: what follows its line is another program's.
        if skeleton::begins(head.as_bytes()) {
            return false;
        }
        if line.starts_with(PYTHON) && self.failed {
            self.state = State::PythonFrames;
            return true;
        }
        if line == "Stack trace:" && self.failed {
            (self.state, self.frames) = (State::Php(0), true);
            return true;
        }
        let closed = self.frames && matches!(line.trim_end(), "}" | "]" | "})" | "},");
        let of_java =
            line.starts_with("Caused by: ") && (self.frames || self.failed) || is_java(line) && self.failed && !self.frames;
        let of_node = self.frames && (line.starts_with("Node.js v") || line.starts_with("Emitted 'error' event on "));
        let required = head.contains("Cannot find module") && (line == "Require stack:" || line.starts_with("- /"));
        // Vite tells the request first and the error below it.
        let proxied =
            head.contains(" proxy error:") && !self.frames && (line.starts_with("Error: ") || line.starts_with("AggregateError"));
        closed || of_java || of_node || required || proxied
    }

    fn throws(&mut self, lines: u8, line: &str) -> bool {
        if line.starts_with("Node.js v") {
            self.state = State::Ended;
            return true;
        }
        self.frames |= line.starts_with("    at ");
        let goes_on = if self.frames {
            line.starts_with(' ') || line == "}" || line.starts_with("Emitted 'error' event on ")
        } else {
            lines < THROW_LINES && !begins_anew(line)
        };
        self.state = State::Throw(lines.saturating_add(1));
        goes_on
    }
}

/// A line of the report that the kernel writes before it kills (mm/oom_kill.c `dump_header`, lib/show_mem.c, arch dumpstack.c). Whom it
/// killed is no part of it, and neither is anything that is not known here.
fn of_oom_report(line: &str) -> bool {
    const BEGIN: &[&str] = &[
        "CPU: ",
        "Hardware name: ",
        "Call Trace:",
        "RIP: ",
        "RSP: ",
        "RAX: ",
        "RDX: ",
        "RBP: ",
        "R10: ",
        "R13: ",
        "Code: ",
        "Mem-Info:",
        "active_anon:",
        "Node ",
        "DMA",
        "Normal",
        "lowmem_reserve",
        "memory: usage ",
        "swap: usage ",
        "kmem: usage ",
        "memory+swap: usage ",
        "Memory cgroup stats for ",
        "Tasks state ",
        "Tasks in ",
        "Unreclaimable slab info:",
        "Free swap ",
        "Total swap ",
        "Swap cache stats:",
        "Workqueue: ",
    ];
    const END: &[&str] = &[
        " pages RAM",
        " pages HighMem/MovableOnly",
        " pages reserved",
        " pages cma reserved",
        " pages hwpoisoned",
        " pages in swap cache",
        " total pagecache pages",
    ];
    // Behind the time since boot, which stands between the brackets.
    let text = line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(line, |(_, text)| text);
    let process = text
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(pid, _)| matches!(pid.trim(), "pid") || pid.trim().parse::<u32>().is_ok());
    text.starts_with(' ')
        || process
        || BEGIN.iter().any(|begin| text.starts_with(begin))
        || END.iter().any(|end| text.ends_with(end))
}

/// `/srv/app.js:4`, `node:events:502`, `file:///srv/app.mjs:3`: where Node says that an exception was thrown.
fn is_place(line: &str) -> bool {
    let Some((file, number)) = line.trim_end().rsplit_once(':') else { return false };
    let digits = (1..=6).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let file = file.starts_with("node:") || [".js", ".mjs", ".cjs", ".ts"].iter().any(|end| file.ends_with(end));
    digits && file && !line.contains(' ')
}

/// The child of php-fpm that said something, and what.
fn worker(line: &str) -> Option<(&str, &str)> {
    let (before, said) = line.split_once(SAID)?;
    let (_, said) = said.split_once(": \"")?;
    Some((before.rsplit_once("child ")?.1, said.strip_suffix('"').unwrap_or(said)))
}

/// Whether a line is about something that went wrong, so that a trace below it is its.
fn erroneous(head: &str) -> bool {
    ["rror", "RROR", "xception", "CRIT", "FATAL", "atal", "SEVERE", "WARN", "ailed", "anic", "nhandled"]
        .iter()
        .any(|word| head.contains(word))
}

/// Whether an exception stands below a line, in words that may be a line's own: Spring Boot writes it below an empty line (logback,
/// `%n%wEx`), .NET indents it (Microsoft.Extensions.Logging.Console, and what wraps another: ` ---> `).
fn has_below(head: &str) -> bool {
    const DOTNET: [&str; 3] =
        ["An error was encountered before receiving a response", "System.Net.Http.HttpRequestException: ", ".HttpForwarder["];
    erroneous(head) && head.contains(" --- [") || DOTNET.iter().any(|begin| head.contains(begin))
}

/// Whether a line has a stamp of its own, or begins as only a first line does.
fn begins_anew(line: &str) -> bool {
    let open = line.strip_prefix('[').unwrap_or(line);
    open.starts_with(|c: char| c.is_ascii_alphanumeric()) && LineTime::leading(open).is_some()
        || TimeShape::Epoch.leading(line).is_some()
        || ["PHP ", "NOTICE: PHP message: ", "INFO: ", "WARNING: ", "ERROR: ", "[pid: "].iter().any(|first| line.starts_with(first))
}

/// `java.lang.IllegalStateException: text`.
fn is_java(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or_default().trim_end();
    let named = name.contains('.') && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._$".contains(&byte));
    named && (name.ends_with("Exception") || name.ends_with("Error"))
}

/// `/srv/app.rb:3:in 'call'`, `config.ru:5:in ...`, `<internal:...>:85:in ...`.
fn is_ruby(line: &str) -> bool {
    let place = line.split(":in ").next().unwrap_or_default();
    place.len() < line.len()
        && (place.contains(".rb:") || place.contains(".ru:") || place.starts_with("<internal:"))
        && !place.contains(' ')
        || line.starts_with("in `")
}

fn is_jul(line: &str) -> bool {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_default();
    let (month, day, year, clock, half) = (next(), next(), next(), next(), next());
    month.len() == 3 && day.ends_with(',') && year.len() == 4 && clock.contains(':') && matches!(half, "AM" | "PM")
}

/// `[115:0x44315ca0]      670 ms: ...`, ` 1: 0xb78db3 ...`.
fn v8(line: &str) -> bool {
    let collection = || line.starts_with('[') && line.split(']').next().is_some_and(|isolate| isolate.contains(":0x"));
    let frame = || line.split(": 0x").next().is_some_and(|number| number.len() < 4 && number.len() < line.len());
    line.starts_with("<--- JS stacktrace")
        || line.starts_with("FATAL ERROR: ")
        || line.starts_with("-----")
        || collection()
        || frame()
}

fn go(line: &str) -> bool {
    // A function with its arguments: `net/http.(*conn).serve(0xc000000aa0)`.
    let call = || line.ends_with(')') && line.split('(').next().is_some_and(|name| name.contains('.') && !name.contains(' '));
    let own = ["goroutine ", "[signal ", "created by ", "panic(", "exit status ", "runtime stack:"];
    own.iter().any(|own| line.starts_with(own)) || call()
}
