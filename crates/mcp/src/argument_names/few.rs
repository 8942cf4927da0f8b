//! Short lists.

use std::iter::Chain;
use std::{option, slice};

/// A list that mostly has at most one entry. The first entry needs no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Few<T> {
    first: Option<T>,
    others: Vec<T>,
}

impl<T> Few<T> {
    /// No entries.
    pub const NONE: Self = Self {
        first: None,
        others: Vec::new(),
    };

    /// The entries.
    #[inline]
    pub fn iter(&self) -> Chain<option::Iter<'_, T>, slice::Iter<'_, T>> {
        self.first.iter().chain(&self.others)
    }

    /// Whether there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> From<Option<T>> for Few<T> {
    #[inline]
    fn from(first: Option<T>) -> Self {
        Self {
            first,
            ..Self::NONE
        }
    }
}

impl<T> FromIterator<T> for Few<T> {
    fn from_iter<I: IntoIterator<Item = T>>(entries: I) -> Self {
        let mut entries = entries.into_iter();
        Self {
            first: entries.next(),
            others: entries.collect(),
        }
    }
}

impl<'f, T> IntoIterator for &'f Few<T> {
    type Item = &'f T;
    type IntoIter = Chain<option::Iter<'f, T>, slice::Iter<'f, T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
