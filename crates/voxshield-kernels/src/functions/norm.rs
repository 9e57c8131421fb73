use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::axes::at_least;
use crate::{KernelError, ops::NormOps};

/// The activation that [`instance_norm_act`] ends with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum NormActivation {
    /// `z`.
    #[default]
    Identity,
    /// `max(z, 0)`.
    Relu,
    /// `max(z, 0) + slope * min(z, 0)`.
    LeakyRelu {
        /// The factor of negative values.
        slope: f64,
    },
}

impl NormActivation {
    fn slope(self) -> f64 {
        match self {
            Self::Identity => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu { slope } => slope,
        }
    }
}

/// Instance normalisation and activation in one operation,
/// `y = act(weight * (x - mean) / sqrt(var + epsilon) + bias)`; mean and biased variance over the
/// voxels of each sample and channel (Ulyanov et al. 2016, arXiv 1607.08022).
///
/// Differentiable in `x`, weight and bias; for the way back it keeps `x` and two numbers a sample
/// and channel. The derivative of the activation at 0 is that of negative values, as in PyTorch.
///
/// # Shapes
/// - `x`: `[batch, channel, depth, height, width]`
/// - `affine`: weight and bias, `[channel]` each; 1 and 0 without
/// - output: like `x`
///
/// # Errors
/// [`KernelError::TooShort`] if an axis is empty, [`KernelError::Shape`] if weight or bias do not
/// fit, [`KernelError::Parameter`] if epsilon is not positive or the slope not finite.
pub fn instance_norm_act(
    x: Tensor<5>,
    affine: Option<[Tensor<1>; 2]>,
    epsilon: f64,
    activation: NormActivation,
) -> Result<Tensor<5>, KernelError> {
    const OP: &str = "instance_norm_act";
    let dims = x.dims();
    at_least(OP, dims, [1; 5])?;
    let parameter = |parameter, expected: &str, got: f64| KernelError::Parameter {
        op: OP,
        parameter,
        expected: expected.into(),
        got: got.to_string(),
    };
    if !(epsilon > 0.0 && epsilon.is_finite()) {
        return Err(parameter("epsilon", "a positive number", epsilon));
    }
    let slope = activation.slope();
    if !slope.is_finite() {
        return Err(parameter("slope", "a finite number", slope));
    }
    let channels = dims[1];
    let [weight, bias] = affine.unwrap_or_else(|| {
        let device = x.device();
        [
            Tensor::ones([channels], &device),
            Tensor::zeros([channels], &device),
        ]
        .map(|parameter: Tensor<1>| parameter.cast(x.dtype()))
    });
    for (argument, got) in [("weight", weight.dims()), ("bias", bias.dims())] {
        if got != [channels] {
            return Err(KernelError::Shape {
                op: OP,
                argument,
                expected: vec![channels],
                got: got.to_vec(),
            });
        }
    }
    let (y, _) = <Dispatch as NormOps>::instance_norm_act(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        epsilon,
        slope,
    );
    Ok(Tensor::from_dispatch(y))
}
