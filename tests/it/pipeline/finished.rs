//! Outputs that are complete, or were changed, when a run comes back to them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use voxshield::{
    data::{
        MANIFEST_NAME, PublicKey, Recipients, SIGNATURE_NAME, SigningKey, generate_identity,
        generate_signing_key,
    },
    pipeline::{PipelineError, ProtectEvent, ProtectOptions, protect},
};

use super::hashes;
use crate::support::{assert_kept, learned, phantoms, random, run};

const CASES: u64 = 4;

struct Setting {
    folder: tempfile::TempDir,
    clean: PathBuf,
    out: PathBuf,
}

fn setting() -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let (clean, out) = (folder.path().join("clean"), folder.path().join("out"));
    phantoms(&clean, CASES, 5);
    Setting { folder, clean, out }
}

impl Setting {
    /// A new pair of keys, to sign and to check with.
    fn keys(&self) -> (SigningKey, PublicKey) {
        let path = self.folder.path().join("owner.pem");
        let public = generate_signing_key(&path).unwrap();
        (
            SigningKey::open(&path).unwrap(),
            PublicKey::open(&public).unwrap(),
        )
    }
}

fn resumed() -> ProtectOptions {
    ProtectOptions {
        resume: true,
        ..random(0.05)
    }
}

/// Half of the cases are written: an output to go on from.
fn interrupted(clean: &Path, out: &Path) {
    let options = ProtectOptions {
        shard: Some("1/2".parse().unwrap()),
        ..resumed()
    };
    run(clean, out, &options).unwrap();
}

#[test]
fn what_another_process_completes_meanwhile_is_left_as_it_is() {
    let it = setting();
    let (key, public) = it.keys();
    interrupted(&it.clean, &it.out);
    let manifest = it.out.join(MANIFEST_NAME);
    let (mut other, mut started) = (None, 0);
    let found = protect(&it.clean, &it.out, &resumed(), &mut |event| match event {
        // After the output was looked at, and before it is locked.
        ProtectEvent::Scanned(_) => {
            other = Some(run(&it.clean, &it.out, &resumed()).unwrap());
            key.sign(&manifest, &fs::read(&manifest).unwrap()).unwrap();
        }
        ProtectEvent::CaseStarted { .. } => started += 1,
        _ => {}
    });
    assert_eq!(started, 0, "no case is written again");
    assert_eq!(Some(found.unwrap()), other);
    public.check(&manifest).unwrap();
    assert!(!it.out.join(".voxshield").exists());
    assert_kept(&it.clean, &it.out);
}

#[test]
fn what_another_process_completes_otherwise_is_refused_and_left_as_it_is() {
    let it = setting();
    let mut before = Vec::new();
    let options = ProtectOptions {
        resume: true,
        ..random(0.06)
    };
    let error = protect(&it.clean, &it.out, &options, &mut |event| {
        if let ProtectEvent::Scanned(_) = event {
            run(&it.clean, &it.out, &resumed()).unwrap();
            before = hashes(&it.out);
        }
    })
    .unwrap_err();
    assert!(
        matches!(&error, PipelineError::OtherRun { what, .. } if what == "epsilon (0.05 there, 0.06 here)"),
        "{error}"
    );
    assert_eq!(hashes(&it.out), before);
    assert_kept(&it.clean, &it.out);
}

/// Killed while the folder of its state was removed, in whatever order.
#[test]
fn what_is_left_of_the_state_of_a_complete_run_costs_no_case() {
    let it = setting();
    let (key, public) = it.keys();
    let first = run(&it.clean, &it.out, &resumed()).unwrap();
    let manifest = it.out.join(MANIFEST_NAME);
    key.sign(&manifest, &fs::read(&manifest).unwrap()).unwrap();
    let before = hashes(&it.out);
    let state = it.out.join(".voxshield");
    for left in [
        &["lock"][..],
        &[],
        &["lock", "journal"],
        &["lock", "journal-1-of-2"],
    ] {
        fs::create_dir(&state).unwrap();
        for name in left {
            fs::write(state.join(name), "").unwrap();
        }
        let mut started = 0;
        let again = protect(&it.clean, &it.out, &resumed(), &mut |event| {
            if let ProtectEvent::CaseStarted { .. } = event {
                started += 1;
            }
        });
        assert_eq!((again.unwrap(), started), (first.clone(), 0), "{left:?}");
        assert!(!state.exists(), "{left:?}");
        assert_eq!(hashes(&it.out), before, "{left:?}");
        public.check(&manifest).unwrap();
    }
}

#[test]
fn files_that_no_run_wrote_are_not_removed() {
    let it = setting();
    let precious = it.out.join("imagesTr/case_000_0000.nii.gz");
    fs::create_dir_all(it.out.join("imagesTr")).unwrap();
    fs::create_dir(it.out.join(".voxshield")).unwrap();
    fs::write(&precious, "precious").unwrap();
    let error = run(&it.clean, &it.out, &resumed()).unwrap_err();
    assert!(
        matches!(error, PipelineError::OutputNotEmpty { .. }),
        "{error}"
    );
    assert_eq!(fs::read(&precious).unwrap(), b"precious");
}

