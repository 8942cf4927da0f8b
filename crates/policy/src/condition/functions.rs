//! The functions and operators of conditions. Operands of other types are an error.

use std::cmp::Ordering;
use std::rc::Rc;

use cel::common::ast::operators;

use super::budget::{Budget, Stop};
use super::cel_value::{CONTAINER_BYTES, CelText, CelValue, VALUE_BYTES};

/// The function that can be called in two ways: `size(args.list)` and `args.list.size()`.
pub(super) const SIZE: &str = "size";

/// The functions that a condition may call.
pub(super) const FUNCTIONS: &[&str] = &[
    SIZE,
    "contains",
    "startsWith",
    "endsWith",
    "int",
    "uint",
    "double",
    "string",
    "bool",
];

/// The maximum length of a text that is read as a number. Longer ones are no number that a condition can
/// use.
const MAX_NUMBER_BYTES: usize = 1024;

type Evaluated<'a> = Result<CelValue<'a>, Stop>;

/// `left + right`. A list with one reference grows without a copy.
pub(super) fn add<'a>(left: CelValue<'a>, right: &CelValue<'a>, budget: &Budget) -> Evaluated<'a> {
    match (left, right) {
        (CelValue::Text(left), CelValue::Text(right)) => {
            let length = left.len().saturating_add(right.len());
            // The budget is checked before the allocation.
            budget.text(length)?;
            budget.bytes(length)?;
            let text = [&*left, &**right].concat();
            Ok(CelValue::Text(CelText::Made(text.into())))
        }
        (CelValue::List(left), CelValue::List(right)) => {
            let mut list = match Rc::try_unwrap(left) {
                Ok(list) => list,
                Err(shared) => {
                    spend_list(shared.len(), budget)?;
                    (*shared).clone()
                }
            };
            spend_list(right.len(), budget)?;
            list.extend(right.iter().cloned());
            Ok(CelValue::list(list))
        }
        (CelValue::List(left), CelValue::Map(right)) => {
            let keys = CelValue::list(right.keys().collect());
            add(CelValue::List(left), &keys, budget)
        }
        (left, right) => arithmetic(operators::ADD, &left, right),
    }
}

fn spend_list(length: usize, budget: &Budget) -> Result<(), Stop> {
    budget.steps(length)?;
    budget.bytes(CONTAINER_BYTES)?;
    budget.bytes(VALUE_BYTES.saturating_mul(length))
}

/// An operator with two operands.
pub(super) fn binary<'a>(
    name: &str,
    left: &CelValue<'a>,
    right: &CelValue<'a>,
    budget: &Budget,
) -> Evaluated<'a> {
    let ordered = |is: fn(Ordering) -> bool| {
        let order = left.compare(right, budget)?;
        Ok(CelValue::Bool(is(order)))
    };
    match name {
        operators::EQUALS => left.equals(right, budget).map(CelValue::Bool),
        operators::NOT_EQUALS => Ok(CelValue::Bool(!left.equals(right, budget)?)),
        operators::LESS => ordered(Ordering::is_lt),
        operators::LESS_EQUALS => ordered(Ordering::is_le),
        operators::GREATER => ordered(Ordering::is_gt),
        operators::GREATER_EQUALS => ordered(Ordering::is_ge),
        operators::INDEX => index(left, right, budget),
        _ => arithmetic(name, left, right),
    }
}

fn index<'a>(container: &CelValue<'a>, key: &CelValue<'a>, budget: &Budget) -> Evaluated<'a> {
    let found = match container {
        CelValue::Map(map) => map.get(key, budget)?,
        CelValue::List(list) => {
            let place = match key {
                CelValue::Int(place) => usize::try_from(*place).ok(),
                CelValue::UInt(place) => usize::try_from(*place).ok(),
                CelValue::Double(place) => {
                    whole(*place).and_then(|place| usize::try_from(place).ok())
                }
                _ => None,
            };
            place.and_then(|place| list.get(place))
        }
        _ => None,
    };
    found.cloned().ok_or(Stop::Error)
}

/// A `double` without a fraction, as an `int`.
fn whole(number: f64) -> Option<i64> {
    let is_whole = number.fract() == 0.0;
    in_int(number).filter(|_| is_whole)
}

/// A `double` without its fraction, as an `int`. The lowest `int` is not a result.
fn in_int(number: f64) -> Option<i64> {
    (number > i64::MIN as f64 && number < i64::MAX as f64).then_some(number as i64)
}

