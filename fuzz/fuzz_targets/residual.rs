#![no_main]

use std::sync::LazyLock;

use voxshield_fuzz::{Target, data::target};

static TARGET: LazyLock<Target> = LazyLock::new(|| target("residual").expect("a target"));

libfuzzer_sys::fuzz_target!(init: TARGET.seed_corpus(), |bytes: &[u8]| TARGET.run(bytes));
