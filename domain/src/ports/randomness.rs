use super::PortError;

/// The source of random bits. All code takes random bits from this trait, so that tests can predict the bits.
#[cfg_attr(test, mockall::automock)]
pub trait Randomness: Send + Sync {
    /// Returns 256 bits that an attacker cannot predict.
    ///
    /// # Errors
    ///
    /// If the source of randomness fails.
    fn bits(&self) -> Result<[u8; 32], PortError>;
}
