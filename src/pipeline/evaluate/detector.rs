//! Does the noise give the label away? The attack of somebody who has no label.

use crate::eval::{
    EvalError,
    detector::{area_under_curve, local_energy},
};

/// AUCs of the local high-pass energy of one case; `None` where a class is missing.
pub(super) struct CaseAucs {
    pub(super) label: Option<f64>,
    pub(super) clean_label: Option<f64>,
    pub(super) support: Option<f64>,
}

/// Images are `[channel, depth, height, width]`, masks `[depth, height, width]`.
pub(super) fn detect(
    clean: &[f32],
    protected: &[f32],
    label: &[bool],
    shape: [usize; 3],
) -> Result<CaseAucs, EvalError> {
    let voxels = label.len();
    let changed: Vec<bool> = (0..voxels)
        .map(|i| {
            (i..clean.len())
                .step_by(voxels)
                .any(|i| clean[i] != protected[i])
        })
        .collect();
    let [before, after] = [clean, protected].map(|image| local_energy(image, shape));
    Ok(CaseAucs {
        label: area_under_curve(&after, label)?,
        clean_label: area_under_curve(&before, label)?,
        support: area_under_curve(&after, &changed)?,
    })
}
