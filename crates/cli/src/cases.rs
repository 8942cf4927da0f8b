//! `mcp-auth test`: cases of a policy, decided by the engine of the filter.

mod case_file;
mod case_report;
mod coverage;
mod outcome;
mod recorded;

use std::path::{Path, PathBuf};

use self::case_file::{CaseFile, read_cases};
use self::coverage::Coverage;
use self::outcome::CaseOutcome;
use crate::progress::Progress;
use crate::{CommandOutput, Failure, files, policy_file};

/// The arguments of `mcp-auth test`.
#[derive(Debug, clap::Args)]
pub(crate) struct CaseArguments {
    /// Files with cases, or directories: all files in them that end with `.yaml` and have `cases`.
    paths: Vec<PathBuf>,
    /// The policy of files that name none.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Only cases with this text in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Print the rules of the policies that no case reaches.
    #[arg(long)]
    coverage: bool,
    /// Fail if the cases reach fewer of the rules, in percent.
    #[arg(long, value_name = "PERCENT")]
    min_coverage: Option<u8>,
    /// Write the results for a CI server, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// In place of running cases: write cases from the records of an access log.
    #[arg(
        long,
        value_name = "ACCESS_LOG",
        requires = "policy",
        conflicts_with = "json"
    )]
    record: Option<PathBuf>,
}

pub(crate) fn run(arguments: &CaseArguments) -> Result<CommandOutput, Failure> {
    if let (Some(log), Some(policy)) = (&arguments.record, &arguments.policy) {
        return recorded::cases(log, policy);
    }
    if arguments.paths.is_empty() {
        return Err(Failure::usage(
            "no file has cases",
            "name a file or a directory, such as `mcp-auth test policies/`",
        ));
    }
    let mut outcomes = Vec::new();
    let mut coverage = Coverage::default();
    for path in case_files(&arguments.paths)? {
        run_file(&path, arguments, &mut outcomes, &mut coverage)?;
    }
    if outcomes.is_empty() {
        return Err(Failure::usage(
            "there are no cases",
            match &arguments.only {
                Some(_) => "choose another text for --only",
                None => "write some under `cases`, as docs/command-line.md shows",
            },
        ));
    }
    if let Some(path) = &arguments.junit {
        std::fs::write(path, case_report::junit(&outcomes)).map_err(|error| {
            Failure::usage(
                format!("cannot write {}: {error}", files::name(path)),
                "check the path and its permissions",
            )
        })?;
    }
    let is_low = arguments
        .min_coverage
        .is_some_and(|least| coverage.percent() < least);
    let shows_coverage = arguments.coverage || arguments.min_coverage.is_some();
    let coverage = shows_coverage.then_some(&coverage);
    Ok(CommandOutput {
        stdout: match arguments.json {
            true => case_report::json(&outcomes, coverage),
            false => case_report::text(&outcomes, coverage),
        },
        stderr: String::new(),
        status: u8::from(is_low || outcomes.iter().any(|outcome| !outcome.is_met())),
    })
}

/// The files, and those in the directories, in order of their names.
fn case_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| {
            Failure::usage(
                format!("cannot read {}: {error}", files::name(path)),
                "check the path and its permissions",
            )
        })?;
        let mut inside: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        inside.retain(|path| {
            path.is_dir()
                || path
                    .extension()
                    .is_some_and(|end| end == "yaml" || end == "yml")
        });
        inside.sort_unstable();
        for path in inside {
            match path.is_dir() {
                true => found.extend(case_files(&[path])?),
                false if case_file::has_cases(&path) => found.push(path),
                false => {}
            }
        }
    }
    Ok(found)
}

fn run_file(
    path: &Path,
    arguments: &CaseArguments,
    outcomes: &mut Vec<CaseOutcome>,
    coverage: &mut Coverage,
) -> Result<(), Failure> {
    let (file, cases) = read_cases(path)?;
    let policy_path = policy_path(path, &file, arguments)?;
    let (policy, document) = policy_file::load(&policy_path)?.single(file.path.as_deref())?;
    coverage.add(&files::name(&policy_path), &policy, &document);
    let mut progress = Progress::of_steps(&files::name(path), cases.len());
    for case in cases {
        progress.step();
        if arguments
            .only
            .as_ref()
            .is_some_and(|text| !case.name.contains(text.as_str()))
        {
            continue;
        }
        let outcome = CaseOutcome::of(path, case, &file, &document)?;
        coverage.reach(&files::name(&policy_path), outcome.record());
        outcomes.push(outcome);
    }
    Ok(())
}

/// The policy of a file, beside the file.
fn policy_path(
    path: &Path,
    file: &CaseFile,
    arguments: &CaseArguments,
) -> Result<PathBuf, Failure> {
    match (&file.policy, &arguments.policy) {
        (Some(named), _) => Ok(path.parent().unwrap_or(Path::new("")).join(named)),
        (None, Some(given)) => Ok(given.clone()),
        (None, None) => Err(Failure::usage(
            format!("{} names no policy", files::name(path)),
            "write `policy: policy.yaml` into it, or give --policy FILE",
        )),
    }
}
