//! Convolutions of volumes: values and gradients against the f64 reference, on every option that
//! the networks use.

mod errors;

use burn::tensor::{Tensor, TensorData};
use voxshield_kernels::{
    ConvGeometry, conv_transpose3d, conv3d,
    reference::{self, ConvSizes},
};
use voxshield_testkit::{assert_close, central_difference, device};

/// Values in -1..1 of a small congruential generator.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next()).collect()
}

fn f64s(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec().expect("f32 tensor")
}

fn tensor<const D: usize>(values: &[f32], shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(
        TensorData::new(values.to_vec(), shape),
        &device().autodiff(),
    )
}

fn shape(a: usize, b: usize, [d, h, w]: [usize; 3]) -> [usize; 5] {
    [a, b, d, h, w]
}

/// Within `tolerance` of the largest magnitude that a sum of such products reaches.
fn check(what: &str, got: &[f32], expected: &[f64]) {
    let scale = expected.iter().fold(1e-3f64, |a, v| a.max(v.abs()));
    let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
    assert_close(what, got, &expected, 3e-6 * scale);
}

/// A convolution whose output has `s.output`, or, with `transposed`, its adjoint.
#[derive(Debug, Clone, Copy)]
struct Case {
    s: ConvSizes,
    geometry: ConvGeometry,
    transposed: bool,
}

struct Outcome {
    output: Vec<f32>,
    input: Vec<f32>,
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn conv(
        batch: usize,
        channels: [usize; 2],
        input: [usize; 3],
        kernel: [usize; 3],
        geometry: ConvGeometry,
    ) -> Option<Self> {
        let output = geometry.output_sizes(input, kernel)?;
        let s = ConvSizes {
            batch,
            channels,
            input,
            output,
            kernel,
        };
        Some(Self {
            s,
            geometry,
            transposed: false,
        })
    }

    /// The arguments and the gradient of the output, in the operation's own order.
    fn arrays(&self) -> [Vec<f32>; 4] {
        let s = self.s;
        let [input, out] = s.channels;
        let x = noise(s.batch * input * s.input.iter().product::<usize>(), 1);
        let y = noise(s.batch * out * s.output.iter().product::<usize>(), 2);
        let weight = noise(out * input * s.kernel.iter().product::<usize>(), 3);
        let bias = noise(if self.transposed { input } else { out }, 4);
        if self.transposed {
            [y, weight, bias, x]
        } else {
            [x, weight, bias, y]
        }
    }

    fn run(&self) -> Outcome {
        let s = self.s;
        let [input, weight, bias, gradient] = self.arrays();
        let ([c, o], in_shape, out_shape) = (
            s.channels,
            shape(s.batch, s.channels[0], s.input),
            shape(s.batch, s.channels[1], s.output),
        );
        let (from, to) = if self.transposed {
            (out_shape, in_shape)
        } else {
            (in_shape, out_shape)
        };
        let input = tensor(&input, from).require_grad();
        let weight = tensor(&weight, shape(o, c, s.kernel)).require_grad();
        let bias = tensor(&bias, [to[1]]).require_grad();
        let (x, w, b) = (input.clone(), weight.clone(), Some(bias.clone()));
        let output = if self.transposed {
            let plain = [0; 3];
            let smallest = self
                .geometry
                .transposed_sizes(s.output, s.kernel, plain)
                .expect("a size");
            let padding = std::array::from_fn(|axis| s.input[axis] - smallest[axis]);
            conv_transpose3d(x, w, b, padding, self.geometry)
        } else {
            conv3d(x, w, b, self.geometry)
        }
        .expect("good arguments");
        assert_eq!(output.dims(), to);
        let gradients = (output.clone() * tensor(&gradient, to)).sum().backward();
        Outcome {
            output: values(output),
            input: values(input.grad(&gradients).expect("a gradient")),
            weight: values(weight.grad(&gradients).expect("a gradient")),
            bias: values(bias.grad(&gradients).expect("a gradient")),
        }
    }

