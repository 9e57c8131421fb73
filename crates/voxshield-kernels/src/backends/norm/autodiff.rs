use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::NormOps;

#[derive(Debug)]
struct InstanceNormAct;

#[derive(Debug, Clone)]
struct State<F> {
    x: F,
    weight: F,
    bias: F,
    statistics: F,
    slope: f64,
}

impl<B: NormOps> Backward<B, 3> for InstanceNormAct {
    /// Not the output: the sign of the normalised value, all that the activation needs, is cheaper
    /// to compute again than to keep.
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let State {
            x,
            weight,
            bias,
            statistics,
            slope,
        } = ops.state;
        let (x, weight, bias) =
            B::instance_norm_act_backward(x, weight, bias, statistics, gradient, slope);
        for (parent, gradient) in ops.parents.into_iter().zip([x, weight, bias]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn instance_norm_act(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f64,
        slope: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let prep = InstanceNormAct
            .prepare::<C>([x.node(), weight.node(), bias.node()])
            .compute_bound()
            .stateful();
        let (x, weight, bias) = (
            x.into_primitive(),
            weight.into_primitive(),
            bias.into_primitive(),
        );
        match prep {
            OpsKind::Tracked(prep) => {
                let (y, statistics) =
                    B::instance_norm_act(x.clone(), weight.clone(), bias.clone(), epsilon, slope);
                let state = State {
                    x,
                    weight,
                    bias,
                    statistics: statistics.clone(),
                    slope,
                };
                (prep.finish(state, y), <FloatTensor<Self>>::new(statistics))
            }
            OpsKind::UnTracked(prep) => {
                let (y, statistics) = B::instance_norm_act(x, weight, bias, epsilon, slope);
                (prep.finish(y), <FloatTensor<Self>>::new(statistics))
            }
        }
    }

    // `instance_norm_act_backward` keeps its default body, a composition of differentiable
    // operations; see `slice_distances_backward`.
}
