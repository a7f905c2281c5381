//! Passwords: Argon2id, and a memory of what was verified lately.

mod argon2id;
mod remembering;

pub use argon2id::Argon2idHasher;
pub use remembering::RememberingHasher;
