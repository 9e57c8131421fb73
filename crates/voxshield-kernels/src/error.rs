/// Why an operation refused its arguments.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// Two arguments that must have the same shape do not.
    #[error("{op}: {argument}: expected shape {expected:?}, got {got:?}")]
    Shape {
        /// The operation.
        op: &'static str,
        /// The argument that does not fit.
        argument: &'static str,
        /// The shape that the other arguments ask for.
        expected: Vec<usize>,
        /// The shape that was passed.
        got: Vec<usize>,
    },
    /// An axis is too short for the operation to mean anything.
    #[error("{op}: the {axis} axis has {got} elements, at least {least} are needed")]
    TooShort {
        /// The operation.
        op: &'static str,
        /// The axis by name.
        axis: &'static str,
        /// The smallest length that works.
        least: usize,
        /// The length that was passed.
        got: usize,
    },
    /// A parameter is outside the range in which the formula holds.
    #[error("{op}: {parameter}: expected {expected}, got {got}")]
    Parameter {
        /// The operation.
        op: &'static str,
        /// The parameter by name.
        parameter: &'static str,
        /// What is accepted.
        expected: String,
        /// What was passed.
        got: String,
    },
    /// What a loss of a caller's own reports.
    #[error("{what}: {source}")]
    Other {
        /// What reports it.
        what: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
