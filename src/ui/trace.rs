//! Which row of a list was drawn in which line, for who has only the line: a click of the mouse, and the front end that prints rows.

use std::{cell::RefCell, rc::Rc};

/// Rows by their index, each with the line in which it begins.
type Drawn = Vec<(usize, u16)>;

/// Where a list tells it.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Rc<RefCell<Drawn>>>);

/// How something is looked at does not make it something else.
impl PartialEq for Trace {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Trace {
    /// One that is listened to.
    pub fn listening() -> Self {
        Self(Some(Rc::default()))
    }

    /// Whether anybody listens.
    pub fn on(&self) -> bool {
        self.0.is_some()
    }

    /// The row with this index begins in this line.
    pub fn drawn(&self, index: usize, y: u16) {
        if let Some(rows) = &self.0 {
            rows.borrow_mut().push((index, y));
        }
    }

    /// Rows with the lines in which they begin, from the top.
    pub fn rows(&self) -> Vec<(usize, u16)> {
        self.0.as_ref().map_or_else(Vec::new, |rows| rows.borrow().clone())
    }
}
