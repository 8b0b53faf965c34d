//! Build script: one JSON text of all files of `assets/` that the catalogue reads, in the order of their names.
//!
//! JSON, because it is read ten times as fast as TOML at each start, by a monitor every minute. What only tests need of a
//! signature (samples, near misses) is left out: it would be half of the text.
//!
//! And a linker's option, where the C library knows what it makes.

use std::{env, error::Error, fs, path::Path, process::Command};

use serde_json::{Map, Value};

/// Keys of a signature that the program does not need.
const FOR_TESTS: &[&str] = &["samples", "not", "composed"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-changed=assets");
    let mut catalogue = Map::new();
    for folder in ["signatures", "causes", "playbook", "findings"] {
        let mut paths: Vec<_> = fs::read_dir(Path::new("assets").join(folder))?.collect::<Result<Vec<_>, _>>()?;
        paths.sort_by_key(fs::DirEntry::path);
        let files = paths.iter().map(|entry| read(&entry.path())).collect::<Result<Vec<_>, _>>()?;
        catalogue.insert(folder.to_owned(), files.into());
    }
    for single in ["services", "settings", "facts", "verify", "upkeep"] {
        catalogue.insert(single.to_owned(), read(&Path::new("assets").join(single).with_extension("toml"))?);
    }
    fs::write(Path::new(&env::var("OUT_DIR")?).join("catalogue.json"), serde_json::to_string(&catalogue)?)?;
    if packs_relocations() {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    Ok(())
}

/// Whether the C library can start a static program whose relative relocations are packed (DT_RELR of the gABI). A static binary that may
/// lie anywhere has 26,000 of them, and reads the whole list at each start: 620 kB as it is, 10 kB packed. glibc knows it since 2.36
/// (NEWS); an older one would leave all those addresses as they are, and crash.
fn packs_relocations() -> bool {
    const SINCE: (u32, u32) = (2, 36);
    // Another machine's C library is not asked.
    if env::var("HOST") != env::var("TARGET") {
        return false;
    }
    // `glibc 2.36`; musl has no such variable.
    let Ok(told) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let text = String::from_utf8_lossy(&told.stdout);
    let version = text.trim().strip_prefix("glibc ").and_then(|version| version.split_once('.'));
    let version = version.and_then(|(major, minor)| Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?)));
    version.is_some_and(|version: (u32, u32)| version >= SINCE)
}

fn read(path: &Path) -> Result<Value, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let mut file: Value = toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    for signature in file.get_mut("signature").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(keys) = signature.as_object_mut() {
            keys.retain(|key, _| !FOR_TESTS.contains(&key.as_str()));
        }
    }
    Ok(file)
}
