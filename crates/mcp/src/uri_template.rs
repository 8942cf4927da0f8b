//! Expansion of URI templates (RFC 6570).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters that a value keeps unencoded. None of them delimits a part of a URI.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'@')
    .remove(b'+')
    .remove(b'=')
    .remove(b'|');

/// The format of an expression (RFC 6570 appendix A).
#[derive(Debug)]
struct ExpressionFormat {
    first: &'static str,
    separator: &'static str,
    named: bool,
    encodes: bool,
}

impl ExpressionFormat {
    /// The format of an expression, by its operator, and its variables.
    fn of(expression: &str) -> Option<(Self, &str)> {
        let operator = expression.chars().next()?;
        let (first, separator, named, encodes) = match operator {
            '+' => ("", ",", false, false),
            '#' => ("#", ",", false, false),
            '.' => (".", ".", false, true),
            '/' => ("/", "/", false, true),
            ';' => (";", ";", true, true),
            '?' => ("?", "&", true, true),
            '&' => ("&", "&", true, true),
            '=' | ',' | '!' | '@' | '|' => return None,
            _ => ("", ",", false, true),
        };
        let format = Self {
            first,
            separator,
            named,
            encodes,
        };
        let is_operator = !format.first.is_empty() || !format.encodes;
        let variables = expression.get(usize::from(is_operator)..)?;
        Some((format, variables))
    }

    fn expand(&self, name: &str, value: &str) -> String {
        let value = match self.encodes {
            true => utf8_percent_encode(value, ENCODED).to_string(),
            false => value.to_owned(),
        };
        match self.named {
            true => format!("{name}={value}"),
            false => value,
        }
    }
}

/// Expands a template. Omits variables without a value and variables with a length (`{name:3}`). `None`:
/// the text is no template.
pub fn expand<'v>(template: &str, value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut uri = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let (expression, behind) = behind.split_once('}')?;
        let (format, variables) = ExpressionFormat::of(expression)?;
        uri.push_str(before);
        let mut lead = format.first;
        for variable in variables.split(',') {
            let name = variable.trim_end_matches('*');
            if let Some(value) = value(name) {
                uri.push_str(lead);
                uri.push_str(&format.expand(name, value));
                lead = format.separator;
            }
        }
        rest = behind;
    }
    uri.push_str(rest);
    (!rest.contains('}')).then_some(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_of_rfc_6570_expands() {
        let values = |name: &str| match name {
            "org" => Some("acme"),
            "path" => Some("a/b c"),
            _ => None,
        };
        for (template, expected) in [
            ("crm://acme/x", Some("crm://acme/x")),
            ("crm://{org}/{path}", Some("crm://acme/a%2Fb%20c")),
            ("crm://{org,path,none}", Some("crm://acme,a%2Fb%20c")),
            ("crm://{+path}{#org}", Some("crm://a/b c#acme")),
            ("crm:/{/org,none,path*}", Some("crm://acme/a%2Fb%20c")),
            ("crm://x{.org}", Some("crm://x.acme")),
            ("crm://x{;org,none}", Some("crm://x;org=acme")),
            (
                "crm://x{?none,org}{&path}",
                Some("crm://x?org=acme&path=a%2Fb%20c"),
            ),
            ("crm://{none}/x", Some("crm:///x")),
            ("crm://{org:2}/x", Some("crm:///x")),
            ("crm://{org", None),
            ("crm://org}", None),
            ("crm://{}", None),
            ("crm://{|org}", None),
        ] {
            assert_eq!(expand(template, values).as_deref(), expected, "{template}");
        }
    }
}
