use burn_cubecl::cubecl::{self, prelude::*};

/// A vector of one element.
pub(super) type One = Const<1>;

/// How the units of a cube lie on the vectors of a tensor, fixed when the kernel is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Walk {
    /// Whether the elements of a vector are neighbours in one map; otherwise they are the same
    /// voxel of neighbouring channels.
    pub(crate) along: bool,
    /// Vectors side by side in a row that a cube reads; 1 if `along`.
    pub(crate) lanes: usize,
    /// Rows that a cube reads at a time. `lanes * rows` units take part.
    pub(crate) rows: usize,
}

/// A tensor as `[group, row, vector]`, and how many cubes share it. A group is a map (`along`), or
/// a sample whose rows are its voxels and whose vectors are its channels.
#[derive(CubeLaunch, CubeType)]
pub(crate) struct Grid {
    pub(crate) groups: usize,
    pub(crate) rows: usize,
    /// Vectors in a row.
    pub(crate) width: usize,
    /// Rows that one cube walks over.
    pub(crate) chunk: usize,
    /// Cubes that share the rows of a group.
    pub(crate) chunks: usize,
}

/// What one unit does: rows `start`, `start + walk.rows`, .. below `end` of its vector.
#[derive(CubeType)]
pub(super) struct Place {
    pub(super) group: usize,
    pub(super) lane: usize,
    pub(super) chunk: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Where row 0 of the vector is.
    pub(super) first: usize,
    /// Whether it is the unit that writes what the units of its lane have joined.
    pub(super) writes: bool,
}

// A cube without work goes through the motions rather than return: all units of a cube must
// reach its barriers.
#[cube]
pub(super) fn place(grid: &Grid, #[comptime] walk: Walk) -> Place {
    let lanes = comptime!(walk.lanes);
    let rows = comptime!(walk.rows);
    let unit = UNIT_POS as usize;
    let chunk = CUBE_POS % grid.chunks;
    let rest = CUBE_POS / grid.chunks;
    let blocks = grid.width.div_ceil(lanes.runtime());
    let group = rest / blocks;
    let lane = (rest % blocks) * lanes + unit % lanes;
    let row = unit / lanes;
    let inside = group < grid.groups && lane < grid.width && row < rows;
    let from = chunk * grid.chunk;
    let to = select(from + grid.chunk < grid.rows, from + grid.chunk, grid.rows);
    Place {
        group,
        lane,
        chunk,
        start: from + row,
        end: select(inside, to, 0),
        first: group * grid.rows * grid.width + lane,
        writes: inside && row == 0,
    }
}

/// The map of element `index` of the vector at a place; maps are numbered `[batch, channel]`.
#[cube]
pub(super) fn map_of<N: Size>(
    place: &Place,
    grid: &Grid,
    #[comptime] index: usize,
    #[comptime] walk: Walk,
) -> usize {
    if comptime!(walk.along) {
        place.group
    } else {
        (place.group * grid.width + place.lane) * N::value() + index
    }
}

/// What the elements of a vector need to know of their maps.
#[derive(CubeType)]
pub(super) struct Maps<N: Size> {
    pub(super) mean: Vector<f32, N>,
    pub(super) r: Vector<f32, N>,
    pub(super) weight: Vector<f32, N>,
    pub(super) bias: Vector<f32, N>,
}

/// Reads [`Maps`]; zeros at a place without work.
#[cube]
pub(super) fn maps<F: Float, N: Size>(
    weight: &[F],
    bias: &[F],
    statistics: &[f32],
    place: &Place,
    grid: &Grid,
    channels: usize,
    #[comptime] walk: Walk,
) -> Maps<N> {
    let mut mean = Vector::<f32, N>::new(0.0f32);
    let mut r = Vector::<f32, N>::new(0.0f32);
    let mut weights = Vector::<f32, N>::new(0.0f32);
    let mut biases = Vector::<f32, N>::new(0.0f32);
    if place.start < place.end {
        let deviations = statistics.len() / 2;
        #[unroll]
        for i in 0..N::value() {
            let map = map_of::<N>(place, grid, i, walk);
            let channel = map % channels;
            mean.insert(i, statistics[map]);
            r.insert(i, statistics[deviations + map]);
            weights.insert(i, f32::cast_from(weight[channel]));
            biases.insert(i, f32::cast_from(bias[channel]));
        }
    }
    Maps::<N> {
        mean,
        r,
        weight: weights,
        bias: biases,
    }
}

/// `positive` where the activation's argument is above 0, `slope * value` elsewhere.
#[cube]
pub(super) fn activated<N: Size>(
    argument: Vector<f32, N>,
    value: Vector<f32, N>,
    slope: f32,
) -> Vector<f32, N> {
    let positive = argument.greater_than(&Vector::new(0.0f32));
    select_many(positive, value, value * Vector::new(slope))
}
