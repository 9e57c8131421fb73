use burn::backend::{
    Autodiff, TensorMetadata,
    autodiff::{
        NodeId,
        checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
        grads::Gradients,
        ops::{Backward, NodeGuard, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::{Bias, ConvGeometry, ConvOps};

/// A convolution of volumes of `sizes`, or its adjoint, which gives volumes of `sizes`.
#[derive(Debug, Clone, Copy)]
struct Convolution {
    adjoint: bool,
    sizes: [usize; 3],
    geometry: ConvGeometry,
}

/// What the backward pass needs. The input is kept only where the weight's gradient is asked for:
/// a frozen network keeps no activations for its convolutions. Autodiff holds it, or with gradient
/// checkpointing computes it again where that is cheap.
#[derive(Debug, Clone)]
struct Kept<B: ConvOps> {
    input: Option<NodeId>,
    weight: FloatTensor<B>,
}

impl Convolution {
    fn output<B: ConvOps>(
        self,
        input: FloatTensor<B>,
        weight: FloatTensor<B>,
        bias: Bias<B>,
    ) -> FloatTensor<B> {
        if self.adjoint {
            B::convolve_adjoint(input, weight, bias, self.sizes, self.geometry)
        } else {
            B::convolve(input, weight, bias, self.geometry)
        }
    }

    fn input_gradient<B: ConvOps>(
        self,
        gradient: FloatTensor<B>,
        weight: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let adjoint = !self.adjoint;
        Self { adjoint, ..self }.output::<B>(gradient, weight, Bias::Absent)
    }

    fn weight_gradient<B: ConvOps>(
        self,
        input: FloatTensor<B>,
        gradient: FloatTensor<B>,
        weight: FloatTensor<B>,
    ) -> FloatTensor<B> {
        let (x, y) = if self.adjoint {
            (gradient, input)
        } else {
            (input, gradient)
        };
        B::convolve_weight_gradient(x, y, weight, self.geometry)
    }

    /// Computes the output and, where a gradient is asked for, records the operation. `N` parents:
    /// input, weight and, where there is one, bias.
    fn record<B: ConvOps, C: CheckpointStrategy, const N: usize>(
        self,
        nodes: [NodeGuard; N],
        input: FloatTensor<Autodiff<B, C>>,
        weight: FloatTensor<Autodiff<B, C>>,
        bias: Bias<B>,
    ) -> FloatTensor<Autodiff<B, C>> {
        let keep_input = weight.is_tracked();
        let weight = weight.into_primitive();
        match Backward::<B, N>::prepare::<C>(self, nodes)
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(mut prep) => {
                let kept = Kept {
                    input: keep_input.then(|| prep.checkpoint(&input)),
                    weight: weight.clone(),
                };
                let output = self.output::<B>(input.into_primitive(), weight, bias);
                prep.finish(kept, output)
            }
            OpsKind::UnTracked(prep) => {
                prep.finish(self.output::<B>(input.into_primitive(), weight, bias))
            }
        }
    }

    fn tracked<B: ConvOps, C: CheckpointStrategy>(
        self,
        input: FloatTensor<Autodiff<B, C>>,
        weight: FloatTensor<Autodiff<B, C>>,
        bias: Bias<Autodiff<B, C>>,
    ) -> FloatTensor<Autodiff<B, C>> {
        let nodes = [input.node(), weight.node()];
        match bias.values().map(FloatTensor::<Autodiff<B, C>>::into_parts) {
            Some((bias, bias_node)) => {
                let [input_node, weight_node] = nodes;
                let nodes = [input_node, weight_node, bias_node];
                self.record::<B, C, 3>(nodes, input, weight, Bias::Values(bias))
            }
            None => self.record::<B, C, 2>(nodes, input, weight, Bias::Absent),
        }
    }
}

impl<B: ConvOps, const N: usize> Backward<B, N> for Convolution {
    type State = Kept<B>;

    fn backward(
        self,
        ops: Ops<Self::State, N>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let Kept { input, weight } = ops.state;
        let input = input.map(|id| checkpointer.retrieve_node_output(id));
        // A parent without a node is not tracked: its gradient is not computed.
        let mut nodes = ops.parents.into_iter();
        let of_input = nodes.next().flatten();
        let of_weight = nodes.next().flatten();
        let of_bias = nodes.next().flatten();
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, B::channel_sums(gradient.clone()));
        }
        if let (Some(node), Some(input)) = (of_weight, input) {
            let weight = self.weight_gradient::<B>(input, gradient.clone(), weight.clone());
            grads.register::<B>(node.id, weight);
        }
        if let Some(node) = of_input {
            grads.register::<B>(node.id, self.input_gradient::<B>(gradient, weight));
        }
    }
}

impl<B: ConvOps, C: CheckpointStrategy> ConvOps for Autodiff<B, C> {
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let shape = x.shape();
        let convolution = Convolution {
            adjoint: false,
            sizes: [shape[2], shape[3], shape[4]],
            geometry,
        };
        convolution.tracked::<B, C>(x, weight, bias)
    }

    fn convolve_adjoint(
        y: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Bias<Self>,
        sizes: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let adjoint = Convolution {
            adjoint: true,
            sizes,
            geometry,
        };
        adjoint.tracked::<B, C>(y, weight, bias)
    }

    // `convolve_weight_gradient` and `channel_sums` keep their default bodies, compositions of
    // differentiable operations: nothing asks for a second derivative.
}
