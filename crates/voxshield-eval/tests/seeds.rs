//! Draws that must not depend on each other.

use voxshield_eval::{VictimConfig, VictimTrainer};
use voxshield_models::Network;
use voxshield_perturb::SurrogateConfig;
use voxshield_testkit::device;

/// The numbers of a network, in the order of their names.
fn numbers(network: &dyn Network) -> Vec<f32> {
    let weights = network.weights().unwrap();
    let of = |tensor: &burn::tensor::TensorData| tensor.try_to_vec::<f32>().unwrap();
    weights.values().flat_map(of).collect()
}

/// Or a perturbation would be optimised against the very network that a victim begins with.
#[test]
fn a_victim_does_not_begin_as_the_surrogate_of_its_seed() {
    for seed in [0, 1] {
        let victim = || {
            let config = VictimConfig {
                seed,
                ..VictimConfig::narrow()
            };
            let trainer = VictimTrainer::new(&config, [1, 3], &device()).unwrap();
            numbers(&*trainer.network())
        };
        let surrogate = SurrogateConfig {
            seed,
            ..SurrogateConfig::compact()
        };
        let learner = surrogate.learner(1, 3, &device()).unwrap();
        let surrogate = numbers(learner.network());
        let first = victim();
        assert_eq!(first, victim());
        assert_eq!(first.len(), surrogate.len());
        let equal = first.iter().zip(&surrogate).filter(|(a, b)| a == b);
        // Scales begin at 1 and offsets at 0 in both.
        assert!(equal.count() < surrogate.len() / 20);
    }
}
