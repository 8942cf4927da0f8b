//! Lists that a worker filtered before are the same as those that it filters anew, for every caller.

use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Outcome, Request};
use super::policy;
use crate::engine::Engine;
use base::json::tree::Node;
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

/// One request for a list: the caller's claims, and what the server answers.
#[derive(Debug, Clone)]
struct Asked {
    claims: Value,
    view: Option<&'static str>,
    is_modern: bool,
    has_text_id: bool,
    is_stream: bool,
    result: String,
}

impl Asked {
    fn of(claims: Value, result: &Value) -> Self {
        Self {
            claims,
            view: None,
            is_modern: false,
            has_text_id: false,
            is_stream: false,
            result: result.to_string(),
        }
    }

    fn request(&self) -> Request {
        let id = if self.has_text_id { "\"a\"" } else { "7" };
        let meta = match self.is_modern {
            true => {
                r#","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#
            }
            false => "",
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"{meta}}}"#);
        let mut request = Request::post(&body).token(self.claims.clone());
        if self.is_modern {
            request = request
                .with("mcp-protocol-version", "2026-07-28")
                .with("mcp-method", "tools/list");
        }
        match self.view {
            Some(view) => request.with("x-view-as", view),
            None => request,
        }
    }

    /// The request with an answer that has the id that the server receives.
    fn send(&self, proxy: impl Fn() -> FakeProxy) -> Outcome {
        let (request, worker) = (self.request(), proxy());
        // The worker gives the next integer to the next request.
        let asked = worker.send(&request, &[], false);
        let Some((_, asked)) = &asked.server else {
            return asked;
        };
        let asked: Value = serde_json::from_slice(asked).unwrap();
        let id = match asked["id"].as_i64() {
            Some(id) if id >= 1 << 30 => json!(id + 1),
            _ => asked["id"].clone(),
        };
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, self.result);
        let request = match self.is_stream {
            true => request.answered(EVENTS, &format!("data: {answer}\n\n")),
            false => request.answered(JSON, &answer),
        };
        proxy().send(&request, &[], false)
    }
}

/// A worker of this policy.
fn worker(policy: &Rc<Policy>) -> Rc<Engine> {
    let request = Asked::of(json!({}), &json!({})).request();
    let (_, engine) = FakeProxy::new(policy).during(&request, Rc::clone);
    engine
}

/// What a client receives of a worker that remembers, and of one that does not.
fn both(policy: &Rc<Policy>, engine: &Rc<Engine>, asked: &Asked) -> (Outcome, Outcome) {
    let fresh = worker(policy);
    let by = |engine: &Rc<Engine>| asked.send(|| FakeProxy::new(policy).in_worker(engine));
    (by(engine), by(&fresh))
}

/// The body, and the log's facts about it.
fn seen(outcome: &Outcome) -> (Option<String>, Value) {
    let body = outcome.client.is_some().then(|| outcome.client_body());
    (body, serde_json::to_value(&outcome.record).unwrap())
}

fn tools(names: &[&str]) -> Value {
    let tool = |name: &&str| {
        let properties = json!({"user_id": {"type": "string"}, "query": {"type": "string"}});
        json!({"name": name, "inputSchema": {"type": "object", "properties": properties}})
    };
    json!({"tools": names.iter().map(tool).collect::<Vec<_>>()})
}

#[test]
fn only_callers_who_see_the_same_share_a_list() {
    let list = tools(&["crm.get", "crm.purge", "hr.u1", "hr.u2"]);
    let owner = |is: &str| json!({"results": [{"tools": ["crm.get"], "owner": {"field": "owner", "is": is}}]});
    let own = json!({"roles": {"support": {"tools": ["*"], "deny": ["hr.{user}"]}}});
    let own_organization =
        json!({"roles": {"support": {"tools": ["*"], "deny": ["{organization}.x"]}}});
    let (u1, u2) = (json!({}), json!({"sub": "u2"}));
    let other_organization = json!({"org_id": "globex"});
    for (policy_changes, claims, expected) in [
        (json!({}), [&u1, &u2], 1),
        (json!({}), [&u1, &other_organization], 1),
        (json!({}), [&u1, &json!({"roles": ["support", "x"]})], 2),
        (json!({}), [&u1, &json!({"roles": []})], 2),
        (json!({}), [&u1, &json!({"scope": "crm:write"})], 2),
        (own.clone(), [&u1, &u2], 2),
        (own, [&u1, &other_organization], 1),
        (own_organization.clone(), [&u1, &other_organization], 2),
        (own_organization, [&u1, &u2], 1),
        (owner("user"), [&u1, &u2], 2),
        (owner("organization"), [&u1, &u2], 1),
        (owner("organization"), [&u1, &other_organization], 2),
        (
            json!({"tools": {"crm.get": {"pin": "first-seen"}}}),
            [&u1, &u2],
            0,
        ),
    ] {
        let policy = policy(policy_changes.clone());
        let engine = worker(&policy);
        for claims in claims {
            // The first list may show a new spelling. Only a list that shows nothing new is remembered.
            for _ in 0..3 {
                let asked = Asked::of(claims.clone(), &list);
                let (known, fresh) = both(&policy, &engine, &asked);
                assert_eq!(seen(&known), seen(&fresh), "{policy_changes} {claims}");
            }
        }
        assert_eq!(
            engine.known_lists.count(),
            expected,
            "{policy_changes} {claims:?}"
        );
    }
}

