//! Holds the order of the engine's modules that `ARCHITECTURE.md` states.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The position of each module in the list. A line is a layer: it may name several modules.
fn stated_order() -> BTreeMap<String, usize> {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let (_, section) = architecture.split_once("## Inside the engine").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let layers = section.lines().filter_map(|line| line.strip_prefix("- "));
    let mut order = BTreeMap::new();
    for (position, layer) in layers.enumerate() {
        let (modules, _) = layer.split_once(": ").unwrap();
        for module in modules.split(", ") {
            order.insert(module.trim_matches('`').to_owned(), position);
        }
    }
    order
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files of a folder and of the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The top-level module of a file, and the number of modules above the file's own.
fn module_of(file: &Path) -> (String, usize) {
    let path = file
        .strip_prefix(root().join("src"))
        .unwrap()
        .with_extension("");
    let mut names = path.iter().map(|name| name.to_str().unwrap().to_owned());
    (names.next().unwrap(), names.count() + 1)
}

/// The code of a file without comments and without its inline tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The top-level modules that a code names by `crate::` or by enough `super::`.
fn uses(code: &str, depth: usize) -> Vec<String> {
    let to_top = "super::".repeat(depth);
    let paths = code.split("crate::").skip(1);
    let relative = code.split(&*to_top).skip(1).filter(|_| depth > 0);
    paths.chain(relative).flat_map(first_names).collect()
}

/// The first names of a path or of a braced group of paths.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        text.chars()
            .take_while(|character| is_part(*character))
            .collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else {
        return vec![name(path)];
    };
    let mut depth = 0_usize;
    let mut names = vec![name(group.trim_start())];
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(name(group.split_at(at + 1).1.trim_start())),
            _ => {}
        }
    }
    names
}

/// The uses of a file that the order forbids.
fn forbidden(
    order: &BTreeMap<String, usize>,
    module: &str,
    code: &str,
    depth: usize,
) -> Vec<String> {
    let own = order.get(module).copied().unwrap();
    uses(code, depth)
        .into_iter()
        .filter(|used| used != module && order.get(used).is_some_and(|used| *used > own))
        .collect()
}

/// Whether the tests, and not the engine, have the file.
fn is_of_tests(file: &Path) -> bool {
    let path = file.strip_prefix(root()).unwrap();
    path.iter()
        .any(|name| name == "tests" || name == "tests.rs")
        || ["fake_world.rs", "lib.rs"]
            .map(Path::new)
            .contains(&Path::new(path.file_name().unwrap()))
}

#[test]
fn a_module_uses_no_module_below_it_in_the_list() {
    let order = stated_order();
    let mut found = Vec::new();
    for file in files(&root().join("src")) {
        if is_of_tests(&file) {
            continue;
        }
        let (module, depth) = module_of(&file);
        assert!(order.contains_key(&module), "`{module}` is not in the list");
        for used in forbidden(&order, &module, &code(&file), depth) {
            found.push(format!("{} uses `{used}`", file.display()));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_list_names_only_modules_that_exist() {
    for module in stated_order().keys() {
        let file = root().join("src").join(module).with_extension("rs");
        assert!(file.exists(), "{module}");
    }
}

#[test]
fn only_the_adapter_names_proxy_wasm() {
    for file in files(&root().join("src")) {
        let is_adapter = module_of(&file).0 == "envoy" || is_of_tests(&file);
        assert!(
            is_adapter || !code(&file).contains("proxy_wasm"),
            "{}",
            file.display()
        );
    }
}

#[test]
fn forbidden_uses_are_found_in_every_form() {
    let order = stated_order();
    for code in [
        "use crate::transaction::Transaction;",
        "use crate::{audit::Record, transaction::{Peer, Transaction}};",
        "use crate::{\n    transaction,\n};",
        "let name = crate::transaction::Transaction::new;",
        "use super::transaction::Transaction;",
    ] {
        assert_eq!(
            forbidden(&order, "authorize", code, 1),
            ["transaction"],
            "{code}"
        );
    }
    let code = "use super::super::transaction::Transaction;";
    assert_eq!(forbidden(&order, "authorize", code, 2), ["transaction"]);
    for code in [
        "use crate::decision::Evidence;",
        "use super::view::View;",
        "use crate::authorize;",
    ] {
        assert!(forbidden(&order, "authorize", code, 2).is_empty(), "{code}");
    }
}
