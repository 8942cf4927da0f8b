use super::*;
use crate::store::RecordKind;

const NOW: u64 = 1_900_000_000;

fn etcd() -> Etcd {
    Etcd {
        cluster: "etcd".to_owned(),
        authority: "etcd".to_owned(),
        prefix: "p/".to_owned(),
    }
}

fn record() -> StoreRecord {
    let key = Key::of(RecordKind::Refresh, &["owner"], &["a"]);
    StoreRecord {
        key,
        value: "v".to_owned(),
        expires: UnixTime::from_secs(NOW + 60),
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
    HttpResponse::json(200, body.to_string().into_bytes())
}

/// What an operation leads to when etcd answers like this.
fn outcome(
    operation: StoreOperation,
    answers: &[Value],
) -> (Vec<HttpRequest>, Result<Stored, StoreError>) {
    outcome_with(&mut Leases::default(), operation, answers)
}

fn outcome_with(
    leases: &mut Leases,
    operation: StoreOperation,
    answers: &[Value],
) -> (Vec<HttpRequest>, Result<Stored, StoreError>) {
    let (mut job, call) = Job::start(&etcd(), leases, operation, UnixTime::from_secs(NOW));
    let mut calls = vec![call];
    for each in answers {
        let answer = match each["error"].is_string() {
            true => HttpResponse::json(404, each.to_string().into_bytes()),
            false => answer(each),
        };
        match job.answered(leases, Some(&answer)) {
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
    let now = UnixTime::from_secs(NOW);
    let end = Leases::end_for(UnixTime::from_secs(NOW + 60), now);
    let ttl = end.since(now).as_secs();
    assert!((60..=120).contains(&ttl));
    assert_eq!(body(&calls[0]), json!({"TTL": ttl.to_string()}));
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
        let answers = [lease.clone(), said];
        let (calls, created) = outcome(StoreOperation::Create(record()), &answers);
        assert_eq!(created, Ok(Stored::Created(first)));
        assert_eq!(calls.len(), 2);
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
        assert_eq!(calls.len(), 2);
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
        Some(HttpResponse::json(503, b"{}".to_vec())),
        Some(HttpResponse::json(200, b"<html>".to_vec())),
        Some(HttpResponse::json(200, b"{}".to_vec())),
    ];
    for said in answers {
        for operation in [
            StoreOperation::Get(record().key),
            StoreOperation::Put(record()),
            StoreOperation::Create(record()),
            StoreOperation::Delete(record().key),
        ] {
            let leases = &mut Leases::default();
            let (mut job, _) = Job::start(&etcd(), leases, operation, UnixTime::from_secs(NOW));
            let unavailable = EtcdProgress::Over(Err(StoreError::Unavailable));
            assert_eq!(job.answered(leases, said.as_ref()), unavailable);
        }
    }
    let no_lease = [json!({"ID": 7})];
    let (_, done) = outcome(StoreOperation::Create(record()), &no_lease);
    assert_eq!(done, Err(StoreError::Unavailable));
}

#[test]
fn a2_records_that_end_at_about_the_same_time_share_a_lease() {
    let mut leases = Leases::default();
    let (granted, written) = (json!({"ID": "7"}), json!({"succeeded": true}));
    let first = outcome_with(
        &mut leases,
        StoreOperation::Create(record()),
        &[granted.clone(), written.clone()],
    );
    assert_eq!((first.0.len(), first.1), (2, Ok(Stored::Created(true))));
    for _ in 0..100 {
        let replace = StoreOperation::Replace(record(), record());
        let (calls, done) = outcome_with(&mut leases, replace, std::slice::from_ref(&written));
        assert_eq!((calls.len(), done), (1, Ok(Stored::Created(true))));
    }
    // A lease that etcd lost is granted again, once.
    let gone = json!({"error": "etcdserver: requested lease not found", "code": 5});
    let answers = [gone.clone(), granted, written];
    let (calls, done) = outcome_with(&mut leases, StoreOperation::Create(record()), &answers);
    assert_eq!(done, Ok(Stored::Created(true)));
    let paths: Vec<_> = calls.iter().map(path).collect();
    assert_eq!(paths, ["/v3/kv/txn", "/v3/lease/grant", "/v3/kv/txn"]);
    let answers = [gone.clone(), json!({"ID": "8"}), gone];
    let (_, done) = outcome_with(&mut leases, StoreOperation::Create(record()), &answers);
    assert_eq!(done, Err(StoreError::Unavailable));
    for lasts in [0, 1, 59, 60, 600, 3600, 90 * 24 * 3600] {
        let end = Leases::end_for(UnixTime::from_secs(NOW + lasts), UnixTime::from_secs(NOW));
        let end = end.as_secs();
        assert!(
            NOW + lasts < end && end <= NOW + lasts + lasts / 2 + 61,
            "{lasts}: {end}"
        );
    }
}

#[test]
fn a2_an_owner_has_few_records() {
    let key = |name: &str| Key::of(RecordKind::Question, &["owner"], &[name]);
    let record = StoreRecord {
        key: key("a"),
        ..record()
    };
    for operation in [
        StoreOperation::Create(record.clone()),
        StoreOperation::Put(record.clone()),
    ] {
        let full = [json!({"count": "128"})];
        let (calls, done) = outcome(operation.clone(), &full);
        assert_eq!(done, Err(StoreError::Full));
        let counted = body(&calls[0]);
        assert_eq!(counted["count_only"], true);
        let text = |name: &str| {
            let text = BASE64_STANDARD
                .decode(counted[name].as_str().unwrap())
                .unwrap();
            String::from_utf8(text).unwrap()
        };
        for name in ["a", "b", "c"] {
            let stored = format!("p/{}", key(name).as_str());
            assert!(text("key") <= stored && stored < text("range_end"));
        }
        let other = format!(
            "p/{}",
            Key::of(RecordKind::Question, &["other"], &["a"]).as_str()
        );
        assert!(other < text("key") || text("range_end") <= other);
        let room = [json!({}), json!({"ID": "7"}), json!({"succeeded": true})];
        assert!(outcome(operation, &room).1.is_ok());
    }
    // What is there already can be changed, and what ends something is never counted.
    let replace = StoreOperation::Replace(record.clone(), record);
    let written = [json!({"ID": "7"}), json!({"succeeded": true})];
    assert!(outcome(replace, &written).1.is_ok());
    let ends = StoreRecord {
        key: Key::of(RecordKind::SignOut, &["owner"], &[]),
        value: String::new(),
        expires: UnixTime::from_secs(NOW + 60),
    };
    assert_eq!(
        outcome(StoreOperation::Put(ends), &written).1,
        Ok(Stored::Done)
    );
}

#[test]
fn a_record_is_created_over_one_that_has_expired() {
    let found = |expires: u64| {
        let kept = json!({"value": "v", "expires": expires}).to_string();
        let found = json!({"kvs": [{"value": BASE64_STANDARD.encode(kept)}]});
        json!({"responses": [{"response_range": found}]})
    };
    let lease = json!({"ID": "7"});
    let answers = [lease.clone(), found(NOW), json!({"succeeded": true})];
    let (calls, created) = outcome(StoreOperation::Create(record()), &answers);
    assert_eq!((calls.len(), created), (3, Ok(Stored::Created(true))));
    assert_eq!(body(&calls[2])["compare"][0]["target"], "VALUE");
    // Of several, one succeeds.
    let answers = [lease.clone(), found(NOW), json!({})];
    assert_eq!(
        outcome(StoreOperation::Create(record()), &answers).1,
        Ok(Stored::Created(false))
    );
    let answers = [lease, found(NOW + 1)];
    assert_eq!(
        outcome(StoreOperation::Create(record()), &answers).1,
        Ok(Stored::Created(false))
    );
}

#[test]
fn a_record_is_deleted_if_it_is_still_the_same() {
    for (answered, is_deleted) in [(json!({"succeeded": true}), true), (json!({}), false)] {
        let operation = StoreOperation::DeleteRecord(record());
        let (calls, outcome) = outcome(operation, &[answered]);
        assert_eq!(outcome, Ok(Stored::Created(is_deleted)));
        // Neither a lease nor a count.
        let [call] = calls.as_slice() else {
            panic!("{calls:?}");
        };
        assert_eq!(path(call), "/v3/kv/txn");
        let sent = body(call);
        let [compare] = sent["compare"].as_array().unwrap().as_slice() else {
            panic!("{sent}");
        };
        assert_eq!(compare["target"], "VALUE");
        assert_eq!(
            compare["key"],
            sent["success"][0]["request_delete_range"]["key"]
        );
    }
}