fn arithmetic<'a>(name: &str, left: &CelValue<'a>, right: &CelValue<'a>) -> Evaluated<'a> {
    match (left, right) {
        (CelValue::Int(left), CelValue::Int(right)) => match name {
            operators::ADD => left.checked_add(*right),
            operators::SUBSTRACT => left.checked_sub(*right),
            operators::MULTIPLY => left.checked_mul(*right),
            operators::DIVIDE => left.checked_div(*right),
            operators::MODULO => left.checked_rem(*right),
            _ => None,
        }
        .map(CelValue::Int),
        (CelValue::UInt(left), CelValue::UInt(right)) => match name {
            operators::ADD => left.checked_add(*right),
            operators::SUBSTRACT => left.checked_sub(*right),
            operators::MULTIPLY => left.checked_mul(*right),
            operators::DIVIDE => left.checked_div(*right),
            operators::MODULO => left.checked_rem(*right),
            _ => None,
        }
        .map(CelValue::UInt),
        (CelValue::Double(left), CelValue::Double(right)) => match name {
            operators::ADD => Some(left + right),
            operators::SUBSTRACT => Some(left - right),
            operators::MULTIPLY => Some(left * right),
            operators::DIVIDE => Some(left / right),
            _ => None,
        }
        .map(CelValue::Double),
        _ => None,
    }
    .ok_or(Stop::Error)
}

/// An operator or a function with one operand.
pub(super) fn unary<'a>(name: &str, operand: CelValue<'a>, budget: &Budget) -> Evaluated<'a> {
    match name {
        SIZE => size(&operand, budget),
        "int" => to_int(&operand),
        "uint" => to_uint(&operand),
        "double" => to_double(&operand),
        "string" => to_string(operand, budget),
        "bool" => to_bool(&operand),
        operators::NEGATE => match operand {
            CelValue::Int(number) => number.checked_neg().map(CelValue::Int).ok_or(Stop::Error),
            CelValue::Double(number) => Ok(CelValue::Double(-number)),
            _ => Err(Stop::Error),
        },
        _ => Err(Stop::Error),
    }
}

/// A function called on a value.
pub(super) fn member<'a>(
    name: &str,
    target: &CelValue<'a>,
    argument: &CelValue<'a>,
    budget: &Budget,
) -> Evaluated<'a> {
    let (CelValue::Text(text), CelValue::Text(part)) = (target, argument) else {
        return Err(Stop::Error);
    };
    let holds = match name {
        "contains" => {
            // Linear in both (two-way string matching).
            budget.text(text.len().saturating_add(part.len()))?;
            text.contains(&**part)
        }
        "startsWith" => {
            budget.text(part.len())?;
            text.starts_with(&**part)
        }
        "endsWith" => {
            budget.text(part.len())?;
            text.ends_with(&**part)
        }
        _ => return Err(Stop::Error),
    };
    Ok(CelValue::Bool(holds))
}

fn size<'a>(operand: &CelValue<'a>, budget: &Budget) -> Evaluated<'a> {
    let size = match operand {
        CelValue::Text(text) => {
            budget.text(text.len())?;
            text.chars().count()
        }
        CelValue::List(list) => list.len(),
        CelValue::Map(map) => map.len(),
        _ => return Err(Stop::Error),
    };
    i64::try_from(size)
        .map(CelValue::Int)
        .map_err(|_| Stop::Error)
}

/// A number in a text.
fn parsed<T: std::str::FromStr>(text: &str) -> Option<T> {
    if text.len() > MAX_NUMBER_BYTES {
        return None;
    }
    text.parse().ok()
}

fn to_int<'a>(operand: &CelValue<'a>) -> Evaluated<'a> {
    match operand {
        CelValue::Int(number) => Some(*number),
        CelValue::UInt(number) => i64::try_from(*number).ok(),
        CelValue::Double(number) => in_int(*number),
        CelValue::Text(text) => parsed(text),
        _ => None,
    }
    .map(CelValue::Int)
    .ok_or(Stop::Error)
}

fn to_uint<'a>(operand: &CelValue<'a>) -> Evaluated<'a> {
    match operand {
        CelValue::Int(number) => u64::try_from(*number).ok(),
        CelValue::UInt(number) => Some(*number),
        CelValue::Double(number) => {
            (*number >= 0.0 && *number < u64::MAX as f64).then_some(*number as u64)
        }
        CelValue::Text(text) => parsed(text),
        _ => None,
    }
    .map(CelValue::UInt)
    .ok_or(Stop::Error)
}

fn to_double<'a>(operand: &CelValue<'a>) -> Evaluated<'a> {
    match operand {
        CelValue::Text(text) => parsed(text),
        number => number.as_double(),
    }
    .map(CelValue::Double)
    .ok_or(Stop::Error)
}

fn to_string<'a>(operand: CelValue<'a>, budget: &Budget) -> Evaluated<'a> {
    let text = match operand {
        CelValue::Text(_) => return Ok(operand),
        CelValue::Bool(value) => value.to_string(),
        CelValue::Int(number) => number.to_string(),
        CelValue::UInt(number) => number.to_string(),
        CelValue::Double(number) => number.to_string(),
        _ => return Err(Stop::Error),
    };
    CelValue::made(text, budget)
}

fn to_bool<'a>(operand: &CelValue<'a>) -> Evaluated<'a> {
    match operand {
        CelValue::Bool(value) => Ok(CelValue::Bool(*value)),
        CelValue::Text(text) => match &**text {
            "1" | "t" | "true" | "TRUE" | "True" => Ok(CelValue::Bool(true)),
            "0" | "f" | "false" | "FALSE" | "False" => Ok(CelValue::Bool(false)),
            _ => Err(Stop::Error),
        },
        _ => Err(Stop::Error),
    }
}
