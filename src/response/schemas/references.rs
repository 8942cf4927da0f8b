//! References within a schema.

use std::cell::Cell;
use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use url::Url;

use base::json::tree::{Child, Node, NodeId, Value};

/// The targets of references.
#[derive(Debug)]
pub(super) struct Targets<'t> {
    root: &'t Node,
    /// The schemas that have a name of their own.
    anchors: BTreeMap<&'t str, &'t Node>,
    /// The schemas with a URI of their own (`$id`), by the URI as written and by the whole URI.
    ids: BTreeMap<String, &'t Node>,
    /// The URI of the root, if it has one.
    base: Option<Url>,
    /// For schemas inside a schema with a URI: that schema. Their local references are references within it.
    resources: BTreeMap<NodeId, &'t Node>,
    /// The members of large objects, such as `$defs`, by their keys.
    members: BTreeMap<(NodeId, &'t str), &'t Node>,
    /// The number of members that were read, for the tests of the cost.
    work: Cell<usize>,
}

/// Objects with more members have an index.
const MAX_UNINDEXED: usize = 16;

impl<'t> Targets<'t> {
    pub(super) fn of(root: &'t Node) -> Self {
        let mut anchors = BTreeMap::new();
        let mut large = Vec::new();
        let base = id(root).and_then(|id| Url::parse(id).ok());
        let (mut ids, mut resources) = (BTreeMap::new(), BTreeMap::new());
        let mut to_do = vec![(root, root)];
        while let Some((node, outer)) = to_do.pop() {
            let mut own = None;
            let members = node.members();
            for Child {
                key, node: value, ..
            } in members
            {
                match key.as_str() {
                    // Most keywords.
                    keyword if !keyword.starts_with('$') => {}
                    "$id" => own = id_in(value),
                    "$anchor" | "$dynamicAnchor" => {
                        anchors.extend(value.text().map(|name| (name, node)));
                    }
                    _ => {}
                }
            }
            let resource = own.map_or(outer, |_| node);
            for uri in own.into_iter().flat_map(|id| uris(base.as_ref(), id)) {
                ids.entry(uri).or_insert(node);
            }
            if !std::ptr::eq(resource, root) {
                resources.insert(node.id(), resource);
            }
            large.extend((members.len() > MAX_UNINDEXED).then_some(node));
            let children = node.children().iter().map(|child| &child.node);
            let children = children.filter(|child| !child.children().is_empty());
            to_do.extend(children.map(|child| (child, resource)));
        }
        let members = large.into_iter().flat_map(|node| {
            let members = node.members().iter();
            members.map(|member| ((node.id(), &*member.key), &member.node))
        });
        Self {
            root,
            anchors,
            ids,
            base,
            resources,
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

    /// The schema of a reference in a schema. `None`: it is in another document, or does not exist.
    pub(super) fn resolve(&self, within: &Node, reference: &str) -> Option<&'t Node> {
        let (uri, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let root = match uri {
            "" => self
                .resources
                .get(&within.id())
                .copied()
                .unwrap_or(self.root),
            uri => {
                let mut known = uris(self.base.as_ref(), uri).into_iter();
                known.find_map(|uri| self.ids.get(&uri).copied())?
            }
        };
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        if fragment.is_empty() {
            return Some(root);
        }
        let Some(path) = fragment.strip_prefix('/') else {
            return self.anchors.get(&*fragment).copied();
        };
        // RFC 6901 section 4.
        path.split('/').try_fold(root, |node, step| {
            let step = step.replace("~1", "/").replace("~0", "~");
            match &node.value {
                Value::Array(elements) => Some(&elements.get(step.parse::<usize>().ok()?)?.node),
                _ => self.member(node, &step),
            }
        })
    }
}

/// The URI of a schema. Without a fragment, it names the whole schema.
fn id(schema: &Node) -> Option<&str> {
    schema.member("$id").and_then(id_in)
}

fn id_in(value: &Node) -> Option<&str> {
    let id = value.text()?;
    let id = id.strip_suffix('#').unwrap_or(id);
    (!id.is_empty() && !id.contains('#')).then_some(id)
}

/// A URI as written, and as a whole.
fn uris(base: Option<&Url>, uri: &str) -> Vec<String> {
    let whole = base.and_then(|base| base.join(uri).ok());
    let whole = whole.map(String::from).filter(|whole| whole != uri);
    std::iter::once(uri.to_owned()).chain(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response::schemas::walk::{Places, SchemaWalk};

    struct NoPlaces;

    impl Places for NoPlaces {
        type Place = usize;

        const PLAIN_SCHEMAS: bool = true;

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
            let resolve = |reference: &str| targets.resolve(&root, reference);
            assert!(resolve(&format!("#/$defs/d{count}")).is_some());
            assert!(resolve("#/$defs/x").is_none());
        }
    }
}
