//! Which skeletons were seen lately, and their keys: a small cache of fixed size, so that a flood of lines that all differ costs
//! neither memory nor more time for each line.
//!
//! The hash only says where to look, and is seeded anew in each run: what counts is that the pieces are equal, byte by byte, so no
//! line can be counted in the group of another, whatever a client writes.

use std::{hash::BuildHasher as _, hash::Hasher as _, sync::Arc};

use foldhash::fast::RandomState;

use super::skeleton::Skeleton;

/// Places with the same hash.
const WAYS: usize = 4;
/// Sets of them, each a cache line. A power of two.
const SETS: usize = 512;
/// Bytes of a skeleton that is remembered: nginx cuts its lines at 2,048, and a message is a part of one.
const SKELETON_BYTES: usize = 1024;
/// Bytes of all of them with their keys: beyond this everything is forgotten and learned anew.
const MEMO_BYTES: usize = 256 << 10;
/// Hashes of skeletons that were seen once. A power of two.
const ONCE: usize = 1024;

/// Remembers keys by skeleton.
#[derive(Debug, Default)]
pub(super) struct Memo {
    hasher: RandomState,
    /// Empty until something is remembered.
    sets: Vec<[Slot; WAYS]>,
    /// What was seen once is not remembered yet: a path or number in a message may never come again.
    once: Vec<u32>,
    /// Which of a set goes next.
    turn: u8,
    bytes: usize,
}

/// A place for one, with a part of its hash.
type Slot = (u32, Option<Box<Known>>);

/// A skeleton that was seen before.
#[derive(Debug)]
pub(super) struct Known {
    marks: (u8, u8),
    lengths: [u16; 4],
    raw: Box<[u8]>,
    /// The key of its lines.
    pub(super) key: Arc<str>,
    /// Where its lines were counted last: the batch, and the place in it.
    pub(super) place: (u64, usize),
}

impl Known {
    fn is(&self, skeleton: &Skeleton<'_>) -> bool {
        if self.marks != (skeleton.level, skeleton.marks) {
            return false;
        }
        let mut rest = &*self.raw;
        skeleton.pieces.iter().zip(self.lengths).all(|(piece, length)| {
            let length = usize::from(length);
            if length != piece.len() {
                return false;
            }
            if length == 0 {
                return true;
            }
            let Some((known, after)) = rest.split_at_checked(length) else { return false };
            rest = after;
            known == *piece
        })
    }
}

impl Memo {
    /// The hash of a skeleton, for the other two.
    pub(super) fn hash(&self, skeleton: &Skeleton<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write_u16(u16::from_le_bytes([skeleton.level, skeleton.marks]));
        for piece in skeleton.pieces {
            if !piece.is_empty() {
                hasher.write(piece);
            }
        }
        hasher.finish()
    }

    /// What is known of a skeleton.
    pub(super) fn get(&mut self, hash: u64, skeleton: &Skeleton<'_>) -> Option<&mut Known> {
        let tag = tag(hash);
        let set = self.sets.get_mut(index(hash, SETS))?.iter_mut();
        set.filter(|slot| slot.0 == tag).find_map(|slot| slot.1.as_deref_mut().filter(|known| known.is(skeleton)))
    }

    /// Remembers the key of a skeleton when it comes for the second time.
    pub(super) fn put(&mut self, hash: u64, skeleton: &Skeleton<'_>, key: &Arc<str>, place: (u64, usize)) {
        let size = skeleton.pieces.iter().map(|piece| piece.len()).sum::<usize>();
        // What is no ASCII may be bytes that are no text: those are replaced before a key is made.
        if size > SKELETON_BYTES || !skeleton.pieces.iter().all(|piece| piece.is_ascii()) {
            return;
        }
        if self.sets.is_empty() {
            self.sets.resize_with(SETS, Default::default);
            self.once.resize(ONCE, 0);
        }
        let tag = tag(hash);
        let once = &mut self.once[index(hash >> 16, ONCE)];
        if std::mem::replace(once, tag) != tag {
            return;
        }
        let known = Known {
            marks: (skeleton.level, skeleton.marks),
            lengths: skeleton.pieces.map(|piece| u16::try_from(piece.len()).unwrap_or_default()),
            raw: skeleton.pieces.concat().into(),
            key: Arc::clone(key),
            place,
        };
        self.bytes += size + key.len();
        if self.bytes > MEMO_BYTES {
            self.sets.iter_mut().flatten().for_each(|slot| *slot = Slot::default());
            self.bytes = size + key.len();
        }
        let set = &mut self.sets[index(hash, SETS)];
        self.turn = self.turn.wrapping_add(1);
        let at = set.iter().position(|slot| slot.1.is_none()).unwrap_or(usize::from(self.turn) % WAYS);
        if let (_, Some(gone)) = std::mem::replace(&mut set[at], (tag, Some(Box::new(known)))) {
            self.bytes = self.bytes.saturating_sub(gone.raw.len() + gone.key.len());
        }
    }
}

/// A part of a hash that does not choose its place; never 0, which stands for nothing.
fn tag(hash: u64) -> u32 {
    let upper = (hash >> 32) as u32;
    upper | 1
}

/// The place that a hash chooses of so many, a power of two.
fn index(hash: u64, places: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only its lowest bits are used")]
    let low = hash as usize;
    low & (places - 1)
}
