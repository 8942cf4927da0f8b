//! Hashes of values that do not depend on member order, white space and escapes.

use super::{JsonError, Kind, Reader};

/// The SHA-256 of a value. Member order, white space and escapes do not count. Numbers count as written:
/// 1 and 1.0 differ.
///
/// # Errors
///
/// The input is not strict JSON.
pub fn digest(input: &[u8], max_depth: usize) -> Result<[u8; 32], JsonError> {
    let mut out = Vec::with_capacity(input.len());
    let mut reader = Reader::new(input, max_depth);
    value(&mut reader, &mut out)?;
    reader.end()?;
    Ok(hmac_sha256::Hash::hash(&out))
}

/// The same for an object, reduced to these members.
///
/// # Errors
///
/// The input is not strict JSON, or is no object.
pub fn digest_members(
    input: &[u8],
    members: &[&str],
    max_depth: usize,
) -> Result<[u8; 32], JsonError> {
    let mut reader = Reader::new(input, max_depth);
    let mut out = Vec::with_capacity(input.len());
    object(&mut reader, &mut out, |key| members.contains(&key))?;
    reader.end()?;
    Ok(hmac_sha256::Hash::hash(&out))
}

fn object(
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
    counts: impl Fn(&str) -> bool,
) -> Result<(), JsonError> {
    let mut members = Vec::new();
    reader.object(|reader, member| {
        if !counts(&member.key.value) {
            return reader.skip().map(drop);
        }
        let mut of_member = Vec::new();
        text(&member.key.value, &mut of_member);
        value(reader, &mut of_member)?;
        members.push(of_member);
        Ok(())
    })?;
    members.sort_unstable();
    out.push(b'{');
    out.extend(members.concat());
    out.push(b'}');
    Ok(())
}

fn value(reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), JsonError> {
    match reader.kind()? {
        Kind::Object => object(reader, out, |_| true)?,
        Kind::Array => {
            out.push(b'[');
            reader.array(|reader| value(reader, out))?;
            out.push(b']');
        }
        Kind::String => text(&reader.string()?.value, out),
        Kind::Bool | Kind::Null | Kind::Number => {
            let span = reader.skip()?;
            out.extend_from_slice(reader.bytes(span));
            out.push(b',');
        }
    }
    Ok(())
}

/// A text with its length before it, so that `["a", "b"]` and `["ab", ""]` differ.
fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"{}:", text.len()).as_bytes());
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(input: &str) -> [u8; 32] {
        digest(input.as_bytes(), 16).unwrap()
    }

    #[test]
    fn order_white_space_and_escapes_do_not_count() {
        let same = of(r#"{"a":1,"b":[true,"x"]}"#);
        assert_eq!(of("{ \"b\" : [true, \"\\u0078\"],\n\"a\":1 }"), same);
        for other in [
            r#"{"a":1.0,"b":[true,"x"]}"#,
            r#"{"a":1,"b":["x",true]}"#,
            r#"{"a":1,"b":[true,"x"],"c":null}"#,
            r#"{"a":1,"b":[[true],"x"]}"#,
            r#"{"a":1,"b":[true,"x,"]}"#,
            r#"{"a":"1","b":[true,"x"]}"#,
        ] {
            assert_ne!(of(other), same, "{other}");
        }
        assert_ne!(of("[1,2]"), of("[12]"));
        assert_ne!(of(r#"["a","b"]"#), of(r#"["ab",""]"#));
    }
}
