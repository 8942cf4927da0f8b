//! Records in etcd, through the JSON gateway of its API (v3). A record has a lease, so that etcd
//! throws it out; the time is looked at here as well, since a lease may end late.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Key, Operation, Record, StoreError, Stored};
use crate::http::{HttpRequest, HttpResponse};

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
    stage: Stage,
}

/// What the last call was for.
#[derive(Debug)]
enum Stage {
    /// What is written goes with a lease, which comes first.
    Lease,
    /// The operation itself, with this lease.
    Operation(Option<String>),
    /// The lease of what somebody else had written before. Whatever comes of that.
    Revocation,
}

/// How an operation goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// With another call.
    Call(HttpRequest),
    /// It is over.
    Over(Result<Stored, StoreError>),
}

#[derive(Serialize, Deserialize)]
struct Kept {
    value: String,
    expires: u64,
}

impl Job {
    /// Begins an operation: the first call.
    pub fn start(etcd: &Etcd, operation: Operation, now: u64) -> (Self, HttpRequest) {
        let itself = Stage::Operation(None);
        let (path, body, stage) = match &operation {
            Operation::Get(key) => ("/v3/kv/range", json!({"key": name(etcd, key)}), itself),
            Operation::Delete(key) => (
                "/v3/kv/deleterange",
                json!({"key": name(etcd, key)}),
                itself,
            ),
            Operation::Put(record) | Operation::Create(record) | Operation::Replace(_, record) => {
                let seconds = record.expires.saturating_sub(now).max(1);
                let body = json!({"TTL": seconds.to_string()});
                ("/v3/lease/grant", body, Stage::Lease)
            }
        };
        let call = call(etcd, path, &body);
        let etcd = etcd.clone();
        let job = Self {
            etcd,
            operation,
            now,
            stage,
        };
        (job, call)
    }

    /// Goes on with the answer to the last call, if there was one.
    pub fn answered(&mut self, answer: Option<&HttpResponse>) -> Progress {
        if matches!(self.stage, Stage::Revocation) {
            return Progress::Over(Ok(Stored::Created(false)));
        }
        let body = answer
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
            // Of whatever else answers with JSON, nothing is believed.
            .filter(|body| body.get("header").is_some());
        let Some(body) = body else {
            return Progress::Over(Err(StoreError::Unavailable));
        };
        let lease = match &self.stage {
            Stage::Operation(lease) => lease.clone(),
            Stage::Lease | Stage::Revocation => return self.leased(&body),
        };
        Progress::Over(match (&self.operation, lease) {
            (Operation::Get(_), _) => self.found(&body).map(Stored::Value),
            (Operation::Put(_) | Operation::Delete(_), _) => Ok(Stored::Done),
            // Left out where it is false.
            (Operation::Create(_) | Operation::Replace(..), lease) => {
                match (body.get("succeeded"), lease) {
                    (None | Some(Value::Bool(false)), Some(lease)) => {
                        self.stage = Stage::Revocation;
                        let revoke = json!({"ID": lease});
                        return Progress::Call(call(&self.etcd, "/v3/lease/revoke", &revoke));
                    }
                    (Some(Value::Bool(true)), _) => Ok(Stored::Created(true)),
                    _ => Err(StoreError::Unavailable),
                }
            }
        })
    }

    /// Goes on with the lease of what is written.
    fn leased(&mut self, body: &Value) -> Progress {
        let Some(lease) = body.get("ID").and_then(Value::as_str) else {
            return Progress::Over(Err(StoreError::Unavailable));
        };
        self.stage = Stage::Operation(Some(lease.to_owned()));
        match &self.operation {
            Operation::Put(record) => {
                let put = self.put(record, lease);
                Progress::Call(call(&self.etcd, "/v3/kv/put", &put))
            }
            Operation::Create(record) => {
                let compare = json!({
                    "key": name(&self.etcd, &record.key),
                    "target": "CREATE",
                    "result": "EQUAL",
                    "create_revision": "0",
                });
                Progress::Call(self.put_if(compare, record, lease))
            }
            Operation::Replace(old, record) => {
                let compare = json!({
                    "key": name(&self.etcd, &old.key),
                    "target": "VALUE",
                    "result": "EQUAL",
                    "value": kept(old),
                });
                Progress::Call(self.put_if(compare, record, lease))
            }
            Operation::Get(_) | Operation::Delete(_) => {
                Progress::Over(Err(StoreError::Unavailable))
            }
        }
    }

    /// Writes a record if something holds.
    fn put_if(&self, holds: Value, record: &Record, lease: &str) -> HttpRequest {
        let put = json!({"request_put": self.put(record, lease)});
        let transaction = json!({"compare": [holds], "success": [put]});
        call(&self.etcd, "/v3/kv/txn", &transaction)
    }

    fn put(&self, record: &Record, lease: &str) -> Value {
        json!({
            "key": name(&self.etcd, &record.key),
            "value": kept(record),
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

/// What a record says as etcd's gateway takes it.
fn kept(record: &Record) -> String {
    let kept = Kept {
        value: record.value.clone(),
        expires: record.expires,
    };
    BASE64_STANDARD.encode(serde_json::to_vec(&kept).unwrap_or_default())
}

/// The name of a record as etcd's gateway takes it.
fn name(etcd: &Etcd, key: &Key) -> String {
    BASE64_STANDARD.encode(format!("{}{}", etcd.prefix, key.as_str()))
}

fn call(etcd: &Etcd, path: &str, body: &Value) -> HttpRequest {
    HttpRequest {
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
