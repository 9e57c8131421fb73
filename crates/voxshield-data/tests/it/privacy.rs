//! Free text in headers.

use std::io::Write;

use flate2::{Compression, GzBuilder};
use voxshield_data::{StoredVolume, identifying_gzip};

use crate::support::Nifti;

fn found(bytes: &[u8]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    std::fs::write(&path, bytes).unwrap();
    StoredVolume::read(&path).unwrap().identifying_fields()
}

#[test]
fn text_in_fields_and_extensions_is_found_in_both_versions_and_byte_orders() {
    for (two, big) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut file = Nifti::i16(&[2, 2, 2], &[1; 8]);
        (file.two, file.big) = (two, big);
        assert!(found(&file.bytes()).is_empty(), "{two} {big}");
        let number = |value: i32| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut extension = vec![1, 0, 0, 0];
        for (code, text) in [(2, "Doe^Jane"), (6, "scanned at St. Anne")] {
            let mut content = text.as_bytes().to_vec();
            content.resize((8 + content.len()).next_multiple_of(16) - 8, 0);
            extension.extend(number(content.len() as i32 + 8));
            extension.extend(number(code));
            extension.extend(content);
        }
        file.extension = extension;
        let mut bytes = file.bytes();
        let at = if two {
            [240, 320, 508]
        } else {
            [148, 228, 328]
        };
        for (at, text) in at.into_iter().zip(["Jane 1970", "doe.img", "knee"]) {
            bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        let found = found(&bytes);
        let expected = [
            "descrip says \"Jane 1970\"",
            "aux_file says \"doe.img\"",
            "intent_name says \"knee\"",
            "DICOM attributes: \"Doe^Jane\"",
            "a comment: \"scanned at St. Anne\"",
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}");
        }
    }
}

/// Lengths that lie end the list; nothing is read outside of the header.
#[test]
fn extensions_that_lie_are_no_panic() {
    for size in [0, -8, 7, 8, i32::MAX] {
        let mut file = Nifti::i16(&[2, 2, 2], &[1; 8]);
        file.extension = [
            &[1, 0, 0, 0][..],
            &i32::to_le_bytes(size),
            &[2, 0, 0, 0],
            b"Jane Doe",
        ]
        .concat();
        assert!(found(&file.bytes()).len() <= 1);
    }
}

/// The name that a file had when it was compressed stays in it under every new name.
#[test]
fn what_gzip_headers_say_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("case_001.nii.gz");
    let said = |builder: GzBuilder| {
        let mut encoder = builder.write(vec![], Compression::fast());
        encoder.write_all(b"voxels").unwrap();
        std::fs::write(&path, encoder.finish().unwrap()).unwrap();
        identifying_gzip(&path)
    };
    let both = GzBuilder::new()
        .filename("Doe^Jane.nii")
        .comment("born 1970");
    let found = said(both);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("Doe^Jane.nii") && found[1].contains("born 1970"));
    // gzip itself writes the name that the file still has.
    let own = said(GzBuilder::new().filename("case_001.nii"));
    assert!(own.is_empty(), "{own:?}");
    assert!(said(GzBuilder::new()).is_empty());
    std::fs::write(&path, b"\x1f\x8b").unwrap();
    assert!(identifying_gzip(&path).is_empty());
    assert!(identifying_gzip(folder.path()).is_empty());
}
