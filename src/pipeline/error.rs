use std::{
    io,
    path::{Path, PathBuf},
};

use super::{MemoryLimit, ParseError};
use crate::{
    data::{DataError, UnlockError},
    eval::EvalError,
    perturb::PerturbError,
};

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The output folder is the dataset, inside it, or around it.
    #[error(
        "the output {output} and the dataset {dataset} overlap; the dataset is never written to: choose a folder outside it"
    )]
    OutputOverlaps {
        /// The output folder.
        output: PathBuf,
        /// The dataset.
        dataset: PathBuf,
    },
    /// The folder of a preview is the dataset, or inside it.
    #[error(
        "the picture and the files of the trial would go to {folder}, inside the dataset {dataset}, which is never written to; name another place with --out"
    )]
    PreviewInside {
        /// The folder of the picture.
        folder: PathBuf,
        /// The dataset.
        dataset: PathBuf,
    },
    /// The output folder has something in it.
    #[error("the output folder {path} is not empty; choose a new one or remove what is there")]
    OutputNotEmpty {
        /// The output folder.
        path: PathBuf,
    },
    /// The output folder holds an interrupted run.
    #[error(
        "the output folder {path} holds a run that was interrupted; go on with --resume, or remove it"
    )]
    Unfinished {
        /// The output folder.
        path: PathBuf,
    },
    /// A run, interrupted or complete, that is not this one.
    #[error(
        "the output folder {path} holds a run that differs in {what}; repeat the command that began it, or choose another folder"
    )]
    OtherRun {
        /// The output folder.
        path: PathBuf,
        /// What differs, and of options what they are there and here.
        what: String,
    },
    /// A finished output that is not as its run left it.
    #[error(
        "the output folder {path} is finished, but not what its manifest says: {problems}; put it back as it was, or protect into another folder"
    )]
    ChangedOutput {
        /// The output folder.
        path: PathBuf,
        /// All that was found.
        problems: String,
    },
    /// A symbolic link below the output folder, through which files outside it would be changed.
    #[error("{path} is a symbolic link; an output is written to its own folders only: remove it")]
    LinkInOutput {
        /// The link.
        path: PathBuf,
    },
    /// Another process is writing the output.
    #[error("another process is writing {path}; wait for it, or choose another folder")]
    Locked {
        /// The output folder.
        path: PathBuf,
    },
    /// Not one case can be used.
    #[error("no case of {path} can be used ({failed} failed); first reason: {first}")]
    NoUsableCase {
        /// The dataset.
        path: PathBuf,
        /// How many cases failed.
        failed: usize,
        /// The first failure.
        first: String,
    },
    /// A case has no voxel in which it could be protected.
    #[error(
        "{path}: no voxel lies in the support '{support}'; the case cannot be protected there (labels of weight 0 are not in it)"
    )]
    EmptySupport {
        /// The label or image file.
        path: PathBuf,
        /// The support by name.
        support: &'static str,
    },
    /// A case whose label is background throughout.
    #[error(
        "{path}: no voxel is labelled; correct the label, or pass --labels none to work on the body and its classes of intensity"
    )]
    NoForeground {
        /// The label file.
        path: PathBuf,
    },
    /// A dataset without labels, for something that needs them.
    #[error(
        "{path}: none of the {cases} cases has a label; add label files, or pass --labels none to work on the body and its classes of intensity"
    )]
    NoLabels {
        /// The dataset.
        path: PathBuf,
        /// How many cases it has.
        cases: usize,
    },
    /// A label may use so little of epsilon that nothing could change there.
    #[error(
        "{path}: channel {channel}: a label has {share} of epsilon {epsilon}, which is less than one stored step; use an epsilon of at least {:.6}, a larger share, or a share of 0 to leave the label as it is",
        (smallest * 1e6).ceil() / 1e6
    )]
    ShareBelowOneStep {
        /// The image.
        path: PathBuf,
        /// The channel.
        channel: usize,
        /// The smallest share that a label has.
        share: f32,
        /// As asked for.
        epsilon: f64,
        /// The smallest epsilon of which that share is a step.
        smallest: f64,
    },
    /// Nothing changed where something should have.
    #[error(
        "{path}: channel {channel}: no voxel of the support changed: the file would be published as it is; use a larger epsilon, another method or another normalisation"
    )]
    NothingChanged {
        /// The image file.
        path: PathBuf,
        /// The channel of the case.
        channel: usize,
    },
    /// A label that has the voxels of its image.
    #[error(
        "{path}: the label has the voxels of channel {channel} of the image {image}: it would be published unprotected; give the case its label"
    )]
    LabelIsImage {
        /// The label file.
        path: PathBuf,
        /// The first image file of the case.
        image: PathBuf,
        /// The channel.
        channel: usize,
    },
    /// A dataset that was protected before.
    #[error(
        "{path} has a voxshield.json: it is an output of `protect`, and would be changed by twice epsilon; give the clean dataset"
    )]
    AlreadyProtected {
        /// The dataset.
        path: PathBuf,
    },
    /// A label that was given a weight does not occur.
    #[error("label {label} has a weight, but the dataset has the labels {known:?} only")]
    UnknownLabel {
        /// The label.
        label: u16,
        /// Those of the dataset, 0 included.
        known: Vec<u16>,
    },
    /// A case has another number of channels than the dataset.
    #[error(
        "{path}: expected {expected} channels, as dataset.json or the first case has them, found {found}; correct the file, or the channels in dataset.json"
    )]
    Channels {
        /// The image.
        path: PathBuf,
        /// Channels of the dataset.
        expected: usize,
        /// Channels of the case.
        found: usize,
    },
    /// A written file does not keep a promise: a defect of the program or of the disk.
    #[error("{path}: the written file fails verification: {reason}; the file was removed")]
    Unverified {
        /// The written file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The output holds something other than what was written and checked.
    #[error("{path} is not safe to publish, and has no manifest: {problems}")]
    UnsafeOutput {
        /// The output folder.
        path: PathBuf,
        /// All that was found.
        problems: String,
    },
    /// The device is unknown or not compiled in.
    #[error("device '{name}': {reason}")]
    Device {
        /// As asked for.
        name: String,
        /// Why not, and what there is.
        reason: String,
    },
    /// A case that was asked for by its name.
    #[error(
        "{dataset} has no case '{id}' that can be used; it has {}",
        examples(known)
    )]
    UnknownCase {
        /// The name.
        id: String,
        /// The dataset.
        dataset: PathBuf,
        /// The names of its labelled cases.
        known: Vec<String>,
    },
    /// A case that victims are tested on is one that they are trained on.
    #[error(
        "the test case {test} is in a training set, as {training}: a victim tested on what it was trained on looks better than it is; keep the test cases apart"
    )]
    TestCaseInTraining {
        /// The test image.
        test: PathBuf,
        /// The training image that has the same voxels or was made from it.
        training: PathBuf,
    },
    /// A case of the attacker's own data that is one of the sets under attack, or a test case.
    #[error(
        "the attacker's case {attacker} is in another dataset as well, as {other}: a purifier trained on it would know what to find; give --attacker data of its own"
    )]
    AttackersCaseElsewhere {
        /// The attacker's image.
        attacker: PathBuf,
        /// The image that has the same voxels or was made from it.
        other: PathBuf,
    },
    /// Test cases that have none of the labels that victims learn.
    #[error(
        "the test cases {test} have none of the labels {expected:?} of {training}, but {found:?}: every Dice would be 0; give both the same label values"
    )]
    NoCommonLabel {
        /// The test cases.
        test: PathBuf,
        /// The training set.
        training: PathBuf,
        /// Its labels without 0.
        expected: Vec<u16>,
        /// Those of the test cases without 0.
        found: Vec<u16>,
    },
    /// A protected dataset without its manifest.
    #[error(
        "{path} has no voxshield.json, which says the budget and support of the random control"
    )]
    NoManifest {
        /// The dataset.
        path: PathBuf,
    },
    /// A folder that is to be checked, and was not written by `protect`, or not to its end.
    #[error("{path} has no voxshield.json: {hint}")]
    NotProtected {
        /// The folder.
        path: PathBuf,
        /// What may have happened, and what to do.
        hint: &'static str,
    },
    /// A case that is needed in its clean form is missing there.
    #[error(
        "case {id} is needed in its clean form, but the clean dataset {dataset} does not have it"
    )]
    NoCleanTwin {
        /// The case.
        id: String,
        /// The clean dataset.
        dataset: PathBuf,
    },
    /// A manifest without a case: there is nothing to restore.
    #[error("{path} lists no protected case: nothing can be restored; fetch the folder again")]
    NoCases {
        /// The manifest.
        path: PathBuf,
    },
    /// A case that was protected without `--unlock-to`.
    #[error(
        "case {id} has no residual: it was protected without --unlock-to and cannot be restored"
    )]
    NoResidual {
        /// The case.
        id: String,
    },
    /// A file that the manifest lists.
    #[error("{path} is missing, or a symbolic link that leaves the folder; fetch the file again")]
    NotInFolder {
        /// The file.
        path: PathBuf,
    },
    /// A restored file that is not the original of the manifest.
    #[error(
        "{path}: what was restored is not the file that the manifest says was protected; the file was removed"
    )]
    NotTheOriginal {
        /// The restored file.
        path: PathBuf,
    },
    /// A file whose hash is not that of the manifest.
    #[error("{path} is not the file that the manifest lists; fetch it again")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Two training sets of one name.
    #[error("two training sets are called '{name}'; clean, random and protected are taken")]
    SameName {
        /// The name.
        name: String,
    },
    /// A file that holds no saved generator.
    #[error("{path} is no generator that `protect --save-generator` wrote: {reason}")]
    NotAGenerator {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A saved generator was made for something else.
    #[error(
        "the saved generator was trained with {what} {expected}, not {found}; use it as it was trained, or train another one"
    )]
    GeneratorMismatch {
        /// The setting.
        what: &'static str,
        /// The generator's.
        expected: String,
        /// What was asked for, or what the dataset has.
        found: String,
    },
    /// A generator, or anything else that undoes a protection, would be published with the data.
    #[error(
        "{path} lies inside {folder}: a saved generator shows others what was added to the data; keep it elsewhere"
    )]
    SecretInside {
        /// The file.
        path: PathBuf,
        /// The dataset or the output folder.
        folder: PathBuf,
    },
    /// Options of a manifest, which keeps no paths.
    #[error(
        "{what}: only its hash is known, since a manifest keeps no paths; open the file again, or leave it out"
    )]
    PathUnknown {
        /// The file.
        what: &'static str,
    },
    /// An option that means nothing for the method.
    #[error("{option}: it has no meaning for the method '{method}'; {hint}")]
    OptionWithoutMeaning {
        /// The option.
        option: &'static str,
        /// The method by name.
        method: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// An evaluation without content.
    #[error("nothing to evaluate: the number of {what} is 0")]
    NothingToDo {
        /// What there is none of.
        what: &'static str,
    },
    /// A case that needs more memory than it may take.
    #[error(
        "{path}: {what} needs about {needed} for a volume of {voxels} voxels, more than the limit of {limit}; {advice}crop or divide the volume, take a larger machine, or raise the limit (--max-memory)"
    )]
    Memory {
        /// The first image of the case.
        path: PathBuf,
        /// What needs it: the case, a method or a support.
        what: String,
        /// Of one channel.
        voxels: u64,
        /// An estimate.
        needed: MemoryLimit,
        /// What it may take.
        limit: MemoryLimit,
        /// What else to do: empty, or a clause that ends with a semicolon and a space.
        advice: &'static str,
    },
    /// A file system operation outside a case failed.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Files.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The optimiser.
    #[error(transparent)]
    Perturb(#[from] PerturbError),
    /// A victim or a metric.
    #[error(transparent)]
    Eval(#[from] EvalError),
    /// A recipient that is none.
    #[error(transparent)]
    Unlock(#[from] UnlockError),
    /// A text or value that a setting does not accept.
    #[error(transparent)]
    Parse(#[from] ParseError),
}

impl PipelineError {
    /// What makes a [`PipelineError::Io`] of the system's answer.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

/// The first names, and how many more there are.
fn examples(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = names[..names.len().min(SHOWN)].join(", ");
    match names.len() {
        0 => "no labelled case".into(),
        n if n <= SHOWN => first,
        n => format!("{first} and {} more", n - SHOWN),
    }
}
