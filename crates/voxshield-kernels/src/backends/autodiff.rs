use burn::backend::{
    Autodiff,
    autodiff::{
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::SpectralOps;

#[derive(Debug)]
struct SliceDistances;

impl<B: SpectralOps> Backward<B, 1> for SliceDistances {
    /// The input and the distances: the spectra are cheaper to compute again than to keep.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<B>(&ops.node);
        if let Some(node) = parent {
            let (x, distances) = ops.state;
            grads.register::<B>(node.id, B::slice_distances_backward(x, distances, gradient));
        }
    }
}

impl<B: SpectralOps, C: CheckpointStrategy> SpectralOps for Autodiff<B, C> {
    fn slice_distances(x: FloatTensor<Self>) -> FloatTensor<Self> {
        match SliceDistances
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let x = x.into_primitive();
                let distances = B::slice_distances(x.clone());
                prep.finish((x, distances.clone()), distances)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::slice_distances(x.into_primitive())),
        }
    }

    // `slice_distances_backward` keeps its default body, a composition of differentiable
    // operations: a second derivative would be right, though nothing asks for one.
}
