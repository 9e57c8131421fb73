use voxshield_perturb::{Patch, PatchSource, SourceError};

use crate::{Augmentation, augment, augmentation_margin};

/// A source whose patches are augmented.
pub(super) struct Augmented<'a> {
    pub(super) inner: &'a mut dyn PatchSource,
    pub(super) augmentation: Augmentation,
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
        Ok(augment(&patch, wanted, more, seed))
    }
}
