//! Where everything stands, by size class. Pure arithmetic on rectangles; the same size gives the same places.
//!
//! ```text
//! small             medium 80x24            large 120x36             wide 160x45
//! header            header                  header                   header
//! focused pane      checklist | probes      checklist | causes       checklist | causes | load
//! others, if any    causes    | load        probes    | load         probes    | changes
//! footer            config                  config                   logs
//!                   logs                    logs                     timeline
//!                   footer                  footer                   footer
//! ```
//!
//! Where there is no room for both, the changes stand in the place of the load while they have the focus, and the line of time in that of
//! the logs; on a wide screen the
//! configuration stands in theirs while somebody mends it.
//!
//! A pane says which [`Slot`] it belongs to; a slot without a pane leaves its room to its neighbours. To add a slot: a
//! variant, and its place in the bands of each class.

use ratatui::layout::{Rect, Size};

/// What a pane is there for, and thereby where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// How one works: the checklist.
    Work,
    /// What one finds: causes.
    Find,
    /// What is tried: probes.
    Try,
    /// How the host is: load.
    Host,
    /// What is being mended: the configuration.
    Mend,
    /// What is told: logs.
    Tell,
    /// What was before: changes.
    Past,
    /// When it was: the line of time.
    Time,
}

/// A row of slots: each with its share of the width, and the row with its share of the height.
struct Band {
    slots: &'static [(Slot, u16)],
    share: u16,
}

const MEDIUM: &[Band] = &[
    Band { slots: &[(Slot::Work, 38), (Slot::Try, 41)], share: 8 },
    Band { slots: &[(Slot::Find, 38), (Slot::Host, 41)], share: 7 },
    Band { slots: &[(Slot::Mend, 1)], share: 6 },
    Band { slots: &[(Slot::Tell, 1)], share: 5 },
];
const LARGE: &[Band] = &[
    Band { slots: &[(Slot::Work, 56), (Slot::Find, 63)], share: 14 },
    Band { slots: &[(Slot::Try, 66), (Slot::Host, 53)], share: 9 },
    Band { slots: &[(Slot::Mend, 1)], share: 6 },
    Band { slots: &[(Slot::Tell, 1)], share: 9 },
];
const WIDE: &[Band] = &[
    Band { slots: &[(Slot::Work, 48), (Slot::Find, 58), (Slot::Host, 52)], share: 20 },
    Band { slots: &[(Slot::Try, 88), (Slot::Past, 71)], share: 8 },
    Band { slots: &[(Slot::Tell, 1)], share: 8 },
    Band { slots: &[(Slot::Time, 1)], share: 6 },
];
/// One below the other: the rest beside the focused pane when there is no room for columns.
const SMALL: &[Band] = &[
    Band { slots: &[(Slot::Work, 1)], share: 1 },
    Band { slots: &[(Slot::Find, 1)], share: 1 },
    Band { slots: &[(Slot::Try, 1)], share: 1 },
    Band { slots: &[(Slot::Host, 1)], share: 1 },
    Band { slots: &[(Slot::Mend, 1)], share: 1 },
    Band { slots: &[(Slot::Tell, 1)], share: 1 },
    Band { slots: &[(Slot::Past, 1)], share: 1 },
    Band { slots: &[(Slot::Time, 1)], share: 1 },
];

/// From here on there are two columns: the 80x24 of every default terminal, less a frame of tmux.
const MEDIUM_FROM: Size = Size::new(76, 20);
/// From here on the checklist and the causes stand side by side with their proof.
const LARGE_FROM: Size = Size::new(110, 30);
/// From here on there are three columns.
const WIDE_FROM: Size = Size::new(150, 40);
/// Lines of a pane below which it says nothing: its rule and two rows.
const PANE_MIN: u16 = 3;
/// Lines of where, verdict and path.
const HEADER: u16 = 3;

/// The places of one screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Where, verdict, path; fewer than three lines on a tiny screen.
    pub header: Rect,
    /// Everything between header and footer.
    pub body: Rect,
    /// The footer; without height on a tiny screen.
    pub footer: Rect,
    /// Panes by their index, with their rule.
    pub panes: Vec<(usize, Rect)>,
}

/// Shares `total` out in proportion, to the last cell.
fn shares(total: u16, parts: &[u16]) -> Vec<u16> {
    let sum: u32 = parts.iter().map(|part| u32::from(*part)).sum::<u32>().max(1);
    let mut begun = 0_u32;
    let edge = |upto: u32| u16::try_from(u32::from(total) * upto / sum).unwrap_or(total);
    parts
        .iter()
        .map(|part| {
            let from = edge(begun);
            begun += u32::from(*part);
            edge(begun) - from
        })
        .collect()
}

