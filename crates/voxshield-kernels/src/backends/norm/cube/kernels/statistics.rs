use burn_cubecl::cubecl::{self, prelude::*};

use super::walk::{Grid, One, Place, Walk, activated, map_of, maps, place};

/// Number of values, mean and sum of squared distances from it, for each element of a vector.
#[derive(CubeType)]
struct Moments<N: Size> {
    count: f32,
    mean: Vector<f32, N>,
    squares: Vector<f32, N>,
}

/// The moments of two sets together (Chan, Golub and LeVeque 1983).
#[cube]
fn join<N: Size>(a: &Moments<N>, b: &Moments<N>) -> Moments<N> {
    let count = a.count + b.count;
    let share = b.count / max(count, 1.0f32);
    let step = b.mean - a.mean;
    Moments::<N> {
        count,
        mean: a.mean + step * Vector::new(share),
        squares: a.squares + b.squares + step * step * Vector::new(a.count * share),
    }
}

/// Joins `rows` units of each lane in a tree; the result is the same in all units of a lane.
#[cube]
fn join_units<N: Size>(
    own: &Moments<N>,
    #[comptime] lanes: usize,
    #[comptime] rows: usize,
) -> Moments<N> {
    let units = comptime!(lanes * rows);
    let unit = UNIT_POS as usize;
    let mut counts = Shared::<[f32]>::new_slice(units);
    let mut means = Shared::<[Vector<f32, N>]>::new_slice(units);
    let mut squares = Shared::<[Vector<f32, N>]>::new_slice(units);
    if unit < units {
        counts[unit] = own.count;
        means[unit] = own.mean;
        squares[unit] = own.squares;
    }
    sync_cube();
    let mut left = rows.runtime();
    while left > 1 {
        let half = left.div_ceil(2);
        if unit < (left - half) * lanes {
            let other = unit + half * lanes;
            let joined = join::<N>(
                &Moments::<N> {
                    count: counts[unit],
                    mean: means[unit],
                    squares: squares[unit],
                },
                &Moments::<N> {
                    count: counts[other],
                    mean: means[other],
                    squares: squares[other],
                },
            );
            counts[unit] = joined.count;
            means[unit] = joined.mean;
            squares[unit] = joined.squares;
        }
        sync_cube();
        left = half;
    }
    let lane = unit % lanes;
    Moments::<N> {
        count: counts[lane],
        mean: means[lane],
        squares: squares[lane],
    }
}

/// The moments of the values that a unit walks over, as distances from `shift`.
///
/// The sums are about the first of the values. As it is one of them, what cancels is at most their
/// number, a few dozen, in units of rounding; a mean far from zero costs nothing.
#[cube]
fn walk_over<F: Float, N: Size>(
    x: &[Vector<F, N>],
    shift: Vector<f32, N>,
    place: &Place,
    width: usize,
    #[comptime] walk: Walk,
) -> Moments<N> {
    let mut count = 0.0f32;
    let mut sum = Vector::<f32, N>::new(0.0f32);
    let mut squares = Vector::<f32, N>::new(0.0f32);
    let mut centre = shift;
    if place.start < place.end {
        centre = Vector::cast_from(x[place.first + place.start * width]);
    }
    let mut row = place.start;
    while row < place.end {
        let distance = Vector::<f32, N>::cast_from(x[place.first + row * width]) - centre;
        sum += distance;
        squares += distance * distance;
        count += 1.0f32;
        row += walk.rows;
    }
    let mean = sum / Vector::new(max(count, 1.0f32));
    Moments::<N> {
        count,
        mean: centre - shift + mean,
        squares: squares - sum * mean,
    }
}

