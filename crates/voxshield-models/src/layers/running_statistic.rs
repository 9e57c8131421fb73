use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
    Param, ParamId,
};
use burn::tensor::{Device, Tensor};

use super::guarded::Guarded;

/// A tensor `[channel]` that training updates without a gradient: a buffer in PyTorch's words.
///
/// Burn's `RunningState` differs in two ways that matter here: its clones share one value, so that
/// a frozen copy would change while the original is trained, and its last update is not visible to
/// what reads the weights.
#[derive(Debug, Clone)]
pub struct RunningStatistic {
    id: ParamId,
    value: Guarded<Tensor<1>>,
}

impl RunningStatistic {
    pub(super) fn new(value: Tensor<1>) -> Self {
        Self {
            id: ParamId::new(),
            value: Guarded::new(value),
        }
    }

    /// The current value, `[channel]`.
    pub fn value(&self) -> Tensor<1> {
        self.value.get()
    }

    /// `value = (1 - momentum) * value + momentum * observed`, without gradients.
    pub(super) fn update(&self, observed: Tensor<1>, momentum: f64) {
        let observed = observed.detach();
        self.value.with(|value| {
            let kept = value.clone().mul_scalar(1.0 - momentum);
            *value = kept + observed.mul_scalar(momentum);
        });
    }

    fn replaced(self, change: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        Self {
            id: self.id,
            value: Guarded::new(change(self.value.get())),
        }
    }
}

impl Module for RunningStatistic {
    fn collect_devices(&self, mut devices: Devices) -> Devices {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &Device) -> Self {
        self.replaced(|value| value.to_device(device))
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let id = self.id;
        self.replaced(|value| {
            let (_, value, _) = mapper.map_float(Param::initialized(id, value)).consume();
            // A mapper that makes parameters trainable does not mean buffers.
            value.set_require_grad(false)
        })
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone().replaced(Tensor::without_autodiff)
    }

    fn train(self) -> Self {
        self.replaced(Tensor::from_inner)
    }
}

impl ModuleDisplayDefault for RunningStatistic {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&"RunningStatistic").optional()
    }
}

impl ModuleDisplay for RunningStatistic {}
