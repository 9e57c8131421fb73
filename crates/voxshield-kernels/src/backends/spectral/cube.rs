use burn::backend::{TensorMetadata, ops::FloatTensorOps, tensor::FloatTensor};
use burn::tensor::TensorData;
use burn_cubecl::{CubeBackend, cubecl::prelude::*, kernel::into_contiguous, tensor::CubeTensor};

use super::{
    columns::{ChunkLaunch, Columns, column_distances, column_pulls},
    fft::{Batch, table},
    plan::{Plan, SEGMENT},
    rows::{row_adjoint, row_spectra},
};
use crate::backends::cube_launch::{UNITS, add_parts, addresses, cube_dim, empty, grid};
use crate::ops::{DISTANCE_EPSILON, SpectralOps, composition};

// Sizes without a plan take the composition, on the same device: a DFT by matrix products.
impl SpectralOps for CubeBackend {
    fn slice_distances(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let Some(plan) = plan(&x) else {
            return composition::slice_distances::<Self>(x);
        };
        let x = into_contiguous(x);
        let shape = x.shape();
        let transform = Transform::new(plan, x);
        let parts = transform.distance_parts();
        let sums = add_parts(parts, [shape[0], shape[1], shape[2] - 1], 1.0);
        Self::float_sqrt(Self::float_add_scalar(sums, DISTANCE_EPSILON.into()))
    }

    fn slice_distances_backward(
        x: FloatTensor<Self>,
        distances: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let Some(plan) = plan(&x) else {
            return composition::slice_distances_backward::<Self>(x, distances, gradient);
        };
        let [x, distances, gradient] = [x, distances, gradient].map(into_contiguous);
        Transform::new(plan, x).gradient(&distances, &gradient)
    }
}

fn plan(x: &CubeTensor) -> Option<Plan> {
    let shape = x.shape();
    let shared = x.client.properties().hardware.max_shared_memory_size;
    Plan::new(shape[3], shape[4], shared)
}

/// The slices of all volumes, one after the other, and what their transforms need.
struct Transform {
    plan: Plan,
    x: CubeTensor,
    /// Slices of a volume, and of all of them.
    depth: usize,
    slices: usize,
    row_table: CubeTensor,
    column_table: CubeTensor,
}

impl Transform {
    fn new(plan: Plan, x: CubeTensor) -> Self {
        let shape = x.shape();
        let upload =
            |n: usize| CubeBackend::float_from_data(TensorData::new(table(n), [2, n]), &x.device());
        Self {
            plan,
            depth: shape[2],
            slices: shape[0] * shape[1] * shape[2],
            row_table: upload(plan.width),
            column_table: upload(plan.height),
            x,
        }
    }

    fn rows(&self) -> Batch {
        Batch {
            n: self.plan.width,
            count: self.plan.pairs,
            units: UNITS,
        }
    }

    fn columns(&self) -> Columns {
        let batch = Batch {
            n: self.plan.height,
            count: self.plan.columns,
            units: UNITS,
        };
        Columns {
            width: self.plan.width,
            batch,
        }
    }

    fn row_grid(&self, slices: usize) -> CubeCount {
        let pairs = slices * self.plan.pairs_of_slice();
        grid(&self.x.client, pairs.div_ceil(self.plan.pairs))
    }

    fn column_grid(&self, slices: usize) -> CubeCount {
        grid(
            &self.x.client,
            slices.div_ceil(SEGMENT) * self.plan.blocks(),
        )
    }

    /// Room for the half spectra of `slices` slices.
    fn buffer(&self, slices: usize) -> CubeTensor {
        empty(&self.x, [2, slices, self.plan.half, self.plan.height])
    }

    /// Fills `spectra` with the row transforms of the slices from `first` on.
    fn transform_rows(&self, first: usize, slices: usize, spectra: &CubeTensor) {
        row_spectra::launch(
            &self.x.client,
            self.row_grid(slices),
            cube_dim(),
            addresses(&[&self.x, spectra]),
            self.x.clone().into_buffer_arg(),
            self.row_table.clone().into_buffer_arg(),
            spectra.clone().into_buffer_arg(),
            first,
            slices,
            self.plan.height,
            self.rows(),
        );
    }

    /// The squared distances, `[pair, block]`; neighbouring chunks share a slice.
    fn distance_parts(&self) -> CubeTensor {
        let pairs = self.slices / self.depth * (self.depth - 1);
        let parts = empty(&self.x, [pairs, self.plan.blocks()]);
        let room = (self.plan.chunk + 1).min(self.slices);
        let spectra = self.buffer(room);
        for first in (0..self.slices - 1).step_by(room - 1) {
            let slices = room.min(self.slices - first);
            self.transform_rows(first, slices, &spectra);
            column_distances::launch(
                &self.x.client,
                self.column_grid(slices - 1),
                cube_dim(),
                addresses(&[&spectra, &parts]),
                spectra.clone().into_buffer_arg(),
                self.column_table.clone().into_buffer_arg(),
                parts.clone().into_buffer_arg(),
                ChunkLaunch::new(first, slices, self.depth),
                self.columns(),
            );
        }
        parts
    }

    fn gradient(&self, distances: &CubeTensor, gradient: &CubeTensor) -> CubeTensor {
        let out = empty(&self.x, self.x.shape());
        let most = self.plan.chunk.min(self.slices);
        let spectra = self.buffer((most + 2).min(self.slices));
        let pulls = self.buffer(most);
        for start in (0..self.slices).step_by(most) {
            let owned = most.min(self.slices - start);
            let first = start.saturating_sub(1);
            let slices = (start + owned + 1).min(self.slices) - first;
            self.transform_rows(first, slices, &spectra);
            column_pulls::launch(
                &self.x.client,
                self.column_grid(owned),
                cube_dim(),
                addresses(&[&spectra, &pulls]),
                spectra.clone().into_buffer_arg(),
                self.column_table.clone().into_buffer_arg(),
                distances.clone().into_buffer_arg(),
                gradient.clone().into_buffer_arg(),
                pulls.clone().into_buffer_arg(),
                ChunkLaunch::new(first, slices, self.depth),
                start - first,
                owned,
                self.columns(),
            );
            row_adjoint::launch(
                &self.x.client,
                self.row_grid(owned),
                cube_dim(),
                addresses(&[&pulls, &out]),
                pulls.clone().into_buffer_arg(),
                self.row_table.clone().into_buffer_arg(),
                out.clone().into_buffer_arg(),
                start,
                owned,
                self.plan.height,
                self.rows(),
            );
        }
        out
    }
}
