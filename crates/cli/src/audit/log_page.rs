//! The page of an access log. It has no script and needs no other file.

use std::fmt::Write;

use super::charts;
use super::signs::{is_sign, meaning};
use super::tally::{Counts, Tally, sorted};
use crate::Failure;
use crate::terminal_text::printable;

const STYLE: &str = "\
:root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:960px;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}th,td{text-align:left;padding:.25rem .6rem;\
border-bottom:1px solid #8884}td.n,th.n{text-align:right}.sign{color:#8957e5;font-weight:600}svg{max-width:100%;height:auto}\
.numbers{display:flex;gap:2rem;flex-wrap:wrap}.numbers b{display:block;font-size:1.8rem}code{overflow-wrap:anywhere}";

/// The page.
pub(super) fn page(tally: &Tally) -> Result<String, Failure> {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>MCP access log</title><style>{STYLE}</style></head><body>\n<h1>MCP access log</h1>\n"
    );
    if let Some((first, last)) = tally.period() {
        let _ = writeln!(out, "<p>{first} to {last}</p>");
    }
    let Counts {
        approved,
        needs_review,
        refused,
        signs,
    } = tally.total;
    let _ = write!(out, "<div class=\"numbers\">");
    for (number, label) in [
        (tally.requests, "requests"),
        (approved, "approved"),
        (needs_review, "need the caller"),
        (refused, "refused"),
        (signs, "with signs of attacks"),
    ] {
        let _ = write!(out, "<div><b>{number}</b>{label}</div>");
    }
    out.push_str("</div>\n");
    for (title, chart) in [
        ("Over time (UTC)", charts::over_time(tally)?),
        ("Reasons of what was not approved", charts::reasons(tally)?),
    ] {
        if let Some(chart) = chart {
            let _ = writeln!(out, "<h2>{title}</h2>\n{chart}");
        }
    }
    out.push_str("<table><tr><th>Reason</th><th class=\"n\">Number</th><th>Meaning</th></tr>\n");
    for (code, number) in tally.sorted_reasons() {
        let class = if is_sign(code) { " class=\"sign\"" } else { "" };
        let meaning = escaped(meaning(code).unwrap_or_default());
        let _ = writeln!(
            out,
            "<tr><td{class}><code>{}</code></td><td class=\"n\">{number}</td><td>{meaning}</td></tr>",
            escaped(code)
        );
    }
    out.push_str("</table>\n");
    for (title, rows) in [
        ("Tools, prompts, resources and methods", &tally.targets),
        ("Callers", &tally.callers),
    ] {
        let _ = writeln!(
            out,
            "<h2>{title}</h2>\n<table><tr><th>Name</th><th class=\"n\">Approved</th><th class=\"n\">Need the caller</th>\
             <th class=\"n\">Refused</th><th class=\"n\">Signs of attacks</th></tr>"
        );
        for (name, counts) in sorted(rows) {
            let Counts {
                approved,
                needs_review,
                refused,
                signs,
            } = counts;
            let class = if signs > 0 { " class=\"sign\"" } else { "" };
            let _ = writeln!(
                out,
                "<tr><td{class}><code>{}</code></td><td class=\"n\">{approved}</td><td class=\"n\">{needs_review}</td>\
                 <td class=\"n\">{refused}</td><td class=\"n\">{signs}</td></tr>",
                escaped(name)
            );
        }
        out.push_str("</table>\n");
    }
    out.push_str("<p>Signs of attacks are reasons that honest callers do not cause by accident.</p>\n</body></html>\n");
    Ok(out)
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    let text = printable(text);
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
