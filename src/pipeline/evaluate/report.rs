use std::collections::BTreeMap;

use super::{
    labelled::LabelledSet,
    plan::{Context, NamedSet},
    training::native_labels,
};
use crate::{
    data::{CaseRecord, write_file_atomic},
    eval::{
        picture::{Montage, Subject},
        record::{EvaluationRecord, Role},
        report,
    },
    pipeline::{PipelineError, PreparedCase},
};

/// Writes `report.html` into the work folder.
pub(super) fn write_report(
    context: &Context<'_>,
    record: &EvaluationRecord,
    path: &std::path::Path,
) -> Result<(), PipelineError> {
    let page = report::html(record, &montages(context)?)?;
    Ok(write_file_atomic(path, page.as_bytes())?)
}

/// The first case of each perturbed set that has a clean twin; the sets under test come first.
fn montages(context: &Context<'_>) -> Result<Vec<Montage>, PipelineError> {
    let Some(clean) = context.clean() else {
        return Ok(Vec::new());
    };
    let under_test = |named: &&NamedSet| named.role == Role::Protected;
    let (first, rest): (Vec<_>, Vec<_>) = context.sets.iter().partition(under_test);
    let mut found = Vec::new();
    for named in first.into_iter().chain(rest) {
        found.extend(montage(named, clean)?);
    }
    Ok(found)
}

fn montage(named: &NamedSet, clean: &LabelledSet) -> Result<Option<Montage>, PipelineError> {
    let Some(manifest) = &named.set.manifest else {
        return Ok(None);
    };
    let records: BTreeMap<&str, &CaseRecord> = manifest
        .cases
        .iter()
        .map(|case| (case.id.as_str(), case))
        .collect();
    for case in &named.set.cases {
        let twin = clean.case(&case.id);
        let (Some(twin), Some(record)) = (twin, records.get(case.id.as_str())) else {
            continue;
        };
        let before = PreparedCase::open(&clean.dataset, twin)?;
        let after = PreparedCase::open(&named.set.dataset, case)?;
        let shape = before.volume.shape();
        let voxels: usize = shape.iter().product();
        let (a, b) = (
            before.normalised(&record.ranges),
            after.normalised(&record.ranges),
        );
        let labels: Vec<u16> = native_labels(&before).iter().copied().collect();
        let subject = Subject {
            clean: &a[..voxels],
            protected: &b[..voxels],
            labels: &labels,
            shape,
            spacing: before.volume.spacing(),
        };
        let montage = Montage::new(&named.name, &case.id, &subject, manifest.epsilon)?;
        return Ok(Some(montage));
    }
    Ok(None)
}
