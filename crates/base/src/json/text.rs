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
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = behind.chars();
        match characters.next()? {
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            't' => out.push('\t'),
            'u' => {
                let unit = code_unit(characters.as_str().as_bytes().get(..4)?)?;
                characters.nth(3);
                let code = if (0xD800..0xDC00).contains(&unit) {
                    let low = code_unit(characters.as_str().as_bytes().get(2..6)?)?;
                    characters.nth(5);
                    0x1_0000_u32.saturating_add((unit & 0x3FF) << 10 | (low & 0x3FF))
                } else {
                    unit
                };
                out.push(char::from_u32(code)?);
            }
            other => out.push(other),
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    Some(out)
}
