//! Verifies promises D1 (durable), D2 (no loss) and D8 (prompt) of the delivery contract on a server whose Postgres
//! fails and recovers. Also verifies that a server refuses a Postgres on which the server can't keep its promises.
#![allow(clippy::unwrap_used, reason = "a test")]

mod errors;
mod fixture;
mod health;
mod limits;
mod pooler;
mod settings;
mod silence;
#[path = "../support/mod.rs"]
mod support;
mod unreachable;

use futures_util::future::LocalBoxFuture;
use libtest_mimic::{Arguments, Failed, Trial};
use woosh_harness::Backend;

fn main() {
    let trials = vec![
        trial("requests_get_503_while_postgres_is_unreachable_and_no_accepted_message_is_lost", || {
            Box::pin(unreachable::outage())
        }),
        trial(
            "a_database_host_that_goes_silent_stops_the_service_for_seconds_only",
            || Box::pin(silence::under_load()),
        ),
        trial("notifications_between_replicas_work_again_within_seconds_after_a_connection_went_silent", || {
            Box::pin(silence::notifications())
        }),
        trial("a_server_sets_what_its_promises_depend_on_whatever_the_defaults_of_the_database", || {
            Box::pin(settings::defaults())
        }),
        trial("a_database_that_can_lose_messages_is_refused_unless_it_is_allowed", || Box::pin(settings::fsync_off())),
        trial("a_database_with_another_encoding_is_refused", || Box::pin(settings::encoding())),
        trial("a_pooler_that_pools_transactions_is_refused", || Box::pin(settings::transaction_pooler())),
        trial("requests_get_503_while_the_database_is_read_only", || Box::pin(errors::read_only())),
        trial("a_starting_server_waits_for_a_database_that_is_read_only", || Box::pin(errors::start_read_only())),
        trial("a_change_of_the_schema_that_invalidates_statements_stops_the_service_for_a_moment_only", || {
            Box::pin(errors::changed_schema())
        }),
        trial("connections_that_the_database_ends_are_replaced", || Box::pin(errors::terminated())),
        trial("a_server_whose_database_answers_but_commits_no_write_is_alive_but_not_ready", || {
            Box::pin(health::no_commit())
        }),
        trial("however_many_ask_whether_a_server_is_ready_it_commits_one_write_a_second", || {
            Box::pin(health::many_checks())
        }),
        paused_trial("a_call_to_a_silent_database_fails_after_seconds", || Box::pin(limits::calls())),
        paused_trial("16_calls_have_a_connection_and_others_wait_3_seconds_for_one", || Box::pin(limits::pool())),
        paused_trial("closing_waits_5_seconds_for_a_silent_database", || Box::pin(limits::closing())),
        paused_trial("a_start_on_a_silent_database_fails_after_5_seconds", || Box::pin(limits::start())),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit();
}

fn trial(name: &str, test: fn() -> LocalBoxFuture<'static, anyhow::Result<()>>) -> Trial {
    support::trial("postgres", Backend::Postgres, name, move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
    })
}

/// Creates a test that may pause the clock of Tokio. Only a runtime with one thread can pause it.
fn paused_trial(name: &str, test: fn() -> LocalBoxFuture<'static, anyhow::Result<()>>) -> Trial {
    support::trial("postgres", Backend::Postgres, name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(test()).map_err(|error| Failed::from(format!("{error:#}")))
    })
}
