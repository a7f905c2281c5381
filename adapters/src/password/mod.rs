//! Passwords: Argon2id, and a memory of what was verified lately.

mod argon2id;
mod caching;

pub use argon2id::Argon2idHasher;
pub use caching::CachingHasher;
