//! Several policies in one configuration.

use super::*;

/// A policy of this server, arriving at this path.
fn of(resource: &str, path: Option<&str>) -> Value {
    let policy = with("/resource", json!(resource));
    match path {
        Some(path) => edited(policy, "/path", json!(path)),
        None => policy,
    }
}

fn several(policies: &[Value]) -> Result<Policies, Vec<String>> {
    let configuration = json!({"policies": policies}).to_string();
    let parsed = Policies::parse(configuration.as_bytes());
    parsed.map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The resource of the policy a request is for.
fn chosen<'p>(policies: &'p Policies, path: &str, authority: &str) -> Option<&'p str> {
    let policy = policies.choose(path, authority)?;
    Some(policy.resource.as_str())
}

const CRM: &str = "https://a.example/crm/mcp";
const HR: &str = "https://a.example/hr/mcp";
const OTHER: &str = "https://b.example:8443/hr/mcp";
const WELL_KNOWN: &str = METADATA_PATH;

#[test]
fn one_policy_judges_everything() {
    let policies = Policies::parse(short().to_string().as_bytes()).unwrap();
    let own = Some("https://crm.example.com/mcp");
    for (path, authority) in [("/mcp", "crm.example.com"), ("/x", "y"), ("", "")] {
        assert_eq!(chosen(&policies, path, authority), own);
    }
    let only = policies.for_no_policy().unwrap();
    assert_eq!(only.label, None);
}

#[test]
fn b14_a_request_is_for_the_policy_of_its_path() {
    let policies = several(&[of(CRM, None), of(HR, None)]).unwrap();
    for host in ["a.example", "elsewhere", ""] {
        assert_eq!(chosen(&policies, "/crm/mcp", host), Some(CRM));
        assert_eq!(chosen(&policies, "/hr/mcp?x", host), Some(HR));
        for path in [
            "/",
            "",
            "/mcp",
            "/crm/mcp/",
            "/CRM/mcp",
            "/crm//mcp",
            "/crm/mcp;x",
            "/hr",
        ] {
            assert_eq!(chosen(&policies, path, host), None, "{path}");
        }
    }
    assert_eq!(
        policies.for_no_policy().unwrap().label.as_deref(),
        Some(CRM)
    );
}

#[test]
fn b14_of_policies_at_one_path_the_host_decides() {
    let policies = several(&[of(CRM, None), of(HR, None), of(OTHER, None)]).unwrap();
    for (authority, expected) in [
        ("a.example", Some(HR)),
        ("A.Example", Some(HR)),
        ("b.example:8443", Some(OTHER)),
        ("b.example", None),
        ("b.example:443", None),
        ("a.example:8443", None),
        ("a.example.evil.example", None),
        ("xa.example", None),
        ("a.example:", None),
        ("", None),
    ] {
        assert_eq!(
            chosen(&policies, "/hr/mcp", authority),
            expected,
            "{authority}"
        );
    }
    assert_eq!(chosen(&policies, "/crm/mcp", "anything"), Some(CRM));
    let local = several(&[
        of("http://[::1]:9000/mcp", None),
        of("http://localhost/mcp", None),
    ]);
    let local = local.unwrap();
    assert_eq!(
        chosen(&local, "/mcp", "[::1]:9000"),
        Some("http://[::1]:9000/mcp")
    );
    assert_eq!(chosen(&local, "/mcp", "[::1]"), None);
    assert_eq!(
        chosen(&local, "/mcp", "localhost"),
        Some("http://localhost/mcp")
    );
    assert_eq!(chosen(&local, "/mcp", "localhost:443"), None);
}

#[test]
fn metadata_is_chosen_like_requests() {
    let root = "https://c.example/";
    let prefixed = of("https://d.example/x/mcp", Some("/d"));
    let all = [
        of(CRM, None),
        of(HR, None),
        of(OTHER, None),
        of(root, None),
        prefixed,
    ];
    let policies = several(&all).unwrap();
    for (suffix, authority, expected) in [
        ("/crm/mcp", "anything", Some(CRM)),
        ("/crm/mcp/", "anything", Some(CRM)),
        ("/hr/mcp", "a.example", Some(HR)),
        ("/hr/mcp", "b.example:8443", Some(OTHER)),
        ("/hr/mcp", "anything", None),
        ("/x/mcp", "anything", Some("https://d.example/x/mcp")),
        ("/d", "anything", Some("https://d.example/x/mcp")),
        ("/mcp", "a.example", None),
        // Two servers are on a.example, and none of them at its root.
        ("", "a.example", None),
        ("", "b.example:8443", Some(OTHER)),
        ("", "c.example", Some(root)),
        ("/", "c.example", Some(root)),
        ("", "d.example", Some("https://d.example/x/mcp")),
        ("", "elsewhere", Some(root)),
        ("x", "c.example", None),
    ] {
        let path = format!("{WELL_KNOWN}{suffix}");
        assert_eq!(
            chosen(&policies, &path, authority),
            expected,
            "{suffix} {authority}"
        );
    }
    let rootless = several(&[of(CRM, None), of(HR, None)]).unwrap();
    assert_eq!(chosen(&rootless, WELL_KNOWN, "elsewhere"), None);
}

#[test]
fn policies_that_cannot_be_told_apart_are_an_error() {
    let same = |key: &str, found: &str| {
        format!("policies[1].{key}: found `{found}`, which policies[0] has for that host")
    };
    let b = "https://a.example/b";
    for (first, second, expected) in [
        (of(CRM, None), of(CRM, None), same("resource", CRM)),
        (of(CRM, None), of(CRM, Some("/b")), same("resource", CRM)),
        (
            of(CRM, None),
            of("https://A.example:443/crm/mcp/", None),
            same("resource", "https://A.example:443/crm/mcp/"),
        ),
        (
            of(CRM, None),
            of(b, Some("/crm/mcp")),
            same("path", "/crm/mcp"),
        ),
    ] {
        assert_eq!(several(&[first, second]).unwrap_err(), [expected]);
    }
    several(&[of(CRM, None), of("https://b.example/crm/mcp", None)]).unwrap();
}

