//! `when` conditions: CEL (Common Expression Language) over `args`, `identity` and `call`.
//!
//! A condition refuses unless its result is `true`: `false`, an error and other types refuse. Forms whose
//! cost or meaning has no bound are refused when the policy loads.

#[cfg(feature = "cel")]
pub use with_cel::Condition;
#[cfg(not(feature = "cel"))]
pub use without_cel::Condition;

#[cfg(feature = "cel")]
mod budget;
#[cfg(feature = "cel")]
mod cel_value;
#[cfg(feature = "cel")]
mod evaluation;
#[cfg(feature = "cel")]
mod functions;
#[cfg(feature = "cel")]
mod judged_arguments;
#[cfg(feature = "cel")]
mod list_index;

use thiserror::Error;

/// Why the arguments of a call cannot be judged by a condition.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misspelled {
    /// Two names differ only in their spelling.
    #[error("two arguments have names that differ only in their spelling")]
    Alike,
    /// A name that the condition reads has another spelling.
    #[error("an argument is spelled otherwise than `{0}`, which the policy judges")]
    Otherwise(String),
}

/// Why a condition refuses. Without argument values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ConditionError {
    /// The evaluation needs more steps or memory than the budget.
    #[error("the condition needs more work than allowed with arguments of this size")]
    Budget,
    /// It could not be evaluated.
    #[error("the condition could not be evaluated with these arguments")]
    Evaluation,
    /// The condition is not true.
    #[error("the condition does not hold")]
    NotTrue,
}

/// Why a condition refuses a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConditionRefusal {
    /// A server could read other arguments than the condition.
    Misspelled(Misspelled),
    /// The condition does not hold.
    Condition(ConditionError),
}

#[cfg(not(feature = "cel"))]
mod without_cel {
    use super::ConditionRefusal;
    use oauth::Identity;

    /// A build without the feature `cel` has no conditions.
    #[derive(Debug)]
    pub enum Condition {}

    impl Condition {
        /// Fails: this build has no CEL.
        ///
        /// # Errors
        ///
        /// Always.
        pub fn compile(_: &str) -> Result<Self, String> {
            Err("this build of the filter has no CEL; use the one with the feature `cel`".into())
        }

        /// The expression.
        pub fn written(&self) -> &str {
            match *self {}
        }

        /// Never called: there are no conditions.
        ///
        /// # Errors
        ///
        /// None.
        pub fn check(&self, _: &[u8], _: &Identity, _: &str) -> Result<(), ConditionRefusal> {
            match *self {}
        }
    }
}

#[cfg(feature = "cel")]
mod with_cel {
    use cel::IdedExpr;
    use cel::common::ast::{EntryExpr, Expr, LiteralValue};
    use cel::parser::PrattParser;

    use super::budget::{Budget, Stop};
    use super::cel_value::CelValue;
    use super::evaluation::Evaluation;
    use super::functions::FUNCTIONS;
    use super::judged_arguments::JudgedArguments;
    use super::{ConditionError, ConditionRefusal};
    use oauth::Identity;

    const VARIABLES: &[&str] = &["args", "identity", "call"];
    const IDENTITY_FIELDS: &[&str] = &["user", "organization", "roles", "scopes", "actors"];
    const CALL_FIELDS: &[&str] = &["name"];
    // A deeper or longer expression could exhaust the VM's stack.
    const MAX_LENGTH: usize = 1024;
    const MAX_DEPTH: u32 = 64;

    /// A compiled condition.
    pub struct Condition {
        written: String,
        expression: IdedExpr,
        judged_arguments: JudgedArguments,
    }

