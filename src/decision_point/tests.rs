//! Answers of decision points that are understood, and those that are not.

use super::*;
use policy::DecisionProtocol;

fn read(protocol: &DecisionProtocol, body: &str) -> Result<OutsideAnswer, DecisionFault> {
    answer::read(protocol, body.as_bytes())
}

#[test]
fn d1_only_a_boolean_decides() {
    for (body, expected) in [
        (r#"{"decision":true}"#, Some(true)),
        (r#"{"decision":false}"#, Some(false)),
        (r#"{"decision":true,"context":null}"#, Some(true)),
        (
            r#"{"decision":true,"context":{"id":"1"},"more":1}"#,
            Some(true),
        ),
        (r#"{"decision":"true"}"#, None),
        (r#"{"decision":1}"#, None),
        (r#"{"decision":null}"#, None),
        (r#"{"decision":[true]}"#, None),
        (r#"{"decision":{"decision":true}}"#, None),
        (r#"{"Decision":true}"#, None),
        (r#"{"decision":false,"decision":true}"#, None),
        (r#"{"decision":false,"d\u0065cision":true}"#, None),
        (r#"{"decision":true}{"decision":true}"#, None),
        (r#"{"decision":true"#, None),
        (r#"{"decision":true,"context":"x"}"#, None),
        (r#"[{"decision":true}]"#, None),
        ("true", None),
        ("{}", None),
        ("", None),
        ("<html>true</html>", None),
    ] {
        let answer = read(&DecisionProtocol::Authzen, body);
        assert_eq!(
            answer.ok().map(|answer| answer.is_allowed),
            expected,
            "{body}"
        );
    }
}

#[test]
fn an_answer_of_opa_is_a_boolean_or_an_object_with_one() {
    for (body, expected) in [
        (r#"{"result":true}"#, Some(true)),
        (r#"{"result":false}"#, Some(false)),
        (r#"{"result":{"allow":true}}"#, Some(true)),
        (r#"{"result":{"decision":true,"context":{}}}"#, Some(true)),
        (r#"{"result":{"allow":false,"decision":true}}"#, None),
        (r#"{"result":{"allow":true,"decision":true}}"#, None),
        (r#"{"result":"true"}"#, None),
        (r#"{"result":{"allow":"true"}}"#, None),
        (r#"{"result":[true]}"#, None),
        (r#"{"decision":true}"#, None),
        ("{}", None),
    ] {
        let answer = read(&DecisionProtocol::Opa, body);
        assert_eq!(
            answer.ok().map(|answer| answer.is_allowed),
            expected,
            "{body}"
        );
    }
}

#[test]
fn obligations_that_are_not_understood_are_faults() {
    let of = |obligations: &str| {
        let body = format!(r#"{{"decision":true,"context":{{"obligations":{obligations}}}}}"#);
        read(&DecisionProtocol::Authzen, &body).map(|answer| answer.obligations)
    };
    assert_eq!(
        of(r#"{"confirm":true,"redact":["ssn","card.*"],"max_age":60}"#),
        Ok(Obligations {
            confirm: true,
            redact: vec!["ssn".to_owned(), "card.*".to_owned()],
            max_age: Some(Duration::from_secs(60)),
        })
    );
    for unknown in [
        r#"{"confirm":"true"}"#,
        r#"{"confirm":{"by":"manager"}}"#,
        r#"{"redact":"ssn"}"#,
        r#"{"redact":[1]}"#,
        r#"{"redact":["*"]}"#,
        r#"{"max_age":"5m"}"#,
        r#"{"max_age":-1}"#,
        r#"{"max_age":1.5}"#,
        r#"{"notify":true}"#,
        r#"["confirm"]"#,
        "null",
        "true",
    ] {
        assert!(of(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn reasons_are_texts_or_objects_of_texts_and_are_bounded() {
    let of = |context: &str| {
        let body = format!(r#"{{"decision":false,"context":{context}}}"#);
        let answer = read(&DecisionProtocol::Authzen, &body).unwrap();
        (answer.reason_admin, answer.reason_user)
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        of(r#"{"reason_admin":{"en":"rule 7"},"reason_user":{"es-403":"no","en-403":"too much"}}"#),
        (some("rule 7"), some("too much"))
    );
    assert_eq!(
        of(r#"{"reason_admin":"a\nb","reason_user":{"403":"x"}}"#),
        (some("a b"), some("x"))
    );
    assert_eq!(of(r#"{"reason_admin":7,"reason_user":[]}"#), (None, None));
    let long = format!(r#"{{"reason_user":"{}"}}"#, "x".repeat(5000));
    assert_eq!(of(&long).1.unwrap().len(), 1000);
    // A denial has no obligations to understand.
    assert_eq!(of(r#"{"obligations":{"unknown":1}}"#), (None, None));
}

#[test]
fn d1_a_batch_has_one_decision_for_each_question() {
    let read = |body: &str| {
        let answers = answer::read_all(body.as_bytes(), 2);
        answers.map(|all| all.iter().map(|one| one.is_allowed).collect::<Vec<_>>())
    };
    assert_eq!(
        read(r#"{"evaluations":[{"decision":true},{"decision":false}]}"#),
        Ok(vec![true, false])
    );
    for body in [
        r#"{"evaluations":[]}"#,
        r#"{"evaluations":[{"decision":true}]}"#,
        r#"{"evaluations":[{"decision":true},{"decision":true},{"decision":true}]}"#,
        r#"{"evaluations":[{"decision":true},true]}"#,
        r#"{"evaluations":[{"decision":true},{}]}"#,
        r#"{"evaluations":{"0":{"decision":true},"1":{"decision":true}}}"#,
        r#"{"decision":true}"#,
        "[]",
    ] {
        assert!(read(body).is_err(), "{body}");
    }
}

#[test]
fn d1_every_status_but_200_is_a_fault() {
    let of = |status| {
        let body = br#"{"decision":true}"#.to_vec();
        body_of(Some(&HttpResponse::json(status, body))).map(drop)
    };
    assert_eq!(of(200), Ok(()));
    assert_eq!(of(401), Err(DecisionFault::Credential));
    assert_eq!(of(403), Err(DecisionFault::Credential));
    assert_eq!(of(504), Err(DecisionFault::TimedOut));
    assert_eq!(of(503), Err(DecisionFault::Unavailable));
    assert_eq!(of(500), Err(DecisionFault::Unavailable));
    for status in [201, 204, 302, 307, 400, 404, 429] {
        assert!(
            matches!(of(status), Err(DecisionFault::Unreadable(_))),
            "{status}"
        );
    }
    assert_eq!(body_of(None), Err(DecisionFault::Unavailable));
}

#[test]
fn large_answers_are_faults() {
    let body = format!(r#"{{"decision":true,"x":"{}"}}"#, "x".repeat(70_000));
    let large = Err(DecisionFault::Unreadable("is too large"));
    assert_eq!(read(&DecisionProtocol::Authzen, &body), large);
    let deep = format!(
        r#"{{"decision":true,"x":{}{}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    assert!(read(&DecisionProtocol::Authzen, &deep).is_err());
}

#[test]
fn a20_one_caller_does_not_take_the_room_of_the_others() {
    let policy = Policy::parse(
        br#"{
            "resource": "https://a.example/mcp", "local": {"user": "u"},
            "decide": {"authzen": {"cluster": "pdp", "path": "/evaluation"}},
            "roles": {"*": {"tools": ["*"]}}
        }"#,
    )
    .unwrap();
    let points = DecisionPoints::of(&policy, |_| Err::<Credential, ()>(()));
    let points = points.unwrap().unwrap();
    let point = Rc::clone(&policy.decides().next().unwrap().point);
    let of = |caller: u8| PendingDecision {
        point: Rc::clone(&point),
        keys: Vec::new(),
        caller: [caller; 32],
        request: points.request(&point, &point.endpoint, Vec::new()),
        is_batch: false,
        cache: Duration::ZERO,
    };
    for _ in 0..MAX_UNDER_WAY_OF_CALLER {
        assert!(points.begin(&of(1)));
    }
    assert!(!points.begin(&of(1)));
    for caller in 2..5 {
        for _ in 0..MAX_UNDER_WAY_OF_CALLER {
            assert!(points.begin(&of(caller)));
        }
    }
    assert!(!points.begin(&of(9)), "the worker is full");
    let _ = points.answered(&of(1), None, UnixTime::default());
    assert!(points.begin(&of(9)));
    for caller in [1, 2, 3, 4] {
        for _ in 0..MAX_UNDER_WAY_OF_CALLER {
            let _ = points.answered(&of(caller), None, UnixTime::default());
        }
    }
    let _ = points.answered(&of(9), None, UnixTime::default());
    let under_way = points.under_way.borrow();
    assert!(under_way.of_callers.is_empty());
}
