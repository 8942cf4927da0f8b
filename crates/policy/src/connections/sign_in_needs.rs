//! How fresh and how strong the sign-in in a browser must be (OpenID Connect Core section 3.1.2.1).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Errors, PolicyError};
use crate::value::Period;
use base::time::UnixTime;

/// The range of `max_age`: a user needs some time to sign in.
const MAX_AGE: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(60)..=Duration::from_secs(90 * 24 * 3600);

/// The sign-in that a connection needs, in addition to that of the issuer.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SignInNeedsDocument {
    /// The maximum age of the sign-in, as `auth_time` of the ID token says it. 1m to 90d.
    pub max_age: Option<Period>,
    /// The accepted values of `acr` in the ID token, the preferred one first.
    pub acr: Vec<String>,
}

/// The sign-in that a page needs. It is kept with an authorization request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInNeeds {
    /// Its maximum age, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_s: Option<u64>,
    /// The accepted values of `acr`. Empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acr: Vec<String>,
}

/// Why a sign-in does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmetNeed {
    /// It is too old, or its time is not known.
    Age,
    /// Its `acr` is not an accepted one.
    Acr,
}

impl SignInNeeds {
    pub(super) fn compile(path: &str, document: &SignInNeedsDocument, errors: &mut Errors) -> Self {
        let mut refuse = |key: &str, message: &str| {
            errors.push(PolicyError::new(format!("{path}.{key}"), message));
        };
        let max_age = document.max_age.map(|period| period.0);
        if max_age.is_some_and(|max_age| !MAX_AGE.contains(&max_age)) {
            refuse("max_age", "expected 1m to 90d");
        }
        // `acr_values` has spaces between its values.
        let is_word = |value: &String| !value.is_empty() && !value.contains(char::is_whitespace);
        if !document.acr.iter().all(is_word) {
            refuse(
                "acr",
                "expected values without spaces, and none that is empty",
            );
        }
        Self {
            max_age_s: max_age.map(|max_age| max_age.as_secs()),
            acr: document.acr.clone(),
        }
    }

    /// Both needs. Of two ages the shorter one counts. The `acr` values of `more` replace the others.
    #[must_use]
    pub fn with(&self, more: &Self) -> Self {
        let ages = self.max_age_s.into_iter().chain(more.max_age_s);
        Self {
            max_age_s: ages.min(),
            acr: match more.acr.is_empty() {
                true => self.acr.clone(),
                false => more.acr.clone(),
            },
        }
    }

    /// The same with a maximum age, which is at least one minute.
    #[must_use]
    pub fn within(&self, max_age: Option<Duration>) -> Self {
        self.with(&Self {
            max_age_s: max_age.map(|age| age.max(*MAX_AGE.start()).as_secs()),
            acr: Vec::new(),
        })
    }

    /// Whether a sign-in suffices. `skew` is how far the issuer's clock may differ.
    ///
    /// # Errors
    ///
    /// It is too old or too weak.
    pub fn check(
        &self,
        (signed_in, acr): (Option<UnixTime>, Option<&str>),
        skew: Duration,
        now: UnixTime,
    ) -> Result<(), UnmetNeed> {
        if let Some(max_age) = self.max_age_s {
            let signed_in = signed_in.ok_or(UnmetNeed::Age)?;
            let last = signed_in.saturating_add(Duration::from_secs(max_age));
            // A time in the future says nothing about the age.
            let is_past = signed_in <= now.saturating_add(skew);
            if !is_past || now > last.saturating_add(skew) {
                return Err(UnmetNeed::Age);
            }
        }
        if !self.acr.is_empty() && !acr.is_some_and(|acr| self.acr.iter().any(|it| it == acr)) {
            return Err(UnmetNeed::Acr);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_900_000_000;

    #[test]
    fn a_sign_in_is_compared_with_each_need() {
        let needs = |max_age_s: Option<u64>, acr: &[&str]| SignInNeeds {
            max_age_s,
            acr: acr.iter().map(|&acr| acr.to_owned()).collect(),
        };
        let (none, age) = (needs(None, &[]), needs(Some(300), &[]));
        let (acr, both) = (needs(None, &["high", "mfa"]), needs(Some(300), &["mfa"]));
        let (old, weak) = (Err(UnmetNeed::Age), Err(UnmetNeed::Acr));
        for (needs, signed_in, acr, expected) in [
            (&none, None, None, Ok(())),
            (&age, Some(NOW), None, Ok(())),
            (&age, Some(NOW - 300), None, Ok(())),
            (&age, Some(NOW - 330), None, Ok(())),
            (&age, Some(NOW - 331), None, old),
            (&age, Some(0), None, old),
            (&age, None, None, old),
            (&age, Some(NOW + 30), None, Ok(())),
            (&age, Some(NOW + 31), None, old),
            (&age, Some(u64::MAX / 2000), None, old),
            (&acr, None, Some("mfa"), Ok(())),
            (&acr, None, Some("high"), Ok(())),
            (&acr, None, Some("MFA"), weak),
            (&acr, None, Some("high mfa"), weak),
            (&acr, None, Some("0"), weak),
            (&acr, None, None, weak),
            (&both, Some(NOW), Some("mfa"), Ok(())),
            (&both, Some(NOW), Some("high"), weak),
            (&both, Some(NOW - 900), Some("mfa"), old),
        ] {
            let signed_in = signed_in.map(UnixTime::from_secs);
            let skew = Duration::from_secs(30);
            let found = needs.check((signed_in, acr), skew, UnixTime::from_secs(NOW));
            assert_eq!(found, expected, "{needs:?} {signed_in:?} {acr:?}");
        }
        assert_eq!(age.with(&acr).acr, acr.acr);
        assert_eq!(both.with(&acr), needs(Some(300), &["high", "mfa"]));
        assert_eq!(age.within(Some(Duration::from_secs(5))).max_age_s, Some(60));
        assert_eq!(
            age.within(Some(Duration::from_secs(900))).max_age_s,
            Some(300)
        );
        assert_eq!(age.within(None), age);
    }
}