/// For each map, its first value in `shifts`, `[map]`, and for each of its chunks the mean, as
/// distance from that, and the sum of squared distances from the mean, `[map, chunk, 2]`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn chunk_statistics<F: Float, N: Size>(
    x: &[Vector<F, N>],
    shifts: &mut [f32],
    partial: &mut [f32],
    grid: &Grid,
    #[comptime] walk: Walk,
    #[define(F)] _dtype: ElemType,
) {
    let place = place(grid, walk);
    let mut shift = Vector::<f32, N>::new(0.0f32);
    if place.start < place.end {
        shift = Vector::cast_from(x[place.first]);
        if comptime!(walk.along) {
            shift = Vector::new(shift.extract(0usize));
        }
    }
    let own = walk_over::<F, N>(x, shift, &place, grid.width, walk);
    let all = join_units::<N>(&own, walk.lanes, walk.rows);
    if place.writes {
        if comptime!(walk.along) {
            let mut mean = 0.0f32;
            let mut squares = 0.0f32;
            #[unroll]
            for i in 0..N::value() {
                mean += all.mean.extract(i);
            }
            mean /= f32::cast_from(N::value());
            #[unroll]
            for i in 0..N::value() {
                let step = all.mean.extract(i) - mean;
                squares += all.squares.extract(i) + all.count * step * step;
            }
            let at = place.group * grid.chunks + place.chunk;
            partial[2 * at] = mean;
            partial[2 * at + 1] = squares;
            if place.chunk == 0 {
                shifts[place.group] = shift.extract(0usize);
            }
        } else {
            #[unroll]
            for i in 0..N::value() {
                let map = map_of::<N>(&place, grid, i, walk);
                let at = map * grid.chunks + place.chunk;
                partial[2 * at] = all.mean.extract(i);
                partial[2 * at + 1] = all.squares.extract(i);
                if place.chunk == 0 {
                    shifts[map] = shift.extract(i);
                }
            }
        }
    }
}

/// The means, then `1 / sqrt(var + epsilon)`, `[2, map]`, from what [`chunk_statistics`] leaves. A
/// cube a map; a map has `voxels` values, a chunk `chunk`, the last one perhaps fewer.
#[cube(launch)]
pub(crate) fn join_statistics(
    shifts: &[f32],
    partial: &[f32],
    statistics: &mut [f32],
    voxels: usize,
    chunk: usize,
    epsilon: f32,
    #[comptime] units: usize,
) {
    let maps = shifts.len();
    let chunks = voxels.div_ceil(chunk);
    let inside = CUBE_POS < maps;
    let map = select(inside, CUBE_POS, 0);
    let mut count = 0.0f32;
    let mut mean = Vector::<f32, One>::new(0.0f32);
    let mut squares = Vector::<f32, One>::new(0.0f32);
    let mut index = UNIT_POS as usize;
    while index < chunks {
        let at = 2 * (map * chunks + index);
        let values = select(index + 1 < chunks, chunk, voxels - index * chunk);
        let before = Moments::<One> {
            count,
            mean,
            squares,
        };
        let next = Moments::<One> {
            count: f32::cast_from(values),
            mean: Vector::new(partial[at]),
            squares: Vector::new(partial[at + 1]),
        };
        let both = join::<One>(&before, &next);
        count = both.count;
        mean = both.mean;
        squares = both.squares;
        index += units;
    }
    let own = Moments::<One> {
        count,
        mean,
        squares,
    };
    let all = join_units::<One>(&own, 1usize, units);
    if inside && UNIT_POS == 0 {
        // Rounding can leave a little less than nothing; written so, a NaN passes.
        let squares = all.squares.extract(0usize);
        let variance = select(squares < 0.0f32, 0.0f32, squares) / all.count;
        statistics[map] = shifts[map] + all.mean.extract(0usize);
        statistics[maps + map] = 1.0f32 / (variance + epsilon).sqrt();
    }
}

/// `act(weight (x - mean) r + bias)`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn normalise<F: Float, N: Size>(
    x: &[Vector<F, N>],
    weight: &[F],
    bias: &[F],
    statistics: &[f32],
    y: &mut [Vector<F, N>],
    grid: &Grid,
    channels: usize,
    slope: f32,
    #[comptime] walk: Walk,
    #[define(F)] _dtype: ElemType,
) {
    let place = place(grid, walk);
    let maps = maps::<F, N>(weight, bias, statistics, &place, grid, channels, walk);
    let mut row = place.start;
    while row < place.end {
        let at = place.first + row * grid.width;
        let h = (Vector::<f32, N>::cast_from(x[at]) - maps.mean) * maps.r;
        let z = h * maps.weight + maps.bias;
        y[at] = Vector::cast_from(activated::<N>(z, z, slope));
        row += walk.rows;
    }
}
