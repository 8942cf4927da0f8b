//! Records in etcd, through the JSON gateway of its v3 API.
//!
//! Each record has a lease, so that etcd deletes it. A lease may end late, so the expiry is checked here
//! as well.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Key, StoreError, StoreOperation, StoreRecord, Stored};
use crate::http::{HttpRequest, HttpResponse};

/// How to reach etcd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// The Envoy cluster.
    pub cluster: String,
    /// The `:authority` of calls.
    pub authority: String,
    /// The prefix of all keys.
    pub prefix: String,
}

/// An operation in progress.
#[derive(Debug)]
pub struct Job {
    etcd: Etcd,
    operation: StoreOperation,
    now: u64,
    sent: EtcdRequest,
}

/// The request that was sent last.
#[derive(Debug)]
enum EtcdRequest {
    /// Grants a lease for the record to write.
    Lease,
    /// The operation itself, with its lease if it writes.
    StoreOperation(Option<String>),
    /// Revokes the lease of a write that lost. Its outcome does not matter.
    Revocation,
}

/// What an operation does next.
#[derive(Debug, PartialEq, Eq)]
pub enum EtcdProgress {
    /// It sends another request.
    Call(HttpRequest),
    /// It ended with this outcome.
    Over(Result<Stored, StoreError>),
}

#[derive(Serialize, Deserialize)]
struct EtcdValue {
    value: String,
    expires: u64,
}

impl Job {
    /// Starts an operation. Returns its first request.
    pub fn start(etcd: &Etcd, operation: StoreOperation, now: u64) -> (Self, HttpRequest) {
        let plain = EtcdRequest::StoreOperation(None);
        let (path, body, sent) = match &operation {
            StoreOperation::Get(key) => ("/v3/kv/range", json!({"key": name(etcd, key)}), plain),
            StoreOperation::Delete(key) => {
                ("/v3/kv/deleterange", json!({"key": name(etcd, key)}), plain)
            }
            StoreOperation::Put(record)
            | StoreOperation::Create(record)
            | StoreOperation::Replace(_, record) => {
                let seconds = record.expires.saturating_sub(now).max(1);
                let body = json!({"TTL": seconds.to_string()});
                ("/v3/lease/grant", body, EtcdRequest::Lease)
            }
        };
        let call = call(etcd, path, &body);
        let etcd = etcd.clone();
        let job = Self {
            etcd,
            operation,
            now,
            sent,
        };
        (job, call)
    }

    /// Takes the response to the last request; `None` if no response arrived.
    pub fn answered(&mut self, answer: Option<&HttpResponse>) -> EtcdProgress {
        if matches!(self.sent, EtcdRequest::Revocation) {
            return EtcdProgress::Over(Ok(Stored::Created(false)));
        }
        let body = answer
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
            // Every response of etcd has a `header`.
            .filter(|body| body.get("header").is_some());
        let Some(body) = body else {
            return EtcdProgress::Over(Err(StoreError::Unavailable));
        };
        let lease = match &self.sent {
            EtcdRequest::StoreOperation(lease) => lease.clone(),
            EtcdRequest::Lease | EtcdRequest::Revocation => return self.write(&body),
        };
        EtcdProgress::Over(match (&self.operation, lease) {
            (StoreOperation::Get(_), _) => self.found(&body).map(Stored::Value),
            (StoreOperation::Put(_) | StoreOperation::Delete(_), _) => Ok(Stored::Done),
            // etcd omits `succeeded` where it is false.
            (StoreOperation::Create(_) | StoreOperation::Replace(..), lease) => {
                match (body.get("succeeded"), lease) {
                    (None | Some(Value::Bool(false)), Some(lease)) => {
                        self.sent = EtcdRequest::Revocation;
                        let revoke = json!({"ID": lease});
                        return EtcdProgress::Call(call(&self.etcd, "/v3/lease/revoke", &revoke));
                    }
                    (Some(Value::Bool(true)), _) => Ok(Stored::Created(true)),
                    _ => Err(StoreError::Unavailable),
                }
            }
        })
    }

    /// Writes the record with the lease that etcd granted.
    fn write(&mut self, body: &Value) -> EtcdProgress {
        let Some(lease) = body.get("ID").and_then(Value::as_str) else {
            return EtcdProgress::Over(Err(StoreError::Unavailable));
        };
        self.sent = EtcdRequest::StoreOperation(Some(lease.to_owned()));
        match &self.operation {
            StoreOperation::Put(record) => {
                let put = self.put(record, lease);
                EtcdProgress::Call(call(&self.etcd, "/v3/kv/put", &put))
            }
            StoreOperation::Create(record) => {
                let compare = json!({
                    "key": name(&self.etcd, &record.key),
                    "target": "CREATE",
                    "result": "EQUAL",
                    "create_revision": "0",
                });
                EtcdProgress::Call(self.put_if(&compare, record, lease))
            }
            StoreOperation::Replace(old, record) => {
                let compare = json!({
                    "key": name(&self.etcd, &old.key),
                    "target": "VALUE",
                    "result": "EQUAL",
                    "value": kept(old),
                });
                EtcdProgress::Call(self.put_if(&compare, record, lease))
            }
            StoreOperation::Get(_) | StoreOperation::Delete(_) => {
                EtcdProgress::Over(Err(StoreError::Unavailable))
            }
        }
    }

    /// Writes a record if a comparison holds.
    fn put_if(&self, compare: &Value, record: &StoreRecord, lease: &str) -> HttpRequest {
        let put = json!({"request_put": self.put(record, lease)});
        let transaction = json!({"compare": [compare], "success": [put]});
        call(&self.etcd, "/v3/kv/txn", &transaction)
    }

    fn put(&self, record: &StoreRecord, lease: &str) -> Value {
        json!({
            "key": name(&self.etcd, &record.key),
            "value": kept(record),
            "lease": lease,
        })
    }

    /// The record in the response to a `range` request, unless it has expired.
    fn found(&self, body: &Value) -> Result<Option<String>, StoreError> {
        let Some(found) = body.get("kvs") else {
            return Ok(None);
        };
        let value = found.pointer("/0/value").and_then(Value::as_str);
        let value = value.and_then(|value| BASE64_STANDARD.decode(value).ok());
        let kept = value.and_then(|value| serde_json::from_slice::<EtcdValue>(&value).ok());
        let kept = kept.ok_or(StoreError::Unavailable)?;
        Ok((self.now < kept.expires).then_some(kept.value))
    }
}

/// A record's value and expiry, in the base64 form of the JSON gateway.
fn kept(record: &StoreRecord) -> String {
    let kept = EtcdValue {
        value: record.value.clone(),
        expires: record.expires,
    };
    BASE64_STANDARD.encode(serde_json::to_vec(&kept).unwrap_or_default())
}

/// A record's key, in the base64 form of the JSON gateway.
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
