//! The program, killed, starved and disturbed: what it leaves is never half of anything, and `--resume` ends with the bytes of
//! an undisturbed run.
//!
//! `VOXSHIELD_KILLS` is the number of kills, a handful by default.
#![cfg(unix)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use voxshield::data::{MANIFEST_NAME, PhantomConfig, write_phantom_dataset};

const OPTIMISED: [&str; 10] = [
    "--rounds",
    "6",
    "--surrogate-steps",
    "2",
    "--batch",
    "2",
    "--patch",
    "8",
    "--seed",
    "5",
];
const CLOSED_FORM: [&str; 2] = ["--method", "checkerboard"];

struct Setting {
    folder: tempfile::TempDir,
    clean: PathBuf,
}

impl Setting {
    fn new(cases: u64, size: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clean = folder.path().join("clean");
        write_phantom_dataset(&clean, cases, &PhantomConfig::new([size; 3], 5)).unwrap();
        Self { folder, clean }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn protect(&self, out: &Path, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_voxshield"));
        command
            .arg("protect")
            .arg(&self.clean)
            .arg(out)
            .args(options);
        command
            .arg("--quiet")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn done(&self, out: &Path, options: &[&str]) {
        let output = self.protect(out, options).output().unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
    }
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Every file below a folder, hidden ones too; of the manifest, all but the seconds.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            if path.ends_with(MANIFEST_NAME) {
                let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
                for case in manifest["cases"].as_array_mut().unwrap() {
                    case["seconds"] = Value::Null;
                }
                bytes = manifest.to_string().into_bytes();
            }
            found.insert(path.strip_prefix(root).unwrap().to_path_buf(), bytes);
        }
    }
    found
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (path, bytes) in &a {
        assert!(b[path] == *bytes, "{} differs", path.display());
    }
}

/// A place between 0 and 1 that looks random and is the same in every run.
fn place(index: u32) -> f64 {
    (f64::from(index) * 0.618_033_988_749_895).fract()
}

