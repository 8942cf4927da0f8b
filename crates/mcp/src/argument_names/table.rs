//! The table of names that keys are looked up in.

use super::fold;
use super::walk::{Begun, KeyNames, Spoken, Walk};

/// A name of a [`NameTable`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameId(usize);

/// A set of folded names. It is a tree with one byte of a name at each edge, so that the first letters rule
/// out most keys.
#[derive(Debug)]
pub struct NameTable {
    nodes: Vec<Node>,
    /// The nodes below the first one, by their byte: most keys end here.
    first: Box<[Option<NodeIndex>; 256]>,
    names: Vec<Written>,
}

/// A place in the tree: the beginning of one or more names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NodeIndex(usize);

#[derive(Debug, Default)]
struct Node {
    next: Vec<(u8, NodeIndex)>,
    name: Option<NameId>,
}

#[derive(Debug)]
struct Written {
    name: Box<str>,
    is_compound: bool,
}

impl Default for NameTable {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            first: Box::new([None; 256]),
            names: Vec::new(),
        }
    }
}

impl NameTable {
    /// The beginning of all names.
    pub(super) const ROOT: NodeIndex = NodeIndex(0);

    /// Adds a name in any spelling, and returns its id. Names that fold alike have one id.
    pub fn add(&mut self, name: &str) -> NameId {
        let mut at = Self::ROOT;
        for byte in fold(name).bytes() {
            at = match self.step(at, byte) {
                Some(next) => next,
                None => self.grow(at, byte),
            };
        }
        if let Some(known) = self.name_at(at) {
            return known;
        }
        let id = NameId(self.names.len());
        self.names.push(Written {
            name: name.into(),
            is_compound: is_compound(name),
        });
        if let Some(node) = self.nodes.get_mut(at.0) {
            node.name = Some(id);
        }
        id
    }

    fn grow(&mut self, at: NodeIndex, byte: u8) -> NodeIndex {
        let new = NodeIndex(self.nodes.len());
        self.nodes.push(Node::default());
        if let Some(node) = self.nodes.get_mut(at.0) {
            node.next.push((byte, new));
        }
        if at == Self::ROOT
            && let Some(first) = self.first.get_mut(usize::from(byte))
        {
            *first = Some(new);
        }
        new
    }

    /// The name as it was first added.
    pub fn name(&self, id: NameId) -> &str {
        self.names.get(id.0).map_or("", |written| &written.name)
    }

    /// Looks up a key that is already folded.
    pub fn find(&self, folded: &str) -> Option<NameId> {
        let mut bytes = folded.bytes();
        let end = bytes.try_fold(Self::ROOT, |at, byte| self.step(at, byte))?;
        self.name_at(end)
    }

    /// Looks up the key of a member: all names in it, alone or together with the keys above it.
    #[inline]
    pub fn find_member(&self, above: &Begun, key: &str) -> KeyNames {
        if above.is_empty()
            && let Some(end) = self.one_word(key.as_bytes())
        {
            return end.map_or_else(KeyNames::default, |end| self.end_of_word(end));
        }
        Walk::through(self, above, key)
    }

    /// The beginnings of names in the key of a member, as [`Self::find_member`] finds them.
    #[inline]
    pub fn begun_by(&self, above: &Begun, key: &str) -> Begun {
        if above.is_empty()
            && let Some(end) = self.one_word(key.as_bytes())
        {
            return end.map_or(Begun::NONE, |end| self.begun_at(end));
        }
        Walk::through(self, above, key).begun
    }

    /// Whether a key is one word that is no name and begins none.
    #[inline]
    pub(crate) fn has_no_name(&self, key: &[u8]) -> bool {
        self.one_word(key) == Some(None)
    }

    /// The end of the path in the tree for a key that can only be one name: letters, digits and single `_`
    /// or `-`. `None` for other keys.
    #[inline]
    fn one_word(&self, key: &[u8]) -> Option<Option<NodeIndex>> {
        let mut letters = key.iter().copied().map(letter);
        let mut at = Self::ROOT;
        let mut before = OTHER;
        while let Some(letter) = letters.next() {
            match letter {
                OTHER => return None,
                GLUE if before == GLUE => return None,
                GLUE => {}
                letter => match self.step(at, letter) {
                    Some(next) => at = next,
                    None => return is_rest_of_word(letters).then_some(None),
                },
            }
            before = letter;
        }
        Some(Some(at))
    }

    fn end_of_word(&self, end: NodeIndex) -> KeyNames {
        let spoken = self.name_at(end).map(Spoken::whole);
        KeyNames {
            spoken: spoken.into_iter().collect(),
            begun: self.begun_at(end),
        }
    }

    fn begun_at(&self, end: NodeIndex) -> Begun {
        Begun::at(self.begins_more(end).then_some(end))
    }

    #[inline]
    pub(super) fn step(&self, at: NodeIndex, byte: u8) -> Option<NodeIndex> {
        if at == Self::ROOT {
            return self.first.get(usize::from(byte)).copied().flatten();
        }
        let next = &self.nodes.get(at.0)?.next;
        let next = next.iter().find(|(known, _)| *known == byte);
        next.map(|(_, node)| *node)
    }

    pub(super) fn name_at(&self, at: NodeIndex) -> Option<NameId> {
        self.nodes.get(at.0)?.name
    }

    /// Whether a name continues here, so that a key below could complete it.
    pub(super) fn begins_more(&self, at: NodeIndex) -> bool {
        at != Self::ROOT
            && self
                .nodes
                .get(at.0)
                .is_some_and(|node| !node.next.is_empty())
    }

    /// Whether a name has several words, so that it probably has no other meaning.
    pub(super) fn is_compound(&self, id: NameId) -> bool {
        self.names
            .get(id.0)
            .is_some_and(|written| written.is_compound)
    }
}

/// A byte that is not part of one word.
const OTHER: u8 = 0;
/// `_` or `-`.
const GLUE: u8 = 1;
/// Bytes in lower case, if they are letters or digits.
const LETTERS: [u8; 256] = letters();

const fn letters() -> [u8; 256] {
    let mut letters = [OTHER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let letter = match byte {
            b'_' | b'-' => GLUE,
            _ if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
            _ => OTHER,
        };
        #[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
        {
            letters[byte as usize] = letter;
        }
        byte = byte.wrapping_add(1);
    }
    letters
}

/// A byte of a key in lower case, or its class.
#[inline]
fn letter(byte: u8) -> u8 {
    LETTERS.get(usize::from(byte)).copied().unwrap_or(OTHER)
}

/// Whether a key that begins no name is one word to its end.
fn is_rest_of_word(letters: impl Iterator<Item = u8>) -> bool {
    let mut before = OTHER;
    for letter in letters {
        if letter == OTHER || letter == GLUE && before == GLUE {
            return false;
        }
        before = letter;
    }
    true
}

/// Whether a name has a separator or a hump in its middle.
fn is_compound(name: &str) -> bool {
    let inner = name.trim_matches(|character: char| !character.is_alphanumeric());
    let has_separator = inner.contains(|character: char| !character.is_alphanumeric());
    let mut pairs = inner.chars().zip(inner.chars().skip(1));
    has_separator || pairs.any(|(one, next)| one.is_lowercase() && next.is_uppercase())
}
