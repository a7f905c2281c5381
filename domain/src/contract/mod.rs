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

mod deliver;
mod fixtures;
mod mailbox;
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
            info_is_replaced_and_nothing_else,
            the_info_of_nobody_cannot_be_replaced;
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
        mailbox:
            reading_changes_nothing,
            reading_starts_after_a_number_and_stops_at_a_limit,
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
    }
}
