//! All schemas inside a schema, and the places in the arguments that they describe.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use super::keywords::{
    DEFINITIONS, Describes, Keyword, REFERENCES, SchemasUnder, has_keyword, is_object, schemas,
};
use super::references::Targets;
use base::json::Span;
use base::json::tree::{Child, Node, NodeId};

/// A definition that is used at more places counts as used everywhere.
const MAX_PLACES: usize = 8;

/// The number of schemas and of keywords that get memory at once.
const AT_ONCE: usize = 4;

/// The places in a value, as far as they matter.
pub(super) trait Places {
    /// A place.
    type Place: Clone + PartialEq;

    /// Whether schemas matter that have no [`Keyword`].
    const PLAIN_SCHEMAS: bool;

    /// The value as a whole.
    fn whole(&self) -> Self::Place;
    /// An element of a list at this place.
    fn element(&self, place: &Self::Place) -> Self::Place;
    /// A member of an object at this place.
    fn under(&self, place: &Self::Place, name: &str) -> Self::Place;
    /// An unknown place.
    fn apart(&self) -> Self::Place;
}

/// The schemas inside a schema.
#[derive(Debug)]
pub(super) struct SchemaWalk<'t, P> {
    /// The whole schema.
    pub(super) root: &'t Node,
    schemas: Vec<Visited<'t, P>>,
    /// The number of each value's schema among `schemas`, from 1. 0: not visited. By the value's number in the root.
    /// Empty without references: then no schema is visited twice.
    visited: Vec<usize>,
    /// The keywords of all schemas.
    keywords: Vec<(Keyword, &'t Child)>,
    /// References within the schema: the string and its target.
    pub(super) references: BTreeMap<NodeId, (&'t str, &'t Node)>,
    /// Whether a reference leads through `oneOf`.
    pub(super) refers_into_one_of: bool,
    /// Their targets. Most schemas have no references.
    targets: Option<Box<Targets<'t>>>,
    to_do: Vec<(&'t Node, P)>,
    /// The number of schemas and members that were read, for the tests of the cost.
    work: usize,
}

#[derive(Debug)]
struct Visited<'t, P> {
    node: &'t Node,
    /// The places that it describes: a definition can be used at several.
    places: SmallVec<[P; 1]>,
    /// Its part of all keywords.
    keywords: Span,
}

/// One of the schemas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'w, 't, P> {
    /// The schema.
    pub(super) node: &'t Node,
    /// The places that it describes.
    pub(super) places: &'w [P],
    /// Its members that are keywords.
    pub(super) keywords: &'w [(Keyword, &'t Child)],
}

impl<'t, P> Schema<'_, 't, P> {
    /// The value of a keyword.
    pub(super) fn keyword(&self, keyword: Keyword) -> Option<&'t Node> {
        value_of(keyword, self.keywords)
    }
}

fn value_of<'t>(keyword: Keyword, keywords: &[(Keyword, &'t Child)]) -> Option<&'t Node> {
    let mut keywords = keywords.iter();
    let found = keywords.find(|(each, _)| *each == keyword);
    found.map(|(_, child)| &child.node)
}

impl<'t, P: Clone + PartialEq> SchemaWalk<'t, P> {
    /// Walks through a whole schema.
    pub(super) fn through(root: &'t Node, places: &impl Places<Place = P>) -> Self {
        let mut walk = Self {
            root,
            schemas: Vec::with_capacity(AT_ONCE),
            visited: Vec::new(),
            keywords: Vec::with_capacity(AT_ONCE),
            references: BTreeMap::new(),
            refers_into_one_of: false,
            targets: None,
            to_do: Vec::new(),
            work: 0,
        };
        walk.visit(root, places.whole(), places);
        let mut done = 0;
        loop {
            while let Some((schema, place)) = walk.to_do.pop() {
                walk.visit(schema, place, places);
            }
            // Unused definitions may be referred to in a way that is not understood here.
            let unused = walk.unused_definitions(done);
            if unused.is_empty() {
                let of_targets = walk.targets.as_ref().map_or(0, |targets| targets.work());
                walk.work = walk.work.saturating_add(of_targets);
                return walk;
            }
            done = walk.schemas.len();
            let apart = unused.into_iter().map(|unused| (unused, places.apart()));
            walk.to_do.extend(apart);
        }
    }

    /// The schemas.
    pub(super) fn schemas(&self) -> impl Iterator<Item = Schema<'_, 't, P>> {
        self.schemas.iter().map(|schema| Schema {
            node: schema.node,
            places: &schema.places,
            keywords: self.keywords_of(schema),
        })
    }

    /// Whether a schema has one of these keywords.
    pub(super) fn has(&self, keywords: &[Keyword]) -> bool {
        let mut all = self.keywords.iter();
        all.any(|(keyword, _)| keywords.contains(keyword))
    }

