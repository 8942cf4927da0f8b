#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod inputs;
mod view;

use std::io::{Read, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut text = Vec::new();
    let read = std::io::stdin().read_to_end(&mut text).map(|_| ());
    let answer = read.map_err(|error| error.to_string()).and_then(|()| {
        let inputs = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        Ok(view::view(inputs))
    });
    let answer = answer.unwrap_or_else(|error| serde_json::json!({"failure": error}));
    match std::io::stdout().write_all(answer.to_string().as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
