//! Which directive is in force where: blocks within blocks, as nginx and Apache both have them.
//!
//! What must not be here: what a directive means. Which of two levels counts is the gateway's own rule, and stands there.

use std::rc::Rc;

use crate::model::Order as _;

/// Names that are looked through faster than they are searched.
const FEW: usize = 24;

/// What has a name by which it is looked for.
pub trait Named {
    /// Its name, as it is compared.
    fn name(&self) -> &str;
}

/// One block's own directives by name, made once per block: an `http` with 20,000 servers is asked from each of them. Most blocks have
/// a handful of names, so that looking through them is faster than any table.
#[derive(Debug)]
struct Level<'a, D> {
    /// Each name in its order, and where its directives end in `all`.
    names: Vec<(&'a str, usize)>,
    all: Vec<&'a D>,
}

impl<'a, D: Named> Level<'a, D> {
    fn of(directives: &'a [D]) -> Self {
        let mut all: Vec<&D> = directives.iter().collect();
        // Those of a name stay in their order.
        all.order_by(|a, b| a.name().cmp(b.name()));
        let mut names: Vec<(&str, usize)> = Vec::new();
        for (at, one) in all.iter().enumerate() {
            match names.last_mut() {
                Some((name, end)) if *name == one.name() => *end = at + 1,
                Some(_) | None => names.push((one.name(), at + 1)),
            }
        }
        Self { names, all }
    }

    fn get(&self, name: &str) -> Option<&[&'a D]> {
        // Names of another length are told apart without their bytes.
        let place = if self.names.len() <= FEW {
            self.names.iter().position(|(known, _)| *known == name)?
        } else {
            self.names.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?
        };
        Some(self.of_place(place))
    }

    fn of_place(&self, place: usize) -> &[&'a D] {
        let end = |place: usize| self.names.get(place).map_or(0, |(_, end)| *end);
        self.all.get(place.checked_sub(1).map_or(0, end)..end(place)).unwrap_or_default()
    }
}

/// A block and those around it, outermost first.
#[derive(Debug)]
pub struct Scope<'a, D>(Vec<Rc<Level<'a, D>>>);

impl<D> Clone for Scope<'_, D> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<D> Default for Scope<'_, D> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, D: Named> Scope<'a, D> {
    /// The outermost block.
    pub fn new(directives: &'a [D]) -> Self {
        Self::default().within(directives)
    }

    /// The scope of a block inside this one.
    pub fn within(&self, directives: &'a [D]) -> Self {
        let mut levels = Vec::with_capacity(self.0.len() + 1);
        levels.extend(self.0.iter().cloned());
        levels.push(Rc::new(Level::of(directives)));
        Self(levels)
    }

    /// Those of a name, one slice per level that has any, innermost first.
    pub fn levels(&self, name: &str) -> impl Iterator<Item = &[&'a D]> {
        self.0.iter().rev().filter_map(move |level| level.get(name))
    }

    /// All of a name at the innermost level that has any.
    pub fn nearest(&self, name: &str) -> &[&'a D] {
        self.levels(name).next().unwrap_or_default()
    }

    /// The one of a name that is in force: of the innermost level that has any, the last.
    pub fn get(&self, name: &str) -> Option<&'a D> {
        self.nearest(name).last().copied()
    }

    /// Those of a name that stand in the innermost block itself.
    pub fn own(&self, name: &str) -> &[&'a D] {
        self.0.last().and_then(|level| level.get(name)).unwrap_or_default()
    }

    /// Those of a name of all levels, outermost first.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a D> {
        self.0.iter().filter_map(move |level| level.get(name)).flatten().copied()
    }

    /// What is in force of every name, innermost level first: of a name that comes twice, the first counts.
    pub fn in_force(&self) -> impl Iterator<Item = &'a D> {
        self.0.iter().rev().flat_map(|level| (0..level.names.len()).filter_map(move |place| level.of_place(place).last().copied()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Named for (&str, u32) {
        fn name(&self) -> &str {
            self.0
        }
    }

    #[test]
    fn the_innermost_level_that_has_any_counts_and_of_it_the_last() {
        let (outer, inner) = ([("b", 1), ("a", 2), ("b", 3), ("c", 4)], [("b", 5), ("d", 6), ("b", 7)]);
        let around = Scope::new(&outer);
        let scope = around.within(&inner);
        let numbers = |found: &[&(&str, u32)]| found.iter().map(|one| one.1).collect::<Vec<_>>();
        assert_eq!(numbers(around.nearest("b")), [1, 3]);
        assert_eq!(numbers(scope.nearest("b")), [5, 7]);
        assert_eq!(numbers(scope.nearest("a")), [2]);
        assert_eq!(numbers(scope.own("a")), [0; 0]);
        assert_eq!((scope.get("b").map(|one| one.1), scope.get("x")), (Some(7), None));
        assert_eq!(scope.all("b").map(|one| one.1).collect::<Vec<_>>(), [1, 3, 5, 7]);
        assert_eq!(scope.in_force().map(|one| one.1).collect::<Vec<_>>(), [7, 6, 2, 3, 4]);
    }
}
