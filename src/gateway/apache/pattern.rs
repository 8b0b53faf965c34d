//! Paths and patterns of sections: what they take, and a path that they take.

use super::super::pattern::of_pattern;
use crate::model::PathMatch;

/// What `ProxyPass /app` and `<Location "/app">` take: the path itself and what is below it, and not `/apple` (`alias_match`,
/// `ap_location_walk`). Beside it the prefix that a target's path replaces.
pub fn below(path: &str) -> (PathMatch, String) {
    let takes = if path.ends_with('/') {
        PathMatch::Prefix(path.to_owned())
    } else {
        PathMatch::Pattern(format!("^{}(?:/|$)", regex::escape(path)))
    };
    (takes, path.to_owned())
}

/// A path that a pattern takes.
pub fn sample(pattern: &str) -> String {
    of_pattern(pattern).into_iter().find(|path| path.starts_with('/')).unwrap_or_else(|| "/".to_owned())
}

/// The literal text before the one group of `^/prefix/(.*)$`: what a target with `$1` at its end replaces. `None`: it is no
/// such pattern.
pub fn head(pattern: &str) -> Option<String> {
    let rest = pattern.strip_prefix('^')?;
    let rest = rest.strip_suffix('$').unwrap_or(rest);
    let head = ["(.*)", "(.+)", "(/.*)", "(/.+)", "(?:.*)"].iter().find_map(|group| rest.strip_suffix(group))?;
    // An escaped dot is literal; anything else that means something is not.
    let plain = head.replace("\\.", ".").replace("\\/", "/").replace("\\-", "-");
    let odd = |text: &str| text.contains(['(', ')', '[', ']', '{', '}', '\\', '*', '+', '?', '|', '^', '$']);
    (!odd(&plain)).then_some(plain)
}

/// A pattern of file names as one of paths. `under`: the path of the directory, with its slash.
///
/// `<FilesMatch>` sees the name alone, so `^` is behind a slash; behind a script more of a path may follow (PATH_INFO).
pub fn of_files(pattern: &str, under: &str) -> String {
    let (body, anchored) = pattern.strip_prefix('^').map_or((pattern, false), |rest| (rest, true));
    let (body, ended) = match body.strip_suffix('$') {
        Some(rest) if !rest.ends_with('\\') => (rest, true),
        Some(_) | None => (body, false),
    };
    let start = if anchored { "/" } else { "[^/]*" };
    let end = if ended { "(?:/|$)" } else { "" };
    let head = if under == "/" { String::new() } else { format!("^{}(?:.*/)?", regex::escape(under.trim_end_matches('/'))) };
    if under == "/" && !anchored { format!("(?:{body}){end}") } else { format!("{head}{start}(?:{body}){end}") }
}

/// A file name with wildcards as a pattern (`<Files "*.php">`).
pub fn of_glob(glob: &str) -> String {
    let body: String = glob
        .chars()
        .map(|c| match c {
            '*' => "[^/]*".to_owned(),
            '?' => "[^/]".to_owned(),
            other => regex::escape(&other.to_string()),
        })
        .collect();
    format!("^{body}$")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(found: &PathMatch, path: &str) -> bool {
        found.takes(path) == Some(true)
    }

    #[test]
    fn a_path_is_matched_by_components() {
        let (app, _) = below("/app");
        assert!(takes(&app, "/app") && takes(&app, "/app/x") && !takes(&app, "/apple"));
        let (dir, _) = below("/app/");
        assert!(takes(&dir, "/app/x") && !takes(&dir, "/app"));
    }

    #[test]
    fn names_of_files_become_paths() {
        let php = PathMatch::Pattern(of_files(r"\.php$", "/"));
        assert!(takes(&php, "/a/index.php") && takes(&php, "/index.php/info") && !takes(&php, "/index.phps"));
        let debian = PathMatch::Pattern(of_files(r".+\.ph(?:ar|p|tml)$", "/"));
        assert!(takes(&debian, "/x/a.phtml"));
        let start = PathMatch::Pattern(of_files("^app", "/"));
        assert!(takes(&start, "/x/app.cgi") && !takes(&start, "/x/myapp"));
        let below = PathMatch::Pattern(of_files(r"\.php$", "/blog/"));
        assert!(takes(&below, "/blog/a.php") && takes(&below, "/blog/x/a.php") && !takes(&below, "/a.php"));
        assert!(takes(&PathMatch::Pattern(of_files(&of_glob("*.php"), "/")), "/x/a.php"));
    }

    #[test]
    fn the_head_of_a_simple_pattern_is_known() {
        for (pattern, expected) in [
            ("^/api/(.*)$", Some("/api/")),
            ("^/(.*)", Some("/")),
            ("^(.*)$", Some("")),
            (r"^/v1\.0/(.*)$", Some("/v1.0/")),
            (r"^/(.*\.php)$", None),
            ("/x/(.*)$", None),
            ("^/(a|b)/(.*)$", None),
        ] {
            assert_eq!(head(pattern).as_deref(), expected, "{pattern}");
        }
        assert_eq!(sample(r"^/api/v[0-9]/(.*)$"), "/api/v0/");
    }
}
