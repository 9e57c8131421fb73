//! One comparison for every network: output, loss, gradients, names, counts.
#![allow(
    clippy::print_stdout,
    reason = "the largest differences go into reports"
)]

use burn::tensor::{Int, Tensor};
use serde_json::Value;
use voxshield_kernels::DiceCe;
use voxshield_models::{Network, TensorMap};
use voxshield_testkit::{Golden, assert_close, device, max_abs, max_difference};

use crate::hashed;

/// How closely a float32 implementation has to agree.
pub(crate) struct Tolerance {
    /// Absolute, of every output.
    pub(crate) output: f64,
    /// Of the input's gradient, relative to its largest element.
    pub(crate) grad_input: f64,
    /// Of a parameter's gradient, relative to its largest element (stored weights) or to its norm
    /// (hashed weights).
    pub(crate) gradients: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self {
            output: 3e-5,
            grad_input: 1e-4,
            gradients: 1e-4,
        }
    }
}

/// A network with the weights of a fixture, and the fixture's batch.
pub(crate) struct Case {
    name: &'static str,
    pub(crate) golden: Golden,
    pub(crate) network: Box<dyn Network>,
    /// On the autodiff device, requires a gradient.
    pub(crate) input: Tensor<5>,
    pub(crate) labels: Tensor<4, Int>,
    /// Of every axis of a volume, every `stride`-th voxel is stored.
    pub(crate) stride: usize,
    kinks: bool,
}

impl Case {
    /// `network` is on `device().autodiff()`. A fixture without weights has hashed ones.
    pub(crate) fn new(name: &'static str, network: Box<dyn Network>) -> Self {
        let golden = Golden::open(name);
        let device = device().autodiff();
        let stored = golden.tensors("w.");
        if !stored.is_empty() {
            return Self {
                name,
                network: network.with_weights(&stored).expect("its weights"),
                input: golden.tensor("input", &device).require_grad(),
                labels: golden.int_tensor("label", &device),
                golden,
                stride: 1,
                kinks: false,
            };
        }
        let shape: [usize; 5] = sizes(&golden.metadata("input_shape"));
        let [batch, _, d, h, w] = shape;
        let weights = hashed::weights(&*network);
        Self {
            name,
            network: network.with_weights(&weights).expect("its weights"),
            input: hashed::input(shape, &device).require_grad(),
            labels: hashed::labels([batch, d, h, w], number(&golden, "classes"), &device),
            stride: number(&golden, "stride") as usize,
            golden,
            kinks: false,
        }
    }

    /// For a network in which rounding takes an activation across its kink: the gradients jump, so
    /// the input's is compared as a whole, by the norm of the difference, and the sums of the
    /// parameters' gradients may be off four times as far as their norms.
    pub(crate) fn with_kinks(self) -> Self {
        Self {
            kinks: true,
            ..self
        }
    }

    /// Compares everything that the fixture holds about the first output.
    pub(crate) fn agrees(&self, tolerance: &Tolerance) {
        self.network
            .check_input(&self.input.dims())
            .expect("an accepted shape");
        let logits = self.network.forward(self.input.clone());
        self.compare("output", logits.clone(), tolerance.output);
        let loss = DiceCe::default()
            .forward(logits, self.labels.clone())
            .expect("labels that fit");
        match self.gradient_of() {
            key if key == "loss" => self.compare_loss(&key, loss, tolerance),
            key => {
                self.compare_value("loss", &loss);
                let loss = self.network.training_loss(
                    self.input.clone(),
                    self.labels.clone(),
                    &DiceCe::default(),
                );
                self.compare_loss(&key, loss.expect("labels that fit"), tolerance);
            }
        }
        self.agrees_in_structure();
    }

    /// Which loss the stored gradients are those of.
    fn gradient_of(&self) -> String {
        match self.golden.has("grad_norm") {
            true => serde_json::from_value(self.golden.metadata("gradient_of")).expect("a name"),
            false => "loss".to_string(),
        }
    }

    fn compare_value(&self, key: &str, loss: &Tensor<1>) {
        let expected = self.golden.values(key);
        let value = values(loss.clone().inner());
        let bound = 1e-5 * max_abs(&expected).max(1.0);
        assert_close(&format!("{}: {key}", self.name), &value, &expected, bound);
    }

