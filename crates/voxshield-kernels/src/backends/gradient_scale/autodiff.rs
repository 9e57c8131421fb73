use burn::backend::{
    Autodiff, Backend,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::GradientScaleOps;

#[derive(Debug)]
struct GradientScale;

impl<B: Backend> Backward<B, 1> for GradientScale {
    /// The factor.
    type State = f64;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            let gradient = B::float_mul_scalar(gradient, ops.state.into());
            grads.register::<B>(node.id, gradient);
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> GradientScaleOps for Autodiff<B, C> {
    fn scale_gradient(x: FloatTensor<Self>, factor: f64) -> FloatTensor<Self> {
        let prep = Backward::<B, 1>::prepare::<C>(GradientScale, [x.node()]);
        match prep.compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(factor, x.into_primitive()),
            OpsKind::UnTracked(prep) => prep.finish(x.into_primitive()),
        }
    }
}
