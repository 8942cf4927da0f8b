//! Argument names, compared as lenient servers compare them.
//!
//! A server may read `User_ID`, `userId`, `user.id`, `u\u{17f}er_id` or full-width letters as
//! `user_id`: by case-insensitive decoding, field aliases or Unicode normalisation. All of them
//! fold to one form here.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Which entry of a [`NameTable`] a key matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(usize);

/// A set of folded names, to look up keys.
#[derive(Debug, Default)]
pub struct NameTable {
    /// Folded names with their ids, indexed by length.
    by_length: Vec<Bucket>,
    names: Vec<Box<str>>,
}

#[derive(Debug, Default)]
struct Bucket {
    /// The first letters that occur, as a bit set. Length and first letter rule out most keys.
    first_letters: u64,
    names: Vec<(Box<str>, NameId)>,
}

/// A key to look up. Its folded length and first letter are known; it is folded only if that takes
/// more than removing separators and lower-casing.
#[derive(Debug)]
pub struct Name<'k> {
    text: Cow<'k, str>,
    length: usize,
    first: u8,
}

impl<'k> Name<'k> {
    /// The empty name: the parent of a key at the top.
    pub const NONE: Name<'static> = Name {
        text: Cow::Borrowed(""),
        length: 0,
        first: 0,
    };

    /// The name in a key, without a prefix such as `com.example/`.
    #[inline]
    pub fn of_key(key: &'k str) -> Self {
        let mut sum = 0_u32;
        for &byte in key.as_bytes() {
            sum = sum.saturating_add(WEIGHTS.get(usize::from(byte)).copied().unwrap_or(0));
        }
        if sum < NEEDS_FOLDING {
            let kept = key.bytes().find(|byte| is_kept(*byte));
            let (length, first) = (sum as usize, kept.unwrap_or(0).to_ascii_lowercase());
            return Self {
                text: Cow::Borrowed(key),
                length,
                first,
            };
        }
        let own = key.rsplit_once('/').map_or(key, |(_, own)| own);
        if own.is_ascii() {
            Self::measured(Cow::Borrowed(own))
        } else {
            Self::measured(Cow::Owned(fold(own).into_owned()))
        }
    }

    fn measured(text: Cow<'k, str>) -> Self {
        let mut kept = text.bytes().filter(|byte| is_kept(*byte));
        let first = kept.next().map_or(0, |byte| byte.to_ascii_lowercase());
        let length = kept.count().saturating_add(usize::from(first != 0));
        Self {
            text,
            length,
            first,
        }
    }

    /// Whether the folded name is empty.
    pub fn is_none(&self) -> bool {
        self.length == 0
    }

    /// The folded name.
    fn bytes(&self) -> impl Iterator<Item = u8> {
        let kept = self.text.bytes().filter(|byte| is_kept(*byte));
        kept.map(|byte| byte.to_ascii_lowercase())
    }
}

/// The weight of each byte of a key: 1 if folding keeps it, [`NEEDS_FOLDING`] if counting is not enough.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const WEIGHTS: [u32; 256] = {
    let mut weights = [0; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if !byte.is_ascii() || byte == b'/' {
            weights[byte as usize] = NEEDS_FOLDING;
        } else if byte.is_ascii_alphanumeric() {
            weights[byte as usize] = 1;
        }
        byte += 1;
    }
    weights
};
const NEEDS_FOLDING: u32 = 1 << 20;

