//! A document as Markdown (CommonMark), for tickets and chat.

use crate::model::{Block, Check, Document, Item, document::safe};

/// Text in which nothing is markup: every ASCII punctuation character may be escaped by a backslash (CommonMark 0.31 section 2.4).
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in safe(text).chars() {
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '&' | '@'
        ) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A fenced block: its fence is longer than any row of backticks in it (CommonMark 0.31 section 4.5).
fn fenced(text: &str, indent: &str) -> String {
    let text = safe(text);
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{indent}{fence}sh\n{indent}{text}\n{indent}{fence}\n")
}

fn item(item: &Item) -> String {
    let sign = if item.sign.is_empty() { String::new() } else { format!("*{}:* ", item.sign) };
    let source = if item.source.is_empty() { String::new() } else { format!(" ({})", escape(&item.source)) };
    format!("- {sign}{}{source}\n", escape(&item.text))
}

fn check(check: &Check) -> String {
    let tick = if check.settled { "x" } else { " " };
    let word = if check.failed { format!("**{}**", check.word) } else { check.word.clone() };
    let proof = if check.text.is_empty() { String::new() } else { format!(": {}", escape(&check.text)) };
    let notes = check.notes.iter().map(|note| format!("  - *note:* {}\n", escape(note))).collect::<Vec<_>>().concat();
    format!("- [{tick}] {}: {word}{proof}\n{notes}", escape(&check.title))
}

/// One cell a count; the tallest are full blocks.
fn bars(counts: &[u64]) -> String {
    const LEVELS: [char; 8] = ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let most = u128::from(counts.iter().copied().max().unwrap_or(0).max(1));
    let level = |count: u64| usize::try_from(u128::from(count) * 8 / most).unwrap_or(8).clamp(1, 8) - 1;
    counts.iter().map(|count| if *count == 0 { '.' } else { LEVELS.get(level(*count)).copied().unwrap_or('#') }).collect()
}

/// The document.
pub fn render(document: &Document) -> String {
    let mut out = String::new();
    for block in &document.blocks {
        if !out.is_empty() {
            out.push('\n');
        }
        match block {
            Block::Heading(level @ 1..=3, text) => {
                // The number of a heading is no markup of ours.
                out.push_str(&format!("{} {}\n", "#".repeat(usize::from(*level)), escape(text)));
            }
            Block::Heading(_, text) => out.push_str(&format!("**{}**\n", escape(text))),
            Block::Text(text) => out.push_str(&format!("{}\n", escape(text))),
            Block::Fields(fields) => {
                let lines = fields.iter().map(|(name, value)| format!("- **{name}:** {}\n", escape(value)));
                out.push_str(&lines.collect::<String>());
            }
            Block::List(items) => out.push_str(&items.iter().map(item).collect::<String>()),
            Block::Steps(steps) => {
                for (text, command) in steps {
                    out.push_str(&format!("1. {}\n", escape(text)));
                    out.push_str(&command.as_ref().map_or_else(String::new, |command| fenced(command, "   ")));
                }
            }
            Block::Table(head, rows) => {
                out.push_str(&format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len())));
                for (marked, cells) in rows {
                    let mark = if *marked { " **broken here**" } else { "" };
                    // The last but one tells what came of it.
                    let marked_at = cells.len().saturating_sub(2);
                    let cells = cells.iter().enumerate();
                    let cells = cells.map(|(at, cell)| format!("{}{}", escape(cell), if at == marked_at { mark } else { "" }));
                    out.push_str(&format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ")));
                }
            }
            Block::Checks(checks) => out.push_str(&checks.iter().map(check).collect::<String>()),
            Block::Code(text) => out.push_str(&fenced(text, "")),
            Block::Chart { title, counts, from, to } => {
                let most = counts.iter().max().copied().unwrap_or(0);
                out.push_str(&format!("{}, from {from} to {to}, at most {most}:\n\n`{}`\n", escape(title), bars(counts)));
            }
        }
    }
    out
}
