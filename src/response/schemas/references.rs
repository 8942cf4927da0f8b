//! References within a schema.

use std::cell::Cell;
use std::collections::HashMap;

use percent_encoding::percent_decode_str;

use super::keywords::REFERENCES;
use base::json::tree::{Node, NodeId, Value};

/// The targets of references.
#[derive(Debug)]
pub(super) struct Targets<'t> {
    root: &'t Node,
    /// The schemas that have a name of their own.
    anchors: HashMap<&'t str, &'t Node>,
    /// The members of large objects, such as `$defs`, by their keys.
    members: HashMap<(NodeId, &'t str), &'t Node>,
    /// The number of members that were read, for the tests of the cost.
    work: Cell<usize>,
}

/// Objects with more members have an index.
const MAX_UNINDEXED: usize = 16;

impl<'t> Targets<'t> {
    pub(super) fn of(root: &'t Node) -> Self {
        let mut anchors = HashMap::new();
        let mut has_references = false;
        let mut large = Vec::new();
        let mut to_do = vec![root];
        while let Some(node) = to_do.pop() {
            let names = ["$anchor", "$dynamicAnchor"].map(|keyword| node.member(keyword));
            let names = names.into_iter().flatten().filter_map(Node::text);
            anchors.extend(names.map(|name| (name, node)));
            let members = node.members();
            has_references |= members
                .iter()
                .any(|member| REFERENCES.contains(&&*member.key));
            large.extend((members.len() > MAX_UNINDEXED).then_some(node));
            to_do.extend(node.children().iter().map(|child| &child.node));
        }
        let large = large.into_iter().filter(|_| has_references);
        let members = large.flat_map(|node| {
            let members = node.members().iter();
            members.map(|member| ((node.id(), &*member.key), &member.node))
        });
        Self {
            root,
            anchors,
            members: members.collect(),
            work: Cell::new(0),
        }
    }

    fn member(&self, node: &'t Node, key: &str) -> Option<&'t Node> {
        let count = node.members().len();
        let is_indexed = count > MAX_UNINDEXED;
        let work = if is_indexed { 1 } else { count };
        self.work.set(self.work.get().saturating_add(work));
        if is_indexed {
            return self.members.get(&(node.id(), key)).copied();
        }
        node.member(key)
    }

    /// The number of members that were read.
    pub(super) fn work(&self) -> usize {
        self.work.get()
    }

    /// The schema of a reference. `None`: it is in another document, or does not exist.
    pub(super) fn resolve(&self, reference: &str) -> Option<&'t Node> {
        let fragment = reference.strip_prefix('#')?;
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() {
            return Some(self.root);
        }
        let Some(path) = fragment.strip_prefix('/') else {
            return self.anchors.get(&*fragment).copied();
        };
        // RFC 6901 section 4.
        path.split('/').try_fold(self.root, |node, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match &node.value {
                Value::Array(elements) => Some(&elements.get(step.parse::<usize>().ok()?)?.node),
                _ => self.member(node, &step),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::schemas::walk::{Places, SchemaWalk};

    struct NoPlaces;

    impl Places for NoPlaces {
        type Place = usize;

        fn whole(&self) -> usize {
            0
        }

        fn element(&self, place: &usize) -> usize {
            place.saturating_add(1)
        }

        fn under(&self, place: &usize, name: &str) -> usize {
            place.saturating_add(name.len())
        }

        fn apart(&self) -> usize {
            usize::MAX
        }
    }

    /// A schema with many definitions and references, of a form.
    fn schema(form: usize, count: usize) -> String {
        let definitions = (0..count).map(|n| {
            let next = (n * 7 + 1) % count;
            match form {
                // A chain, and all definitions used at many places.
                0 => format!(r##""d{n}":{{"$ref":"#/$defs/d{}"}}"##, n + 1),
                1 => format!(r##""d{n}":{{"oneOf":[{{"$ref":"#/$defs/d{next}"}},{{"required":["role"]}}]}}"##),
                2 => format!(r##""d{n}":{{"properties":{{"a{n}":{{"$ref":"#/$defs/d{next}"}},"b":{{"$ref":"#/$defs/d0"}}}}}}"##),
                _ => format!(r##""d{n}":{{"$defs":{{"e":{{"$ref":"#/$defs/d{next}/$defs/e"}}}}}}"##),
            }
        });
        let definitions: Vec<String> = definitions.collect();
        format!(
            r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d{count}":{{}}}}}}"##,
            definitions.join(",")
        )
    }

    #[test]
    fn k8_the_work_of_references_grows_with_the_schema_only() {
        for form in 0..4 {
            let work = |count: usize| {
                let schema = schema(form, count);
                let root = Node::read(schema.as_bytes(), 64).unwrap();
                let walk = SchemaWalk::through(&root, &NoPlaces);
                walk.work()
            };
            let [one, two, four, eight] = [1, 2, 4, 8].map(|times| work(times * 500));
            for (less, more) in [(one, two), (two, four), (four, eight)] {
                assert!(more <= less * 2 + less / 4 + 100, "{form}: {less} {more}");
            }
        }
    }

    #[test]
    fn members_of_large_and_small_objects_are_found() {
        for count in [1, 16, 17, 40] {
            let text = schema(0, count);
            let root = Node::read(text.as_bytes(), 64).unwrap();
            let targets = Targets::of(&root);
            assert!(targets.resolve(&format!("#/$defs/d{count}")).is_some());
            assert!(targets.resolve("#/$defs/x").is_none());
        }
    }
}
