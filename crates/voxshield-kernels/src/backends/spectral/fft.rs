//! Fourier transforms in shared memory: Stockham's mixed radix, which needs no reordering.
//!
//! Real and imaginary parts are arrays of their own, cut in regions. A stage reads one of the first
//! two regions and writes the other.

use burn_cubecl::cubecl::{self, prelude::*};

use super::plan::{radix, span, stages};

/// The largest odd radix whose butterfly is kept in registers.
const LARGEST_BUTTERFLY: usize = 7;

/// What the transforms of a kernel have in common; all of it is known when it is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Batch {
    /// Length of a sequence.
    pub(super) n: usize,
    /// Sequences, one after the other.
    pub(super) count: usize,
    /// Units of the cube.
    pub(super) units: usize,
}

impl Batch {
    /// Numbers in a region.
    pub(super) fn len(self) -> usize {
        self.n * self.count
    }

    /// Where the transform of what lay at 0 is.
    pub(super) fn result(self) -> usize {
        self.source(stages(self.n))
    }

    /// The region that a stage reads.
    fn source(self, stage: usize) -> usize {
        stage % 2 * self.len()
    }
}

/// The cosine of `turns / n` of a circle.
fn cosine(turns: usize, n: usize) -> f32 {
    (std::f64::consts::TAU * (turns % n) as f64 / n as f64).cos() as f32
}

/// The sine of `turns / n` of a circle.
fn sine(turns: usize, n: usize) -> f32 {
    (std::f64::consts::TAU * (turns % n) as f64 / n as f64).sin() as f32
}

/// `[2, n]`: the cosines and sines of `j / n` of a circle.
pub(super) fn table(n: usize) -> Vec<f32> {
    let cosines = (0..n).map(|j| cosine(j, n));
    cosines.chain((0..n).map(|j| sine(j, n))).collect()
}

/// Transforms the sequences of the first region, unnormalised. `table` is [`table`] of their length.
#[cube]
pub(super) fn fft(
    re: &mut Shared<[f32]>,
    im: &mut Shared<[f32]>,
    table: &[f32],
    #[comptime] batch: Batch,
    #[comptime] inverse: bool,
) {
    sync_cube();
    #[unroll]
    for stage in 0..comptime!(stages(batch.n)) {
        let r = comptime!(radix(batch.n, stage));
        if comptime!(r == 2 || r == 4 || r <= LARGEST_BUTTERFLY) {
            butterflies(re, im, table, batch, stage, inverse);
        } else {
            outputs(re, im, table, batch, stage, inverse);
        }
        sync_cube();
    }
}

/// A stage whose radix is small: a unit has all inputs and outputs of a small DFT in registers.
#[cube]
fn butterflies(
    re: &mut Shared<[f32]>,
    im: &mut Shared<[f32]>,
    table: &[f32],
    #[comptime] batch: Batch,
    #[comptime] stage: usize,
    #[comptime] inverse: bool,
) {
    let n = comptime!(batch.n);
    let r = comptime!(radix(batch.n, stage));
    let span = comptime!(span(batch.n, stage));
    let from = comptime!(batch.source(stage));
    let to = comptime!(batch.source(stage + 1));
    let per_sequence = comptime!(batch.n / r);

    let mut vr = Array::<f32>::new(r);
    let mut vi = Array::<f32>::new(r);
    let mut b = UNIT_POS as usize;
    while b < comptime!(batch.count * per_sequence) {
        let sequence = b / per_sequence;
        let t = b % per_sequence;
        let k = t % span;
        #[unroll]
        for q in 0..r {
            let at = sequence * n + t + comptime!(q * per_sequence);
            let (x, y) = (re[from + at], im[from + at]);
            if comptime!(q == 0 || span == 1) {
                vr[q] = x;
                vi[q] = y;
            } else {
                let turn = k * comptime!(q * (n / (span * r)));
                let (c, s) = twiddle(table, turn, n, inverse);
                vr[q] = x * c - y * s;
                vi[q] = x * s + y * c;
            }
        }
        if comptime!(r == 2) {
            butterfly2(&mut vr, &mut vi);
        } else if comptime!(r == 4) {
            butterfly4(&mut vr, &mut vi, inverse);
        } else {
            butterfly_odd(&mut vr, &mut vi, r, inverse);
        }
        let first = to + sequence * n + (t - k) * r + k;
        #[unroll]
        for p in 0..r {
            re[first + comptime!(p * span)] = vr[p];
            im[first + comptime!(p * span)] = vi[p];
        }
        b += comptime!(batch.units);
    }
}

