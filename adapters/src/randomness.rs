//! The system's randomness.

use woosh_domain::ports::{PortError, Randomness};

/// Gives the random bits of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn bits(&self) -> Result<[u8; 32], PortError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(PortError::fault)?;
        Ok(bits)
    }
}
