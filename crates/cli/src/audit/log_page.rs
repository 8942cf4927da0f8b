//! The page of an access log. It has no script and needs no other file.

use std::fmt::Write;

use super::charts;
use super::signs::{is_sign, meaning};
use super::tally::{Counts, Tally, sorted};
use crate::Failure;
use crate::page::{escaped, page, prose};

/// The page.
pub(super) fn log_page(tally: &Tally) -> Result<String, Failure> {
    let mut out = String::new();
    if let Some((first, last)) = tally.period() {
        let _ = writeln!(out, "<p class=\"dim\">{first} to {last}</p>");
    }
    let Counts {
        approved,
        needs_review,
        refused,
        signs,
    } = tally.total;
    let _ = write!(out, "<div class=\"numbers\">");
    for (number, class, label) in [
        (tally.requests, "", "requests"),
        (approved, "yes", "approved"),
        (needs_review, "ask", "need the caller"),
        (refused, "no", "refused"),
        (signs, "sign", "with signs of attacks"),
    ] {
        let _ = write!(out, "<div><b class=\"{class}\">{number}</b>{label}</div>");
    }
    out.push_str("</div>\n");
    for (title, chart) in [
        ("Over time (UTC)", charts::over_time(tally)?),
        ("Reasons of what was not approved", charts::reasons(tally)?),
    ] {
        if let Some(chart) = chart {
            let _ = writeln!(out, "<h2>{title}</h2>\n<div class=\"wide\">{chart}</div>");
        }
    }
    out.push_str("<div class=\"wide\"><table><tr><th>Reason</th><th class=\"n\">Number</th><th>Meaning</th></tr>\n");
    for (code, number) in tally.sorted_reasons() {
        let class = if is_sign(code) { " class=\"sign\"" } else { "" };
        let meaning = prose(meaning(code).unwrap_or_default());
        let _ = writeln!(
            out,
            "<tr><td{class}><code>{}</code></td><td class=\"n\">{number}</td><td class=\"p\">{meaning}</td></tr>",
            escaped(code)
        );
    }
    out.push_str("</table></div>\n");
    for (title, rows) in [
        ("Tools, prompts, resources and methods", &tally.targets),
        ("Callers", &tally.callers),
    ] {
        let _ = writeln!(
            out,
            "<h2>{title}</h2>\n<div class=\"wide\"><table><tr><th>Name</th><th class=\"n\">Approved</th><th class=\"n\">Need the caller</th>\
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
        out.push_str("</table></div>\n");
    }
    out.push_str("<p class=\"dim\">Signs of attacks are reasons that honest callers do not cause by accident.</p>\n");
    Ok(page("MCP access log", &out))
}
