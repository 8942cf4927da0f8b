//! The arguments that a condition reads, by their names. All others are skipped.
//!
//! A condition reads `args.amount`. A server that ignores case may read `AMOUNT`, which the condition did
//! not read. So an argument whose name folds to one that the condition reads must have the same spelling.

mod reading;

use std::collections::BTreeMap;

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators};

use self::reading::ArgumentReading;
use super::budget::Budget;
use super::cel_value::CelValue;
use super::{ConditionRefusal, Misspelled};
use mcp::argument_names::fold;

/// The names that a condition reads.
#[derive(Debug, Default)]
pub(super) struct JudgedArguments {
    args: Names,
    /// Names that it reads of values at unknown places.
    anywhere: BTreeMap<String, Vec<String>>,
}

/// The names that it reads of one object, or of the elements of a list.
#[derive(Debug, Default)]
struct Names {
    /// By the folded name: as the condition spells it, and what it reads below.
    children: BTreeMap<String, (Vec<String>, Self)>,
    /// Whether it reads names that are known only when it is evaluated.
    is_open: bool,
    /// Whether it reads the whole value, and not only what is below it.
    is_whole: bool,
    /// Whether a macro goes over it. If it is an object, the macro reads all its keys.
    is_range: bool,
}

/// The keys on the way from `args` to a value. Elements of lists have none.
type Path = Vec<String>;

impl JudgedArguments {
    /// The names that an expression reads.
    pub(super) fn of(expression: &IdedExpr) -> Self {
        let mut names = Self::default();
        names.visit(expression, &mut Vec::new());
        names
    }

    /// Reads what the condition reads of the arguments: a JSON object that was read strictly. Text behind the object is
    /// not read.
    ///
    /// # Errors
    ///
    /// A server could read other arguments instead, or the arguments are more than the budget.
    pub(super) fn read<'a>(
        &self,
        arguments: &'a [u8],
        budget: &Budget,
    ) -> Result<CelValue<'a>, ConditionRefusal> {
        ArgumentReading::new(self, arguments, budget).read()
    }

    /// Visits an expression. The condition reads its value.
    fn visit<'e>(
        &mut self,
        expression: &'e IdedExpr,
        variables: &mut Vec<(&'e str, Option<Path>)>,
    ) {
        // `has(args.amount)` reads no value.
        let is_value = !matches!(&expression.expr, Expr::Select(select) if select.test);
        if let Some(path) = path(expression, variables).filter(|_| is_value) {
            self.names_at(&path).is_whole = true;
        }
        self.parts(expression, variables);
    }

    /// Visits the parts of an expression.
    fn parts<'e>(
        &mut self,
        expression: &'e IdedExpr,
        variables: &mut Vec<(&'e str, Option<Path>)>,
    ) {
        match &expression.expr {
            Expr::Select(select) => {
                self.field(&select.operand, &select.field, variables);
                self.container(&select.operand, variables);
            }
            Expr::Call(call) => {
                let arguments: Vec<&IdedExpr> = call
                    .target
                    .as_deref()
                    .into_iter()
                    .chain(&call.args)
                    .collect();
                match (call.func_name.as_str(), &*arguments) {
                    (
                        operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT,
                        [container, key],
                    )
                    | (operators::IN, [key, container]) => {
                        let is_known = match text(key) {
                            Some(name) => {
                                self.field(container, name, variables);
                                // In a list, `in` compares each element.
                                call.func_name != operators::IN || is_args(container, variables)
                            }
                            None => {
                                self.open(container, variables);
                                call.func_name != operators::IN && is_number(key)
                            }
                        };
                        match is_known {
                            true => self.container(container, variables),
                            false => self.visit(container, variables),
                        }
                        self.visit(key, variables);
                    }
                    _ => {
                        for argument in arguments {
                            self.visit(argument, variables);
                        }
                    }
                }
            }
            Expr::List(list) => {
                for element in &list.elements {
                    self.visit(element, variables);
                }
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.visit(&entry.key, variables);
                        self.visit(&entry.value, variables);
                    }
                }
            }
            Expr::Comprehension(inner) => self.comprehension(inner, variables),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => {}
        }
    }

    fn comprehension<'e>(
        &mut self,
        inner: &'e ComprehensionExpr,
        variables: &mut Vec<(&'e str, Option<Path>)>,
    ) {
        match names_a_member(&inner.iter_range) {
            true => self.container(&inner.iter_range, variables),
            // An element of a list, which may be an object.
            false => self.visit(&inner.iter_range, variables),
        }
        self.visit(&inner.accu_init, variables);
        if let Some(path) = path(&inner.iter_range, variables) {
            self.names_at(&path).is_range = true;
        }
        let element = path(&inner.iter_range, variables);
        let outer = variables.len();
        variables.push((&inner.iter_var, element.clone()));
        variables.extend(inner.iter_var2.as_deref().map(|name| (name, element)));
        variables.push((&inner.accu_var, None));
        for part in [&inner.loop_cond, &inner.loop_step, &inner.result] {
            self.visit(part, variables);
        }
        variables.truncate(outer);
    }

    /// Visits a value of which only members or elements are read here.
    fn container<'e>(
        &mut self,
        expression: &'e IdedExpr,
        variables: &mut Vec<(&'e str, Option<Path>)>,
    ) {
        if let Some(path) = path(expression, variables) {
            self.names_at(&path);
        }
        self.parts(expression, variables);
    }

    /// Notes that a member of a value is read.
    fn field(&mut self, of: &IdedExpr, name: &str, variables: &[(&str, Option<Path>)]) {
        if let Some(mut path) = path(of, variables) {
            path.push(name.to_owned());
            self.names_at(&path);
            return;
        }
        if is_trusted(of) {
            return;
        }
        let spellings = self.anywhere.entry(fold(name).into_owned()).or_default();
        spellings.push(name.to_owned());
    }

    fn open(&mut self, container: &IdedExpr, variables: &[(&str, Option<Path>)]) {
        if let Some(path) = path(container, variables) {
            self.names_at(&path).is_open = true;
        }
    }

    fn names_at(&mut self, path: &[String]) -> &mut Names {
        path.iter().fold(&mut self.args, |names, name| {
            let child = names.children.entry(fold(name).into_owned());
            let (spellings, below) = child.or_default();
            if !spellings.contains(name) {
                spellings.push(name.clone());
            }
            below
        })
    }
}

