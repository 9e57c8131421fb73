//! From a perturbation of the canonical array to changed stored voxels.

use ndarray::{ArrayView4, Axis, s};

use crate::budget::{Budget, integer_steps};
use crate::error::DataError;
use crate::intensity::IntensityRange;
use crate::nifti::{Datatype, Number, Scaling, StoredVolume};
use crate::volume::Volume;

/// The result of [`Volume::perturb`]: files ready to be written, and what was really done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Perturbed {
    /// The files of the volume with changed voxels, in the same order; headers are the originals.
    pub files: Vec<StoredVolume>,
    /// The largest `|v' - v| / (hi - lo)` of all voxels, computed from the stored result; never above epsilon.
    pub achieved: f64,
    /// Stored voxels whose bits changed, all channels together.
    pub changed: usize,
    /// The largest change allowed per channel, in stored steps; `None` for floats.
    pub epsilon_stored: Vec<Option<i64>>,
}

/// Attempts to fit a float's change into the budget, halving it each time; beyond 2^-60 of the change nothing is left of it.
const HALVINGS: usize = 60;

/// What is the same for all voxels of one channel.
#[derive(Clone, Copy)]
struct Rule {
    datatype: Datatype,
    scaling: Scaling,
    budget: Budget,
    steps: Option<i64>,
}

pub(crate) fn perturb(
    volume: &Volume,
    delta: ArrayView4<'_, f32>,
    shares: Option<ArrayView4<'_, f32>>,
    ranges: &[IntensityRange],
    epsilon: f64,
) -> Result<Perturbed, DataError> {
    check_delta(volume, &delta)?;
    let shares = shares
        .as_ref()
        .map(|shares| volume.broadcast(shares))
        .transpose()?;
    let epsilon_stored = volume.epsilon_stored(ranges, epsilon)?;
    let budgets = volume.budgets(ranges, epsilon)?;
    let mut result = Perturbed {
        files: Vec::with_capacity(volume.files().len()),
        achieved: 0.0,
        changed: 0,
        epsilon_stored,
    };
    let mut channel = 0;
    for file in volume.files() {
        let mut voxels = file.voxel_bytes().to_vec();
        let (size, endian) = (file.datatype().size(), file.header().endian);
        let inner = file.dims()[3];
        let per_channel = voxels.len() / inner;
        for (bytes, budget) in voxels
            .chunks_exact_mut(per_channel)
            .zip(budgets.iter().skip(channel))
        {
            let rule = Rule {
                datatype: file.datatype(),
                scaling: file.scaling(),
                budget: *budget,
                steps: integer_steps(file.datatype(), budget, &file.scaling()),
            };
            let slice = delta.slice(s![channel..=channel, .., .., ..]);
            let stored = volume.orientation().stored_view(slice);
            let shares = shares.as_ref().map(|shares| {
                let slice = shares.slice(s![channel..=channel, .., .., ..]);
                volume.orientation().stored_view(slice).reversed_axes()
            });
            let mut shares = shares.as_ref().map(|shares| shares.iter());
            // Reversed axes iterate with i fastest, which is file order.
            for (bytes, &delta) in bytes
                .chunks_exact_mut(size)
                .zip(stored.reversed_axes().iter())
            {
                let share = shares
                    .as_mut()
                    .map_or(1.0, |shares| shares.next().copied().unwrap_or(0.0));
                if delta == 0.0 || share <= 0.0 {
                    continue;
                }
                let rule = rule.share(share);
                let Some(old) = rule.datatype.decode(bytes, endian) else {
                    continue;
                };
                if let Some(new) = rule.apply(old, delta) {
                    rule.datatype.encode(new, bytes, endian);
                    let change = Budget::change(old, new, &rule.scaling);
                    result.achieved = result.achieved.max(rule.budget.fraction(change));
                    result.changed += 1;
                }
            }
            channel += 1;
        }
        result.files.push(file.with_voxels(voxels)?);
    }
    Ok(result)
}

