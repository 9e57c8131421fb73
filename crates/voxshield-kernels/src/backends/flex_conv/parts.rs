//! How a volume is cut into parts, boxes of whole lines, that stay in the second-level cache.

use super::plan::Plan;

/// Floats of the slabs of one part: 1 MiB.
pub(super) const SLAB: usize = 1 << 18;
/// What copying a float costs, in multiply-adds.
const COPY: f64 = 48.0;

/// Some planes and rows of the grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// First plane and first row.
    pub(super) first: [usize; 2],
    /// Planes and rows.
    pub(super) size: [usize; 2],
}

/// The flat positions of a part that are computed: `count` ranges of `length`, `stride` apart. One
/// range covers also what lies between planes; a range a plane does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Runs {
    pub(super) count: usize,
    pub(super) stride: usize,
    pub(super) length: usize,
}

impl Runs {
    /// Positions to the end of the last range, each rounded up to `unit`.
    pub(super) fn end(self, unit: usize) -> usize {
        (self.count - 1) * self.stride + self.length.next_multiple_of(unit)
    }

    fn computed(self, unit: usize) -> usize {
        self.count * self.length.next_multiple_of(unit)
    }
}

/// What a part of a plan costs.
pub(super) struct Load {
    /// Volumes that are copied: channels times phases.
    pub(super) volumes: usize,
    /// Positions that are computed together.
    pub(super) unit: usize,
    /// Multiply-adds of a position.
    pub(super) products: usize,
}

impl Plan {
    /// The plan with parts of the cheapest size: a smaller one copies more floats around each
    /// part, and may compute more positions between and behind the rows.
    pub(super) fn cut(mut self, load: &Load) -> Self {
        let [depth, height, _] = self.grid;
        let [halo_d, halo_h] = self.halo();
        if self.is_pointwise() {
            // Read as it lies, which takes whole planes.
            let planes = (SLAB / (load.volumes * self.plane())).clamp(1, depth);
            self.set_part([depth.div_ceil(depth.div_ceil(planes)), height]);
            return self;
        }
        let mut best = f64::INFINITY;
        let mut chosen = self.part;
        for planes in (1..=depth).map(|n| depth.div_ceil(depth.div_ceil(n))) {
            let lines = SLAB / (self.columns() * load.volumes * (planes + halo_d));
            let rows = lines.saturating_sub(halo_h).clamp(1, height);
            let rows = height.div_ceil(height.div_ceil(rows));
            self.set_part([planes, rows]);
            let copied = (planes + halo_d) * (rows + halo_h) * self.columns() * load.volumes;
            let runs = self.runs(self.part(0), load.unit);
            let computed = runs.computed(load.unit) * load.products;
            let cost = (copied as f64 * COPY + computed as f64) / (planes * rows) as f64;
            if cost < best {
                (best, chosen) = (cost, [planes, rows]);
            }
            if rows == 1 && height > 1 {
                break;
            }
        }
        self.set_part(chosen);
        self
    }

    /// Parts along each axis.
    pub(super) fn parts(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.grid[axis].div_ceil(self.part[axis]))
    }

    /// The part of an index, rows before planes.
    pub(super) fn part(&self, index: usize) -> Part {
        let [_, across] = self.parts();
        let first = [index / across * self.part[0], index % across * self.part[1]];
        Part {
            first,
            size: [0, 1].map(|axis| self.part[axis].min(self.grid[axis] - first[axis])),
        }
    }

    /// From the first position of a part to the one after its last, and what lies between planes.
    pub(super) fn span(&self, part: Part) -> usize {
        let [planes, rows] = part.size.map(|n| n as isize);
        self.flat([planes - 1, rows - 1, self.grid[2] as isize]) as usize
    }

    /// The ranges of a part that compute the fewest positions in multiples of `unit`.
    pub(super) fn runs(&self, part: Part, unit: usize) -> Runs {
        let [planes, rows] = part.size;
        let one = Runs {
            count: 1,
            stride: 0,
            length: self.span(part),
        };
        let plane = Part {
            size: [1, rows],
            ..part
        };
        let each = Runs {
            count: planes,
            stride: self.plane(),
            length: self.span(plane),
        };
        if each.computed(unit) < one.computed(unit) {
            each
        } else {
            one
        }
    }
}
