use super::same_length;
use crate::EvalError;

/// The class with the largest logit at every voxel; the lowest index wins a tie.
///
/// Softmax is monotonic, so this is the argmax of the probabilities too. `logits` are
/// `[class, depth, height, width]`, the output is `[depth, height, width]`.
///
/// # Errors
/// [`EvalError::Parameter`] if `classes` is 0 or more than a `u16` can name,
/// [`EvalError::Length`] if `logits` is not a whole number of volumes.
pub fn argmax(logits: &[f32], classes: usize) -> Result<Vec<u16>, EvalError> {
    if classes == 0 || u16::try_from(classes - 1).is_err() {
        return Err(EvalError::Parameter {
            what: "number of classes",
            expected: "1 to 65536",
            found: classes.to_string(),
        });
    }
    let voxels = logits.len() / classes;
    same_length("logits", voxels * classes, logits.len())?;
    let mut best = logits[..voxels].to_vec();
    let mut winner = vec![0; voxels];
    for class in 1..classes {
        let here = &logits[class * voxels..(class + 1) * voxels];
        for ((best, winner), &value) in best.iter_mut().zip(&mut winner).zip(here) {
            if value > *best {
                (*best, *winner) = (value, class as u16);
            }
        }
    }
    Ok(winner)
}
