use burn::tensor::{Int, Tensor};
use voxshield_models::Network;

use super::{Criterion, Seen};
use crate::{Batch, PerturbError};

/// Keeps a mean over no voxel finite.
const TINY: f64 = 1e-6;

/// The distance of each label's features to those of a wrong label (SEP with feature alignment, arXiv 2211.12005):
/// `mean_c mean_f (p_c - centre_{c'})^2`, `c' = c + C / 2 mod C`.
///
/// `p_c` is the mean of a target's logits over the voxels of label `c` in a patch, `centre_c` that over all clean cases. The original
/// has one vector of penultimate features an image; here a label takes the place of an image, and the logits that of the features:
/// every network has them, and the last feature map of MONAI's U-Net has no more channels.
#[derive(Debug)]
pub(super) struct FeatureDistance {
    classes: usize,
    /// Of each target: sums of features `[class, feature]` and of voxels `[class, 1]`.
    centres: Vec<Pooled>,
}

#[derive(Debug, Clone)]
struct Pooled {
    sums: Tensor<2>,
    voxels: Tensor<2>,
}

impl FeatureDistance {
    pub(super) fn new(classes: usize) -> Self {
        Self {
            classes,
            centres: Vec::new(),
        }
    }

    /// Sums `[batch, class, feature]` and voxels `[batch, class, 1]`.
    fn pool(&self, features: Tensor<5>, labels: Tensor<4, Int>) -> (Tensor<3>, Tensor<3>) {
        let [batch, channels, depth, height, width] = features.dims();
        let count = depth * height * width;
        let labels = labels.reshape([batch, 1, count]);
        let one = |class: usize| labels.clone().equal_elem(class as i32).float();
        let masks = Tensor::cat((0..self.classes).map(one).collect(), 1);
        let features = features.reshape([batch, channels, count]);
        let sums = masks.clone().matmul(features.swap_dims(1, 2));
        (sums, masks.sum_dim(2))
    }

    /// Where the features of each label are to go: centres `[class, feature]`, and whether there is one `[class, 1]`.
    fn wrong_centres(&self, member: usize) -> Option<(Tensor<2>, Tensor<2>)> {
        let Pooled { sums, voxels } = self.centres.get(member)?.clone();
        let turn = (self.classes / 2).max(1) % self.classes.max(1);
        let turned = |t: Tensor<2>| {
            let [classes, _] = t.dims();
            let tail = t.clone().narrow(0, turn, classes - turn);
            Tensor::cat(vec![tail, t.narrow(0, 0, turn)], 0)
        };
        let centres = sums / (voxels.clone() + TINY);
        Some((turned(centres), turned(voxels.sign())))
    }
}

impl Criterion for FeatureDistance {
    fn name(&self) -> &'static str {
        "feature_distance"
    }

    fn value(&self, seen: &Seen<'_>) -> Result<Tensor<1>, PerturbError> {
        let Some((centres, known)) = self.wrong_centres(seen.member) else {
            return Err(PerturbError::Config {
                what: "feature centres",
                expected: "a survey of the clean cases before the first step".into(),
                found: "none".into(),
            });
        };
        let features = seen.network.forward(seen.volume.clone());
        let (sums, voxels) = self.pool(features, seen.labels.clone());
        let pooled = sums / (voxels.clone() + TINY);
        let present = voxels.sign() * known.unsqueeze::<3>();
        let distance = (pooled - centres.unsqueeze::<3>()).square().mean_dim(2);
        Ok((distance * present.clone()).sum() / (present.sum() + TINY))
    }

    fn needs_survey(&self) -> bool {
        true
    }

    fn survey(&mut self, member: usize, network: &dyn Network, batch: &Batch) {
        let features = network.valid().forward(batch.image.clone());
        let (sums, voxels) = self.pool(features, batch.labels.clone());
        let (sums, voxels) = (
            sums.sum_dim(0).squeeze_dim::<2>(0),
            voxels.sum_dim(0).squeeze_dim::<2>(0),
        );
        match self.centres.get_mut(member) {
            Some(centre) => {
                centre.sums = centre.sums.clone() + sums;
                centre.voxels = centre.voxels.clone() + voxels;
            }
            None => self.centres.push(Pooled { sums, voxels }),
        }
    }
}
