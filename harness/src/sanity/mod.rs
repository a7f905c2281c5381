//! The black-box sanity suite: what a client relies on, checked over HTTP alone.
//!
//! Each check makes users of its own, so that it passes on a fresh server and on one that has been running for long.

mod anonymous;
mod authentication;
mod backlog;
mod client;
mod deletion;
mod malformed;
mod operations;
mod profile;
mod registration;
mod search;
mod send;
mod tenancy;

use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream;

use self::client::Client;
use crate::{Backend, TestDatabase, TestServer};

/// What is checked.
#[derive(Debug, Clone)]
pub enum Target {
    /// Fresh servers for each check, on one database, asked in turn.
    Fresh {
        /// Which database.
        backend: Backend,
        /// How many servers.
        replicas: usize,
    },
    /// Running servers on one database, by their URLs, asked in turn.
    Running(Vec<String>),
}

/// One thing that a client relies on.
#[derive(Clone, Copy)]
pub struct Check {
    /// What it is, in `snake_case` behind the topic.
    pub name: &'static str,
    check: fn(Client) -> BoxFuture<'static, anyhow::Result<()>>,
}

impl Check {
    /// Checks it.
    ///
    /// # Errors
    ///
    /// Where it does not hold, with what was seen instead, or where there is no server.
    pub async fn run(&self, target: &Target) -> anyhow::Result<()> {
        match target {
            Target::Fresh { backend, replicas } => {
                let database = Arc::new(TestDatabase::create(*backend).await?);
                let servers = try_join_all((0..*replicas).map(|_| TestServer::start_on(database.clone(), 0))).await?;
                (self.check)(Client::new(servers.iter().map(TestServer::url))?).await
            }
            Target::Running(urls) => (self.check)(Client::new(urls.iter().map(String::as_str))?).await,
        }
    }
}

/// How many checks run at once.
const AT_ONCE: usize = 4;

/// Runs all checks, gives a line for each to `print` and one with the totals at the end, and returns how many failed.
pub async fn run(target: &Target, mut print: impl FnMut(String)) -> usize {
    let checks = checks();
    let total = checks.len();
    let mut outcomes = stream::iter(checks)
        .map(async |check| {
            let start = Instant::now();
            (check.name, check.run(target).await.context(check.name), start.elapsed().as_millis())
        })
        .buffered(AT_ONCE);
    let mut failed = 0;
    while let Some((name, outcome, millis)) = outcomes.next().await {
        match outcome {
            Ok(()) => print(format!("ok      {name} ({millis} ms)")),
            Err(error) => {
                failed += 1;
                print(format!("FAILED  {name} ({millis} ms)\n        {:#}", error.root_cause()));
            }
        }
    }
    print(format!("{} passed, {failed} failed", total - failed));
    failed
}

/// Names each check after the function that does it.
macro_rules! checks {
    ($($topic:ident: $($check:ident),+;)+) => {
        vec![$($(Check {
            name: concat!(stringify!($topic), "::", stringify!($check)),
            check: |client| Box::pin($topic::$check(client)),
        }),+),+]
    };
}

/// The whole suite.
pub fn checks() -> Vec<Check> {
    checks! {
        registration:
            a_user_registers_and_gets_its_own_profile,
            a_username_is_3_to_32_letters_digits_underscores_and_hyphens,
            a_taken_username_is_refused_in_every_spelling,
            a_missing_or_wrong_field_is_named,
            a_field_is_taken_up_to_its_limit_and_refused_above_with_both_named,
            the_keys_of_the_originals_client_fit,
            identifiers_are_integers_and_differ;
        authentication:
            the_right_credentials_are_let_in,
            every_failure_gets_the_same_answer,
            a_username_logs_in_in_every_spelling,
            a_password_beyond_ascii_logs_in;
        profile:
            info_is_updated_and_stays,
            an_update_without_a_field_is_refused_and_changes_nothing;
        search:
            a_user_is_found_by_its_exact_name_ignoring_case,
            nobody_is_found_by_a_part_of_a_name,
            the_parameter_is_required;
        send:
            a_message_arrives_as_it_was_sent,
            contents_come_out_byte_for_byte,
            the_content_type_does_not_matter,
            nobody_writes_to_oneself,
            nobody_writes_to_nobody,
            a_missing_wrong_or_long_field_is_named;
        tenancy:
            a_mailbox_is_read_by_its_owner_alone,
            a_mailbox_is_emptied_by_its_owner_alone,
            the_vault_is_seen_by_its_owner_alone;
        deletion:
            polling_deletes_nothing,
            a_message_sent_between_poll_and_delete_survives,
            deleting_what_was_never_polled_is_counted,
            the_second_itself_is_excluded,
            the_parameter_has_to_be_an_integer;
        backlog:
            a_thousand_messages_all_arrive_in_order,
            nothing_is_lost_while_others_send;
        anonymous:
            every_operation_but_registration_is_closed,
            every_operation_stays_closed_whatever_the_body,
            registration_without_a_body_is_refused;
        malformed:
            what_is_no_json_object_is_refused,
            a_body_that_is_too_long_is_refused,
            an_unknown_path_is_not_found,
            a_wrong_method_is_refused_with_the_right_ones,
            a_refused_request_changes_nothing;
        operations:
            the_server_is_alive_and_ready,
            the_document_is_the_same_in_all_forms,
            the_documentation_loads_nothing_from_elsewhere,
            every_answer_has_a_request_id;
    }
}
