//! The tiles of every instruction set that this machine can execute, not only of its best one.

use pulp::Arch;

use super::{Plan, Weights, correlate, voxels, weight_gradient};
use crate::ops::ConvGeometry;
use crate::reference::{self, ConvSizes};

fn instruction_sets() -> Vec<Arch> {
    let mut all = vec![Arch::new(), Arch::Scalar];
    #[cfg(target_arch = "x86_64")]
    all.extend(pulp::x86::V3::try_new().map(Arch::V3));
    all
}

/// Multiples of 1/128 in `[-1, 1)`.
fn noise(seed: usize, n: usize) -> Vec<f32> {
    let hash = |i: usize| (i + 1).wrapping_mul(seed.wrapping_mul(0x9E37_79B9) | 1) >> 13;
    (0..n)
        .map(|i| (hash(i) % 256) as f32 / 128.0 - 1.0)
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

#[track_caller]
fn check(what: &str, got: &[f32], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected
        .iter()
        .fold(1f64, |largest, v| largest.max(v.abs()));
    for (i, (&got, expected)) in got.iter().zip(expected).enumerate() {
        let error = (f64::from(got) - expected).abs();
        assert!(error <= 3e-6 * scale, "{what}: {got} for {expected} at {i}");
    }
}

/// Rows and channels that fill no tile, lines that fill no vector, several slabs, both strides.
#[test]
fn every_instruction_set_equals_the_reference() {
    let cases = [
        ([3, 5], [5, 7, 9], [3; 3], 1, 1),
        ([4, 9], [6, 5, 33], [3; 3], 1, 1),
        ([11, 1], [4, 6, 50], [3; 3], 1, 1),
        ([24, 3], [8, 34, 41], [3; 3], 1, 1),
        ([3, 24], [8, 34, 41], [3; 3], 1, 1),
        ([3, 14], [7, 8, 9], [3; 3], 2, 1),
        ([6, 13], [12, 34, 35], [2; 3], 2, 0),
        ([9, 10], [6, 7, 8], [1; 3], 1, 0),
        ([7, 131], [4, 5, 3], [3; 3], 1, 1),
        ([5, 70], [7, 8, 5], [3; 3], 2, 1),
        ([2, 66], [40, 50, 30], [1; 3], 1, 0),
    ];
    for (channels, input, kernel, stride, padding) in cases {
        let geometry = ConvGeometry {
            stride: [stride; 3],
            padding: [padding; 3],
            dilation: [1; 3],
        };
        let output = geometry.output_sizes(input, kernel).unwrap();
        let sizes = ConvSizes {
            batch: 2,
            channels,
            input,
            output,
            kernel,
        };
        let [c, o] = channels;
        let x = noise(1, 2 * c * voxels(input));
        let y = noise(2, 2 * o * voxels(output));
        let weight = noise(3, o * c * voxels(kernel));
        let forward = Plan::convolution(input, kernel, output, geometry);
        let adjoint = Plan::adjoint(output, kernel, input, geometry);
        let [x64, y64, weight64] = [&x, &y, &weight].map(|values| wide(values));
        let expected = [
            reference::convolve(&x64, &weight64, sizes, geometry),
            reference::convolve_adjoint(&y64, &weight64, sizes, geometry),
            reference::convolve_weight_gradient(&x64, &y64, sizes, geometry),
        ];
        let of_row = Weights {
            values: &weight,
            row_stride: c * voxels(kernel),
            channel_stride: voxels(kernel),
        };
        let of_channel = Weights {
            row_stride: of_row.channel_stride,
            channel_stride: of_row.row_stride,
            ..of_row
        };
        for arch in instruction_sets() {
            let got = [
                correlate(arch, &forward, &x, [c, o], of_row, None),
                correlate(arch, &adjoint, &y, [o, c], of_channel, None),
                weight_gradient(arch, &forward, &x, &y, [c, o]),
            ];
            let names = ["forward", "adjoint", "weight gradient"];
            for ((name, got), expected) in names.iter().zip(got).zip(&expected) {
                check(&format!("{arch:?}, {sizes:?}, {name}"), &got, expected);
            }
        }
    }
}