/// Whether folding keeps a byte. The name is ASCII or already folded.
#[inline]
fn is_kept(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

impl NameTable {
    /// Adds a name in any spelling and returns its id. Names that fold alike share an id.
    pub fn add(&mut self, name: &str) -> NameId {
        let folded = fold(name);
        if let Some(id) = self.find(&folded) {
            return id;
        }
        let id = NameId(self.names.len());
        if self.by_length.len() <= folded.len() {
            let length = folded.len().saturating_add(1);
            self.by_length.resize_with(length, Bucket::default);
        }
        if let Some(bucket) = self.by_length.get_mut(folded.len()) {
            bucket.first_letters |= letter(folded.bytes().next().unwrap_or_default());
            bucket.names.push((folded.into(), id));
        }
        self.names.push(name.into());
        id
    }

    /// The name as it was first added.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id.0).map_or("", AsRef::as_ref)
    }

    /// Looks up a key that is already folded.
    pub fn find(&self, folded: &str) -> Option<NameId> {
        self.find_name(&Name::measured(Cow::Borrowed(folded)))
    }

    /// Looks up a key.
    pub fn find_name(&self, name: &Name<'_>) -> Option<NameId> {
        self.find_under(&Name::NONE, name)
    }

    /// Looks up a key joined to its parent: `{"user": {"id": ...}}` means `user_id`.
    pub fn find_under(&self, parent: &Name<'_>, name: &Name<'_>) -> Option<NameId> {
        let first = if parent.length == 0 {
            name.first
        } else {
            parent.first
        };
        let bucket = self
            .by_length
            .get(parent.length.saturating_add(name.length))?;
        if bucket.first_letters & letter(first) == 0 {
            return None;
        }
        let mut names = bucket.names.iter();
        let found = names.find(|(known, _)| {
            let known = known.as_bytes();
            known.first() == Some(&first)
                && known.iter().copied().eq(parent.bytes().chain(name.bytes()))
        });
        found.map(|(_, id)| *id)
    }

    /// Looks up the key of a member: its own name, its name joined to its parent, or the end of a
    /// flattened path.
    #[inline]
    pub fn find_member(&self, parent: &Name<'_>, own: &Name<'_>, key: &str) -> Option<NameId> {
        let under_parent = || (!parent.is_none()).then(|| self.find_under(parent, own))?;
        self.find_name(own)
            .or_else(under_parent)
            .or_else(|| self.find_flattened(key))
    }

    /// Looks for a name at the end of a flattened path: `filter.user_id`, `where[user_id]`.
    fn find_flattened(&self, key: &str) -> Option<NameId> {
        const MAX_PATH_BYTES: usize = 256;
        if key.len() > MAX_PATH_BYTES || !key.contains(['.', '[']) {
            return None;
        }
        let mut dots = key.match_indices(['.', '[']);
        dots.find_map(|(at, _)| self.find(&fold(key.get(at.saturating_add(1)..)?)))
    }

    /// Whether a longer name of the table starts with this one, so that a member below could complete it.
    pub fn is_start(&self, name: &Name<'_>) -> bool {
        let longer = self.by_length.iter().skip(name.length.saturating_add(1));
        let mut names = longer.flat_map(|bucket| &bucket.names);
        !name.is_none() && names.any(|(known, _)| known.bytes().take(name.length).eq(name.bytes()))
    }
}

fn letter(byte: u8) -> u64 {
    1 << (byte & 63)
}

/// How much of a name is compared, in folded characters: one character may fold to 18.
const MAX_FOLDED: usize = 1024;

/// The form in which names are compared: lower case, with compatibility characters and full-width letters
/// resolved, without separators, accents, punctuation and invisible characters.
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
    // Upper case first: that maps the long s and the dotless i to their ASCII letters.
    let folded = name
        .nfkd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfkd()
        .filter(|character| character.is_alphanumeric() && !is_combining_mark(*character))
        .filter(|character| !matches!(character, '\u{115F}' | '\u{1160}')) // invisible letters
        .take(MAX_FOLDED)
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
    fn added_names_are_found_and_others_are_not() {
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

    #[test]
    fn is_start_holds_for_beginnings_of_longer_names() {
        let mut table = NameTable::default();
        table.add("user_id");
        for (start, is_start) in [
            ("User", true),
            ("user_", true),
            ("id", false),
            ("user_id", false),
        ] {
            assert_eq!(table.is_start(&Name::of_key(start)), is_start, "{start}");
        }
        assert!(!table.is_start(&Name::NONE));
    }

    proptest::proptest! {
        /// Looking up a key and looking up its folded form agree, with and without a parent.
        #[test]
        fn key_lookup_agrees_with_folding(
            key in "([a-zA-Z_./ -]|[ıſK\u{200b}ｕé]){0,12}",
            parent in "[a-zA-Z_-]{0,6}",
            names in proptest::collection::vec("[a-z]{0,6}(_[a-z]{1,4})?", 0..6),
        ) {
            let mut table = NameTable::default();
            let own = key.rsplit_once('/').map_or(&*key, |(_, own)| own);
            for name in names.iter().map(String::as_str).chain([own]) {
                table.add(name);
            }
            let under = [fold(&parent), fold(own)].concat();
            let (name, parent) = (Name::of_key(&key), Name::of_key(&parent));
            proptest::prop_assert_eq!(table.find_name(&name), table.find(&fold(own)));
            proptest::prop_assert_eq!(table.find_under(&parent, &name), table.find(&under));
        }
    }
}
