//! Comparison of long texts.

/// Whether two texts are the same. It compares eight bytes at a time: WebAssembly has no instruction for it, and the
/// standard library goes byte by byte there. Not for secrets: it ends at the first difference.
pub fn same_bytes(one: &[u8], other: &[u8]) -> bool {
    let (words, tail) = one.as_chunks::<8>();
    let (other_words, other_tail) = other.as_chunks::<8>();
    let mut pairs = words.iter().zip(other_words);
    one.len() == other.len()
        && pairs.all(|(one, other)| u64::from_ne_bytes(*one) == u64::from_ne_bytes(*other))
        && tail == other_tail
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