impl Names {
    /// Whether keys below must be looked at.
    fn looks_below(&self) -> bool {
        self.is_open || self.is_range || !self.children.is_empty()
    }

    /// What the condition reads below a key.
    fn child(&self, key: &str) -> Result<Option<&Self>, Misspelled> {
        // Most keys fold to themselves, and are no paths.
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if key.bytes().all(is_plain) {
            let child = self.children.get(key);
            return child.map_or(Ok(None), |child| child_spelled_like(child, key).map(Some));
        }
        match (self.children.get(&*fold(key)), self.begins_path(key)) {
            (Some(child), _) => child_spelled_like(child, key).map(Some),
            (None, Some((spellings, _))) => Err(Misspelled::of(spellings)),
            (None, None) => Ok(None),
        }
    }

    /// The path in a key such as `order.total` or `amount[0]`.
    fn begins_path(&self, key: &str) -> Option<&(Vec<String>, Self)> {
        let is_separator =
            |character: char| !character.is_alphanumeric() && !matches!(character, '_' | '-');
        let start = key.trim_start_matches(is_separator);
        let end = [start.find(is_separator), start.find("__")];
        let end = end.into_iter().flatten().min()?;
        let first = start.get(..end).filter(|first| !first.is_empty())?;
        self.children.get(&*fold(first))
    }
}

impl Misspelled {
    fn of(spellings: &[String]) -> Self {
        Self::Otherwise(spellings.first().cloned().unwrap_or_default())
    }
}

fn child_spelled_like<'n>(
    (spellings, below): &'n (Vec<String>, Names),
    key: &str,
) -> Result<&'n Names, Misspelled> {
    spelled_like(spellings, key).map(|()| below)
}

fn spelled_like(spellings: &[String], key: &str) -> Result<(), Misspelled> {
    match spellings.iter().any(|spelling| spelling == key) {
        true => Ok(()),
        false => Err(Misspelled::of(spellings)),
    }
}

