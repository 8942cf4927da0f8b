//! The names in a key, read as a path.
//!
//! `filter.user_id`, `/user/id`, `filter->user_id`, `filter__user_id`, `user_id[0]` and
//! `filter[user_id][$eq]` are paths. Their segments stand for the keys of nested objects, so each run
//! of segments may be a name, also a run that starts in the keys above.

use smallvec::SmallVec;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::is_kept;
use super::table::{NameId, NameTable, NodeIndex};

/// Words that may follow a name of one word in a path: operators of query languages, and attributes that
/// identify. Before other words (`user.ts`, `org.apache`) such a name is a plain word.
const TAILS: &[&str] = &[
    "all",
    "any",
    "between",
    "code",
    "contains",
    "email",
    "endswith",
    "eq",
    "equals",
    "exact",
    "gt",
    "gte",
    "guid",
    "handle",
    "icontains",
    "id",
    "ids",
    "iexact",
    "ilike",
    "in",
    "is",
    "key",
    "keys",
    "like",
    "lt",
    "lte",
    "matches",
    "name",
    "names",
    "ne",
    "neq",
    "nin",
    "no",
    "not",
    "nr",
    "number",
    "ref",
    "regex",
    "slug",
    "startswith",
    "sub",
    "uid",
    "uuid",
    "value",
    "values",
];
/// The length of the longest, in bytes.
const LONGEST_TAIL: usize = 10;

/// The beginnings of names in the keys above a place. A key there may complete them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Begun(SmallVec<[NodeIndex; 1]>);

/// A name in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken {
    /// The name.
    pub name: NameId,
    /// Whether the key continues after it: `user_id.$ne` has a part of `user_id`, or a condition on it.
    pub is_part: bool,
}

/// The names in a key.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KeyNames {
    /// The names: those that end with the key first, and of these the longest first.
    pub spoken: SmallVec<[Spoken; 1]>,
    /// The beginnings that the keys below may complete.
    pub begun: Begun,
}

impl Begun {
    /// None, as at the top.
    pub const NONE: Self = Self(SmallVec::new_const());

    pub(super) fn at(node: Option<NodeIndex>) -> Self {
        Self(node.into_iter().collect())
    }

    /// Whether a key there can only have names of its own.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Spoken {
    pub(crate) fn whole(name: NameId) -> Self {
        Self {
            name,
            is_part: false,
        }
    }
}

/// A run of segments that may become a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    at: NodeIndex,
    /// Whether it starts at the start of the key, or above it.
    is_from_start: bool,
    /// Whether it has white space in it.
    is_spaced: bool,
}

/// A found name, with the folded bytes before it.
struct Match {
    spoken: Spoken,
    /// The letters of the key at its end, and its own number of letters.
    length: usize,
}

/// The end of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Boundary {
    /// A separator.
    Separator,
    /// White space. Names do not start after it, so that text is not a path.
    Space,
    /// The end of the key.
    End,
}

/// The reading of one key.
pub(super) struct Walk<'t> {
    table: &'t NameTable,
    runs: Vec<Run>,
    /// The runs before the current segment.
    before: Vec<Run>,
    matches: Vec<Match>,
    segment: Segment,
    /// The name that the whole key so far forms, with any white space.
    whole: Option<NameId>,
    /// The number of `_` and `-` directly before.
    glue: usize,
}

/// The current segment.
#[derive(Default)]
struct Segment {
    /// Its letters, as far as a tail needs them.
    start: String,
    length: usize,
    is_index: bool,
    /// Whether it starts with `$`: an operator of a query language.
    is_operator: bool,
}

impl Segment {
    fn count(&mut self, letter: char) {
        self.is_index = letter.is_ascii_digit() && (self.is_index || self.length == 0);
        self.length = self.length.saturating_add(1);
    }
}

impl<'t> Walk<'t> {
    pub(super) fn through(table: &'t NameTable, above: &Begun, key: &str) -> KeyNames {
        let nodes = above.0.iter().chain([&NameTable::ROOT]);
        let runs = nodes.map(|at| Run {
            at: *at,
            is_from_start: true,
            is_spaced: false,
        });
        let runs: Vec<Run> = runs.collect();
        let mut walk = Self {
            table,
            before: runs.clone(),
            runs,
            matches: Vec::new(),
            segment: Segment::default(),
            whole: None,
            glue: 0,
        };
        for character in key.trim().chars() {
            if character.is_ascii() {
                walk.character(character);
            } else {
                decompose_compatible(character, |part| walk.character(part));
            }
        }
        walk.end()
    }

