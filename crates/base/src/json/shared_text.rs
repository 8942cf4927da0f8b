//! Texts that are parts of one input, and keep it in memory.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::Span;

/// A text. Most texts of a message are parts of it, so that a message is copied once, and not once for each of its
/// texts.
#[derive(Clone, Default)]
pub struct SharedText {
    /// The text that this is a part of. `None`: this is empty.
    source: Option<Rc<str>>,
    part: Span,
}

impl SharedText {
    /// A part of a text. A part that does not exist is empty.
    pub(super) fn of_part(source: &Rc<str>, part: Span) -> Self {
        Self {
            source: Some(Rc::clone(source)),
            part,
        }
    }

    /// The text.
    #[inline]
    pub fn as_str(&self) -> &str {
        let source = self.source.as_deref().unwrap_or_default();
        source.get(self.part.clone()).unwrap_or_default()
    }
}

impl Deref for SharedText {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for SharedText {
    fn from(text: String) -> Self {
        let part = 0..text.len();
        Self {
            source: Some(text.into()),
            part,
        }
    }
}

impl From<&SharedText> for String {
    fn from(text: &SharedText) -> Self {
        (**text).to_owned()
    }
}

impl PartialEq for SharedText {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for SharedText {}

impl PartialEq<str> for SharedText {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<String> for SharedText {
    fn eq(&self, other: &String) -> bool {
        **self == **other
    }
}

impl PartialEq<&str> for SharedText {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}