#[test]
fn a_view_does_not_share_a_list_with_a_caller_who_has_its_role() {
    let roles = json!({
        "trainee": {"tools": ["crm.*"]},
        "support": {"extends": ["trainee"], "deny": ["crm.purge"], "view_as": {"roles": ["trainee"]}},
    });
    let policy = policy(
        json!({"roles": roles, "view_as": {"header": "x-view-as"}, "seal": {"key_env": "KEY"}}),
    );
    let engine = worker(&policy);
    let list = tools(&["crm.get", "crm.purge"]);
    let trainee = Asked::of(json!({"roles": ["trainee"]}), &list);
    let view = Asked {
        view: Some("role:trainee"),
        ..Asked::of(json!({"roles": ["support"]}), &list)
    };
    for (asked, hidden) in [(&trainee, 0), (&view, 1), (&trainee, 0), (&view, 1)].repeat(2) {
        let (known, fresh) = both(&policy, &engine, asked);
        assert_eq!(seen(&known), seen(&fresh), "{asked:?}");
        assert_eq!(known.record.hidden_items, Some(hidden));
    }
    assert_eq!(engine.known_lists.count(), 2);
}

#[test]
fn an_answer_with_more_than_a_list_of_tools_is_not_remembered() {
    let policy = policy(json!({}));
    let resources =
        json!([{"uri": "crm://acme/1", "name": "x"}, {"uri": "crm://globex/1", "name": "x"}]);
    let mut with_resources = tools(&["crm.get"]);
    with_resources["resources"] = resources;
    let unreadable = json!({"tools": [{"name": "crm.get"}, {"name": 7}]});
    for (result, expected) in [
        (tools(&["crm.get"]).to_string(), 1),
        (with_resources.to_string(), 0),
        (
            with_resources
                .to_string()
                .replace("resources", "\\u0072esources"),
            0,
        ),
        (unreadable.to_string(), 0),
        (
            json!({"tools": [], "note": {"isError": true}}).to_string(),
            0,
        ),
        ("[]".to_owned(), 0),
        ("{\"tools\":[],\"tools\":[]}".to_owned(), 0),
    ] {
        let engine = worker(&policy);
        for claims in [json!({}), json!({"org_id": "globex"})] {
            for _ in 0..2 {
                let mut asked = Asked::of(claims.clone(), &json!({}));
                asked.result.clone_from(&result);
                let (known, fresh) = both(&policy, &engine, &asked);
                assert_eq!(seen(&known), seen(&fresh), "{result}");
            }
        }
        assert_eq!(engine.known_lists.count(), expected, "{result}");
    }
}

const NAMES: [&str; 7] = [
    "crm.get",
    "crm.purge",
    "crm.u1",
    "crm.acme",
    "hr.get",
    "auth_whoami",
    "x",
];
const PATTERNS: [&str; 5] = ["crm.*", "*.get", "crm.purge", "x", "*"];
const DENIALS: [&str; 5] = ["crm.{user}", "crm.{organization}", "hr.*", "x", "*purge"];

