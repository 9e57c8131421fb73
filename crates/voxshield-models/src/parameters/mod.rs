//! Parameters and gradients by name.

mod traverse;

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use burn::tensor::{Gradients, TensorData};

use self::traverse::{Collector, Loader, to_f32};
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
    Ok(module.map(&mut Loader::new(values)))
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
