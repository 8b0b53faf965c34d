//! One target for all parsers: `WHY502_FUZZ` names the one that is fed. `tests/fuzz/run` builds and runs it.
#![no_main]

use std::sync::OnceLock;

use why502::shell::foreign::ALL;

static PARSER: OnceLock<fn(&[u8])> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("WHY502_FUZZ").unwrap_or_default();
        let Some((_, read)) = ALL.iter().find(|(known, _)| *known == name) else {
            // Asked for nobody: the names.
            for (name, _) in ALL {
                println!("{name}");
            }
            std::process::exit(0);
        };
        let _ = PARSER.set(*read);
    },
    |bytes: &[u8]| {
        if let Some(read) = PARSER.get() {
            read(bytes);
        }
    }
);
