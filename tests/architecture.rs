//! The house rules that a compiler does not know: which layer may use which, where the host may be touched, how long a file
//! may be. They are DESIGN section 3; every violation is printed, with its place.
//!
//! To add a folder to `src/`: its line in [`LAYERS`]. To forbid something: its line in [`FORBIDDEN`].

#[path = "architecture/source.rs"]
mod source;

use std::{collections::BTreeSet, fs, path::Path};

use source::{Source, files};

/// Top-level modules and their layer: each may use those below it, and not its neighbours.
const LAYERS: &[(&str, u8)] = &[
    ("model", 0),
    ("catalog", 1),
    ("sys", 1),
    ("demo", 2),
    ("gateway", 2),
    ("probe", 2),
    ("watch", 2),
    ("diagnose", 3),
    ("app", 4),
    ("report", 5),
    ("ui", 5),
    ("cli", 6),
    ("shell", 6),
];

/// It runs before the program is built and is no part of it.
const BUILD_SCRIPT: &str = "src/build.rs";

/// Layers from this one on may use their neighbours: they are one program put together.
const TOGETHER: u8 = 6;

/// Pure modules may use only these, although others are below them.
const PURE: &[(&str, &[&str])] = &[
    ("diagnose", &["model", "catalog"]),
    ("app", &["model", "catalog", "diagnose"]),
    ("report", &["model", "catalog", "diagnose", "app"]),
    ("ui", &["model", "catalog", "diagnose", "app"]),
];

/// A path that may be used only in some modules. The demo is no collector: it is a gateway with an application, and has
/// the sockets, files and processes of one.
struct Forbidden {
    /// Paths; each also stands for what is below it.
    paths: &'static [&'static str],
    /// The top-level modules that may.
    except: &'static [&'static str],
    /// Why.
    because: &'static str,
}

const FORBIDDEN: &[Forbidden] = &[
    Forbidden {
        paths: &["std::fs", "tokio::fs", "rustix::fs", "std::os::unix::fs"],
        except: &["sys", "shell", "demo"],
        because: "files are read through crate::sys::Root: resolved inside the root, bounded, never waited for",
    },
    Forbidden {
        paths: &["std::process::Command", "std::process::Child", "tokio::process", "rustix::process", "nix::unistd", "nix::sys"],
        except: &["sys", "shell", "demo"],
        because: "programs and processes are asked for through crate::sys::Rights",
    },
    // Addresses are plain data; sockets are not.
    Forbidden {
        paths: &[
            "std::net::TcpStream",
            "std::net::TcpListener",
            "std::net::UdpSocket",
            "std::net::ToSocketAddrs",
            "std::os::unix::net",
            "tokio::net",
            "rustix::net",
        ],
        except: &["sys", "shell", "demo"],
        because: "connections are made by crate::sys::Stream, with a deadline and the error number kept",
    },
    Forbidden {
        paths: &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now"],
        except: &["sys", "shell"],
        because: "time comes with the message, or from crate::sys::Clock: a replay has another now",
    },
    Forbidden { paths: &["ratatui", "crossterm"], except: &["ui", "shell"], because: "only screens know of terminals" },
    Forbidden {
        paths: &["tokio"],
        except: &["sys", "shell", "probe", "watch", "gateway", "demo", "cli", "main"],
        because: "it is pure: messages in, data out",
    },
];

/// Lines of a file that can be read in one sitting.
const LINES: usize = 400;
/// Lines of a file that holds only tests.
const TEST_LINES: usize = 800;

fn sources() -> Vec<Source> {
    files("src", "rs").iter().filter(|path| *path != BUILD_SCRIPT).map(|path| Source::read(path)).collect()
}

#[track_caller]
fn none(violations: &[String]) {
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

#[test]
fn each_layer_uses_only_those_below_it() {
    let mut violations = Vec::new();
    for source in sources() {
        let own = source.module();
        if own == "lib" || own == "main" {
            continue;
        }
        let Some(own_layer) = layer(own) else {
            violations.push(format!("{}: src/{own} has no layer in tests/architecture.rs", source.path));
            continue;
        };
        for (line, used) in source.ours() {
            if used == own || source.in_test(line) {
                continue;
            }
            let below = layer(&used).is_some_and(|layer| layer < own_layer || (layer == own_layer && own_layer >= TOGETHER));
            let pure = PURE.iter().find(|(name, _)| *name == own).is_none_or(|(_, may)| may.contains(&used.as_str()));
            if !below || !pure {
                violations.push(format!("{}:{line}: {own} uses crate::{used}", source.path));
            }
        }
    }
    none(&violations);
}

#[test]
fn the_host_is_touched_in_one_place() {
    let mut violations = Vec::new();
    for source in sources() {
        for rule in FORBIDDEN.iter().filter(|rule| !rule.except.contains(&source.module())) {
            for (line, path) in source.paths() {
                let under = |forbidden: &&&str| {
                    let whole = path.as_str() == **forbidden || path.starts_with(&format!("{forbidden}::"));
                    // Types are used by their last name: `Instant::now()` after `use tokio::time::Instant`.
                    whole || (forbidden.ends_with("::now") && path.ends_with(&format!("::{forbidden}")))
                };
                if let Some(found) = rule.paths.iter().find(under)
                    && !source.in_test(*line)
                {
                    violations.push(format!("{}:{line}: {found}: {}", source.path, rule.because));
                }
            }
        }
    }
    none(&violations);
}

#[test]
fn nothing_sleeps_for_luck() {
    let mut violations = Vec::new();
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let source = Source::read(&path);
        let sleeps = |path: &str| path == "thread::sleep" || path.ends_with("::thread::sleep");
        for (line, _) in source.paths().iter().filter(|(_, path)| sleeps(path)) {
            violations.push(format!("{}:{line}: thread::sleep: wait for a condition, or pause tokio's clock", source.path));
        }
    }
    none(&violations);
}

