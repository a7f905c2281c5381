use async_trait::async_trait;
use conditional_trait_gen::trait_gen;
use woosh_domain::ports::{Disk, FreeSpace, PortError};

use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;
use crate::store::SqlStore;

#[trait_gen(Store -> SqliteStore, PostgresStore)]
#[async_trait]
impl Disk for Store {
    async fn free_space(&self) -> Result<Option<FreeSpace>, PortError> {
        SqlStore::free_space(self).await
    }
}
