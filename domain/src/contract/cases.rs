use super::Case;

/// Builds a list with one `Case` for each listed function. The name of a case is `module::function`.
macro_rules! cases {
    ($($module:ident: $($case:ident),+;)+) => {
        vec![$($(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            check: |stores| Box::pin(super::$module::$case(stores)),
        }),+),+]
    };
}

/// Returns all cases.
pub fn cases() -> Vec<Case> {
    cases! {
        users:
            a_user_is_found_as_registered,
            a_user_is_found_by_any_spelling_of_its_name,
            a_taken_name_is_refused_in_any_spelling,
            concurrent_registrations_of_a_name_succeed_once,
            identifiers_are_never_reused,
            a_private_key_is_optional,
            opaque_texts_are_returned_byte_for_byte,
            a_credential_has_the_user_and_its_first_device,
            an_unknown_user_is_not_found,
            an_update_replaces_only_the_given_fields,
            concurrent_updates_of_a_version_succeed_once,
            an_unknown_user_cannot_be_updated,
            a_search_returns_users_ordered_by_name,
            changing_the_password_ends_all_other_sessions,
            a_deleted_user_leaves_nothing_and_its_name_stays_reserved;
        sessions:
            a_token_identifies_its_session,
            a_user_can_register_with_a_session,
            a_login_reuses_only_a_device_of_its_own_user,
            an_outdated_password_hash_opens_no_session,
            concurrent_logins_do_not_exceed_the_device_limit,
            a_session_above_the_limit_ends_the_oldest_one,
            an_ended_session_is_not_found,
            concurrent_lookups_do_not_cache_an_ended_session;
        devices:
            devices_are_listed_oldest_first,
            deleting_a_device_deletes_its_mailbox_and_sessions,
            the_last_device_and_devices_of_others_are_not_deleted,
            concurrent_deletions_leave_one_device,
            concurrent_purges_leave_nothing,
            concurrent_deliveries_and_deletions_complete;
        deliver:
            a_message_is_read_as_sent,
            a_send_with_an_unknown_recipient_stores_nothing,
            a_send_of_an_ended_session_stores_nothing,
            a_send_includes_the_devices_that_its_recipients_have,
            a_recipient_is_found_by_any_spelling,
            contents_are_returned_byte_for_byte,
            sequence_numbers_are_gapless,
            no_envelope_appears_below_one_already_read,
            sent_at_never_decreases_even_if_the_clock_does,
            sent_at_is_never_before_the_watermark,
            concurrent_deliveries_to_many_mailboxes_all_arrive,
            a_mailbox_has_only_its_own_messages;
        fan_out:
            every_device_of_every_recipient_receives_the_message,
            every_send_has_its_own_identifier,
            sent_at_is_the_latest_watermark_of_all_mailboxes,
            a_message_is_kept_until_its_last_device_acknowledges_it,
            concurrent_acknowledgements_lose_no_delivery,
            concurrent_fan_outs_in_any_order_arrive_completely;
        idempotency:
            a_repeated_send_is_stored_once,
            concurrent_sends_under_one_key_are_stored_once,
            another_send_under_a_used_key_is_refused,
            a_key_is_scoped_to_its_device,
            a_send_that_is_not_stored_does_not_use_its_key,
            every_repetition_reports_the_same_undelivered_devices,
            old_keys_are_deleted_in_batches,
            a_key_outlives_its_device;
        mailbox:
            reading_changes_nothing,
            a_page_starts_after_the_cursor_and_ends_at_the_limit,
            a_page_is_limited_by_bytes_but_has_at_least_one_envelope,
            a_page_counts_the_escapes_of_json,
            an_unknown_mailbox_has_no_page,
            the_watermark_starts_at_the_creation_of_the_mailbox,
            the_watermark_never_decreases,
            nothing_is_added_before_the_watermark,
            acknowledging_before_a_time_deletes_exactly_the_older_envelopes,
            acknowledging_before_a_time_again_deletes_nothing,
            acknowledging_before_a_time_stops_at_the_limit,
            acknowledging_before_a_future_time_deletes_everything,
            numbering_continues_after_everything_is_acknowledged,
            acknowledging_before_a_time_leaves_other_mailboxes_unchanged;
        gaps:
            a_page_ends_before_a_gap_that_is_too_many;
        acknowledge:
            exactly_the_acknowledged_envelopes_are_deleted,
            acknowledging_the_same_or_less_changes_nothing,
            acknowledging_beyond_the_last_number_is_refused,
            the_limit_applies_to_the_oldest_envelopes,
            acknowledging_leaves_other_mailboxes_unchanged,
            concurrent_acknowledgements_never_move_backwards;
        incarnation:
            a_mailbox_has_the_incarnation_that_it_was_created_with,
            renewing_in_steps_changes_every_incarnation_and_nothing_else,
            acknowledging_in_another_incarnation_is_refused_and_changes_nothing,
            no_page_is_behind_a_number_that_a_reader_has_received;
        expiry:
            an_expired_envelope_is_a_gap_before_and_after_its_deletion,
            a_watermark_that_is_ahead_delays_expiry_by_a_day_at_most,
            expired_envelopes_are_deleted_in_batches,
            an_expired_envelope_can_be_acknowledged_before_its_deletion,
            an_envelope_acknowledged_by_one_device_can_expire_for_another;
        quota:
            a_full_mailbox_stores_gaps_instead_of_envelopes,
            the_quota_counts_bytes_of_contents,
            a_full_mailbox_does_not_block_others,
            acknowledging_and_expiry_free_room;
        notifier:
            a_delivery_notifies_waiting_readers,
            a_delivery_between_subscribing_and_waiting_notifies,
            envelopes_handed_over_are_those_that_a_read_returns,
            a_wait_times_out,
            the_end_of_a_session_notifies_waiting_readers;
        time:
            the_trusted_time_is_the_one_that_was_stored_last;
    }
}
