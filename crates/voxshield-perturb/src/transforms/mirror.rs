use burn::tensor::{Int, Tensor, kind::Basic};
use rand::{Rng, RngExt};

use super::family::Change;

/// Which of depth, height and width are reversed.
pub(super) struct Mirror([bool; 3]);

impl Mirror {
    pub(super) fn draw(rng: &mut impl Rng) -> Self {
        Self([(); 3].map(|()| rng.random()))
    }

    /// `first` is the axis of the depth.
    fn apply<const D: usize, K: Basic>(&self, x: Tensor<D, K>, first: usize) -> Tensor<D, K> {
        let axes = (0..3).filter(|&axis| self.0[axis]);
        axes.fold(x, |x, axis| x.flip([first + axis]))
    }
}

impl Change for Mirror {
    fn image(&self, x: Tensor<5>) -> Tensor<5> {
        self.apply(x, 2)
    }

    fn labels(&self, y: Tensor<4, Int>) -> Tensor<4, Int> {
        self.apply(y, 1)
    }
}