/// A stage of any radix: a unit computes one output at a time, by the definition.
#[cube]
fn outputs(
    re: &mut Shared<[f32]>,
    im: &mut Shared<[f32]>,
    table: &[f32],
    #[comptime] batch: Batch,
    #[comptime] stage: usize,
    #[comptime] inverse: bool,
) {
    let n = comptime!(batch.n);
    let r = comptime!(radix(batch.n, stage));
    let span = comptime!(span(batch.n, stage));
    let from = comptime!(batch.source(stage));
    let to = comptime!(batch.source(stage + 1));

    let mut o = UNIT_POS as usize;
    while o < comptime!(batch.len()) {
        let sequence = o / n;
        let within = o % n;
        // Output p of the butterfly, at k of its sub-transform.
        let pk = within % comptime!(span * r);
        let t = within / comptime!(span * r) * span + pk % span;
        let step = pk * comptime!(n / (span * r));
        let mut sum_re = 0f32;
        let mut sum_im = 0f32;
        let mut turn = 0usize;
        for q in 0..r {
            let at = from + sequence * n + t + q * comptime!(n / r);
            let (x, y) = (re[at], im[at]);
            let (c, s) = twiddle(table, turn, n, inverse);
            sum_re += x * c - y * s;
            sum_im += x * s + y * c;
            turn += step;
            turn = select(turn >= n, turn - n, turn);
        }
        re[to + o] = sum_re;
        im[to + o] = sum_im;
        o += comptime!(batch.units);
    }
}

/// `exp(-2 pi i turn / n)`, or its conjugate.
#[cube]
fn twiddle(
    table: &[f32],
    turn: usize,
    #[comptime] n: usize,
    #[comptime] inverse: bool,
) -> (f32, f32) {
    let sine = table[n + turn];
    let sine = if comptime!(inverse) { sine } else { -sine };
    (table[turn], sine)
}

#[cube]
fn butterfly2(re: &mut Array<f32>, im: &mut Array<f32>) {
    let (a, b) = (re[0], re[1]);
    re[0] = a + b;
    re[1] = a - b;
    let (a, b) = (im[0], im[1]);
    im[0] = a + b;
    im[1] = a - b;
}

#[cube]
fn butterfly4(re: &mut Array<f32>, im: &mut Array<f32>, #[comptime] inverse: bool) {
    let (even_re, even_im) = (re[0] + re[2], im[0] + im[2]);
    let (odd_re, odd_im) = (re[1] + re[3], im[1] + im[3]);
    let (a_re, a_im) = (re[0] - re[2], im[0] - im[2]);
    // -i (v1 - v3), or +i for the inverse.
    let (b_re, b_im) = if comptime!(inverse) {
        (im[3] - im[1], re[1] - re[3])
    } else {
        (im[1] - im[3], re[3] - re[1])
    };
    re[0] = even_re + odd_re;
    im[0] = even_im + odd_im;
    re[1] = a_re + b_re;
    im[1] = a_im + b_im;
    re[2] = even_re - odd_re;
    im[2] = even_im - odd_im;
    re[3] = a_re - b_re;
    im[3] = a_im - b_im;
}

/// Outputs `p` and `r - p` are the sum and the difference of a part that is even in the inputs'
/// order and one that is odd.
#[cube]
fn butterfly_odd(
    re: &mut Array<f32>,
    im: &mut Array<f32>,
    #[comptime] r: usize,
    #[comptime] inverse: bool,
) {
    let half = comptime!(r / 2);
    let (first_re, first_im) = (re[0], im[0]);
    // Inputs q and r - q become their sum and their difference.
    #[unroll]
    for i in 0..half {
        let q = comptime!(i + 1);
        let mirror = comptime!(r - 1 - i);
        let (a, b) = (re[q], re[mirror]);
        re[q] = a + b;
        re[mirror] = a - b;
        re[0] += a + b;
        let (a, b) = (im[q], im[mirror]);
        im[q] = a + b;
        im[mirror] = a - b;
        im[0] += a + b;
    }
    let mut out_re = Array::<f32>::new(r);
    let mut out_im = Array::<f32>::new(r);
    #[unroll]
    for i in 0..half {
        let p = comptime!(i + 1);
        let mirror = comptime!(r - 1 - i);
        let mut even_re = first_re;
        let mut even_im = first_im;
        let mut odd_re = 0f32;
        let mut odd_im = 0f32;
        #[unroll]
        for j in 0..half {
            let q = comptime!(j + 1);
            let c = comptime!(cosine(p * q, r));
            let s = comptime!(if inverse {
                -sine(p * q, r)
            } else {
                sine(p * q, r)
            });
            even_re += re[q] * c;
            even_im += im[q] * c;
            odd_re += re[comptime!(r - q)] * s;
            odd_im += im[comptime!(r - q)] * s;
        }
        out_re[p] = even_re + odd_im;
        out_im[p] = even_im - odd_re;
        out_re[mirror] = even_re - odd_im;
        out_im[mirror] = even_im + odd_re;
    }
    #[unroll]
    for i in 1..r {
        re[i] = out_re[i];
        im[i] = out_im[i];
    }
}
