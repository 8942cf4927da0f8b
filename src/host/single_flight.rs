//! Single flight: work that is done once for all requests that wait for it.

use crate::effect::{Outcome, Progress, Task, Work, Worked};
use crate::engine::Finished;
use base::time::UnixTime;

/// Work that runs or will begin, and the requests (`R`) that wait for it.
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

/// The id of a work. Each has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlightId(u64);

/// Work that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Landed<R> {
    /// Its outcome.
    pub(super) worked: Worked,
    /// The error for the operator.
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
    /// Adds requests that wait for work. [`Self::begin`] begins it, unless it has begun.
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

    /// Begins all work that has not begun. The caller must carry out the first effect of each, or take its
    /// end.
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

    /// Continues work to its next effect or its end. `None`: it has ended.
    pub(super) fn resume(
        &mut self,
        id: FlightId,
        outcome: Outcome,
        now: UnixTime,
    ) -> Option<Progress<Finished>> {
        let flight = self.flights.iter_mut().find(|flight| flight.id == id)?;
        let task = flight.task.as_mut()?;
        Some(task.resume(outcome, now))
    }

    /// Removes work that has ended.
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
