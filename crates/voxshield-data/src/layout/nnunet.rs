//! nnU-Net v2: `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`, `imagesTs`, `labelsTs`, `dataset.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dataset::{Builder, Case, Dataset, Split};
use super::dataset_json::DatasetJson;
use super::decathlon::lists_its_files;
use super::error::LayoutError;
use super::grouping::{Groups, channel_list, split_channel};
use super::registry::Layout;
use super::tree::Tree;
use crate::error::DataError;
use crate::nifti::is_nifti_name;

pub(super) struct NnUnet;

impl Layout for NnUnet {
    fn name(&self) -> &'static str {
        "nnunet-v2"
    }

    fn describe(&self) -> &'static str {
        "dataset.json with channel_names, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz"
    }

    fn detect(&self, tree: &Tree) -> bool {
        // What decides is the names: a Decathlon dataset converted for nnU-Net may have kept its list, and version 1 has no
        // channel_names. Where that list is right, a number is the case's own (amos_0001), not a channel's.
        let numbered = tree
            .volumes_in("imagesTr")
            .any(|(_, stem)| split_channel(stem).is_some());
        match DatasetJson::read(tree) {
            Ok(Some(json)) if lists_its_files(&json, tree) => false,
            Ok(Some(json)) => {
                numbered || (json.get("channel_names").is_some() && json.get("training").is_none())
            }
            // A damaged dataset.json beside imagesTr: this layout's scan says what is wrong with it.
            Err(_) => tree.volumes_in("imagesTr").next().is_some(),
            Ok(None) => false,
        }
    }

    fn scan(&self, tree: &Tree) -> Result<Dataset, DataError> {
        let json = DatasetJson::read(tree)?.ok_or_else(|| LayoutError::UnknownLayout {
            path: tree.root().to_path_buf(),
            layouts: self.describe().to_string(),
        })?;
        let mut builder = Builder::new(tree, self.name());
        builder.channels = json
            .channels(&["channel_names", "modality"])?
            .ok_or_else(|| json.error("\"channel_names\" is missing"))?;
        builder.labels = json.labels()?;
        if let Some(ending) = json.get("file_ending").and_then(|ending| ending.as_str())
            && !is_nifti_name(&format!("case{ending}"))
        {
            return Err(json.error(format!(
                "\"file_ending\" is {ending:?}; only NIfTI is supported: convert the dataset"
            )));
        }
        for (images, labels, split) in [
            ("imagesTr", "labelsTr", Split::Train),
            ("imagesTs", "labelsTs", Split::Test),
        ] {
            scan_split(tree, &mut builder, images, labels, split);
        }
        Ok(builder.finish())
    }
}

fn scan_split(tree: &Tree, builder: &mut Builder<'_>, images: &str, labels: &str, split: Split) {
    let groups = Groups::new(tree.volumes_in(images));
    for (id, path, other) in groups.duplicates {
        let error = LayoutError::DuplicateCase {
            path: builder.full(&path),
            id: id.clone(),
            other: builder.full(&other),
        };
        builder.problem(&id, &path, error);
    }
    let wanted = builder.channels.len() as u16;
    let label_files: BTreeMap<&str, &Path> = tree
        .volumes_in(labels)
        .map(|(path, stem)| (stem, path))
        .collect();
    for (id, files) in &groups.cases {
        let label = label_files.get(id.as_str()).map(PathBuf::from);
        let complete = files.keys().copied().eq(0..wanted);
        if !complete {
            for path in files.values().chain(&label) {
                builder.claim(path);
            }
            if let Some(first) = files.values().next() {
                let error = LayoutError::Channels {
                    path: builder.full(first),
                    expected: channel_list(0..wanted),
                    found: channel_list(files.keys().copied()),
                };
                builder.problem(id, first, error);
            }
            continue;
        }
        let case = Case {
            id: id.clone(),
            images: files.values().cloned().collect(),
            label,
            split,
        };
        builder.case(case, &format!("{labels}/{id}.nii.gz"));
    }
    for (stem, path) in label_files {
        if !groups.cases.contains_key(stem) {
            let error = LayoutError::MissingImage {
                path: builder.full(path),
                expected: format!("{images}/{stem}_0000.nii.gz"),
            };
            builder.problem(stem, path, error);
        }
    }
}
