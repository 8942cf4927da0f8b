//! Records in etcd, through the JSON gateway of its API (v3). A record has a lease, so that etcd
//! throws it out; the time is looked at here as well, since a lease may end late.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Key, Operation, Outcome, Record, StoreError};
use crate::call::{Answer, Call};

/// Where etcd is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// The Envoy cluster.
    pub cluster: String,
    /// The `:authority` of calls.
    pub authority: String,
    /// What the names of all records start with.
    pub prefix: String,
}

/// An operation under way.
#[derive(Debug)]
pub struct Job {
    etcd: Etcd,
    operation: Operation,
    now: u64,
    /// What is written goes with a lease, which comes first.
    awaits_lease: bool,
}

/// How an operation goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// With another call.
    Call(Call),
    /// It is over.
    Over(Result<Outcome, StoreError>),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    value: String,
    expires: u64,
}

impl Job {
    /// Begins an operation: the first call.
    pub fn start(etcd: &Etcd, operation: Operation, now: u64) -> (Self, Call) {
        let (path, body, awaits_lease) = match &operation {
            Operation::Get(key) => ("/v3/kv/range", json!({"key": name(etcd, key)}), false),
            Operation::Delete(key) => {
                ("/v3/kv/deleterange", json!({"key": name(etcd, key)}), false)
            }
            Operation::Put(record) | Operation::Create(record) => {
                let seconds = record.expires.saturating_sub(now).max(1);
                ("/v3/lease/grant", json!({"TTL": seconds.to_string()}), true)
            }
        };
        let call = call(etcd, path, &body);
        let etcd = etcd.clone();
        let job = Self {
            etcd,
            operation,
            now,
            awaits_lease,
        };
        (job, call)
    }

    /// Goes on with the answer to the last call, if there was one.
    pub fn answered(&mut self, answer: Option<&Answer>) -> Progress {
        let body = answer
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
            // Of whatever else answers with JSON, nothing is believed.
            .filter(|body| body.get("header").is_some());
        let Some(body) = body else {
            return Progress::Over(Err(StoreError::Unavailable));
        };
        if std::mem::take(&mut self.awaits_lease) {
            return match (body.get("ID").and_then(Value::as_str), &self.operation) {
                (Some(lease), Operation::Put(record)) => {
                    let put = self.put(record, lease);
                    Progress::Call(call(&self.etcd, "/v3/kv/put", &put))
                }
                (Some(lease), Operation::Create(record)) => {
                    let compare = json!({
                        "key": name(&self.etcd, &record.key),
                        "target": "CREATE",
                        "result": "EQUAL",
                        "create_revision": "0",
                    });
                    let put = json!({"request_put": self.put(record, lease)});
                    let transaction = json!({"compare": [compare], "success": [put]});
                    Progress::Call(call(&self.etcd, "/v3/kv/txn", &transaction))
                }
                _ => Progress::Over(Err(StoreError::Unavailable)),
            };
        }
        Progress::Over(match &self.operation {
            Operation::Get(_) => self.found(&body).map(Outcome::Value),
            Operation::Put(_) | Operation::Delete(_) => Ok(Outcome::Done),
            // Left out where it is false.
            Operation::Create(_) => match body.get("succeeded") {
                None => Ok(Outcome::Created(false)),
                Some(Value::Bool(first)) => Ok(Outcome::Created(*first)),
                Some(_) => Err(StoreError::Unavailable),
            },
        })
    }

    fn put(&self, record: &Record, lease: &str) -> Value {
        let kept = Kept {
            value: record.value.clone(),
            expires: record.expires,
        };
        let kept = serde_json::to_vec(&kept).unwrap_or_default();
        json!({
            "key": name(&self.etcd, &record.key),
            "value": BASE64_STANDARD.encode(kept),
            "lease": lease,
        })
    }

    /// The record in the answer to a `range`, unless it has ended.
    fn found(&self, body: &Value) -> Result<Option<String>, StoreError> {
        let Some(found) = body.get("kvs") else {
            return Ok(None);
        };
        let value = found.pointer("/0/value").and_then(Value::as_str);
        let value = value.and_then(|value| BASE64_STANDARD.decode(value).ok());
        let kept = value.and_then(|value| serde_json::from_slice::<Kept>(&value).ok());
        let kept = kept.ok_or(StoreError::Unavailable)?;
        Ok((self.now < kept.expires).then_some(kept.value))
    }
}

/// The name of a record as etcd's gateway takes it.
fn name(etcd: &Etcd, key: &Key) -> String {
    BASE64_STANDARD.encode(format!("{}{}", etcd.prefix, key.as_str()))
}

fn call(etcd: &Etcd, path: &str, body: &Value) -> Call {
    Call {
        cluster: etcd.cluster.clone(),
        headers: vec![
            (":method", "POST".to_owned()),
            (":path", path.to_owned()),
            (":authority", etcd.authority.clone()),
            ("content-type", "application/json".to_owned()),
        ],
        body: body.to_string().into_bytes(),
    }
}

#[cfg(test)]
mod tests;
