//! What file names say about NIfTI.

use std::path::{Path, PathBuf};

use crate::error::DataError;

/// Endings of the file that names a volume (the `.img` of a pair is its companion, not a second volume).
const NAMING: [&str; 4] = [".nii", ".nii.gz", ".hdr", ".hdr.gz"];
/// Endings of voxel files.
const IMAGE: [&str; 2] = [".img", ".img.gz"];

/// Whether a file name is that of a volume: `.nii`, `.nii.gz`, `.hdr` or `.hdr.gz`, in any case.
#[must_use]
pub fn is_nifti_name(name: &str) -> bool {
    nifti_stem(name).is_some()
}

/// The name without its NIfTI ending; `None` for other names and for the `.img` of a pair.
pub(crate) fn nifti_stem(name: &str) -> Option<&str> {
    NAMING
        .iter()
        .find_map(|ending| strip_ignore_case(name, ending))
        .filter(|stem| !stem.is_empty())
}

/// Whether `name` ends in `ending`, in any case.
pub(crate) fn ends_with_ignore_case(name: &str, ending: &str) -> bool {
    strip_ignore_case(name, ending).is_some()
}

fn strip_ignore_case<'a>(name: &'a str, ending: &str) -> Option<&'a str> {
    let at = name.len().checked_sub(ending.len())?;
    let (stem, tail) = name.split_at_checked(at)?;
    tail.eq_ignore_ascii_case(ending).then_some(stem)
}

/// All files that make up the volume at `path`: the file itself, or header and voxel file of a pair.
///
/// # Errors
/// [`DataError::MissingPair`] when one half is not there, whichever half was given.
pub fn file_parts(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(match role(path) {
        Role::Header => vec![path.to_path_buf(), sibling(path, &IMAGE)?],
        Role::Image => vec![sibling(path, &[".hdr", ".hdr.gz"])?, path.to_path_buf()],
        Role::Single => vec![path.to_path_buf()],
    })
}

/// What a name says the file is; the magic has the last word on single files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Single,
    Header,
    Image,
}

pub(crate) fn role(path: &Path) -> Role {
    let name = file_name(path);
    if [".hdr", ".hdr.gz"]
        .iter()
        .any(|ending| ends_with_ignore_case(&name, ending))
    {
        Role::Header
    } else if IMAGE
        .iter()
        .any(|ending| ends_with_ignore_case(&name, ending))
    {
        Role::Image
    } else {
        Role::Single
    }
}

/// The other half of a pair: same stem, one of `endings`, in lower or upper case.
pub(crate) fn sibling(path: &Path, endings: &[&str]) -> Result<PathBuf, DataError> {
    let name = file_name(path);
    let stem = [".hdr", ".hdr.gz", ".img", ".img.gz"]
        .iter()
        .find_map(|ending| strip_ignore_case(&name, ending))
        .unwrap_or(&name);
    let candidates = endings.iter().flat_map(|ending| {
        [(*ending).to_string(), ending.to_ascii_uppercase()]
            .map(|ending| path.with_file_name(format!("{stem}{ending}")))
    });
    candidates
        .clone()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| DataError::MissingPair {
            path: path.to_path_buf(),
            missing: candidates
                .into_iter()
                .next()
                .unwrap_or_else(|| path.to_path_buf()),
        })
}

/// The target name of the other half when a pair is written: the source's ending on the target's stem.
pub(crate) fn sibling_target(target: &Path, source: &Path) -> PathBuf {
    let (target_name, source_name) = (file_name(target), file_name(source));
    let ends = [".hdr", ".hdr.gz", ".img", ".img.gz"];
    let stem = |name: &str| {
        ends.iter()
            .find_map(|ending| strip_ignore_case(name, ending))
            .map_or(name.len(), str::len)
    };
    let stem_of_target = target_name.get(..stem(&target_name)).unwrap_or_default();
    let ending = source_name.get(stem(&source_name)..).unwrap_or_default();
    target.with_file_name(format!("{stem_of_target}{ending}"))
}

/// File name as text; other encodings are read lossily, which only endings depend on.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for name in ["a.nii", "a.NII.GZ", "a.b.hdr", "a.Hdr.gz"] {
            assert!(is_nifti_name(name), "{name}");
        }
        for name in ["a.img", "a.nii.txt", ".nii", "nii", "", "é.ni"] {
            assert!(!is_nifti_name(name), "{name}");
        }
        assert_eq!(nifti_stem("case.v1.nii.gz"), Some("case.v1"));
    }

    #[test]
    fn pairs_are_found_in_either_case_and_from_either_half() {
        let folder = tempfile::tempdir().unwrap();
        let hdr = folder.path().join("v.hdr");
        let img = folder.path().join("v.IMG");
        std::fs::write(&hdr, b"").unwrap();
        let error = file_parts(&hdr).unwrap_err();
        assert!(error.to_string().contains("v.img"), "{error}");
        std::fs::write(&img, b"").unwrap();
        assert_eq!(file_parts(&hdr).unwrap(), [hdr.clone(), img.clone()]);
        assert_eq!(file_parts(&img).unwrap(), [hdr, img]);
    }

    #[test]
    fn written_halves_keep_their_endings() {
        let target = sibling_target(Path::new("out/new.hdr"), Path::new("in/old.img.gz"));
        assert_eq!(target, Path::new("out/new.img.gz"));
    }
}
