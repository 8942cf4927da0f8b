//! The numbers of an access log.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::signs::{is_sign, meaning};
use crate::access_log;
use crate::terminal_text::printable;

/// The rows that a table shows.
const MAX_ROWS: usize = 20;
/// The number of parts of the time that charts show, at most.
const MAX_PARTS: u64 = 60;

/// The number of requests of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    /// Those that passed.
    pub(super) approved: usize,
    /// Those that the caller could cure.
    pub(super) needs_review: usize,
    /// Those that were refused, or that failed.
    pub(super) refused: usize,
    /// Of all: those with a sign of an attack.
    pub(super) signs: usize,
}

/// The numbers of a log.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// All requests.
    pub(super) requests: usize,
    /// By decision.
    pub(super) total: Counts,
    /// By tool, prompt, resource or method.
    pub(super) targets: BTreeMap<String, Counts>,
    /// By caller, with its roles.
    pub(super) callers: BTreeMap<String, Counts>,
    /// By reason of what was not approved.
    pub(super) reasons: BTreeMap<String, usize>,
    /// By second since the epoch.
    seconds: BTreeMap<u64, Counts>,
}

impl Counts {
    fn add(&mut self, decision: &str, reason: &str) {
        let number = match decision {
            // In observe mode the request passed.
            "approved" | "draft" => &mut self.approved,
            "needs_review" => &mut self.needs_review,
            _ => &mut self.refused,
        };
        *number = number.saturating_add(1);
        if is_sign(reason) {
            self.signs = self.signs.saturating_add(1);
        }
    }

    fn merge(&mut self, other: Self) {
        self.approved = self.approved.saturating_add(other.approved);
        self.needs_review = self.needs_review.saturating_add(other.needs_review);
        self.refused = self.refused.saturating_add(other.refused);
        self.signs = self.signs.saturating_add(other.signs);
    }

    /// All requests.
    pub(super) fn all(self) -> usize {
        self.approved
            .saturating_add(self.needs_review)
            .saturating_add(self.refused)
    }

    fn json(self) -> Value {
        json!({"approved": self.approved, "needs_review": self.needs_review, "refused": self.refused, "signs_of_attacks": self.signs})
    }
}

impl Tally {
    /// Adds a record.
    pub(super) fn add(&mut self, time: Option<SystemTime>, record: &Value) {
        let text = |key: &str| record.get(key).and_then(Value::as_str);
        let (decision, reason) = (
            text("decision").unwrap_or_default(),
            text("reason").unwrap_or_default(),
        );
        self.requests = self.requests.saturating_add(1);
        self.total.add(decision, reason);
        let keys = [
            "gen_ai.tool.name",
            "gen_ai.prompt.name",
            "mcp.resource.uri",
            "mcp.method.name",
            "http.request.method",
        ];
        let target = keys.iter().find_map(|key| text(key)).unwrap_or("?");
        self.targets
            .entry(target.to_owned())
            .or_default()
            .add(decision, reason);
        let roles = access_log::roles(record).join(", ");
        let caller = match (text("enduser.id"), text("identified_by")) {
            (Some(id), _) if roles.is_empty() => id.to_owned(),
            (Some(id), _) => format!("{id} ({roles})"),
            (None, Some(other)) => format!("({other})"),
            (None, None) => "(not identified)".to_owned(),
        };
        self.callers
            .entry(caller)
            .or_default()
            .add(decision, reason);
        if decision != "approved" {
            let number = self.reasons.entry(reason.to_owned()).or_default();
            *number = number.saturating_add(1);
        }
        let since = time.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        if let Some(since) = since {
            self.seconds
                .entry(since.as_secs())
                .or_default()
                .add(decision, reason);
        }
    }

