//! What the fuzzer was given and what it found, through the parsers that it feeds (`tests/fuzz/run`): an input that once broke a
//! parser stays a test.

use std::{collections::BTreeSet, fs, panic, path::Path};

use why502::shell::foreign::ALL;

/// Bytes of the whole corpus: it is part of every clone.
const CORPUS_BYTES: usize = 300_000;

/// A parser's inputs, by file name.
fn inputs(name: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    files
        .map(|file| {
            let path = file.expect("an entry").path();
            (path.display().to_string(), fs::read(&path).expect("an input"))
        })
        .collect()
}

#[test]
fn every_kept_input_is_survived() {
    let (mut broken, mut bytes) = (Vec::new(), 0);
    for (name, read) in ALL {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no sample");
        for (path, input) in inputs {
            bytes += input.len();
            // Each also cut in its middle, as a reader sees it that was too early.
            for part in [&input[..], &input[..input.len() / 2], &input[input.len() / 2..], &[]] {
                if panic::catch_unwind(|| read(part)).is_err() {
                    broken.push(format!("{name}: {path}, {} bytes", part.len()));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(bytes <= CORPUS_BYTES, "{bytes} bytes");
}

#[test]
fn every_input_belongs_to_a_parser() {
    let known: BTreeSet<&str> = ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(known.len(), ALL.len(), "a name stands for one");
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    for entry in fs::read_dir(dir).expect("the corpus") {
        let name = entry.expect("an entry").file_name();
        assert!(known.contains(name.to_str().expect("UTF-8")), "{}: nobody reads it", name.display());
    }
}