    fn keywords_of(&self, schema: &Visited<'t, P>) -> &[(Keyword, &'t Child)] {
        let keywords = self.keywords.get(schema.keywords.clone());
        keywords.unwrap_or_default()
    }

    /// The place of a value's number in `visited`.
    fn place_of(&self, node: &Node) -> usize {
        let first = self.root.id().number();
        node.id().number().saturating_sub(first)
    }

    fn visited(&self, node: &Node) -> Option<usize> {
        let number = self.visited.get(self.place_of(node))?;
        number.checked_sub(1)
    }

    fn visit(&mut self, node: &'t Node, place: P, of: &impl Places<Place = P>) {
        self.work = self.work.saturating_add(1);
        let known = self.visited(node);
        let known = known.and_then(|at| self.schemas.get_mut(at));
        let (place, keywords) = match known {
            Some(schema) => {
                let known = &schema.places;
                let place = if known.len() < MAX_PLACES {
                    place
                } else {
                    of.apart()
                };
                if known.contains(&place) {
                    return;
                }
                schema.places.push(place.clone());
                (place, schema.keywords.clone())
            }
            None => (place.clone(), self.add(node, place)),
        };
        for at in keywords.clone() {
            let Some((keyword, child)) = self.keywords.get(at) else {
                continue;
            };
            if let Some((describes, under)) = schemas(*keyword, &child.node) {
                self.visit_later((describes, under), &place, of);
            }
        }
        self.refer(node, keywords, &place);
    }

    /// Adds a schema. Returns the part of its keywords.
    fn add(&mut self, node: &'t Node, place: P) -> Span {
        let start = self.keywords.len();
        let members = node.members().iter();
        let keywords = members.filter_map(|child| Some((Keyword::of(&child.key)?, child)));
        self.keywords.extend(keywords);
        let keywords = start..self.keywords.len();
        self.schemas.push(Visited {
            node,
            places: SmallVec::from_buf([place]),
            keywords: keywords.clone(),
        });
        self.note(self.schemas.len().saturating_sub(1));
        keywords
    }

    /// The schemas under a keyword are visited later.
    fn visit_later<S: Places<Place = P>>(
        &mut self,
        (describes, under): (Describes, SchemasUnder<'t>),
        place: &P,
        of: &S,
    ) {
        let matters = |schema: &Node| S::PLAIN_SCHEMAS || has_keyword(schema);
        let place_of = |name: &str| match describes {
            Describes::Same => place.clone(),
            Describes::Elements => of.element(place),
            Describes::Members => of.under(place, name),
            Describes::Others => of.apart(),
        };
        match under {
            SchemasUnder::One(inner) => self.to_do.push((inner, place_of(""))),
            SchemasUnder::Several(entries) => {
                let inner = entries.iter();
                let inner = inner.filter(|entry| is_object(&entry.node) && matters(&entry.node));
                let inner = inner.map(|Child { key, node, .. }| (node, place_of(key)));
                self.to_do.extend(inner);
            }
        }
    }

    /// The schemas that a schema refers to are visited later.
    fn refer(&mut self, schema: &'t Node, keywords: Span, place: &P) {
        for keyword in REFERENCES {
            let keywords = self.keywords.get(keywords.clone()).unwrap_or_default();
            let reference = value_of(keyword, keywords);
            let Some((reference, text)) = reference.and_then(|node| Some((node, node.text()?)))
            else {
                continue;
            };
            let root = self.root;
            let targets = self
                .targets
                .get_or_insert_with(|| Box::new(Targets::of(root)));
            let Some(target) = targets.resolve(schema, text) else {
                continue;
            };
            self.note_visited();
            self.to_do.push((target, place.clone()));
            self.refers_into_one_of |= text.contains("/oneOf/");
            self.references.insert(reference.id(), (text, target));
        }
    }

    /// Notes which schemas were visited, from the first reference on.
    fn note_visited(&mut self) {
        if !self.visited.is_empty() {
            return;
        }
        self.visited = vec![0; self.root.inner_numbers().len().saturating_add(1)];
        for number in 0..self.schemas.len() {
            self.note(number);
        }
    }

    fn note(&mut self, number: usize) {
        let node = self.schemas.get(number).map(|schema| schema.node);
        let place = node.map(|node| self.place_of(node));
        if let Some(visited) = place.and_then(|place| self.visited.get_mut(place)) {
            *visited = number.saturating_add(1);
        }
    }

    /// Pairs of schemas: the second one uses the first one, so that its meaning depends on it.
    pub(super) fn uses(&self) -> Vec<(NodeId, NodeId)> {
        let mut uses = Vec::new();
        for schema in self.schemas() {
            let user = schema.node.id();
            for (keyword, child) in schema.keywords {
                match schemas(*keyword, &child.node) {
                    Some((_, SchemasUnder::One(used))) => uses.push((used.id(), user)),
                    Some((_, SchemasUnder::Several(entries))) => {
                        uses.extend(entries.iter().map(|entry| (entry.node.id(), user)));
                    }
                    None => {}
                }
                let target = self.references.get(&child.node.id());
                uses.extend(target.map(|(_, target)| (target.id(), user)));
            }
        }
        uses
    }

    /// The number of schemas and members that were read.
    #[cfg(test)]
    pub(super) fn work(&self) -> usize {
        self.work
    }

    /// The definitions in the schemas from this one on that were not visited.
    fn unused_definitions(&self, from: usize) -> Vec<&'t Node> {
        if !self.has(&DEFINITIONS) {
            return Vec::new();
        }
        let mut schemas: Vec<_> = self.schemas().skip(from).collect();
        schemas.sort_unstable_by_key(|schema| schema.node.id());
        let definitions = schemas
            .iter()
            .flat_map(|schema| DEFINITIONS.map(|keyword| schema.keyword(keyword)));
        let definitions = definitions.flatten().flat_map(Node::members);
        let unused = definitions.map(|definition| &definition.node);
        unused
            .filter(|definition| self.visited(definition).is_none())
            .collect()
    }
}
