//! ErrorTextNames of tools in a text.

use std::collections::HashMap;

use crate::authorize::{Principal, Target, may_see};
use crate::response::results::mask::STARS;
use crate::response::results::repeated::replace;
use base::json::Span;
use policy::Policy;

/// The longest name that is looked for (MCP 2026-07-28 "Tool ErrorTextNames" allows 128 characters).
const MAX_NAME: usize = 256;
/// How many ends are tried for a name that starts at one place.
const MAX_ENDS: usize = 12;
/// How many names are looked up for one message. A value for which these are too few is hidden.
const MAX_LOOKUPS: usize = 50_000;

/// The names of tools that one caller may not call.
pub(super) struct ErrorTextNames<'p> {
    policy: &'p Policy,
    caller: Principal<'p>,
    /// What was decided about names before.
    decided: HashMap<String, bool>,
    lookups: usize,
    /// How many were hidden.
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

    /// A text without these names, if it has any.
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
        Ok(replace(text, found, |_| STARS.to_owned()))
    }

    /// The longest name that starts first counts, then what is behind it.
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
            // What ends a sentence is no part of the name, if there is one without it.
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

    /// The decision that lists are filtered by. A prompt of the same name may be the caller's.
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

/// What names are made of: what MCP recommends, what it does not forbid, and `:`, which some servers
/// put behind a namespace.
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

/// Where in a run a name may start, and where it may end: names stand in sentences, in paths, behind
/// a label, between the underscores of Markdown. The last is where the run ends without those.
fn bounds(text: &str, run: &Span) -> (Vec<usize>, Vec<usize>, usize) {
    let inside = text.get(run.clone()).unwrap_or_default();
    let first = inside.trim_start_matches(is_edge).len();
    let first = inside.len().saturating_sub(first);
    let last = inside.trim_end_matches(is_edge).len();
    let mut starts = vec![run.start];
    // `\n` as it is written in code: the `n` is no part of the name.
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
