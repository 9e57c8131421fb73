use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::{
    data::{
        FailedCase, MANIFEST_NAME, OtherRecord, SIGNATURE_NAME, UNLOCK_FOLDER, copy_file_atomic,
        sha256_file,
    },
    pipeline::{
        PipelineError, ProtectEvent, Scanned,
        write::{create_parent, manifest_path},
    },
};

/// Endings of what describes a dataset. Anything else is left out: a list of what may hold voxels would never be complete.
const TEXTS: [&str; 17] = [
    "json", "txt", "md", "rst", "csv", "tsv", "yaml", "yml", "toml", "xml", "html", "cff", "bib",
    "bval", "bvec", "py", "sh",
];
/// Documents that are not text, and how they begin.
const DOCUMENTS: [(&str, &[u8]); 2] = [("pdf", b"%PDF"), ("xlsx", b"PK\x03\x04")];
/// What files without an ending are called.
const NAMES: [&str; 9] = [
    "license",
    "licence",
    "copying",
    "notice",
    "readme",
    "changes",
    "changelog",
    "citation",
    "version",
];
/// So much of a file is looked at: keys are shorter.
const LOOK: u64 = 1 << 20;
/// What private keys say of themselves: those of `keygen`, and PEM.
const SECRETS: [&str; 2] = ["AGE-SECRET-KEY-1", "PRIVATE KEY-----"];

/// Copies what belongs to the dataset but to no case (dataset.json, licences), where it is a text or a document: what may hold voxels
/// is never copied unprotected, and private keys are not published. Returns what was copied.
pub(super) fn copy_auxiliary(
    scanned: &Scanned,
    output: &Path,
    skipped: &mut Vec<FailedCase>,
    observer: &mut dyn FnMut(ProtectEvent<'_>),
) -> Result<Vec<OtherRecord>, PipelineError> {
    let (mut copied, mut names) = (Vec::new(), BTreeSet::new());
    for relative in &scanned.dataset.auxiliary {
        let source = scanned.dataset.root.join(relative);
        let refused = refusal(relative, &source).map_err(|error| PipelineError::Io {
            action: "read the file",
            path: source.clone(),
            source: error,
        })?;
        let path = manifest_path(relative);
        // The manifest has each file once, on every system.
        let taken = !names.insert(path.to_lowercase());
        let taken = taken.then_some("has the name of another file but for capitals");
        if let Some(reason) = refused.or(taken) {
            let reason = format!("{reason}: not copied to the output");
            observer(ProtectEvent::Warning(format!("{path}: {reason}")));
            skipped.push(FailedCase {
                id: String::new(),
                path,
                reason,
            });
            continue;
        }
        let target = output.join(relative);
        create_parent(&target)?;
        copy_file_atomic(&source, &target)?;
        copied.push(OtherRecord {
            path,
            sha256: sha256_file(&target)?,
        });
    }
    Ok(copied)
}

/// Why a file is not copied.
fn refusal(relative: &Path, source: &Path) -> io::Result<Option<&'static str>> {
    // Those of an earlier protection say nothing about this one.
    let earlier = [MANIFEST_NAME, SIGNATURE_NAME].map(Path::new);
    if earlier.contains(&relative) || relative.starts_with(UNLOCK_FOLDER) {
        return Ok(Some("is part of an earlier protection"));
    }
    let name = relative.file_name().unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    let magic = DOCUMENTS.iter().find(|(known, _)| *known == ending);
    let is_text = TEXTS.contains(&ending) || NAMES.contains(&stem) && magic.is_none();
    if !is_text && magic.is_none() {
        return Ok(Some("belongs to no case, and is no text or document"));
    }
    let mut start = Vec::new();
    File::open(source)?.take(LOOK).read_to_end(&mut start)?;
    let as_named = match magic {
        Some((_, magic)) => start.starts_with(magic),
        None => !start.contains(&0) && !start.starts_with(b"\x1f\x8b"),
    };
    if !as_named {
        return Ok(Some("is not what its ending says, and may hold voxels"));
    }
    let holds = |secret: &&str| {
        start
            .windows(secret.len())
            .any(|part| part == secret.as_bytes())
    };
    let secret = SECRETS.iter().any(holds);
    Ok(secret.then_some("holds a private key; keep it elsewhere"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_documents_are_copied_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |name: &str, content: &[u8]| {
            let source = folder.path().join("file");
            std::fs::write(&source, content).unwrap();
            refusal(Path::new(name), &source).unwrap().is_some()
        };
        for (name, content) in [
            ("dataset.json", &b"{}"[..]),
            ("LICENSE", b"MIT"),
            ("docs/README.MD", b"text"),
            ("License.txt", b"MIT"),
            ("paper.pdf", b"%PDF-1.7 \0\0"),
            ("table.xlsx", b"PK\x03\x04\0"),
            ("empty.csv", b""),
        ] {
            assert!(!refused(name, content), "{name}");
        }
        for (name, content) in [
            ("scan.nii.gz.bak", &b"\x1f\x8b\x08"[..]),
            ("IM000001", b"text"),
            ("slices/001.png", b"\x89PNG"),
            ("volume.txt", b"\x5c\x01\0\0"),
            ("volume.csv", b"\x1f\x8b\x08"),
            ("paper.pdf", b"\x1f\x8b\x08"),
            ("owner.pem", b"-----BEGIN PRIVATE KEY-----"),
            ("notes.txt", b"x\n-----BEGIN PRIVATE KEY-----\nMC4"),
            ("partner.txt", b"# created\nAGE-SECRET-KEY-1QQ"),
            ("generator.safetensors", b"{}"),
            ("voxshield.json", b"{}"),
            ("voxshield.json.sig", b"x"),
            ("voxshield-unlock/images/a.txt", b"x"),
        ] {
            assert!(refused(name, content), "{name}");
        }
    }
}
