use super::*;
use crate::json::tree::Node;

fn applied(text: &str, edits: &Edits) -> String {
    let bytes = edits.apply(text.as_bytes()).unwrap_or(text.into());
    String::from_utf8(bytes).unwrap()
}

/// Makes two edits of `0123456789`, in both orders.
fn both(one: impl Fn(&mut Edits), other: impl Fn(&mut Edits)) -> [String; 2] {
    let text = "0123456789";
    let (mut first, mut second) = (Edits::default(), Edits::default());
    one(&mut first);
    other(&mut first);
    other(&mut second);
    one(&mut second);
    [applied(text, &first), applied(text, &second)]
}

#[test]
fn b33_of_two_edits_that_overlap_the_stricter_one_counts() {
    let same = |text: &str| [text.to_owned(), text.to_owned()];
    let inner = |edits: &mut Edits| edits.replace(3..5, "ab");
    let outer = |edits: &mut Edits| edits.replace(2..6, "x");
    assert_eq!(both(inner, outer), same("01x6789"));
    let to_start = |edits: &mut Edits| edits.replace(3..7, "x");
    assert_eq!(both(inner, to_start), same("012x789"));
    let to_end = |edits: &mut Edits| edits.replace(1..5, "x");
    assert_eq!(both(inner, to_end), same("0x56789"));
    let part = |edits: &mut Edits| edits.replace(4..7, "x");
    assert_eq!(both(inner, part), same("012789"));
    let insertion = |edits: &mut Edits| edits.insert(4, "i");
    assert_eq!(both(inner, insertion), same("012ab56789"));
    let before = |edits: &mut Edits| edits.insert(3, "i");
    assert_eq!(both(inner, before), same("012iab56789"));
    let behind = |edits: &mut Edits| edits.insert(5, "i");
    assert_eq!(both(inner, behind), same("012abi56789"));
    let touching = |edits: &mut Edits| edits.replace(5..6, "x");
    assert_eq!(both(inner, touching), same("012abx6789"));
}

#[test]
fn of_two_replacements_of_one_span_the_later_one_counts() {
    let first = |edits: &mut Edits| edits.replace(3..5, "a");
    let second = |edits: &mut Edits| edits.replace(3..5, "b");
    assert_eq!(both(first, second), ["012b56789", "012a56789"]);
    let insertions = both(|edits| edits.insert(3, "a"), |edits| edits.insert(3, "b"));
    assert_eq!(insertions, ["012ab3456789", "012ba3456789"]);
}

#[test]
fn b33_a_removed_element_is_not_replaced() {
    let text = "[1, 2, 3]";
    let root = Node::read(text.as_bytes(), 8).unwrap();
    let second = &root.children()[1];
    for removed_first in [true, false] {
        let mut edits = Edits::default();
        if removed_first {
            edits.remove_element(&second.element);
        }
        edits.replace(second.node.span.clone(), "x");
        edits.remove_element(&second.element);
        assert_eq!(applied(text, &edits), "[1, 3]");
        assert_eq!(edits.fate(&second.node.span), Fate::Gone);
        assert_eq!(edits.fate(&root.span), Fate::Kept);
    }
}

#[test]
fn commas_are_right_whichever_elements_are_removed() {
    for text in [
        "[0, [1 ,11] ,2,[3]]",
        r#"{"a": 0, "b":[1, 2],"c":{"d":3 , "e":4}}"#,
    ] {
        let root = Node::read(text.as_bytes(), 8).unwrap();
        let children = || root.children().iter();
        let nested = children().flat_map(|child| child.node.children());
        let all: Vec<&Element> = children()
            .chain(nested)
            .map(|child| &child.element)
            .collect();
        for chosen in 0..1_usize << all.len() {
            let mut edits = Edits::default();
            let is_chosen = |index: &usize| chosen >> index & 1 == 1;
            for index in (0..all.len()).filter(is_chosen).rev() {
                edits.remove_element(all[index]);
            }
            let left = applied(text, &edits);
            let read = Node::read(left.as_bytes(), 8);
            let read = read.unwrap_or_else(|error| panic!("{left}: {error}"));
            let removed = (0..children().len()).filter(is_chosen).count();
            assert_eq!(read.children().len() + removed, children().len(), "{left}");
        }
    }
}

#[test]
fn questions_between_edits_are_answered_like_those_to_new_edits() {
    // Any order of edits and questions.
    let mut state = 7_u32;
    let mut next = |most: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from((state >> 16) % most).unwrap()
    };
    for _ in 0..200 {
        let mut edits = Edits::default();
        let mut made = Vec::new();
        for _ in 0..30 {
            let (start, length) = (next(60), next(6));
            let question = start..start + length;
            match next(4) {
                0 => made.push((question, next(2) == 0)),
                _ => {
                    // Edits without an earlier question.
                    let mut fresh = Edits::default();
                    for (span, is_removal) in &made {
                        apply(&mut fresh, span.clone(), *is_removal);
                    }
                    assert_eq!(edits.fate(&question), fresh.fate(&question), "{made:?}");
                    continue;
                }
            }
            let (span, is_removal) = made.last().unwrap().clone();
            apply(&mut edits, span, is_removal);
        }
    }
}

fn apply(edits: &mut Edits, span: Span, is_removal: bool) {
    match is_removal {
        true => edits.remove(span),
        false => edits.replace(span, "x"),
    }
}
