use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::{FloatTensor, IntTensor},
};

use crate::ops::OverlapOps;

#[derive(Debug)]
struct OverlapSums;

impl<B: OverlapOps> Backward<B, 1> for OverlapSums {
    /// Logits and labels: the softmax is cheaper to compute again than to keep.
    type State = (FloatTensor<B>, IntTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            let (logits, labels) = ops.state;
            let gradient = B::overlap_sums_backward(logits, labels, gradient);
            grads.register::<B>(node.id, gradient);
        }
    }
}

impl<B: OverlapOps, C: CheckpointStrategy> OverlapOps for Autodiff<B, C> {
    fn overlap_sums(logits: FloatTensor<Self>, labels: IntTensor<Self>) -> FloatTensor<Self> {
        match OverlapSums
            .prepare::<C>([logits.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let logits = logits.into_primitive();
                let sums = B::overlap_sums(logits.clone(), labels.clone());
                prep.finish((logits, labels), sums)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(B::overlap_sums(logits.into_primitive(), labels))
            }
        }
    }

    // `overlap_sums_backward` keeps its default body, a composition of differentiable operations;
    // see `slice_distances_backward`.
}