    fn equals_the_reference(&self) {
        let (s, g) = (self.s, self.geometry);
        let got = self.run();
        let [input, weight, bias, gradient] = self.arrays().map(|v| f64s(&v));
        let (x, y) = if self.transposed {
            (&gradient, &input)
        } else {
            (&input, &gradient)
        };
        let forward = reference::convolve(x, &weight, s, g);
        let adjoint = reference::convolve_adjoint(y, &weight, s, g);
        let (mut output, of_input) = if self.transposed {
            (adjoint, forward)
        } else {
            (forward, adjoint)
        };
        let volume = output.len() / s.batch / bias.len();
        for (i, v) in output.chunks_mut(volume).enumerate() {
            v.iter_mut().for_each(|v| *v += bias[i % bias.len()]);
        }
        let of_bias: Vec<f64> = (0..bias.len())
            .map(|c| {
                let volumes = gradient.chunks(volume).skip(c).step_by(bias.len());
                volumes.flatten().sum()
            })
            .collect();
        check(&format!("output of {self:?}"), &got.output, &output);
        check(
            &format!("input gradient of {self:?}"),
            &got.input,
            &of_input,
        );
        let of_weight = reference::convolve_weight_gradient(x, y, s, g);
        check(
            &format!("weight gradient of {self:?}"),
            &got.weight,
            &of_weight,
        );
        // Values in -1..1 cancel in a sum over the volume: how far they reach sets the scale.
        let scale = ((s.batch * volume) as f64).sqrt();
        let of_bias: Vec<f32> = of_bias.iter().map(|&v| v as f32).collect();
        let what = format!("bias gradient of {self:?}");
        assert_close(&what, &got.bias, &of_bias, 3e-6 * scale);
    }
}

fn geometry(stride: [usize; 3], padding: [usize; 3], dilation: [usize; 3]) -> ConvGeometry {
    ConvGeometry {
        stride,
        padding,
        dilation,
    }
}

/// What the networks ask for, on odd sizes and channel counts that are no multiple of anything.
fn cases() -> Vec<Case> {
    let one = [1; 3];
    let plain = |p| geometry(one, [p; 3], one);
    let list = [
        Case::conv(1, [3, 5], [5, 7, 9], [3; 3], plain(1)),
        Case::conv(2, [4, 9], [6, 5, 33], [3; 3], plain(1)),
        Case::conv(1, [1, 8], [9, 9, 9], [3; 3], plain(1)),
        Case::conv(1, [11, 1], [4, 6, 50], [3; 3], plain(1)),
        Case::conv(1, [20, 12], [3, 3, 3], [3; 3], plain(1)),
        Case::conv(2, [17, 16], [1, 1, 1], [3; 3], plain(1)),
        Case::conv(
            1,
            [2, 3],
            [1, 9, 12],
            [1, 3, 3],
            geometry(one, [0, 1, 1], one),
        ),
        Case::conv(
            1,
            [2, 3],
            [8, 9, 11],
            [1, 3, 3],
            geometry([1, 2, 2], [0, 1, 1], one),
        ),
        Case::conv(2, [3, 4], [7, 8, 9], [3; 3], geometry([2; 3], one, one)),
        Case::conv(1, [3, 4], [8, 8, 8], [3; 3], geometry([2; 3], one, one)),
        Case::conv(1, [3, 4], [8, 9, 10], [3; 3], geometry([1, 2, 1], one, one)),
        Case::conv(
            1,
            [3, 2],
            [10, 11, 12],
            [3; 3],
            geometry([3, 2, 4], one, one),
        ),
        Case::conv(1, [2, 3], [9, 8, 7], [3; 3], geometry(one, [2; 3], [2; 3])),
        Case::conv(
            1,
            [2, 3],
            [9, 8, 7],
            [3; 3],
            geometry([2; 3], [2; 3], [2; 3]),
        ),
        Case::conv(1, [2, 3], [9, 8, 7], [5; 3], plain(2)),
        Case::conv(1, [2, 3], [7, 6, 8], [3; 3], plain(0)),
        Case::conv(1, [2, 2], [5, 4, 6], [3; 3], plain(3)),
        Case::conv(2, [5, 7], [4, 5, 6], one, plain(0)),
        Case::conv(2, [40, 33], [8, 8, 8], one, plain(0)),
        Case::conv(1, [5, 7], [7, 8, 9], one, geometry([2; 3], [0; 3], one)),
        Case::conv(1, [3, 4], [6, 8, 10], [2; 3], geometry([2; 3], [0; 3], one)),
        Case::conv(1, [3, 4], [7, 9, 11], [2; 3], geometry([2; 3], [0; 3], one)),
        Case::conv(
            2,
            [1, 6],
            [16, 32, 32],
            [16; 3],
            geometry([16; 3], [0; 3], one),
        ),
        Case::conv(1, [3, 5], [40, 20, 20], [3; 3], plain(1)),
        Case::conv(1, [130, 140], [4, 4, 4], [3; 3], plain(1)),
        Case::conv(1, [70, 150], [4, 4, 4], [3; 3], geometry([2; 3], one, one)),
    ];
    let list: Vec<Case> = list.into_iter().map(|c| c.expect("a size")).collect();
    let transposed = list.iter().map(|&case| Case {
        transposed: true,
        ..case
    });
    list.iter().copied().chain(transposed).collect()
}

