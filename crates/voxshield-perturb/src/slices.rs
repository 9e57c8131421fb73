use std::ops::Range;

use crate::PerturbError;

/// A case of which slices are read when they are needed, so that no whole volume is in memory as floats.
pub trait CaseSlices {
    /// `[depth, height, width]`.
    fn shape(&self) -> [usize; 3];

    /// How many channels the image has.
    fn channels(&self) -> usize;

    /// Label values `[slices, height, width]`, 0 is background.
    fn labels(&self, slices: Range<usize>) -> Vec<u16>;

    /// Intensities `[channel, slices, height, width]`, normalised to 0..=1.
    fn image(&self, slices: Range<usize>) -> Vec<f32>;
}

/// A case in memory.
#[derive(Debug, Clone, Copy)]
pub struct ArraySlices<'a> {
    image: &'a [f32],
    labels: &'a [u16],
    shape: [usize; 3],
}

impl<'a> ArraySlices<'a> {
    /// An image `[channel, depth, height, width]` in 0..=1 with its labels `[depth, height, width]` = `shape`.
    ///
    /// # Errors
    /// [`PerturbError::Config`] for arrays of another shape.
    pub fn new(
        image: &'a [f32],
        labels: &'a [u16],
        shape: [usize; 3],
    ) -> Result<Self, PerturbError> {
        let voxels: usize = shape.iter().product();
        for (what, found, fits) in [
            ("labels", labels.len(), labels.len() == voxels),
            (
                "image",
                image.len(),
                image.len().is_multiple_of(voxels.max(1)),
            ),
        ] {
            if !fits {
                return Err(PerturbError::Config {
                    what,
                    expected: format!("{voxels} values for each channel of {shape:?}"),
                    found: format!("{found} values"),
                });
            }
        }
        Ok(Self {
            image,
            labels,
            shape,
        })
    }

    fn slice(&self) -> usize {
        self.shape[1] * self.shape[2]
    }
}

impl CaseSlices for ArraySlices<'_> {
    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn channels(&self) -> usize {
        self.image.len() / self.labels.len().max(1)
    }

    fn labels(&self, slices: Range<usize>) -> Vec<u16> {
        self.labels[slices.start * self.slice()..slices.end * self.slice()].to_vec()
    }

    fn image(&self, slices: Range<usize>) -> Vec<f32> {
        let part = slices.start * self.slice()..slices.end * self.slice();
        let channels = self.image.chunks(self.labels.len().max(1));
        channels
            .flat_map(|channel| &channel[part.clone()])
            .copied()
            .collect()
    }
}

/// The most voxels that are worked on at a time, unless the slices that must be together have more.
const VOXELS: usize = 1 << 22;

/// How many slices of a volume are worked on at a time where each needs `reach` slices on both sides: so many that most of what is
/// read is not read for the reach alone.
pub(crate) fn slices_at_once([_, height, width]: [usize; 3], reach: usize) -> usize {
    (VOXELS / (height * width).max(1)).max(2 * reach).max(1)
}

/// The slices of a volume, so many at a time, in order.
pub(crate) fn parts(
    depth: usize,
    slices: usize,
) -> impl DoubleEndedIterator<Item = Range<usize>> + Clone {
    let slices = slices.max(1);
    (0..depth.div_ceil(slices)).map(move |part| part * slices..((part + 1) * slices).min(depth))
}

/// Those slices and the ones within `reach` of them.
pub(crate) fn widened(slices: &Range<usize>, reach: usize, depth: usize) -> Range<usize> {
    slices.start.saturating_sub(reach)..slices.end.saturating_add(reach).min(depth)
}
