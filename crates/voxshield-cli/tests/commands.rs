//! What single commands print, and their exit codes.

use std::process::{Command, Output};

use serde_json::Value;

fn voxshield(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_voxshield"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn models_say_what_a_patch_has_to_be_a_multiple_of_when_it_is_none() {
    let narrow = ["models", "--width", "narrow", "--format", "json"];
    for (patch, all_fit) in [(64, true), (30, false)] {
        let output = voxshield(&[&narrow[..], &["--patch", &patch.to_string()]].concat());
        let rows: Value = serde_json::from_slice(&output.stdout).unwrap();
        let rows = rows.as_array().unwrap();
        for row in rows {
            let multiples = row["size_multiple"].as_array().unwrap();
            let fits = multiples
                .iter()
                .all(|multiple| patch % multiple.as_u64().unwrap() == 0);
            assert_eq!(row["flops"].is_u64(), fits, "{row}");
            assert_eq!(row["refused"].is_null(), fits, "{row}");
        }
        assert_eq!(rows.iter().all(|row| row["refused"].is_null()), all_fit);
    }
}

#[test]
fn models_of_nothing_are_refused() {
    for flag in ["--classes", "--channels", "--patch"] {
        let output = voxshield(&["models", flag, "0"]);
        assert_eq!(output.status.code(), Some(2), "{flag}");
        assert!(output.stdout.is_empty(), "{flag}");
    }
}

/// Typed where the name of its file belongs, a private key is in no message.
#[test]
fn a_secret_key_is_not_repeated() {
    let secret = "AGE-SECRET-KEY-1QQPQQQQQQQQQQQQQQQQQ";
    let lower = secret.to_lowercase();
    for (typed, shown) in [(secret, "1QQP"), (lower.as_str(), "1qqp")] {
        for arguments in [
            ["unlock", "out", "restored", "--identity", typed],
            ["protect", "clean", "out", "--unlock-to-file", typed],
            ["protect", "clean", "out", "--unlock-to", typed],
            ["keygen", typed, "--quiet", "--format", "text"],
        ] {
            let output = voxshield(&arguments);
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{stderr}");
            assert!(stderr.contains("secret key"), "{stderr}");
            assert!(!stderr.contains(shown), "{stderr}");
        }
    }
}
