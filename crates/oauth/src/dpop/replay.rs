//! The proofs a worker has accepted: each is accepted once (RFC 9449 section 11.1).

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::time::Duration;

use super::{Proof, ProofError, Thumbprint};
use base::time::UnixTime;

/// The number of proofs that a worker remembers. If more arrive within the window, the oldest are
/// forgotten and proofs of their age are refused, so that no proof is accepted twice.
const MAX_REMEMBERED_PROOFS: usize = 65_536;
/// Proofs with an `iat` further ahead may fill a quarter of the memory only: they stay there
/// the longest, and an attacker could choose to make such proofs.
const MAX_AHEAD: Duration = Duration::from_secs(5);

type ProofId = [u8; 16];

/// The proofs that one worker has accepted.
#[derive(Debug)]
pub(crate) struct SeenProofs {
    seen: HashSet<ProofId>,
    /// The same, by `iat`.
    by_issued: BTreeMap<UnixTime, Vec<ProofId>>,
    /// Proofs with an `iat` up to here may have been forgotten.
    forgotten: Option<UnixTime>,
    capacity: usize,
}

impl SeenProofs {
    pub(crate) fn new() -> Self {
        Self {
            seen: HashSet::new(),
            by_issued: BTreeMap::new(),
            forgotten: None,
            capacity: MAX_REMEMBERED_PROOFS,
        }
    }

    /// Accepts a proof whose signature was checked, unless it was accepted before.
    pub(crate) fn take(
        &mut self,
        proof: &Proof<'_>,
        key: &Thumbprint,
        now: UnixTime,
    ) -> Result<(), ProofError> {
        let is_over = |made: UnixTime| made.saturating_add(proof.window) < now;
        while let Some(oldest) = self.oldest()
            && is_over(oldest)
        {
            // They have expired, unless the clock is set back.
            self.forgotten = self.forgotten.max(Some(oldest));
            self.forget_oldest();
        }
        let name = proof.unique_id(key);
        if self.seen.contains(&name) {
            return Err(ProofError::Replayed);
        }
        if proof.issued > now.saturating_add(MAX_AHEAD)
            && self.count_ahead(now) >= self.capacity / 4
        {
            return Err(ProofError::Time);
        }
        if self.seen.len() >= self.capacity {
            self.forgotten = self.forgotten.max(self.oldest());
            self.forget_oldest();
        }
        if self.forgotten.is_some_and(|until| proof.issued <= until) {
            return Err(ProofError::Time);
        }
        self.seen.insert(name);
        self.by_issued.entry(proof.issued).or_default().push(name);
        Ok(())
    }

    fn oldest(&self) -> Option<UnixTime> {
        self.by_issued.keys().next().copied()
    }

    /// Forgets the proofs of the oldest second.
    fn forget_oldest(&mut self) {
        let (_, names) = self.by_issued.pop_first().unwrap_or_default();
        for name in names {
            self.seen.remove(&name);
        }
    }

    fn count_ahead(&self, now: UnixTime) -> usize {
        let after = Bound::Excluded(now.saturating_add(MAX_AHEAD));
        let ahead = self.by_issued.range((after, Bound::Unbounded));
        ahead.map(|(_, names)| names.len()).sum()
    }
}

