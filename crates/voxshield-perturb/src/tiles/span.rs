use std::ops::Range;

use crate::PerturbError;

/// A tile of `length` on one axis: `lead` voxels of padding, then the volume from `start` on. It writes `from .. to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Whether the padding is the mirror image of the volume, and not zeros.
    pub(super) mirrored: bool,
    pub(super) lead: usize,
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl Span {
    /// One that has all of an axis of `n` voxels, and no padding.
    fn whole(n: usize) -> Self {
        Self {
            mirrored: true,
            lead: 0,
            start: 0,
            length: n,
            from: 0,
            to: n,
        }
    }

    /// One that has all of an axis of `n` voxels about the middle of a longer patch, as in the training.
    pub(super) fn in_patch(n: usize, patch: usize, multiple: usize) -> Self {
        Self {
            lead: (patch - n) / 2,
            length: patch.next_multiple_of(multiple),
            mirrored: false,
            ..Self::whole(n)
        }
    }

    /// Which voxel of an axis of `n` each place of the tile gets; `None` for a zero.
    pub(super) fn sources(self, n: usize) -> impl Iterator<Item = Option<usize>> + Clone {
        let last = n.saturating_sub(1) as i64;
        let from = self.start as i64 - self.lead as i64;
        (from..from + self.length as i64).map(move |at| {
            // There and back again.
            let period = (2 * last).max(1);
            let back = at.rem_euclid(period);
            let voxel = if self.mirrored {
                back.min(period - back).min(last)
            } else {
                at
            };
            (0..=last).contains(&voxel).then_some(voxel as usize)
        })
    }

    /// The part of an axis of `n` voxels that it covers.
    pub(super) fn inside(self, n: usize) -> Range<usize> {
        self.start..(self.start + self.length - self.lead).min(n)
    }

    /// Where in the tile a voxel of the axis is.
    pub(super) fn at(self, voxel: usize) -> usize {
        voxel - self.start + self.lead
    }
}

/// The tiles of an axis of `n` voxels, see [`tiled`](super::tiled).
pub(super) fn spans(
    n: usize,
    size: usize,
    overlap: usize,
    multiple: usize,
) -> Result<Vec<Span>, PerturbError> {
    // In front: what puts the middle on a multiple.
    let before = (n.next_multiple_of(2 * multiple) - n) / 2;
    let padded = before + n;
    if n <= size {
        // Twice the multiple at least: a single voxel at the deepest level cannot be normalised.
        let length = padded.next_multiple_of(multiple).max(2 * multiple);
        return Ok(vec![Span {
            lead: before,
            length,
            ..Span::whole(n)
        }]);
    }
    if !size.is_multiple_of(multiple) || overlap + 2 * multiple > size {
        return Err(PerturbError::Config {
            what: "tile size",
            expected: format!(
                "a multiple of {multiple}, at least {} for an overlap of {overlap}",
                overlap + 2 * multiple
            ),
            found: size.to_string(),
        });
    }
    let stride = (size - overlap) / multiple * multiple;
    // Counted from the beginning of the padding.
    let mut starts: Vec<usize> = (0..)
        .map(|i| i * stride)
        .take_while(|s| s + size < padded)
        .collect();
    // The last tile ends at the volume's end, rounded up so that it starts on a multiple.
    starts.push((padded - size).next_multiple_of(multiple));
    let seam = |left: usize, right: usize| usize::midpoint(left + size, right).min(padded) - before;
    Ok((0..starts.len())
        .map(|i| Span {
            mirrored: true,
            lead: before.saturating_sub(starts[i]),
            start: starts[i].saturating_sub(before),
            length: size,
            from: if i == 0 {
                0
            } else {
                seam(starts[i - 1], starts[i])
            },
            to: starts.get(i + 1).map_or(n, |&next| seam(starts[i], next)),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_every_voxel_once_and_keep_the_phase() {
        for n in 1..300 {
            let spans = spans(n, 32, 8, 4).unwrap();
            let mut next = 0;
            for span in &spans {
                assert_eq!(span.from, next, "{n}");
                let inside = span.inside(n);
                assert!(inside.start <= span.from && span.to <= inside.end);
                // The first voxel behind the middle is on a multiple.
                let middle = n.div_ceil(2) as i64;
                let place = span.start as i64 - span.lead as i64 - middle;
                assert_eq!(place.rem_euclid(4), 0, "{n}");
                assert_eq!(span.length % 4, 0);
                next = span.to;
            }
            assert_eq!(next, n);
        }
        assert!(spans(100, 30, 8, 4).is_err());
        assert!(spans(100, 32, 28, 4).is_err());
    }
}
