use burn::module::Module;
use burn::tensor::Tensor;
use voxshield_models::{ChannelDropout, WeightRng};
use voxshield_testkit::device;

use crate::values;

const SHAPE: [usize; 5] = [4, 256, 1, 2, 3];

fn layer(seed: u64) -> ChannelDropout {
    ChannelDropout::new(0.25, &mut WeightRng::new(seed))
}

fn in_training(layer: &ChannelDropout) -> Vec<f32> {
    let ones = Tensor::<5>::ones(SHAPE, &device().autodiff());
    values(layer.forward(ones).inner())
}

#[test]
fn channels_are_dropped_as_a_whole_and_the_rest_scaled() {
    let y = in_training(&layer(1));
    let mut dropped = 0;
    for map in y.chunks(6) {
        let expected = if map[0] == 0.0 { 0.0 } else { 4.0 / 3.0 };
        assert_eq!(map, [expected; 6]);
        dropped += usize::from(map[0] == 0.0);
    }
    // 1024 draws with probability 1/4: the standard deviation is 14.
    assert!(dropped.abs_diff(256) < 56, "{dropped} of 1024");
}

#[test]
fn draws_follow_the_seed_and_differ_from_step_to_step() {
    let (one, same, other) = (layer(1), layer(1), layer(2));
    let first = in_training(&one);
    let second = in_training(&one);
    assert_ne!(first, second);
    assert_eq!(first, in_training(&same));
    assert_ne!(first, in_training(&other));
    assert_eq!(second, in_training(&same.clone()));
    assert_eq!(second, in_training(&same));
}

#[test]
fn outside_of_training_nothing_is_dropped() {
    let ones = vec![1.0; SHAPE.iter().product()];
    let plain = |layer: &ChannelDropout| values(layer.forward(Tensor::ones(SHAPE, &device())));
    assert_eq!(in_training(&layer(1).freeze()), ones);
    assert_eq!(plain(&layer(1)), ones);
    assert_eq!(plain(&layer(1).valid()), ones);
    assert_ne!(in_training(&layer(1).valid().train()), ones);
}
