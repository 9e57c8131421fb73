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

#[cfg(test)]
mod tests {
    use super::*;

    /// A lattice where the label is, nothing elsewhere.
    #[test]
    fn a_lattice_gives_the_label_away_and_a_constant_does_not() {
        let shape = [8, 6, 6];
        let label: Vec<bool> = (0..288).map(|i| i / 36 >= 4).collect();
        let clean = vec![1.0; 288];
        let protected: Vec<f32> = (0..288)
            .map(|i| match label[i] {
                true => [1.1, 0.9][(i / 36 + i / 6 + i) % 2],
                false => 1.0,
            })
            .collect();
        let found = detect(&clean, &protected, &label, shape).unwrap();
        assert!(found.label.unwrap() > 0.95, "{:?}", found.label);
        assert_eq!(found.clean_label, Some(0.5));
        assert_eq!(found.support, found.label, "the label is what changed");
        // Who changes everything changes no support.
        let everywhere: Vec<f32> = protected.iter().map(|v| v + 0.01).collect();
        let found = detect(&clean, &everywhere, &label, shape).unwrap();
        assert!(found.label.unwrap() > 0.95 && found.support.is_none());
    }
}
