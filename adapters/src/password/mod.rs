//! Password hashing with Argon2id, and a cache of recent verifications.

mod argon2id;
mod caching;

pub use argon2id::Argon2idHasher;
pub use caching::CachingHasher;
