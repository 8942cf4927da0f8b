//! `owner` under `tools` and `prompts`.

use super::*;

fn mistakes(changes: Value, upstream: Value) -> Vec<String> {
    let mut owner = json!({
        "lookup": {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ticket_id"}},
        "field": "organization_id",
        "is": "organization",
    });
    for (key, value) in changes.as_object().unwrap() {
        owner[key] = value.clone();
    }
    let document = json!({
        "resource": "https://crm.example.com/mcp",
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"cluster": "login", "path": "/keys"},
            "identity": {"organization": "org_id"},
        }],
        "upstream": upstream,
        "tools": {
            "crm.close_*": {"owner": owner},
            "crm.get_user": {"arguments": {"user_id": "keep"}},
        },
    });
    let parsed = Policy::parse(document.to_string().as_bytes());
    let errors = parsed.err().unwrap_or_default();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn an_owner_that_is_looked_up_is_checked_when_the_policy_loads() {
    let cluster = || json!({"cluster": "crm"});
    assert_eq!(mistakes(json!({}), cluster()), Vec::<String>::new());
    let tool = |arguments: Value| json!({"lookup": {"tool": "crm.get", "arguments": arguments}});
    let resource = |uri: &str| json!({"lookup": {"resource": uri}});
    let keeps = json!({"lookup": {"tool": "crm.get_user", "arguments": {"user_id": "args.user"}}});
    for sound in [
        keeps,
        resource("crm://tickets/{args.ticket_id}"),
        tool(json!({"id": "args.a.b", "full": true, "limit": 1, "view": "owner"})),
        json!({"cache": "30s", "timeout": "500ms", "unless_role": ["admin"]}),
        json!({"expect": {"version": "version"}}),
    ] {
        assert_eq!(
            mistakes(sound.clone(), cluster()),
            Vec::<String>::new(),
            "{sound}"
        );
    }
    for (changes, upstream, expected) in [
        (
            json!({}),
            json!({}),
            "tools.crm.close_*.owner: needs `upstream.cluster`",
        ),
        (
            json!({}),
            json!({"path": "/x"}),
            "upstream.path: goes with `cluster`",
        ),
        (
            json!({"lookup": {}}),
            cluster(),
            "owner.lookup: expected either `tool` or `resource`",
        ),
        (
            json!({"lookup": {"tool": "a", "resource": "b:{args.c}"}}),
            cluster(),
            "owner.lookup: expected either `tool` or `resource`",
        ),
        (
            tool(json!({})),
            cluster(),
            "owner.lookup: found no argument of the call",
        ),
        (
            tool(json!({"id": "ticket_id"})),
            cluster(),
            "owner.lookup: found no argument of the call",
        ),
        (
            tool(json!({"id": ["args.a"]})),
            cluster(),
            "owner.lookup.arguments.id: found a list, expected a text",
        ),
        (
            tool(json!({"id": "args."})),
            cluster(),
            "owner.lookup.arguments.id: expected an argument",
        ),
        (
            tool(json!({"user_id": "args.user"})),
            cluster(),
            "owner.lookup.arguments.user_id: a rule under `arguments` would change it",
        ),
        (
            resource("tickets"),
            cluster(),
            "owner.lookup.resource: expected a URI",
        ),
        (
            resource("crm://{ticket_id}"),
            cluster(),
            "owner.lookup.resource: expected a URI",
        ),
        (
            json!({"lookup": {"tool": "crm.*", "arguments": {"a": "args.a"}}}),
            cluster(),
            "owner.lookup.tool: expected the full name",
        ),
        (
            json!({"expect": {"version": "version"}, "cache": "30s"}),
            cluster(),
            "owner.expect: excludes `cache`",
        ),
        (
            json!({"expect": {"user_id": "version"}}),
            cluster(),
            "owner.expect.user_id: a rule under `arguments`",
        ),
        (
            json!({"cache": "1h"}),
            cluster(),
            "owner.cache: expected 1s to 10m",
        ),
        (
            json!({"cache": "0s"}),
            cluster(),
            "owner.cache: expected 1s to 10m",
        ),
        (
            json!({"timeout": "9s"}),
            cluster(),
            "owner.timeout: expected 50ms to 8s",
        ),
        (
            json!({"is": "role"}),
            cluster(),
            "owner.is: unknown value `role`",
        ),
        (json!({"otherwise": "drop"}), cluster(), "otherwise"),
    ] {
        let found = mistakes(changes.clone(), upstream);
        assert!(
            found.iter().any(|each| each.contains(expected)),
            "{changes}: {found:?}"
        );
    }
}
