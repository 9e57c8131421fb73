use std::{io, path::Path, thread, time::Instant};

use burn::tensor::Device;

use super::{DeltaSlabs, Origin, state::RunState};
use crate::{
    data::{CaseRecord, DataError, FailedCase},
    perturb::ahead,
    pipeline::{
        PipelineError, ProtectEvent, ProtectOptions, Scanned,
        lanes::Behind,
        scan::{ScannedCase, case_failure},
        write::{ReadCase, write_case},
    },
};

/// The most cases that are being written at the same time.
const WRITERS: usize = 2;

/// Writes all cases: while the perturbation of one is computed, the next is read, and those before it are compressed, written
/// and checked. That is one case more at each of the two ends than in a plain loop, and [`WRITERS`] at most.
pub(super) fn write_cases(
    scanned: &Scanned,
    origin: &Origin,
    output: &Path,
    options: &ProtectOptions,
    device: &Device,
    state: &mut RunState,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<(Vec<CaseRecord>, Vec<FailedCase>), PipelineError> {
    let (dataset, epsilon) = (&scanned.dataset, options.method.epsilon());
    let write = |job: Result<(ReadCase<'_>, DeltaSlabs<'_>), PipelineError>| {
        let (case, deltas) = job?;
        write_case(dataset, case, deltas, output, epsilon, &options.unlock_to)
    };
    let total = scanned.cases.len();
    let pending: Vec<&ScannedCase> = (0..total)
        .filter(|&at| !state.is_done(scanned, at))
        .map(|at| &scanned.cases[at])
        .collect();
    let before = total - pending.len();
    let mut outcomes = Outcomes {
        pending: pending.iter(),
        state,
        failed: Vec::new(),
    };
    let read = pending
        .iter()
        .map(|&case| ReadCase::open(dataset, case, options));
    ahead(read, |ready| {
        thread::scope(|scope| -> Result<(), PipelineError> {
            let mut writers = Behind::spawn(scope, WRITERS, &write);
            for (done, (ScannedCase { case, .. }, read)) in pending.iter().zip(ready).enumerate() {
                let (id, done) = (&case.id, before + done);
                observer(ProtectEvent::CaseStarted { id, done, total });
                let job = read.and_then(|mut read| {
                    let start = Instant::now();
                    let ranges = read.ranges();
                    let deltas = origin.slabs(&read.prepared, ranges, id, options, device)?;
                    read.spent += start.elapsed();
                    Ok((read, deltas))
                });
                if let Some(outcome) = writers.send(job) {
                    outcomes.add(outcome, observer)?;
                }
            }
            while let Some(outcome) = writers.next() {
                outcomes.add(outcome, observer)?;
            }
            Ok(())
        })
    })?;
    let failed = outcomes.failed;
    Ok((finished_cases(scanned, state), failed))
}

/// The records of the finished cases, in the order of the dataset.
pub(super) fn finished_cases(scanned: &Scanned, state: &RunState) -> Vec<CaseRecord> {
    let ids = scanned.cases.iter().map(|case| &case.case.id);
    ids.filter_map(|id| state.done.get(id).cloned()).collect()
}

/// What became of the cases, in their order.
struct Outcomes<'a> {
    pending: std::slice::Iter<'a, &'a ScannedCase>,
    state: &'a mut RunState,
    failed: Vec<FailedCase>,
}

impl Outcomes<'_> {
    /// The outcome of the next case; an error that all others would meet as well is returned.
    fn add(
        &mut self,
        outcome: Result<CaseRecord, PipelineError>,
        observer: &mut dyn FnMut(ProtectEvent<'_>),
    ) -> Result<(), PipelineError> {
        let case = self.pending.next();
        match (outcome, case) {
            (Ok(record), _) => {
                self.state.finished(&record)?;
                observer(ProtectEvent::CaseFinished(&record));
                if record.psnr_db.is_none() {
                    observer(ProtectEvent::Warning(format!(
                        "case {}: all {} changed voxels lie outside the intensity range that was normalised; who clips intensities to it sees no change",
                        record.id, record.changed_voxels
                    )));
                }
                self.state.done.insert(record.id.clone(), record);
            }
            (Err(error), Some(case)) if !is_fatal(&error) => {
                let failure = case_failure(&case.case, &error);
                observer(ProtectEvent::CaseFailed(&failure));
                self.failed.push(failure);
            }
            (Err(error), _) => return Err(error),
        }
        Ok(())
    }
}

/// Errors that the next case would meet as well.
fn is_fatal(error: &PipelineError) -> bool {
    let full = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        )
    };
    match error {
        PipelineError::Io { .. } => true,
        PipelineError::Data(DataError::Io { source, .. }) => full(source),
        _ => false,
    }
}
