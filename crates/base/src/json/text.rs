//! The content of strings.

/// The number of bytes before the first quote, backslash or control character. Compares eight bytes at
/// a time: strings are most of a body.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES.wrapping_mul(b'"' as u64);
    const BACKSLASHES: u64 = ONES.wrapping_mul(b'\\' as u64);
    const SPACES: u64 = ONES.wrapping_mul(b' ' as u64);

    let (words, tail) = bytes.as_chunks::<8>();
    let mut length = 0_usize;
    for chunk in words {
        let word = u64::from_le_bytes(*chunk);
        // The high bit of each byte that is a control character, a quote or a backslash. Bits behind
        // the first such byte may be wrong.
        let controls = word.wrapping_sub(SPACES);
        let quotes = (word ^ QUOTES).wrapping_sub(ONES);
        let backslashes = (word ^ BACKSLASHES).wrapping_sub(ONES);
        let stop = (controls | quotes | backslashes) & !word & HIGHS;
        if stop != 0 {
            return length.saturating_add(stop.trailing_zeros() as usize / 8);
        }
        length = length.saturating_add(8);
    }
    let stop = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1F);
    length.saturating_add(tail.iter().position(stop).unwrap_or(tail.len()))
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