fn check_delta(volume: &Volume, delta: &ArrayView4<'_, f32>) -> Result<(), DataError> {
    if delta.shape() != volume.array().shape() {
        return Err(DataError::Shape {
            what: "delta [channel, depth, height, width]",
            expected: volume.array().shape().to_vec(),
            found: delta.shape().to_vec(),
        });
    }
    for (channel, slice) in delta.axis_iter(Axis(0)).enumerate() {
        if let Some(((d, h, w), &value)) =
            slice.indexed_iter().find(|(_, value)| !value.is_finite())
        {
            return Err(DataError::NonFiniteDelta {
                index: [channel, d, h, w],
                value,
            });
        }
    }
    Ok(())
}

impl Rule {
    /// The rule of a voxel that may use a share of epsilon.
    fn share(&self, share: f32) -> Self {
        if share == 1.0 {
            return *self;
        }
        let budget = self.budget.share(share);
        Self {
            budget,
            steps: integer_steps(self.datatype, &budget, &self.scaling),
            ..*self
        }
    }

    /// The new stored number; `None` when it is the old one.
    fn apply(&self, old: Number, delta: f32) -> Option<Number> {
        let new = match (old, self.steps) {
            (Number::Integer(old), Some(steps)) => {
                Number::Integer(self.integer(old, delta, steps)?)
            }
            (Number::F32(old), _) => Number::F32(self.float32(old, delta)?),
            (Number::F64(old), _) => Number::F64(self.float64(old, delta)?),
            (Number::Integer(_), None) => return None,
        };
        (new != old).then_some(new)
    }

    /// `s + truncate(delta * (hi - lo) / slope)`, within the steps and the datatype.
    fn integer(&self, old: i128, delta: f32, steps: i64) -> Option<i128> {
        let (low, high) = self.datatype.integer_limits()?;
        let steps = i128::from(steps);
        let wanted = f64::from(delta) * self.budget.width() / self.scaling.slope;
        let change = if delta.abs() >= self.budget.epsilon() as f32 {
            steps * if wanted < 0.0 { -1 } else { 1 }
        } else {
            // The cast truncates toward zero, and saturates.
            (wanted as i128).clamp(-steps, steps)
        };
        Some((old + change).clamp(low, high))
    }

    /// The nearest allowed f32 on the way from the original to the wanted number; `None` when that is the original.
    fn float32(&self, old: f32, delta: f32) -> Option<f32> {
        self.toward(delta, |change| {
            let new = (f64::from(old) + change) as f32;
            // One step back is enough where only the rounding to f32 went too far.
            let back = if new > old {
                new.next_down()
            } else {
                new.next_up()
            };
            let number = Number::F32;
            [new, back]
                .into_iter()
                .find(|&new| self.allows(number(old), number(new)))
        })
    }

    fn float64(&self, old: f64, delta: f32) -> Option<f64> {
        self.toward(delta, |change| {
            let new = old + change;
            let back = if new > old {
                new.next_down()
            } else {
                new.next_up()
            };
            let number = Number::F64;
            [new, back]
                .into_iter()
                .find(|&new| self.allows(number(old), number(new)))
        })
    }

    /// Tries the wanted change, then ever smaller ones: with a large intercept, the value after scaling may be rounded by far more than
    /// a step of the stored number.
    fn toward<T>(&self, delta: f32, attempt: impl Fn(f64) -> Option<T>) -> Option<T> {
        let mut change = self.float_change(delta);
        (0..HALVINGS).find_map(|_| {
            let found = attempt(change);
            change *= 0.5;
            found
        })
    }

    /// The wanted change of a stored float.
    fn float_change(&self, delta: f32) -> f64 {
        let limit = self.budget.limit();
        (f64::from(delta) * self.budget.width()).clamp(-limit, limit) / self.scaling.slope
    }

    fn allows(&self, old: Number, new: Number) -> bool {
        self.scaling.value(new).is_finite()
            && self.budget.allows(Budget::change(old, new, &self.scaling))
    }
}
