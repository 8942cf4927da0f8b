use super::*;

fn found(text: &str) -> Vec<String> {
    let mut table = NameTable::default();
    for name in ["user_id", "customer_number", "user", "role"] {
        table.add(name);
    }
    let mut embedded = Embedded {
        table: &table,
        max_depth: 32,
        left: 64 * text.len(),
        names: Vec::new(),
    };
    embedded.text(text, &Begun::NONE).unwrap();
    let names = embedded.names.iter();
    names.map(|name| table.name(*name).to_owned()).collect()
}

#[test]
fn s2_nearly_json_is_read_as_lenient_servers_read_it() {
    for text in [
        r#"{"x":NaN,"user_id":"E"}"#,
        r#"{"x":NaN,"customer":{"number":"E"}}"#,
        r#"{"x":-Infinity,"customer":[{"number":"E"}]}"#,
        r#"{"x":"\ud800","customer":{"number":"E"}}"#,
        r#"{"x":1,"x":2,"customer":{"x":[{"x":1}],"y":2,"number":"E"}}"#
            .replace(r#""x":[{"x":1}],"y":2,"#, "")
            .as_str(),
        r#"{'x':1,'customer':{'number':"E"}}"#,
        r#"{"note":"it's","x":NaN,"user_id":1}"#,
        r#"{'a':'"','user_id':1,'b':'"'}"#,
        r#"{u'user_id': None}"#,
        r#"{x:1,customer:{number:1}}"#,
        r#"{"x":NaN,"\ud835\udc2eser_id":1}"#,
        r#"{"x":NaN,"user\u005fid":1}"#,
        r#"{"x":NaN,"u\x73er_id":1}"#,
        r#"{"x":01,"filter":{"user_id":{"$ne":1}}}"#,
        r#"{"x":NaN,"filter.user_id":1}"#,
        r#"{"x":NaN,"q":"{\"user_id\":1}"}"#,
        r#"{"x":NaN,"customer":"{\"number\":1}"}"#,
        r#"{"customer":"{\"number\":NaN}"}"#,
        r#"{"x":NaN,"q":"{\"y\":NaN,\"q\":\"{\\\"user_id\\\":1}\"}"}"#,
        r#"{"user_id"/* " */:1}"#,
        "{// it's\n\"user_id\":1}",
        "{\"x\":1, # \"\n\"user_id\":1}",
        r#"{"x":1 /* " */,"user_id":"E"}"#,
        r#"{"x":1/* ' */,'user_id':"E"}"#,
        "{\"x\":1 // \"\n,\"user_id\":1}",
        "{\"x\":a//b \"c\", user_id: 1}",
        "{x: 1, # \"\n user_id: 1}",
        "{x: 1 # it's\n, user_id: 1}",
        r#"{"x":NaN,"url":"https://x/#a","user_id":1}"#,
        r#"{"user_id"=>1}"#,
        r#"["user_id":1]"#,
        "{\"x\":\"a\nb\",\"user_id\":1}",
        "{\"x\":1,}\n{\"customer\":{\"number\":1}}",
        "[NaN,\"x\" {\"user_id\":1",
        "{\"a\":\u{a0}NaN,\u{3000}\"user_id\"\u{2003}:1}",
    ] {
        assert!(!found(text).is_empty(), "{text}");
    }
    let deep = format!("{}{{\"customer\":{{\"number\":1}}}}", "[".repeat(200));
    assert_eq!(found(&deep), ["customer_number"]);
    let deep = format!("{{\"customer\":{}{{\"number\":1}}", "[".repeat(5000));
    assert_eq!(found(&deep), ["customer_number"]);
}

#[test]
fn s3_a_string_is_read_to_its_end() {
    for text in [
        "{\"op\":1}\n{\"user_id\":\"E\"}",
        "{}{\"user_id\":1}",
        "[] {\"customer\":{\"number\":1}}",
        "null\n{\"user_id\":1}",
        "1 2 3 {\"user_id\":1}",
        "-1.5e3,{\"user_id\":1}",
        "true{\"user_id\":1}",
        "NaN [{\"user_id\":1}]",
        "\"x\" {\"user_id\":1}",
        "{} null [{\"user_id\":1}]",
        "{\"op\":1},{\"user_id\":1}",
        "{\"op\":1} and then {\"user_id\":1}",
        "{\"op\":\"\n{\"user_id\":1}",
        "\u{1e}{\"op\":1}\n\u{1e}{\"user_id\":1}\n",
        "{\"op\":1}\r{\"user_id\":1}",
        "({\"user_id\":1})",
    ] {
        assert_eq!(found(text).len(), 1, "{text}");
    }
}

#[test]
fn s4_whatever_servers_strip_hides_nothing() {
    for space in [
        '\u{a0}', '\u{1680}', '\u{180e}', '\u{2000}', '\u{2003}', '\u{200b}', '\u{2028}',
        '\u{2029}', '\u{202f}', '\u{205f}', '\u{2060}', '\u{3000}', '\u{feff}', '\u{85}', '\u{b}',
        '\u{c}', '\u{1c}', '\u{1f}', '\0', ' ', '\t', '\u{7f}', '\u{ad}',
    ] {
        for text in [
            format!("{space}{{\"user_id\":1}}"),
            format!("{space} {space}[{{\"user_id\":1}}]"),
            format!("null{space}{{\"user_id\":1}}"),
            format!("{{\"op\":1}}{space}{{\"user_id\":1}}"),
        ] {
            assert_eq!(found(&text), ["user_id"], "{text:?}");
            let raw =
                is_candidate(text.as_bytes()) || text.chars().next().is_some_and(char::is_control);
            assert!(raw, "{text:?}");
        }
    }
}

/// Texts that people and models really send.
pub(crate) const HARMLESS: &[&str] = &[
    "",
    " ",
    "42",
    "-1.5",
    "2026-11-29T08:00:00Z",
    "1 user, role: admin",
    "3 {items}",
    "null",
    "nullable user_id: yes",
    "None of the users has a role: ask",
    "true story: the user_id: 7",
    "user_id = 7",
    "my user_id: 1",
    "{user_id}",
    "{{ user.name }}: hello",
    "{% if user %}role: {{ role }}{% endif %}",
    "{user} has role: admin",
    "[note] user_id",
    "[note], user_id: 1",
    "[x] done, role: admin",
    "[User](https://example.com/user): the user",
    "[user]: https://example.com/user",
    "[1] See the role: it matters",
    "/etc/x user_id: 1",
    "/user/id",
    "// user: a comment",
    "# Title\n\n{\"user_id\": 1} is the body",
    "Send ```json\n{\"user_id\": 1}\n``` to it",
    "- role: admin\n- user: bob",
    "role: admin\nuser: bob",
    "Dear user: it's me, \"role\" is a word",
    "{ user { id name } }",
    "{ viewer { login } }",
    "{\"city\":1}",
    "{\"text\":\"the user_id: 7, {role: admin}\"}",
    "[1,2,3]",
    "[\"user_id\", \"role\"]",
    "{\"columns\":[\"user_id\",\"role\"]}",
    "SELECT user_id, role FROM users WHERE user_id = 7",
    "fn user(role: &str) { let user_id = 7; }",
    "(see user: role)",
    "\u{201c}user_id\u{201d}: a quote",
    "Ünïcode user: role",
    "-- user: a comment in SQL\nSELECT 1",
];

#[test]
fn prose_code_and_other_json_pass() {
    for text in HARMLESS {
        assert!(found(text).is_empty(), "{text}: {:?}", found(text));
    }
}

#[test]
fn s2_the_work_is_bounded() {
    let mut table = NameTable::default();
    table.add("user_id");
    // Each string is read in several ways, and each holds another one.
    let mut text = "a".repeat(20_000);
    for _ in 0..11 {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        text = format!("{{x/**/''#\n[\"{quoted}\"");
    }
    let mut embedded = Embedded {
        table: &table,
        max_depth: 32,
        left: 64 * text.len(),
        names: Vec::new(),
    };
    assert_eq!(embedded.text(&text, &Begun::NONE), Err(Tangled));
}
