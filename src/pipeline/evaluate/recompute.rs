use burn::tensor::Device;

use super::{controls::made_by, labelled::LabelledSet, purify::Undo};
use crate::{
    data::{Case, IntensityRange},
    pipeline::{Method, PipelineError, PreparedCase, ProtectOptions, protect::Origin},
};

/// What an attacker does with a perturbation that the manifest, the labels and this program are enough to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Recompute {
    /// Computes it on the published files and subtracts it.
    Subtract,
    /// Protects the published files once more: what exchanges two brightnesses exchanges them back.
    Reapply,
}

impl Recompute {
    pub(super) const ALL: [Self; 2] = [Self::Subtract, Self::Reapply];

    /// Its name among the defences.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Subtract => "recompute",
            Self::Reapply => "reapply",
        }
    }

    /// Whether it can be done to a set: its manifest names a method that needs no training. What was trained is known to the owner
    /// alone.
    pub(super) fn is_possible(set: &LabelledSet) -> bool {
        made_by(set).is_ok_and(|(_, options)| untrained(&options.method).is_some())
    }
}

/// Where the perturbation comes from, if no training made it.
fn untrained(method: &Method) -> Option<Origin> {
    match *method {
        Method::Random { noise, seed, .. } => Some(Origin::Drawn { noise, seed }),
        Method::ClosedForm { code, seed, .. } => Some(Origin::Coded { code, seed }),
        _ => None,
    }
}

/// A perturbation that is computed again.
pub(super) struct Recomputed<'a> {
    set: &'a LabelledSet,
    made_with: ProtectOptions,
    origin: Origin,
    how: Recompute,
    device: &'a Device,
}

impl<'a> Recomputed<'a> {
    /// That of a set; `None` if it was trained.
    pub(super) fn new(
        set: &'a LabelledSet,
        how: Recompute,
        device: &'a Device,
    ) -> Result<Option<Self>, PipelineError> {
        let (_, made_with) = made_by(set)?;
        Ok(untrained(&made_with.method).map(|origin| Self {
            set,
            made_with,
            origin,
            how,
            device,
        }))
    }
}

impl Undo for Recomputed<'_> {
    fn change(
        &self,
        case: &Case,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
    ) -> Result<Vec<f32>, PipelineError> {
        let options = &self.made_with;
        let own;
        let prepared = match options.labels.is_files() {
            true => prepared,
            false => {
                own = PreparedCase::open_with(&self.set.dataset, case, options.labels)?;
                &own
            }
        };
        let slices = 0..prepared.volume.shape()[0];
        let support = prepared.support(options, &case.id, ranges)?;
        let support = support.slab(slices.clone());
        let delta = self
            .origin
            .slabs(prepared, ranges, &case.id, options, self.device)?
            .next(prepared, ranges, slices)?;
        let sign = match self.how {
            Recompute::Subtract => -1.0,
            Recompute::Reapply => 1.0,
        };
        let shares = delta.iter().zip(support.iter().cycle());
        Ok(shares.map(|(delta, share)| sign * delta * share).collect())
    }
}
