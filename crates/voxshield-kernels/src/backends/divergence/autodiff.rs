use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::DivergenceOps;

#[derive(Debug)]
struct MeanDistance;

impl<B: DivergenceOps> Backward<B, 2> for MeanDistance {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (a, b) = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let gradient = B::mean_distance_backward(a, b, gradient);
        let [a, b] = ops.parents;
        if let Some(node) = b {
            grads.register::<B>(node.id, B::float_neg(gradient.clone()));
        }
        if let Some(node) = a {
            grads.register::<B>(node.id, gradient);
        }
    }
}

impl<B: DivergenceOps, C: CheckpointStrategy> DivergenceOps for Autodiff<B, C> {
    fn mean_distance(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self> {
        let prep = MeanDistance
            .prepare::<C>([a.node(), b.node()])
            .compute_bound()
            .stateful();
        let (a, b) = (a.into_primitive(), b.into_primitive());
        match prep {
            OpsKind::Tracked(prep) => {
                let mean = B::mean_distance(a.clone(), b.clone());
                prep.finish((a, b), mean)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::mean_distance(a, b)),
        }
    }

    // `mean_distance_backward` keeps its default body, a composition of differentiable operations;
    // see `slice_distances_backward`.
}
