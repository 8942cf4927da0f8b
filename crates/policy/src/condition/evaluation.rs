//! The evaluation of a parsed expression within a budget. The crate `cel` parses. Its own evaluator has no
//! budget. A test compares the results of the two.

use std::rc::Rc;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, MapExpr, SelectExpr, operators,
};

use super::budget::{Budget, Stop};
use super::cel_value::{CONTAINER_BYTES, CelMap, CelValue, VALUE_BYTES};
use super::functions;
use super::list_index::ListIndexes;

type Evaluated<'a> = Result<CelValue<'a>, Stop>;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    budget: &'a Budget,
    /// The variables. Those of inner scopes are last.
    variables: Vec<(&'a str, CelValue<'a>)>,
    indexes: ListIndexes<'a>,
}

impl<'a> Evaluation<'a> {
    /// An evaluation with these variables.
    pub(super) fn new(budget: &'a Budget, variables: Vec<(&'a str, CelValue<'a>)>) -> Self {
        Self {
            budget,
            variables,
            indexes: ListIndexes::default(),
        }
    }

    /// The value of an expression.
    pub(super) fn value(&mut self, expression: &'a IdedExpr) -> Evaluated<'a> {
        self.budget.steps(1)?;
        match &expression.expr {
            Expr::Literal(literal) => self::literal(literal),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => {
                self.budget.bytes(CONTAINER_BYTES)?;
                let mut values = Vec::new();
                for element in &list.elements {
                    self.budget.bytes(VALUE_BYTES)?;
                    values.push(self.value(element)?);
                }
                Ok(CelValue::list(values))
            }
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            // No condition with these compiles.
            Expr::Struct(_) | Expr::Unspecified => Err(Stop::Error),
        }
    }

    fn bool(&mut self, expression: &'a IdedExpr) -> Result<bool, Stop> {
        match self.value(expression)? {
            CelValue::Bool(value) => Ok(value),
            _ => Err(Stop::Error),
        }
    }

    fn variable(&self, name: &str) -> Evaluated<'a> {
        let mut known = self.variables.iter().rev();
        let found = known.find(|(own, _)| *own == name);
        found.map(|(_, value)| value.clone()).ok_or(Stop::Error)
    }

