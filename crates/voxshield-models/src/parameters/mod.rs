//! Parameters and gradients by name.

mod traverse;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use burn::module::{Module, ParamId};
use burn::tensor::{Gradients, TensorData};

use self::traverse::{Collector, Loader, Noisy, to_f32};
use crate::{ShapeMismatch, WeightRng, WeightsError};

/// Host tensors by parameter name, sorted.
pub type TensorMap = BTreeMap<String, TensorData>;

/// A network whose parameters have stable names outside of Burn: those of its PyTorch model.
pub trait NamedParameters: Module {
    /// The name of the parameter at `path`, the field names and indices that lead to it.
    ///
    /// The default is for modules whose fields are called as in PyTorch; Burn's normalisations call
    /// their weight `gamma` and their bias `beta`.
    fn parameter_name(&self, path: &[String]) -> String {
        pytorch_name(path)
    }

    /// The name that a checkpoint's entry has here; `None` if the network has no use for it.
    ///
    /// The default leaves out the batch counters of PyTorch's batch normalisation. A network whose
    /// checkpoints hold the same tensor under several names maps them all to one.
    fn checkpoint_name(&self, stored: &str) -> Option<String> {
        (!stored.ends_with("num_batches_tracked")).then(|| stored.to_string())
    }
}

/// The path joined by dots, a normalisation's `gamma` as `weight` and its `beta` as `bias`.
pub(crate) fn pytorch_name<S: AsRef<str>>(path: &[S]) -> String {
    let mut path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    if let Some(last) = path.last_mut() {
        *last = match *last {
            "gamma" => "weight",
            "beta" => "bias",
            other => other,
        };
    }
    path.join(".")
}

/// One parameter, or one running statistic, of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Parameter {
    /// Its name in the PyTorch model.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its identity in Burn.
    pub id: ParamId,
    /// Whether it is a running statistic, which is updated but not learned.
    pub running: bool,
}

/// All parameters and running statistics of a module, in its order.
pub fn describe<M: NamedParameters>(module: &M) -> Vec<Parameter> {
    Collector::list(module)
}

/// The number of learned weights and biases of a module.
pub fn parameter_count<M: NamedParameters>(module: &M) -> usize {
    let learned = describe(module).into_iter().filter(|p| !p.running);
    learned.map(|p| p.shape.iter().product::<usize>()).sum()
}

/// A copy of all parameters and running statistics on the host, as float32.
///
/// # Errors
///
/// [`WeightsError::Data`] if the device cannot be read.
pub fn parameters<M: NamedParameters>(module: &M) -> Result<TensorMap, WeightsError> {
    Collector::read(module, None)
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
    Collector::read(module, Some(gradients))
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
    let own = describe(&module);
    let tensors = canonical(&module, tensors);
    check(&own, &tensors)?;
    let mut values = HashMap::with_capacity(own.len());
    for Parameter { id, name, .. } in own {
        if let Some(data) = tensors.get(&name) {
            values.insert(id, to_f32(&name, (*data).clone())?);
        }
    }
    Ok(module.map(&mut Loader::new(values)))
}

/// The module with Gaussian noise of this standard deviation on its learned parameters, drawn in their order.
pub(crate) fn noisy_parameters<M: NamedParameters>(module: &M, deviation: f64, seed: u64) -> M {
    let learned = describe(module).into_iter().filter(|p| !p.running);
    let learned = learned.map(|p| p.id).collect();
    let noise = WeightRng::new(seed);
    let mut noisy = Noisy::new(learned, deviation, noise);
    module.clone().map(&mut noisy)
}

/// A checkpoint's entries under the module's own names; an entry that is called so already goes
/// before its aliases.
fn canonical<'a, M: NamedParameters>(
    module: &M,
    tensors: &'a TensorMap,
) -> BTreeMap<String, &'a TensorData> {
    let mut found = BTreeMap::new();
    for (stored, data) in tensors {
        match module.checkpoint_name(stored) {
            Some(name) if name == *stored => {
                found.insert(name, data);
            }
            Some(name) => {
                found.entry(name).or_insert(data);
            }
            None => {}
        }
    }
    found
}

fn check(own: &[Parameter], given: &BTreeMap<String, &TensorData>) -> Result<(), WeightsError> {
    let names: BTreeSet<&str> = own.iter().map(|p| p.name.as_str()).collect();
    let mut missing = Vec::new();
    let mut shapes = Vec::new();
    for Parameter { name, shape, .. } in own {
        match given.get(name) {
            None => missing.push(name.clone()),
            Some(data) if data.shape().as_slice() != shape.as_slice() => {
                shapes.push(ShapeMismatch {
                    name: name.clone(),
                    expected: shape.clone(),
                    found: data.shape().to_vec(),
                });
            }
            Some(_) => {}
        }
    }
    let unexpected: Vec<String> = given
        .keys()
        .filter(|name| !names.contains(name.as_str()))
        .cloned()
        .collect();
    if missing.is_empty() && unexpected.is_empty() && shapes.is_empty() {
        return Ok(());
    }
    missing.sort();
    Err(WeightsError::Mismatch {
        missing,
        unexpected,
        shapes,
    })
}