/// A manifest and its signature never stand beside cases that are being written.
#[test]
fn an_output_loses_manifest_and_signature_before_its_cases() {
    let it = setting();
    interrupted(&it.clean, &it.out);
    let old = [MANIFEST_NAME, SIGNATURE_NAME].map(|name| it.out.join(name));
    for path in &old {
        fs::write(path, "of another run").unwrap();
    }
    let mut started = 0;
    protect(&it.clean, &it.out, &resumed(), &mut |event| {
        if let ProtectEvent::CaseStarted { .. } = event {
            started += 1;
            assert!(old.iter().all(|path| !path.exists()));
        }
    })
    .unwrap();
    assert_eq!(started, CASES / 2);
    assert!(old[0].exists() && !old[1].exists());
    assert_kept(&it.clean, &it.out);
}

#[cfg(unix)]
#[test]
fn links_in_an_output_lead_nowhere() {
    use std::os::unix::fs::symlink;
    let it = setting();
    let original = it.clean.join("imagesTr/case_000_0000.nii.gz");
    let before = fs::read(&original).unwrap();
    let elsewhere = it.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for (number, (name, target)) in [
        (".voxshield/lock", &original),
        (".voxshield/journal", &original),
        (".voxshield/deltas", &elsewhere),
        (".voxshield", &elsewhere),
        ("imagesTr", &elsewhere),
        ("labelsTr", &elsewhere),
    ]
    .into_iter()
    .enumerate()
    {
        let out = it.out.with_extension(number.to_string());
        interrupted(&it.clean, &out);
        let link = out.join(name);
        if link.is_dir() {
            fs::remove_dir_all(&link).unwrap();
        } else if link.exists() {
            fs::remove_file(&link).unwrap();
        }
        symlink(target, &link).unwrap();
        let error = run(&it.clean, &out, &resumed()).unwrap_err();
        assert!(
            matches!(&error, PipelineError::LinkInOutput { path } if *path == link),
            "{name}: {error}"
        );
        assert_eq!(fs::read(&original).unwrap(), before, "{name}");
        assert_eq!(elsewhere.read_dir().unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_complete_output_knows_its_recipients() {
    let it = setting();
    let key = |name: &str| generate_identity(&it.folder.path().join(name)).unwrap();
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let to = |texts: &[&String]| {
        let mut unlock_to = Recipients::default();
        texts.iter().for_each(|text| unlock_to.add(text).unwrap());
        run(
            &it.clean,
            &it.out,
            &ProtectOptions {
                unlock_to,
                ..resumed()
            },
        )
    };
    let first = to(&[&a, &b]).unwrap();
    assert_eq!(to(&[&b, &a]).unwrap(), first);
    for others in [&[&a][..], &[], &[&a, &c], &[&a, &b, &c]] {
        match to(others) {
            Err(PipelineError::OtherRun { what, .. }) => {
                assert_eq!(what, "the recipients (--unlock-to)");
            }
            found => panic!("{found:?}"),
        }
    }
    // Older manifests say only that there were some.
    let path = it.out.join(MANIFEST_NAME);
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for case in old["cases"].as_array_mut().unwrap() {
        case["unlock"].as_object_mut().unwrap().remove("recipients");
    }
    fs::write(&path, old.to_string()).unwrap();
    to(&[&c]).unwrap();
    assert!(matches!(to(&[]), Err(PipelineError::OtherRun { .. })));
}

#[test]
fn a_complete_output_is_looked_at_as_a_whole() {
    let it = setting();
    run(&it.clean, &it.out, &resumed()).unwrap();
    let original = it.clean.join("imagesTr/case_000_0000.nii.gz");
    let laid = it.out.join("imagesTr/original.nii.gz");
    fs::copy(original, &laid).unwrap();
    match run(&it.clean, &it.out, &resumed()) {
        Err(PipelineError::ChangedOutput { problems, .. }) => {
            assert!(
                problems.starts_with("imagesTr/original.nii.gz"),
                "{problems}"
            );
        }
        found => panic!("{found:?}"),
    }
    fs::remove_file(laid).unwrap();
    run(&it.clean, &it.out, &resumed()).unwrap();
}

/// The state of an optimisation shows what is added: only its owner can read it, and it is gone before there is a manifest.
#[test]
fn the_state_of_an_optimisation_is_private_and_goes_before_the_manifest() {
    let it = setting();
    let state = it.out.join(".voxshield");
    let mut names = Vec::new();
    let error = protect(&it.clean, &it.out, &learned(), &mut |event| {
        if let ProtectEvent::CaseStarted { done: 0, .. } = event {
            let entries = state.read_dir().unwrap().map(Result::unwrap);
            for entry in entries {
                #[cfg(unix)]
                assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.path());
                names.push(entry.file_name().into_string().unwrap());
            }
            #[cfg(unix)]
            assert_eq!(mode(&state), 0o700);
            // In the way of the manifest.
            fs::create_dir(it.out.join(MANIFEST_NAME)).unwrap();
        }
    })
    .unwrap_err();
    assert!(error.to_string().contains(MANIFEST_NAME), "{error}");
    names.sort();
    assert_eq!(names, ["journal", "lock", "training"]);
    assert!(state.join("journal").exists() && !state.join("training").exists());

    // Nothing is trained again for what is written already.
    fs::remove_dir(it.out.join(MANIFEST_NAME)).unwrap();
    let options = ProtectOptions {
        resume: true,
        ..learned()
    };
    protect(&it.clean, &it.out, &options, &mut |event| {
        assert!(!matches!(event, ProtectEvent::Train(_)));
    })
    .unwrap();
    assert_kept(&it.clean, &it.out);
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