    fn select(&mut self, select: &'a SelectExpr) -> Evaluated<'a> {
        let CelValue::Map(map) = self.value(&select.operand)? else {
            return Err(Stop::Error);
        };
        let found = map.get_text(&select.field, self.budget)?;
        if select.test {
            return Ok(CelValue::Bool(found.is_some()));
        }
        found.cloned().ok_or(Stop::Error)
    }

    fn map(&mut self, map: &'a MapExpr) -> Evaluated<'a> {
        self.budget.bytes(CONTAINER_BYTES)?;
        let mut entries = Vec::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else {
                return Err(Stop::Error);
            };
            self.budget.bytes(VALUE_BYTES.saturating_mul(2))?;
            entries.push((self.value(&entry.key)?, self.value(&entry.value)?));
        }
        Ok(CelValue::Map(Rc::new(CelMap::of_entries(
            entries,
            self.budget,
        )?)))
    }

    fn call(&mut self, call: &'a CallExpr) -> Evaluated<'a> {
        match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [condition, then, otherwise]) => match self.bool(condition)? {
                true => self.value(then),
                false => self.value(otherwise),
            },
            (operators::LOGICAL_AND, [left, right]) => self.connect(left, right, false),
            (operators::LOGICAL_OR, [left, right]) => self.connect(left, right, true),
            (operators::NOT_STRICTLY_FALSE, [operand]) => match self.bool(operand) {
                Err(Stop::Budget) => Err(Stop::Budget),
                value => Ok(CelValue::Bool(value.unwrap_or(true))),
            },
            (operators::LOGICAL_NOT, [operand]) => Ok(CelValue::Bool(!self.bool(operand)?)),
            (operators::ADD, [left, right]) => {
                let left = self.left_of_add(left)?;
                let right = self.value(right)?;
                functions::add(left, &right, self.budget)
            }
            (operators::IN, [element, container]) => {
                let (element, container) = (self.value(element)?, self.value(container)?);
                self.contains(&container, &element).map(CelValue::Bool)
            }
            (name, [operand]) if call.target.is_none() => {
                let operand = self.value(operand)?;
                functions::unary(name, operand, self.budget)
            }
            (name, [left, right]) if call.target.is_none() => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                functions::binary(name, &left, &right, self.budget)
            }
            (name, arguments) => {
                let target = call.target.as_deref().ok_or(Stop::Error)?;
                let target = self.value(target)?;
                match arguments {
                    [] if name == functions::SIZE => functions::unary(name, target, self.budget),
                    [argument] => {
                        let argument = self.value(argument)?;
                        functions::member(name, &target, &argument, self.budget)
                    }
                    _ => Err(Stop::Error),
                }
            }
        }
    }

    /// `&&` and `||`: a side with the value `deciding` decides, even if the other one is an error.
    fn connect(
        &mut self,
        left: &'a IdedExpr,
        right: &'a IdedExpr,
        deciding: bool,
    ) -> Evaluated<'a> {
        let left = self.bool(left);
        if left == Err(Stop::Budget) || left == Ok(deciding) {
            return left.map(CelValue::Bool);
        }
        let right = self.bool(right)?;
        match left {
            Err(error) if right != deciding => Err(error),
            _ => Ok(CelValue::Bool(right)),
        }
    }

    /// The left side of `+`. The partial result of a macro is moved, because only the macro's own step uses
    /// it. So it grows without a copy.
    fn left_of_add(&mut self, left: &'a IdedExpr) -> Evaluated<'a> {
        if let Expr::Ident(name) = &left.expr
            && name.starts_with('@')
        {
            self.budget.steps(1)?;
            let mut known = self.variables.iter_mut().rev();
            let found = known.find(|(own, _)| own == name);
            let (_, value) = found.ok_or(Stop::Error)?;
            return Ok(std::mem::replace(value, CelValue::Null));
        }
        self.value(left)
    }

    fn contains(&mut self, container: &CelValue<'a>, element: &CelValue<'a>) -> Result<bool, Stop> {
        match container {
            CelValue::List(list) => self.indexes.contains(list, element, self.budget),
            CelValue::Map(map) => Ok(map.get(element, self.budget)?.is_some()),
            _ => Err(Stop::Error),
        }
    }

    /// A macro: `all`, `exists`, `exists_one`, `map` or `filter`.
    fn comprehension(&mut self, comprehension: &'a ComprehensionExpr) -> Evaluated<'a> {
        let range = match self.value(&comprehension.iter_range)? {
            CelValue::List(list) => list,
            CelValue::Map(map) => {
                self.budget.bytes(VALUE_BYTES.saturating_mul(map.len()))?;
                Rc::new(map.keys().collect())
            }
            _ => return Err(Stop::Error),
        };
        let start = self.value(&comprehension.accu_init)?;
        let outer = self.variables.len();
        self.variables.push((&comprehension.accu_var, start));
        let result = self.fold(comprehension, &range);
        self.variables.truncate(outer);
        result
    }

    fn fold(
        &mut self,
        comprehension: &'a ComprehensionExpr,
        range: &[CelValue<'a>],
    ) -> Evaluated<'a> {
        let accumulator = self.variables.len().saturating_sub(1);
        let absorbing = absorbing(comprehension);
        let mut pending = None;
        for element in range {
            if !self.bool(&comprehension.loop_cond)? {
                break;
            }
            self.variables
                .push((&comprehension.iter_var, element.clone()));
            let step = self.value(&comprehension.loop_step);
            self.variables.pop();
            match (step, absorbing) {
                (Err(Stop::Error), Some(_)) => pending = Some(Stop::Error),
                (Err(stop), _) => return Err(stop),
                // An error waits for an element that decides.
                (Ok(CelValue::Bool(value)), Some(absorbing))
                    if pending.is_some() && value != absorbing => {}
                (Ok(value), _) => {
                    pending = None;
                    if let Some((_, result)) = self.variables.get_mut(accumulator) {
                        *result = value;
                    }
                }
            }
        }
        match pending {
            Some(stop) => Err(stop),
            None => self.value(&comprehension.result),
        }
    }
}

/// The value of an element that decides `all` or `exists`, even if another element is an error.
fn absorbing(comprehension: &ComprehensionExpr) -> Option<bool> {
    match &comprehension.loop_step.expr {
        Expr::Call(call) if call.func_name == operators::LOGICAL_AND => Some(false),
        Expr::Call(call) if call.func_name == operators::LOGICAL_OR => Some(true),
        _ => None,
    }
}

fn literal(literal: &LiteralValue) -> Evaluated<'_> {
    Ok(match literal {
        LiteralValue::Boolean(value) => CelValue::Bool(**value),
        LiteralValue::Double(value) => CelValue::Double(f64::from(*value)),
        LiteralValue::Int(value) => CelValue::Int(**value),
        LiteralValue::Null => CelValue::Null,
        LiteralValue::String(text) => CelValue::lent(text.inner()),
        LiteralValue::UInt(value) => CelValue::UInt(*value.inner()),
        // No condition with these compiles.
        LiteralValue::Bytes(_) => return Err(Stop::Error),
    })
}