/// The path in `args` of an expression's value, if it is in `args`.
fn path(expression: &IdedExpr, variables: &[(&str, Option<Path>)]) -> Option<Path> {
    let (of, name) = match &expression.expr {
        Expr::Ident(name) => {
            let bound = variables.iter().rev().find(|(bound, _)| bound == name);
            return match bound {
                Some((_, path)) => path.clone(),
                None => (name == "args").then(Path::new),
            };
        }
        Expr::Select(select) => (&*select.operand, Some(select.field.as_str())),
        Expr::Call(call) => match (call.func_name.as_str(), &*call.args) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [of, key]) => {
                (of, text(key))
            }
            _ => return None,
        },
        _ => return None,
    };
    let mut path = path(of, variables)?;
    path.extend(name.map(str::to_owned));
    Some(path)
}

/// Whether a value does not come from the client: `identity.roles`, `call.name`.
fn is_trusted(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Ident(name) => name == "identity" || name == "call",
        Expr::Select(select) => is_trusted(&select.operand),
        // A literal of the policy.
        Expr::List(list) => list.elements.iter().all(|element| text(element).is_some()),
        _ => false,
    }
}

/// Whether an expression is the variable `args`.
fn is_args(expression: &IdedExpr, variables: &[(&str, Option<Path>)]) -> bool {
    matches!(expression.expr, Expr::Ident(_)) && path(expression, variables) == Some(Path::new())
}

/// Whether an expression names a member, and no element of a list.
fn names_a_member(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Call(call) => call.args.get(1).and_then(text).is_some(),
        _ => true,
    }
}

/// Whether a key is a number of the policy: the index of a list.
fn is_number(expression: &IdedExpr) -> bool {
    let Expr::Literal(literal) = &expression.expr else {
        return false;
    };
    matches!(literal, LiteralValue::Int(_) | LiteralValue::UInt(_))
}

