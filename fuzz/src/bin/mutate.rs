//! `mutate NAME SECONDS [SEED]`: a target with mutated seeds, on stable; inputs that panic are written to `crashes/`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use std::{env, fs, process::ExitCode};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use voxshield_fuzz::{NAMES, target};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let name = arguments.get(1).map_or("", String::as_str);
    let (Some(target), Some(seconds)) = (target(name), number(2)) else {
        eprintln!("usage: mutate NAME SECONDS [SEED]; NAME is one of {NAMES:?}");
        return ExitCode::from(2);
    };
    let mut rng = ChaCha8Rng::seed_from_u64(number(3).unwrap_or(0));
    let (start, time) = (Instant::now(), Duration::from_secs(seconds));
    let (mut runs, mut crashes) = (0u64, 0u64);
    while start.elapsed() < time {
        let input = mutated(&target.seeds, &mut rng);
        runs += 1;
        if catch_unwind(AssertUnwindSafe(|| target.run(&input))).is_err() {
            crashes += 1;
            let path = format!("crashes/{name}-{crashes}");
            let written = fs::create_dir_all("crashes").and_then(|()| fs::write(&path, &input));
            println!("{name}: panic on {path} ({written:?})");
        }
    }
    println!("{name}: {runs} executions, {crashes} panics, {} MiB at most", peak());
    ExitCode::from(u8::from(crashes > 0))
}

/// One seed, changed in a few places, or spliced with itself or another.
fn mutated(seeds: &[Vec<u8>], rng: &mut ChaCha8Rng) -> Vec<u8> {
    const NUMBERS: [u64; 10] = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, u64::MAX];
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
                let number = if rng.random() { number.to_le_bytes() } else { number.to_be_bytes() };
                let from = if number[0] == 0 && width < 8 { 8 - width } else { 0 };
                for (target, &byte) in bytes.iter_mut().skip(at).zip(&number[from..from + width]) {
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
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|text| text.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
