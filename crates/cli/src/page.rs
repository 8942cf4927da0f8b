//! Pages that need no other file: no script, no network, readable on a phone and in the dark.

use std::path::Path;

use crate::terminal_text::printable;
use crate::{Failure, files};

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--dim:#57606a;--yes:#1a7f37;--ask:#9a6700;--no:#cf222e;--sign:#8250df}\
@media(prefers-color-scheme:dark){:root{--dim:#9198a1;--yes:#3fb950;--ask:#d29922;--no:#f85149;--sign:#b083f0}}\
body{font:16px/1.5 system-ui,sans-serif;max-width:960px;margin:0 auto;padding:1rem 1rem 3rem}\
h1{font-size:1.6rem;margin:.5rem 0}h2{font-size:1.2rem;margin:2rem 0 .5rem}p{margin:.5rem 0}\
.dim{color:var(--dim)}.yes{color:var(--yes)}.ask{color:var(--ask)}.no{color:var(--no)}\
.sign{color:var(--sign);font-weight:600}.wide{overflow-x:auto}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--line)}\
th{font-weight:600;white-space:nowrap}td.n,th.n{text-align:right}td.m,th.m{text-align:center}\
th.first{position:sticky;left:0;background:Canvas;font-weight:400}\
.numbers{display:grid;grid-template-columns:repeat(auto-fit,minmax(8rem,1fr));gap:1rem;margin:1rem 0}.numbers b{display:block;font-size:1.8rem;line-height:1.2}\
code{font:.92em ui-monospace,monospace;overflow-wrap:anywhere}th code,td:first-child code{white-space:nowrap}td.p{min-width:14rem}th.n,th.m{white-space:normal}svg{display:block;width:100%;height:auto}\
details{border-bottom:1px solid var(--line);padding:.4rem 0}summary{cursor:pointer}\
dl{margin:.3rem 0 .6rem;display:grid;grid-template-columns:minmax(6rem,auto) 1fr;gap:.2rem 1rem}dd{margin:0;overflow-wrap:anywhere}\
@media(max-width:640px){.wide svg{min-width:620px}table{font-size:.85rem}th,td{padding:.3rem .4rem}td.p{min-width:9rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}";

/// A page with this body, which is HTML.
pub(crate) fn page(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n{body}</body></html>\n"
    )
}

/// A text in HTML.
pub(crate) fn escaped(text: &str) -> String {
    let text = printable(text);
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// A sentence in HTML, with what stands between backticks as code.
pub(crate) fn prose(text: &str) -> String {
    let escaped = escaped(text);
    let parts: Vec<&str> = escaped.split('`').collect();
    // A last backtick without its pair stays.
    if parts.len().is_multiple_of(2) {
        return escaped;
    }
    let parts = parts
        .iter()
        .enumerate()
        .map(|(index, part)| match index.is_multiple_of(2) {
            true => (*part).to_owned(),
            false => format!("<code>{part}</code>"),
        });
    parts.collect()
}

/// Writes a page to a file.
pub(crate) fn write(path: &Path, page: &str) -> Result<(), Failure> {
    std::fs::write(path, page).map_err(|error| {
        Failure::usage(
            format!("cannot write {}: {error}", files::name(path)),
            "check the path and its permissions",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b45_texts_cannot_become_markup() {
        let page = page("<script>", &escaped("\"><img src=x>\u{202e}"));
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(
            page.contains("&quot;&gt;&lt;img src=x&gt;\\u{202e}"),
            "{page}"
        );
    }
}
