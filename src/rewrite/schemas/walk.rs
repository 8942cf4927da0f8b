//! Every schema inside a schema, and where in the arguments stands what it describes.

use std::collections::BTreeMap;

use super::hidden::{Hidden, Place};
use super::keywords::{DEFINITIONS, Describes, REFERENCES, schemas};
use super::references::Anchors;
use crate::mcp::json::{Kind, NodeId, Tree};

/// A definition used at more places than this counts as used anywhere.
const MAX_PLACES: usize = 8;

/// The schemas inside a schema.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Each, and the places of what it describes: a definition can be used at several.
    pub(super) schemas: BTreeMap<NodeId, Vec<Place>>,
    /// Which schema decides by which other.
    pub(super) uses: Vec<(NodeId, NodeId)>,
    /// References within the schema: the string, and what it refers to.
    pub(super) references: BTreeMap<NodeId, NodeId>,
    to_do: Vec<(NodeId, Place)>,
}

impl Walk {
    /// Walks through a whole schema.
    pub(super) fn through(tree: &Tree<'_>, hidden: &Hidden<'_>) -> Self {
        let anchors = Anchors::of(tree);
        let mut walk = Self::default();
        walk.to_do.push((tree.root(), Place::arguments()));
        loop {
            walk.finish(tree, hidden, &anchors);
            // What nothing refers to may still be referred to in a way not understood here.
            let unused = walk.unused_definitions(tree);
            if unused.is_empty() {
                return walk;
            }
            let apart = unused.into_iter().map(|unused| (unused, Place::apart()));
            walk.to_do.extend(apart);
        }
    }

    fn finish(&mut self, tree: &Tree<'_>, hidden: &Hidden<'_>, anchors: &Anchors<'_>) {
        while let Some((schema, place)) = self.to_do.pop() {
            let places = self.schemas.entry(schema).or_default();
            let place = if places.len() < MAX_PLACES {
                place
            } else {
                Place::apart()
            };
            if places.contains(&place) {
                continue;
            }
            places.push(place.clone());
            let is_new = places.len() == 1;
            self.keywords(tree, hidden, schema, &place, is_new);
            self.references(tree, anchors, schema, &place, is_new);
        }
    }

    fn keywords(
        &mut self,
        tree: &Tree<'_>,
        hidden: &Hidden<'_>,
        schema: NodeId,
        place: &Place,
        is_new: bool,
    ) {
        let node = tree.node(schema);
        let keywords = node.children.iter().filter(|_| node.kind == Kind::Object);
        for (describes, inner) in keywords.filter_map(|keyword| schemas(tree, keyword)) {
            for (name, inner) in inner {
                let place = match describes {
                    Describes::Same => place.clone(),
                    Describes::Elements => place.element(),
                    Describes::Members => hidden.under(name),
                    Describes::Others => Place::apart(),
                };
                self.to_do.push((inner, place));
                self.uses.extend(is_new.then_some((schema, inner)));
            }
        }
    }

    fn references(
        &mut self,
        tree: &Tree<'_>,
        anchors: &Anchors<'_>,
        schema: NodeId,
        place: &Place,
        is_new: bool,
    ) {
        for keyword in REFERENCES {
            let Some(reference) = tree.member(schema, keyword) else {
                continue;
            };
            let text = tree.node(reference).text.as_deref();
            let Some(target) = text.and_then(|text| anchors.resolve(tree, text)) else {
                continue;
            };
            self.to_do.push((target, place.clone()));
            if is_new {
                self.uses.push((schema, target));
                self.references.insert(reference, target);
            }
        }
    }

    fn unused_definitions(&self, tree: &Tree<'_>) -> Vec<NodeId> {
        let of_schema = |schema: &NodeId| DEFINITIONS.map(|keyword| tree.member(*schema, keyword));
        let definitions = self.schemas.keys().flat_map(of_schema).flatten();
        let definitions = definitions.map(|definitions| tree.node(definitions));
        let definitions = definitions.filter(|definitions| definitions.kind == Kind::Object);
        let definitions = definitions.flat_map(|definitions| &definitions.children);
        let unused = definitions.map(|definition| definition.node);
        unused
            .filter(|definition| !self.schemas.contains_key(definition))
            .collect()
    }
}