impl Proof<'_> {
    /// Identifies the proof by its key and its `jti`: callers may choose the same `jti`.
    pub(crate) fn unique_id(&self, key: &Thumbprint) -> ProofId {
        let hash = hmac_sha256::Hash::hash(format!("{} {}", key.0, self.id).as_bytes());
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(hash) {
            *to = from;
        }
        name
    }

    /// When no replica accepts the proof any more, even if its clock differs by the window.
    pub(crate) fn usable_until(&self) -> UnixTime {
        self.issued.saturating_add(self.window.saturating_mul(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Algorithm;

    const NOW: u64 = 1_900_000_000;
    const WINDOW: u64 = 300;

    fn proof(id: &str, issued: u64) -> Proof<'static> {
        Proof {
            signed: "",
            signature: Vec::new(),
            algorithm: Algorithm::ES256,
            jwk: String::new(),
            id: id.to_owned(),
            issued: UnixTime::from_secs(issued),
            window: Duration::from_secs(WINDOW),
        }
    }

    fn key(name: &str) -> Thumbprint {
        Thumbprint(name.to_owned())
    }

    #[test]
    fn b44_a_proof_is_accepted_once() {
        let mut seen = SeenProofs::new();
        let first = proof("a", NOW);
        assert_eq!(
            seen.take(&first, &key("k"), UnixTime::from_secs(NOW)),
            Ok(())
        );
        for now in NOW..=NOW + WINDOW {
            let again = seen.take(&first, &key("k"), UnixTime::from_secs(now));
            assert_eq!(again, Err(ProofError::Replayed));
        }
        // The same `jti` with another `iat` is the same proof.
        let later = proof("a", NOW + 1);
        assert_eq!(
            seen.take(&later, &key("k"), UnixTime::from_secs(NOW + 1)),
            Err(ProofError::Replayed)
        );
        assert_eq!(
            seen.take(&proof("b", NOW), &key("k"), UnixTime::from_secs(NOW)),
            Ok(())
        );
        assert_eq!(
            seen.take(&first, &key("other"), UnixTime::from_secs(NOW)),
            Ok(())
        );
    }

    #[test]
    fn expired_proofs_are_forgotten() {
        let mut seen = SeenProofs::new();
        for number in 0..100 {
            let proof = proof(&number.to_string(), NOW + number);
            assert_eq!(
                seen.take(&proof, &key("k"), UnixTime::from_secs(NOW + number)),
                Ok(())
            );
        }
        let late = NOW + 100 + WINDOW;
        assert_eq!(
            seen.take(&proof("x", late), &key("k"), UnixTime::from_secs(late)),
            Ok(())
        );
        assert_eq!(seen.seen.len(), 1);
    }

    #[test]
    fn b44_a_full_memory_refuses_old_proofs_and_accepts_none_twice() {
        let mut seen = SeenProofs {
            capacity: 10,
            ..SeenProofs::new()
        };
        let proofs: Vec<_> = (0..30)
            .map(|number: u64| proof(&number.to_string(), NOW + number))
            .collect();
        for (number, proof) in (0..).zip(&proofs) {
            assert_eq!(
                seen.take(proof, &key("k"), UnixTime::from_secs(NOW + number)),
                Ok(())
            );
        }
        assert_eq!(seen.seen.len(), 10);
        for proof in &proofs {
            assert!(
                seen.take(proof, &key("k"), UnixTime::from_secs(NOW + 30))
                    .is_err()
            );
        }
        // An unused proof of the age of a forgotten one is refused too.
        let old = seen.take(
            &proof("unused", NOW + 5),
            &key("k"),
            UnixTime::from_secs(NOW + 30),
        );
        assert_eq!(old, Err(ProofError::Time));
        let fresh = seen.take(
            &proof("fresh", NOW + 30),
            &key("k"),
            UnixTime::from_secs(NOW + 30),
        );
        assert_eq!(fresh, Ok(()));
    }

    #[test]
    fn k6_a_proof_that_was_forgotten_is_not_taken_after_the_clock_was_set_back() {
        let mut seen = SeenProofs::new();
        let first = proof("a", NOW);
        assert_eq!(
            seen.take(&first, &key("k"), UnixTime::from_secs(NOW)),
            Ok(())
        );
        let ahead = NOW + 10 * WINDOW;
        assert_eq!(
            seen.take(&proof("b", ahead), &key("k"), UnixTime::from_secs(ahead)),
            Ok(())
        );
        assert_eq!(
            seen.take(&first, &key("k"), UnixTime::from_secs(NOW)),
            Err(ProofError::Time)
        );
        let fresh = proof("c", NOW + 1);
        assert_eq!(
            seen.take(&fresh, &key("k"), UnixTime::from_secs(NOW + 1)),
            Ok(())
        );
    }

    #[test]
    fn b44_proofs_from_the_future_do_not_displace_others() {
        let mut seen = SeenProofs {
            capacity: 400,
            ..SeenProofs::new()
        };
        let mut taken = 0;
        for number in 0..1000 {
            let ahead = proof(&number.to_string(), NOW + WINDOW);
            taken += usize::from(
                seen.take(&ahead, &key("busy"), UnixTime::from_secs(NOW))
                    .is_ok(),
            );
        }
        assert_eq!(taken, 100);
        for number in 0..1000 {
            let now = NOW + number / 50;
            let id = number.to_string();
            // Clocks differ by a second.
            let honest = proof(&id, now.saturating_sub(number % 2));
            assert_eq!(
                seen.take(&honest, &key("k"), UnixTime::from_secs(now)),
                Ok(()),
                "{id}"
            );
            let again = seen.take(&honest, &key("k"), UnixTime::from_secs(now));
            assert_eq!(again, Err(ProofError::Replayed), "{id}");
        }
        let ahead = proof("0", NOW + WINDOW);
        let again = seen.take(&ahead, &key("busy"), UnixTime::from_secs(NOW + WINDOW));
        assert_eq!(again, Err(ProofError::Replayed));
    }
}
