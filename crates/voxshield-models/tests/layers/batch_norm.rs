use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use voxshield_models::BatchNorm;
use voxshield_testkit::{assert_close, device};

use crate::{check_gradient, numbers, tensor, values};

const SHAPE: [usize; 5] = [2, 3, 1, 2, 2];
const VALUES: f64 = 8.0;

/// The values of one channel.
fn channel(x: &[f32], channel: usize) -> impl Iterator<Item = f64> {
    let maps = x.chunks(4).skip(channel).step_by(3);
    maps.flatten().map(|&v| f64::from(v))
}

/// `(mean, biased variance)` of each channel.
fn statistics(x: &[f32]) -> Vec<(f64, f64)> {
    let of = |c| {
        let mean = channel(x, c).sum::<f64>() / VALUES;
        let squares: f64 = channel(x, c).map(|v| (v - mean).powi(2)).sum();
        (mean, squares / VALUES)
    };
    (0..3).map(of).collect()
}

fn normalised(x: &[f32], statistics: &[(f64, f64)]) -> Vec<f32> {
    let normalise = |(i, &v): (usize, &f32)| {
        let (mean, var) = statistics[i / 4 % 3];
        ((f64::from(v) - mean) / (var + 1e-5).sqrt()) as f32
    };
    x.iter().enumerate().map(normalise).collect()
}

fn layer() -> BatchNorm {
    BatchNorm::new(3, &device().autodiff())
}

fn running(layer: &BatchNorm) -> [Vec<f32>; 2] {
    [&layer.running_mean, &layer.running_var].map(|s| values(s.value().without_autodiff()))
}

#[test]
fn training_normalises_with_the_batch_and_remembers_a_tenth_of_it() {
    let x = numbers(21, SHAPE);
    let layer = layer();
    let y = layer.forward(tensor(&x, SHAPE).autodiff());
    assert_close(
        "y",
        &values(y.inner()),
        &normalised(&x, &statistics(&x)),
        1e-5,
    );
    let [mean, var] = running(&layer);
    for (c, (m, v)) in statistics(&x).into_iter().enumerate() {
        let unbiased = v * VALUES / (VALUES - 1.0);
        assert_close("mean", &mean[c..=c], &[(0.1 * m) as f32], 1e-6);
        assert_close("var", &var[c..=c], &[(0.9 + 0.1 * unbiased) as f32], 1e-6);
    }
}

#[test]
fn the_gradient_of_training_goes_through_the_statistics() {
    let x = numbers(22, SHAPE);
    let reference = |x: &[f32]| normalised(x, &statistics(x));
    check_gradient(|x| layer().forward(x), reference, &x, SHAPE);
}

#[test]
fn without_training_the_running_statistics_are_used_and_kept() {
    let x = numbers(23, SHAPE);
    let trained = layer();
    trained.forward(tensor(&numbers(24, SHAPE), SHAPE).autodiff());
    let [mean, var] = running(&trained);
    let known: Vec<(f64, f64)> = mean
        .iter()
        .zip(&var)
        .map(|(&m, &v)| (m.into(), v.into()))
        .collect();
    let expected = normalised(&x, &known);

    let frozen = trained.clone().freeze();
    let y = frozen.forward(tensor(&x, SHAPE).autodiff());
    assert_close("frozen", &values(y.inner()), &expected, 1e-5);
    let y = trained.valid().forward(tensor(&x, SHAPE));
    assert_close("valid", &values(y), &expected, 1e-5);
    assert_eq!(running(&trained), [mean.clone(), var.clone()]);

    // Further training leaves the copy alone.
    trained.forward(tensor(&x, SHAPE).autodiff());
    assert_ne!(running(&trained), [mean.clone(), var.clone()]);
    assert_eq!(running(&frozen), [mean, var]);
}

#[test]
fn a_single_value_leaves_the_running_statistics_alone() {
    let layer = layer();
    let x = TensorData::new(vec![1.0f32, 2.0, 3.0], [1, 3, 1, 1, 1]);
    let y = layer.forward(Tensor::from_data(x, &device().autodiff()));
    assert_eq!(values(y.inner()), [0.0; 3]);
    assert_eq!(running(&layer), [vec![0.0; 3], vec![1.0; 3]]);
}
