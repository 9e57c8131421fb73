use std::collections::BTreeSet;

use burn::{module::Module, tensor::Tensor};
use serde_json::Value;
use voxshield_kernels::{DiceCe, IscScaling};
use voxshield_models::{
    Activation, Network, NoiseGeneratorConfig, ResidualUnetConfig, TensorMap, load_parameters,
    parameters,
};
use voxshield_perturb::{
    Batch, Budget, DiceCeTerm, Generator, IscTerm, NoiseLearner, SpdTerm, SurrogateLearner, Term,
};
use voxshield_testkit::{Golden, assert_close, device, max_difference};

use crate::{EPSILON, NOISE_RATE, SURROGATE_RATE};

/// One of the reference's runs: `<name>_s`, `<name>_n` and `<name>_cycle`.
pub(crate) struct Run {
    pub(crate) name: &'static str,
    pub(crate) s: Golden,
    pub(crate) n: Golden,
    pub(crate) cycle: Golden,
    isc_weight: f64,
    spd_weight: Option<f64>,
}

impl Run {
    pub(crate) fn open(name: &'static str) -> Self {
        let s = Golden::open(&format!("{name}_s"));
        let config = s.metadata("config");
        let params = &config["ue"]["algorithm"]["params"];
        let with_spd = params["logits_div_enabled"] == Value::Bool(true);
        assert_eq!(params["epsilon"].as_f64(), Some(EPSILON));
        Self {
            name,
            n: Golden::open(&format!("{name}_n")),
            cycle: Golden::open(&format!("{name}_cycle")),
            isc_weight: params["z_diversity_weight"].as_f64().expect("a weight"),
            spd_weight: params["logits_div_weight"].as_f64().filter(|_| with_spd),
            s,
        }
    }

    pub(crate) fn budget() -> Budget {
        Budget::new(EPSILON).expect("a budget")
    }

    /// The support is the reference's ROI mask of the N-step; the S-step does not use it.
    pub(crate) fn batch(&self) -> Batch {
        let mask: Tensor<5> = self.n.tensor("roi_mask", &device());
        Batch {
            image: self.s.tensor("image", &device()),
            labels: self.s.int_tensor("label", &device()),
            support: mask.narrow(1, 0, 1),
        }
    }

    pub(crate) fn delta0(&self) -> Tensor<5> {
        self.s.tensor("delta0", &device())
    }

    pub(crate) fn surrogate(&self) -> SurrogateLearner {
        let network = surrogate(self.channels(), &self.s.tensors("s0."));
        SurrogateLearner::new(network, SURROGATE_RATE, Self::budget())
    }

    pub(crate) fn noise(&self) -> NoiseLearner {
        let channels = self.channels();
        let config = NoiseGeneratorConfig {
            unet: ResidualUnetConfig {
                res_units: 1,
                activation: Activation::LeakyRelu(0.01),
                ..unet(channels, channels)
            },
            epsilon: EPSILON,
            band_limit: None,
        };
        let generator = config.init(0, &device().autodiff()).expect("valid");
        let generator = load_parameters(generator, &self.n.tensors("n0.")).expect("its weights");
        let mut terms: Vec<Box<dyn Term>> = vec![
            Box::new(DiceCeTerm(DiceCe::default())),
            Box::new(IscTerm {
                weight: self.isc_weight,
                scaling: IscScaling::Reference,
                lags: 1,
            }),
        ];
        if let Some(weight) = self.spd_weight {
            terms.push(Box::new(SpdTerm { weight }));
        }
        NoiseLearner::new(generator, NOISE_RATE, Self::budget(), terms)
    }

    pub(crate) fn channels(&self) -> usize {
        self.s.shape("image")[1]
    }

    pub(crate) fn dead(&self, key: &str) -> BTreeSet<String> {
        serde_json::from_value(self.s.metadata(key)).expect("names")
    }

    pub(crate) fn close(&self, what: &str, actual: &[f32], expected: &[f32], tolerance: f64) {
        let (difference, _) = max_difference(actual, expected);
        println!("{}: {what}: {difference:.1e} of {tolerance:.1e}", self.name);
        assert_close(
            &format!("{}: {what}", self.name),
            actual,
            expected,
            tolerance,
        );
    }

    pub(crate) fn loss(&self, what: &str, actual: f32, expected: &Value, relative: f64) {
        let expected = expected.as_f64().expect("a loss") as f32;
        let tolerance = relative * f64::from(expected.abs());
        self.close(what, &[actual], &[expected], tolerance);
    }

    /// The weights that matter agree; `dead` biases have no gradient but rounding noise, in a
    /// direction that Adam follows all the same. The number of weights that went another way.
    pub(crate) fn weights(
        &self,
        golden: &Golden,
        prefix: &str,
        own: &TensorMap,
        dead: &BTreeSet<String>,
    ) -> usize {
        let expected = golden.tensors(prefix);
        assert_eq!(expected.len(), own.len(), "{}: {prefix}", self.name);
        let (mut worst, mut beyond, mut count) = (0.0f64, 0, 0);
        for (name, expected) in &expected {
            if dead.contains(name) {
                continue;
            }
            let expected = expected.try_to_vec::<f32>().expect("float32");
            for (e, a) in expected.iter().zip(numbers(&own[name])) {
                let off = f64::from((e - a).abs());
                // A first step is the sign of the gradient: where that is rounding noise, a
                // weight may go the other way.
                assert!(off <= 2.0 * 3.0 * SURROGATE_RATE, "{prefix}{name}: {off:e}");
                worst = worst.max(off);
                beyond += usize::from(off > 5e-5);
                count += 1;
            }
        }
        println!(
            "{}: {prefix}*: {worst:.1e} of 5e-5, {beyond} of {count} beyond",
            self.name
        );
        assert!(beyond * 1000 <= count, "{}: {prefix}: {beyond}", self.name);
        beyond
    }
}

pub(crate) fn unet(in_channels: usize, out_channels: usize) -> ResidualUnetConfig {
    ResidualUnetConfig {
        in_channels,
        out_channels,
        channels: vec![4, 8, 16],
        strides: vec![2, 2],
        res_units: 2,
        activation: Activation::Relu,
    }
}

pub(crate) fn surrogate(channels: usize, weights: &TensorMap) -> Box<dyn Network> {
    let network = unet(channels, 3).init(0, &device().autodiff());
    let network: Box<dyn Network> = Box::new(network.expect("valid"));
    network.with_weights(weights).expect("its weights")
}

pub(crate) fn numbers(data: &burn::tensor::TensorData) -> Vec<f32> {
    data.try_to_vec().expect("float32")
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

pub(crate) fn value(loss: Tensor<1>) -> f32 {
    loss.into_scalar::<f32>()
}

pub(crate) fn host(generator: &Generator) -> TensorMap {
    parameters(&generator.valid()).expect("readable")
}