#[test]
fn killed_at_any_moment_and_resumed_the_bytes_are_the_same() {
    let kills = std::env::var("VOXSHIELD_KILLS").map_or(6, |n| n.parse().unwrap());
    let it = Setting::new(5, 24);
    let of = |method: &[&'static str]| [&OPTIMISED[..], method].concat();
    let settings = [
        ("generator", of(&[])),
        ("shared", of(&["--method", "emn-class"])),
        ("sample-wise", of(&["--method", "emn", "--steps", "2"])),
        (
            "pretrained",
            of(&["--method", "sep", "--steps", "1", "--training-rounds", "2"]),
        ),
        ("closed", CLOSED_FORM.to_vec()),
    ];
    for (name, options) in &settings {
        let whole = it.path(&format!("{name}-whole"));
        let start = Instant::now();
        it.done(&whole, options);
        let time = start.elapsed();
        let resume = [&options[..], &["--resume"]].concat();
        let (mut killed, mut runs) = (0, 0);
        while killed < kills {
            // Some runs are killed once, others again and again.
            runs += 1;
            let out = it.path(&format!("{name}-{runs}"));
            loop {
                let mut child = it.protect(&out, &resume).spawn().unwrap();
                thread::sleep(time.mul_f64(1.1 * place(killed + 7 * runs)));
                if child.try_wait().unwrap().is_some() || killed == kills {
                    assert!(child.wait().unwrap().success());
                    break;
                }
                child.kill().unwrap();
                child.wait().unwrap();
                killed += 1;
                assert!(
                    !out.join(MANIFEST_NAME).exists()
                        || out.join(".voxshield").exists()
                        || files(&out) == files(&whole)
                );
            }
            assert_same(&whole, &out);
            fs::remove_dir_all(&out).unwrap();
        }
        // Of a run that is complete, nothing is done again.
        it.done(&whole, &resume);
    }
}

#[test]
fn a_run_is_resumed_by_its_own_command_only() {
    let it = Setting::new(3, 24);
    let out = it.path("out");
    let mut child = it.protect(&out, &OPTIMISED).spawn().unwrap();
    while !out.join(".voxshield/training").exists() {
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let run = |options: &[&str]| it.protect(&out, options).output().unwrap();
    let fails = |options: &[&str], reason: &str| {
        let output = run(options);
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    };
    fails(&OPTIMISED, "go on with --resume");
    let other = [&OPTIMISED[..], &["--resume", "--epsilon", "8/255"]].concat();
    fails(&other, "differs in epsilon (0.015");
    let image = it.clean.join("imagesTr/case_000_0000.nii.gz");
    let (bytes, swapped) = (
        fs::read(&image).unwrap(),
        it.clean.join("imagesTr/case_001_0000.nii.gz"),
    );
    fs::copy(&swapped, &image).unwrap();
    let resume = [&OPTIMISED[..], &["--resume"]].concat();
    fails(&resume, "differs in its sources");
    fs::write(&image, bytes).unwrap();

    // Damage to what the run left costs time, not bytes.
    let training = out.join(".voxshield/training");
    let mut state = fs::read(&training).unwrap();
    let middle = state.len() / 2;
    state[middle] ^= 4;
    fs::write(&training, state).unwrap();
    fs::write(out.join("imagesTr-half"), "").unwrap();
    fails(
        &resume,
        "imagesTr-half: a file that the manifest does not list",
    );
    fs::remove_file(out.join("imagesTr-half")).unwrap();
    it.done(&out, &resume);
    let whole = it.path("whole");
    it.done(&whole, &OPTIMISED);
    assert_same(&whole, &out);
}

#[test]
fn two_processes_do_not_write_one_output() {
    let it = Setting::new(2, 24);
    let out = it.path("out");
    fs::create_dir_all(out.join(".voxshield")).unwrap();
    let lock = File::create(out.join(".voxshield/lock")).unwrap();
    lock.lock().unwrap();
    let resume = [&CLOSED_FORM[..], &["--resume"]].concat();
    let output = it.protect(&out, &resume).output().unwrap();
    assert_eq!(code(&output), 2);
    assert!(
        stderr(&output).contains("another process is writing"),
        "{}",
        stderr(&output)
    );
    // The lock ends with the process, however it ends.
    drop(lock);
    it.done(&out, &resume);
}

#[test]
fn the_number_of_threads_does_not_show_in_the_bytes() {
    let it = Setting::new(3, 40);
    let options = [&OPTIMISED[..], &["--support", "full"]].concat();
    let out = |threads: &str| {
        let out = it.path(threads);
        let output = it
            .protect(&out, &options)
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        assert_eq!(code(&output), 0, "{}", stderr(&output));
        out
    };
    let one = out("1");
    assert_same(&one, &out("2"));
    assert_same(&one, &out("5"));
}

#[test]
fn shards_side_by_side_make_one_output() {
    let it = Setting::new(7, 24);
    let (whole, out) = (it.path("whole"), it.path("out"));
    it.done(&whole, &CLOSED_FORM);
    let shard = |part: &'static str| [&CLOSED_FORM[..], &["--shard", part]].concat();
    let start = |part| it.protect(&out, &shard(part)).spawn().unwrap();
    let mut running = ["1/3", "2/3", "3/3"].map(start);
    assert!(
        running
            .iter_mut()
            .all(|child| child.wait().unwrap().success())
    );
    assert!(!out.join(MANIFEST_NAME).exists());
    // Again, and with one case of a shard gone.
    it.done(&out, &shard("2/3"));
    fs::remove_file(out.join("imagesTr/case_004_0000.nii.gz")).unwrap();
    let resume = [&CLOSED_FORM[..], &["--resume"]].concat();
    it.done(&out, &resume);
    assert_same(&whole, &out);
    // Complete: nothing to do for anybody.
    it.done(&out, &shard("1/3"));
    assert_same(&whole, &out);

    // A whole run and a shard exclude each other.
    let busy = it.path("busy");
    fs::create_dir_all(busy.join(".voxshield")).unwrap();
    let lock = File::create(busy.join(".voxshield/lock")).unwrap();
    lock.lock_shared().unwrap();
    let output = it.protect(&busy, &resume).output().unwrap();
    assert!(
        stderr(&output).contains("another process is writing"),
        "{}",
        stderr(&output)
    );
    it.done(&busy, &shard("1/3"));
    let trained = [&OPTIMISED[..], &["--shard", "1/2"]].concat();
    let output = it.protect(&it.path("trained"), &trained).output().unwrap();
    assert!(
        stderr(&output).contains("needs no training"),
        "{}",
        stderr(&output)
    );
}

/// What an earlier run wrote is signed only as it was written, and a signature that is missing is said so.
#[test]
fn a_finished_output_is_signed_only_if_it_is_what_was_written() {
    let it = Setting::new(2, 24);
    let (out, key) = (it.path("out"), it.path("owner.pem"));
    let keygen = Command::new(env!("CARGO_BIN_EXE_voxshield"))
        .arg("keygen")
        .arg(&key)
        .arg("--signing")
        .output()
        .unwrap();
    assert_eq!(code(&keygen), 0, "{}", stderr(&keygen));
    it.done(&out, &CLOSED_FORM);
    let resume = [&CLOSED_FORM[..], &["--resume"]].concat();
    let sign = [&resume[..], &["--sign", key.to_str().unwrap()]].concat();
    let says = |options: &[&str], wanted: i32, text: &str| {
        let output = it.protect(&out, options).output().unwrap();
        let said = stderr(&output);
        assert_eq!(code(&output), wanted, "{said}");
        assert!(said.contains(text), "{said}");
    };
    says(&resume, 0, "voxshield.json has no signature");
    let (manifest, signature) = (out.join(MANIFEST_NAME), out.join("voxshield.json.sig"));
    let whole = fs::read(&manifest).unwrap();
    let mut changed: Value = serde_json::from_slice(&whole).unwrap();
    changed["cases"][1]["achieved"] = 1e-9.into();
    fs::write(&manifest, changed.to_string()).unwrap();
    says(
        &sign,
        2,
        "case case_001: the manifest says another largest change",
    );
    assert!(!signature.exists());
    fs::write(&manifest, &whole).unwrap();
    it.done(&out, &sign);
    assert_eq!(fs::read(&manifest).unwrap(), whole);
    let verified = Command::new(env!("CARGO_BIN_EXE_voxshield"))
        .arg("verify")
        .args([&it.clean, &out])
        .arg("--public-key")
        .arg(it.path("owner.pem.pub"))
        .output()
        .unwrap();
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    let old = File::options().write(true).open(&signature).unwrap();
    old.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    says(
        &resume,
        0,
        "voxshield.json.sig is older than voxshield.json",
    );
}

#[test]
fn a_seed_is_not_drawn_anew_for_a_run_that_goes_on() {
    let it = Setting::new(1, 24);
    for part in [&["--resume"][..], &["--shard", "1/2"]] {
        let options = [&["--method", "keyed-codes", "--seed", "random"][..], part].concat();
        let output = it.protect(&it.path("out"), &options).output().unwrap();
        assert_eq!(code(&output), 2);
        assert!(
            stderr(&output).contains("need the same seed"),
            "{}",
            stderr(&output)
        );
    }
    assert!(!it.path("out").exists());
}

/// A limit on the size of files, as a full disk has it: the write fails, and the process lives.
#[test]
fn files_that_cannot_be_written_are_reported_and_written_later() {
    let it = Setting::new(2, 40);
    let whole = it.path("whole");
    it.done(&whole, &CLOSED_FORM);
    let out = it.path("out");
    let resume = [&CLOSED_FORM[..], &["--resume"]].concat();
    let limited = it.protect(&out, &resume);
    let mut shell = Command::new("sh");
    // Blocks of 512 bytes: enough for the journal, too little for an image.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$@\"", "sh"]);
    shell.arg(limited.get_program()).args(limited.get_args());
    let output = shell.output().unwrap();
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let manifest = files(&out);
    assert!(
        manifest
            .keys()
            .all(|path| !path.starts_with("imagesTr") && !path.starts_with("labelsTr")),
        "{manifest:?}"
    );
    fs::remove_dir_all(&out).unwrap();
    it.done(&out, &resume);
    assert_same(&whole, &out);
}
