//! Each row of docs/mistakes.md, made and checked.

use crate::{Files, ROOT};

/// The cells of a row of the table, without the marks of code.
fn cells(row: &str) -> Option<[String; 5]> {
    let row = row.strip_prefix("| ")?.strip_suffix(" |")?;
    let cells: Vec<String> = row.split(" | ").map(code).collect();
    cells.try_into().ok()
}

/// A cell without the marks of code.
fn code(cell: &str) -> String {
    let whole = |mark: &str| cell.strip_prefix(mark)?.strip_suffix(mark);
    let text = whole("``").or_else(|| whole("`")).unwrap_or(cell);
    text.trim().to_owned()
}

#[test]
fn each_mistake_is_found_with_the_message_of_the_document() {
    let table = std::fs::read_to_string(format!("{ROOT}/docs/mistakes.md")).unwrap();
    let rows = table
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1);
    let rows: Vec<[String; 5]> = rows.map(|row| cells(row).unwrap()).collect();
    assert!(rows.len() >= 25);
    for (index, [mistake, file, from, to, says]) in rows.iter().enumerate() {
        let folder = match file.as_str() {
            "policy.yaml" => "demo",
            _ => "envoy",
        };
        let text = std::fs::read_to_string(format!("{ROOT}/{folder}/{file}")).unwrap();
        assert!(text.contains(from), "{mistake}: {from}");
        let files = Files::new(&format!("mistake_{index}")).with(file, &text.replacen(from, to, 1));
        let ran = files.run(&["check", file]);
        let (kind, says) = says.split_once(": ").unwrap();
        assert_eq!(
            ran.status,
            i32::from(kind == "error"),
            "{mistake}: {}",
            ran.stderr
        );
        let says = code(says);
        let says = says.strip_suffix(" ...").unwrap_or(&says);
        assert!(
            ran.found()
                .iter()
                .any(|line| line.starts_with(&format!("{file}:")) && line.contains(says)),
            "{mistake}: {says}\n{}",
            ran.stderr
        );
    }
}