    /// Reads a character that is decomposed.
    fn character(&mut self, character: char) {
        if self.is_lost() && is_kept(character) {
            self.glue = 0;
            self.segment.count(character);
            return;
        }
        // Upper case first, as `fold` does.
        let folded = character.to_uppercase().flat_map(char::to_lowercase);
        let mut letters = folded.nfkd().filter(|letter| is_kept(*letter)).peekable();
        if letters.peek().is_some() {
            if std::mem::take(&mut self.glue) > 1 {
                self.boundary(Boundary::Separator);
            }
            letters.for_each(|letter| self.letter(letter));
        } else if matches!(character, '_' | '-') {
            self.glue = self.glue.saturating_add(1);
        } else if !character.is_alphanumeric() && !is_combining_mark(character) {
            self.glue = 0;
            match character.is_whitespace() {
                true => self.boundary(Boundary::Space),
                false => self.boundary(Boundary::Separator),
            }
            self.segment.is_operator = character == '$';
        }
    }

    /// Whether the current segment can be no name and no tail of one, so that its other letters need no
    /// folding.
    fn is_lost(&self) -> bool {
        let has_name = !self.matches.is_empty()
            || self.whole.is_some()
            || self.before.iter().any(|run| run.at != NameTable::ROOT);
        let is_no_tail = !has_name || self.segment.length > LONGEST_TAIL;
        self.runs.is_empty() && is_no_tail && self.glue <= 1
    }

    fn letter(&mut self, letter: char) {
        let segment = &mut self.segment;
        segment.count(letter);
        if segment.start.len() <= LONGEST_TAIL {
            segment.start.push(letter);
        }
        let mut bytes = [0; 4];
        for byte in letter.encode_utf8(&mut bytes).bytes() {
            let table = self.table;
            self.runs.retain_mut(|run| match table.step(run.at, byte) {
                Some(next) => {
                    run.at = next;
                    true
                }
                None => false,
            });
        }
    }

    fn boundary(&mut self, boundary: Boundary) {
        if self.segment.length > 0 {
            self.end_segment(boundary);
        }
        if boundary == Boundary::Space {
            for run in &mut self.runs {
                run.is_spaced |= run.at != NameTable::ROOT || !run.is_from_start;
            }
        }
        let fresh = Run {
            at: NameTable::ROOT,
            is_from_start: false,
            is_spaced: false,
        };
        if boundary == Boundary::Separator && !self.runs.iter().any(|run| run.at == fresh.at) {
            self.runs.push(fresh);
        }
        self.before.clone_from(&self.runs);
    }

    fn end_segment(&mut self, boundary: Boundary) {
        let segment = std::mem::take(&mut self.segment);
        let is_tail = segment.is_index || segment.is_operator || TAILS.contains(&&*segment.start);
        let table = self.table;
        self.matches.retain_mut(|found| {
            found.spoken.is_part |= !segment.is_index;
            is_tail || table.is_compound(found.spoken.name)
        });
        self.whole = self.whole.filter(|_| segment.is_index);
        for run in &self.runs {
            let Some(name) = table.name_at(run.at) else {
                continue;
            };
            self.whole = self.whole.or(run.is_from_start.then_some(name));
            let is_compound = table.is_compound(name);
            let counts = match boundary {
                Boundary::End => run.is_from_start || is_compound || !run.is_spaced,
                Boundary::Separator => !run.is_spaced,
                Boundary::Space => !run.is_spaced && is_compound,
            };
            if counts && !self.matches.iter().any(|known| known.spoken.name == name) {
                self.matches.push(Match {
                    spoken: Spoken::whole(name),
                    length: table.name(name).len(),
                });
            }
        }
        if segment.is_index || segment.is_operator {
            // These are elements of a list. They do not separate a key from those below it.
            for run in std::mem::take(&mut self.before) {
                if run.at != NameTable::ROOT && !self.runs.contains(&run) {
                    self.runs.push(run);
                }
            }
        }
        self.runs.retain(|run| run.at != NameTable::ROOT);
    }

    fn end(mut self) -> KeyNames {
        if self.segment.length > 0 {
            self.end_segment(Boundary::End);
        } else if let Some(name) = self.whole {
            // Only separators follow it.
            self.matches.retain(|found| found.spoken.name != name);
            self.matches.push(Match {
                spoken: Spoken::whole(name),
                length: usize::MAX,
            });
        }
        self.matches
            .sort_by_key(|found| (found.spoken.is_part, std::cmp::Reverse(found.length)));
        let mut begun: Vec<NodeIndex> = Vec::new();
        for run in &self.runs {
            if self.table.begins_more(run.at) && !begun.contains(&run.at) {
                begun.push(run.at);
            }
        }
        KeyNames {
            spoken: self.matches.iter().map(|found| found.spoken).collect(),
            begun: Begun(SmallVec::from_vec(begun)),
        }
    }
}

#[cfg(test)]
mod tests;
