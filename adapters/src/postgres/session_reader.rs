//! Looks up the owners of tokens, many in one query.
//!
//! Other replicas end sessions too, so each request has to look its token up in the database (D9). A lookup that
//! arrives while a query runs waits for the next query, which answers all waiting lookups. A query starts after the
//! lookups that it answers, so it does not find a session that ended before the lookup.

use std::sync::Arc;

use sqlx::FromRow;
use tokio::sync::{mpsc, oneshot};
use woosh_domain::model::TokenHash;
use woosh_domain::ports::PortError;

use super::lanes::Lanes;
use crate::pool::Pool;
use crate::store::{OwnerRow, SqlError, catch_panic, closed};

/// Number of lanes (queues of lookups). Each lane runs one query at a time.
const LANES: usize = 2;
/// Maximum number of lookups in one query.
const MAX_BATCH: usize = 64;

/// The lanes (queues of lookups) of one server. The tasks of the lanes end when this value is dropped.
pub(super) struct SessionReader(Lanes<Lookup>);

struct Lookup {
    token: TokenHash,
    reply: oneshot::Sender<Result<Option<OwnerRow>, Arc<SqlError>>>,
}

#[derive(FromRow)]
struct FoundRow {
    /// The position of the token in the list of tokens that the query looks up, starting at 1.
    position: i64,
    #[sqlx(flatten)]
    owner: OwnerRow,
}

impl SessionReader {
    /// Starts the lanes, which take connections from `pool`.
    pub(super) fn start(pool: &Pool) -> Self {
        Self(Lanes::start(LANES, |queued| run_lane(pool.clone(), queued)))
    }

    /// Returns whether the tasks of all lanes still take lookups.
    pub(super) fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Returns the owner of a session; `None` if no session has the token.
    pub(super) async fn find(&self, token: &TokenHash) -> Result<Option<OwnerRow>, PortError> {
        let (reply, outcome) = oneshot::channel();
        self.0.send(token, Lookup { token: *token, reply }).await?;
        match outcome.await {
            Ok(Ok(owner)) => Ok(owner),
            Ok(Err(error)) => Err(SqlError::Shared(error).into()),
            Err(_) => Err(closed()),
        }
    }
}

async fn run_lane(pool: Pool, mut queued: mpsc::Receiver<Lookup>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while queued.recv_many(&mut batch, MAX_BATCH).await > 0 {
        batch.retain(|lookup| !lookup.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        match catch_panic(find_all(&pool, &batch)).await.map_err(Arc::new) {
            Ok(mut owners) => {
                for (index, lookup) in batch.drain(..).enumerate() {
                    // Fails only if the caller was cancelled and no longer needs the outcome.
                    let _ = lookup.reply.send(Ok(owners[index].take()));
                }
            }
            Err(error) => {
                for lookup in batch.drain(..) {
                    let _ = lookup.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Looks up the owners of tokens in one query. Returns the owners in the order of `lookups`, with `None` for a token
/// without a session.
async fn find_all(pool: &Pool, lookups: &[Lookup]) -> Result<Vec<Option<OwnerRow>>, SqlError> {
    let tokens: Vec<_> = lookups.iter().map(|lookup| lookup.token.as_bytes().to_vec()).collect();
    let found: Vec<FoundRow> = sqlx::query_as(
        "SELECT lookup.position, s.id, d.user_id, u.username, s.device_id
         FROM unnest($1::bytea[]) WITH ORDINALITY AS lookup (token_hash, position)
         JOIN sessions s ON s.token_hash = lookup.token_hash
         JOIN devices d ON d.id = s.device_id
         JOIN users u ON u.id = d.user_id",
    )
    .bind(tokens)
    .fetch_all(pool)
    .await?;
    let mut owners: Vec<_> = lookups.iter().map(|_| None).collect();
    for FoundRow { position, owner } in found {
        let index = usize::try_from(position - 1).ok();
        if let Some(slot) = index.and_then(|index| owners.get_mut(index)) {
            *slot = Some(owner);
        }
    }
    Ok(owners)
}
