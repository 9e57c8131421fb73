//! Times reading and writing of a `.nii.gz`; `benches/nibabel.sh` prints the same JSON for nibabel.
//!
//! ```sh
//! cargo run --release --example nifti_round_trip -- IN.nii.gz OUT.nii.gz --threads 2 --reps 5
//! ```
#![allow(clippy::print_stdout, reason = "an example prints its result")]

use std::{error::Error, fs, path::PathBuf, time::Instant};

use serde_json::json;
use voxshield::data::StoredVolume;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = args.first_chunk().ok_or("IN.nii.gz OUT.nii.gz")?;
    let number = |name: &str, default: usize| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1))
            .map_or(Ok(default), |text| text.parse())
    };
    let (threads, reps) = (number("--threads", 2)?, number("--reps", 5)?.max(1));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?;
    let (input, output) = (PathBuf::from(input), PathBuf::from(output));
    let (mut read, mut write, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..reps {
        let start = Instant::now();
        let volume = StoredVolume::read(&input)?;
        let after = Instant::now();
        volume.write_atomic(&output)?;
        read.push((after - start).as_secs_f64());
        write.push(after.elapsed().as_secs_f64());
        both.push(start.elapsed().as_secs_f64());
    }
    let result = json!({
        "program": "voxshield", "file": input, "threads": threads, "reps": reps,
        "read_s": median(read), "write_s": median(write), "round_trip_s": median(both),
        "bytes": fs::metadata(&output)?.len(),
    });
    println!("{result}");
    Ok(())
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    (seconds[(seconds.len() - 1) / 2] + seconds[seconds.len() / 2]) / 2.0
}
