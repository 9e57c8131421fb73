//! From a perturbation of the canonical array to changed stored voxels.

use std::ops::Range;

use ndarray::{ArrayView4, Axis, s};

use crate::budget::{Budget, integer_steps};
use crate::error::DataError;
use crate::geometry::Orientation;
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

/// A wanted number of steps that is this close to a whole one, relatively, means that one: f32 cannot say `1 - x` better near 1.
const WHOLE: f64 = 1e-5;

/// What is the same for all voxels of one channel.
#[derive(Clone, Copy, Debug)]
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
    let mut perturber = Perturber::new(volume, ranges, epsilon)?;
    let mut changed = volume.clone();
    let slices = 0..volume.shape()[0];
    perturber.apply(&mut changed, slices, delta, shares)?;
    Ok(Perturbed {
        files: changed.into_files(),
        achieved: perturber.achieved,
        changed: perturber.changed(),
        epsilon_stored: perturber.epsilon_stored,
    })
}

/// Perturbs a volume in its own memory, slab by slab, by the rules of [`Volume::perturb_within`].
#[derive(Clone, Debug)]
pub struct Perturber {
    rules: Vec<Rule>,
    epsilon_stored: Vec<Option<i64>>,
    achieved: f64,
    /// One number a channel.
    changed: Vec<usize>,
}

impl Perturber {
    pub(crate) fn new(
        volume: &Volume,
        ranges: &[IntensityRange],
        epsilon: f64,
    ) -> Result<Self, DataError> {
        let epsilon_stored = volume.epsilon_stored(ranges, epsilon)?;
        let budgets = Budget::of_channels(volume.channels(), ranges, epsilon)?;
        let rule = |((file, _), budget): ((&StoredVolume, _), &Budget)| Rule {
            datatype: file.datatype(),
            scaling: file.scaling(),
            budget: *budget,
            steps: integer_steps(file.datatype(), budget, &file.scaling()),
        };
        Ok(Self {
            rules: volume.channel_files().zip(&budgets).map(rule).collect(),
            epsilon_stored,
            achieved: 0.0,
            changed: vec![0; volume.channels()],
        })
    }

    /// Adds `delta` to some slices of the volume; each slice must be given once, since a second delta would be added to the first.
    ///
    /// `delta` is `[channel, slices, height, width]`, `shares` (without it 1 everywhere) the same or with one channel for all.
    ///
    /// # Errors
    /// [`DataError::Shape`] and [`DataError::NonFiniteDelta`]; nothing is changed then.
    pub fn apply(
        &mut self,
        volume: &mut Volume,
        slices: Range<usize>,
        delta: ArrayView4<'_, f32>,
        shares: Option<ArrayView4<'_, f32>>,
    ) -> Result<(), DataError> {
        let [channels, depth, height, width] = volume.dims();
        let expected = [channels, slices.len(), height, width];
        if delta.shape() != expected || slices.end > depth {
            return Err(DataError::Shape {
                what: "delta [channel, depth, height, width]",
                expected: expected.to_vec(),
                found: delta.shape().to_vec(),
            });
        }
        check_finite(&delta, slices.start)?;
        let shares = (shares.as_ref())
            .map(|shares| broadcast(shares, expected))
            .transpose()?;
        let orientation = volume.orientation();
        let mut channel = 0;
        for file in volume.files_mut() {
            let inner = file.dims()[3];
            let rules = self.rules.get(channel..channel + inner).unwrap_or_default();
            let changed = self.changed.get_mut(channel..channel + inner);
            let changed = changed.unwrap_or_default();
            let channels = s![channel..channel + inner, .., .., ..];
            let delta = delta.slice(channels);
            let shares = shares.as_ref().map(|shares| shares.slice(channels));
            let slab = (orientation, slices.clone());
            let achieved = match file.datatype().size() {
                1 => add::<1>(file, slab, (rules, changed), delta, shares),
                2 => add::<2>(file, slab, (rules, changed), delta, shares),
                4 => add::<4>(file, slab, (rules, changed), delta, shares),
                _ => add::<8>(file, slab, (rules, changed), delta, shares),
            };
            self.achieved = self.achieved.max(achieved);
            channel += inner;
        }
        Ok(())
    }

