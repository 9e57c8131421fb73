use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError};

use super::deep_supervision::{head_weights, shrink_labels};
use super::{NnUnetConfig, NnUnetDecoder, NnUnetStages, names};
use crate::{NamedParameters, Segmenter, WeightRng};

/// nnU-Net's U-Net, with a plain or a residual encoder; structure and parameter names of
/// `PlainConvUNet` and `ResidualEncoderUNet` in dynamic-network-architectures 0.4.
///
/// Every stage of the encoder begins with a stride; the decoder goes up with transposed convolutions
/// whose kernel is the stride, joins their output, first, with the encoder's features of the same
/// resolution, and has a head at every resolution. [`Segmenter::forward`] gives the head of the
/// full resolution, [`NnUnet::heads`] all of them. Convolutions have a bias and are followed by an
/// instance normalisation with weight and bias and a leaky ReLU with slope 0.01.
///
/// Sizes of an input have to be multiples of the product of the strides, and not all of them equal
/// to it. [`Segmenter::flops`] counts all heads, as PyTorch does in training.
#[derive(Module, Debug)]
pub struct NnUnet {
    /// The way down.
    pub encoder: NnUnetStages,
    /// The way up.
    pub decoder: NnUnetDecoder,
    #[module(skip)]
    config: NnUnetConfig,
}

impl NnUnet {
    /// Builds a validated configuration. The weights are drawn encoder first, from the top, then
    /// the decoder from the deepest stage.
    pub(super) fn new(config: NnUnetConfig, rng: &mut WeightRng, device: &Device) -> Self {
        Self {
            encoder: NnUnetStages::new(&config, rng, device),
            decoder: NnUnetDecoder::new(&config, rng, device),
            config,
        }
    }

    /// The configuration that the network was created from.
    pub fn config(&self) -> &NnUnetConfig {
        &self.config
    }

    /// The logits of every resolution but the deepest, the highest first.
    ///
    /// # Shapes
    ///
    /// * `x`: `[batch, in_channels, depth, height, width]`
    /// * result `i`: `[batch, classes, ..]`, every size divided by the strides of the stages 1 to `i`
    ///   of the encoder, 0 being the first
    ///
    /// # Panics
    ///
    /// As [`Segmenter::forward`].
    pub fn heads(&self, x: Tensor<5>) -> Vec<Tensor<5>> {
        let heads = self.decoder.stages.len();
        self.decoder.forward(self.encoder.forward(x), heads)
    }
}

impl Segmenter for NnUnet {
    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        let features = self.encoder.forward(x);
        self.decoder.forward(features, 1).swap_remove(0)
    }

    fn in_channels(&self) -> usize {
        self.config.in_channels
    }

    fn classes(&self) -> usize {
        self.config.classes
    }

    fn size_multiple(&self) -> [usize; 3] {
        self.config.total_stride()
    }

    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let (sizes, encoder) = self.encoder.cost(sizes);
        encoder + self.decoder.flops(&sizes)
    }

    /// nnU-Net's deep supervision: `sum_i w_i criterion(head_i, y_i)`, head 0 being the one of the
    /// full resolution, `w_i` proportional to `2^-i` but 0 for the lowest head, with sum 1.
    ///
    /// `y_i` are the labels at the resolution of the head, nearest neighbours with half-voxel centres
    /// (`nearest-exact`), as in nnU-Net 2.8.1, whose `DownsampleSegForDSTransform` is that of
    /// batchgeneratorsv2 0.3.6. A network of two stages has one head, with weight 1, where nnU-Net
    /// would divide 0 by 0.
    fn training_loss(
        &self,
        x: Tensor<5>,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        let weights = head_weights(self.decoder.stages.len());
        let mut loss = Tensor::zeros([1], &x.device());
        let heads = self.decoder.forward(self.encoder.forward(x), weights.len());
        for (index, (logits, weight)) in heads.into_iter().zip(weights).enumerate() {
            let [_, _, sizes @ ..] = logits.dims();
            // The first head takes the labels as they are: the criterion refuses a wrong shape.
            let labels = match index {
                0 => labels.clone(),
                _ => shrink_labels(labels.clone(), sizes),
            };
            loss = loss + criterion.forward(logits, labels)? * weight;
        }
        Ok(loss)
    }
}

impl NamedParameters for NnUnet {
    fn parameter_name(&self, path: &[String]) -> String {
        let pooled = |stage: usize| {
            let strides = self.config.strides.get(stage);
            strides.is_some_and(|stride| *stride != [1; 3])
        };
        names::nnunet(path, pooled)
    }

    fn checkpoint_name(&self, stored: &str) -> Option<String> {
        Some(names::canonical(stored))
    }
}
