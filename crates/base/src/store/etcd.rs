//! Records in etcd, through the JSON gateway of its v3 API.
//!
//! Each record has a lease, so that etcd deletes it. Records that end at about the same time share one, so
//! a worker has few leases. A lease ends later than its records, so the expiry is checked here as well.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Key, Room, StoreError, StoreOperation, StoreRecord, Stored};
use crate::http::{HttpRequest, HttpResponse};
use crate::time::UnixTime;

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

/// How many records an owner may have (accounts, conversations, questions), at about the same time.
const MAX_OWNER_RECORDS: u64 = 128;

/// The leases of a worker that can take more records: their ids by their ends.
#[derive(Debug, Default)]
pub struct Leases(BTreeMap<UnixTime, String>);

/// An operation in progress.
#[derive(Debug)]
pub struct Job {
    etcd: Etcd,
    operation: StoreOperation,
    now: UnixTime,
    sent: EtcdRequest,
}

/// The request that was sent last.
#[derive(Debug)]
enum EtcdRequest {
    /// Counts the records of the owner.
    Count,
    /// Grants a lease that ends at this time.
    Lease(UnixTime),
    /// The operation itself. With a lease that was granted for an earlier one, by its end, it is tried again
    /// if that lease is gone.
    StoreOperation(Option<UnixTime>),
    /// Creates a record over one that has expired.
    CreateOverExpired,
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
    expires: UnixTime,
}

impl Leases {
    /// The end of the lease for a record. The longer the record lasts, the more others share its lease.
    fn end_for(expires: UnixTime, now: UnixTime) -> UnixTime {
        let lasts = expires.since(now).as_secs();
        let step = match lasts {
            0..=900 => 60,
            901..=14_400 => 900,
            _ => 14_400,
        };
        let seconds = expires.max(now).as_secs().saturating_add(1);
        UnixTime::from_secs(seconds.div_ceil(step).saturating_mul(step))
    }

    fn forget_ended(&mut self, now: UnixTime) {
        self.0.retain(|end, _| now < *end);
    }
}

impl Job {
    /// Starts an operation. Returns its first request.
    pub fn start(
        etcd: &Etcd,
        leases: &mut Leases,
        operation: StoreOperation,
        now: UnixTime,
    ) -> (Self, HttpRequest) {
        let mut job = Self {
            etcd: etcd.clone(),
            operation,
            now,
            sent: EtcdRequest::StoreOperation(None),
        };
        let request = match &job.operation {
            StoreOperation::Get(key) => {
                call(etcd, "/v3/kv/range", &json!({"key": name(etcd, key)}))
            }
            StoreOperation::Delete(key) => {
                call(etcd, "/v3/kv/deleterange", &json!({"key": name(etcd, key)}))
            }
            StoreOperation::DeleteRecord(record) => job.delete_if_same(record),
            StoreOperation::Put(record) | StoreOperation::Create(record)
                if record.key.room() == Room::Owned =>
            {
                job.sent = EtcdRequest::Count;
                call(etcd, "/v3/kv/range", &all_of_owner(etcd, &record.key))
            }
            StoreOperation::Put(_) | StoreOperation::Create(_) | StoreOperation::Replace(..) => {
                job.lease(leases)
            }
        };
        (job, request)
    }

    /// The operation.
    pub fn operation(&self) -> &StoreOperation {
        &self.operation
    }

    /// Takes the response to the last request; `None` if no response arrived.
    pub fn answered(&mut self, leases: &mut Leases, answer: Option<&HttpResponse>) -> EtcdProgress {
        if let EtcdRequest::StoreOperation(Some(end)) = self.sent
            && answer.is_some_and(is_lease_gone)
        {
            leases.0.remove(&end);
            return EtcdProgress::Call(self.grant(end));
        }
        let body = answer
            .filter(|answer| answer.status == 200)
            .and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
            // Every response of etcd has a `header`.
            .filter(|body| body.get("header").is_some());
        let Some(body) = body else {
            return EtcdProgress::Over(Err(StoreError::Unavailable));
        };
        let created = || body.get("succeeded") == Some(&Value::Bool(true));
        EtcdProgress::Over(match (&self.sent, &self.operation) {
            (EtcdRequest::Count, _) => match count(&body) {
                Some(count) if count < MAX_OWNER_RECORDS => {
                    return EtcdProgress::Call(self.lease(leases));
                }
                Some(_) => Err(StoreError::Full),
                None => Err(StoreError::Unavailable),
            },
            (EtcdRequest::Lease(end), _) => match body.get("ID").and_then(Value::as_str) {
                Some(lease) => {
                    let (end, lease) = (*end, lease.to_owned());
                    let write = self.write(&lease);
                    leases.0.insert(end, lease);
                    self.sent = EtcdRequest::StoreOperation(None);
                    return write.map_or(
                        EtcdProgress::Over(Err(StoreError::Unavailable)),
                        EtcdProgress::Call,
                    );
                }
                None => Err(StoreError::Unavailable),
            },
            (_, StoreOperation::Get(_)) => self.found(&body).map(Stored::Value),
            (_, StoreOperation::Put(_) | StoreOperation::Delete(_)) => Ok(Stored::Done),
            (EtcdRequest::StoreOperation(_), StoreOperation::Create(record)) if !created() => {
                let expired = self.expired(&body);
                let lease = leases.0.get(&Leases::end_for(record.expires, self.now));
                match (expired, lease) {
                    (Some(expired), Some(lease)) => {
                        let compare = self.holds(&record.key, &expired);
                        let request = self.put_if(&compare, record, lease);
                        self.sent = EtcdRequest::CreateOverExpired;
                        return EtcdProgress::Call(request);
                    }
                    _ => Ok(Stored::Created(false)),
                }
            }
            // etcd omits `succeeded` where it is false.
            (
                _,
                StoreOperation::Create(_)
                | StoreOperation::DeleteRecord(_)
                | StoreOperation::Replace(..),
            ) => Ok(Stored::Created(created())),
        })
    }

