use burn::backend::Dispatch;
use burn::tensor::{FloatDType, Int, Tensor, TensorData};

use super::cast;
use crate::{KernelError, ops::OverlapOps};

/// Dice loss plus cross-entropy with MONAI's meaning of `DiceCELoss(softmax, to_onehot_y,
/// include_background=False)`.
///
/// With `p = softmax(logits)`, `t` the one-hot label and sums over the voxels of one sample:
/// `f_{b,c} = 1 - (2 sum(p t) + s) / (sum p + sum t + s)` for classes `c >= 1`, `s = 1e-5`;
/// `dice = mean_{b,c} f`, `ce = -mean log p[label]`, loss = dice + ce. With class weights `w` as in
/// MONAI 1.6: `f` is multiplied by `w_c` before the plain mean, and
/// `ce = sum w[y] nll / sum w[y]`.
#[derive(Debug, Clone, PartialEq)]
pub struct DiceCe {
    /// Whether class 0 has a Dice term. Default: no.
    pub include_background: bool,
    /// `s`, in the numerator and the denominator. Default: 1e-5.
    pub smooth: f64,
    /// One positive weight per class. Default: none.
    pub class_weights: Option<Vec<f32>>,
}

impl Default for DiceCe {
    fn default() -> Self {
        Self {
            include_background: false,
            smooth: 1e-5,
            class_weights: None,
        }
    }
}

impl DiceCe {
    /// The loss.
    ///
    /// # Shapes
    /// - `logits`: `[batch, class, depth, height, width]`, of any type
    /// - `labels`: `[batch, depth, height, width]`, values in `0..class`
    /// - output: `[1]`, computed in `f32`
    ///
    /// # Errors
    /// [`KernelError::Shape`] if the labels do not fit the logits, [`KernelError::TooShort`] with a
    /// single class or an empty axis, [`KernelError::Parameter`] if the number of weights is not that of the classes.
    /// Label *values* are not checked here (it would cost a read-back): a value outside the classes
    /// has an all-zero one-hot vector.
    pub fn forward(
        &self,
        logits: Tensor<5>,
        labels: Tensor<4, Int>,
    ) -> Result<Tensor<1>, KernelError> {
        let [batch, classes, depth, height, width] = logits.dims();
        self.check([batch, classes, depth, height, width], labels.dims())?;
        // Sums over all voxels need more bits than a half-precision network's logits have.
        let logits = cast(logits, FloatDType::F32);
        let device = logits.device();
        let voxels = depth * height * width;
        let sums =
            <Dispatch as OverlapOps>::overlap_sums(logits.into_dispatch(), labels.into_dispatch());
        let sums = Tensor::<3>::from_dispatch(sums);
        let column = |index: usize| sums.clone().narrow(2, index, 1);
        let (intersection, p, t, mut nll) = (column(0), column(1), column(2), column(3));

        let dice = (intersection * 2.0 + self.smooth) / (p + t.clone() + self.smooth);
        let mut f = dice.mul_scalar(-1.0).add_scalar(1.0);
        let total = match &self.class_weights {
            None => None,
            Some(weights) => {
                let weights = Tensor::<3>::from_data(
                    TensorData::new(weights.clone(), [1, classes, 1]),
                    &device,
                );
                f = f * weights.clone();
                nll = nll * weights.clone();
                Some((t * weights).sum())
            }
        };
        let first = usize::from(!self.include_background);
        let dice = f.slice([0..batch, first..classes, 0..1]).mean();
        let cross_entropy = match total {
            None => nll.sum() / (batch * voxels) as f64,
            Some(total) => nll.sum() / total,
        };
        Ok(dice + cross_entropy)
    }

    fn check(&self, logits: [usize; 5], labels: [usize; 4]) -> Result<(), KernelError> {
        let [batch, classes, depth, height, width] = logits;
        let expected = [batch, depth, height, width];
        if labels != expected {
            return Err(KernelError::Shape {
                op: "DiceCe",
                argument: "labels",
                expected: expected.to_vec(),
                got: labels.to_vec(),
            });
        }
        let axes = [
            ("batch", batch, 1),
            ("class", classes, 2),
            ("depth", depth, 1),
            ("height", height, 1),
            ("width", width, 1),
        ];
        if let Some((axis, got, least)) = axes.into_iter().find(|(_, got, least)| got < least) {
            return Err(KernelError::TooShort {
                op: "DiceCe",
                axis,
                least,
                got,
            });
        }
        match &self.class_weights {
            Some(weights)
                if weights.len() != classes || weights.iter().any(|w| w.is_nan() || *w <= 0.0) =>
            {
                Err(KernelError::Parameter {
                    op: "DiceCe",
                    parameter: "class_weights",
                    expected: format!("{classes} positive numbers, one a class"),
                    got: format!("{weights:?}"),
                })
            }
            _ => Ok(()),
        }
    }
}
