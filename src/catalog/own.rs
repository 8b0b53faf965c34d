//! Knowledge of a team's own: files in the format of `assets/`, which add to what the program was built with, or stand in for it.
//!
//! A block whose id is known takes the place of that block; all others are new. A file with an error is left out whole, and the
//! error says where it is: half a file would not be what anybody wrote.

use std::collections::BTreeSet;

use super::{Catalog, CatalogError, CauseSpec, Files, Signatures, cause, signature, step};

/// A file of a team's own: its name as a person knows it, its place below the directory (`causes/shop.toml`), and its text.
#[derive(Debug, Clone)]
pub struct OwnFile {
    /// The whole path, for messages.
    pub path: String,
    /// The folder: `signatures`, `causes`, `playbook`.
    pub folder: String,
    /// What stands in it.
    pub text: String,
}

impl Catalog {
    /// What this program was built with, and these files. `facts`: all names of facts that can be made with such a catalogue. What is
    /// wrong with a file is told, and the file left out.
    pub fn with_own(files: &[OwnFile], facts: impl Fn(&Self) -> Vec<String>) -> Result<(Self, Vec<CatalogError>), CatalogError> {
        let embedded =
            || serde_json::from_str::<Files>(super::EMBEDDED).map_err(|e| CatalogError::new("the embedded catalogue", e));
        if files.is_empty() {
            return Ok((Self::of(embedded()?)?, Vec::new()));
        }
        let mut errors = Vec::new();
        let mut sound: Vec<&OwnFile> = Vec::new();
        for file in files {
            match put(&mut Files::default(), file).and_then(|()| patterns(file)) {
                Ok(()) => sound.push(file),
                Err(error) => errors.push(error),
            }
        }
        // Names of facts are known when all signatures are: a step may name one of another file.
        loop {
            let mut all = embedded()?;
            sound.iter().try_for_each(|file| put(&mut all, file))?;
            let catalog = Self::of(all)?;
            let names: BTreeSet<String> = facts(&catalog).into_iter().collect();
            match sound.iter().position(|file| strange(file, &names).is_some()) {
                None => return Ok((catalog, errors)),
                Some(at) => errors.extend(strange(sound.remove(at), &names)),
            }
        }
    }
}

/// The line, from 1, in which a text stands.
fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).map_or(1, |before| before.matches('\n').count() + 1)
}

fn read<T: serde::de::DeserializeOwned>(file: &OwnFile) -> Result<T, CatalogError> {
    toml::from_str(&file.text).map_err(|error| {
        let line = error.span().map_or(String::new(), |span| format!("line {}: ", line_of(&file.text, span.start)));
        CatalogError::new(&file.path, format!("{line}{}", error.message()))
    })
}

fn put(all: &mut Files, file: &OwnFile) -> Result<(), CatalogError> {
    match file.folder.as_str() {
        "signatures" => {
            let own: signature::File = read(file)?;
            for known in &mut all.signatures {
                known.forget(&own);
            }
            // Asked first: who writes a pattern of his own wants it to be taken.
            all.signatures.insert(0, own.first());
        }
        "causes" => {
            let own: cause::File = read(file)?;
            let own: Vec<CauseSpec> = own.causes().collect();
            if let Some(problem) = own.iter().find_map(CauseSpec::problem) {
                return Err(CatalogError::new(&file.path, problem));
            }
            all.causes.iter_mut().for_each(|known| known.forget(&own));
            all.causes.push(read(file)?);
        }
        "playbook" => {
            let own: step::File = read(file)?;
            for step in own.step {
                let steps =
                    || all.playbook.iter().enumerate().flat_map(|(at, file)| (0..file.step.len()).map(move |step| (at, step)));
                let same = steps().find(|(at, known)| all.playbook[*at].step[*known].id == step.id);
                let phase = steps().rfind(|(at, known)| all.playbook[*at].step[*known].phase == step.phase);
                match (same, phase) {
                    (Some((at, known)), _) => all.playbook[at].step[known] = step,
                    (None, Some((at, last))) => all.playbook[at].step.insert(last + 1, step),
                    (None, None) => all.playbook.push(step::File { step: vec![step] }),
                }
            }
        }
        other => return Err(CatalogError::new(&file.path, format!("there is no folder {other}: signatures, causes or playbook"))),
    }
    Ok(())
}

/// Whether the patterns of a file compile.
fn patterns(file: &OwnFile) -> Result<(), CatalogError> {
    if file.folder != "signatures" {
        return Ok(());
    }
    let own: signature::File = read(file)?;
    Signatures::of_files(vec![own]).check().map_err(|error| CatalogError::new(&file.path, error))
}

