//! A document as one HTML file that needs nothing else: no script, no font, no picture, nothing that is loaded from anywhere.
//!
//! Foreign text is escaped, and a policy in the file itself forbids a browser to load or run anything, should something slip through.

use crate::model::{Block, Check, Document, Item, document::safe};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--bad:#c22;--good:#2a7;--soft:#8882}\
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.2rem;margin-top:2rem;border-bottom:1px solid var(--line)}\
h3{font-size:1rem}h4{margin:.6rem 0 .2rem}\
table{border-collapse:collapse;width:100%}td,th{border:1px solid var(--line);padding:.2rem .5rem;text-align:left;vertical-align:top}\
tr.broken td{font-weight:bold;color:var(--bad)}\
pre{background:var(--soft);padding:.5rem;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem}dt{font-weight:bold}dd{margin:0;overflow-wrap:anywhere}\
li{overflow-wrap:anywhere}.source{opacity:.7}.sign{font-style:italic}.fail{color:var(--bad);font-weight:bold}\
svg{width:100%;height:5rem;background:var(--soft)}ul.checks{list-style:none;padding-left:0}";

/// Height and width of a bar of the chart, in its own units.
const BAR: (u64, usize) = (100, 10);

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in safe(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn item(item: &Item) -> String {
    let sign = if item.sign.is_empty() { String::new() } else { format!("<span class=\"sign\">{}:</span> ", escape(&item.sign)) };
    let source =
        if item.source.is_empty() { String::new() } else { format!(" <span class=\"source\">({})</span>", escape(&item.source)) };
    format!("<li>{sign}{}{source}</li>\n", escape(&item.text))
}

fn check(check: &Check) -> String {
    // A sign and a word besides the colour.
    let sign = match (check.failed, check.settled) {
        (true, _) => "[!]",
        (false, true) => "[x]",
        (false, false) => "[ ]",
    };
    let class = if check.failed { " class=\"fail\"" } else { "" };
    let proof = if check.text.is_empty() { String::new() } else { format!(": {}", escape(&check.text)) };
    let notes = check.notes.iter().map(|note| format!("<li>note: {}</li>", escape(note))).collect::<Vec<_>>().concat();
    let notes = if notes.is_empty() { notes } else { format!("<ul>{notes}</ul>") };
    format!("<li><span{class}>{sign} {}: {}</span>{proof}{notes}</li>\n", escape(&check.title), escape(&check.word))
}

fn chart(counts: &[u64]) -> String {
    let (height, width) = BAR;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bars = counts.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, count)| {
        let tall = u64::try_from(u128::from(*count) * u128::from(height) / u128::from(most)).unwrap_or(height).max(1);
        format!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{tall}\" fill=\"currentColor\"/>",
            at * width,
            height - tall,
            width - 1
        )
    });
    let bars: String = bars.collect();
    format!(
        "<svg viewBox=\"0 0 {} {height}\" preserveAspectRatio=\"none\" role=\"img\">{bars}</svg>\n",
        counts.len().max(1) * width
    )
}

fn block(block: &Block) -> String {
    match block {
        Block::Heading(level, text) => {
            let level = (*level).clamp(1, 4);
            format!("<h{level}>{}</h{level}>\n", escape(text))
        }
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::Fields(fields) => {
            let rows = fields.iter().map(|(name, value)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value)));
            format!("<dl>\n{}</dl>\n", rows.collect::<String>())
        }
        Block::List(items) => format!("<ul>\n{}</ul>\n", items.iter().map(item).collect::<String>()),
        Block::Steps(steps) => {
            let rows = steps.iter().map(|(text, command)| {
                let command = command.as_ref().map_or_else(String::new, |command| format!("<pre>{}</pre>", escape(command)));
                format!("<li>{}{command}</li>\n", escape(text))
            });
            format!("<ol>\n{}</ol>\n", rows.collect::<String>())
        }
        Block::Table(head, rows) => {
            let head = head.iter().map(|cell| format!("<th>{}</th>", escape(cell))).collect::<Vec<_>>().concat();
            let rows = rows.iter().map(|(marked, cells)| {
                let at = cells.len().saturating_sub(2);
                let cells = cells.iter().enumerate().map(|(index, cell)| {
                    let mark = if *marked && index == at { " (broken here)" } else { "" };
                    format!("<td>{}{mark}</td>", escape(cell))
                });
                format!("<tr{}>{}</tr>\n", if *marked { " class=\"broken\"" } else { "" }, cells.collect::<String>())
            });
            format!("<table>\n<tr>{head}</tr>\n{}</table>\n", rows.collect::<String>())
        }
        Block::Checks(checks) => format!("<ul class=\"checks\">\n{}</ul>\n", checks.iter().map(check).collect::<String>()),
        Block::Code(text) => format!("<pre>{}</pre>\n", escape(text)),
        Block::Chart { title, counts, from, to } => {
            let most = counts.iter().max().copied().unwrap_or(0);
            format!("<p>{}, from {} to {}, at most {most}:</p>\n{}", escape(title), escape(from), escape(to), chart(counts))
        }
    }
}

/// The document.
pub fn render(document: &Document) -> String {
    let body: String = document.blocks.iter().map(block).collect();
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(&document.title)
    )
}
