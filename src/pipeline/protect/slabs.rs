use std::ops::Range;

use burn::tensor::Device;
use ndarray::{Array4, Axis, concatenate, s};

use super::{Origin, origin::Stored};
use crate::{
    data::IntensityRange,
    perturb::{
        Budget, CodedCase, DeltaStore, Generator, NoiseStream, PerturbError, SharedNoise,
        TileConfig, TileRows, Window, generate, generate_tile,
    },
    pipeline::{PipelineError, PreparedCase, ProtectOptions, case::case_seed},
};

/// A generator goes over volumes of up to so many voxels, all channels together, before they are written, and its device has nothing
/// to wait for; over larger ones while they are.
const AT_ONCE: usize = 1 << 26;

/// The perturbation of one case before support and clipping, slab by slab in order.
pub(in crate::pipeline) struct DeltaSlabs<'a>(Kind<'a>);

enum Kind<'a> {
    Drawn(NoiseStream),
    Coded(CodedCase),
    Tiled(Box<Tiles<'a>>),
    Shared(&'a SharedNoise),
    Stored {
        stored: &'a Stored,
        case: usize,
    },
    /// `[channel, depth, height, width]`.
    Whole(Vec<f32>),
}

impl Origin {
    /// The perturbation of a case.
    pub(in crate::pipeline) fn slabs<'a>(
        &'a self,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
        id: &str,
        options: &ProtectOptions,
        device: &'a Device,
    ) -> Result<DeltaSlabs<'a>, PipelineError> {
        let (channels, shape) = (prepared.volume.channels(), prepared.volume.shape());
        let voxels: usize = shape.iter().product();
        let budget = Budget::new(options.method.epsilon())?;
        let tiles = TileConfig {
            patch: options.method.trained_on(),
            ..options.tiles
        };
        Ok(DeltaSlabs(match self {
            Self::Drawn { noise, seed } => {
                let seed = case_seed(*seed, id);
                Kind::Drawn(noise.stream(budget, channels, voxels, seed)?)
            }
            Self::Coded { code, seed } => {
                Kind::Coded(code.of_case(&prepared.slices(ranges), *seed, budget))
            }
            Self::Learned(generator) if channels * voxels <= AT_ONCE => {
                let image = prepared.normalised(ranges);
                let labels = prepared.label_values();
                Kind::Whole(generate(
                    generator, &image, &labels, channels, shape, tiles, device,
                )?)
            }
            Self::Learned(generator) => {
                let multiple = generator.size_multiple();
                // Where there are labels is one more.
                let channels = (channels + 1, channels);
                let rows = TileRows::new(channels, shape, multiple, tiles)?;
                Kind::Tiled(Box::new(Tiles {
                    generator,
                    device,
                    rows,
                    row: 0,
                    clean: Slab::empty(channels.0, shape),
                    delta: Slab::empty(channels.1, shape),
                }))
            }
            Self::Shared(noise) => Kind::Shared(noise),
            Self::Stored(stored) => match stored.places.get(id) {
                Some(&case) => Kind::Stored { stored, case },
                None => {
                    let reason =
                        format!("{id}: the run that found the perturbations did not have it");
                    return Err(PerturbError::Source {
                        case: stored.places.len(),
                        source: reason.into(),
                    }
                    .into());
                }
            },
        }))
    }
}

