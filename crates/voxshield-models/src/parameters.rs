//! Parameters and gradients by name.

use std::collections::{BTreeMap, HashMap};

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Gradients, Tensor, TensorData};

use crate::{ShapeMismatch, WeightsError};

/// Host tensors by parameter name, sorted.
pub type TensorMap = BTreeMap<String, TensorData>;

/// A network whose parameters have stable names outside of Burn: those of its PyTorch model.
pub trait NamedParameters: Module {
    /// The name of the parameter at `path`, the field names and indices that lead to it.
    fn parameter_name(&self, path: &[String]) -> String;
}

/// The number of weights and biases of a module.
pub fn parameter_count<M: Module>(module: &M) -> usize {
    module.num_params()
}

/// A copy of all parameters on the host, as float32.
///
/// # Errors
///
/// [`WeightsError::Data`] if the device cannot be read.
pub fn parameters<M: NamedParameters>(module: &M) -> Result<TensorMap, WeightsError> {
    Collector::run(module, None).1
}

/// A copy of the gradients of all parameters on the host, as float32.
///
/// Parameters without a gradient (frozen, not used, or not on an autodiff device) are left out.
///
/// # Errors
///
/// [`WeightsError::Data`] if the device cannot be read.
pub fn gradients<M: NamedParameters>(
    module: &M,
    gradients: &Gradients,
) -> Result<TensorMap, WeightsError> {
    Collector::run(module, Some(gradients)).1
}

/// The module with all parameters replaced by the values in `tensors`.
///
/// Device, parameter identities and whether gradients are recorded stay as they are.
///
/// # Errors
///
/// [`WeightsError::Mismatch`], listing all of them, if a parameter is missing in `tensors`, if
/// `tensors` has one that the module does not, or if a shape differs; [`WeightsError::Data`] if a
/// tensor cannot be converted to float32.
pub fn load_parameters<M: NamedParameters>(
    module: M,
    tensors: &TensorMap,
) -> Result<M, WeightsError> {
    let (names, own) = Collector::run(&module, None);
    check(&own?, tensors)?;
    let mut values = HashMap::with_capacity(names.len());
    for (id, name) in names {
        if let Some(data) = tensors.get(&name) {
            values.insert(id, to_f32(&name, data.clone())?);
        }
    }
    Ok(module.map(&mut Loader { values }))
}

fn check(own: &TensorMap, given: &TensorMap) -> Result<(), WeightsError> {
    let absent = |keys: &TensorMap, from: &TensorMap| -> Vec<String> {
        let keys = keys.keys().filter(|key| !from.contains_key(*key));
        keys.cloned().collect()
    };
    let missing = absent(own, given);
    let unexpected = absent(given, own);
    let shapes: Vec<ShapeMismatch> = own
        .iter()
        .filter_map(|(name, data)| Some((name, data.shape(), given.get(name)?.shape())))
        .filter(|(_, expected, found)| expected != found)
        .map(|(name, expected, found)| ShapeMismatch {
            name: name.clone(),
            expected: expected.to_vec(),
            found: found.to_vec(),
        })
        .collect();
    if missing.is_empty() && unexpected.is_empty() && shapes.is_empty() {
        return Ok(());
    }
    Err(WeightsError::Mismatch {
        missing,
        unexpected,
        shapes,
    })
}

fn to_f32(name: &str, data: TensorData) -> Result<TensorData, WeightsError> {
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
struct Collector<'a, M> {
    module: &'a M,
    gradients: Option<&'a Gradients>,
    path: Vec<String>,
    names: Vec<(ParamId, String)>,
    tensors: Result<TensorMap, WeightsError>,
}

impl<'a, M: NamedParameters> Collector<'a, M> {
    fn run(
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
struct Loader {
    values: HashMap<ParamId, TensorData>,
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
