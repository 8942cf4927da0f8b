//! What conditions mean, also compared with the evaluator of the crate `cel`, and what they may cost.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::Key;
use cel::parser::PrattParser;
use cel::{Context, Env, Value};
use proptest::prelude::*;
use serde_json::json;

use super::budget::{Budget, MAX_STEPS, Stop};
use super::{Condition, ConditionError, ConditionRefusal};
use oauth::Identity;

fn identity() -> Identity {
    Identity {
        user: Some("u1".into()),
        organization: None,
        roles: vec!["support".into()],
        scopes: vec!["crm:read".into()],
        actors: vec!["agent-1".into()],
    }
}

fn arguments() -> serde_json::Value {
    json!({
        "n": 3, "zero": 0, "neg": -7, "big": u64::MAX, "min": i64::MIN, "max": i64::MAX,
        "f": 2.5, "whole": 3.0, "t": "a\n\u{e9}", "a": "a", "digits": "12", "yes": true, "no": false,
        "nothing": null, "list": [1, 2.0, "a", null, [1], {"a": 1}, true],
        "ints": [3, 1, 2, 3], "texts": ["a", "b", ""], "empty": [], "none": {},
        "long": (0..40).map(|n| if n % 3 == 0 { json!(n) } else { json!(n.to_string()) }).collect::<Vec<_>>(),
        "map": {"a": 1, "b": {"c": "d"}, "n": null},
        "rows": [{"a": 1}, {"b": 2}, {"a": "x"}],
    })
}

fn evaluated(condition: &Condition) -> Result<bool, ConditionRefusal> {
    let arguments = arguments().to_string();
    condition.evaluate(
        &Budget::new(),
        arguments.as_bytes(),
        &identity(),
        "crm.refund",
    )
}

/// What the crate's own evaluator says.
fn expected(written: &str) -> Option<bool> {
    let expression = PrattParser::new().parse(written).unwrap();
    let mut context = Context::with_env(Arc::new(Env::stdlib()));
    context.add_variable_from_value("args", of_json(&arguments()));
    let identity = identity();
    let list = |names: &[String]| Value::from(names.to_vec());
    let identity: HashMap<_, _> = [
        (
            Key::from("user"),
            Value::from(identity.user.as_deref().unwrap()),
        ),
        (Key::from("roles"), list(&identity.roles)),
        (Key::from("scopes"), list(&identity.scopes)),
        (Key::from("actors"), list(&identity.actors)),
    ]
    .into();
    context.add_variable_from_value("identity", Value::from(identity));
    let call = HashMap::from([(Key::from("name"), Value::from("crm.refund"))]);
    context.add_variable_from_value("call", Value::from(call));
    match context.resolve(&expression) {
        Ok(Value::Bool(holds)) => Some(holds),
        _ => None,
    }
}

fn of_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::String(value) => value.as_str().into(),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Value::Int)
            .or_else(|| number.as_u64().map(Value::UInt))
            .unwrap_or_else(|| Value::Float(number.as_f64().unwrap())),
        serde_json::Value::Array(values) => {
            Value::List(Arc::new(values.iter().map(of_json).collect()))
        }
        serde_json::Value::Object(members) => {
            let member = |(key, json): (&String, _)| (Key::from(key.as_str()), of_json(json));
            members.iter().map(member).collect::<HashMap<_, _>>().into()
        }
    }
}

#[track_caller]
fn is_as_before(written: &str) {
    let Ok(condition) = Condition::compile(written) else {
        return;
    };
    let expected = expected(written).ok_or(Stop::Error.into());
    assert_eq!(evaluated(&condition), expected, "{written}");
}

