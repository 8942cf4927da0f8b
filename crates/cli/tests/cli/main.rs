//! The command line, as a user runs it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its helpers fail"
)]

mod access;
mod audit;
mod cases;
mod check;
mod explain;
mod explain_log;
mod init;
mod json;
mod mistakes;
mod module_order;
mod names;
mod pin;
mod proxy_file;
mod reference;
mod render;
mod tokens;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A directory of its own for one test.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// A directory with the demo's policy, claims and a request.
    fn to_explain(test: &str, claims: &Value, request: &Value) -> Self {
        let policy = std::fs::read_to_string(format!("{ROOT}/demo/policy.yaml")).unwrap();
        Self::new(test)
            .with("policy.yaml", &policy)
            .with("claims.json", &claims.to_string())
            .with("request.json", &request.to_string())
    }

    fn with(self, name: &str, text: &str) -> Self {
        std::fs::write(self.0.join(name), text).unwrap();
        self
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with_input(arguments, "")
    }

    fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-auth"))
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read it may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    fn explain(&self, more: &[&str]) -> Ran {
        let files = "--policy policy.yaml --claims claims.json --request request.json";
        let mut arguments = vec!["explain"];
        arguments.extend(files.split(' '));
        arguments.extend(more);
        self.run(&arguments)
    }
}

struct Ran {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn says(&self, status: i32, lines: &[&str]) {
        let found = self.found().join("\n") + "\n";
        let all = format!("{}{}{found}", self.stdout, self.stderr);
        assert_eq!(self.status, status, "{all}");
        for line in lines {
            assert!(all.contains(line), "{line}\nis not in\n{all}");
        }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Each mistake and warning in one line: place, message, help.
    fn found(&self) -> Vec<String> {
        let mut found = Vec::new();
        let (mut title, mut is_warning) = ("", false);
        for line in self.stderr.lines() {
            if let Some(rest) = line.strip_prefix("error: ") {
                (title, is_warning) = (rest, false);
            } else if let Some(rest) = line.strip_prefix("warning: ") {
                (title, is_warning) = (rest, true);
            } else if let Some((_, place)) = line.split_once("--> ") {
                let kind = if is_warning { "warning: " } else { "" };
                found.push(format!("{place}: {kind}{title}"));
            } else if let (Some((_, help)), Some(last)) =
                (line.split_once("= help: "), found.last_mut())
            {
                last.push_str(&format!("; {help}"));
            }
        }
        found
    }
}

#[test]
fn the_schema_in_the_repository_is_the_current_one() {
    let ran = Files::new("schema").run(&["schema"]);
    let kept = std::fs::read_to_string(format!("{ROOT}/docs/policy.schema.json")).unwrap();
    assert!(
        ran.stdout == kept,
        "run `cargo run --features cli -- schema > docs/policy.schema.json`"
    );
}

#[test]
fn the_reasons_in_the_repository_are_the_current_ones() {
    let ran = Files::new("reasons").run(&["reasons"]);
    let kept = std::fs::read_to_string(format!("{ROOT}/docs/reasons.md")).unwrap();
    assert!(
        ran.stdout == kept,
        "run `cargo run -p mcp-auth-cli -- reasons > docs/reasons.md`"
    );
}

#[test]
fn argument_names_are_printed_with_the_rule_in_force() {
    let files = Files::new("arguments");
    files.run(&["arguments"]).says(
        0,
        &[
            "user_id                    set: user          built in\n",
            "organization_id            set: organization  built in\n",
            "account_id                 reject             built in\n",
        ],
    );
    let ran = files.run(&["arguments", "--policy", &format!("{ROOT}/demo/policy.yaml")]);
    ran.says(
        0,
        &[
            "user_id                    set: user          policy\n",
            "role                       remove             policy\n",
            "tenant_id                  set: organization  built in\n",
            "  crm.assign_ticket        user_id keep\n",
        ],
    );
}
