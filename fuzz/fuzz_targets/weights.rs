#![no_main]

use std::sync::LazyLock;

use voxshield_fuzz::{Target, checkpoints::target};

static TARGET: LazyLock<Target> = LazyLock::new(|| target("weights").expect("a target"));

libfuzzer_sys::fuzz_target!(init: TARGET.seed_corpus(), |bytes: &[u8]| TARGET.run(bytes));
