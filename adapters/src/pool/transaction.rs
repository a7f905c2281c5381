use std::ops::{Deref, DerefMut};

use sqlx::PgConnection;

use super::Pool;
use super::lease::Lease;

/// A transaction. If this value is dropped without a commit, the transaction is rolled back. The caller has to limit
/// the duration of the transaction, with [`Pool::run`].
pub(crate) struct Transaction(Lease);

impl Pool {
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction> {
        let mut transaction = Transaction(self.acquire().await?);
        // Set before BEGIN, so that the transaction is rolled back even if the caller is cancelled during BEGIN.
        transaction.0.begin();
        transaction.run("BEGIN").await?;
        Ok(transaction)
    }
}

impl Transaction {
    pub(crate) async fn commit(mut self) -> sqlx::Result<()> {
        self.run("COMMIT").await?;
        self.0.finish();
        Ok(())
    }

    async fn run(&mut self, statement: &'static str) -> sqlx::Result<()> {
        sqlx::raw_sql(statement).execute(&mut **self).await?;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}
