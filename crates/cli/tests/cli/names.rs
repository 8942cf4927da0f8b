//! Names in the workspace.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The type names that occur more than once, with the reason.
const REPEATED: [(&str, &str); 10] = [
    (
        "Child",
        "the policy reader has a tree of its own, with paths for errors",
    ),
    (
        "Condition",
        "two builds: with the feature `cel` and without it",
    ),
    (
        "Kind",
        "the policy reader has a tree of its own, with paths for errors",
    ),
    (
        "Node",
        "the policy reader has a tree of its own, with paths for errors",
    ),
    (
        "Outcome",
        "the tests' fake proxy has a name for the outcome of a request",
    ),
    (
        "Request",
        "the tests' fake proxy has a name for the request of a client",
    ),
    ("Step", "the policy reader has steps of a path"),
    ("Asked", "private to the token exchange"),
    ("Progress", "private to the token exchange"),
    ("State", "private to the token exchange"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The type that a line defines.
fn defined_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = match line.strip_prefix("pub(") {
        Some(restricted) => restricted.split_once(") ")?.1,
        None => line.strip_prefix("pub ").unwrap_or(line),
    };
    let keywords = ["struct ", "enum ", "trait "];
    let name = keywords
        .iter()
        .find_map(|keyword| line.strip_prefix(keyword))?;
    let end = name.find(|character: char| !character.is_alphanumeric());
    let name = name.split_at(end.unwrap_or(name.len())).0;
    // The name in a macro is its argument.
    (!name.is_empty()).then_some(name)
}

#[test]
fn a_type_name_exists_once_or_has_a_reason() {
    let mut files = Vec::new();
    source_files(&root().join("src"), &mut files);
    source_files(&root().join("crates"), &mut files);
    let mut definitions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for name in text.lines().filter_map(defined_type) {
            let places = definitions.entry(name.to_owned()).or_default();
            places.push(file.display().to_string());
        }
    }
    let has_reason = |name: &str| REPEATED.iter().any(|(repeated, _)| *repeated == name);
    definitions.retain(|name, places| places.len() > 1 && !has_reason(name));
    assert!(definitions.is_empty(), "{definitions:#?}");
}
