//! The files that a command reads.

use std::io::Read;
use std::path::Path;

use crate::Failure;

/// The name of a file in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) {
        return "<stdin>".to_owned();
    }
    crate::terminal_text::printable(&path.display().to_string())
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// A file's bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = if is_stdin(path) {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(path)
    };
    bytes.map_err(|error| {
        Failure::usage(
            format!("cannot read {}: {error}", name(path)),
            "check the path and its permissions",
        )
    })
}

/// A file's text.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    String::from_utf8(read(path)?).map_err(|_| {
        Failure::usage(
            format!("{} is not UTF-8", name(path)),
            "save it as UTF-8 text",
        )
    })
}
