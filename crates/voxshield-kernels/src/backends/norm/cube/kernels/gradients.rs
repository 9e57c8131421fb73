use burn_cubecl::cubecl::{self, prelude::*};

use super::walk::{Grid, Maps, One, Walk, activated, map_of, maps, place};

/// Sums over `rows` units of each lane in a tree; the result is the same in all units of a lane.
#[cube]
fn add_units<N: Size>(
    first: Vector<f32, N>,
    second: Vector<f32, N>,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
) -> (Vector<f32, N>, Vector<f32, N>) {
    let units = comptime!(lanes * rows);
    let unit = UNIT_POS as usize;
    let mut firsts = Shared::<[Vector<f32, N>]>::new_slice(units);
    let mut seconds = Shared::<[Vector<f32, N>]>::new_slice(units);
    if unit < units {
        firsts[unit] = first;
        seconds[unit] = second;
    }
    sync_cube();
    let mut left = rows.runtime();
    while left > 1 {
        let half = left.div_ceil(2);
        if unit < (left - half) * lanes {
            let other = unit + half * lanes;
            let sum = firsts[unit] + firsts[other];
            firsts[unit] = sum;
            let sum = seconds[unit] + seconds[other];
            seconds[unit] = sum;
        }
        sync_cube();
        left = half;
    }
    let lane = unit % lanes;
    (firsts[lane], seconds[lane])
}

/// The normalised value `h` and `g`, the gradient behind the activation.
#[cube]
fn terms<F: Float, N: Size>(
    x: Vector<F, N>,
    gradient: Vector<F, N>,
    maps: &Maps<N>,
    slope: f32,
) -> (Vector<f32, N>, Vector<f32, N>) {
    let h = (Vector::<f32, N>::cast_from(x) - maps.mean) * maps.r;
    let z = h * maps.weight + maps.bias;
    let g = activated::<N>(z, Vector::cast_from(gradient), slope);
    (h, g)
}

/// The sums of `g` and of `g h` over each chunk of each map, `[map, chunk, 2]`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn chunk_gradients<F: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    weight: &[F],
    bias: &[F],
    statistics: &[f32],
    partial: &mut [f32],
    grid: &Grid,
    channels: usize,
    slope: f32,
    #[comptime] walk: Walk,
    #[define(F)] _dtype: ElemType,
) {
    let place = place(grid, walk);
    let maps = maps::<F, N>(weight, bias, statistics, &place, grid, channels, walk);
    let mut g_sum = Vector::<f32, N>::new(0.0f32);
    let mut gh_sum = Vector::<f32, N>::new(0.0f32);
    let mut row = place.start;
    while row < place.end {
        let at = place.first + row * grid.width;
        let (h, g) = terms::<F, N>(x[at], gradient[at], &maps, slope);
        g_sum += g;
        gh_sum += g * h;
        row += walk.rows;
    }
    let (g_sum, gh_sum) = add_units::<N>(g_sum, gh_sum, walk.lanes, walk.rows);
    if place.writes {
        if comptime!(walk.along) {
            let mut g = 0.0f32;
            let mut gh = 0.0f32;
            #[unroll]
            for i in 0..N::value() {
                g += g_sum.extract(i);
                gh += gh_sum.extract(i);
            }
            let at = place.group * grid.chunks + place.chunk;
            partial[2 * at] = g;
            partial[2 * at + 1] = gh;
        } else {
            #[unroll]
            for i in 0..N::value() {
                let at = map_of::<N>(&place, grid, i, walk) * grid.chunks + place.chunk;
                partial[2 * at] = g_sum.extract(i);
                partial[2 * at + 1] = gh_sum.extract(i);
            }
        }
    }
}

/// The sums of each map, `[map, 2]`, and over the batch the gradients of weight and bias. A cube a
/// channel.
#[cube(launch)]
pub(crate) fn join_gradients<F: Float>(
    partial: &[f32],
    sums: &mut [f32],
    weight: &mut [F],
    bias: &mut [F],
    chunks: usize,
    #[comptime] units: usize,
    #[define(F)] _dtype: ElemType,
) {
    let channels = weight.len();
    let maps = sums.len() / 2;
    let inside = CUBE_POS < channels;
    let channel = select(inside, CUBE_POS, 0);
    let mut g_total = 0.0f32;
    let mut gh_total = 0.0f32;
    let mut map = channel;
    while map < maps {
        let mut g = Vector::<f32, One>::new(0.0f32);
        let mut gh = Vector::<f32, One>::new(0.0f32);
        let mut index = UNIT_POS as usize;
        while index < chunks {
            let at = 2 * (map * chunks + index);
            g += Vector::new(partial[at]);
            gh += Vector::new(partial[at + 1]);
            index += units;
        }
        let (g, gh) = add_units::<One>(g, gh, 1usize, units);
        let g = g.extract(0usize);
        let gh = gh.extract(0usize);
        if inside && UNIT_POS == 0 {
            sums[2 * map] = g;
            sums[2 * map + 1] = gh;
        }
        g_total += g;
        gh_total += gh;
        // The shared memory is written again.
        sync_cube();
        map += channels;
    }
    if inside && UNIT_POS == 0 {
        weight[channel] = F::cast_from(gh_total);
        bias[channel] = F::cast_from(g_total);
    }
}

/// `weight r (g - sum g / n - h sum g h / n)`, the sums of [`join_gradients`].
#[cube(launch, address_type = "dynamic")]
pub(crate) fn input_gradient<F: Float, N: Size>(
    x: &[Vector<F, N>],
    gradient: &[Vector<F, N>],
    weight: &[F],
    bias: &[F],
    statistics: &[f32],
    sums: &[f32],
    out: &mut [Vector<F, N>],
    grid: &Grid,
    channels: usize,
    voxels: f32,
    slope: f32,
    #[comptime] walk: Walk,
    #[define(F)] _dtype: ElemType,
) {
    let place = place(grid, walk);
    let maps = maps::<F, N>(weight, bias, statistics, &place, grid, channels, walk);
    let mut g_mean = Vector::<f32, N>::new(0.0f32);
    let mut gh_mean = Vector::<f32, N>::new(0.0f32);
    if place.start < place.end {
        #[unroll]
        for i in 0..N::value() {
            let map = map_of::<N>(&place, grid, i, walk);
            g_mean.insert(i, sums[2 * map] / voxels);
            gh_mean.insert(i, sums[2 * map + 1] / voxels);
        }
    }
    let scale = maps.weight * maps.r;
    let mut row = place.start;
    while row < place.end {
        let at = place.first + row * grid.width;
        let (h, g) = terms::<F, N>(x[at], gradient[at], &maps, slope);
        out[at] = Vector::cast_from(scale * ((g - g_mean) - h * gh_mean));
        row += walk.rows;
    }
}
