//! A share of tries, with what so few of them can tell.

use std::fmt;

/// The 97.5 % quantile of the normal distribution: intervals of 95 %.
const Z: f64 = 1.959_964;

/// So many of so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Those that are meant: failures as a rule.
    pub hits: u64,
    /// All.
    pub all: u64,
}

impl Share {
    /// The share itself, 0 to 1. `None`: nothing was tried.
    pub fn value(self) -> Option<f64> {
        (self.all > 0).then(|| self.hits as f64 / self.all as f64)
    }

    /// Whether it is neither none nor all.
    pub fn mixed(self) -> bool {
        self.hits > 0 && self.hits < self.all
    }

    /// Between which shares the true one lies with 95 % (Wilson's score interval, which holds for few tries and near 0 and 1 as
    /// well: Wilson 1927; Brown, Cai and DasGupta 2001).
    pub fn interval(self) -> (f64, f64) {
        let Some(share) = self.value() else { return (0.0, 1.0) };
        let all = self.all as f64;
        let square = Z * Z;
        let middle = (share + square / (2.0 * all)) / (1.0 + square / all);
        let half = Z / (1.0 + square / all) * (share * (1.0 - share) / all + square / (4.0 * all * all)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

impl fmt::Display for Share {
    /// `3 of 20 (5-36 %)`; of none or all only the count, which says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.hits, self.all)?;
        if self.mixed() {
            let (from, to) = self.interval();
            write!(f, " ({:.0}-{:.0} %)", from * 100.0, to * 100.0)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // Values of Newcombe 1998, table I, method 3.
        for (hits, all, from, to) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            let (low, high) = Share { hits, all }.interval();
            assert!((low - from).abs() < 5e-4 && (high - to).abs() < 5e-4, "{hits} of {all}: {low:.4} to {high:.4}");
        }
        assert_eq!(Share::default().interval(), (0.0, 1.0));
    }

    #[test]
    fn what_is_steady_needs_no_interval() {
        assert_eq!(Share { hits: 3, all: 20 }.to_string(), "3 of 20 (5-36 %)");
        assert_eq!(Share { hits: 3, all: 3 }.to_string(), "3 of 3");
        assert_eq!(Share { hits: 0, all: 2 }.to_string(), "0 of 2");
        let (from, to) = Share { hits: u64::MAX, all: u64::MAX }.interval();
        assert!(from > 0.99 && to <= 1.0);
    }
}