/// The places on a screen of this size for panes with these slots; without one a pane is not shown. `focus`: index of the focused pane, always among those that
/// are shown. `zoom`: it alone.
pub fn places(screen: Rect, panes: &[Option<Slot>], focus: usize, zoom: bool) -> Places {
    let header = Rect { height: HEADER.min(screen.height), ..screen };
    let footer_height = u16::from(screen.height > HEADER);
    let footer = Rect { y: screen.bottom() - footer_height, height: footer_height, ..screen };
    let body = Rect { y: header.bottom(), height: screen.height - header.height - footer_height, ..screen };
    let mut places = Places { header, body, footer, panes: Vec::new() };
    if body.height == 0 || body.width == 0 || panes.is_empty() {
        return places;
    }
    if zoom {
        places.panes.push((focus, body));
        return places;
    }
    let fits = |size: Size| screen.width >= size.width && screen.height >= size.height;
    let (bands, least) = match () {
        () if fits(WIDE_FROM) => (WIDE, PANE_MIN),
        () if fits(LARGE_FROM) => (LARGE, PANE_MIN),
        () if fits(MEDIUM_FROM) => (MEDIUM, PANE_MIN),
        // Panes one below the other need a little more each to be worth the rule.
        () => (SMALL, PANE_MIN + 3),
    };
    let has = |wanted: Slot| bands.iter().any(|band| band.slots.iter().any(|(slot, _)| *slot == wanted));
    let (past, mend, time) = (has(Slot::Past), has(Slot::Mend), has(Slot::Time));
    let in_time = panes.get(focus) == Some(&Some(Slot::Time));
    let looks_back = panes.get(focus) == Some(&Some(Slot::Past));
    let mends = panes.contains(&Some(Slot::Mend));
    let place = move |slot: Slot| match slot {
        Slot::Host if looks_back && !past => Slot::Past,
        Slot::Past if mends && !mend && !looks_back => Slot::Mend,
        // Who goes along the line of time wants to see what the others showed then.
        Slot::Tell if in_time && !time => Slot::Time,
        Slot::Work | Slot::Find | Slot::Try | Slot::Host | Slot::Mend | Slot::Tell | Slot::Past | Slot::Time => slot,
    };
    let mut rows: Vec<(u16, Vec<(usize, u16)>)> = bands
        .iter()
        .map(|band| {
            let members = band.slots.iter().flat_map(|(slot, share)| {
                let here = move |of: &Option<Slot>| *of == Some(place(*slot));
                panes.iter().enumerate().filter(move |(_, of)| here(of)).map(move |(index, _)| (index, *share))
            });
            (band.share, members.collect::<Vec<_>>())
        })
        .filter(|(_, members)| !members.is_empty())
        .collect();
    // Without room for all, the last give way, but never the focused one.
    while rows.len() > 1 && usize::from(body.height) < rows.len() * usize::from(least) {
        let Some(last) = rows.iter().rposition(|(_, members)| members.iter().all(|(index, _)| *index != focus)) else { break };
        rows.remove(last);
    }
    let mut y = body.y;
    let heights = shares(body.height, &rows.iter().map(|(share, _)| *share).collect::<Vec<_>>());
    for ((_, members), height) in rows.iter().zip(heights) {
        // A blank column between neighbours.
        let gaps = u16::try_from(members.len().saturating_sub(1)).unwrap_or(0);
        let widths = shares(body.width.saturating_sub(gaps), &members.iter().map(|(_, share)| *share).collect::<Vec<_>>());
        let mut x = body.x;
        for ((index, _), width) in members.iter().zip(widths) {
            places.panes.push((*index, Rect { x, y, width, height }));
            x += width + 1;
        }
        y += height;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANES: &[Option<Slot>] = &[
        Some(Slot::Work),
        Some(Slot::Find),
        Some(Slot::Try),
        Some(Slot::Host),
        Some(Slot::Tell),
        Some(Slot::Mend),
        Some(Slot::Past),
    ];

    #[test]
    fn nothing_overlaps_or_leaves_the_screen_at_any_size() {
        for width in 1..200 {
            for height in 1..60 {
                let screen = Rect::new(0, 0, width, height);
                for (focus, zoom) in [(0, false), (4, false), (5, false), (2, true)] {
                    let at = places(screen, PANES, focus, zoom);
                    let all: Vec<Rect> = at
                        .panes
                        .iter()
                        .map(|(_, rect)| *rect)
                        .chain([at.header, at.footer])
                        .filter(|rect| !rect.is_empty())
                        .collect();
                    for (index, one) in all.iter().enumerate() {
                        assert_eq!(screen.intersection(*one), *one, "{width}x{height}");
                        assert!(all[index + 1..].iter().all(|other| !one.intersects(*other)), "{width}x{height}");
                    }
                    assert!(at.body.is_empty() || at.panes.iter().any(|(index, _)| *index == focus), "{width}x{height}");
                }
            }
        }
    }

    #[test]
    fn a_default_terminal_shows_every_pane() {
        for (width, height) in [(80, 24), (120, 36), (160, 45), (240, 70)] {
            // What was before has the place of the load, or of the configuration on a wide screen, while it is looked at.
            for focus in 0..PANES.len() {
                let at = places(Rect::new(0, 0, width, height), PANES, focus, false);
                assert_eq!(at.panes.len(), PANES.len() - 1);
                assert!(at.panes.iter().any(|(index, _)| *index == focus), "{width}x{height} {focus}");
            }
        }
    }

    #[test]
    fn what_has_nothing_to_say_leaves_its_room() {
        let quiet: Vec<Option<Slot>> = PANES.iter().map(|slot| slot.filter(|slot| *slot != Slot::Mend)).collect();
        for (width, height) in [(80, 24), (120, 36), (160, 45)] {
            let screen = Rect::new(0, 0, width, height);
            let (all, less) = (places(screen, PANES, 0, false), places(screen, &quiet, 0, false));
            let cells = |places: &Places| places.panes.iter().map(|(_, rect)| rect.area()).sum::<u32>();
            let past = usize::from(width >= WIDE_FROM.width);
            assert_eq!(less.panes.len(), PANES.len() - 2 + past);
            assert!(cells(&all).abs_diff(cells(&less)) <= u32::from(height), "but for the column between two");
        }
    }

    #[test]
    fn a_phone_shows_the_focused_pane() {
        let at = places(Rect::new(0, 0, 40, 10), PANES, 2, false);
        assert_eq!(at.panes, [(2, Rect::new(0, 3, 40, 6))]);
    }
}
