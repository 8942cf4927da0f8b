//! Proofs that were used: each counts once (RFC 9449 section 11.1).

use std::collections::{BTreeMap, HashSet};

use super::{Proof, ProofError, Thumbprint};

/// How many proofs a worker remembers. With more of them in the time a proof counts for, that time
/// becomes shorter; a proof that may have been seen is never taken for a new one.
const REMEMBERED: usize = 65_536;
/// A proof made more seconds ahead is one of a clock that is off, or of somebody who means to fill
/// the memory with proofs that stay: they get a part of it only.
const AHEAD: u64 = 5;

type Name = [u8; 16];

/// The proofs one worker has seen.
#[derive(Debug)]
pub(crate) struct SeenProofs {
    seen: HashSet<Name>,
    /// The same, by the second in which they were made.
    made: BTreeMap<u64, Vec<Name>>,
    /// Proofs made up to here may have been forgotten.
    forgotten: Option<u64>,
    capacity: usize,
}

impl SeenProofs {
    pub(crate) fn new() -> Self {
        Self {
            seen: HashSet::new(),
            made: BTreeMap::new(),
            forgotten: None,
            capacity: REMEMBERED,
        }
    }

    /// Takes a proof of this key, whose signature was checked.
    pub(crate) fn take(
        &mut self,
        proof: &Proof<'_>,
        key: &Thumbprint,
        now: u64,
    ) -> Result<(), ProofError> {
        let is_over = |made: u64| made.saturating_add(proof.window) < now;
        while self.oldest().is_some_and(is_over) {
            self.forget_oldest();
        }
        let name = proof.name(key);
        if self.seen.contains(&name) {
            return Err(ProofError::Replayed);
        }
        if proof.issued > now.saturating_add(AHEAD) && self.made_ahead(now) >= self.capacity / 4 {
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
        self.made.entry(proof.issued).or_default().push(name);
        Ok(())
    }

    fn oldest(&self) -> Option<u64> {
        self.made.keys().next().copied()
    }

    /// Forgets the proofs of the oldest second.
    fn forget_oldest(&mut self) {
        let (_, names) = self.made.pop_first().unwrap_or_default();
        for name in names {
            self.seen.remove(&name);
        }
    }

    fn made_ahead(&self, now: u64) -> usize {
        let ahead = self
            .made
            .range(now.saturating_add(AHEAD).saturating_add(1)..);
        ahead.map(|(_, names)| names.len()).sum()
    }
}

impl Proof<'_> {
    /// A proof is named by its key and its `jti`: one caller's names are not another's.
    pub(crate) fn name(&self, key: &Thumbprint) -> Name {
        let hash = hmac_sha256::Hash::hash(format!("{} {}", key.0, self.id).as_bytes());
        let mut name = [0; 16];
        for (to, from) in name.iter_mut().zip(hash) {
            *to = from;
        }
        name
    }

    /// When it counts nowhere any more: other clocks may be off as well.
    pub(crate) fn usable_until(&self) -> u64 {
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

    #[test]
    fn b44_who_makes_proofs_ahead_of_time_shuts_nobody_out() {
        let mut seen = SeenProofs {
            capacity: 400,
            ..SeenProofs::new()
        };
        let mut taken = 0;
        for number in 0..1000 {
            let ahead = proof(&number.to_string(), NOW + WINDOW);
            taken += usize::from(seen.take(&ahead, &key("busy"), NOW).is_ok());
        }
        assert_eq!(taken, 100);
        for number in 0..1000 {
            let now = NOW + number / 50;
            let id = number.to_string();
            // Clocks differ by a second.
            let honest = proof(&id, now.saturating_sub(number % 2));
            assert_eq!(seen.take(&honest, &key("k"), now), Ok(()), "{id}");
            let again = seen.take(&honest, &key("k"), now);
            assert_eq!(again, Err(ProofError::Replayed), "{id}");
        }
        let ahead = proof("0", NOW + WINDOW);
        let again = seen.take(&ahead, &key("busy"), NOW + WINDOW);
        assert_eq!(again, Err(ProofError::Replayed));
    }
}