/// A fact that a file names and nothing makes.
fn strange(file: &OwnFile, facts: &BTreeSet<String>) -> Option<CatalogError> {
    let named: Vec<String> = match file.folder.as_str() {
        "causes" => {
            let own: cause::File = read(file).ok()?;
            let of = |cause: CauseSpec| {
                let evidence = cause.evidence_for.into_iter().chain(cause.against).map(|spec| spec.fact);
                evidence.chain(cause.requires).chain(cause.excluded_by).collect::<Vec<_>>()
            };
            own.causes().flat_map(of).collect()
        }
        "playbook" => {
            let own: step::File = read(file).ok()?;
            own.step.into_iter().flat_map(|step| step.fail.into_iter().chain(step.pass).chain(step.not_applicable)).collect()
        }
        _ => return None,
    };
    let name = named.into_iter().find(|name| !facts.contains(name))?;
    let line = file.text.find(&format!("\"{name}\"")).map_or(1, |at| line_of(&file.text, at));
    Some(CatalogError::new(&file.path, format!("line {line}: nothing makes the fact {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &str, text: &str) -> OwnFile {
        OwnFile { path: format!("/etc/why502/{folder}/shop.toml"), folder: folder.to_owned(), text: text.to_owned() }
    }

    fn load(files: &[OwnFile]) -> (Catalog, Vec<String>) {
        let facts = |catalog: &Catalog| {
            let lines = catalog.signatures.all().map(|signature| format!("log:{}", signature.id));
            lines.chain(["listen:none".to_owned()]).collect()
        };
        let (catalog, errors) = Catalog::with_own(files, facts).expect("the embedded one is sound");
        (catalog, errors.iter().map(ToString::to_string).collect())
    }

    const SIGNATURE: &str = "dialects = [\"node\"]\n[[signature]]\nid = \"shop-licence\"\norigin = \"ours\"\nabout = \"upstream\"\nrank = \"root\"\n\
                             pattern = 'licence expired'\nexplain = \"the shop's licence has expired\"\ncauses = [\"upstream-app-error\"]\n";
    const STEP: &str = "[[step]]\nid = \"licence\"\nphase = \"server status\"\ntitle = \"licence\"\nquestion = \"Is it paid?\"\nwhy = \"It was not once.\"\n\
                        fail = [\"log:shop-licence\"]\ncheck = { text = \"Ask the shop\" }\non-fail = \"Pay.\"\n";

    #[test]
    fn own_blocks_are_added_or_stand_in() {
        let title = "[[step]]\nid = \"repeat\"\nphase = \"is it real, and where\"\ntitle = \"ours\"\nquestion = \"Q?\"\nwhy = \"w\"\ncheck = { text = \"t\" }\non-fail = \"o\"\n";
        let (catalog, errors) = load(&[file("playbook", STEP), file("signatures", SIGNATURE), file("playbook", title)]);
        assert_eq!(errors, <[String; 0]>::default());
        assert_eq!(catalog.step("repeat").expect("known").title, "ours");
        assert!(catalog.signatures.by_id("shop-licence").is_some());
        let at = |id: &str| catalog.steps.iter().position(|step| step.id == id).expect("known");
        assert!(at("traffic") < at("licence") && at("licence") < at("gateway-log"), "at the end of its phase");
        assert_eq!(at("repeat"), 0);
    }

    #[test]
    fn an_error_names_file_and_line_and_leaves_the_rest() {
        let plain = Catalog::embedded().expect("sound").steps.len();
        let (catalog, errors) =
            load(&[file("playbook", &STEP.replace("why", "whi")), file("playbook", &STEP.replace("shop-licence", "x"))]);
        assert!(errors[0].starts_with("/etc/why502/playbook/shop.toml: line 6: unknown field `whi`"), "{errors:?}");
        assert_eq!(errors[1], "/etc/why502/playbook/shop.toml: line 7: nothing makes the fact log:x");
        assert_eq!(catalog.steps.len(), plain);
        let broken = SIGNATURE.replace("'licence", "'(licence");
        let second = format!("{}{}", SIGNATURE.replace("shop-licence", "shop-lease"), &broken[broken.find("[[").expect("one")..]);
        let (_, errors) = load(&[file("signatures", &second), file("other", "")]);
        assert!(errors[0].starts_with("/etc/why502/signatures/shop.toml: shop-licence: regex parse error"), "{errors:?}");
        assert!(errors[0].contains("unclosed group"), "{errors:?}");
        assert_eq!(errors.len(), 2, "{errors:?}");
    }
}