#[test]
fn mistakes_are_told_of_every_policy() {
    let wrong = edited(of(HR, None), "/scopes", json!(["a b"]));
    let unknown = edited(of(OTHER, None), "/rolse", json!({}));
    let listed = json!([]);
    assert_eq!(
        several(&[of(CRM, None), wrong, unknown, listed]).unwrap_err(),
        [
            "policies[1].scopes[0]: found `a b`, expected one scope, without spaces and quotes",
            &unknown_key(),
            "policies[3]: found a list, expected a mapping",
        ]
    );
}

/// Serde's list of all keys is not repeated here.
fn unknown_key() -> String {
    let own = errors(&with("/rolse", json!({})).to_string());
    format!("policies[2].{}", own[0])
}

#[test]
fn a_list_of_policies_stands_alone() {
    let errors = |configuration: Value| {
        let parsed = Policies::parse(configuration.to_string().as_bytes());
        let errors = parsed.unwrap_err();
        errors.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let list = "policies: expected a list of at least one policy";
    assert_eq!(errors(json!({"policies": []})), [list]);
    assert_eq!(errors(json!({"policies": {}})), [list]);
    assert_eq!(errors(json!({"policies": null})), [list]);
    assert_eq!(
        errors(json!({"policies": [short()], "mode": "observe"})),
        ["mode: found beside `policies`, expected inside each policy"]
    );
    let twice = Policies::parse(br#"{"policies":[],"policies":[]}"#);
    assert!(twice.is_err());
}

#[test]
fn a_request_for_no_policy_is_refused_if_any_policy_enforces() {
    let observing = |resource| edited(of(resource, None), "/mode", json!("observe"));
    let mixed = several(&[observing(CRM), of(HR, None)]).unwrap();
    assert_eq!(mixed.for_no_policy().unwrap().mode, Mode::Enforce);
    let all = several(&[observing(CRM), observing(HR)]).unwrap();
    assert_eq!(all.for_no_policy().unwrap().mode, Mode::Observe);
}

#[test]
fn b39_tokens_that_are_good_for_two_servers_are_warned_about() {
    let shared = |resource| {
        let policy = edited(of(resource, None), "/roles", json!({"*": {"tools": ["*"]}}));
        edited(policy, "/issuers/0/audiences", json!(["api", resource]))
    };
    let policies = several(&[shared(CRM), shared(HR)]).unwrap();
    let warnings: Vec<String> = policies
        .warnings()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        warnings,
        ["policies[1].issuers[0].audiences: policies[0] takes tokens for `api`, too"]
    );
}

#[test]
fn what_is_made_of_policies_is_chosen_like_them() {
    let policies = several(&[of(CRM, None), of(HR, None)]).unwrap();
    let made = policies.try_map(|policy| Ok(policy.path)).unwrap();
    assert_eq!(
        made.choose("/hr/mcp", "").map(String::as_str),
        Some("/hr/mcp")
    );
    let policies = several(&[of(CRM, None), of(HR, None)]).unwrap();
    let failed = policies.try_map(|policy| match policy.path.as_str() {
        "/hr/mcp" => Err(vec![PolicyError::new("audit.key_env", "missing")]),
        path => Ok(path.to_owned()),
    });
    let errors = failed.unwrap_err();
    assert_eq!(errors[0].to_string(), "policies[1].audit.key_env: missing");
}

#[test]
fn b14_the_host_of_another_policy_is_not_this_ones() {
    let observing = edited(of(CRM, None), "/mode", json!("observe"));
    let policies = several(&[observing, of(OTHER, None)]).unwrap();
    let well_known = format!("{WELL_KNOWN}/crm/mcp");
    for path in ["/crm/mcp", &well_known] {
        // Where hosts choose the server, these go to the other's.
        for host in ["b.example:8443", "b.example", "B.Example.", "b.example:1"] {
            assert_eq!(chosen(&policies, path, host), None, "{host}");
        }
        for host in ["a.example", "a.example:1", "elsewhere", ""] {
            assert_eq!(chosen(&policies, path, host), Some(CRM), "{host}");
        }
    }
    let ports = ["http://localhost:1/a", "http://localhost:2/b"].map(|url| of(url, None));
    let ports = several(&ports).unwrap();
    assert_eq!(
        chosen(&ports, "/a", "localhost:2"),
        Some("http://localhost:1/a")
    );
}

#[test]
fn s7_a_host_with_a_port_that_goes_without_saying_is_for_no_policy() {
    let written = ["https://a.example/mcp", "https://b.example/mcp"].map(|url| of(url, None));
    let policies = several(&written).unwrap();
    let apart = ["https://a.example/a", "https://b.example/b"].map(|url| of(url, None));
    let apart = several(&apart).unwrap();
    for port in ["443", "0443", "00443", "80", "080", "", "0"] {
        for host in [
            "a.example",
            "A.EXAMPLE",
            "a.example.",
            "b.example",
            "c.example",
        ] {
            let authority = format!("{host}:{port}");
            assert_eq!(chosen(&policies, "/mcp", &authority), None, "{authority}");
            assert_eq!(chosen(&apart, "/a", &authority), None, "{authority}");
        }
    }
    assert_eq!(
        chosen(&policies, "/mcp", "a.example"),
        Some("https://a.example/mcp")
    );
    assert_eq!(
        chosen(&apart, "/a", "a.example:10000"),
        Some("https://a.example/a")
    );
}
