//! A stdout that does not take everything.
#![cfg(unix)]

use std::{
    fs, io,
    process::{Command, Output, Stdio},
};

use voxshield::data::{PhantomConfig, write_phantom_dataset};

fn voxshield(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_voxshield"))
        .args(arguments)
        .stdout(stdout)
        .output()
        .unwrap()
}

/// As `| head` leaves it when it has seen enough.
fn closed() -> io::PipeWriter {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer
}

#[test]
fn a_reader_that_has_gone_is_no_failure() {
    for arguments in [
        &["methods"][..],
        &["methods", "--format", "json"],
        &["devices"],
    ] {
        let output = voxshield(arguments, closed());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(stderr.is_empty(), "{arguments:?}: {stderr}");
    }
}

#[test]
fn a_reader_that_has_gone_turns_no_refusal_into_success() {
    let folder = tempfile::tempdir().unwrap();
    let clean = folder.path().join("clean");
    write_phantom_dataset(&clean, 2, &PhantomConfig::new([12; 3], 5)).unwrap();
    fs::write(clean.join("imagesTr/case_001_0000.nii.gz"), "no volume").unwrap();
    let output = voxshield(&["inspect", clean.to_str().unwrap()], closed());
    assert_eq!(output.status.code(), Some(1));
}

#[test]
#[cfg(target_os = "linux")]
fn a_result_that_finds_no_room_is_an_error() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = voxshield(&["methods"], full);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("stdout: the result"), "{stderr}");
}
