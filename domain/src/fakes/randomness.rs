use std::sync::atomic::{AtomicU64, Ordering};

use crate::ports::{PortError, Randomness};

/// Returns the values of a counter, which are unique but predictable, instead of random bits. For tests only.
#[derive(Debug, Default)]
pub struct CountingRandomness(AtomicU64);

impl Randomness for CountingRandomness {
    fn bits(&self) -> Result<[u8; 32], PortError> {
        let mut bits = [0; 32];
        bits[..8].copy_from_slice(&self.0.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        Ok(bits)
    }
}
