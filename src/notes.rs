//! Writes to the proxy's memory that no request waits for. The host makes them when the request goes on or
//! ends.

use std::cell::RefCell;
use std::rc::Rc;

use base::store::{Key, StoreOperation, StoreRecord};

/// The writes of a worker that were not made yet. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Notes(Rc<RefCell<Vec<StoreOperation>>>);

impl Notes {
    /// Writes a record and replaces an older one.
    pub(crate) fn put(&self, record: StoreRecord) {
        self.0.borrow_mut().push(StoreOperation::Put(record));
    }

    /// Deletes a record.
    pub(crate) fn delete(&self, key: Key) {
        self.0.borrow_mut().push(StoreOperation::Delete(key));
    }

    /// Takes the writes, for the host.
    pub(crate) fn take(&self) -> Vec<StoreOperation> {
        self.0.take()
    }
}