#[test]
fn values_and_gradients_equal_the_reference() {
    for case in cases() {
        case.equals_the_reference();
    }
}

#[test]
fn random_geometries_equal_the_reference() {
    let mut draws = noise(100_000, 99).into_iter();
    let mut below = |n: usize| {
        let u = draws.next().expect("enough draws");
        (((u + 1.0) / 2.0 * n as f32) as usize).min(n - 1)
    };
    let mut done = 0;
    while done < 120 {
        let mut axes = |least: usize, n: usize| [0; 3].map(|_: usize| least + below(n));
        let (input, kernel) = (axes(1, 13), axes(1, 4));
        let g = geometry(axes(1, 3), axes(0, 3), axes(1, 3));
        let [batch, c, o] = [0; 3].map(|_| 1 + below(3));
        let (c, o) = (c * (1 + below(5)), o * (1 + below(5)));
        let Some(case) = Case::conv(batch, [c, o], input, kernel, g) else {
            continue;
        };
        // An adjoint of no size without output padding is not a transposed convolution.
        let smallest = g.transposed_sizes(case.s.output, kernel, [0; 3]);
        let transposed = below(2) == 1 && smallest.is_some();
        Case { transposed, ..case }.equals_the_reference();
        done += 1;
    }
}

#[test]
fn gradients_equal_central_differences() {
    let g = geometry([2, 1, 2], [1, 1, 0], [1, 2, 1]);
    for transposed in [false, true] {
        let case = Case::conv(1, [2, 3], [4, 5, 6], [2, 3, 3], g).expect("a size");
        let case = Case { transposed, ..case };
        let got = case.run();
        let [input, weight, bias, gradient] = case.arrays();
        let s = case.s;
        let loss = |input: &[f32], weight: &[f32]| {
            let (input, weight, gradient) = (f64s(input), f64s(weight), f64s(&gradient));
            let output = if transposed {
                reference::convolve_adjoint(&input, &weight, s, g)
            } else {
                reference::convolve(&input, &weight, s, g)
            };
            output.iter().zip(&gradient).map(|(a, b)| a * b).sum()
        };
        let of_input = central_difference(|input| loss(input, &weight), &input, 1e-2);
        let of_weight = central_difference(|weight| loss(&input, weight), &weight, 1e-2);
        let close = |what: &str, got: &[f32], expected: &[f64]| {
            let expected: Vec<f32> = expected.iter().map(|&v| v as f32).collect();
            assert_close(what, got, &expected, 1e-4);
        };
        close("input", &got.input, &of_input);
        close("weight", &got.weight, &of_weight);
        assert_eq!(bias.len(), got.bias.len());
    }
}

#[test]
fn a_frozen_weight_and_an_untracked_input_get_no_gradient() {
    let g = geometry([1; 3], [1; 3], [1; 3]);
    let x = tensor(&noise(2 * 60, 5), [1, 2, 3, 4, 5]);
    let w = tensor(&noise(3 * 2 * 27, 6), [3, 2, 3, 3, 3]);
    for (track_x, track_w) in [(true, false), (false, true)] {
        let (mut x, mut w) = (x.clone().detach(), w.clone().detach());
        if track_x {
            x = x.require_grad();
        }
        if track_w {
            w = w.require_grad();
        }
        let y = conv3d(x.clone(), w.clone(), None, g).expect("good arguments");
        let gradients = y.sum().backward();
        assert_eq!(x.grad(&gradients).is_some(), track_x);
        assert_eq!(w.grad(&gradients).is_some(), track_w);
    }
}

#[cfg(feature = "flex")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let cases = cases();
    let run = |threads: usize| -> Vec<Vec<u32>> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("a pool");
        let bits = |v: Vec<f32>| v.into_iter().map(f32::to_bits).collect();
        pool.install(|| {
            let outcomes = cases.iter().map(Case::run);
            outcomes
                .flat_map(|o| [o.output, o.input, o.weight, o.bias])
                .map(bits)
                .collect()
        })
    };
    let one = run(1);
    assert!(run(2) == one, "2 threads");
    assert!(run(4) == one, "4 threads");
}
