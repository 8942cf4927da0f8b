//! The end of an object or a list. 64 bytes are looked at together.

use wide::u8x16;

const BLOCK: usize = 64;

/// Where characters stand in a block: one bit each, the first byte's lowest.
#[derive(Default)]
struct Places {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Places {
    fn of(block: &[u8; BLOCK]) -> Self {
        let mut places = Self::default();
        let (quarters, _) = block.as_chunks::<16>();
        for quarter in quarters.iter().rev() {
            let bytes = u8x16::new(*quarter);
            // `[` and `]` differ from `{` and `}` in one bit.
            let folded = bytes | u8x16::splat(0x20);
            let add = |to: &mut u64, found: u8x16| {
                *to = *to << 16 | u64::from(found.to_bitmask());
            };
            add(&mut places.quotes, bytes.simd_eq(u8x16::splat(b'"')));
            add(&mut places.backslashes, bytes.simd_eq(u8x16::splat(b'\\')));
            add(&mut places.opening, folded.simd_eq(u8x16::splat(b'{')));
            add(&mut places.closing, folded.simd_eq(u8x16::splat(b'}')));
        }
        places
    }
}

/// The length of the object or list at the start of a text, if it ends. Only brackets and strings are looked at.
pub(super) fn container_length(text: &[u8]) -> Option<usize> {
    let (mut depth, mut is_string, mut is_escaped) = (0_u32, false, false);
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last.get_mut(..tail.len())?.copy_from_slice(tail);
    for (number, block) in blocks.iter().chain([&last]).enumerate() {
        let places = Places::of(block);
        let escaped = escaped(places.backslashes, &mut is_escaped);
        let strings = between(places.quotes & !escaped) ^ if is_string { u64::MAX } else { 0 };
        is_string = strings >> 63 == 1;
        let outside = !(strings | escaped);
        let (opening, closing) = (places.opening & outside, places.closing & outside);
        if closing.count_ones() < depth {
            depth = depth.saturating_add(opening.count_ones());
            depth = depth.saturating_sub(closing.count_ones());
        } else if let Some(at) = end(opening, closing, &mut depth)? {
            let start = number.saturating_mul(BLOCK);
            return Some(start.saturating_add(at).saturating_add(1));
        }
    }
    None
}

/// The characters behind backslashes: they end no string. `is_escaped`: whether the first character is one, and then that
/// of the next block.
fn escaped(mut backslashes: u64, is_escaped: &mut bool) -> u64 {
    let mut escaped = u64::from(std::mem::take(is_escaped));
    backslashes &= !escaped;
    while backslashes != 0 {
        let backslash = backslashes & backslashes.wrapping_neg();
        *is_escaped = backslash >> 63 == 1;
        escaped |= backslash << 1;
        backslashes &= !(backslash | escaped);
    }
    escaped
}

/// The place of the bracket that ends the container.
fn end(opening: u64, closing: u64, depth: &mut u32) -> Option<Option<usize>> {
    let mut brackets = opening | closing;
    while brackets != 0 {
        let bracket = brackets & brackets.wrapping_neg();
        if opening & bracket != 0 {
            *depth = depth.saturating_add(1);
        } else {
            *depth = depth.checked_sub(1)?;
            if *depth == 0 {
                return Some(Some(bracket.trailing_zeros() as usize));
            }
        }
        brackets ^= bracket;
    }
    Some(None)
}

/// The bits from each first bit up to the second one, without it: strings, by their quotes.
fn between(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .iter()
        .fold(quotes, |strings, shift| strings ^ strings << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same, byte by byte.
    fn slow_length(text: &[u8]) -> Option<usize> {
        let (mut depth, mut is_string, mut is_escaped) = (0_u32, false, false);
        for (at, byte) in text.iter().enumerate() {
            if std::mem::take(&mut is_escaped) {
                continue;
            }
            match (is_string, byte) {
                (_, b'"') => is_string = !is_string,
                (_, b'\\') => is_escaped = true,
                (false, b'{' | b'[') => depth += 1,
                (false, b'}' | b']') => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }

    proptest! {
        #[test]
        fn a_container_ends_where_it_ends_byte_by_byte(
            inner in prop::collection::vec(prop::sample::select(br#"""\\\aaaa{}[]{{[["#.to_vec()), 0..400),
            closing in 0..20_usize,
        ) {
            let text = [b"[", &*inner, &b"]".repeat(closing)].concat();
            prop_assert_eq!(container_length(&text), slow_length(&text));
        }
    }

    #[test]
    fn a_bracket_at_every_place_of_a_block_ends_the_container() {
        for length in 0..200 {
            for filler in ["a", "\"]\"", "\"\\\"\"", "[]"] {
                let text = format!("[{}]]}}", filler.repeat(length));
                let expected = Some(filler.len() * length + 2);
                assert_eq!(container_length(text.as_bytes()), expected, "{text}");
                assert_eq!(
                    container_length(text.trim_end_matches(']').as_bytes()),
                    expected
                );
            }
        }
        assert_eq!(container_length(b""), None);
        assert_eq!(container_length(b"]"), None);
    }
}
