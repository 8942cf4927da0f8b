//! All schemas inside a schema, and the places in the arguments that they describe.

use std::collections::BTreeMap;

use super::keywords::{DEFINITIONS, Describes, REFERENCES, schemas};
use super::references::Targets;
use base::json::tree::{Node, NodeId};

/// A definition that is used at more places counts as used everywhere.
const MAX_PLACES: usize = 8;

/// The places in a value, as far as they matter.
pub(super) trait Places {
    /// A place.
    type Place: Clone + PartialEq;

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
    /// Each schema with the places that it describes: a definition can be used at several.
    schemas: BTreeMap<NodeId, (&'t Node, Vec<P>)>,
    /// Pairs of schemas: the first depends on the second.
    pub(super) uses: Vec<(NodeId, NodeId)>,
    /// References within the schema: the string and its target.
    pub(super) references: BTreeMap<NodeId, (&'t str, &'t Node)>,
    /// Whether a reference leads through `oneOf`.
    pub(super) refers_into_one_of: bool,
    to_do: Vec<(&'t Node, P)>,
    /// The number of schemas and members that were read, for the tests of the cost.
    work: usize,
}

impl<'t, P: Clone + PartialEq> SchemaWalk<'t, P> {
    /// Walks through a whole schema.
    pub(super) fn through(root: &'t Node, places: &impl Places<Place = P>) -> Self {
        let targets = Targets::of(root);
        let mut walk = Self {
            schemas: BTreeMap::new(),
            uses: Vec::new(),
            references: BTreeMap::new(),
            refers_into_one_of: false,
            to_do: vec![(root, places.whole())],
            work: 0,
        };
        loop {
            while let Some((schema, place)) = walk.to_do.pop() {
                walk.visit(schema, place, places, &targets);
            }
            // Unused definitions may be referred to in a way that is not understood here.
            let unused = walk.unused_definitions();
            if unused.is_empty() {
                walk.work = walk.work.saturating_add(targets.work());
                return walk;
            }
            let apart = unused.into_iter().map(|unused| (unused, places.apart()));
            walk.to_do.extend(apart);
        }
    }

    /// Each schema with its places.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (&'t Node, &[P])> {
        let schemas = self.schemas.values();
        schemas.map(|(schema, places)| (*schema, places.as_slice()))
    }

    fn visit(
        &mut self,
        schema: &'t Node,
        place: P,
        of: &impl Places<Place = P>,
        targets: &Targets<'t>,
    ) {
        self.work = self.work.saturating_add(1);
        let (_, places) = self
            .schemas
            .entry(schema.id())
            .or_insert((schema, Vec::new()));
        let place = if places.len() < MAX_PLACES {
            place
        } else {
            of.apart()
        };
        if places.contains(&place) {
            return;
        }
        places.push(place.clone());
        let is_new = places.len() == 1;
        for (describes, inner) in schema.members().iter().filter_map(schemas) {
            for (name, inner) in inner {
                let place = match describes {
                    Describes::Same => place.clone(),
                    Describes::Elements => of.element(&place),
                    Describes::Members => of.under(&place, name),
                    Describes::Others => of.apart(),
                };
                self.to_do.push((inner, place));
                self.uses.extend(is_new.then(|| (schema.id(), inner.id())));
            }
        }
        for reference in REFERENCES
            .iter()
            .filter_map(|keyword| schema.member(keyword))
        {
            let Some(text) = reference.text() else {
                continue;
            };
            let Some(target) = targets.resolve(schema, text) else {
                continue;
            };
            self.to_do.push((target, place.clone()));
            self.uses.extend(is_new.then(|| (schema.id(), target.id())));
            self.refers_into_one_of |= text.contains("/oneOf/");
            self.references.insert(reference.id(), (text, target));
        }
    }

    /// The number of schemas and members that were read.
    #[cfg(test)]
    pub(super) fn work(&self) -> usize {
        self.work
    }

    fn unused_definitions(&self) -> Vec<&'t Node> {
        let schemas = self.schemas.values();
        let definitions = schemas.flat_map(|(schema, _)| DEFINITIONS.map(|key| schema.member(key)));
        let definitions = definitions.flatten().flat_map(Node::members);
        let unused = definitions.map(|definition| &definition.node);
        unused
            .filter(|definition| !self.schemas.contains_key(&definition.id()))
            .collect()
    }
}
