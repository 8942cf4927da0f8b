use super::*;
use serde_json::{Value, json};
fn policy() -> Value {
    json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{"issuer": "https://login.example.com", "jwks": {"cluster": "login", "path": "/keys"}}],
    })
}
#[test]
fn explore() {
    let edits = [
        json!({"modus": 1}),
        json!({"mode": "enforced"}),
        json!({"mode": 1}),
        json!({"mode": null}),
        json!({"resource": 5}),
        json!({"issuers": {}}),
        json!({"issuers": "x"}),
        json!({"issuers": [{}]}),
        json!({"issuers": [{"issuer":"x"}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"clustr": 1}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": 1}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": "x", "refresh": 5}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": "x", "refresh": "5"}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": "x", "refresh": "5 minuts"}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": "x", "refresh": ""}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {"cluster": "x", "refresh": "99999999999999999999999y"}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "algorithms": ["HS256"]}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "algorithms": ["none"]}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "algorithms": ["rs256"]}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "types": ["at-jwt"]}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "identity": {"usr": "x"}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "identity": {"user": "a..b"}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "identity": {"user": []}}]}),
        json!({"issuers": [{"issuer":"x", "jwks": {}, "identity": {"user": 5}}]}),
        json!({"roles": {"a": {"toolz": []}}}),
        json!({"roles": {"a": {"tools": "x"}}}),
        json!({"roles": {"a": ["x"]}}),
        json!({"roles": {"a": {"tools": [1]}}}),
        json!({"roles": {"a": null}}),
        json!({"roles": []}),
        json!({"arguments": {"user_id": "set"}}),
        json!({"arguments": {"user_id": {"set": "usr"}}}),
        json!({"arguments": {"user_id": {"sett": "user"}}}),
        json!({"arguments": {"user_id": "delete"}}),
        json!({"arguments": {"user_id": {}}}),
        json!({"arguments": {"user_id": null}}),
        json!({"arguments": {"user_id": {"set":"user","x":1}}}),
        json!({"arguments": {"user_id": {"remove": true}}}),
        json!({"arguments": {"user_id": 5}}),
        json!({"arguments": ["user_id"]}),
        json!({"tools": {"a": {"scope": ["x"]}}}),
        json!({"tools": {"a": {"max_token_age": "5 m x"}}}),
        json!({"tools": {"a": {"max_token_age": 300}}}),
        json!({"tools": {"a": {"when": true}}}),
        json!({"tools": {"a": {"when": "arg.x == 1"}}}),
        json!({"tools": {"a": {"when": "args.x =="}}}),
        json!({"tools": {"a": {"arguments": {"x": {"set": "me"}}}}}),
        json!({"max_body": "2 MiB"}),
        json!({"max_body": "big"}),
        json!({"max_body": -1}),
        json!({"max_body": 1.5}),
        json!({"max_body": 1e30}),
        json!({"max_body": null}),
        json!({"max_body": []}),
        json!({"max_body": "99999999999999GiB"}),
        json!({"headers": {"usr": "x"}}),
        json!({"headers": {"user": "X-User"}}),
        json!({"upstream": {"authorization": "forward"}}),
        json!({"audit": {"subject": "hashed"}}),
        json!({"hold": "buffer"}),
        json!({"refusals": "hide"}),
        json!({"builtin_arguments": "no"}),
        json!({"scopes": "a"}),
    ];
    for edit in edits {
        let mut p = policy();
        for (k, v) in edit.as_object().unwrap() {
            p[k] = v.clone();
        }
        match Policy::parse(p.to_string().as_bytes()) {
            Ok(_) => println!("{edit}\n    OK"),
            Err(e) => {
                for e in e {
                    println!("{edit}\n    {e}")
                }
            }
        }
    }
    for t in [
        "",
        "{",
        "[]",
        "null",
        "{} x",
        "{\"resource\":\"a\",\"resource\":\"b\"}",
        "{\"a\":1}",
        "{\"resource\": \"x\", \"issuers\": [}",
    ] {
        println!(
            "{t:?} {:?}",
            Policy::parse(t.as_bytes())
                .err()
                .map(|e| e.iter().map(ToString::to_string).collect::<Vec<_>>())
        );
    }
}
