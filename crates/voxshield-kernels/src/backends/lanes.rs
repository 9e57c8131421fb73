//! Sums over long arrays: fast because they vectorise, exact because they are short.
//!
//! The lanes are fixed and nothing is contracted to a fused multiplication and addition, so that
//! every instruction set, and every number of threads, gives the same bits.
//!
//! What `pulp::Arch::dispatch` runs here is a type whose `call` is always inlined, never a closure:
//! the compiler may leave a closure a function of its own, which is then compiled for the least
//! instruction set, whatever was dispatched.

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType, Shape};

/// Partial sums that run side by side: one AVX-512 register of `f32`.
const LANES: usize = 16;

/// Elements that are added in `f32` before `f64` takes over, 64 to a lane.
pub(super) const BLOCK: usize = 1024;

/// `sum_i f(a_i, b_i)`, for several sums at once.
///
/// Inlined, so that it is compiled for the instruction set of its caller.
#[inline(always)]
pub(super) fn sums<const K: usize>(
    a: &[f32],
    b: &[f32],
    f: impl Fn(f32, f32) -> [f32; K],
) -> [f64; K] {
    let mut totals = [0f64; K];
    for (a, b) in a.chunks(BLOCK).zip(b.chunks(BLOCK)) {
        let mut lanes = [[0f32; LANES]; K];
        let (a, a_rest) = a.as_chunks::<LANES>();
        let (b, b_rest) = b.as_chunks::<LANES>();
        for (a, b) in a.iter().zip(b) {
            for lane in 0..LANES {
                let terms = f(a[lane], b[lane]);
                for k in 0..K {
                    lanes[k][lane] += terms[k];
                }
            }
        }
        for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
            let terms = f(a, b);
            for k in 0..K {
                lanes[k][lane] += terms[k];
            }
        }
        for (total, lanes) in totals.iter_mut().zip(&lanes) {
            *total += lanes.iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    }
    totals
}

/// A contiguous `f32` tensor of `values`.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(
        Bytes::from_elems(values),
        Layout::contiguous(shape.into()),
        DType::F32,
    )
}

/// Whether the kernels, which know `f32` only, can run on these.
pub(super) fn all_f32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|t| t.dtype() == DType::F32)
}

/// `tensor` in memory order; the caller's handle is given up, so that memory of its own can be
/// written to in place.
pub(super) fn contiguous(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}
