use voxshield_perturb::{Patch, PatchSource, SourceError};

use crate::{Augmentation, augment};

/// A source whose patches are augmented.
pub(super) struct Augmented<'a> {
    pub(super) inner: &'a mut dyn PatchSource,
    pub(super) augmentation: Augmentation,
}

impl PatchSource for Augmented<'_> {
    fn cases(&self) -> usize {
        self.inner.cases()
    }

    fn patch(&mut self, case: usize, shape: [usize; 3], seed: u64) -> Result<Patch, SourceError> {
        let mut patch = self.inner.patch(case, shape, seed)?;
        if self.augmentation == Augmentation::NnUnet {
            // Another stream than the one that placed the patch.
            augment(&mut patch, shape, seed ^ 0x5DEE_CE66_D1CE_4E5B);
        }
        Ok(patch)
    }
}
