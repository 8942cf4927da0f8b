//! Every schema inside a schema, and where in the arguments stands what it describes.

use std::collections::BTreeMap;

use super::hidden::{Hidden, Place};
use super::keywords::{DEFINITIONS, Describes, REFERENCES, schemas};
use super::references::Targets;
use crate::mcp::json::tree::{Node, NodeId};

/// A definition used at more places than this counts as used anywhere.
const MAX_PLACES: usize = 8;

/// The schemas inside a schema.
#[derive(Debug, Default)]
pub(super) struct Walk<'t> {
    /// Each, and the places of what it describes: a definition can be used at several.
    schemas: BTreeMap<NodeId, (&'t Node, Vec<Place>)>,
    /// Which schema decides by which other.
    pub(super) uses: Vec<(NodeId, NodeId)>,
    /// References within the schema: the string, and what it refers to.
    pub(super) references: BTreeMap<NodeId, (&'t str, &'t Node)>,
    to_do: Vec<(&'t Node, Place)>,
}

impl<'t> Walk<'t> {
    /// Walks through a whole schema.
    pub(super) fn through(root: &'t Node, hidden: &Hidden<'_>) -> Self {
        let targets = Targets::of(root);
        let mut walk = Self::default();
        walk.to_do.push((root, Place::arguments()));
        loop {
            while let Some((schema, place)) = walk.to_do.pop() {
                walk.visit(schema, place, hidden, &targets);
            }
            // What nothing refers to may still be referred to in a way not understood here.
            let unused = walk.unused_definitions();
            if unused.is_empty() {
                return walk;
            }
            let apart = unused.into_iter().map(|unused| (unused, Place::apart()));
            walk.to_do.extend(apart);
        }
    }

    /// Each schema with its places.
    pub(super) fn schemas(&self) -> impl Iterator<Item = (&'t Node, &[Place])> {
        let schemas = self.schemas.values();
        schemas.map(|(schema, places)| (*schema, places.as_slice()))
    }

    fn visit(
        &mut self,
        schema: &'t Node,
        place: Place,
        hidden: &Hidden<'_>,
        targets: &Targets<'t>,
    ) {
        let (_, places) = self
            .schemas
            .entry(schema.id())
            .or_insert((schema, Vec::new()));
        let place = if places.len() < MAX_PLACES {
            place
        } else {
            Place::apart()
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
                    Describes::Elements => place.element(),
                    Describes::Members => hidden.under(name),
                    Describes::Others => Place::apart(),
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
            let Some(target) = targets.resolve(text) else {
                continue;
            };
            self.to_do.push((target, place.clone()));
            self.uses.extend(is_new.then(|| (schema.id(), target.id())));
            self.references.insert(reference.id(), (text, target));
        }
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
