use super::PortError;

/// Gives random bits. Nothing else does, so that tests can foresee them.
#[cfg_attr(test, mockall::automock)]
pub trait Randomness: Send + Sync {
    /// 256 bits that nobody can guess.
    ///
    /// # Errors
    ///
    /// Where there are none to be had.
    fn bits(&self) -> Result<[u8; 32], PortError>;
}
