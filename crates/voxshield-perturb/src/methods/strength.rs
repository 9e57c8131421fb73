use serde::Serialize;

use crate::Support;

/// What a method was measured to do: the Dice on clean test cases of victims that were trained on the protected files.
///
/// One protocol for all, so that they can be compared: epsilon 16/255 on 40 cases of the Medical Segmentation Decathlon's hippocampus, narrow
/// residual U-Net, 480 steps on patches at random places, best of four tests. Clean files give [`CLEAN_PLAIN`](Self::CLEAN_PLAIN) and [`CLEAN_AUGMENTED`](Self::CLEAN_AUGMENTED). Lower is stronger. Where
/// there are several seeds, their mean; spread, other victims and defences are in docs/results.md.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Strength {
    /// The support that it was measured with.
    pub support: Support,
    /// Of victims that do not augment.
    pub plain: f32,
    /// Of victims that augment as nnU-Net does.
    pub augmented: f32,
}

impl Strength {
    /// Of victims that were trained on the clean files.
    pub const CLEAN_PLAIN: f32 = 0.868;
    /// Of augmenting victims that were trained on the clean files.
    pub const CLEAN_AUGMENTED: f32 = 0.807;

    pub(crate) const fn measured(support: Support, plain: f32, augmented: f32) -> Self {
        Self {
            support,
            plain,
            augmented,
        }
    }
}
