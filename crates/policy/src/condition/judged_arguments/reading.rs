//! Reads the arguments that a condition judges, and skips the others.

use std::borrow::Cow;
use std::collections::HashSet;

use super::super::budget::{Budget, Stop};
use super::super::cel_value::{CONTAINER_BYTES, CelText, CelValue, VALUE_BYTES};
use super::super::{ConditionError, ConditionRefusal, Misspelled};
use super::{JudgedArguments, Names, spelled_like};
use base::json::outline::{NoOutline, Outline};
use base::json::unescape;
use mcp::argument_names::fold;

/// The depth of arguments that are read. Deeper ones are refused before.
const MAX_DEPTH: u32 = 128;

/// How much of a value a condition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// Nothing, or only whether it is there.
    Nothing,
    /// The members that have names.
    Named,
    /// All of it.
    Whole,
}

impl Wanted {
    fn of(names: &Names) -> Self {
        match names.is_whole {
            true => Self::Whole,
            false => Self::Named,
        }
    }
}

/// Reads arguments for one evaluation.
#[derive(Clone, Copy)]
pub(super) struct ArgumentReading<'a, 'j> {
    judged: &'j JudgedArguments,
    arguments: &'a [u8],
    budget: &'j Budget,
}

impl<'a, 'j> ArgumentReading<'a, 'j> {
    pub(super) fn new(
        judged: &'j JudgedArguments,
        arguments: &'a [u8],
        budget: &'j Budget,
    ) -> Self {
        Self {
            judged,
            arguments,
            budget,
        }
    }

    pub(super) fn read(self) -> Result<CelValue<'a>, ConditionRefusal> {
        let names = &self.judged.args;
        let wanted = (Wanted::of(names), false);
        self.value(&mut Outline::new(self.arguments, 0), Some(names), wanted, 0)
    }

    fn value(
        self,
        outline: &mut Outline<'a>,
        names: Option<&Names>,
        (wanted, is_element): (Wanted, bool),
        depth: u32,
    ) -> Result<CelValue<'a>, ConditionRefusal> {
        let below = depth.saturating_add(1);
        let looks_below = names.is_some_and(Names::looks_below) || !self.judged.anywhere.is_empty();
        if depth > MAX_DEPTH {
            return Err(Stop::Error.into());
        }
        match outline.first_byte() {
            Some(b'{') if looks_below => {
                let is_range = names.is_some_and(|names| names.is_range) && !is_element;
                self.object(outline, names, (wanted, is_range), below)
            }
            Some(b'[') if looks_below => {
                self.budget.bytes(CONTAINER_BYTES)?;
                let mut values = Vec::new();
                outline.list(|outline| {
                    let value = self.value(outline, names, (wanted, true), below)?;
                    if wanted != Wanted::Nothing {
                        self.budget.bytes(VALUE_BYTES)?;
                        values.push(value);
                    }
                    Ok::<(), ConditionRefusal>(())
                })?;
                Ok(CelValue::list(values))
            }
            _ => {
                let span = outline.value().map_err(ConditionRefusal::from)?;
                // Nothing reads a value that only has to be there.
                if wanted != Wanted::Whole {
                    return Ok(CelValue::Null);
                }
                let written = self.arguments.get(span).unwrap_or_default();
                Ok(CelValue::of_json(written, self.budget)?)
            }
        }
    }

    fn object(
        self,
        outline: &mut Outline<'a>,
        names: Option<&Names>,
        (wanted, is_range): (Wanted, bool),
        depth: u32,
    ) -> Result<CelValue<'a>, ConditionRefusal> {
        let wanted = match wanted {
            Wanted::Named if is_range => Wanted::Whole,
            wanted => wanted,
        };
        let is_open = is_range || names.is_some_and(|names| names.is_open);
        self.budget.bytes(CONTAINER_BYTES)?;
        let (mut members, mut seen) = (Vec::new(), HashSet::new());
        outline.object(|outline, key| {
            let key = read_key(key)?;
            let child = match names {
                Some(names) => names.child(&key)?,
                None => None,
            };
            if !self.judged.anywhere.is_empty()
                && let Some(spellings) = self.judged.anywhere.get(&*fold(&key))
            {
                spelled_like(spellings, &key)?;
            }
            if is_open && !seen.insert(fold(&key).into_owned()) {
                return Err(Misspelled::Alike.into());
            }
            let of_child = match (wanted, child) {
                (Wanted::Named, Some(child)) => Wanted::of(child),
                (Wanted::Named, None) => Wanted::Nothing,
                (wanted, _) => wanted,
            };
            let value = self.value(outline, child, (of_child, false), depth)?;
            if of_child != Wanted::Nothing {
                self.budget.bytes(VALUE_BYTES.saturating_mul(2))?;
                members.push((CelText::of(key, self.budget)?, value));
            }
            Ok::<(), ConditionRefusal>(())
        })?;
        Ok(CelValue::of_members(members))
    }
}

/// A key without its escapes.
fn read_key(written: &[u8]) -> Result<Cow<'_, str>, Stop> {
    let written = str::from_utf8(written).map_err(|_| Stop::Error)?;
    match written.contains('\\') {
        true => unescape(written).map(Cow::Owned).ok_or(Stop::Error),
        false => Ok(Cow::Borrowed(written)),
    }
}

impl From<NoOutline> for ConditionRefusal {
    fn from(_: NoOutline) -> Self {
        Stop::Error.into()
    }
}

impl From<Misspelled> for ConditionRefusal {
    fn from(error: Misspelled) -> Self {
        Self::Misspelled(error)
    }
}

impl From<Stop> for ConditionRefusal {
    fn from(stop: Stop) -> Self {
        Self::Condition(match stop {
            Stop::Error => ConditionError::Evaluation,
            Stop::Budget => ConditionError::Budget,
        })
    }
}
