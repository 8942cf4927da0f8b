//! Work that is done once, however many requests wait for it.

use crate::effect::{Outcome, Progress, Task, Work, Worked};
use crate::engine::Finished;
use base::time::UnixTime;

/// Work under way or about to begin, and the requests (`R`) that wait for it.
#[derive(Debug)]
pub(super) struct SingleFlight<R> {
    flights: Vec<Flight<R>>,
    next_id: u64,
}

#[derive(Debug)]
struct Flight<R> {
    id: FlightId,
    work: Work,
    /// `None`: it has not begun.
    task: Option<Task<Finished>>,
    waiting: Vec<R>,
}

/// Which work it is. No two are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlightId(u64);

/// Work that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Landed<R> {
    /// What came of it.
    pub(super) worked: Worked,
    /// What the operator has to know.
    pub(super) error: Option<String>,
    /// The requests that wait for it.
    pub(super) waiting: Vec<R>,
}

impl<R> Default for SingleFlight<R> {
    fn default() -> Self {
        Self {
            flights: Vec::new(),
            next_id: 0,
        }
    }
}

impl<R> SingleFlight<R> {
    /// Lets requests wait for work, which begins with [`Self::begin`] unless it has begun.
    pub(super) fn join(&mut self, work: Work, requests: impl IntoIterator<Item = R>) {
        let known = self.flights.iter_mut().find(|flight| flight.work == work);
        if let Some(flight) = known {
            return flight.waiting.extend(requests);
        }
        let id = FlightId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.flights.push(Flight {
            id,
            work,
            task: None,
            waiting: requests.into_iter().collect(),
        });
    }

    /// Begins all work that has not begun. Each is to be carried on with its first effect or end.
    pub(super) fn begin(
        &mut self,
        start: impl Fn(Work) -> (Task<Finished>, Progress<Finished>),
    ) -> Vec<(FlightId, Progress<Finished>)> {
        let new = self.flights.iter_mut();
        new.filter(|flight| flight.task.is_none())
            .map(|flight| {
                let (task, progress) = start(flight.work.clone());
                flight.task = Some(task);
                (flight.id, progress)
            })
            .collect()
    }

    /// Carries work on: to its next effect, or to its end. `None`: it is over already.
    pub(super) fn resume(
        &mut self,
        id: FlightId,
        outcome: Outcome,
        now: UnixTime,
    ) -> Option<Progress<Finished>> {
        let flight = self.flights.iter_mut().find(|flight| flight.id == id)?;
        let task = flight.task.as_mut()?;
        Some(task.resume(outcome, now.as_millis()))
    }

    /// Takes out work that is over.
    pub(super) fn land(&mut self, id: FlightId, finished: Finished) -> Landed<R> {
        let at = self.flights.iter().position(|flight| flight.id == id);
        let flight = at.map(|at| self.flights.swap_remove(at));
        Landed {
            worked: finished.worked,
            error: finished.error,
            waiting: flight.map_or_else(Vec::new, |flight| flight.waiting),
        }
    }
}
