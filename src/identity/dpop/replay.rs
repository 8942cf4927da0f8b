//! Proofs that were used: each counts once (RFC 9449 section 11.1).

use lru::LruCache;

use super::{Proof, ProofError, Thumbprint};

/// How many proofs a worker remembers. With more of them in the time a proof counts for, that time
/// becomes shorter; a proof that may have been seen is never taken for a new one.
const REMEMBERED: usize = 65_536;

/// The proofs one worker has seen.
#[derive(Debug)]
pub(in crate::identity) struct SeenProofs {
    /// When each was made, in the order in which they came.
    seen: LruCache<[u8; 16], u64>,
    /// Proofs made up to here may have been forgotten.
    forgotten: Option<u64>,
    capacity: usize,
}

impl SeenProofs {
    pub(in crate::identity) fn new() -> Self {
        Self {
            // It grows as it fills: most policies never use it.
            seen: LruCache::unbounded(),
            forgotten: None,
            capacity: REMEMBERED,
        }
    }

    /// Takes a proof of this key, whose signature was checked.
    pub(in crate::identity) fn take(
        &mut self,
        proof: &Proof<'_>,
        key: &Thumbprint,
        now: u64,
    ) -> Result<(), ProofError> {
        let is_over = |made: u64| made.saturating_add(proof.window) < now;
        while self.seen.peek_lru().is_some_and(|(_, made)| is_over(*made)) {
            self.seen.pop_lru();
        }
        let name = name(key, &proof.id);
        if self.seen.contains(&name) {
            return Err(ProofError::Replayed);
        }
        if self.forgotten.is_some_and(|until| proof.issued <= until) {
            return Err(ProofError::Time);
        }
        if self.seen.len() >= self.capacity
            && let Some((_, made)) = self.seen.pop_lru()
        {
            self.forgotten = self.forgotten.max(Some(made));
        }
        self.seen.put(name, proof.issued);
        Ok(())
    }
}

/// A proof is named by its key and its `jti`: one caller's names are not another's.
fn name(key: &Thumbprint, id: &str) -> [u8; 16] {
    let hash = hmac_sha256::Hash::hash(format!("{} {id}", key.0).as_bytes());
    let mut name = [0; 16];
    for (to, from) in name.iter_mut().zip(hash) {
        *to = from;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Algorithm;

    const NOW: u64 = 1_900_000_000;
    const WINDOW: u64 = 300;

    fn proof(id: &str, issued: u64) -> Proof<'static> {
        Proof {
            signed: "",
            signature: Vec::new(),
            algorithm: Algorithm::ES256,
            jwk: String::new(),
            id: id.to_owned(),
            issued,
            window: WINDOW,
        }
    }

    fn key(name: &str) -> Thumbprint {
        Thumbprint(name.to_owned())
    }

    #[test]
    fn b44_a_proof_counts_once() {
        let mut seen = SeenProofs::new();
        let first = proof("a", NOW);
        assert_eq!(seen.take(&first, &key("k"), NOW), Ok(()));
        for now in NOW..=NOW + WINDOW {
            let again = seen.take(&first, &key("k"), now);
            assert_eq!(again, Err(ProofError::Replayed));
        }
        // The same name at another time is the same name.
        let later = proof("a", NOW + 1);
        assert_eq!(
            seen.take(&later, &key("k"), NOW + 1),
            Err(ProofError::Replayed)
        );
        assert_eq!(seen.take(&proof("b", NOW), &key("k"), NOW), Ok(()));
        assert_eq!(seen.take(&first, &key("other"), NOW), Ok(()));
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let mut seen = SeenProofs::new();
        for number in 0..100 {
            let proof = proof(&number.to_string(), NOW + number);
            assert_eq!(seen.take(&proof, &key("k"), NOW + number), Ok(()));
        }
        let late = NOW + 100 + WINDOW;
        assert_eq!(seen.take(&proof("x", late), &key("k"), late), Ok(()));
        assert_eq!(seen.seen.len(), 1);
    }

    #[test]
    fn b44_a_full_memory_shortens_the_time_and_forgets_nothing_that_counts() {
        let mut seen = SeenProofs {
            capacity: 10,
            ..SeenProofs::new()
        };
        let proofs: Vec<_> = (0..30)
            .map(|number: u64| proof(&number.to_string(), NOW + number))
            .collect();
        for (number, proof) in (0..).zip(&proofs) {
            assert_eq!(seen.take(proof, &key("k"), NOW + number), Ok(()));
        }
        assert_eq!(seen.seen.len(), 10);
        for proof in &proofs {
            assert!(seen.take(proof, &key("k"), NOW + 30).is_err());
        }
        // An unused one of the same age as a forgotten one cannot be told from it.
        let old = seen.take(&proof("unused", NOW + 5), &key("k"), NOW + 30);
        assert_eq!(old, Err(ProofError::Time));
        let fresh = seen.take(&proof("fresh", NOW + 30), &key("k"), NOW + 30);
        assert_eq!(fresh, Ok(()));
    }
}