    /// Compares a loss and its gradients.
    pub(crate) fn compare_loss(&self, key: &str, loss: Tensor<1>, tolerance: &Tolerance) {
        self.compare_value(key, &loss);
        let gradients = loss.backward();
        let grad_input = self.input.grad(&gradients).expect("a gradient");
        if self.kinks {
            self.compare_norm("grad_input", grad_input, tolerance.grad_input);
        } else {
            let largest = max_abs(&self.golden.values("grad_input"));
            self.compare("grad_input", grad_input, tolerance.grad_input * largest);
        }
        let found = self.network.gradients(&gradients).expect("readable");
        if self.golden.has("grad_norm") {
            self.compare_summaries(&found, tolerance.gradients);
        } else {
            self.compare_gradients(&found, tolerance.gradients);
        }
    }

    /// Compares a volume with the stored one, at the stored voxels.
    pub(crate) fn compare(&self, key: &str, volume: Tensor<5>, tolerance: f64) {
        let found = self.at_stored_voxels(key, volume);
        self.report(key, &found, &self.golden.values(key), tolerance);
    }

    /// The same, by the norm of the difference relative to that of the stored volume.
    fn compare_norm(&self, key: &str, volume: Tensor<5>, tolerance: f64) {
        let found = self.at_stored_voxels(key, volume);
        let expected = self.golden.values(key);
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let pairs = found.iter().zip(&expected);
        let difference = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
        let difference = difference / norm(&mut expected.iter().map(|&b| f64::from(b)));
        let name = self.name;
        println!("{name}: {key}: norm {difference:.1e} of {tolerance:.1e}");
        assert!(
            difference <= tolerance,
            "{name}: {key}: relative norm of the difference {difference:e}, tolerance {tolerance:e}"
        );
    }

    fn at_stored_voxels(&self, key: &str, volume: Tensor<5>) -> Vec<f32> {
        let mut volume = match volume.is_autodiff() {
            true => volume.inner(),
            false => volume,
        };
        if self.stride > 1 {
            for axis in 2..5 {
                let kept = (0..volume.dims()[axis] as i64).step_by(self.stride);
                let kept: Vec<i64> = kept.collect();
                let kept = Tensor::<1, Int>::from_data(kept.as_slice(), &volume.device());
                volume = volume.select(axis, kept);
            }
        }
        assert_eq!(
            volume.dims().to_vec(),
            self.golden.shape(key),
            "{}: {key}",
            self.name
        );
        values(volume)
    }

    /// `tolerance * max|tensor| + 1e-6 * max|all tensors|`, and for the biases in front of a
    /// normalisation, whose gradient is zero but for rounding, three times the second term.
    fn compare_gradients(&self, found: &TensorMap, tolerance: f64) {
        let expected: Vec<(&String, Vec<f32>)> = found
            .keys()
            .map(|name| (name, self.golden.values(&format!("g.{name}"))))
            .collect();
        let keys = self.golden.keys();
        let stored = keys.iter().filter(|key| key.starts_with("g.")).count();
        let name = self.name;
        assert_eq!(expected.len(), stored, "{name}: parameters with a gradient");
        let zero = self.golden.metadata("zero_grad_params");
        let zero: Vec<String> = serde_json::from_value(zero).expect("names");
        let largest = expected.iter().map(|(_, g)| max_abs(g)).fold(0.0, f64::max);
        let mut worst = 0.0f64;
        for (key, expected) in expected {
            let actual = found[key].try_to_vec::<f32>().expect("float32");
            if zero.contains(key) {
                let nothing = vec![0.0; actual.len()];
                assert_close(
                    &format!("{name}: g.{key}"),
                    &actual,
                    &nothing,
                    1e-5 * largest,
                );
                continue;
            }
            let bound = tolerance * max_abs(&expected) + 1e-6 * largest;
            assert_close(&format!("{name}: g.{key}"), &actual, &expected, bound);
            worst = worst.max(max_difference(&actual, &expected).0 / bound * tolerance);
        }
        println!("{name}: gradients: worst {worst:.1e} of {tolerance:.0e}");
    }

