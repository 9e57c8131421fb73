use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::{
    KernelError,
    ops::{AdamOps, AdamStep},
};

/// One step of Adam (arXiv 1412.6980) for one tensor of weights, with an L2 penalty in the gradient
/// as `torch.optim.Adam` has it: `g <- g + decay w`, `m <- b1 m + (1 - b1) g`,
/// `v <- b2 v + (1 - b2) g^2`, `w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
///
/// The result is the weight and both moments `[m, v]` after the step. They take the memory of the
/// arguments where nobody else holds it: pass the only handles.
///
/// # Shapes
/// - `weight`, `gradient` and both `moments`: the same, on one device and without autodiff
/// - `moments`: absent before the first step, that is 0
///
/// # Errors
/// [`KernelError::Shape`] if shapes differ, [`KernelError::Parameter`] if a beta is outside
/// `[0, 1)`, epsilon not positive, rate or decay not finite, or the time 0.
pub fn adam_step<const D: usize>(
    weight: Tensor<D>,
    gradient: Tensor<D>,
    moments: Option<[Tensor<D>; 2]>,
    step: AdamStep,
) -> Result<(Tensor<D>, [Tensor<D>; 2]), KernelError> {
    check(step)?;
    let [first, second] = moments.unwrap_or_else(|| [gradient.zeros_like(), gradient.zeros_like()]);
    let expected = weight.dims();
    for (argument, got) in [
        ("gradient", gradient.dims()),
        ("first moment", first.dims()),
        ("second moment", second.dims()),
    ] {
        if got != expected {
            return Err(KernelError::Shape {
                op: OP,
                argument,
                expected: expected.to_vec(),
                got: got.to_vec(),
            });
        }
    }
    let (weight, first, second) = <Dispatch as AdamOps>::adam_step(
        weight.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    let moments = [first, second].map(Tensor::from_dispatch);
    Ok((Tensor::from_dispatch(weight), moments))
}

const OP: &str = "adam_step";

fn check(step: AdamStep) -> Result<(), KernelError> {
    let beta = |value: f64| (0.0..1.0).contains(&value);
    let parameters = [
        ("rate", "a finite number", step.rate, step.rate.is_finite()),
        ("beta_1", "in [0, 1)", step.beta_1, beta(step.beta_1)),
        ("beta_2", "in [0, 1)", step.beta_2, beta(step.beta_2)),
        (
            "epsilon",
            "a positive number",
            step.epsilon,
            step.epsilon > 0.0 && step.epsilon.is_finite(),
        ),
        (
            "decay",
            "a finite number",
            step.decay,
            step.decay.is_finite(),
        ),
        ("time", "at least 1", step.time as f64, step.time > 0),
    ];
    match parameters.into_iter().find(|&(.., fits)| !fits) {
        None => Ok(()),
        Some((parameter, expected, got, _)) => Err(KernelError::Parameter {
            op: OP,
            parameter,
            expected: expected.into(),
            got: got.to_string(),
        }),
    }
}
