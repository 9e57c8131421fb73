use std::fmt;

use burn::tensor::{Int, Slice, Tensor};
use voxshield_kernels::{DiceCe, IscScaling, inter_slice_divergence, semantic_divergence};

use crate::PerturbError;

/// What an N-step knows when its loss is computed.
#[derive(Debug)]
pub struct NoiseStep {
    /// The clean batch `[batch, channel, depth, height, width]`, 0..1.
    pub image: Tensor<5>,
    /// Of what the surrogate saw, `[batch, depth, height, width]`.
    pub labels: Tensor<4, Int>,
    /// The share of epsilon that delta may use, `[batch, 1, depth, height, width]`, 0..1.
    pub support: Tensor<5>,
    /// The perturbation, with gradients into the generator; like `image`.
    pub delta: Tensor<5>,
    /// The frozen surrogate's logits on `clamp(image + delta, 0, 1)`, after the transforms of the step,
    /// `[batch, class, depth, height, width]`.
    pub noisy_logits: Tensor<5>,
    /// Its logits on `image` after the same transforms, without gradients; only there if a term asked for them.
    pub clean_logits: Option<Tensor<5>>,
}

/// One weighted term of the loss that the noise generator minimises.
///
/// Implement it to add your own (see the example `custom_loss`): the loop adds
/// `weight() * value()` of all terms. It is [`Send`], so that a run can go to a thread of its own.
pub trait Term: Send {
    /// A short name for progress and records.
    fn name(&self) -> &'static str;

    /// The factor; a term to be maximised returns a negative value, not a negative weight.
    fn weight(&self) -> f64;

    /// Whether [`NoiseStep::clean_logits`] is needed, at the price of one forward pass.
    fn needs_clean_logits(&self) -> bool {
        false
    }

    /// The value to minimise, shape `[1]`.
    ///
    /// # Errors
    /// What the operations inside refuse; [`PerturbError::Other`] is for errors of your own.
    fn value(&self, step: &NoiseStep) -> Result<Tensor<1>, PerturbError>;
}

impl fmt::Debug for dyn Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} * {}", self.weight(), self.name())
    }
}

/// Error minimisation: `DiceCE(F(x + delta), y)`, weight 1.
#[derive(Debug, Clone, Default)]
pub struct DiceCeTerm(pub DiceCe);

impl Term for DiceCeTerm {
    fn name(&self) -> &'static str {
        "dice_ce"
    }

    fn weight(&self) -> f64 {
        1.0
    }

    fn value(&self, step: &NoiseStep) -> Result<Tensor<1>, PerturbError> {
        Ok(self
            .0
            .forward(step.noisy_logits.clone(), step.labels.clone())?)
    }
}

/// Minus the inter-slice frequency divergence of delta, the mean over the distances `1..=lags` between slices (with lags above 1
/// ours, not the paper's).
#[derive(Debug, Clone)]
pub struct IscTerm {
    /// The factor.
    pub weight: f64,
    /// How the divergence is scaled.
    pub scaling: IscScaling,
    /// Slices are compared with the next, the one after, ... up to that distance; the paper's is 1. Whoever takes every
    /// second slice meets the others. Zero counts as 1.
    pub lags: usize,
}

impl Term for IscTerm {
    fn name(&self) -> &'static str {
        "isc"
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn value(&self, step: &NoiseStep) -> Result<Tensor<1>, PerturbError> {
        let mut sum = inter_slice_divergence(step.delta.clone(), &step.support, self.scaling)?;
        let depth = step.delta.dims()[2];
        let mut lags = 1;
        for lag in 2..=self.lags.min(depth / 2) {
            // The slices of one residue are a volume of their own; each has two slices at least.
            let every = |first: usize| Slice::with_step(first as isize, None, lag as isize);
            let mut residues: Option<Tensor<1>> = None;
            for first in 0..lag {
                let delta = step.delta.clone().slice_dim(2, every(first));
                let support = step.support.clone().slice_dim(2, every(first));
                let pairs = (delta.dims()[2] - 1) as f64 / (depth - lag) as f64;
                let value = inter_slice_divergence(delta, &support, self.scaling)? * pairs;
                residues = Some(match residues {
                    None => value,
                    Some(sum) => sum + value,
                });
            }
            if let Some(value) = residues {
                sum = sum + value;
                lags += 1;
            }
        }
        Ok(match lags {
            1 => sum.neg(),
            lags => sum / -f64::from(lags),
        })
    }
}

/// Minus the semantic prediction divergence of the surrogate.
#[derive(Debug, Clone)]
pub struct SpdTerm {
    /// The factor.
    pub weight: f64,
}

impl Term for SpdTerm {
    fn name(&self) -> &'static str {
        "spd"
    }

    fn weight(&self) -> f64 {
        self.weight
    }

    fn needs_clean_logits(&self) -> bool {
        true
    }

    fn value(&self, step: &NoiseStep) -> Result<Tensor<1>, PerturbError> {
        // The loop runs the clean forward pass for every step in which a term asks for it.
        let Some(clean) = step.clean_logits.clone() else {
            return Err(PerturbError::Config {
                what: "clean logits",
                expected: "a loop that honours Term::needs_clean_logits".into(),
                found: "none".into(),
            });
        };
        Ok(semantic_divergence(step.noisy_logits.clone(), clean)?.neg())
    }
}

/// VoxShield's loss (arXiv 2605.17345):
/// `DiceCE(F(x + delta), y) - spd_weight * SPD - isc_weight * ISC`. A weight of 0 drops its term.
pub fn voxshield_terms(
    isc_weight: f64,
    scaling: IscScaling,
    lags: usize,
    spd_weight: f64,
) -> Vec<Box<dyn Term>> {
    let mut terms: Vec<Box<dyn Term>> = vec![Box::new(DiceCeTerm::default())];
    if spd_weight != 0.0 {
        terms.push(Box::new(SpdTerm { weight: spd_weight }));
    }
    if isc_weight != 0.0 {
        terms.push(Box::new(IscTerm {
            weight: isc_weight,
            scaling,
            lags,
        }));
    }
    terms
}