    /// The largest `|v' - v| / (hi - lo)` of all voxels so far, computed from the stored result; never above epsilon.
    #[must_use]
    pub fn achieved(&self) -> f64 {
        self.achieved
    }

    /// Stored voxels whose bits changed, all channels together.
    #[must_use]
    pub fn changed(&self) -> usize {
        self.changed.iter().sum()
    }

    /// As [`Perturber::changed`], of each channel.
    #[must_use]
    pub fn changed_by_channel(&self) -> &[usize] {
        &self.changed
    }

    /// The largest change allowed per channel, in stored steps; `None` for floats.
    #[must_use]
    pub fn epsilon_stored(&self) -> &[Option<i64>] {
        &self.epsilon_stored
    }
}

/// Adds to the slices of one file and counts the voxels that change in each channel; returns the largest change as a fraction of the
/// range.
fn add<const N: usize>(
    file: &mut StoredVolume,
    (orientation, slices): (Orientation, Range<usize>),
    (rules, changed): (&[Rule], &mut [usize]),
    delta: ArrayView4<'_, f32>,
    shares: Option<ArrayView4<'_, f32>>,
) -> f64 {
    let endian = file.header().endian;
    let mut achieved = 0.0_f64;
    let Ok(stored) = file.view_mut::<N>() else {
        return achieved;
    };
    let mut slab = orientation
        .canonical_view(stored)
        .slice_move(s![.., slices, .., ..]);
    for (channel, (rule, changed)) in rules.iter().zip(changed).enumerate() {
        let words = slab.index_axis_mut(Axis(0), channel);
        let mut shares = (shares.as_ref()).map(|shares| shares.index_axis(Axis(0), channel));
        let mut shares = shares.as_mut().map(|shares| shares.iter());
        for (word, &delta) in words.into_iter().zip(delta.index_axis(Axis(0), channel)) {
            let share = shares
                .as_mut()
                .map_or(1.0, |shares| shares.next().copied().unwrap_or(0.0));
            if delta == 0.0 || share <= 0.0 {
                continue;
            }
            let rule = rule.share(share);
            let Some(old) = rule.datatype.decode(word, endian) else {
                continue;
            };
            if let Some(new) = rule.apply(old, delta) {
                rule.datatype.encode(new, word, endian);
                let change = Budget::change(old, new, &rule.scaling);
                achieved = achieved.max(rule.budget.fraction(change));
                *changed += 1;
            }
        }
    }
    achieved
}

/// Shares of epsilon as they are for every channel.
pub(crate) fn broadcast<'a>(
    shares: &'a ArrayView4<'_, f32>,
    dims: [usize; 4],
) -> Result<ArrayView4<'a, f32>, DataError> {
    let fits = shares.shape().iter().skip(1).eq(dims.iter().skip(1));
    // ndarray would stretch a depth of 1 too, which nobody means.
    let view = if fits { shares.broadcast(dims) } else { None };
    view.ok_or_else(|| DataError::Shape {
        what: "shares of epsilon [channel or 1, depth, height, width]",
        expected: dims.to_vec(),
        found: shares.shape().to_vec(),
    })
}

fn check_finite(delta: &ArrayView4<'_, f32>, first: usize) -> Result<(), DataError> {
    let bad = |(_, value): &(_, &f32)| !value.is_finite();
    match delta.indexed_iter().find(bad) {
        None => Ok(()),
        Some(((channel, d, h, w), &value)) => Err(DataError::NonFiniteDelta {
            index: [channel, first + d, h, w],
            value,
        }),
    }
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

    /// `s + truncate(delta * (hi - lo) / slope)`, within the steps and the datatype; what lies beside a whole number of steps is that one.
    fn integer(&self, old: i128, delta: f32, steps: i64) -> Option<i128> {
        let (low, high) = self.datatype.integer_limits()?;
        let steps = i128::from(steps);
        let wanted = f64::from(delta) * self.budget.width() / self.scaling.slope;
        let change = if delta.abs() >= self.budget.epsilon() as f32 {
            steps * if wanted < 0.0 { -1 } else { 1 }
        } else {
            let whole = wanted.round();
            let near = (wanted - whole).abs() <= WHOLE * whole.abs();
            // The cast truncates toward zero, and saturates.
            (if near { whole } else { wanted } as i128).clamp(-steps, steps)
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
