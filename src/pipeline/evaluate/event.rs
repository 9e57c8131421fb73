use crate::{
    eval::record::{Cell, CellKey},
    pipeline::ProtectEvent,
};

/// What [`evaluate`](super::evaluate) reports while it runs.
#[derive(Debug)]
#[non_exhaustive]
pub enum EvaluateEvent<'a> {
    /// Something begins that takes a while.
    Stage(&'static str),
    /// A control, or an attacker's own pairs, is being written.
    Protect(ProtectEvent<'a>),
    /// Cells in all, and those that an earlier run finished.
    Planned {
        /// Cells in all.
        cells: usize,
        /// Of these, finished before.
        finished: usize,
    },
    /// A cell begins.
    CellStarted {
        /// Which one.
        key: &'a CellKey,
        /// Cells done so far, earlier runs included.
        done: usize,
        /// Cells in all.
        total: usize,
    },
    /// A cell's training goes on.
    CellStep {
        /// Steps done.
        done: usize,
        /// Steps in all.
        total: usize,
    },
    /// A cell is finished and stored.
    CellFinished {
        /// The cell.
        cell: &'a Cell,
        /// Seconds left for the cells that remain, by the mean of those of this run.
        seconds_left: f64,
    },
    /// Something to show.
    Note(&'a str),
}
