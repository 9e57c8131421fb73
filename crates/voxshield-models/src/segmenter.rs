use burn::tensor::{Int, Tensor};
use voxshield_kernels::{DiceCe, KernelError};

use crate::ModelError;

/// A network that gives every voxel a score for every class.
///
/// The trait is object-safe: the optimiser of a protection and the training of a victim take
/// `&dyn Segmenter` where they only need predictions.
pub trait Segmenter: Send + Sync {
    /// The logits of a batch (before softmax).
    ///
    /// # Shapes
    ///
    /// * `x`: `[batch, in_channels, depth, height, width]`
    /// * result: `[batch, classes, depth, height, width]`
    ///
    /// # Panics
    ///
    /// Inside a tensor operation, if [`Segmenter::check_input`] refuses the shape of `x`.
    fn forward(&self, x: Tensor<5>) -> Tensor<5>;

    /// Channels of the input.
    fn in_channels(&self) -> usize;

    /// Classes of the output, background included.
    fn classes(&self) -> usize;

    /// What the sizes `[depth, height, width]` of an input have to be multiples of.
    fn size_multiple(&self) -> [usize; 3];

    /// Floating-point operations of one forward pass over one sample of `sizes`
    /// `[depth, height, width]`: convolutions and matrix products, 2 for each multiply-add, as
    /// PyTorch's flop counter has it. Only `voxshield models` asks; 0, the default, is "not counted".
    fn flops(&self, sizes: [usize; 3]) -> u64 {
        let _ = sizes;
        0
    }

    /// Whether a training step draws random numbers, so that its weights are not all that later steps depend on: a network with
    /// [`ChannelDropout`](crate::ChannelDropout) says so.
    fn draws_in_training(&self) -> bool {
        false
    }

    /// The loss that the network's authors train it with; `criterion` of the logits unless the
    /// network has further outputs.
    ///
    /// # Shapes
    ///
    /// * `x`: `[batch, in_channels, depth, height, width]`
    /// * `labels`: `[batch, depth, height, width]`, values in `0..classes`
    /// * result: `[1]`
    ///
    /// # Errors
    ///
    /// What the criterion refuses.
    fn training_loss(
        &self,
        x: Tensor<5>,
        labels: Tensor<4, Int>,
        criterion: &DiceCe,
    ) -> Result<Tensor<1>, KernelError> {
        criterion.forward(self.forward(x), labels)
    }

    /// Checks the shape `[batch, channel, depth, height, width]` of an input.
    ///
    /// The default is for networks that normalise each instance at their deepest level, where a
    /// single voxel would be normalised to 0.
    ///
    /// # Errors
    ///
    /// * [`ModelError::InputChannels`]: another number of channels;
    /// * [`ModelError::EmptyBatch`]: no sample;
    /// * [`ModelError::InputSize`]: a size that is 0 or no multiple of
    ///   [`Segmenter::size_multiple`];
    /// * [`ModelError::InputTooSmall`]: only one voxel would be left at the deepest level.
    fn check_input(&self, shape: &[usize; 5]) -> Result<(), ModelError> {
        check_multiples(self, shape)?;
        let [_, _, sizes @ ..] = *shape;
        let multiple = self.size_multiple();
        match sizes == multiple {
            true => Err(ModelError::InputTooSmall { multiple, sizes }),
            false => Ok(()),
        }
    }
}

/// [`Segmenter::check_input`] for networks that accept a single voxel at their deepest level.
pub(crate) fn check_multiples<S: Segmenter + ?Sized>(
    network: &S,
    shape: &[usize; 5],
) -> Result<(), ModelError> {
    let [batch, channels, sizes @ ..] = *shape;
    if channels != network.in_channels() {
        return Err(ModelError::InputChannels {
            expected: network.in_channels(),
            found: channels,
        });
    }
    if batch == 0 {
        return Err(ModelError::EmptyBatch);
    }
    let multiple = network.size_multiple();
    let fits = |(&size, &multiple): (&usize, &usize)| size > 0 && size.is_multiple_of(multiple);
    match sizes.iter().zip(&multiple).all(fits) {
        true => Ok(()),
        false => Err(ModelError::InputSize { multiple, sizes }),
    }
}
