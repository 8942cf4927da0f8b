use super::*;

const NOW: u64 = 1_900_000_000;

fn etcd() -> Etcd {
    Etcd {
        cluster: "etcd".to_owned(),
        authority: "etcd".to_owned(),
        prefix: "p/".to_owned(),
    }
}

fn record() -> StoreRecord {
    let key = Key::of("test", &["a"]);
    StoreRecord {
        key,
        value: "v".to_owned(),
        expires: NOW + 60,
    }
}

fn path(call: &HttpRequest) -> &str {
    let path = call.headers.iter().find(|(name, _)| *name == ":path");
    &path.unwrap().1
}

fn body(call: &HttpRequest) -> Value {
    serde_json::from_slice(&call.body).unwrap()
}

/// As etcd answers: with a header.
fn answer(body: &Value) -> HttpResponse {
    let mut body = body.clone();
    body["header"] = json!({"revision": "4"});
    HttpResponse {
        status: 200,
        body: body.to_string().into_bytes(),
    }
}

/// What an operation leads to when etcd answers like this.
fn outcome(
    operation: StoreOperation,
    answers: &[Value],
) -> (Vec<HttpRequest>, Result<Stored, StoreError>) {
    let (mut job, call) = Job::start(&etcd(), operation, NOW);
    let mut calls = vec![call];
    for each in answers {
        match job.answered(Some(&answer(each))) {
            EtcdProgress::Call(call) => calls.push(call),
            EtcdProgress::Over(outcome) => return (calls, outcome),
        }
    }
    panic!("not over after {calls:?}");
}

#[test]
fn a_record_is_written_with_a_lease() {
    let answers = [json!({"ID": "7", "TTL": "60"}), json!({})];
    let (calls, done) = outcome(StoreOperation::Put(record()), &answers);
    assert_eq!(done, Ok(Stored::Done));
    let paths: Vec<&str> = calls.iter().map(path).collect();
    assert_eq!(paths, ["/v3/lease/grant", "/v3/kv/put"]);
    assert_eq!(body(&calls[0]), json!({"TTL": "60"}));
    let put = body(&calls[1]);
    assert_eq!(put["lease"], "7");
    let name = BASE64_STANDARD.decode(put["key"].as_str().unwrap());
    let expected = format!("p/{}", record().key.as_str());
    assert_eq!(name.unwrap(), expected.as_bytes());
}

#[test]
fn what_was_written_is_read_until_it_ends() {
    let kept = |expires: u64| {
        let kept = json!({"value": "v", "expires": expires}).to_string();
        json!({"kvs": [{"key": "eA==", "value": BASE64_STANDARD.encode(kept)}], "count": "1"})
    };
    let get = |answer: Value| outcome(StoreOperation::Get(record().key), &[answer]).1;
    let found = Stored::Value(Some("v".to_owned()));
    assert_eq!(get(kept(NOW + 1)), Ok(found));
    assert_eq!(get(kept(NOW)), Ok(Stored::Value(None)));
    assert_eq!(get(json!({})), Ok(Stored::Value(None)));
    let odd = json!({"kvs": [{"key": "eA==", "value": "eA=="}]});
    assert_eq!(get(odd), Err(StoreError::Unavailable));
}

#[test]
fn b44_only_the_first_creates() {
    let lease = json!({"ID": "7"});
    for (said, first) in [
        (json!({"succeeded": true}), true),
        (json!({}), false),
        (json!({"succeeded": false}), false),
    ] {
        let answers = [lease.clone(), said, json!({})];
        let (calls, created) = outcome(StoreOperation::Create(record()), &answers);
        assert_eq!(created, Ok(Stored::Created(first)));
        // What is not written needs no lease.
        let revoked = calls.get(2).map(path);
        assert_eq!(revoked, (!first).then_some("/v3/lease/revoke"));
        let transaction = body(&calls[1]);
        assert_eq!(path(&calls[1]), "/v3/kv/txn");
        assert_eq!(transaction["compare"][0]["create_revision"], "0");
        let put = &transaction["success"][0]["request_put"];
        assert_eq!(put["key"], transaction["compare"][0]["key"]);
    }
}

#[test]
fn what_changed_meanwhile_is_not_replaced() {
    let old = record();
    let new = StoreRecord {
        value: "w".to_owned(),
        ..record()
    };
    let lease = json!({"ID": "7"});
    for (said, is_replaced) in [(json!({"succeeded": true}), true), (json!({}), false)] {
        let answers = [lease.clone(), said, json!({})];
        let (calls, replaced) =
            outcome(StoreOperation::Replace(old.clone(), new.clone()), &answers);
        assert_eq!(replaced, Ok(Stored::Created(is_replaced)));
        assert_eq!(calls.len(), if is_replaced { 2 } else { 3 });
        // It is compared with what was written, byte for byte.
        let (put, _) = outcome(StoreOperation::Put(old.clone()), &answers);
        let holds = &body(&calls[1])["compare"][0];
        assert_eq!(path(&calls[1]), "/v3/kv/txn");
        assert_eq!(holds["value"], body(&put[1])["value"]);
        assert_eq!(
            (&holds["target"], &holds["result"]),
            (&json!("VALUE"), &json!("EQUAL"))
        );
    }
}

#[test]
fn what_is_no_answer_is_not_taken_for_one() {
    let answers = [
        None,
        Some(HttpResponse {
            status: 503,
            body: b"{}".to_vec(),
        }),
        Some(HttpResponse {
            status: 200,
            body: b"<html>".to_vec(),
        }),
        Some(HttpResponse {
            status: 200,
            body: b"{}".to_vec(),
        }),
    ];
    for said in answers {
        for operation in [
            StoreOperation::Get(record().key),
            StoreOperation::Put(record()),
            StoreOperation::Create(record()),
            StoreOperation::Delete(record().key),
        ] {
            let (mut job, _) = Job::start(&etcd(), operation, NOW);
            let unavailable = EtcdProgress::Over(Err(StoreError::Unavailable));
            assert_eq!(job.answered(said.as_ref()), unavailable);
        }
    }
    let no_lease = [json!({"error": "x"})];
    let (_, done) = outcome(StoreOperation::Create(record()), &no_lease);
    assert_eq!(done, Err(StoreError::Unavailable));
}
