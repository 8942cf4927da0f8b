//! Texts of an answer: withheld, or without detected values.

use super::{Pass, PassStep};
use crate::response::changes::{Changes, EmbeddedEdits, WITHHELD};
use crate::response::embedded::{Inside, decode, encode};
use crate::response::results::NotTheCallers;
use crate::response::results::key_path::KeyPath;
use crate::response::results::places::DataForm;
use base::json::tree::Node;
use policy::TextRule;

/// A text was withheld because of `text: withhold`.
pub(super) const TEXT_RULE: &str = "text_rule";
/// A text was withheld because it resembles JSON, and may have a field of the rule.
pub(super) const RESEMBLES_JSON: &str = "resembles_json";
/// Base64 was withheld because it is no text.
const BINARY: &str = "binary";

/// The change of a text.
pub(super) enum WordsNow {
    Same,
    Without(String),
    Withheld,
}

impl Pass<'_> {
    /// Withholds a text. Other texts may repeat it.
    pub(super) fn withhold(&mut self, text: &str, reason: &'static str) -> WordsNow {
        if text.is_empty() || text == WITHHELD {
            return WordsNow::Same;
        }
        self.note_withheld(reason);
        self.values.withheld.push(text.to_owned());
        WordsNow::Withheld
    }

    fn note_withheld(&mut self, reason: &'static str) {
        let number = self.withheld.entry(reason).or_default();
        *number = number.saturating_add(1);
    }

    pub(super) fn detected(&self, text: &str) -> WordsNow {
        let changed = self.without_detected(text);
        changed.map_or(WordsNow::Same, WordsNow::Without)
    }

    /// Words of an answer, or text that is nearly JSON, for the caller.
    pub(super) fn words(&mut self, text: &str, is_nearly: bool) -> WordsNow {
        if self.step == PassStep::Owner {
            return WordsNow::Same;
        }
        if is_nearly && self.may_hold_fields(text) {
            return self.withhold(text, RESEMBLES_JSON);
        }
        match self.rule.text {
            TextRule::Withhold => self.withhold(text, TEXT_RULE),
            TextRule::Keep => self.detected(text),
        }
    }

    pub(super) fn blob(
        &mut self,
        node: &Node,
        form: DataForm,
        changes: &mut Changes,
    ) -> Result<(), NotTheCallers> {
        let Some(encoded) = changes.text(node) else {
            return Ok(());
        };
        let decoded = decode(&encoded);
        let text = decoded.as_ref().map(|bytes| str::from_utf8(bytes));
        let changed = match text {
            Some(Ok(text)) => {
                let changed = self.inside(text, changes)?;
                changed.map(|changed| encode(&changed))
            }
            // The value is not base64: some clients read it as text.
            None => self.inside(&encoded, changes)?,
            Some(Err(_)) if form == DataForm::Media || self.rule.text == TextRule::Keep => None,
            Some(Err(_)) if self.step == PassStep::Owner => None,
            // Text that cannot be read.
            Some(Err(_)) => {
                self.note_withheld(BINARY);
                Some(encode(WITHHELD))
            }
        };
        if let Some(changed) = changed {
            changes.set_text(node, changed);
        }
        Ok(())
    }

    /// A text in base64, for the caller. `None`: without changes.
    fn inside(&mut self, text: &str, around: &Changes) -> Result<Option<String>, NotTheCallers> {
        let is_nearly = match around.values().look(text, self.max_depth) {
            Inside::Json(inner) => {
                let mut inner = EmbeddedEdits::of(text, inner, around);
                self.json(&mut inner)?;
                return Ok(inner.changed());
            }
            Inside::Nearly => true,
            Inside::Words => false,
        };
        Ok(match self.words(text, is_nearly) {
            WordsNow::Same => None,
            WordsNow::Without(text) => Some(text),
            WordsNow::Withheld => Some(WITHHELD.to_owned()),
        })
    }
}

/// Applies the change of a text.
pub(super) fn write(node: &Node, now: WordsNow, changes: &mut Changes) {
    match now {
        WordsNow::Same => {}
        WordsNow::Without(text) => changes.set_text(node, text),
        WordsNow::Withheld => changes.withhold(node),
    }
}

/// The keys of fields that hold prose.
const PROSE_KEYS: [&str; 14] = [
    "comment",
    "description",
    "detail",
    "details",
    "error",
    "hint",
    "message",
    "msg",
    "note",
    "notes",
    "reason",
    "summary",
    "text",
    "title",
];

/// Whether words in an answer's data are prose, and not a name, date or state. Prose is withheld like the
/// texts of the protocol.
pub(super) fn is_prose(text: &str, keys: &KeyPath<'_>) -> bool {
    let is_between =
        |char: char| char.is_whitespace() || "\u{3001}\u{3002}\u{ff0c}\u{ff1a}".contains(char);
    PROSE_KEYS.contains(&&*keys.last()) || text.contains(is_between)
}