fn random_policy() -> impl Strategy<Value = Value> {
    let role = (
        subsequence(PATTERNS.to_vec(), 0..4),
        subsequence(DENIALS.to_vec(), 0..3),
    );
    let role = role.prop_map(|(tools, deny)| json!({"tools": tools, "deny": deny}));
    let roles = [role.clone().boxed(), role.clone().boxed(), role.boxed()];
    let tools = select(vec![
        json!({}),
        json!({"crm.get": {"arguments": {"user_id": {"set": "user"}}}}),
        json!({"crm.*": {"arguments": {"user_id": "keep"}, "scopes": ["crm:write"]}}),
        json!({"*": {"max_token_age": "1m"}}),
    ]);
    let results = select(vec![
        json!([]),
        json!([{"tools": ["crm.*"], "owner": {"field": "owner", "is": "user", "missing": "keep"}, "text": "keep"}]),
        json!([{"tools": ["crm.*"], "owner": {"field": "owner", "is": "organization", "missing": "keep"}, "text": "keep"}]),
        json!([{"tools": ["*"], "redact": ["ssn"], "unless_role": ["a"], "text": "keep"}]),
    ]);
    (roles, tools, results, any::<bool>(), any::<bool>()).prop_map(
        |([support, a, everybody], tools, results, is_anonymous, has_own)| {
            let mut support = support;
            support["extends"] = json!(["a"]);
            support["view_as"] = json!({"roles": ["a"]});
            let mut policy = json!({
                "roles": {"support": support, "a": a, "*": everybody},
                "tools": tools,
                "results": results,
                "view_as": {"header": "x-view-as"},
                "seal": {"key_env": "KEY"},
                "auth_tools": has_own,
            });
            if is_anonymous {
                policy["anonymous"] = json!({"tools": ["x"]});
            }
            policy
        },
    )
}

fn random_asked() -> impl Strategy<Value = Asked> {
    let claims = (
        select(vec!["u1", "u2"]),
        select(vec!["acme", "globex"]),
        subsequence(vec!["support", "a", "other"], 0..3),
        select(vec!["crm:read", "crm:write"]),
    );
    let claims = claims.prop_map(|(user, organization, roles, scope)| {
        json!({"sub": user, "org_id": organization, "roles": roles, "scope": scope})
    });
    let view = select(vec![None, None, Some("role:a")]);
    let list = select(vec![
        tools(&NAMES),
        tools(&NAMES[..3]),
        json!({"tools": [], "owner": "u1"}),
        json!({"tools": [{"name": "crm.get", "outputSchema": {"type": "object", "properties": {"ssn": {"type": "string"}}}}]}),
        json!({"tools": [{"name": "crm.get", "inputSchema": {"properties": {"userId": {}}}}]}),
        json!({"tools": [{"name": "crm.get", "description": "{\"owner\":\"u1\",\"ssn\":\"123-45\"}"}]}),
        json!({"tools": null}),
    ]);
    let flags = [any::<bool>(), any::<bool>(), any::<bool>()];
    (claims, view, list, flags).prop_map(
        |(claims, view, list, [is_modern, has_text_id, is_stream])| Asked {
            view,
            is_modern,
            has_text_id,
            is_stream,
            ..Asked::of(claims, &list)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_remembered_list_equals_one_that_is_filtered_anew(
        document in random_policy(),
        mut asked in proptest::collection::vec(random_asked(), 2..6),
    ) {
        // Most callers get one answer in one form, so that they could share it.
        if let [first, others @ ..] = asked.as_mut_slice() {
            for other in others.iter_mut().skip(1) {
                let Asked { claims, view, .. } = other.clone();
                *other = Asked { claims, view, ..first.clone() };
            }
        }
        let policy = policy(document);
        let engine = worker(&policy);
        // Each list twice, so that some are known.
        for asked in asked.iter().chain(&asked) {
            let (known, fresh) = both(&policy, &engine, asked);
            let (known, fresh) = (seen(&known), seen(&fresh));
            prop_assert_eq!(known, fresh);
        }
    }
}

#[test]
fn a_known_list_is_valid_json_with_the_clients_id() {
    let policy = policy(json!({}));
    let engine = worker(&policy);
    let mut asked = Asked::of(json!({}), &tools(&["crm.get", "hr.x"]));
    for has_text_id in [false, true, false] {
        asked.has_text_id = has_text_id;
        let (known, _) = both(&policy, &engine, &asked);
        let body = known.client_body();
        let message = Node::read(body.as_bytes(), 32).unwrap();
        let id = &message.member("id").unwrap().span;
        assert_eq!(
            body.get(id.clone()),
            Some(if has_text_id { "\"a\"" } else { "7" })
        );
        assert!(!body.contains("hr.x"));
        assert_eq!(known.record.hidden_items, Some(1));
    }
}
