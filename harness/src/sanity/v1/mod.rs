//! The checks of the v1 API.

mod acknowledge;
mod cursor;
mod deletion;
mod devices;
mod expiry;
mod idempotency;
mod interop;
mod isolation;
mod mailbox;
mod password;
mod problems;
mod profile;
mod registration;
mod search;
mod send;
mod sessions;
mod stream;
mod stream_ticket;
mod times;
mod waiting;

use super::{Check, suite};

pub(super) fn checks() -> Vec<Check> {
    suite! { "v1::";
        registration:
            a_user_registers_and_is_logged_in_on_a_first_device,
            the_first_token_is_accepted,
            optional_fields_may_be_omitted,
            a_username_is_3_to_32_letters_digits_underscores_and_hyphens,
            a_taken_username_is_refused_in_any_case_by_both_apis,
            concurrent_registrations_of_one_username_succeed_once,
            a_missing_or_invalid_field_is_named,
            a_field_is_accepted_up_to_its_limit_and_an_error_names_both;
        password:
            the_new_password_replaces_the_old_one,
            a_change_ends_all_other_sessions,
            a_wrong_old_password_changes_nothing,
            a_missing_or_invalid_field_is_named,
            concurrent_changes_succeed_once,
            the_classic_api_uses_the_new_password;
        profile:
            a_user_reads_its_own_vault_and_version,
            an_update_changes_only_the_given_fields,
            null_removes_the_private_key,
            an_invalid_update_names_its_field_and_changes_nothing,
            an_update_applies_only_to_the_expected_version,
            concurrent_updates_of_one_version_succeed_once;
        search:
            a_user_is_found_by_its_exact_name_ignoring_case,
            a_partial_or_invalid_name_finds_no_user,
            a_search_returns_each_user_once_in_order,
            a_search_matches_only_prefixes_ignoring_case,
            an_invalid_parameter_is_named;
        sessions:
            a_login_opens_a_session_on_a_new_device,
            a_login_can_name_an_existing_device_of_the_user,
            a_login_that_names_a_foreign_device_creates_a_new_one,
            wrong_credentials_get_identical_responses,
            a_missing_or_invalid_field_is_named,
            the_list_contains_each_session_and_marks_the_current_one,
            an_ended_session_is_rejected_at_once_by_every_replica,
            an_unknown_session_is_not_found;
        devices:
            the_list_contains_each_device_and_marks_the_current_one,
            deleting_a_device_deletes_its_sessions_and_mailbox,
            a_device_can_delete_itself_unless_it_is_the_last,
            two_devices_that_delete_each_other_leave_one,
            an_unknown_device_is_not_found,
            a_user_has_at_most_32_devices;
        send:
            a_message_arrives_unchanged,
            every_device_of_every_recipient_gets_the_message,
            a_user_may_send_to_itself,
            a_send_reaches_all_recipients_or_none,
            contents_are_delivered_byte_for_byte,
            a_send_has_1_to_100_distinct_recipients,
            a_missing_invalid_or_too_long_field_is_named;
        idempotency:
            a_repeated_key_returns_the_first_response_and_stores_one_message,
            concurrent_sends_with_one_key_store_one_message,
            a_different_send_with_the_same_key_is_refused,
            a_key_belongs_to_its_device,
            a_key_is_1_to_255_visible_ascii_characters,
            a_failed_send_does_not_use_up_its_key,
            a_send_whose_response_was_lost_can_be_retried;
        mailbox:
            an_empty_mailbox_returns_an_empty_page,
            reading_deletes_nothing,
            consecutive_pages_are_in_order,
            a_page_is_limited_in_bytes_but_never_empty,
            a_reader_without_a_cursor_gets_everything_unacknowledged,
            an_invalid_parameter_is_named_with_its_limit,
            no_message_is_lost_or_reordered_during_concurrent_sends;
        cursor:
            every_mailbox_has_an_incarnation_that_does_not_change,
            a_cursor_up_to_the_newest_number_is_accepted,
            a_cursor_beyond_the_newest_number_is_refused_with_where_to_go_on,
            a_cursor_of_another_incarnation_is_refused_and_deletes_nothing,
            an_invalid_incarnation_is_named;
        acknowledge:
            exactly_the_messages_up_to_the_number_are_deleted,
            acknowledging_the_same_or_less_changes_nothing,
            a_number_beyond_the_mailbox_is_refused_and_changes_nothing,
            other_devices_keep_their_messages,
            a_missing_or_invalid_number_is_named;
        waiting:
            a_waiting_reader_gets_a_message_promptly,
            a_read_does_not_wait_if_messages_are_present,
            a_wait_without_messages_ends_at_its_timeout,
            every_waiting_reader_of_a_mailbox_gets_the_message,
            a_waiting_reader_gets_401_when_its_session_ends;
        stream:
            events_carry_the_messages_in_order,
            new_messages_arrive_on_an_open_stream,
            a_stream_resumes_after_the_given_number,
            a_reader_that_reconnects_repeatedly_gets_each_message_once,
            several_streams_of_one_mailbox_get_the_same_events,
            a_stream_ends_with_its_session,
            a_stream_carries_nothing_sent_after_its_session_ended,
            an_invalid_number_to_resume_after_is_refused;
        stream_ticket:
            a_ticket_opens_one_stream_on_any_replica,
            a_stream_with_a_ticket_resumes_after_a_number,
            a_ticket_is_good_for_streams_only,
            a_ticket_ends_with_its_session,
            tickets_differ_and_are_not_cached;
        expiry:
            an_unread_expired_message_is_a_gap_until_acknowledged,
            a_mailbox_reports_that_everything_expired_and_stays_usable,
            the_classic_api_returns_no_expired_messages;
        deletion:
            all_sessions_of_the_user_end_at_once,
            a_deleted_user_is_not_found,
            a_deleted_user_cannot_log_in,
            the_username_of_a_deleted_user_stays_taken,
            messages_from_a_deleted_user_remain,
            a_send_to_a_deleted_user_is_refused;
        isolation:
            only_its_own_device_reads_a_mailbox,
            only_its_own_device_acknowledges_a_mailbox,
            only_their_user_lists_and_ends_sessions,
            only_their_user_lists_and_deletes_devices,
            only_its_owner_sees_the_vault,
            only_the_user_itself_changes_its_profile,
            an_idempotency_key_reveals_nothing_about_sends_of_other_users,
            a_sender_cannot_be_forged;
        interop:
            users_of_both_apis_exchange_messages,
            the_classic_api_reads_the_first_device_of_a_v1_user,
            a_classic_user_logs_in_to_v1,
            a_profile_change_in_one_api_is_visible_in_the_other;
        problems:
            every_operation_except_registration_and_login_needs_a_token,
            every_documented_operation_needs_a_token,
            every_operation_refuses_invalid_tokens,
            every_operation_checks_the_token_before_the_body,
            an_unknown_path_is_a_problem,
            a_wrong_method_is_refused_with_the_allowed_ones,
            a_body_that_is_not_a_json_object_is_refused,
            a_body_that_is_not_declared_as_json_is_refused,
            a_compressed_body_is_refused,
            a_byte_order_mark_before_the_body_is_skipped,
            a_too_long_body_is_refused,
            each_code_has_one_title,
            every_code_is_documented;
    }
}
