//! Protects a folder of NIfTI files and verifies what was written.
//!
//! `cargo run --release --features flex --example protect_nifti [DATASET OUT]`; without arguments it
//! makes a small phantom dataset in a temporary folder.
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use std::path::PathBuf;

use voxshield::{
    data::{PhantomConfig, write_phantom_dataset},
    perturb::{BilevelConfig, SurrogateConfig},
    pipeline::{Method, ProtectEvent, ProtectOptions, protect, verify},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let temporary = tempfile::tempdir()?;
    let (dataset, output, rounds) = match &arguments[..] {
        [dataset, output] => (
            dataset.clone(),
            output.clone(),
            BilevelConfig::compact().common.rounds,
        ),
        _ => {
            let dataset = temporary.path().join("phantoms");
            write_phantom_dataset(&dataset, 2, &PhantomConfig::new([16, 24, 24], 1))?;
            (dataset, temporary.path().join("protected"), 2)
        }
    };
    let options = ProtectOptions {
        method: Method::Bilevel(BilevelConfig {
            common: SurrogateConfig {
                rounds,
                patch: [16; 3],
                ..SurrogateConfig::compact()
            },
            ..BilevelConfig::compact()
        }),
        ..ProtectOptions::default()
    };
    let manifest = protect(&dataset, &output, &options, &mut |event| match event {
        ProtectEvent::CaseFinished(case) => println!("{}: PSNR {:?} dB", case.id, case.psnr_db),
        ProtectEvent::CaseFailed(case) => println!("{} failed: {}", case.id, case.reason),
        _ => {}
    })?;
    println!(
        "{} cases protected, {} failed",
        manifest.cases.len(),
        manifest.failed.len()
    );
    let report = verify(&dataset, &output, &mut |_| {})?;
    println!("every promise kept: {}", report.is_kept());
    if !report.is_kept() {
        return Err("a written file breaks a promise".into());
    }
    Ok(())
}
