//! The version of a Caddy, without running it: Go writes what a program was built from into it (debug/buildinfo), and
//! distributions that build it their own way list the package.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use memchr::memmem;

use super::super::{binaries::Remembered, packages};
use crate::sys::Root;

/// What stands before it.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// Bytes at the begin of the data segment that are searched: it stands at its very begin, or behind the relocations.
const DATA_BYTES: u64 = 1 << 20;
/// Bytes of the list of modules: Caddy with plug-ins has some 40 kB.
const LIST_BYTES: usize = 256 << 10;
/// The module.
const MODULE: &str = "github.com/caddyserver/caddy/v2";

/// The version of a binary: `2.6.2`.
pub fn of(root: &Root, binary: &Path) -> Option<String> {
    static KNOWN: Remembered<String> = Remembered::new();
    let own = KNOWN.of(root, binary, || Some(built(root, binary)));
    // Debian's build has the modules without versions.
    own.or_else(|| packages::version(root, "caddy").filter(|_| binary.starts_with("/usr/bin") || binary.starts_with("/usr/sbin")))
}

fn built(root: &Root, binary: &Path) -> Option<String> {
    let mut file = root.open(binary).ok()?;
    let mut head = [0; 64];
    file.read_exact(&mut head).ok()?;
    let at = data_segment(&mut file, &head)?;
    file.seek(SeekFrom::Start(at)).ok()?;
    let mut bytes = Vec::new();
    file.take(DATA_BYTES).read_to_end(&mut bytes).ok()?;
    let info = &bytes[memmem::find(&bytes, MAGIC)?..];
    let list = String::from_utf8_lossy(&info[..info.len().min(LIST_BYTES)]);
    version_in(&list)
}

/// Where the first writable segment lies in the file (elf(5)): 64 bit, little endian.
fn data_segment(file: &mut (impl Read + Seek), head: &[u8; 64]) -> Option<u64> {
    const ELF64_LITTLE: &[u8] = b"\x7fELF\x02\x01";
    const LOAD: u32 = 1;
    const WRITABLE: u32 = 2;
    /// Segments of a program, at most: it has about ten.
    const SEGMENTS: u16 = 64;
    let number = |bytes: &[u8], at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let half = |bytes: &[u8], at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let word = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    head.starts_with(ELF64_LITTLE).then_some(())?;
    let (table, size, count) = (number(head, 32)?, half(head, 54)?, half(head, 56)?.min(SEGMENTS));
    file.seek(SeekFrom::Start(table)).ok()?;
    for _ in 0..count {
        let mut entry = vec![0; usize::from(size.clamp(56, 256))];
        file.read_exact(&mut entry).ok()?;
        if word(&entry, 0)? == LOAD && word(&entry, 4)? & WRITABLE != 0 {
            return number(&entry, 8);
        }
    }
    None
}

/// `mod<tab>github.com/caddyserver/caddy/v2<tab>v2.8.4`, or as a dependency of a build with plug-ins.
fn version_in(list: &str) -> Option<String> {
    list.split('\n').find_map(|line| {
        let mut fields = line.rsplit('\u{fffd}').next().unwrap_or(line).split('\t');
        let kind = fields.next()?;
        (kind.ends_with("mod") || kind.ends_with("dep")).then_some(())?;
        let version = (fields.next()? == MODULE).then(|| fields.next())??;
        Some(version.trim_start_matches('v').to_owned()).filter(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_s_version_is_caddy_s() {
        let list = "path\tcaddy\nmod\tcaddy\t(devel)\t\ndep\tgithub.com/caddyserver/caddy/v2\tv2.8.4\th1:x=\ndep\tother\tv1.0.0\n";
        assert_eq!(version_in(list).as_deref(), Some("2.8.4"));
        let own = "\u{fffd}path\tgithub.com/caddyserver/caddy/v2/cmd/caddy\nmod\tgithub.com/caddyserver/caddy/v2\tv2.7.6\th1:\n";
        assert_eq!(version_in(own).as_deref(), Some("2.7.6"));
        assert_eq!(
            version_in("path\tgithub.com/caddyserver/caddy/v2/cmd/caddy\nmod\tgithub.com/caddyserver/caddy/v2\t(devel)\n"),
            None
        );
        assert_eq!(version_in(""), None);
    }

    #[test]
    fn no_program_is_no_caddy() {
        let dir = tempfile::tempdir().expect("directory");
        std::fs::write(dir.path().join("x"), b"\x7fELF\x02\x01 and no more").expect("file");
        std::fs::write(dir.path().join("y"), [b"\x7fELF\x02\x01".as_slice(), &[0xff; 500]].concat()).expect("file");
        let root = Root::below(dir.path());
        assert_eq!((of(&root, Path::new("/x")), of(&root, Path::new("/y")), of(&root, Path::new("/none"))), (None, None, None));
    }
}
