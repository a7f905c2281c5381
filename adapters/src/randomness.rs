//! The operating system's random number generator.

use woosh_domain::ports::{PortError, Randomness};

/// Returns random bits from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    #[expect(clippy::disallowed_methods, reason = "this is the port")]
    fn bits(&self) -> Result<[u8; 32], PortError> {
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(PortError::fault)?;
        Ok(bits)
    }
}
