use voxshield_perturb::{Patch, PatchSource, SourceError};

use crate::{Augmentation, Preprocessing, augment, augmentation_margin};

/// A source whose patches are augmented.
pub(super) struct Augmented<'a> {
    pub(super) inner: &'a mut dyn PatchSource,
    pub(super) augmentation: Augmentation,
    /// What the intensities of the patches are.
    pub(super) preprocessing: Preprocessing,
}

impl PatchSource for Augmented<'_> {
    fn cases(&self) -> usize {
        self.inner.cases()
    }

    fn patch_with_margin(
        &mut self,
        case: usize,
        shape: [usize; 3],
        margin: [usize; 3],
        seed: u64,
    ) -> Result<Patch, SourceError> {
        if self.augmentation == Augmentation::None {
            return self.inner.patch_with_margin(case, shape, margin, seed);
        }
        let wanted = [0, 1, 2].map(|axis| shape[axis] + 2 * margin[axis]);
        let more = augmentation_margin(wanted);
        let margin = [0, 1, 2].map(|axis| margin[axis] + more[axis]);
        let patch = self.inner.patch_with_margin(case, shape, margin, seed)?;
        // Another stream than the one that placed the patch.
        let seed = seed ^ 0x5DEE_CE66_D1CE_4E5B;
        Ok(augment(&patch, wanted, more, self.preprocessing, seed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One case that has no end: whatever patch is asked for, in z-scores or as the preprocessing `paper` has them.
    struct Endless(Preprocessing);

    impl PatchSource for Endless {
        fn cases(&self) -> usize {
            1
        }

        fn patch_with_margin(
            &mut self,
            _: usize,
            shape: [usize; 3],
            margin: [usize; 3],
            _: u64,
        ) -> Result<Patch, SourceError> {
            let voxels: usize = (0..3).map(|axis| shape[axis] + 2 * margin[axis]).product();
            let (centre, deviation) = self.0.unit();
            let z_score = |i: usize| (i as f32 * 0.37).sin() + (i as f32 * 0.011).cos();
            Ok(Patch {
                image: (0..2 * voxels)
                    .map(|i| centre + deviation * z_score(i))
                    .collect(),
                labels: vec![1; voxels],
                support: vec![1.0; voxels],
            })
        }
    }

    #[test]
    fn intensities_of_0_to_1_are_augmented_as_their_z_scores_are() {
        let run = |preprocessing, seed| {
            let mut source = Augmented {
                inner: &mut Endless(preprocessing),
                augmentation: Augmentation::NnUnet,
                preprocessing,
            };
            source.patch(0, [6, 7, 8], seed).unwrap()
        };
        let mut compared = 0;
        for seed in 0..60 {
            let (z, paper) = (
                run(Preprocessing::Plain, seed),
                run(Preprocessing::Paper, seed),
            );
            assert_eq!(z.labels, paper.labels);
            // What three rotations bring in from beyond the margin is 0 in either unit.
            if z.labels.contains(&0) {
                continue;
            }
            for (z, paper) in z.image.iter().zip(&paper.image) {
                assert!((0.5 + 0.1 * z - paper).abs() < 1e-4, "{seed}: {z} {paper}");
            }
            compared += 1;
        }
        assert!(compared > 40, "{compared}");
    }
}
