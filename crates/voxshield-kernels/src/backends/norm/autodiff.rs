use burn::backend::{
    Autodiff,
    autodiff::{
        NodeId,
        checkpoint::{
            base::Checkpointer, retro_forward::RetroForward, state::BackwardStates,
            strategy::CheckpointStrategy,
        },
        grads::Gradients,
        ops::{Backward, Ops, OpsKind},
    },
    tensor::FloatTensor,
};

use crate::ops::NormOps;

#[derive(Debug)]
struct InstanceNormAct;

/// What the way back needs. Not the output: the sign of the normalised value, all that the
/// activation needs, is cheaper to compute again than to keep.
#[derive(Debug, Clone)]
struct State<F> {
    x: NodeId,
    weight: F,
    bias: F,
    statistics: F,
    slope: f64,
}

impl<B: NormOps> Backward<B, 3> for InstanceNormAct {
    type State = State<FloatTensor<B>>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        checkpointer: &mut Checkpointer,
    ) {
        let gradient = grads.consume::<B>(&ops.node);
        let State {
            x,
            weight,
            bias,
            statistics,
            slope,
        } = ops.state;
        let x = checkpointer.retrieve_node_output(x);
        let (x, weight, bias) =
            B::instance_norm_act_backward(x, weight, bias, statistics, gradient, slope);
        for (parent, gradient) in ops.parents.into_iter().zip([x, weight, bias]) {
            if let Some(node) = parent {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Computes the output again. With gradient checkpointing it is not kept for the convolution that
/// follows: two passes over a map cost little beside the convolution.
#[derive(Debug)]
struct Again<B: NormOps> {
    x: NodeId,
    weight: Source<FloatTensor<B>>,
    bias: Source<FloatTensor<B>>,
    epsilon: f64,
    slope: f64,
}

/// Where a recomputation finds a parameter: autodiff hands out what is tracked.
#[derive(Debug)]
enum Source<F> {
    Tracked(NodeId),
    Constant(F),
}

impl<F: Clone + Send + 'static> Source<F> {
    fn value(&self, states: &mut BackwardStates) -> F {
        match self {
            Self::Tracked(id) => states.get_state(id),
            Self::Constant(value) => value.clone(),
        }
    }
}

impl<B: NormOps> RetroForward for Again<B> {
    fn forward(&self, states: &mut BackwardStates, out_node: NodeId) {
        let x = states.get_state(&self.x);
        let (weight, bias) = (self.weight.value(states), self.bias.value(states));
        let (y, _) = B::instance_norm_act(x, weight, bias, self.epsilon, self.slope);
        states.save(out_node, y);
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
        let source = |t: &FloatTensor<Self>| match t.is_tracked() {
            true => Source::Tracked(t.id()),
            false => Source::Constant(t.primitive().clone()),
        };
        let again = Again::<B> {
            x: x.id(),
            weight: source(&weight),
            bias: source(&bias),
            epsilon,
            slope,
        };
        // Without a tracked `x`, autodiff keeps the output instead.
        let parameters = [&weight, &bias].into_iter().filter(|t| t.is_tracked());
        let parents = [&x].into_iter().chain(parameters);
        let prep = InstanceNormAct
            .prepare::<C>([x.node(), weight.node(), bias.node()])
            .memory_bound()
            .retro_forward(again)
            .parents(parents)
            .stateful();
        match prep {
            OpsKind::Tracked(mut prep) => {
                let kept = prep.checkpoint(&x);
                let [x, weight, bias] = [x, weight, bias].map(|input| input.into_primitive());
                let (y, statistics) =
                    B::instance_norm_act(x, weight.clone(), bias.clone(), epsilon, slope);
                let state = State {
                    x: kept,
                    weight,
                    bias,
                    statistics: statistics.clone(),
                    slope,
                };
                (prep.finish(state, y), <FloatTensor<Self>>::new(statistics))
            }
            OpsKind::UnTracked(prep) => {
                let [x, weight, bias] = [x, weight, bias].map(|input| input.into_primitive());
                let (y, statistics) = B::instance_norm_act(x, weight, bias, epsilon, slope);
                (prep.finish(y), <FloatTensor<Self>>::new(statistics))
            }
        }
    }

    // `instance_norm_act_backward` keeps its default body, a composition of differentiable
    // operations; see `slice_distances_backward`.
}
