//! Argument names, compared as lenient servers compare them.
//!
//! A server may read `User_ID`, `userId`, `user.id`, `u\u{17f}er_id` or full-width letters as
//! `user_id`: by case-insensitive decoding, field aliases or Unicode normalisation. All of them
//! fold to one form here. A key may also be the path to a value, as in `filter[user_id]`, and the
//! keys of nested objects may make up a name: `{"user": {"id": ...}}`.

mod table;
mod walk;

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

pub use self::table::{NameId, NameTable};
pub use self::walk::{Begun, KeyNames, Spoken};

/// The compared length of a name, in folded characters. One character may fold to 18.
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
        .filter(|character| is_kept(*character))
        .take(MAX_FOLDED)
        .collect();
    Cow::Owned(folded)
}

/// Whether an ASCII name has this form.
pub fn folds_to(name: &str, folded: &str) -> bool {
    // Most names differ early.
    name.len() >= folded.len() && kept_ascii(name).eq(folded.bytes())
}

/// Whether two names have one form.
#[inline]
pub fn folds_alike(one: &str, other: &str) -> bool {
    // Most names differ in their first letter.
    !begin_otherwise(one, other) && have_one_form(one, other)
}

fn have_one_form(one: &str, other: &str) -> bool {
    if !one.is_ascii() || !other.is_ascii() {
        return fold(one) == fold(other);
    }
    // Most names differ early.
    kept_ascii(one).eq(kept_ascii(other))
}

/// Whether two names begin with different letters or digits of ASCII, so that their forms differ too.
#[inline]
fn begin_otherwise(one: &str, other: &str) -> bool {
    let first = |name: &str| {
        let first = name.bytes().next();
        first.filter(u8::is_ascii_alphanumeric)
    };
    match (first(one), first(other)) {
        (Some(one), Some(other)) => !one.eq_ignore_ascii_case(&other),
        _ => false,
    }
}

/// The form of an ASCII name, letter by letter.
fn kept_ascii(name: &str) -> impl Iterator<Item = u8> {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric);
    letters.map(|letter| letter.to_ascii_lowercase())
}

/// Whether folding keeps a character.
fn is_kept(character: char) -> bool {
    let is_filler = matches!(character, '\u{115F}' | '\u{1160}'); // letters that are invisible
    character.is_alphanumeric() && !is_combining_mark(character) && !is_filler
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

    proptest::proptest! {
        #[test]
        fn names_are_alike_if_their_forms_are(
            one in NAMES,
            other in NAMES,
        ) {
            let is_same = fold(&one) == fold(&other);
            proptest::prop_assert_eq!(folds_alike(&one, &other), is_same);
        }
    }

    /// Short names of few letters, so that many are alike.
    const NAMES: &str = "[aAdD7_\u{301}\u{323}\u{200b}\u{17f}sSｄé]{0,3}";

    #[test]
    fn other_names_stay_apart() {
        for (one, other) in [("user_id", "user_ids"), ("名前", "名"), ("user", "us")] {
            assert_ne!(fold(one), fold(other));
        }
    }
}
