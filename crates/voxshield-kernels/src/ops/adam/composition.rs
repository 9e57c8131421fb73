//! The default body.

use burn::backend::{Backend, tensor::FloatTensor};

use super::AdamStep;

/// See [`AdamOps::adam_step`](super::AdamOps::adam_step).
pub fn adam_step<B: Backend>(
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    step: AdamStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let scaled = |tensor, by: f64| B::float_mul_scalar(tensor, by.into());
    let gradient = match step.decay {
        0.0 => gradient,
        decay => B::float_add(gradient, scaled(weight.clone(), decay)),
    };
    let square = B::float_mul(gradient.clone(), gradient.clone());
    let first = B::float_add(
        scaled(first, step.beta_1),
        scaled(gradient, 1.0 - step.beta_1),
    );
    let second = B::float_add(
        scaled(second, step.beta_2),
        scaled(square, 1.0 - step.beta_2),
    );
    let [rate, scale] = step.corrections();
    let root = B::float_div_scalar(B::float_sqrt(second.clone()), scale.into());
    let change = B::float_div(
        scaled(first.clone(), rate),
        B::float_add_scalar(root, step.epsilon.into()),
    );
    (B::float_sub(weight, change), first, second)
}
