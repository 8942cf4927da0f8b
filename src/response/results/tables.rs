//! Values whose key is not the name of their field: in columns, as in results of SQL (`{"columns": ["ssn"],
//! "rows": [["123-45-6789"]]}`), and beside the name (`{"name": "ssn", "value": "123-45-6789"}`).

use base::json::tree::{Child, Node, Value};
use mcp::argument_names::fold;

/// Members that hold the name of a column or field, folded.
const NAMES: [&str; 12] = [
    "attribute",
    "column",
    "columnname",
    "field",
    "fieldname",
    "id",
    "key",
    "label",
    "name",
    "path",
    "property",
    "title",
];

/// Members that hold the value of a field that another member names, also as the end of a key, such as
/// `stringValue`.
const VALUES: [&str; 7] = ["value", "values", "val", "v", "data", "content", "rows"];

/// Members that hold the names of the values in a list beside them, folded.
const HEADS: [&str; 10] = [
    "attributes",
    "cols",
    "columnnames",
    "columns",
    "fieldnames",
    "fields",
    "header",
    "headers",
    "keys",
    "names",
];

/// Members that hold one row, beside the names of its columns.
const ROWS: [&str; 5] = ["cells", "data", "record", "row", "values"];

/// The maximum length of a column's name, in bytes.
const MAX_NAME: usize = 256;

/// The parts of one JSON value that may be tables.
#[derive(Debug, Default)]
pub(super) struct Tables<'n> {
    /// Lists. Those of names may be heads.
    lists: Vec<&'n [Child]>,
    /// Lists in lists, and lists in objects in lists.
    rows: Vec<&'n [Child]>,
    /// Objects that name a field, with their members.
    named: Vec<&'n [Child]>,
}

impl<'n> Tables<'n> {
    /// Finds the parts that may be tables.
    pub(super) fn of(root: &'n Node) -> Self {
        let mut tables = Self::default();
        tables.visit(root, false);
        tables
    }

    /// The values whose name is hidden.
    pub(super) fn values(&self, mut is_hidden: impl FnMut(&str) -> bool) -> Vec<&'n Node> {
        let mut values = Vec::new();
        for members in &self.named {
            if names(members).any(&mut is_hidden) {
                let members = members.iter().filter(|member| is_value(&member.key));
                values.extend(members.map(|member| &member.node));
            }
        }
        if self.rows.is_empty() {
            return values;
        }
        let mut columns: Vec<bool> = Vec::new();
        for head in self.lists.iter().filter(|list| is_head(list)) {
            for (column, name) in head.iter().enumerate() {
                if names_in(&name.node).any(&mut is_hidden) {
                    let width = columns.len().max(column.saturating_add(1));
                    columns.resize(width, false);
                    columns
                        .iter_mut()
                        .skip(column)
                        .take(1)
                        .for_each(|it| *it = true);
                }
            }
        }
        for row in &self.rows {
            for (cell, _) in row.iter().zip(&columns).filter(|(_, hidden)| **hidden) {
                if !names_in(&cell.node).any(&mut is_hidden) {
                    values.push(&cell.node);
                }
            }
            // A list of pairs of key and value.
            if let [key, value] = row
                && key
                    .node
                    .text()
                    .is_some_and(|key| is_name(key) && is_hidden(key))
            {
                values.push(&value.node);
            }
        }
        values
    }

    /// `in_list`: whether it is an element of a list, or a member of one.
    fn visit(&mut self, node: &'n Node, in_list: bool) {
        match &node.value {
            Value::Array(items) => {
                self.lists.push(items);
                if in_list && !items.is_empty() {
                    self.rows.push(items);
                }
                for item in items {
                    self.visit(&item.node, true);
                }
            }
            Value::Object(members) => {
                if members.iter().any(|member| is_value(&member.key)) {
                    self.named.push(members);
                }
                for member in members {
                    let is_row = || {
                        let is_row = ROWS.contains(&&*member.key) && is_flat(&member.node);
                        is_row && members.iter().any(holds_head)
                    };
                    let is_list = matches!(member.node.value, Value::Array(_));
                    self.visit(&member.node, is_list && (in_list || is_row()));
                }
            }
            Value::Bool(_) | Value::Null | Value::Number(_) | Value::Text(_) => {}
        }
    }
}

/// Whether all elements are names.
fn is_head(items: &[Child]) -> bool {
    !items.is_empty()
        && items
            .iter()
            .all(|item| names_in(&item.node).next().is_some())
}

/// Whether a member holds the names of the values in a list beside it.
fn holds_head(member: &Child) -> bool {
    let is_list = matches!(&member.node.value, Value::Array(items) if is_head(items));
    is_list && HEADS.contains(&&*fold(&member.key))
}

/// Whether a list holds neither lists nor objects.
fn is_flat(node: &Node) -> bool {
    node.children()
        .iter()
        .all(|item| item.node.children().is_empty())
}

/// The possible names in an element of a head: a text, or those of an object.
fn names_in(node: &Node) -> impl Iterator<Item = &str> {
    let own = node.text().filter(|name| is_name(name));
    own.into_iter().chain(names(node.members()))
}

/// The possible names in an object. An only member may have any key.
fn names(members: &[Child]) -> impl Iterator<Item = &str> {
    let is_only = members.len() == 1;
    members.iter().filter_map(move |member| {
        let name = member.node.text().filter(|name| is_name(name))?;
        let is_short = member.key.len() <= MAX_NAME;
        let is_key = is_only || is_short && NAMES.contains(&&*fold(&member.key));
        is_key.then_some(name)
    })
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
}

fn is_value(key: &str) -> bool {
    let [value, others @ ..] = VALUES;
    let start = key.len().saturating_sub(value.len());
    let end = key.get(start..).unwrap_or_default();
    end.eq_ignore_ascii_case(value) || others.iter().any(|other| other.eq_ignore_ascii_case(key))
}