    /// The write with a lease of the worker, or the grant of a new lease.
    fn lease(&mut self, leases: &mut Leases) -> HttpRequest {
        leases.forget_ended(self.now);
        let end = match &self.operation {
            StoreOperation::Put(record)
            | StoreOperation::Create(record)
            | StoreOperation::Replace(_, record) => Leases::end_for(record.expires, self.now),
            StoreOperation::Get(_)
            | StoreOperation::Delete(_)
            | StoreOperation::DeleteRecord(_) => self.now,
        };
        let write = leases.0.get(&end).and_then(|lease| self.write(lease));
        match write {
            Some(write) => {
                self.sent = EtcdRequest::StoreOperation(Some(end));
                write
            }
            None => self.grant(end),
        }
    }

    fn grant(&mut self, end: UnixTime) -> HttpRequest {
        self.sent = EtcdRequest::Lease(end);
        let seconds = end.since(self.now).as_secs().max(1);
        let body = json!({"TTL": seconds.to_string()});
        call(&self.etcd, "/v3/lease/grant", &body)
    }

    /// Writes the record with a lease. `None`: the operation writes none.
    fn write(&self, lease: &str) -> Option<HttpRequest> {
        match &self.operation {
            StoreOperation::Put(record) => {
                let put = self.put(record, lease);
                Some(call(&self.etcd, "/v3/kv/put", &put))
            }
            StoreOperation::Create(record) => {
                let compare = json!({
                    "key": name(&self.etcd, &record.key),
                    "target": "CREATE",
                    "result": "EQUAL",
                    "create_revision": "0",
                });
                Some(self.put_if(&compare, record, lease))
            }
            StoreOperation::Replace(old, record) => {
                let compare = self.holds(&old.key, &kept(old));
                Some(self.put_if(&compare, record, lease))
            }
            StoreOperation::Get(_)
            | StoreOperation::Delete(_)
            | StoreOperation::DeleteRecord(_) => None,
        }
    }

    /// Deletes a record if it is still the same.
    fn delete_if_same(&self, record: &StoreRecord) -> HttpRequest {
        let compare = self.holds(&record.key, &kept(record));
        let delete = json!({"request_delete_range": {"key": name(&self.etcd, &record.key)}});
        let transaction = json!({"compare": [compare], "success": [delete]});
        call(&self.etcd, "/v3/kv/txn", &transaction)
    }

    /// The comparison of a record with a value, in the base64 form of the JSON gateway.
    fn holds(&self, key: &Key, value: &str) -> Value {
        json!({
            "key": name(&self.etcd, key),
            "target": "VALUE",
            "result": "EQUAL",
            "value": value,
        })
    }

    /// The expired record that a `Create` found in its place.
    fn expired(&self, body: &Value) -> Option<String> {
        let found = body.pointer("/responses/0/response_range/kvs/0/value")?;
        let kept = BASE64_STANDARD.decode(found.as_str()?).ok()?;
        let kept: EtcdValue = serde_json::from_slice(&kept).ok()?;
        (kept.expires <= self.now).then(|| found.as_str().map(str::to_owned))?
    }

    /// Writes a record if a comparison holds.
    fn put_if(&self, compare: &Value, record: &StoreRecord, lease: &str) -> HttpRequest {
        let put = json!({"request_put": self.put(record, lease)});
        let found = json!({"request_range": {"key": name(&self.etcd, &record.key)}});
        let transaction = json!({"compare": [compare], "success": [put], "failure": [found]});
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

/// Whether etcd does not know the lease of a write any more.
fn is_lease_gone(answer: &HttpResponse) -> bool {
    let body = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
    let error = body.get("error").and_then(Value::as_str);
    answer.status != 200 && error.is_some_and(|error| error.contains("lease not found"))
}

/// The number of records in a response. etcd omits it where it is 0.
fn count(body: &Value) -> Option<u64> {
    match body.get("count") {
        None => Some(0),
        Some(count) => count.as_str()?.parse().ok(),
    }
}

/// The request that counts the records of an owner. No digit follows `g`.
fn all_of_owner(etcd: &Etcd, key: &Key) -> Value {
    let encode =
        |end: &str| BASE64_STANDARD.encode(format!("{}{}{end}", etcd.prefix, key.of_owner()));
    json!({"key": encode(""), "range_end": encode("g"), "count_only": true})
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
        passed: Vec::new(),
        body: body.to_string().into_bytes(),
        timeout: None,
        max_answer: None,
    }
}

#[cfg(test)]
mod tests;
