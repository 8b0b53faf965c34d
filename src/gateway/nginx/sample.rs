//! A path that a request can have to get into a location.

use regex::Regex;

use super::{
    super::pattern::{self, compile},
    tree::Directive,
};

/// Locations of one server that samples are tried against; beyond it the time would grow with the square.
const LOCATIONS: usize = 500;

/// How a location is chosen (ngx_http_core_module, `location`).
#[derive(Debug, Clone)]
pub enum Match {
    /// `= /x`
    Exact(String),
    /// `/x`, or `^~ /x`, which no pattern can take away.
    Prefix {
        /// The prefix.
        prefix: String,
        /// Whether patterns are not looked at.
        last: bool,
    },
    /// `~ x`, `~* x`. No pattern: it is one that PCRE knows and we don't.
    Pattern(String, Option<Regex>),
    /// `@x`
    Named(String),
}

impl Match {
    /// Of a `location` directive's parameters.
    pub fn of(location: &Directive) -> Self {
        let first = location.arg(0).unwrap_or_default();
        let split = |modifier: &str| match location.arg(1) {
            Some(second) if first == modifier => Some(second),
            // nginx takes `=/x` and `~x` as well.
            None | Some(_) => first.strip_prefix(modifier).filter(|rest| !rest.is_empty()),
        };
        if let Some(path) = split("=") {
            return Self::Exact(path.to_owned());
        }
        if let Some(prefix) = split("^~") {
            return Self::Prefix { prefix: prefix.to_owned(), last: true };
        }
        if let Some(pattern) = split("~*") {
            return Self::Pattern(pattern.to_owned(), compile(pattern, true));
        }
        if let Some(pattern) = split("~") {
            return Self::Pattern(pattern.to_owned(), compile(pattern, false));
        }
        if first.starts_with('@') {
            return Self::Named(first.to_owned());
        }
        Self::Prefix { prefix: first.to_owned(), last: false }
    }

    /// Paths that should get here, the most natural first. Empty: only an internal redirect does.
    pub fn candidates(&self) -> Box<dyn Iterator<Item = String> + '_> {
        match self {
            Self::Exact(path) => Box::new(std::iter::once_with(|| path.clone())),
            Self::Prefix { prefix, .. } => Box::new(["", "index.html", "why502"].iter().map(move |name| format!("{prefix}{name}"))),
            Self::Pattern(pattern, compiled) => Box::new(pattern::paths(pattern, compiled.as_ref()).into_iter()),
            Self::Named(_) => Box::new(std::iter::empty()),
        }
    }
}

/// The locations of one server, as nginx chooses among them.
#[derive(Debug)]
pub struct Locations(Vec<Match>);

impl Locations {
    /// Those that stand directly in a `server`.
    pub fn of(server: &[Directive]) -> Self {
        let all = server.iter().filter(|one| one.name == "location" && one.block.is_some());
        Self(all.map(Match::of).collect())
    }

    /// The location that a path gets into, by its number. `None`: into none.
    fn choose(&self, path: &str) -> Option<usize> {
        let mut best: Option<(usize, usize, bool)> = None;
        for (index, one) in self.0.iter().take(LOCATIONS).enumerate() {
            match one {
                Match::Exact(exact) if exact == path => return Some(index),
                Match::Prefix { prefix, last }
                    if path.starts_with(prefix.as_str()) && best.is_none_or(|(_, length, _)| prefix.len() > length) =>
                {
                    best = Some((index, prefix.len(), *last));
                }
                Match::Exact(_) | Match::Prefix { .. } | Match::Pattern(..) | Match::Named(_) => {}
            }
        }
        if let Some((index, _, true)) = best {
            return Some(index);
        }
        let fits = |one: &Match| matches!(one, Match::Pattern(_, Some(regex)) if regex.is_match(path));
        self.0.iter().take(LOCATIONS).position(fits).or(best.map(|(index, ..)| index))
    }

    /// All of them in their order, each with a path that gets into it: the most natural one where none is sure to. `None`: none does,
    /// or it was not looked for.
    pub fn with_samples(self) -> Vec<(Match, Option<String>)> {
        let mut samples: Vec<_> = (0..self.0.len().min(LOCATIONS)).map(|index| self.sample(index)).collect();
        samples.resize(self.0.len(), None);
        self.0.into_iter().zip(samples).collect()
    }

    fn sample(&self, index: usize) -> Option<String> {
        let one = self.0.get(index)?;
        one.candidates().find(|path| self.choose(path) == Some(index)).or_else(|| one.candidates().next())
    }
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, sync::Arc};

    use super::{
        super::tree::{Problems, parse},
        *,
    };

    fn samples(text: &str) -> Vec<String> {
        let tree = parse(&Arc::new(PathBuf::from("/x")), text.as_bytes(), 0, &mut 1000, &mut Problems::default());
        Locations::of(&tree).with_samples().into_iter().map(|(_, sample)| sample.unwrap_or_default()).collect()
    }

    #[test]
    fn a_sample_gets_where_it_should() {
        for (text, sample) in [
            ("location / {}", "/"),
            ("location = /health {}", "/health"),
            ("location =/health {}", "/health"),
            ("location ^~ /static/ {}", "/static/"),
            (r"location ~ \.php$ {}", "/index.php"),
            (r"location ~ [^/]\.php(/|$) {}", "/index.php"),
            (r"location ~ ^/api/v[0-9]+/(.*)$ {}", "/api/v0/"),
            (r"location ~* \.(png|jpe?g)$ {}", "/x.png"),
            (r#"location ~ "^/(foo|bar)/(?<id>\d{3})" {}"#, "/foo/111"),
            (r"location ~ ^/user/(?:[a-z]+)-x {}", "/user/a-x"),
            (r"location ~ ^/(?!static)app {}", "/app"),
            ("location @app {}", ""),
        ] {
            assert_eq!(samples(text)[0], sample, "{text}");
        }
    }

    #[test]
    fn what_another_location_takes_is_no_sample() {
        let text = r"location / {} location = / {} location ~ ^/a/index {} location /a/ {} location = /a/ {}";
        let all = samples(text);
        assert_eq!(all, ["/index.html", "/", "/a/index", "/a/why502", "/a/"]);
    }
}
