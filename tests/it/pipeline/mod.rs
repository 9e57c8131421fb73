//! `protect` and `verify`.

mod budget;
mod failures;
mod finished;
mod inputs;
mod methods;
mod resume;

use std::{fs, path::Path};

use voxshield::{
    data::{MANIFEST_NAME, StoredVolume, discover, sha256_file},
    perturb::Support,
    pipeline::{ProtectOptions, protect, verify},
};

use crate::support::{learned, phantoms};

fn hashes(root: &Path) -> Vec<(String, String)> {
    let mut all: Vec<_> = walk(root)
        .iter()
        .map(|p| {
            (
                p.display()
                    .to_string()
                    .replace(&root.display().to_string(), ""),
                sha256_file(p).unwrap(),
            )
        })
        .filter(|(name, _)| !name.ends_with(MANIFEST_NAME))
        .collect();
    all.sort();
    all
}

fn walk(root: &Path) -> Vec<std::path::PathBuf> {
    fs::read_dir(root)
        .unwrap()
        .flat_map(|entry| {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn protected_files_keep_every_promise_and_the_source_is_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, 3, 5);
    let before = hashes(&clean);
    for support in Support::ALL {
        let out = out.join(support.name());
        let options = ProtectOptions {
            support,
            ..learned()
        };
        let manifest = protect(&clean, &out, &options, &mut |_| {}).unwrap();
        assert_eq!((manifest.cases.len(), manifest.failed.len()), (3, 0));
        for case in &manifest.cases {
            assert!(case.achieved > 0.0 && case.achieved <= manifest.epsilon);
            assert!(case.changed_voxels > 0 && case.changed_voxels <= case.support_voxels);
            let (clean, out) = (
                clean.join(&case.files[0].path),
                out.join(&case.files[0].path),
            );
            let (clean, out) = (
                StoredVolume::read(&clean).unwrap(),
                StoredVolume::read(&out).unwrap(),
            );
            assert_eq!(clean.header_bytes(), out.header_bytes());
        }
        let report = verify(&clean, &out, &mut |_| {}).unwrap();
        assert!(report.is_kept(), "{report:?}");
        assert_eq!(discover(&out).unwrap().layout, "nnunet-v2");
    }
    assert_eq!(hashes(&clean), before, "the dataset was written to");
}
