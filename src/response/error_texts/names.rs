//! Names of tools in a text.

use std::collections::HashMap;

use crate::authorize::{Principal, Target, may_see};
use crate::response::results::mask::STARS;
use crate::response::results::repeated::replace;
use base::json::Span;
use policy::Policy;

/// The maximum length of a name (MCP 2026-07-28 "Tool Names" allows 128 characters).
const MAX_NAME: usize = 256;
/// The number of ends that are tried for a name at one place.
const MAX_ENDS: usize = 12;
/// The number of names that are looked up for one message. If a value needs more, it is hidden.
const MAX_LOOKUPS: usize = 50_000;

/// The names of tools that one caller may not call.
pub(super) struct ErrorTextNames<'p> {
    policy: &'p Policy,
    caller: Principal<'p>,
    /// Earlier decisions about names.
    decided: HashMap<String, bool>,
    lookups: usize,
    /// The number of hidden names.
    pub(super) hidden: usize,
}

/// Too many names were looked up.
pub(super) struct TooMany;

impl<'p> ErrorTextNames<'p> {
    pub(super) fn new(policy: &'p Policy, caller: Principal<'p>) -> Self {
        Self {
            policy,
            caller,
            decided: HashMap::new(),
            lookups: 0,
            hidden: 0,
        }
    }

    /// The text without these names. `None`: it has none.
    pub(super) fn hide(&mut self, text: &str) -> Result<Option<String>, TooMany> {
        if self.policy.known_tools.is_empty() {
            return Ok(None);
        }
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(run) = next_run(text, at) {
            at = run.end;
            if let Err(too_many) = self.find(text, run, &mut found) {
                self.hidden = self.hidden.saturating_add(1);
                return Err(too_many);
            }
        }
        self.hidden = self.hidden.saturating_add(found.len());
        Ok(replace(text, found, |_| STARS.into()))
    }

    /// Finds the longest name that starts first, then the names after it.
    fn find(&mut self, text: &str, run: Span, found: &mut Vec<Span>) -> Result<(), TooMany> {
        let (starts, ends, last) = bounds(text, &run);
        let mut done = run.start;
        for start in starts {
            if start < done {
                continue;
            }
            let from = ends.partition_point(|end| *end <= start);
            let near = |end: &&usize| end.saturating_sub(start) <= MAX_NAME;
            let near = ends.iter().skip(from).take(MAX_ENDS).filter(near);
            // The end of a sentence is not part of a name, if the name without it exists.
            let (outside, inside): (Vec<usize>, Vec<usize>) =
                near.copied().partition(|end| *end > last);
            for end in inside.into_iter().rev().chain(outside) {
                self.lookups = self.lookups.saturating_add(1);
                if self.lookups > MAX_LOOKUPS {
                    return Err(TooMany);
                }
                let name = text.get(start..end).unwrap_or_default();
                if self.policy.known_tools.contains(name) {
                    done = end;
                    found.extend(self.is_hidden(name).then_some(start..end));
                    break;
                }
            }
        }
        Ok(())
    }

    /// The decision of lists. The caller may have a prompt of the same name.
    fn is_hidden(&mut self, name: &str) -> bool {
        if let Some(hidden) = self.decided.get(name) {
            return *hidden;
        }
        let sees = |target| may_see(self.policy, self.caller, target);
        let hidden = !sees(Target::Tool(name)) && !sees(Target::Prompt(name));
        self.decided.insert(name.to_owned(), hidden);
        hidden
    }
}

/// The characters of names: those that MCP recommends or allows, and `:`, which some servers use after a
/// namespace.
fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || "_-./:".contains(character)
}

fn next_run(text: &str, from: usize) -> Option<Span> {
    let rest = text.get(from..)?;
    let start = from.checked_add(rest.find(is_of_name)?)?;
    let rest = text.get(start..)?;
    let length = rest.find(|character| !is_of_name(character));
    Some(start..start.checked_add(length.unwrap_or(rest.len()))?)
}

/// The places in a run where a name may start and end. Names occur in sentences, in paths, after a label,
/// between underscores of Markdown. The last value is the end of the run without those.
fn bounds(text: &str, run: &Span) -> (Vec<usize>, Vec<usize>, usize) {
    let inside = text.get(run.clone()).unwrap_or_default();
    let first = inside.trim_start_matches(is_edge).len();
    let first = inside.len().saturating_sub(first);
    let last = inside.trim_end_matches(is_edge).len();
    let mut starts = vec![run.start];
    // `\n` as in code: the `n` is not part of the name.
    let is_escaped = text.get(..run.start).is_some_and(|it| it.ends_with('\\'));
    if is_escaped && inside.starts_with(['n', 'r', 't']) {
        starts.push(run.start.saturating_add(1));
    }
    let mut ends = Vec::new();
    let mut before = None;
    for (at, character) in inside.char_indices() {
        let here = run.start.saturating_add(at);
        if at > 0 && (at <= first || before.is_some_and(is_between)) {
            starts.push(here);
        }
        if at > 0 && (at >= last || is_between(character)) {
            ends.push(here);
        }
        before = Some(character);
    }
    ends.push(run.end);
    starts.sort_unstable();
    (starts, ends, run.start.saturating_add(last))
}

fn is_between(character: char) -> bool {
    "-./:".contains(character)
}

fn is_edge(character: char) -> bool {
    character == '_' || is_between(character)
}