    /// The numbers in equal parts of the time: the start of each part in seconds since the epoch, and its
    /// numbers. Empty if no line has a time.
    pub(super) fn over_time(&self) -> Vec<(u64, Counts)> {
        let (Some((first, _)), Some((last, _))) = (
            self.seconds.first_key_value(),
            self.seconds.last_key_value(),
        ) else {
            return Vec::new();
        };
        let span = last.saturating_sub(*first).saturating_add(1);
        let steps = [
            1,
            10,
            60,
            300,
            900,
            3600,
            6 * 3600,
            24 * 3600,
            7 * 24 * 3600,
        ];
        let fits = |step: &&u64| span.div_ceil(**step) <= MAX_PARTS;
        let step = steps.iter().find(fits).copied().unwrap_or(30 * 24 * 3600);
        let start = first.saturating_sub(first.checked_rem(step).unwrap_or(0));
        let mut parts: BTreeMap<u64, Counts> = BTreeMap::new();
        let mut part = start;
        while part <= *last {
            parts.insert(part, Counts::default());
            part = part.saturating_add(step);
        }
        for (second, counts) in &self.seconds {
            let part = second.saturating_sub(second.checked_rem(step).unwrap_or(0));
            parts.entry(part).or_default().merge(*counts);
        }
        parts.into_iter().collect()
    }

    /// The period of the log.
    pub(super) fn period(&self) -> Option<(String, String)> {
        let shown = |seconds: u64| {
            let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
            Some(humantime::format_rfc3339_seconds(time).to_string())
        };
        let (first, _) = self.seconds.first_key_value()?;
        let (last, _) = self.seconds.last_key_value()?;
        Some((shown(*first)?, shown(*last)?))
    }

    /// The reasons, the most frequent first.
    pub(super) fn sorted_reasons(&self) -> Vec<(&str, usize)> {
        let mut reasons: Vec<(&str, usize)> = self
            .reasons
            .iter()
            .map(|(code, number)| (code.as_str(), *number))
            .collect();
        reasons.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        reasons
    }

    /// As tables.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if let Some((first, last)) = self.period() {
            let _ = writeln!(out, "from {first} to {last}");
        }
        let Counts {
            approved,
            needs_review,
            refused,
            signs,
        } = self.total;
        let _ = writeln!(
            out,
            "{} requests: {approved} approved, {needs_review} need the caller, {refused} refused; {signs} with signs of attacks",
            self.requests
        );
        if !self.reasons.is_empty() {
            let _ = writeln!(out, "\nREASON                            NUMBER  MEANING");
        }
        for (code, number) in self.sorted_reasons().into_iter().take(MAX_ROWS) {
            let sign = if is_sign(code) { "!" } else { " " };
            let meaning = meaning(code).unwrap_or_default();
            let _ = writeln!(
                out,
                "{sign} {:<30}  {number:>6}  {meaning}",
                printable(code)
            );
        }
        for (title, rows) in [
            ("TOOL, PROMPT, RESOURCE OR METHOD", &self.targets),
            ("CALLER", &self.callers),
        ] {
            let _ = writeln!(out, "\n{title:<40}  APPROVED  NEEDS CALLER  REFUSED  SIGNS");
            for (name, counts) in sorted(rows).into_iter().take(MAX_ROWS) {
                let Counts {
                    approved,
                    needs_review,
                    refused,
                    signs,
                } = counts;
                let _ = writeln!(
                    out,
                    "{:<40}  {approved:>8}  {needs_review:>12}  {refused:>7}  {signs:>5}",
                    printable(name)
                );
            }
            if let Some(more) = rows.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
                let _ = writeln!(out, "and {more} more");
            }
        }
        if signs > 0 {
            out.push_str("\nSigns of attacks (!) are reasons that honest callers do not cause by accident.\n");
        }
        out
    }

    /// As JSON.
    pub(super) fn json(&self) -> Value {
        let of = |rows: &BTreeMap<String, Counts>| {
            Value::Object(
                rows.iter()
                    .map(|(name, counts)| (name.clone(), counts.json()))
                    .collect(),
            )
        };
        let parts = self.over_time();
        let parts = parts
            .iter()
            .map(|(start, counts)| json!({"start": start, "counts": counts.json()}));
        json!({
            "period": self.period().map(|(first, last)| [first, last]),
            "requests": self.requests,
            "total": self.total.json(),
            "reasons": self.reasons,
            "targets": of(&self.targets),
            "callers": of(&self.callers),
            "over_time": parts.collect::<Vec<_>>(),
        })
    }
}

/// Rows, those with signs of attacks and refusals first.
pub(super) fn sorted(rows: &BTreeMap<String, Counts>) -> Vec<(&str, Counts)> {
    let mut rows: Vec<(&str, Counts)> = rows
        .iter()
        .map(|(name, counts)| (name.as_str(), *counts))
        .collect();
    rows.sort_by_key(|(_, counts)| std::cmp::Reverse((counts.signs, counts.refused, counts.all())));
    rows
}
