//! Argument names compared the way lenient servers compare them.
//!
//! A server may read `User_ID`, `userId`, `user.id`, `u\u{17f}er_id` or full-width letters as
//! `user_id`: by case-insensitive decoding, field aliases or Unicode normalisation. All of them
//! fold to one form here.

use std::borrow::Cow;
use std::collections::HashMap;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Which entry of a [`NameTable`] a key matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(usize);

/// A set of folded names that keys are looked up in.
#[derive(Debug, Default)]
pub struct NameTable {
    ids: HashMap<Box<str>, NameId>,
    names: Vec<Box<str>>,
    /// For each length, which first letters occur: most keys are ruled out by two bytes.
    first_letters: Vec<u64>,
}

impl NameTable {
    /// Adds a name, written in any way, and returns its id. Names that fold alike have one id.
    pub fn add(&mut self, name: &str) -> NameId {
        let folded = fold(name);
        if let Some(id) = self.ids.get(folded.as_ref()) {
            return *id;
        }
        let id = NameId(self.names.len());
        if self.first_letters.len() <= folded.len() {
            self.first_letters.resize(folded.len().saturating_add(1), 0);
        }
        if let Some(letters) = self.first_letters.get_mut(folded.len()) {
            *letters |= first_letter_bit(&folded);
        }
        self.names.push(name.into());
        self.ids.insert(folded.into(), id);
        id
    }

    /// The name as it was first added.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id.0).map_or("", AsRef::as_ref)
    }

    /// Looks up a key that is already folded.
    pub fn find(&self, folded: &str) -> Option<NameId> {
        let letters = *self.first_letters.get(folded.len())?;
        if letters & first_letter_bit(folded) == 0 {
            return None;
        }
        self.ids.get(folded).copied()
    }
}

fn first_letter_bit(folded: &str) -> u64 {
    1 << (folded.as_bytes().first().copied().unwrap_or_default() & 63)
}

/// The form in which names are compared: lower case, compatibility characters and full-width
/// letters resolved, without separators, accents, punctuation and invisible characters.
pub fn fold(name: &str) -> Cow<'_, str> {
    if name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    {
        return Cow::Borrowed(name);
    }
    if name.is_ascii() {
        return Cow::Owned(
            name.chars()
                .filter(char::is_ascii_alphanumeric)
                .map(|character| character.to_ascii_lowercase())
                .collect(),
        );
    }
    // Upper case first: that also resolves characters whose only relation is a shared capital,
    // such as the long s and the dotless i.
    let folded = name
        .nfkd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|character| character.is_alphanumeric() && !is_combining_mark(*character))
        .filter(|character| !matches!(character, '\u{115F}' | '\u{1160}')) // invisible letters
        .collect();
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b02_spellings_of_one_name_fold_alike() {
        for spelling in [
            "user_id",
            "userId",
            "USER-ID",
            "user.id",
            "User Id",
            "u\u{17f}er_id",
            "u\u{17f}erId",
            "ｕｓｅｒ＿ｉｄ",
            "user\u{200b}_id",
            "us\u{ad}er_id",
            "user_\u{131}d",
            "user_\u{130}D",
            "u\u{115f}ser_id",
            "𝐮𝐬𝐞𝐫_𝐢𝐝",
            "user\u{feff}id",
            "user\0id",
            "user__id_",
        ] {
            assert_eq!(fold(spelling), "userid", "{spelling:?}");
        }
        assert_eq!(fold("to\u{212a}en"), "token");
        assert_eq!(fold("acceß_id"), "accessid");
    }

    #[test]
    fn other_names_stay_apart() {
        for (one, other) in [("user_id", "user_ids"), ("名前", "名"), ("user", "us")] {
            assert_ne!(fold(one), fold(other));
        }
    }

    #[test]
    fn finds_what_was_added_and_nothing_else() {
        let mut table = NameTable::default();
        let user = table.add("user_id");
        let organization = table.add("organization_id");
        assert_eq!(table.add("userId"), user);
        assert_eq!(table.find(&fold("USER-ID")), Some(user));
        assert_eq!(table.find("organizationid"), Some(organization));
        assert_eq!(table.find("userip"), None);
        assert_eq!(table.find(""), None);
        assert_eq!(table.name(user), "user_id");
    }
}
