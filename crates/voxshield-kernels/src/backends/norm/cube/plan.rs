//! Who computes what: the policy that the kernels leave open.

use burn_cubecl::{
    cubecl::{calculate_cube_count_elemwise, prelude::*},
    kernel::into_contiguous,
    ops,
    tensor::CubeTensor,
};

use super::kernels::{GridLaunch, Walk};

/// Units of a cube, where there is work for them.
const UNITS: usize = 256;
/// Vectors that a unit adds before it joins the others, at most: sums of more lose digits.
const MOST_STEPS: usize = 64;
/// Vectors that a unit adds, at least, where the map has them: joining costs as much as that.
const LEAST_STEPS: usize = 4;
/// Cubes that keep a large device busy.
const CUBES: usize = 1024;
/// Elements of a vector, at most; 4 is what every device has.
const VECTOR: usize = 4;

/// Where a tensor `[batch, channel, depth, height, width]` has its channels in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One map after another.
    Maps,
    /// Channels innermost, as convolutions leave them.
    ChannelsLast,
}

impl Layout {
    /// The layout of `x`, [`Layout::Maps`] if it has neither.
    pub(super) fn of(x: &CubeTensor) -> Self {
        let dense = |x: &CubeTensor| !x.meta.is_tiled() && x.is_contiguous();
        if !dense(x) && dense(&ops::permute_nchw_to_nhwc(x.clone())) {
            Self::ChannelsLast
        } else {
            Self::Maps
        }
    }

    /// `x` as it lies in memory: without gaps, the axes in the order of their strides. Copies where
    /// `x` has another layout.
    pub(super) fn arrange(self, x: CubeTensor) -> CubeTensor {
        into_contiguous(match self {
            Self::Maps => x,
            Self::ChannelsLast => ops::permute_nchw_to_nhwc(x),
        })
    }

    /// The view `[batch, channel, depth, height, width]` of what [`arrange`](Self::arrange) gives.
    pub(super) fn restore(self, x: CubeTensor) -> CubeTensor {
        match self {
            Self::Maps => x,
            Self::ChannelsLast => ops::permute_nhwc_to_nchw(x),
        }
    }
}

/// How the cubes of one launch share a tensor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) batch: usize,
    pub(super) channels: usize,
    /// Of a map.
    pub(super) voxels: usize,
    /// Elements of a vector.
    pub(super) vector: usize,
    pub(super) walk: Walk,
    /// Cubes that share a map.
    pub(super) chunks: usize,
    /// Voxels of a map in a chunk, but for the last one.
    pub(super) chunk_voxels: usize,
    groups: usize,
    rows: usize,
    width: usize,
    chunk_rows: usize,
    cubes: usize,
    units: usize,
}

impl Plan {
    /// For `[batch, channel, depth, height, width]`, none of them 0.
    pub(super) fn new(client: &Client, shape: &[usize], bytes: usize, layout: Layout) -> Self {
        let (batch, channels) = (shape[0], shape[1]);
        let voxels: usize = shape[2..].iter().product();
        let vector = |length: usize| {
            client
                .io_optimized_vector_sizes(bytes)
                .filter(|&size| size <= VECTOR && length.is_multiple_of(size))
                .max()
                .unwrap_or(1)
        };
        let along = layout == Layout::Maps;
        let (vector, groups, rows, width) = if along {
            let vector = vector(voxels);
            (vector, batch * channels, voxels / vector, 1)
        } else {
            let vector = vector(channels);
            (vector, batch, voxels, channels / vector)
        };

        let most = UNITS.min(client.properties().hardware.max_units_per_cube as usize);
        // A quarter of the units in a row, so that something is left to walk along the map.
        let lanes = width.min(most / 4).max(1);
        let units = (lanes * rows).next_power_of_two().clamp(32.min(most), most);
        let walk = Walk {
            along,
            lanes,
            rows: units / lanes,
        };

        let columns = groups * width.div_ceil(lanes);
        let steps = rows.div_ceil(walk.rows);
        let chunks = CUBES
            .div_ceil(columns)
            .min(steps.div_ceil(LEAST_STEPS))
            .max(steps.div_ceil(MOST_STEPS));
        let chunk_rows = steps.div_ceil(chunks) * walk.rows;
        let chunks = rows.div_ceil(chunk_rows);
        Self {
            batch,
            channels,
            voxels,
            vector,
            walk,
            chunks,
            chunk_voxels: chunk_rows * if along { vector } else { 1 },
            groups,
            rows,
            width,
            chunk_rows,
            cubes: columns * chunks,
            units,
        }
    }

    pub(super) fn maps(&self) -> usize {
        self.batch * self.channels
    }

    pub(super) fn grid(&self) -> GridLaunch {
        GridLaunch::new(
            self.groups,
            self.rows,
            self.width,
            self.chunk_rows,
            self.chunks,
        )
    }

    pub(super) fn cube_dim(&self) -> CubeDim {
        CubeDim::new_1d(self.units as u32)
    }

    pub(super) fn cube_count(&self, client: &Client) -> CubeCount {
        cubes(client, self.cubes)
    }

    /// Units that join the chunks of a map.
    pub(super) fn joining_units(&self, client: &Client) -> usize {
        let most = UNITS.min(client.properties().hardware.max_units_per_cube as usize);
        self.chunks.next_power_of_two().min(most)
    }
}

/// At least `count` cubes; a device limits how many there are on an axis.
pub(super) fn cubes(client: &Client, count: usize) -> CubeCount {
    calculate_cube_count_elemwise(client, count, CubeDim::new_single())
}
