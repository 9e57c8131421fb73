//! The windows of the attention: where they lie, and the way of the tokens into them and back.

use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// Added to the score of two tokens that are in one window but not neighbours.
const MASKED: f64 = -100.0;

/// How the tokens of a volume are cut into windows.
///
/// On an axis that is not longer than the window, the window is the axis and there is no shift. On
/// the others zeros are appended until the windows fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windows {
    /// Tokens of the volume, `[depth, height, width]`, as everything here.
    pub(super) sizes: [usize; 3],
    /// Tokens of a window.
    pub(super) window: [usize; 3],
    /// By how much the volume is rolled toward its start before it is cut.
    pub(super) shift: [usize; 3],
}

impl Windows {
    /// Windows of `window` tokens for a volume of `sizes` tokens; `shifted` ones are moved by half a
    /// window.
    pub(super) fn new(sizes: [usize; 3], window: [usize; 3], shifted: bool) -> Self {
        let whole = |axis: usize| sizes[axis] <= window[axis];
        let shift = |axis: usize| match whole(axis) || !shifted {
            true => 0,
            false => window[axis] / 2,
        };
        Self {
            sizes,
            window: std::array::from_fn(|axis| sizes[axis].min(window[axis])),
            shift: std::array::from_fn(shift),
        }
    }

    /// Tokens of the padded volume.
    pub(super) fn padded(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.sizes[axis].next_multiple_of(self.window[axis]))
    }

    /// Tokens of one window.
    pub(super) fn tokens(&self) -> usize {
        self.window.iter().product()
    }

    /// `[batch, depth, height, width, channel]` to `[batch * window, token, channel]`, windows and
    /// tokens in C order.
    pub(super) fn partition(&self, x: Tensor<5>) -> Tensor<3> {
        let [batch, _, _, _, channels] = x.dims();
        let padded = self.padded();
        let missing = |axis: usize| (0, padded[axis] - self.sizes[axis]);
        let x = match padded == self.sizes {
            true => x,
            false => x.pad(
                [missing(0), missing(1), missing(2), (0, 0)],
                PadMode::Constant(0.0),
            ),
        };
        let [a, b, c] = self.shift.map(|shift| -(shift as isize));
        let x = x.roll(&[a, b, c], &[1, 2, 3]);
        let [d, h, w] = self.window;
        let [p, q, r] = self.counts();
        let x: Tensor<8> = x.reshape([batch, p, d, q, h, r, w, channels]);
        x.permute([0, 1, 3, 5, 2, 4, 6, 7])
            .reshape([batch * p * q * r, d * h * w, channels])
    }

    /// The way back from [`Windows::partition`], without the appended tokens.
    pub(super) fn merge(&self, x: Tensor<3>) -> Tensor<5> {
        let [all, _, channels] = x.dims();
        let [d, h, w] = self.window;
        let [p, q, r] = self.counts();
        let batch = all / (p * q * r);
        let x: Tensor<8> = x.reshape([batch, p, q, r, d, h, w, channels]);
        let x: Tensor<5> =
            x.permute([0, 1, 4, 2, 5, 3, 6, 7])
                .reshape([batch, p * d, q * h, r * w, channels]);
        let [a, b, c] = self.shift.map(|shift| shift as isize);
        let x = x.roll(&[a, b, c], &[1, 2, 3]);
        let [d, h, w] = self.sizes;
        match self.padded() == self.sizes {
            true => x,
            false => x.slice([0..batch, 0..d, 0..h, 0..w, 0..channels]),
        }
    }

    /// `[window, token, token]`: 0 for tokens that are neighbours in the volume, -100 for those that
    /// the roll brought into one window; `None` without a shift.
    pub(super) fn mask(&self, device: &Device) -> Option<Tensor<3>> {
        if self.shift == [0; 3] {
            return None;
        }
        let windows = self.counts().iter().product();
        let regions: Tensor<2, Int> = Tensor::from_data(
            TensorData::new(self.regions(), [windows, self.tokens()]),
            device,
        );
        let columns: Tensor<3, Int> = regions.clone().unsqueeze_dim(1);
        let rows: Tensor<3, Int> = regions.unsqueeze_dim(2);
        let shape = [windows, self.tokens(), self.tokens()];
        let apart = rows.expand(shape).not_equal(columns.expand(shape));
        Some(apart.float() * MASKED)
    }

    /// The windows along each axis.
    fn counts(&self) -> [usize; 3] {
        let padded = self.padded();
        std::array::from_fn(|axis| padded[axis] / self.window[axis])
    }

    /// For each window, for each of its tokens, the connected part of the rolled volume it is in.
    fn regions(&self) -> Vec<i64> {
        let padded = self.padded();
        // Along one axis: the last window holds the end of the volume, then what was rolled there.
        let part = |axis: usize, index: usize| {
            let rolled = self.shift[axis] > 0 && index + self.shift[axis] >= padded[axis];
            i64::from(rolled)
        };
        let [p, q, r] = self.counts();
        let [d, h, w] = self.window;
        let mut regions = Vec::with_capacity(padded.iter().product());
        for [i, j, k] in positions([p, q, r]) {
            for [a, b, c] in positions([d, h, w]) {
                let [z, y, x] = [part(0, i * d + a), part(1, j * h + b), part(2, k * w + c)];
                regions.push(4 * z + 2 * y + x);
            }
        }
        regions
    }
}

/// Where the bias of each pair of tokens `(i, j)`, `i` first, stands in the table of a window of
/// `window` tokens: at the relative position of the two.
///
/// The table belongs to the whole window. In a window that was cut to a short axis, token `i` still
/// takes the position that token `i` has in the *whole* window: so it is in MONAI, and trained
/// weights depend on it.
pub(super) fn relative_positions(window: [usize; 3], tokens: usize) -> Vec<i64> {
    let [d, h, w] = window.map(|n| n as i64);
    let position = |index: usize| {
        let index = index as i64;
        [index / (h * w), index / w % h, index % w]
    };
    let mut table = Vec::with_capacity(tokens * tokens);
    for i in (0..tokens).map(position) {
        for j in (0..tokens).map(position) {
            let [z, y, x] = [
                i[0] - j[0] + d - 1,
                i[1] - j[1] + h - 1,
                i[2] - j[2] + w - 1,
            ];
            table.push((z * (2 * h - 1) + y) * (2 * w - 1) + x);
        }
    }
    table
}

/// All positions of a grid, in C order.
fn positions([d, h, w]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..d).flat_map(move |z| (0..h).flat_map(move |y| (0..w).map(move |x| [z, y, x])))
}
