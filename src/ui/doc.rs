//! An explanation, line by line: headings, sentences, signed items, fields, commands.

use ratatui::{style::Style, text::Line};

use super::{
    Ui,
    text::{fit, fixed, line, span},
};
use crate::model::Advice;

/// Columns of a field's name.
const NAME: usize = 12;

/// Builds the lines of an explanation. Nothing is wrapped here: that happens where the width is known.
pub struct Doc<'a> {
    ui: &'a Ui,
    lines: Vec<Line<'static>>,
}

impl<'a> Doc<'a> {
    /// An empty one.
    pub fn new(ui: &'a Ui) -> Self {
        Self { ui, lines: Vec::new() }
    }

    /// The lines.
    pub fn lines(self) -> Vec<Line<'static>> {
        self.lines
    }

    /// A heading, set off by an empty line.
    pub fn heading(&mut self, text: &str) {
        if !self.lines.is_empty() {
            self.lines.push(line([]));
        }
        self.lines.push(line([span(text, self.ui.styles.strong)]));
    }

    /// A sentence. Several lines stay several lines.
    pub fn text(&mut self, text: &str) {
        self.styled(text, self.ui.styles.text);
    }

    /// A sentence in a style.
    pub fn styled(&mut self, text: &str, style: Style) {
        self.lines.extend(text.lines().map(|part| line([fixed("  ", Style::new()), span(part, style)])));
    }

    /// `+ text`: a sentence with its sign.
    pub fn item(&mut self, sign: &str, style: Style, text: &str, source: &str) {
        let mut spans = vec![span(format!("  {sign} "), style), span(text, self.ui.styles.text)];
        if !source.is_empty() {
            spans.push(span(format!("  ({source})"), self.ui.styles.quiet));
        }
        self.lines.push(line(spans));
    }

    /// `name   value`.
    pub fn field(&mut self, name: &str, value: &str) {
        self.field_styled(name, value, self.ui.styles.text);
    }

    /// `name   value` in a style.
    pub fn field_styled(&mut self, name: &str, value: &str, style: Style) {
        self.lines.push(line([span(format!("  {} ", fit(name, NAME)), self.ui.styles.quiet), span(value, style)]));
    }

    /// A heading with advice below it; nothing without advice.
    pub fn advice(&mut self, heading: &str, list: &[Advice]) {
        if list.is_empty() {
            return;
        }
        self.heading(heading);
        for advice in list {
            self.one(advice);
        }
    }

    /// One piece of advice: the sentence, and the command on its own line.
    pub fn one(&mut self, advice: &Advice) {
        if !advice.text.is_empty() {
            self.item("*", self.ui.styles.text, &advice.text, "");
        }
        if let Some(command) = &advice.command {
            self.command(&command.to_string());
        }
    }

    /// A command, quoted for the shell already.
    pub fn command(&mut self, command: &str) {
        self.lines.push(line([fixed("    $ ", self.ui.styles.quiet), span(command, self.ui.styles.command)]));
    }
}
