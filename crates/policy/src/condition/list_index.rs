//! `in` over lists. A long list is searched once per evaluation, to make an index of it.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::rc::Rc;

use super::budget::{Budget, Stop};
use super::cel_value::CelValue;

/// Shorter lists have no index.
const MIN_INDEXED: usize = 16;
/// The size of an element in an index, in bytes.
const ENTRY_BYTES: usize = 16;

/// The indexes of one evaluation.
#[derive(Default)]
pub(super) struct ListIndexes<'a> {
    hasher: RandomState,
    /// One or two: a condition has few lists.
    indexes: Vec<ListIndex<'a>>,
}

/// The positions of a list's elements, by hash.
struct ListIndex<'a> {
    list: Rc<Vec<CelValue<'a>>>,
    /// Sorted.
    places: Vec<(u64, usize)>,
}

impl<'a> ListIndexes<'a> {
    /// Whether a list has an element.
    pub(super) fn contains(
        &mut self,
        list: &Rc<Vec<CelValue<'a>>>,
        element: &CelValue<'a>,
        budget: &Budget,
    ) -> Result<bool, Stop> {
        if list.len() < MIN_INDEXED {
            for own in list.iter() {
                if own.equals(element, budget)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        budget.steps(self.indexes.len())?;
        let known = self
            .indexes
            .iter()
            .position(|index| Rc::ptr_eq(&index.list, list));
        let known = match known {
            Some(known) => known,
            None => {
                let index = ListIndex::new(list, &self.hasher, budget)?;
                self.indexes.push(index);
                self.indexes.len().saturating_sub(1)
            }
        };
        let hash = hash(element, &self.hasher, budget)?;
        match self.indexes.get(known) {
            Some(index) => index.contains(hash, element, budget),
            None => Ok(false),
        }
    }
}

impl<'a> ListIndex<'a> {
    fn new(
        list: &Rc<Vec<CelValue<'a>>>,
        hasher: &RandomState,
        budget: &Budget,
    ) -> Result<Self, Stop> {
        budget.bytes(ENTRY_BYTES.saturating_mul(list.len()))?;
        budget.steps(list.len())?;
        let mut places = Vec::with_capacity(list.len());
        for (place, element) in list.iter().enumerate() {
            places.push((hash(element, hasher, budget)?, place));
        }
        places.sort_unstable();
        let list = Rc::clone(list);
        Ok(Self { list, places })
    }

    fn contains(&self, hash: u64, element: &CelValue<'a>, budget: &Budget) -> Result<bool, Stop> {
        let first = self.places.partition_point(|(own, _)| *own < hash);
        let places = self.places.iter().skip(first);
        for (_, place) in places.take_while(|(own, _)| *own == hash) {
            if let Some(own) = self.list.get(*place)
                && own.equals(element, budget)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// A hash that is equal for equal values.
fn hash(value: &CelValue<'_>, hasher: &RandomState, budget: &Budget) -> Result<u64, Stop> {
    let mut hasher = hasher.build_hasher();
    match value {
        CelValue::Null => 0u8.hash(&mut hasher),
        CelValue::Bool(value) => (1u8, value).hash(&mut hasher),
        CelValue::Int(_) | CelValue::UInt(_) | CelValue::Double(_) => {
            // `-0.0` equals `0`.
            let number = value.as_double().unwrap_or_default() + 0.0;
            (2u8, number.to_bits()).hash(&mut hasher);
        }
        CelValue::Text(text) => {
            budget.text(text.len())?;
            (3u8, &**text).hash(&mut hasher);
        }
        CelValue::List(list) => (4u8, list.len()).hash(&mut hasher),
        CelValue::Map(map) => (5u8, map.len()).hash(&mut hasher),
    }
    Ok(hasher.finish())
}