#[test]
fn a_file_is_read_in_one_sitting() {
    let mut violations = Vec::new();
    for path in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        let tests = path.starts_with("tests/") || path.ends_with("/tests.rs");
        let limit = if tests { TEST_LINES } else { LINES };
        let lines = Source::read(&path).text.lines().count();
        if lines > limit {
            violations.push(format!("{path}: {lines} lines; {limit} are allowed"));
        }
    }
    none(&violations);
}

#[test]
fn a_folder_says_what_it_is_for() {
    let mut violations = Vec::new();
    for source in sources() {
        let opens = source.path.ends_with("/mod.rs") || matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs");
        if opens && !source.text.starts_with("//!") {
            violations.push(format!("{}: does not begin with //!", source.path));
        }
    }
    none(&violations);
}

/// A file that no `mod` names is not compiled, and nobody notices.
#[test]
fn every_file_is_compiled() {
    let sources = sources();
    let declared: BTreeSet<_> = sources.iter().flat_map(Source::declares).collect();
    let missing = |source: &&Source| !declared.contains(&source.place()) && !matches!(source.module(), "lib" | "main");
    none(&sources.iter().filter(missing).map(|source| format!("{}: no `mod` names it", source.path)).collect::<Vec<_>>());
}

/// An asset that nothing includes is knowledge that is never used. `assets/docs` is for people.
#[test]
fn every_asset_is_listed() {
    if !Path::new(env!("CARGO_MANIFEST_DIR")).join("assets").is_dir() {
        return;
    }
    let code: String = sources().iter().map(|source| source.text.as_str()).collect();
    let build = Source::read(BUILD_SCRIPT).text;
    let mut violations = Vec::new();
    for path in files("assets", "").iter().filter(|path| !path.starts_with("assets/docs/")) {
        let name = path.trim_start_matches("assets/");
        // The build script takes whole folders, and single files by name.
        let folder = name.split_once('/').map_or(name, |(folder, _)| folder);
        if !code.contains(name) && !build.contains(&format!("\"{folder}\"")) && !build.contains(path.as_str()) {
            violations.push(format!("{path}: no include_str! and no build script names it"));
        }
    }
    none(&violations);
}

/// The rules are worth nothing if the reader of sources is blind.
#[test]
fn the_reader_sees_what_is_there() {
    let text = r##"
//! use crate::comment;
use crate::{
    model::{Fact, text::printable}, // use crate::{trailing};
    sys,
};
use std::{fs::{self, File}, net::SocketAddr};
pub(crate) use super::super::watch::x as y;
fn f<'a>(c: char) { let _ = "crate::string::x"; let _ = r#"std::fs::read"#; if c == '"' { crate::probe::run('\'') } }
/* use crate::block; */
#[cfg(test)]
mod tests {
    use crate::app::App;
}
fn g() { tokio::time::Instant::now(); }
mod inner;
"##;
    let source = Source::new("src/gateway/nginx.rs", text.to_owned());
    let ours: Vec<_> = source.ours().into_iter().filter(|(line, _)| !source.in_test(*line)).collect();
    let ours: Vec<_> = ours.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(ours, [(3, "model"), (3, "model"), (3, "sys"), (8, "watch"), (9, "probe")]);
    let paths: Vec<_> = source.paths().iter().map(|(_, path)| path.as_str()).collect();
    for path in ["std::fs", "std::fs::File", "std::net::SocketAddr", "tokio::time::Instant::now"] {
        assert!(paths.contains(&path), "{path} in {paths:?}");
    }
    assert!(!paths.contains(&"std::fs::read"), "{paths:?}");
    assert_eq!(source.declares(), ["gateway::nginx::tests", "gateway::nginx::inner"]);
    assert!(source.in_test(13) && !source.in_test(15));
}

#[test]
fn every_layer_is_a_folder_or_file_of_today_or_tomorrow() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names = fs::read_dir(&src).expect("src is there").filter_map(Result::ok);
    let unknown: Vec<_> = names
        .map(|entry| entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned())
        .filter(|name| layer(name).is_none() && !matches!(name.as_str(), "lib" | "main" | "build"))
        .map(|name| format!("src/{name}: no layer in tests/architecture.rs"))
        .collect();
    none(&unknown);
}
