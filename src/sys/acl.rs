//! POSIX access control lists, as the kernel keeps them in `system.posix_acl_access` (acl(5); linux/posix_acl_xattr.h).

/// Version of the attribute's layout.
const VERSION: u32 = 2;
/// Bytes of the header and of one entry.
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// Tags of entries.
const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Bytes of the attribute that are read: some thousand entries.
pub const ACL_BYTES: usize = 32 << 10;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: u16,
    bits: u32,
    id: u32,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

/// Why somebody has a right, or lacks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether it is given.
    pub given: bool,
    /// The entry that decides, as getfacl(1) writes it, with ids for names: `user:33:rw-`; with the mask where that takes it away.
    pub entry: String,
}

impl Acl {
    /// Reads the attribute. `None`: it is no list that we know.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (header, rest) = bytes.split_at_checked(HEADER)?;
        if u32::from_le_bytes(header.try_into().ok()?) != VERSION || rest.len() % ENTRY != 0 {
            return None;
        }
        let entry = |bytes: &[u8]| {
            let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
            let id = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
            Some(Entry { tag: short(0)?, bits: u32::from(short(2)?), id })
        };
        rest.chunks_exact(ENTRY).map(entry).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Whether somebody who is not root has this right (4 read, 2 write, 1 search) on a file of this owner and group (acl(5),
    /// "Access check algorithm").
    pub fn rules(&self, owner: (u32, u32), uid: u32, groups: &[u32], bit: u32) -> Ruling {
        let of = |tag: u16| self.0.iter().find(move |entry| entry.tag == tag);
        let mask = of(MASK).map_or(0o7, |mask| mask.bits);
        let masked = |entry: &Entry| {
            let given = entry.bits & mask & bit == bit;
            let taken = entry.bits & bit == bit && !given;
            let entry = if taken { format!("{}, mask::{}", shown(entry), letters(mask)) } else { shown(entry) };
            Ruling { given, entry }
        };
        if uid == owner.0 {
            return of(USER_OBJ)
                .map_or_else(|| denied("user::"), |entry| Ruling { given: entry.bits & bit == bit, entry: shown(entry) });
        }
        if let Some(entry) = self.0.iter().find(|entry| entry.tag == USER && entry.id == uid) {
            return masked(entry);
        }
        let member = |entry: &&Entry| match entry.tag {
            GROUP_OBJ => groups.contains(&owner.1),
            GROUP => groups.contains(&entry.id),
            _ => false,
        };
        let matching: Vec<Ruling> = self.0.iter().filter(member).map(masked).collect();
        // Any group that gives it will do; one that matches and does not ends the search all the same.
        if let Some(ruling) = matching.iter().find(|ruling| ruling.given).or(matching.first()) {
            return ruling.clone();
        }
        of(OTHER).map_or_else(|| denied("other::"), |entry| Ruling { given: entry.bits & bit == bit, entry: shown(entry) })
    }
}

fn denied(entry: &str) -> Ruling {
    Ruling { given: false, entry: format!("{entry}---") }
}

fn letters(bits: u32) -> String {
    [(4, 'r'), (2, 'w'), (1, 'x')].iter().map(|(bit, letter)| if bits & bit == *bit { *letter } else { '-' }).collect()
}

/// As getfacl(1) writes it.
fn shown(entry: &Entry) -> String {
    let bits = letters(entry.bits);
    match entry.tag {
        USER_OBJ => format!("user::{bits}"),
        USER => format!("user:{}:{bits}", entry.id),
        GROUP_OBJ => format!("group::{bits}"),
        GROUP => format!("group:{}:{bits}", entry.id),
        MASK => format!("mask::{bits}"),
        _ => format!("other::{bits}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of entries with tag, rights and id.
    fn acl(entries: &[(u16, u16, u32)]) -> Acl {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, bits, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(bits.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        Acl::parse(&bytes).expect("a list")
    }

    const OWNER: (u32, u32) = (1500, 1500);

    #[test]
    fn the_first_class_that_fits_decides() {
        let list = acl(&[(USER_OBJ, 6, 0), (USER, 6, 33), (GROUP_OBJ, 0, 0), (GROUP, 2, 40), (MASK, 6, 0), (OTHER, 0, 0)]);
        let may = |uid, groups: &[u32]| list.rules(OWNER, uid, groups, 2);
        assert_eq!(may(33, &[33]), Ruling { given: true, entry: "user:33:rw-".to_owned() });
        assert_eq!(may(34, &[33]), Ruling { given: false, entry: "other::---".to_owned() });
        assert!(may(1500, &[]).given && may(34, &[40]).given);
        assert!(!may(34, &[1500]).given, "the file's own group has nothing");
        assert!(may(34, &[1500, 40]).given, "but another of his has");
    }

    #[test]
    fn the_mask_takes_away_and_is_named() {
        let list = acl(&[(USER_OBJ, 7, 0), (USER, 7, 33), (GROUP_OBJ, 7, 0), (MASK, 4, 0), (OTHER, 7, 0)]);
        let ruling = list.rules(OWNER, 33, &[], 1);
        assert_eq!((ruling.given, &*ruling.entry), (false, "user:33:rwx, mask::r--"));
        assert!(list.rules(OWNER, 1500, &[], 1).given, "the owner has no mask");
        assert!(list.rules(OWNER, 99, &[], 1).given, "nor have others");
    }

    #[test]
    fn what_is_no_list_is_none() {
        for bytes in [&[][..], &[1, 0, 0, 0], &[2, 0, 0], &[2, 0, 0, 0, 1, 0, 7]] {
            assert_eq!(Acl::parse(bytes), None, "{bytes:?}");
        }
        let empty = Acl::parse(&VERSION.to_le_bytes()).expect("an empty list");
        assert!(!empty.rules(OWNER, 1, &[1], 1).given, "nothing is given by nothing");
    }
}
