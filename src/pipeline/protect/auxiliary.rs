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
/// Documents that are not text, and their first four bytes.
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
/// Endings of what may have pictures, or compressed parts, in it: nobody looks into them.
const OPAQUE: [&str; 3] = ["pdf", "xlsx", "html"];
/// What private keys say of themselves, in lower case: those of age (and `keygen`), of PEM and OpenSSH, SSH2, PGP and PuTTY.
const SECRETS: [&str; 6] = [
    "age-secret-key-",
    "private key----",
    "private key ----",
    "private key block----",
    "private key block ----",
    "putty-user-key-file-",
];
/// So many bytes of a file are read at a time.
const PART: u64 = 1 << 16;

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
        let path = manifest_path(relative);
        let refused =
            refusal(relative, &source).map_err(PipelineError::io("read the file", &source))?;
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
        if OPAQUE.contains(&parts_of_name(relative).1.as_str()) {
            observer(ProtectEvent::Warning(format!(
                "{path}: copied as it is; whether it shows slices of the volumes was not looked into"
            )));
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
    let (stem, ending) = parts_of_name(relative);
    let magic = DOCUMENTS.iter().find(|(known, _)| *known == ending);
    let is_text =
        TEXTS.contains(&ending.as_str()) || NAMES.contains(&stem.as_str()) && magic.is_none();
    if !is_text && magic.is_none() {
        return Ok(Some("belongs to no case, and is no text or document"));
    }
    let content = Content::of(source)?;
    let as_named = match magic {
        Some((_, magic)) => content.start == *magic,
        None => !content.has_nul && !content.start.starts_with(b"\x1f\x8b"),
    };
    if !as_named {
        return Ok(Some("is not what its ending says, and may hold voxels"));
    }
    let secret = content.has_secret;
    Ok(secret.then_some("holds a private key; keep it elsewhere"))
}

/// The name before its last dot, and after it, in lower case.
fn parts_of_name(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().to_lowercase();
    let (stem, ending) = name.rsplit_once('.').unwrap_or((&name, ""));
    (stem.to_owned(), ending.to_owned())
}

/// What was found in a file, all of which was read.
#[derive(Default)]
struct Content {
    /// Its first four bytes.
    start: Vec<u8>,
    has_nul: bool,
    /// Whether it says that it has a private key, in whatever case.
    has_secret: bool,
}

impl Content {
    fn of(path: &Path) -> io::Result<Self> {
        let longest = SECRETS.map(str::len).into_iter().max().unwrap_or(0);
        let mut file = File::open(path)?;
        let (mut found, mut part) = (Self::default(), Vec::new());
        loop {
            // The last bytes may be the first of a word that the next part ends.
            let seen = part.len().min(longest);
            part.drain(..part.len() - seen);
            if Read::by_ref(&mut file).take(PART).read_to_end(&mut part)? == 0 {
                return Ok(found);
            }
            let new = &mut part[seen..];
            if found.start.is_empty() {
                found.start = new[..new.len().min(4)].to_vec();
            }
            found.has_nul |= new.contains(&0);
            new.make_ascii_lowercase();
            let has = |word: &str| part.windows(word.len()).any(|text| text == word.as_bytes());
            found.has_secret |= SECRETS.into_iter().any(has);
        }
    }
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
        // Behind the first MiB, and across the border of two parts that are read.
        let before = (1 << 20) + PART as usize - 7;
        let late = [&vec![b'x'; before][..], b"AGE-SECRET-KEY-1QQ"].concat();
        for (name, content) in [
            ("dataset.json", &b"{}"[..]),
            ("LICENSE", b"MIT"),
            ("docs/README.MD", b"text"),
            ("License.txt", b"MIT"),
            ("paper.pdf", b"%PDF-1.7 \0\0"),
            ("table.xlsx", b"PK\x03\x04\0"),
            ("empty.csv", b""),
            (
                "security.md",
                b"Keep your private key - the age one - to yourself.",
            ),
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
            ("lower.txt", b"age-secret-key-1qq"),
            ("pgp.txt", b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n"),
            ("ssh2.txt", b"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n"),
            ("putty.txt", b"PuTTY-User-Key-File-3: ssh-ed25519"),
            ("late.txt", &late),
            ("late-nul.csv", &[&vec![b'1'; 1 << 20][..], b"\0"].concat()),
            ("generator.safetensors", b"{}"),
            ("voxshield.json", b"{}"),
            ("voxshield.json.sig", b"x"),
            ("voxshield-unlock/images/a.txt", b"x"),
        ] {
            assert!(refused(name, content), "{name}");
        }
    }
}
