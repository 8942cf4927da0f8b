//! The inside of strings.

/// How many bytes at the start of `bytes` are ordinary string content, and whether all are ASCII.
/// Eight at a time: strings are most of a body.
pub(super) fn plain_run(bytes: &[u8]) -> (usize, bool) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    const QUOTES: u64 = ONES.wrapping_mul(b'"' as u64);
    const BACKSLASHES: u64 = ONES.wrapping_mul(b'\\' as u64);
    const SPACES: u64 = ONES.wrapping_mul(b' ' as u64);
    let has_zero = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;

    let (words, tail) = bytes.as_chunks::<8>();
    let mut high_bits = 0;
    let mut length = 0_usize;
    for chunk in words {
        let word = u64::from_le_bytes(*chunk);
        let below_space = word.wrapping_sub(SPACES) & !word & HIGHS;
        let stop = has_zero(word ^ QUOTES) | has_zero(word ^ BACKSLASHES) | below_space;
        if stop != 0 {
            let (run, ascii) = plain_bytes(chunk);
            return (length.saturating_add(run), ascii && high_bits & HIGHS == 0);
        }
        high_bits |= word;
        length = length.saturating_add(8);
    }
    let (run, ascii) = plain_bytes(tail);
    (length.saturating_add(run), ascii && high_bits & HIGHS == 0)
}

fn plain_bytes(bytes: &[u8]) -> (usize, bool) {
    let run = bytes
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1F))
        .unwrap_or(bytes.len());
    (run, bytes.iter().take(run).all(u8::is_ascii))
}

pub(super) fn hex(digits: &[u8]) -> Option<u32> {
    if digits.len() != 4 {
        return None;
    }
    digits.iter().try_fold(0_u32, |unit, digit| {
        Some(unit << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Resolves the escapes of a string that [`Reader`] has already checked.
pub(in crate::mcp) fn unescape(text: &str) -> Option<String> {
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
                let unit = hex(characters.as_str().as_bytes().get(..4)?)?;
                characters.nth(3);
                let code = if (0xD800..0xDC00).contains(&unit) {
                    let low = hex(characters.as_str().as_bytes().get(2..6)?)?;
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
