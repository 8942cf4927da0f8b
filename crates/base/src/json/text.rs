//! The content of strings.

use wide::u8x16;

/// The bytes that are compared at once.
const BLOCK: usize = 16;

/// The number of bytes before the first quote, backslash or control character. Compares 16 bytes at a time: strings are
/// most of a body.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let (blocks, tail) = bytes.as_chunks::<BLOCK>();
    // Never longer than the bytes, so that no sum wraps.
    let mut length = 0_usize;
    for block in blocks {
        let stops = string_stops(u8x16::new(*block));
        if stops != 0 {
            return length.wrapping_add(stops.trailing_zeros() as usize);
        }
        length = length.wrapping_add(BLOCK);
    }
    let stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    length.wrapping_add(tail.iter().position(stop).unwrap_or(tail.len()))
}

/// One bit for each quote, backslash or control character of a block, the first byte's lowest.
#[inline]
fn string_stops(block: u8x16) -> u32 {
    let quotes = block.simd_eq(u8x16::splat(b'"'));
    let backslashes = block.simd_eq(u8x16::splat(b'\\'));
    let controls = block.simd_lt(u8x16::splat(b' '));
    (quotes | backslashes | controls).to_bitmask()
}

/// The places of quotes that one of these lower-case letters follows, in either case. Other bytes than letters may count
/// too. 16 bytes are looked at together.
pub fn quotes_before(text: &[u8], letters: [u8; 3]) -> impl Iterator<Item = usize> {
    let behind = text.get(1..).unwrap_or_default();
    let blocks = text.as_chunks::<BLOCK>().0.iter();
    let (behind, _) = behind.as_chunks::<BLOCK>();
    let found = blocks.zip(behind).enumerate();
    let found = found.flat_map(move |(number, (quotes, letter))| {
        let quotes = u8x16::new(*quotes).simd_eq(u8x16::splat(b'"'));
        let letter = u8x16::new(*letter) | u8x16::splat(0x20);
        let [one, two, three] = letters;
        let is_wanted = letter.simd_eq(u8x16::splat(one))
            | letter.simd_eq(u8x16::splat(two))
            | letter.simd_eq(u8x16::splat(three));
        let found = (quotes & is_wanted).to_bitmask();
        let start = number.saturating_mul(BLOCK);
        ones(found).map(move |place| start.saturating_add(place))
    });
    let start = behind.len().saturating_mul(BLOCK);
    let tail = text.get(start..).unwrap_or_default();
    let tail = tail.windows(2).enumerate();
    let tail = tail.filter_map(move |(at, pair)| match pair {
        [b'"', letter] if letters.contains(&(letter | 0x20)) => Some(start.saturating_add(at)),
        _ => None,
    });
    found.chain(tail)
}

/// The places of the ones in a number.
fn ones(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        bits &= bits.wrapping_sub(1);
        (place < 32).then_some(place as usize)
    })
}

/// Reads four hexadecimal digits.
pub(super) fn code_unit(digits: &[u8]) -> Option<u32> {
    if digits.len() != 4 {
        return None;
    }
    digits.iter().try_fold(0_u32, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Resolves the escapes of a string. [`super::Reader`] has checked them.
pub fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (plain, behind) = rest.split_at_checked(plain_run(rest.as_bytes()))?;
        out.push_str(plain);
        let mut bytes = behind.bytes();
        match bytes.next() {
            None => return Some(out),
            Some(b'\\') => {}
            // Only a text that was not read strictly has others.
            Some(other) => {
                out.push(char::from(other));
                rest = behind.get(1..)?;
                continue;
            }
        }
        let length = match bytes.next()? {
            b'b' => escaped(&mut out, '\u{8}'),
            b'f' => escaped(&mut out, '\u{c}'),
            b'n' => escaped(&mut out, '\n'),
            b'r' => escaped(&mut out, '\r'),
            b't' => escaped(&mut out, '\t'),
            b'u' => {
                let unit = |at: usize| code_unit(behind.as_bytes().get(at..at.checked_add(4)?)?);
                let high = unit(2)?;
                let is_pair = (0xD800..0xDC00).contains(&high);
                let code = match is_pair {
                    true => 0x1_0000_u32.saturating_add((high & 0x3FF) << 10 | (unit(8)? & 0x3FF)),
                    false => high,
                };
                out.push(char::from_u32(code)?);
                if is_pair { 12 } else { 6 }
            }
            _ => {
                let other = behind.get(1..)?.chars().next()?;
                out.push(other);
                other.len_utf8().saturating_add(1)
            }
        };
        rest = behind.get(length..)?;
    }
}

/// Appends the character that an escape such as `\n` stands for. Returns the length of the escape.
fn escaped(out: &mut String, character: char) -> usize {
    out.push(character);
    2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quotes_are_found_where_they_stand_byte_by_byte(
            text in prop::collection::vec(prop::sample::select(br#""""eEiSxx \"#.to_vec()), 0..70),
        ) {
            let is_found = |at: &usize| {
                let letter = text.get(at + 1).map(u8::to_ascii_lowercase);
                text[*at] == b'"' && matches!(letter, Some(b'e' | b'i' | b's'))
            };
            let expected: Vec<usize> = (0..text.len()).filter(is_found).collect();
            let found: Vec<usize> = quotes_before(&text, *b"eis").collect();
            prop_assert_eq!(found, expected);
        }
    }
}