impl DeltaSlabs<'_> {
    /// The perturbation of the next slices, `[channel, slices, height, width]`. Slices before them may have been perturbed already,
    /// those from them on not.
    pub(in crate::pipeline) fn next(
        &mut self,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
        slices: Range<usize>,
    ) -> Result<Vec<f32>, PipelineError> {
        let shape = prepared.volume.shape();
        let [depth, height, width] = shape;
        let slice = height * width;
        Ok(match &mut self.0 {
            Kind::Drawn(noise) => noise.next(slices.len() * slice),
            Kind::Coded(code) => code.delta(&prepared.slices(ranges), slices)?,
            Kind::Shared(noise) => {
                noise.delta_of_slices(&prepared.label_slab(slices.clone()), shape, slices)?
            }
            Kind::Stored { stored, case } => {
                let window = Window {
                    volume: shape,
                    start: [slices.start as i64, 0, 0],
                    shape: [slices.len(), height, width],
                };
                let codes = stored.deltas.read(*case, window).map_err(|source| {
                    let case = *case;
                    PerturbError::Source { case, source }
                })?;
                let codes = codes.into_iter();
                codes.map(|code| stored.code.decode(code)).collect()
            }
            Kind::Tiled(tiles) => tiles.next(prepared, ranges, slices)?,
            Kind::Whole(delta) => {
                let volumes = delta.chunks((depth * slice).max(1));
                volumes
                    .flat_map(|volume| &volume[slices.start * slice..slices.end * slice])
                    .copied()
                    .collect()
            }
        })
    }
}

/// A generator that goes over a volume row of tiles by row of tiles.
struct Tiles<'a> {
    generator: &'a Generator,
    device: &'a Device,
    rows: TileRows,
    /// The next one.
    row: usize,
    /// Slices that rows to come need, and that may be perturbed by then.
    clean: Slab,
    /// Slices that are computed and not asked for yet.
    delta: Slab,
}

impl Tiles<'_> {
    fn next(
        &mut self,
        prepared: &PreparedCase,
        ranges: &[IntensityRange],
        slices: Range<usize>,
    ) -> Result<Vec<f32>, PipelineError> {
        while self.delta.end() < slices.end {
            let (input, output) = (self.rows.input(self.row), self.rows.output(self.row));
            let (channels, [_, height, width]) =
                (prepared.volume.channels(), prepared.volume.shape());
            let new = self.clean.end()..input.end;
            let mut values = prepared.normalised_slab(ranges, new.clone());
            let labels = prepared.label_slab(new.clone()).into_iter();
            values.extend(labels.map(|label| f32::from(u8::from(label > 0))));
            self.clean
                .append([channels + 1, new.len(), height, width], values)?;
            self.clean.forget_before(input.start);
            let clean = self.clean.part(input);
            let result = self.rows.run(self.row, &clean, &mut |values, dims| {
                generate_tile(self.generator, values, dims, self.device)
            })?;
            self.delta
                .append([channels, output.len(), height, width], result)?;
            self.row += 1;
        }
        let delta = self.delta.part(slices.clone());
        self.delta.forget_before(slices.end);
        Ok(delta)
    }
}

/// Some slices of a volume.
struct Slab {
    first: usize,
    /// `[channel, slices, height, width]`.
    values: Array4<f32>,
}

impl Slab {
    fn empty(channels: usize, [_, height, width]: [usize; 3]) -> Self {
        Self {
            first: 0,
            values: Array4::zeros((channels, 0, height, width)),
        }
    }

    fn end(&self) -> usize {
        self.first + self.values.len_of(Axis(1))
    }

    /// Adds the slices that follow.
    fn append(&mut self, dims: [usize; 4], values: Vec<f32>) -> Result<(), PipelineError> {
        let found = values.len();
        let joined = Array4::from_shape_vec(dims, values)
            .and_then(|new| concatenate(Axis(1), &[self.values.view(), new.view()]));
        self.values = joined.map_err(|_| PerturbError::Extent {
            case: 0,
            what: "slices",
            expected: dims.iter().product(),
            found,
        })?;
        Ok(())
    }

    /// Slices that are there, in C order.
    fn part(&self, slices: Range<usize>) -> Vec<f32> {
        let part = slices.start - self.first..slices.end - self.first;
        let part = self.values.slice(s![.., part, .., ..]);
        part.iter().copied().collect()
    }

    fn forget_before(&mut self, slice: usize) {
        let gone = slice.min(self.end()) - self.first;
        if gone > 0 {
            self.values = self.values.slice(s![.., gone.., .., ..]).to_owned();
            self.first += gone;
        }
    }
}
