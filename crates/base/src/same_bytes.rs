//! Comparison of long texts.

/// Whether two texts are the same. It compares eight bytes at a time: WebAssembly has no instruction for it, and the
/// standard library goes byte by byte there. Not for secrets: it ends at the first difference.
pub fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let same_word =
        |(one, other): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other);
    match (one.last_chunk(), other.last_chunk()) {
        // The last word has the bytes behind the whole words, and some of these again.
        (Some(last), Some(other_last)) => {
            let mut words = one.as_chunks().0.iter().zip(other.as_chunks().0);
            same_word((last, other_last)) && words.all(same_word)
        }
        _ => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_at_any_place_is_seen() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(same_bytes(&text, &text.clone()));
            assert!(!same_bytes(&text, &vec![b'a'; length + 1]));
            for place in 0..length {
                let mut other = text.clone();
                other[place] = b'b';
                assert!(!same_bytes(&text, &other), "{length} {place}");
            }
        }
    }
}
