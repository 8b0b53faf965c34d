//! A paper before it is handed over: the same document as lines on the screen.

use ratatui::text::Line;

use super::{
    Ui,
    doc::Doc,
    spark::spark,
    text::{fit, width},
};
use crate::{
    app::{Paper, State, papers},
    model::{Block, document::safe},
};

/// Columns of a table's cell, at most.
const CELL: usize = 40;

/// The lines.
pub fn lines(state: &State, ui: &Ui, paper: Paper) -> Vec<Line<'static>> {
    let styles = &ui.styles;
    let mut doc = Doc::new(ui);
    let (copies, exports) = (ui.keys.named("copy-paper"), ui.keys.named("export"));
    doc.styled(
        &format!(
            "What stands here is what is handed over; secrets are replaced by placeholders. {copies} copies it, {exports} exports all papers."
        ),
        styles.quiet,
    );
    for block in &papers::document(state, paper, None).blocks {
        match block {
            Block::Heading(_, text) => doc.heading(&safe(text)),
            Block::Text(text) => doc.text(&safe(text)),
            Block::Fields(fields) => fields.iter().for_each(|(name, value)| doc.field(name, &safe(value))),
            Block::List(items) => {
                for item in items {
                    let (sign, style) = match item.sign.as_str() {
                        "for" => ("+", styles.good),
                        "against" => ("-", styles.warn),
                        "not looked at" => ("?", styles.unknown),
                        "explains" => ("=", styles.quiet),
                        _ => ("*", styles.text),
                    };
                    doc.item(sign, style, &safe(&item.text), &safe(&item.source));
                }
            }
            Block::Steps(steps) => {
                for (text, command) in steps {
                    doc.item("*", styles.text, &safe(text), "");
                    if let Some(command) = command {
                        doc.command(&safe(command));
                    }
                }
            }
            Block::Table(head, rows) => {
                let widths: Vec<usize> = (0..head.len())
                    .map(|at| {
                        let cells = rows.iter().filter_map(|(_, cells)| cells.get(at));
                        cells.chain(head.get(at)).map(|cell| width(&safe(cell)).min(CELL)).max().unwrap_or(0)
                    })
                    .collect();
                let row = |cells: &[String]| {
                    let cells = cells.iter().zip(&widths).map(|(cell, width)| fit(&safe(cell), *width));
                    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
                };
                doc.styled(&row(head), styles.strong);
                for (marked, cells) in rows {
                    let mark = if *marked { "  broken here" } else { "" };
                    doc.styled(&format!("{}{mark}", row(cells)), if *marked { styles.bad } else { styles.text });
                }
            }
            Block::Checks(checks) => {
                for check in checks {
                    let (sign, style) = match (check.failed, check.settled) {
                        (true, _) => ("[!]", styles.bad),
                        (false, true) => ("[x]", styles.good),
                        (false, false) => ("[ ]", styles.quiet),
                    };
                    let proof = if check.text.is_empty() { String::new() } else { format!(": {}", safe(&check.text)) };
                    doc.item(sign, style, &format!("{}: {}{proof}", safe(&check.title), check.word), "");
                    check.notes.iter().for_each(|note| doc.item("    note:", styles.quiet, &safe(note), ""));
                }
            }
            Block::Code(text) => doc.command(&safe(text)),
            Block::Chart { title, counts, from, to } => {
                doc.text(&format!("{title}, from {from} to {to}, at most {}:", counts.iter().max().copied().unwrap_or(0)));
                doc.text(&spark(counts, ui.charset));
            }
        }
    }
    doc.lines()
}
