//! The walks over a module's parameters.

use std::collections::{HashMap, HashSet};

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::{NamedParameters, Parameter, TensorMap};
use crate::{WeightRng, WeightsError};

pub(super) fn to_f32(name: &str, data: TensorData) -> Result<TensorData, WeightsError> {
    data.try_cast_as::<f32>()
        .map_err(|error| unreadable(name, &error))
}

fn unreadable(name: &str, error: &impl std::fmt::Display) -> WeightsError {
    WeightsError::Data {
        name: name.to_string(),
        reason: error.to_string(),
    }
}

/// Walks over all parameters and running statistics, and reads what it is asked for.
pub(super) struct Collector<'a, M> {
    module: &'a M,
    wanted: Wanted<'a>,
    path: Vec<String>,
    list: Vec<Parameter>,
    tensors: Result<TensorMap, WeightsError>,
}

enum Wanted<'a> {
    Nothing,
    Values,
    Gradients(&'a Gradients),
}

impl<'a, M: NamedParameters> Collector<'a, M> {
    /// Names, shapes and identities; no tensor is read.
    pub(super) fn list(module: &'a M) -> Vec<Parameter> {
        Self::run(module, Wanted::Nothing).list
    }

    /// The values, or the gradients where there are some.
    pub(super) fn read(
        module: &'a M,
        gradients: Option<&'a Gradients>,
    ) -> Result<TensorMap, WeightsError> {
        Self::run(module, gradients.map_or(Wanted::Values, Wanted::Gradients)).tensors
    }

    fn run(module: &'a M, wanted: Wanted<'a>) -> Self {
        let mut collector = Self {
            module,
            wanted,
            path: Vec::new(),
            list: Vec::new(),
            tensors: Ok(TensorMap::new()),
        };
        module.visit(&mut collector);
        collector
    }

    fn read_one<const D: usize>(
        &self,
        name: &str,
        param: &Param<Tensor<D>>,
    ) -> Option<Result<TensorData, WeightsError>> {
        let tensor = match self.wanted {
            Wanted::Nothing => return None,
            Wanted::Values => param.val(),
            Wanted::Gradients(gradients) => param.val().grad(gradients)?,
        };
        let data = tensor
            .try_into_data()
            .map_err(|error| unreadable(name, &error));
        Some(data.and_then(|data| to_f32(name, data)))
    }
}

impl<M: NamedParameters> ModuleVisitor for Collector<'_, M> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.module.parameter_name(&self.path);
        let last = self.path.last().map(String::as_str);
        self.list.push(Parameter {
            name: name.clone(),
            shape: param.lazy_shape().to_vec(),
            id: param.id,
            running: matches!(last, Some("running_mean" | "running_var")),
        });
        match (self.read_one(&name, param), &mut self.tensors) {
            (Some(Ok(data)), Ok(tensors)) => {
                tensors.insert(name, data);
            }
            (Some(Err(error)), Ok(_)) => self.tensors = Err(error),
            (None, _) | (_, Err(_)) => {}
        }
    }
}

/// Replaces the values of all parameters.
pub(super) struct Loader {
    values: HashMap<ParamId, TensorData>,
}

impl Loader {
    pub(super) fn new(values: HashMap<ParamId, TensorData>) -> Self {
        Self { values }
    }
}

impl ModuleMapper for Loader {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(data) = self.values.remove(&param.id) else {
            return param;
        };
        param.map(|old| {
            let new = Tensor::from_data(data, &old.device());
            if old.is_require_grad() {
                new.require_grad()
            } else {
                new
            }
        })
    }
}

/// Adds Gaussian noise to the parameters that are listed.
pub(super) struct Noisy {
    learned: HashSet<ParamId>,
    deviation: f64,
    rng: WeightRng,
}

impl Noisy {
    pub(super) fn new(learned: HashSet<ParamId>, deviation: f64, rng: WeightRng) -> Self {
        Self {
            learned,
            deviation,
            rng,
        }
    }
}

impl ModuleMapper for Noisy {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !self.learned.contains(&param.id) {
            return param;
        }
        param.map(|weight| {
            let device = weight.device().without_autodiff();
            let noise = self.rng.normal(weight.dims(), self.deviation, &device);
            // Recorded, so that gradients reach the weight.
            weight + noise.val()
        })
    }
}