    /// Sum and norm of every parameter's gradient, with the same second term.
    fn compare_summaries(&self, found: &TensorMap, tolerance: f64) {
        let names: Vec<String> =
            serde_json::from_value(self.golden.metadata("names")).expect("names");
        let sums = self.golden.values("grad_sum");
        let norms = self.golden.values("grad_norm");
        let largest = max_abs(&norms);
        let mut worst = 0.0f64;
        for (name, (sum, norm)) in names.iter().zip(sums.into_iter().zip(norms)) {
            let (sum, norm) = (f64::from(sum), f64::from(norm));
            let gradient: Vec<f32> = match found.get(name) {
                Some(data) => data.try_to_vec().expect("float32"),
                None => Vec::new(),
            };
            let gradient = gradient.iter().map(|&g| f64::from(g));
            let own_sum: f64 = gradient.clone().sum();
            let own_norm = gradient.map(|g| g * g).sum::<f64>().sqrt();
            let bound = tolerance * norm + 1e-6 * largest;
            // The elements of a sum cancel, what a kink adds to it does not.
            let share = if self.kinks { 0.25 } else { 1.0 };
            let off = (share * (own_sum - sum).abs()).max((own_norm - norm).abs());
            assert!(
                off <= bound,
                "{}: gradient of {name}: sum {own_sum:e} for {sum:e}, norm {own_norm:e} for \
                 {norm:e}, tolerance {bound:e}",
                self.name
            );
            worst = worst.max(off / bound * tolerance);
        }
        println!(
            "{}: gradients: worst {worst:.1e} of {tolerance:.0e}",
            self.name
        );
    }

    /// Names, number of parameters and floating-point operations, where the fixture has them.
    fn agrees_in_structure(&self) {
        let name = self.name;
        let learned = self.network.describe().into_iter().filter(|p| !p.running);
        let mut own: Vec<String> = learned.map(|p| p.name).collect();
        own.sort();
        let mut expected: Vec<String> = if self.golden.has("grad_norm") {
            serde_json::from_value(self.golden.metadata("names")).expect("names")
        } else {
            let keys = self.golden.keys();
            let keys = keys.iter().filter_map(|key| key.strip_prefix("w."));
            let keys = keys.filter(|key| !key.contains("running_"));
            let keys = keys.filter(|key| !key.ends_with("num_batches_tracked"));
            keys.map(String::from).collect()
        };
        expected.sort();
        assert_eq!(own, expected, "{name}: names of the parameters");
        if !self.golden.has("grad_norm") {
            return;
        }
        let parameters = number(&self.golden, "parameters");
        assert_eq!(self.network.parameter_count() as u64, parameters, "{name}");
        let [batch, _, sizes @ ..] = self.input.dims();
        let flops = self.network.flops(sizes) * batch as u64;
        assert_eq!(flops, number(&self.golden, "flops"), "{name}: FLOPs");
        println!("{name}: {parameters} parameters, {flops} FLOPs at {sizes:?}");
    }

    fn report(&self, key: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
        let (difference, _) = max_difference(actual, expected);
        println!("{}: {key}: {difference:.1e} of {tolerance:.1e}", self.name);
        assert_close(
            &format!("{}: {key}", self.name),
            actual,
            expected,
            tolerance,
        );
    }
}

/// Parameters and floating-point operations of a published network, from `n_sizes.json`.
pub(crate) fn agrees_in_size(key: &str, network: &dyn Network) {
    let expected = &Golden::json("n_sizes")[key];
    let number = |field: &str| expected[field].as_u64().expect("a number");
    let parameters = network.parameter_count() as u64;
    assert_eq!(parameters, number("parameters"), "{key}: parameters");
    let [batch, _, sizes @ ..] = sizes::<5>(&expected["input_shape"]);
    let flops = network.flops(sizes) * batch as u64;
    assert_eq!(flops, number("flops"), "{key}: FLOPs");
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

fn number(golden: &Golden, key: &str) -> u64 {
    golden.metadata(key).as_u64().expect("a number")
}

fn sizes<const N: usize>(value: &Value) -> [usize; N] {
    serde_json::from_value::<Vec<usize>>(value.clone())
        .ok()
        .and_then(|sizes| sizes.try_into().ok())
        .expect("sizes")
}
