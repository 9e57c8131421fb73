//! The fuzz targets on stable: seeds with random changes, the same in every run. A few hundred each, or for
//! `VOXSHIELD_FUZZ_SECONDS` with the seed `VOXSHIELD_FUZZ_SEED`.

#![allow(
    unreachable_pub,
    dead_code,
    reason = "the targets are a library for cargo-fuzz"
)]
#![allow(
    clippy::print_stdout,
    reason = "the number of executions is what a long run is for"
)]

#[path = "../fuzz/src/checkpoints.rs"]
mod checkpoints;
#[path = "../fuzz/src/data.rs"]
mod data;
#[path = "../fuzz/src/target.rs"]
mod target;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const RUNS: u64 = 300;
/// MiB of the process: the inputs are some kilobytes.
const MOST_MEMORY: u64 = 512;

fn number(name: &str) -> Option<u64> {
    env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

fn fuzz(name: &str) {
    let target = data::target(name).or_else(|| checkpoints::target(name));
    let target = target.expect("a target");
    for seed in &target.seeds {
        target.run(seed);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(number("VOXSHIELD_FUZZ_SEED").unwrap_or(0));
    let (start, time) = (
        Instant::now(),
        number("VOXSHIELD_FUZZ_SECONDS").map(Duration::from_secs),
    );
    let mut runs = 0;
    while time.map_or(runs < RUNS, |time| start.elapsed() < time) {
        let input = mutated(&target.seeds, &mut rng);
        runs += 1;
        if catch_unwind(AssertUnwindSafe(|| target.run(&input))).is_err() {
            let path = env::temp_dir().join(format!("voxshield-fuzz-{name}"));
            std::fs::write(&path, &input).expect("a file for the input");
            panic!("run {runs} of {name} panicked on {}", path.display());
        }
    }
    let peak = peak();
    println!("{name}: {runs} executions, no panic, {peak} MiB at most");
    assert!(peak <= MOST_MEMORY, "{peak} MiB");
}

macro_rules! targets {
    ($($name:ident),+) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })+

        #[test]
        fn no_target_is_left_out() {
            let names = [&data::NAMES[..], &checkpoints::NAMES].concat();
            assert_eq!([$(stringify!($name)),+], names[..]);
        }
    };
}

targets!(
    header,
    gzip,
    extensions,
    dataset_json,
    manifest,
    signature,
    sealed,
    residual,
    dicom,
    weights,
    checkpoint,
    pickle,
    training_state
);

/// One seed, changed in a few places, or spliced with itself or another.
fn mutated(seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    const NUMBERS: [u64; 10] = [
        0,
        1,
        0x7F,
        0x80,
        0xFF,
        0x7FFF,
        0xFFFF,
        0x7FFF_FFFF,
        0xFFFF_FFFF,
        u64::MAX,
    ];
    let mut bytes = seeds[rng.random_range(0..seeds.len())].clone();
    for _ in 0..1u32 << rng.random_range(0..5) {
        let at = rng.random_range(0..bytes.len().max(1));
        match rng.random_range(0..8) {
            0..3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            3 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.random();
                }
            }
            4 => {
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                let width = 1 << rng.random_range(0..4);
                let mut number = number.to_le_bytes()[..width].to_vec();
                if rng.random() {
                    number.reverse();
                }
                for (target, byte) in bytes.iter_mut().skip(at).zip(number) {
                    *target = byte;
                }
            }
            5 => bytes.truncate(at),
            6 => {
                let end = (at + rng.random_range(1..32)).min(bytes.len());
                let part: Vec<u8> = bytes[at.min(end)..end].to_vec();
                let to = rng.random_range(0..=bytes.len());
                bytes.splice(to..to, part);
            }
            _ => {
                let other = &seeds[rng.random_range(0..seeds.len())];
                let from = rng.random_range(0..other.len().max(1));
                bytes.truncate(at);
                bytes.extend(&other[from.min(other.len())..]);
            }
        }
    }
    bytes
}

/// The most memory that the process had, in MiB; 0 where the system does not say.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|text| {
        text.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or(0) / 1024
}
