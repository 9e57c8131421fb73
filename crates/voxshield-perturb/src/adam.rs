use burn::optim::{AdamState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

/// Adam (arXiv 1412.6980) with an L2 penalty in the gradient, as `torch.optim.Adam` has it:
/// `g <- g + decay w`, `m <- b1 m + (1 - b1) g`, `v <- b2 v + (1 - b2) g^2`,
/// `w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon)`.
///
/// Burn 0.22.1 computes `1 - b2^t` in float32. For the surrogate's `b2 = 0.9999` that is 3e-4 off
/// after two steps, and 20 steps then leave PyTorch's losses by 1e-4; the factors are float64 here.
/// The state is Burn's own.
#[derive(Debug, Clone)]
pub(crate) struct Adam {
    pub(crate) beta_2: f64,
    pub(crate) decay: f64,
}

const BETA_1: f64 = 0.9;
const EPSILON: f64 = 1e-8;

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        weight: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let gradient = match self.decay {
            0.0 => gradient,
            decay => gradient + weight.clone().mul_scalar(decay),
        };
        let first = gradient.clone().mul_scalar(1.0 - BETA_1);
        let second = gradient.square().mul_scalar(1.0 - self.beta_2);
        let (time, first, second) = match state.map(|state| state.momentum) {
            Some(old) => (
                old.time + 1,
                old.moment_1.mul_scalar(BETA_1) + first,
                old.moment_2.mul_scalar(self.beta_2) + second,
            ),
            None => (1, first, second),
        };
        let correction = |beta: f64| 1.0 - beta.powf(time as f64);
        let scale = correction(self.beta_2).sqrt();
        let root = second.clone().sqrt().div_scalar(scale);
        let step = first
            .clone()
            .mul_scalar(rate / correction(BETA_1))
            .div(root.add_scalar(EPSILON));
        let momentum = AdaptiveMomentumState::new(time, first, second);
        (weight - step, Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
