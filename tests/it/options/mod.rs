//! What an owner may choose beside the method.

mod labels;
mod saved_generator;
mod supports;

use std::path::Path;

use voxshield::data::{Manifest, StoredVolume};

/// `|v' - v|` of each voxel, and its label, of a case of `phantoms`, both in stored order.
fn changes(clean: &Path, out: &Path, manifest: &Manifest) -> Vec<(f64, u16)> {
    let case = &manifest.cases[0];
    let file = |root: &Path| StoredVolume::read(&root.join(&case.files[0].path)).unwrap();
    let (before, after) = (file(clean), file(out));
    let label = clean.join(
        case.files[0]
            .path
            .replace("imagesTr", "labelsTr")
            .replace("_0000", ""),
    );
    let labels = StoredVolume::read(&label).unwrap();
    before
        .values()
        .zip(after.values())
        .zip(labels.values())
        .map(|((a, b), label)| ((a - b).abs(), label as u16))
        .collect()
}