/// Expressions over the names of [`arguments`].
fn expression() -> impl Strategy<Value = String> {
    let names = vec![
        "n", "zero", "neg", "big", "min", "max", "f", "whole", "t", "a", "digits", "yes", "no",
        "nothing", "list", "ints", "texts", "empty", "none", "long", "map", "rows", "missing",
    ];
    let leaf = prop_oneof![
        4 => prop::sample::select(names).prop_map(|name| format!("args.{name}")),
        1 => prop::sample::select(vec![
            "0", "1", "3u", "-1", "2.5", "3.0", "1e300", "'a'", "''", "'1'", "true", "false", "null", "[]", "{}",
            "identity.roles", "identity.user", "identity.organization", "call.name", "args", "x",
            "9223372036854775807", "18446744073709551615u", "0.0 / 0.0", "has(args.map.a)", "has(args.t.a)",
            "has(args.missing)", "args.map.b.c", "args.map['b']", "args.rows[0].a", "args['n']", "'n' in args",
            "args.rows[2]", "args.list[5].a", "args[args.a]", "args.long[39]", "has(args.rows)", "['a', 1, 2.0]", "{'a': 1, 2: 'b', true: null}", "{1: 2, 1u: 3}",
        ]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let binary = vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "&&", "||",
        ];
        let functions = vec!["size", "int", "uint", "double", "string", "bool", "-", "!"];
        let members = vec!["contains", "startsWith", "endsWith"];
        let macros = vec!["all", "exists", "exists_one", "filter", "map"];
        prop_oneof![
            6 => (inner.clone(), prop::sample::select(binary), inner.clone())
                .prop_map(|(left, operator, right)| format!("({left}) {operator} ({right})")),
            2 => (prop::sample::select(functions), inner.clone())
                .prop_map(|(function, operand)| format!("{function}({operand})")),
            1 => (inner.clone(), prop::sample::select(members), inner.clone())
                .prop_map(|(target, function, operand)| format!("({target}).{function}({operand})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(list, key)| format!("({list})[{key}]")),
            1 => inner.clone().prop_map(|value| format!("({value}).a")),
            1 => inner.clone().prop_map(|value| format!("({value})[0]")),
            1 => inner.clone().prop_map(|value| format!("({value})['a']")),
            1 => inner.clone().prop_map(|value| format!("has(({value}).b)")),
            1 => inner.clone().prop_map(|value| format!("'a' in ({value})")),
            1 => inner.clone().prop_map(|value| format!("({value}).size()")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(condition, then, otherwise)| format!("({condition}) ? ({then}) : ({otherwise})")),
            1 => (inner.clone(), inner.clone()).prop_map(|(one, two)| format!("[{one}, {two}]")),
            3 => (inner.clone(), prop::sample::select(macros), inner.clone())
                .prop_map(|(list, name, step)| format!("({list}).{name}(x, {step})")),
            1 => (inner.clone(), inner.clone(), inner)
                .prop_map(|(list, filter, step)| format!("({list}).map(x, {filter}, {step})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn an_expression_means_what_the_crate_says(one in expression(), two in expression()) {
        is_as_before(&one);
        is_as_before(&format!("({one}) == ({two})"));
        is_as_before(&format!("({one}) || ({two}) == ({one})"));
    }
}

#[test]
fn expressions_of_policies_mean_what_the_crate_says() {
    for written in [
        "args.ints.all(x, x in args.ints)",
        "args.long.all(x, x in args.long)",
        "args.long.exists(x, x == 39)",
        "39.0 in args.long && 39u in args.long && '38' in args.long && !(38 in args.long)",
        "args.rows.exists(x, x.a == 1)",
        "args.rows.all(x, x.a == 1)",
        "args.rows.exists_one(x, has(x.b))",
        "args.rows.exists_one(x, x.a == 1)",
        "args.rows.filter(x, has(x.a)).map(x, x.a) == [1, 'x']",
        "args.rows.map(x, has(x.a), x.a) == [1, 'x']",
        "args.map == {'a': 1u, 'b': {'c': 'd'}, 'n': null}",
        "{1: 'a'} == {1u: 'a'}",
        "'a' in args.map && 1 in {1.0 == 1 ? 1 : 2: 3}",
        "args.map.exists(x, x == 'b')",
        "args.f == 2.5 && string(args.f) == '2.5' && string(args.whole) == '3'",
        "int(args.digits) == 12 && double(args.digits) == 12.0 && uint('7') == 7u",
        "args.ints[args.whole] == 3 && args.list[1.0] == 2",
        "args.t.size() == 3",
        "args.none == {} && args.empty == []",
        "args.min / -1 == 0",
        "-args.min == 0",
        "args.min % -1 == 0",
        "int(-9223372036854775808.0) == args.min",
        "int(9.3e18) == 1",
        "uint(-0.5) == 0u",
        "int('+5') == 5",
        "double('inf') > 1.0",
    ] {
        Condition::compile(written).unwrap();
        is_as_before(written);
    }
}

fn checked(expression: &str, arguments: &str) -> Result<(), ConditionError> {
    let condition = Condition::compile(expression).unwrap();
    let checked = condition.check(arguments.as_bytes(), &identity(), "crm.refund");
    checked.map_err(|refusal| match refusal {
        ConditionRefusal::Condition(error) => error,
        ConditionRefusal::Misspelled(error) => panic!("{error}"),
    })
}

#[test]
fn holds_and_fails() {
    let refund = "args.amount <= 100 || 'manager' in identity.roles";
    assert_eq!(checked(refund, r#"{"amount":50}"#), Ok(()));
    assert_eq!(checked(refund, r#"{"amount":50.5}"#), Ok(()));
    assert_eq!(
        checked(refund, r#"{"amount":101}"#),
        Err(ConditionError::NotTrue)
    );
    assert_eq!(checked("call.name == 'crm.refund'", "{}"), Ok(()));
    assert_eq!(checked("identity.actors == ['agent-1']", "{}"), Ok(()));
    assert_eq!(
        checked(
            "args.lines.all(line, line.net < 5)",
            r#"{"lines":[{"net":1}]}"#
        ),
        Ok(())
    );
}

#[test]
fn b16_a_condition_that_errors_refuses() {
    for (expression, arguments) in [
        ("args.amount <= 100", "{}"),
        ("args.amount <= 100", r#"{"amount":"50"}"#),
        ("args.amount + 1 < 5", r#"{"amount":9223372036854775807}"#),
        ("1 / args.zero == 1", r#"{"zero":0}"#),
        ("args.list[9] == 1", r#"{"list":[1]}"#),
        ("identity.user", "{}"),
        ("!args.missing", "{}"),
    ] {
        assert_eq!(
            checked(expression, arguments),
            Err(ConditionError::Evaluation),
            "{expression}"
        );
    }
}

#[test]
fn what_has_no_bound_or_no_meaning_does_not_compile() {
    for expression in [
        "",
        "args.",
        "arg.amount == 1",
        "now() > 1",
        "args.x.matches('a')",
        "'unterminated",
        "args.a.all(x, args.a.all(y, x == y))",
        "type(args) == int",
        "b'a' == b'a'",
    ] {
        assert!(Condition::compile(expression).is_err(), "{expression}");
    }
    let long = format!("1 == 1{}", " && 1 == 1".repeat(200));
    assert!(Condition::compile(&long).is_err());
}

#[test]
fn k1_a_condition_over_its_budget_refuses() {
    let paths: Vec<_> = (0..2000)
        .map(|n| format!("{n}{}", "p".repeat(50)))
        .collect();
    let root = "r".repeat(100_000);
    let numbers: Vec<_> = (0..60_000).collect();
    for (written, arguments) in [
        // Memory: each element gets a copy of a long text.
        (
            "args.paths.map(p, args.root + p).all(f, f != '')",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.all(p, (args.root + p).size() > 0)",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.all(p, [args.root + p] != [])",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.all(p, {p: args.root + p} != {})",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.map(p, args.numbers + [p]).size() > 0",
            json!({"paths": paths, "numbers": numbers}),
        ),
        (
            "args.paths.all(p, size(args.map + [p]) > 0)",
            json!({"paths": paths, "map": numbers}),
        ),
        // Steps: each element is compared with a long text or a list.
        (
            "args.paths.all(p, args.root == args.copy)",
            json!({"paths": paths, "root": root, "copy": root}),
        ),
        (
            "args.paths.all(p, args.root <= args.copy)",
            json!({"paths": paths, "root": root, "copy": root}),
        ),
        (
            "args.paths.all(p, !args.root.contains(p))",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.all(p, args.root.startsWith(args.copy))",
            json!({"paths": paths, "root": root, "copy": root}),
        ),
        (
            "args.paths.all(p, args.root.size() > 1)",
            json!({"paths": paths, "root": root}),
        ),
        (
            "args.paths.all(p, args.numbers == args.copy)",
            json!({"paths": paths, "numbers": numbers, "copy": numbers}),
        ),
        (
            "args.paths.all(p, !(args.root in args.roots))",
            json!({"paths": paths, "root": root, "roots": vec!["x"; 20]}),
        ),
        (
            "args.paths.all(p, args.keys[args.root] == 1)",
            json!({"paths": paths, "root": root, "keys": {root: 1}}),
        ),
    ] {
        assert_eq!(
            checked(written, &arguments.to_string()),
            Err(ConditionError::Budget),
            "{written}"
        );
        // No other side makes up for it.
        let absorbing = format!("({written}) || true");
        assert_eq!(
            checked(&absorbing, &arguments.to_string()),
            Err(ConditionError::Budget),
            "{written}"
        );
    }
}

#[test]
fn k1_arguments_that_need_too_much_memory_refuse() {
    let text = format!("[{}1]", "[1],".repeat(150_000));
    let condition = Condition::compile("size(args) > 0").unwrap();
    let outcome = condition.check(text.as_bytes(), &identity(), "x");
    assert_eq!(
        outcome,
        Err(ConditionRefusal::Condition(ConditionError::Budget))
    );
    let text = format!(
        "{{{}\"z\":1}}",
        (0..200_000)
            .map(|n| format!("\"{n}\":1,"))
            .collect::<String>()
    );
    let outcome = condition.check(text.as_bytes(), &identity(), "x");
    assert_eq!(
        outcome,
        Err(ConditionRefusal::Condition(ConditionError::Budget))
    );
}

#[test]
fn k1_the_steps_of_a_condition_grow_with_its_input() {
    let steps = |written: &str, size: u32| {
        let list: Vec<_> = (0..size).map(|n| n.to_string()).collect();
        let arguments = json!({"ids": list, "allowed": list, "text": "x".repeat(size as usize)});
        let arguments = arguments.to_string();
        let (condition, budget) = (Condition::compile(written).unwrap(), Budget::new());
        condition
            .evaluate(&budget, arguments.as_bytes(), &identity(), "x")
            .unwrap();
        budget.steps_taken()
    };
    for written in [
        "args.ids.all(x, x in args.allowed)",
        "args.ids.filter(x, x in args.allowed).map(x, x) == args.allowed",
        "args.ids.exists_one(x, x == '1')",
        "args.text.contains('y') || args.text + args.text != args.text",
    ] {
        for size in [1000, 2000, 4000, 8000] {
            let (once, twice) = (steps(written, size), steps(written, size * 2));
            assert!(
                twice <= once * 21 / 10,
                "{written}: {once} steps, then {twice}"
            );
        }
    }
    // Two lists of a size that fits into a body.
    assert!(steps("args.ids.all(x, x in args.allowed)", 20_000) < MAX_STEPS);
}
