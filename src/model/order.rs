//! Sorting what is not many: by its places, so that all lists of the program share one copy of the sort's machine code.
//!
//! The standard library's sort is made anew for each closure, some 8 kB of it, and the program has four score of them: a twentieth of what
//! stands in memory. What is sorted for each line or each request must not come here: comparing goes by a pointer.

use std::cmp::Ordering;

/// Stable sorts of slices, as those of the standard library.
pub trait Order<T> {
    /// As [`slice::sort_by`].
    fn order_by(&mut self, compare: impl FnMut(&T, &T) -> Ordering);
    /// As [`slice::sort_by_key`].
    fn order_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K);
}

impl<T> Order<T> for [T] {
    fn order_by(&mut self, mut compare: impl FnMut(&T, &T) -> Ordering) {
        let mut places = places(self.len(), &mut |one, other| compare(&self[one], &self[other]));
        for at in 0..places.len() {
            while places[at] != at {
                let there = places[at];
                self.swap(at, there);
                places.swap(at, there);
            }
        }
    }

    fn order_by_key<K: Ord>(&mut self, mut key: impl FnMut(&T) -> K) {
        self.order_by(|one, other| key(one).cmp(&key(other)));
    }
}

/// Where each of so many belongs.
fn places(count: usize, compare: &mut dyn FnMut(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    let mut places = vec![0; count];
    for (place, from) in order.into_iter().enumerate() {
        places[from] = place;
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_sorts_as_the_standard_library_does(mut list in prop::collection::vec((0_u8..8, any::<u16>()), 0..60)) {
            let mut wanted = list.clone();
            wanted.sort_by_key(|(key, _)| *key);
            list.order_by_key(|(key, _)| *key);
            prop_assert_eq!(&list, &wanted);
            wanted.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
            list.order_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(&other.0)));
            prop_assert_eq!(list, wanted);
        }
    }
}
