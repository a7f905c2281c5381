//! Rebuilds the crate when a database migration is added, since migrations are embedded at compile time.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
