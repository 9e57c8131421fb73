use serde::Serialize;

use crate::Support;

/// What a method was measured to do: the Dice on clean test cases of victims that were trained on the protected files.
///
/// One protocol for all, so that they can be compared: epsilon 16/255 on 40 cases of the Medical Segmentation Decathlon's hippocampus,
/// narrow networks, patches at random places, the best of several tests on the 20 test cases. Lower is stronger. Where there are several seeds,
/// their mean; spread, other victims and defences are in docs/results.md, and which of ConResNet's augmented values are from an older augmentation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Strength {
    /// The support that it was measured with.
    pub support: Support,
    /// Of residual U-Nets, 480 steps.
    pub unet: VictimDice,
    /// Of ConResNets, which see the differences of slices as well, 320 steps.
    pub con_res_net: VictimDice,
}

/// The mean Dice of one network in the place of the victim.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct VictimDice {
    /// Without augmentation.
    pub plain: f32,
    /// With nnU-Net's augmentation.
    pub augmented: f32,
}

impl Strength {
    /// Of U-Nets that were trained on the clean files.
    pub const CLEAN_UNET: VictimDice = VictimDice::new([0.868, 0.821]);
    /// Of ConResNets that were trained on the clean files.
    pub const CLEAN_CON_RES_NET: VictimDice = VictimDice::new([0.848, 0.686]);

    /// `[plain, augmented]` of each victim.
    pub(crate) const fn measured(support: Support, unet: [f32; 2], con_res_net: [f32; 2]) -> Self {
        Self {
            support,
            unet: VictimDice::new(unet),
            con_res_net: VictimDice::new(con_res_net),
        }
    }

    /// The worst case for the owner: the better of the two networks, without and with augmentation.
    pub fn worst(&self) -> VictimDice {
        let [a, b] = [self.unet, self.con_res_net];
        VictimDice::new([a.plain.max(b.plain), a.augmented.max(b.augmented)])
    }
}

impl VictimDice {
    const fn new([plain, augmented]: [f32; 2]) -> Self {
        Self { plain, augmented }
    }
}
