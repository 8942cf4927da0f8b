//! Points in time.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// The crates never read a clock. Their callers say what time it is.
///
/// ```
/// use std::time::Duration;
/// use mcp_auth_base::time::UnixTime;
///
/// let start = UnixTime::from_secs(1_900_000_000);
/// let later = start.saturating_add(Duration::from_secs(30));
/// assert_eq!(later.as_secs(), 1_900_000_030);
/// assert_eq!(later.since(start), Duration::from_secs(30));
/// assert_eq!(start.since(later), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixTime {
    millis: u64,
}

impl UnixTime {
    /// The latest time there is, for what never ends.
    pub const MAX: Self = Self { millis: u64::MAX };

    /// A time in whole seconds; the latest there is if milliseconds cannot count it.
    pub const fn from_secs(seconds: u64) -> Self {
        let millis = seconds.saturating_mul(1000);
        Self { millis }
    }

    /// A time in milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self { millis }
    }

    /// The time that a clock shows: a duration since 1970.
    pub fn from_duration(since_epoch: Duration) -> Self {
        let millis = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX);
        Self { millis }
    }

    /// The time without its milliseconds. Tokens and records count seconds.
    #[must_use]
    pub const fn whole_seconds(self) -> Self {
        Self::from_secs(self.as_secs())
    }

    /// Whole seconds; the rest is dropped.
    pub const fn as_secs(self) -> u64 {
        self.millis / 1000
    }

    /// Milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.millis
    }

    /// The time after a duration, or the latest there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            millis: self.millis.saturating_add(millis),
        }
    }

    /// The time before a duration, or 1970.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            millis: self.millis.saturating_sub(millis),
        }
    }

    /// How long after `earlier` this is; zero if it is before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis.saturating_sub(earlier.millis))
    }

    /// The time between two times, in any order.
    pub fn abs_diff(self, other: Self) -> Duration {
        Duration::from_millis(self.millis.abs_diff(other.millis))
    }
}

/// Written as whole Unix seconds.
impl Serialize for UnixTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_secs().serialize(serializer)
    }
}

/// Read as whole Unix seconds.
impl<'de> Deserialize<'de> for UnixTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self::from_secs)
    }
}
