//! Blocks that the configuration itself switches on and off: `.if` and its kin (configuration.txt section 2.4).

use compact_str::CompactString;

use super::{binary::Version, lexer::Environment};

/// Depth of such blocks at most (MAXNESTEDCONDS in cfgparse.c).
const DEPTH: usize = 10;

/// One `.if` that is open.
#[derive(Debug, Clone, Copy)]
struct Branch {
    /// Whether what stands around it is read.
    outer: bool,
    /// Whether one of its branches was taken.
    taken: bool,
    /// Whether this branch is read.
    open: bool,
}

/// What is open at a line.
#[derive(Debug, Default)]
pub struct Branches {
    open: Vec<Branch>,
    /// Whether a condition could not be told: its first branch was read.
    pub guessed: bool,
}

impl Branches {
    /// Whether lines are read here.
    pub fn reading(&self) -> bool {
        self.open.last().is_none_or(|branch| branch.open)
    }

    /// Takes a line that begins with a dot. `false`: it is none of these.
    pub fn take(&mut self, words: &[CompactString], environment: &Environment, version: Version<'_>) -> bool {
        let rest = || words.get(1..).unwrap_or_default().join(" ");
        match words.first().map(CompactString::as_str) {
            Some(".if") => {
                let outer = self.reading();
                let holds = outer && self.holds(&rest(), environment, version);
                if self.open.len() < DEPTH {
                    self.open.push(Branch { outer, taken: holds, open: holds });
                }
            }
            Some(".elif") => {
                let holds = self.open.last().is_some_and(|branch| branch.outer && !branch.taken)
                    && self.holds(&rest(), environment, version);
                if let Some(branch) = self.open.last_mut() {
                    (branch.open, branch.taken) = (holds, branch.taken || holds);
                }
            }
            Some(".else") => {
                if let Some(branch) = self.open.last_mut() {
                    branch.open = branch.outer && !branch.taken;
                    branch.taken = true;
                }
            }
            Some(".endif") => {
                self.open.pop();
            }
            Some(".notice" | ".warning" | ".alert" | ".diag") => {}
            Some(_) | None => return false,
        }
        true
    }

    /// Or of ands of terms; what is not known is taken to hold, and noted.
    fn holds(&mut self, text: &str, environment: &Environment, version: Version<'_>) -> bool {
        let text = text.trim();
        if text.is_empty() {
            return false;
        }
        text.split("||").any(|all| {
            all.split("&&").all(|term| {
                term_holds(term.trim(), environment, version).unwrap_or_else(|| {
                    self.guessed = true;
                    true
                })
            })
        })
    }
}

fn term_holds(term: &str, environment: &Environment, version: Version<'_>) -> Option<bool> {
    if let Some(rest) = term.strip_prefix('!') {
        return term_holds(rest.trim(), environment, version).map(|holds| !holds);
    }
    if let Ok(number) = term.parse::<i64>() {
        return Some(number != 0);
    }
    let (name, rest) = term.split_once('(')?;
    let arguments: Vec<&str> = rest.strip_suffix(')')?.split(',').map(|word| word.trim().trim_matches('"')).collect();
    match (name.trim(), arguments.as_slice()) {
        ("defined", [name]) => Some(environment.contains_key(*name)),
        ("streq", [one, other]) => Some(one == other),
        ("strneq", [one, other]) => Some(one != other),
        ("strstr", [text, part]) => Some(text.contains(part)),
        ("version_atleast", [wanted]) => Some(number(&version()?) >= number(wanted)),
        ("version_before", [wanted]) => Some(number(&version()?) < number(wanted)),
        _ => None,
    }
}

/// `2.6.12-1+deb12u4` as numbers that compare.
fn number(version: &str) -> Vec<u32> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    version[..end].split('.').map(|part| part.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_open_as_their_conditions_say() {
        let environment = Environment::from([("DC".to_owned(), "fra".to_owned())]);
        let (known, unknown): (Version<'_>, Version<'_>) = (&|| Some("2.6.12-1".to_owned()), &|| None);
        for (condition, expected) in [
            ("defined(DC)", true),
            ("!defined(DC)", false),
            ("streq(\"fra\",fra) && defined(DC)", true),
            ("defined(X) || 1", true),
            ("", false),
            ("version_atleast(2.4)", true),
            ("version_atleast(2.10)", false),
            ("version_before(3.0)", true),
        ] {
            let mut branches = Branches::default();
            let line = |text: &str| text.split(' ').filter(|word| !word.is_empty()).map(CompactString::from).collect::<Vec<_>>();
            assert!(branches.take(&line(&format!(".if {condition}")), &environment, known));
            assert_eq!((branches.reading(), branches.guessed), (expected, false), "{condition}");
            assert!(branches.take(&line(".else"), &environment, unknown));
            assert_eq!(branches.reading(), !expected, "{condition}");
            assert!(branches.take(&line(".endif"), &environment, unknown));
            assert!(branches.reading());
        }
        let mut branches = Branches::default();
        branches.take(&[".if", "feature(OPENSSL)"].map(CompactString::from), &environment, unknown);
        assert!(branches.reading() && branches.guessed);
    }
}
