//! From JSON to a checked policy. All mistakes are reported at once: of form, and of meaning.

mod form_error;
mod node;
mod repairs;
mod stand_in;

use std::iter;

use serde_json::Value;

use self::form_error::{Fault, FormError, Step, path_of};
use self::node::Child;
use self::repairs::{Repair, Repairs};
use self::stand_in::Kind;
use super::Policy;
use super::compile::compile;
use super::document::Document;
use super::error::{Errors, PolicyError};
use base::json::Reader;

const MAX_DEPTH: usize = 64;

/// A document is read once more for each mistake of form, at most this often.
const MAX_READS: usize = 200;

/// A configuration as strict JSON.
pub(super) fn strict(json: &[u8]) -> Result<Value, Errors> {
    let mut reader = Reader::new(json, MAX_DEPTH);
    // serde_json would take the last value of a repeated key.
    reader
        .skip()
        .and_then(|_| reader.end())
        .map_err(|error| whole(format!("not strict JSON: {error}")))?;
    serde_json::from_slice(json).map_err(|error| whole(format!("not JSON: {error}")))
}

fn whole(message: String) -> Errors {
    vec![PolicyError::new("", message)]
}

/// The policy of a document.
///
/// After mistakes of form the meaning is checked, too: with stand-ins in place of the wrong values. A mistake of
/// meaning is reported if it is there with both kinds of stand-ins, and is not about one of them.
pub(super) fn policy(value: &Value) -> Result<Policy, Errors> {
    let reading = Reading::of(value);
    let Some(document) = reading.document else {
        return Err(reading.errors);
    };
    let found = match compile(document) {
        Ok(policy) if reading.errors.is_empty() => return Ok(policy),
        Ok(_) => return Err(reading.errors),
        Err(found) if reading.errors.is_empty() => return Err(found),
        Err(found) => found,
    };
    let again = Child::of(value, Some(&reading.repairs), Kind::Second).map(Child::document);
    let found_again = match again {
        Some(Ok(document)) => compile(document).err().unwrap_or_default(),
        _ => Errors::new(),
    };
    let is_certain = |error: &PolicyError| {
        found_again.contains(error) && !is_below(&error.path, &reading.guessed)
    };
    let mut errors = reading.errors;
    errors.extend(found.into_iter().filter(is_certain));
    Err(errors)
}

/// What was read of a document. Serde stops at the first mistake, so each mistake is repaired, and the document is
/// read again.
#[derive(Default)]
struct Reading {
    /// The document as repaired. `None`: its meaning cannot be checked.
    document: Option<Document>,
    repairs: Repairs,
    /// The mistakes of form.
    errors: Errors,
    /// The paths of values that are not known.
    guessed: Vec<String>,
    /// The places of keys whose name is misspelled, the innermost step first.
    misspelled: Vec<Vec<Step>>,
    /// Whether a value was left out to which others refer.
    is_incomplete: bool,
}

impl Reading {
    fn of(value: &Value) -> Self {
        let mut reading = Self::default();
        for _ in 0..MAX_READS {
            let read = Child::of(value, Some(&reading.repairs), Kind::First);
            let goes_on = match read.map(Child::document) {
                Some(Ok(document)) => {
                    reading.document = Some(document).filter(|_| !reading.is_incomplete);
                    false
                }
                Some(Err(error)) => reading.repair(error),
                None => false,
            };
            if !goes_on {
                break;
            }
        }
        reading
    }

    /// Takes note of a mistake. `false`: reading again is of no use.
    fn repair(&mut self, error: FormError) -> bool {
        if let Some(repair) = self.repairs.stand_in_above(&error.steps) {
            // There is no stand-in for this value.
            *repair = Repair::LeaveOut;
            self.is_incomplete = true;
            return true;
        }
        let mistake = PolicyError::new(path_of(&error.steps), error.message);
        let mut place = error.steps;
        let repair = match error.fault {
            Fault::UnknownKey { meant } => {
                if let Some(key) = meant {
                    let around = place.iter().skip(1).cloned();
                    let meant: Vec<Step> = iter::once(key.into()).chain(around).collect();
                    self.guessed.push(path_of(&meant));
                    self.misspelled.push(meant);
                }
                Repair::LeaveOut
            }
            Fault::MissingKey(key) => {
                place.insert(0, key.into());
                Repair::StandIn
            }
            Fault::Value => Repair::StandIn,
        };
        if !self.repairs.add(&place, repair) {
            // It is the consequence of a value that was left out.
            return false;
        }
        if !self.misspelled.contains(&place) {
            self.errors.push(mistake);
        }
        if repair == Repair::StandIn {
            self.guessed.push(path_of(&place));
        }
        true
    }
}

/// Whether a path is one of these, or leads through one.
fn is_below(path: &str, places: &[String]) -> bool {
    places.iter().any(|place| {
        let rest = path.strip_prefix(place.as_str());
        let ends_a_key = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[']);
        place.is_empty() || rest.is_some_and(ends_a_key)
    })
}
