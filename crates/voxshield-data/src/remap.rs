//! Label values by a table.

use std::collections::BTreeMap;

use ndarray::{Array3, ArrayView3};

/// What [`remap_labels`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remapped {
    /// The new labels, `[depth, height, width]`.
    pub labels: Array3<u16>,
    /// Values that the table does not have, with the number of their voxels; these became 0. Empty if every voxel was known.
    pub unknown: BTreeMap<u16, u64>,
}

/// Replaces every label by the table's value for it; 0 stays 0 unless the table says otherwise.
///
/// Labels that the table does not have become background, as in the reference implementation, which does so silently: here
/// they are counted, so that a caller can refuse. `labels` are `[depth, height, width]`.
///
/// # Examples
///
/// ```
/// use std::collections::BTreeMap;
/// // BraTS before 2023 has no class 3.
/// let table = BTreeMap::from([(1, 1), (2, 2), (4, 3)]);
/// let labels = ndarray::arr3(&[[[0u16, 4, 7]]]);
/// let remapped = voxshield_data::remap_labels(labels.view(), &table);
/// assert_eq!(remapped.labels, ndarray::arr3(&[[[0, 3, 0]]]));
/// assert_eq!(remapped.unknown, BTreeMap::from([(7, 1)]));
/// ```
#[must_use]
pub fn remap_labels(labels: ArrayView3<'_, u16>, table: &BTreeMap<u16, u16>) -> Remapped {
    let mut unknown = BTreeMap::new();
    let labels = labels.mapv(|label| match (table.get(&label), label) {
        (Some(&new), _) => new,
        (None, 0) => 0,
        (None, _) => {
            *unknown.entry(label).or_insert(0) += 1;
            0
        }
    });
    Remapped { labels, unknown }
}