fn text(expression: &IdedExpr) -> Option<&str> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, ConditionRefusal, Misspelled};
    use oauth::Identity;

    fn check(expression: &str, arguments: &str) -> Result<(), Misspelled> {
        let condition = Condition::compile(expression).unwrap();
        match condition.check(arguments.as_bytes(), Identity::anonymous(), "x") {
            Err(ConditionRefusal::Misspelled(error)) => Err(error),
            _ => Ok(()),
        }
    }

    #[test]
    fn s1_an_argument_is_spelled_like_the_condition_that_judges_it() {
        for (expression, arguments, name) in [
            (
                "args.amount <= 100",
                r#"{"amount":50,"AMOUNT":5000}"#,
                "amount",
            ),
            ("args.amount <= 100", r#"{"Amount":5000}"#, "amount"),
            (
                "args.amount <= 100",
                r#"{"amount":50,"a_mount":5000}"#,
                "amount",
            ),
            (
                "args.amount <= 100",
                r#"{"amount":50,"/amount":5000}"#,
                "amount",
            ),
            (
                "args.amount <= 100",
                r#"{"amount":50,"amount[0]":5000}"#,
                "amount",
            ),
            (
                "args.amount <= 100",
                r#"{"amount":50,"amount.value":5000}"#,
                "amount",
            ),
            (
                "args.amount <= 100",
                r#"{"amount":50,"amount__gt":5000}"#,
                "amount",
            ),
            (
                "args.amount <= 100",
                "{\"amount\":50,\"\u{ff41}mount\":5000}",
                "amount",
            ),
            (
                "args.maxAmount <= 100",
                r#"{"maxAmount":50,"maxamount":5000}"#,
                "maxAmount",
            ),
            (
                "args.maxAmount <= 100",
                r#"{"maxAmount":50,"max_amount":5000}"#,
                "maxAmount",
            ),
            (
                "args.status == 'open'",
                "{\"status\":\"open\",\"\u{17f}tatus\":\"x\"}",
                "status",
            ),
            (
                "args.status == 'open'",
                r#"{"status":"open","\u017ftatus":"x"}"#,
                "status",
            ),
            (
                "args.kind == 'a'",
                "{\"kind\":\"a\",\"\u{212a}ind\":\"b\"}",
                "kind",
            ),
            ("args.id == 'a'", "{\"id\":\"a\",\"\u{131}d\":\"b\"}", "id"),
            (
                "args['amount'] <= 100",
                r#"{"amount":50,"AMOUNT":5000}"#,
                "amount",
            ),
            ("!has(args.force)", r#"{"Force":true}"#, "force"),
            ("!('force' in args)", r#"{"FORCE":true}"#, "force"),
            (
                "args.order.total < 9",
                r#"{"order":{"total":5,"Total":5000}}"#,
                "total",
            ),
            (
                "args.order.total < 9",
                r#"{"order":{"total":5},"ORDER":{"total":5000}}"#,
                "order",
            ),
            (
                "args.order.total < 9",
                r#"{"order":{"total":5},"order.total":5000}"#,
                "order",
            ),
            (
                "args.order.total < 9",
                r#"{"order":{"total":5},"order[total]":5000}"#,
                "order",
            ),
            (
                "args.order['total'] < 9",
                r#"{"order":{"total":5,"TOTAL":5000}}"#,
                "total",
            ),
            (
                "args.lines.all(line, line.net < 5)",
                r#"{"lines":[{"net":1},{"net":1,"NET":9}]}"#,
                "net",
            ),
            (
                "args.lines[0].net < 5",
                r#"{"lines":[{"net":1,"NET":9}]}"#,
                "net",
            ),
            (
                "(args.a ? args.b : args.c).net < 5",
                r#"{"a":true,"b":{"net":1,"NET":9}}"#,
                "net",
            ),
            (
                "[args.a, args.b].all(x, x.net < 5)",
                r#"{"a":{"net":1},"b":{"NET":9}}"#,
                "net",
            ),
            (
                "args.lines.map(l, l.net).all(n, n < 5)",
                r#"{"lines":[{"net":1,"NET":9}]}"#,
                "net",
            ),
            (
                "args.lines.filter(l, l.net > 5) == []",
                r#"{"lines":[{"NET":9}]}"#,
                "net",
            ),
            (
                "args.amount <= 100 || 'manager' in identity.roles",
                r#"{"amount":5,"Amount":9}"#,
                "amount",
            ),
        ] {
            let expected = Err(Misspelled::Otherwise(name.to_owned()));
            assert_eq!(
                check(expression, arguments),
                expected,
                "{expression} {arguments}"
            );
        }
    }

    #[test]
    fn s1_where_the_names_are_not_known_no_two_are_alike() {
        for (expression, arguments) in [
            (
                "args.limits.all(k, args.limits[k] < 5)",
                r#"{"limits":{"a":1,"A":9}}"#,
            ),
            ("args[args.which] < 5", r#"{"which":"a","a":1,"A":9}"#),
            (
                "args.keys.all(k, k in args.allowed)",
                r#"{"keys":[],"allowed":{"a":1,"A":1}}"#,
            ),
        ] {
            assert_eq!(
                check(expression, arguments),
                Err(Misspelled::Alike),
                "{expression}"
            );
        }
    }

    #[test]
    fn other_arguments_are_spelled_as_they_like() {
        for (expression, arguments) in [
            (
                "args.amount <= 100",
                r#"{"amount":50,"Currency":"EUR","note":"AMOUNT: 5000"}"#,
            ),
            (
                "args.amount <= 100",
                r#"{"amount":50,"meta":{"Amount":1},"max_amount":7,"amounts":[1]}"#,
            ),
            (
                "args.order.total < 9",
                r#"{"order":{"total":5,"ID":1},"Total":7,"orders":[]}"#,
            ),
            (
                "'director' in identity.roles",
                r#"{"Director":1,"Roles":2,"IDENTITY":3}"#,
            ),
            (
                "args.tone in ['calm', 'warm']",
                r#"{"tone":"calm","Calm":1,"WARM":2}"#,
            ),
            ("call.name == 'x'", r#"{"Name":"y","CALL":1}"#),
            (
                "args.lines.all(line, line.net < 5)",
                r#"{"lines":[{"net":1,"Note":"x"}],"Line":1}"#,
            ),
            ("true", r#"{"a":1,"A":2}"#),
        ] {
            assert_eq!(
                check(expression, arguments),
                Ok(()),
                "{expression} {arguments}"
            );
        }
    }
}
