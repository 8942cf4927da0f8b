//! Bytes as hexadecimal digits.

/// Writes bytes as lower-case hexadecimal digits.
///
/// ```
/// assert_eq!(mcp_auth_base::hex::encode(&[0, 0xab]), "00ab");
/// ```
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or_default();
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    digits.map(digit).collect()
}

/// Reads exactly `N` bytes from hexadecimal digits of either case.
///
/// ```
/// assert_eq!(mcp_auth_base::hex::decode("00aB"), Some([0, 0xab]));
/// assert_eq!(mcp_auth_base::hex::decode::<2>("+1+1"), None);
/// ```
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
    }
    Some(bytes)
}
