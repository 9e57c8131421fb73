use burn::optim::{AdamState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use voxshield_kernels::{AdamStep, adam_step};

/// Adam (arXiv 1412.6980) with an L2 penalty in the gradient, as `torch.optim.Adam` has it: betas
/// 0.9 and `beta_2`, epsilon 1e-8; see [`adam_step`](fn@adam_step).
///
/// Burn 0.22.1 computes `1 - b2^t` in float32. For the surrogate's `b2 = 0.9999` that is 3e-4 off
/// after two steps, and 20 steps then leave PyTorch's losses by 1e-4; the factors are float64 here.
/// The state is Burn's own.
#[derive(Debug, Clone)]
pub struct Adam {
    /// Decay of the second moment, in `[0, 1)`.
    pub beta_2: f64,
    /// The L2 penalty; 0 for none.
    pub decay: f64,
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
        let (time, moments) = match state.map(|state| state.momentum) {
            Some(old) => (old.time + 1, Some([old.moment_1, old.moment_2])),
            None => (1, None),
        };
        let step = AdamStep {
            rate,
            beta_1: BETA_1,
            beta_2: self.beta_2,
            epsilon: EPSILON,
            decay: self.decay,
            time,
        };
        let (weight, [first, second]) = adam_step(weight, gradient, moments, step)
            .expect("a gradient and moments of the weight's shape, settings in range");
        let momentum = AdaptiveMomentumState::new(time, first, second);
        (weight, Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(mut state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.momentum = state.momentum.to_device(device);
        state
    }
}
