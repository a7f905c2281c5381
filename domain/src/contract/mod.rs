//! The contract of the ports as test cases, for every implementation.
//!
//! Each [`Case`] takes fresh, empty [`Stores`], uses them through the ports alone, and panics where they break the
//! contract. [`cases`] lists them all, so that an implementation cannot leave one out:
//!
//! ```
//! # use woosh_domain::{contract, fakes::MemoryStore};
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! for case in contract::cases() {
//!     runtime.block_on(case.run(MemoryStore::stores()));
//! }
//! ```

mod acknowledge;
mod deliver;
mod devices;
mod expiry;
mod fan_out;
mod fixtures;
mod idempotency;
mod mailbox;
mod notifier;
mod quota;
mod sessions;
mod users;

use futures_util::future::BoxFuture;

use crate::ports::Stores;

/// One sentence of the contract, and how to check it.
#[derive(Clone, Copy)]
pub struct Case {
    /// The sentence, in `snake_case` behind the port's name.
    pub name: &'static str,
    check: fn(Stores) -> BoxFuture<'static, ()>,
}

impl Case {
    /// Checks it on fresh, empty stores.
    ///
    /// # Panics
    ///
    /// Where they break the contract.
    pub fn run(&self, stores: Stores) -> BoxFuture<'static, ()> {
        (self.check)(stores)
    }
}

/// Names each case after the function that checks it.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        vec![$($(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            check: |stores| Box::pin($module::$case(stores)),
        }),+),+]
    };
}

/// The whole contract.
pub fn cases() -> Vec<Case> {
    cases! {
        users:
            a_user_is_found_as_it_was_registered,
            a_user_is_found_by_every_spelling_of_its_name,
            a_taken_name_is_refused_in_every_spelling,
            of_many_who_want_one_name_at_once_one_gets_it,
            identifiers_are_given_out_once,
            a_private_key_may_be_missing,
            opaque_texts_come_out_as_they_went_in,
            the_credential_leads_to_the_user_and_its_first_device,
            nobody_is_found_where_nobody_is,
            what_a_change_names_is_replaced_and_nothing_else,
            a_change_of_another_version_is_refused,
            nobody_cannot_be_changed,
            users_are_searched_in_the_order_of_their_names,
            a_changed_password_ends_all_sessions_but_one,
            a_deleted_user_leaves_nothing_and_its_name_is_not_given_out_again;
        sessions:
            a_token_leads_to_its_session,
            a_user_may_register_with_a_session,
            a_device_of_ones_own_is_taken_up_and_no_other,
            a_password_that_was_changed_opens_nothing,
            devices_are_as_many_as_a_user_may_have,
            beyond_the_most_sessions_of_a_device_the_oldest_ends,
            an_ended_session_is_found_no_more,
            an_ended_session_is_not_remembered;
        devices:
            devices_are_listed_oldest_first,
            a_deleted_device_goes_with_its_mailbox_and_sessions,
            the_last_device_and_those_of_others_stay,
            of_devices_that_are_deleted_at_once_one_stays,
            of_what_is_purged_at_once_nothing_is_left,
            deliveries_and_deletions_at_once_end_well;
        deliver:
            a_message_is_read_as_it_was_sent,
            a_message_to_nobody_is_not_stored,
            a_recipient_is_found_by_every_spelling,
            contents_come_out_byte_for_byte,
            sequence_numbers_have_no_gaps,
            a_reader_never_sees_a_number_below_one_it_has_seen,
            stamps_never_decrease_when_the_clock_does,
            nothing_is_stamped_before_a_closed_moment,
            crossing_deliveries_all_arrive,
            mailboxes_do_not_mix;
        fan_out:
            every_device_of_every_recipient_gets_it,
            no_two_sends_have_one_identifier,
            the_latest_moment_of_all_mailboxes_is_the_stamp,
            a_message_stays_until_its_last_device_acknowledges_it,
            devices_that_acknowledge_at_once_harm_no_delivery,
            crossing_fan_outs_are_whole_and_all_arrive;
        idempotency:
            a_send_under_a_key_happens_once,
            of_many_at_once_under_a_key_one_is_stored,
            another_send_under_a_key_is_refused,
            a_key_is_its_devices_own,
            what_was_not_stored_does_not_use_up_its_key,
            the_receipt_names_who_missed_it_each_time,
            old_keys_are_forgotten_in_steps;
        mailbox:
            reading_changes_nothing,
            reading_starts_after_a_number_and_stops_at_a_limit,
            a_page_is_bounded_by_bytes_and_never_empty,
            a_mailbox_that_is_not_there_reads_as_empty,
            a_new_mailbox_is_closed_before_its_creation,
            closing_never_opens_again,
            what_was_closed_stays_as_it_was_read,
            acknowledging_deletes_exactly_what_is_older,
            acknowledging_again_deletes_nothing,
            acknowledging_stops_at_a_limit,
            acknowledging_all_deletes_all,
            numbers_go_on_after_all_was_acknowledged,
            another_mailbox_is_not_acknowledged;
        acknowledge:
            exactly_what_is_acknowledged_is_deleted,
            repeating_it_or_less_changes_nothing,
            what_never_was_there_cannot_be_acknowledged,
            a_step_takes_the_oldest_up_to_its_limit,
            another_mailbox_keeps_what_it_has,
            of_acknowledgements_at_once_none_goes_back_behind_another;
        expiry:
            what_expired_is_a_gap_before_and_after_it_is_deleted,
            expired_envelopes_are_deleted_in_steps,
            what_expired_can_be_acknowledged_before_it_is_deleted,
            one_device_may_acknowledge_what_expires_for_another;
        quota:
            a_full_mailbox_takes_nothing_and_keeps_gaps,
            contents_count_by_their_bytes,
            one_full_device_blocks_no_other,
            room_comes_back;
        notifier:
            a_delivery_is_told_of_to_who_waits,
            what_comes_between_subscribing_and_waiting_is_told_of,
            patience_ends,
            who_waits_on_a_session_that_ends_is_told_so;
    }
}
