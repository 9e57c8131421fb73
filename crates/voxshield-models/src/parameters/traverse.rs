//! The walks over a module's parameters.

use std::collections::HashMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

use super::{NamedParameters, TensorMap};
use crate::WeightsError;

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

/// Reads the values, or the gradients, of all parameters.
pub(super) struct Collector<'a, M> {
    module: &'a M,
    gradients: Option<&'a Gradients>,
    path: Vec<String>,
    names: Vec<(ParamId, String)>,
    tensors: Result<TensorMap, WeightsError>,
}

impl<'a, M: NamedParameters> Collector<'a, M> {
    /// The identities and names of all parameters, in the module's order, and their tensors.
    pub(super) fn run(
        module: &'a M,
        gradients: Option<&'a Gradients>,
    ) -> (Vec<(ParamId, String)>, Result<TensorMap, WeightsError>) {
        let mut collector = Self {
            module,
            gradients,
            path: Vec::new(),
            names: Vec::new(),
            tensors: Ok(TensorMap::new()),
        };
        module.visit(&mut collector);
        (collector.names, collector.tensors)
    }

    fn read<const D: usize>(
        &self,
        name: &str,
        param: &Param<Tensor<D>>,
    ) -> Option<Result<TensorData, WeightsError>> {
        let tensor = match self.gradients {
            Some(gradients) => param.val().grad(gradients)?,
            None => param.val(),
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
        let read = self.read(&name, param);
        self.names.push((param.id, name.clone()));
        match (read, &mut self.tensors) {
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