    impl std::fmt::Debug for Condition {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter
                .debug_tuple("Condition")
                .field(&self.written)
                .finish()
        }
    }

    impl Condition {
        /// Compiles an expression.
        ///
        /// # Errors
        ///
        /// The expression has a syntax error, an unknown variable or function, or a form whose cost has no
        /// bound.
        pub fn compile(written: &str) -> Result<Self, String> {
            if written.len() > MAX_LENGTH {
                return Err(format!("longer than {MAX_LENGTH} bytes"));
            }
            // This parser of the crate needs no system calls that Envoy's Wasm host lacks. It has half the
            // code of the default one.
            let expression = PrattParser::new()
                .max_recursion_depth(32)
                .max_expression_node_count(256)
                .parse(written)
                .map_err(|error| syntax_error(&error.to_string()))?;
            check(&expression, &mut Vec::new(), MAX_DEPTH)?;
            Ok(Self {
                written: written.to_owned(),
                judged_arguments: JudgedArguments::of(&expression),
                expression,
            })
        }

        /// The expression.
        pub fn written(&self) -> &str {
            &self.written
        }

        /// Evaluates it for one call. `arguments` starts with a JSON object, as the server will read it. It was read
        /// strictly: only what the condition reads is read here. Text behind the object is not read.
        ///
        /// # Errors
        ///
        /// The condition is not true, or a server could read other arguments than the condition: `AMOUNT` for
        /// `amount`.
        pub fn check(
            &self,
            arguments: &[u8],
            identity: &Identity,
            name: &str,
        ) -> Result<(), ConditionRefusal> {
            match self.evaluate(&Budget::new(), arguments, identity, name)? {
                true => Ok(()),
                false => Err(ConditionRefusal::Condition(ConditionError::NotTrue)),
            }
        }

        pub(super) fn evaluate(
            &self,
            budget: &Budget,
            arguments: &[u8],
            identity: &Identity,
            name: &str,
        ) -> Result<bool, ConditionRefusal> {
            let variables = vec![
                ("args", self.judged_arguments.read(arguments, budget)?),
                ("identity", CelValue::of_identity(identity)),
                ("call", CelValue::of_call(name)),
            ];
            match Evaluation::new(budget, variables).value(&self.expression)? {
                CelValue::Bool(holds) => Ok(holds),
                _ => Err(Stop::Error.into()),
            }
        }
    }

    /// The first line of the parser's text. The other lines show the place.
    fn syntax_error(text: &str) -> String {
        let line = text.lines().next().unwrap_or_default();
        let line = line.strip_prefix("ERROR: <input>:").unwrap_or(line);
        format!("not a CEL expression: {line}")
    }

    fn check<'e>(
        expression: &'e IdedExpr,
        bound: &mut Vec<&'e str>,
        left: u32,
    ) -> Result<(), String> {
        let left = left.checked_sub(1).ok_or("nested too deeply")?;
        match &expression.expr {
            Expr::Unspecified | Expr::Struct(_) => return Err("messages are not supported".into()),
            Expr::Literal(LiteralValue::Bytes(_)) => {
                return Err("byte strings are not supported".into());
            }
            Expr::Literal(_) => {}
            Expr::Ident(name) => check_variable(name, bound)?,
            Expr::Select(select) => {
                check_field(&select.operand.expr, &select.field, bound)?;
                check(&select.operand, bound, left)?;
            }
            Expr::Call(call) => {
                check_function(&call.func_name)?;
                if let Some(target) = &call.target {
                    check(target, bound, left)?;
                }
                call.args
                    .iter()
                    .try_for_each(|arg| check(arg, bound, left))?;
            }
            Expr::List(list) => {
                let mut elements = list.elements.iter();
                elements.try_for_each(|element| check(element, bound, left))?;
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("messages are not supported".into());
                    };
                    check(&entry.key, bound, left)?;
                    check(&entry.value, bound, left)?;
                }
            }
            Expr::Comprehension(inner) => {
                check(&inner.iter_range, bound, left)?;
                check(&inner.accu_init, bound, left)?;
                if !bound.is_empty() {
                    return Err("a macro such as exists() inside another is not supported".into());
                }
                bound.extend([inner.iter_var.as_str(), inner.accu_var.as_str()]);
                bound.extend(inner.iter_var2.as_deref());
                for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
                    check(part, bound, left)?;
                }
                bound.clear();
            }
        }
        Ok(())
    }

    fn check_variable(name: &str, bound: &[&str]) -> Result<(), String> {
        if name.starts_with('@') || bound.contains(&name) || VARIABLES.contains(&name) {
            return Ok(());
        }
        let known = VARIABLES.join("`, `");
        Err(format!(
            "unknown variable `{name}`, expected one of `{known}`"
        ))
    }

    /// The fields of `identity` and `call` are known.
    fn check_field(operand: &Expr, field: &str, bound: &[&str]) -> Result<(), String> {
        let Expr::Ident(variable) = operand else {
            return Ok(());
        };
        let fields = match variable.as_str() {
            "identity" => IDENTITY_FIELDS,
            "call" => CALL_FIELDS,
            _ => return Ok(()),
        };
        if bound.contains(&variable.as_str()) || fields.contains(&field) {
            return Ok(());
        }
        let known = fields.join("`, `");
        Err(format!(
            "unknown field `{variable}.{field}`, expected one of `{known}`"
        ))
    }

    /// Operators have names such as `_+_`. Only words must be known functions.
    fn check_function(name: &str) -> Result<(), String> {
        let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_word || FUNCTIONS.contains(&name) {
            return Ok(());
        }
        let known = FUNCTIONS.join("`, `");
        Err(format!(
            "unknown function `{name}`, expected one of `{known}`"
        ))
    }
}

#[cfg(test)]
#[cfg(feature = "cel")]
mod tests;
