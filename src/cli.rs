//! The command line: one definition, from which help comes, and everything else that is derived from it.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::model::Address;

/// Finds out why a gateway answers 502: the broken hop, the cause, what to do.
#[derive(Debug, Parser)]
#[command(name = "why502", version, about, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; nothing named: the console.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// What to look at.
    #[command(flatten)]
    pub target: Target,

    /// Keep every observation in this file, one JSON object a line; it must not exist yet.
    #[arg(long, value_name = "PATH")]
    pub record: Option<PathBuf>,

    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
}

/// What to look at.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// The URL that fails; none: the gateway's own sites, the failing ones first.
    #[arg(value_parser = parse_url)]
    pub url: Option<Url>,

    /// Look only at gateways of this kind.
    #[arg(long, value_name = "KIND")]
    pub gateway: Option<String>,

    /// Read this configuration of the gateway instead of the one that it was started with.
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// Follow this error log too.
    #[arg(long, value_name = "PATH")]
    pub log: Vec<PathBuf>,

    /// Follow this access log too.
    #[arg(long, value_name = "PATH")]
    pub access_log: Vec<PathBuf>,

    /// Try this upstream instead of those of the configuration: 127.0.0.1:8000, unix:/run/app.sock.
    #[arg(long, value_name = "ADDR")]
    pub upstream: Vec<Address>,

    /// Send nothing: only read logs, configuration and sockets.
    #[arg(long)]
    pub no_probe: bool,

    /// Read /proc, /etc and /var below this directory; implies --no-probe.
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,

    /// Requests a second that are sent at most, over everything [default: 5, and 1 to each upstream].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rate: Option<u32>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One pass without a terminal, for scripts, monitors and tests. Exit status: 0 ok, 1 warning, 2 critical, 3 unknown.
    Check(Box<Check>),
    /// Causes from a pasted log excerpt alone, on any host.
    Explain(Explain),
    /// The console on a real small gateway of its own on loopback, broken on purpose.
    Demo(Demo),
    /// The console over a recorded incident.
    Replay(Replay),
    /// What a recorded incident says at its end, as a document.
    Report(Report),
}

/// Options of `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// What to look at.
    #[command(flatten)]
    pub target: Target,

    /// The result as JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,

    /// The result as Markdown.
    #[arg(long)]
    pub markdown: bool,

    /// Give a verdict within this time: 10s, 1m.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub within: Duration,

    /// Keep every observation in this file, one JSON object a line; it must not exist yet.
    #[arg(long, value_name = "PATH")]
    pub record: Option<PathBuf>,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The file with the excerpt; -: standard input.
    #[arg(default_value = "-")]
    pub file: PathBuf,

    /// The result as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// What is to be broken; see --list.
    #[arg(value_name = "FAULT", value_parser = parse_fault)]
    pub fault: Option<&'static crate::demo::Fault>,

    /// List what can be broken.
    #[arg(long, conflicts_with_all = ["fault", "serve"])]
    pub list: bool,

    /// No console: print where it runs, heal on a line "heal", end with standard input. For tests and for a second terminal.
    #[arg(long)]
    pub serve: bool,

    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
}

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// The file that `--record` made.
    pub record: PathBuf,

    /// How many times faster than it happened.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub speed: u32,

    /// Draw with ASCII characters only.
    #[arg(long)]
    pub ascii: bool,
}

/// Options of `report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The file that `--record` made.
    pub record: PathBuf,

    /// As JSON.
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,

    /// As Markdown.
    #[arg(long)]
    pub markdown: bool,
}

/// A URL as people type it: `shop.example.com/cart` means http.
fn parse_url(text: &str) -> Result<Url, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&with_scheme).map_err(|e| format!("{e}; write it like https://shop.example.com/cart"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{} is not a scheme that a gateway serves; use http or https", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("it names no host; write it like https://shop.example.com/cart".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user name or password; leave them out, they would be shown and recorded".to_owned());
    }
    Ok(url)
}

/// A fault of the demo by its id.
fn parse_fault(text: &str) -> Result<&'static crate::demo::Fault, String> {
    crate::demo::by_id(text).ok_or_else(|| "the demo knows no such fault; see: why502 demo --list".to_owned())
}

/// `10s`, `500ms`, `5m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration = text.parse().map_err(|e| format!("{e}; write it like 10s or 5m"))?;
    let duration = Duration::try_from(signed).map_err(|_| "it must not be negative".to_owned())?;
    if duration < Duration::from_millis(100) {
        Err("less than 100 ms is too short to look at anything".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn urls_as_people_type_them() {
        assert_eq!(parse_url("shop.example.com/cart").expect("no scheme").as_str(), "http://shop.example.com/cart");
        assert_eq!(parse_url("https://a:8443").expect("port").port(), Some(8443));
        for bad in ["ftp://a/", "file:///etc/passwd", "http://", "http://u:p@a/", "https://[::1", "javascript://a"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_as_people_type_them() {
        assert_eq!(parse_duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_mins(5)));
        for bad in ["", "x", "-1s", "0s", "1ms"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
