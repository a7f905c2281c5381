//! What a client of the v1 API relies on.

mod acknowledge;
mod deletion;
mod devices;
mod doors;
mod expiry;
mod idempotency;
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
mod times;
mod waiting;

use super::{Check, suite};

pub(super) fn checks() -> Vec<Check> {
    suite! { "v1::";
        registration:
            a_user_registers_and_is_logged_in_on_a_first_device,
            the_first_token_is_let_in,
            what_is_optional_may_be_left_out,
            a_username_is_3_to_32_letters_digits_underscores_and_hyphens,
            a_taken_username_is_refused_in_every_spelling_through_both_doors,
            of_many_who_want_a_name_at_once_one_gets_it,
            a_missing_or_wrong_field_is_named,
            a_field_is_taken_up_to_its_limit_and_refused_above_with_both_named;
        password:
            the_new_password_logs_in_and_the_old_one_no_longer,
            a_change_ends_all_other_sessions_and_the_own_goes_on,
            a_wrong_old_password_changes_nothing,
            a_missing_or_wrong_field_is_named,
            of_two_changes_at_once_one_is_made,
            the_classic_api_follows;
        profile:
            the_own_user_comes_with_its_vault_and_its_version,
            what_is_given_is_changed_and_the_rest_stays,
            null_takes_the_private_key_away,
            a_wrong_change_is_refused_with_its_field_and_changes_nothing,
            a_change_is_made_to_the_expected_version_alone,
            of_changes_to_one_version_at_once_one_is_made;
        search:
            a_user_is_found_by_its_exact_name_ignoring_case,
            nobody_is_found_by_a_part_of_a_name_or_by_what_is_none,
            a_search_gives_each_user_once_in_order_to_the_last_page,
            a_search_finds_the_start_of_names_ignoring_case_and_nothing_else,
            a_wrong_parameter_is_named;
        sessions:
            a_login_opens_a_session_on_a_new_device,
            a_device_of_ones_own_is_taken_up_again,
            a_device_that_is_not_ones_own_is_not_taken_up,
            wrong_credentials_get_the_same_answer,
            a_missing_or_wrong_field_is_named,
            the_list_has_each_session_and_tells_the_current_one,
            an_ended_session_is_dead_at_once_on_every_replica,
            a_session_that_is_not_there_is_not_found;
        devices:
            the_list_has_each_device_and_tells_the_current_one,
            a_deleted_device_is_gone_with_its_sessions_and_its_mailbox,
            a_device_deletes_itself_where_it_is_not_the_last,
            of_two_devices_that_delete_each_other_one_stays,
            a_device_that_is_not_there_is_not_found,
            a_user_has_32_devices_at_most;
        send:
            a_message_arrives_as_it_was_sent,
            every_device_of_every_recipient_gets_it,
            one_may_write_to_oneself,
            it_is_for_all_recipients_or_for_none,
            contents_come_out_byte_for_byte,
            the_content_type_does_not_matter,
            the_recipients_are_1_to_100_and_none_is_named_twice,
            a_missing_wrong_or_long_field_is_named;
        idempotency:
            a_key_used_again_gives_the_same_answer_and_one_message,
            of_many_sends_at_once_under_one_key_one_is_stored,
            another_send_under_a_key_is_refused,
            a_key_belongs_to_its_device,
            a_key_is_1_to_255_visible_ascii_characters,
            a_send_that_failed_leaves_its_key_free,
            a_send_whose_reply_was_lost_is_tried_again_safely;
        mailbox:
            an_empty_mailbox_is_an_empty_page,
            reading_deletes_nothing,
            pages_follow_one_another_in_order,
            a_page_is_bounded_by_bytes_and_never_empty,
            a_reader_without_memory_gets_all_that_is_not_acknowledged,
            a_wrong_parameter_is_named_with_its_limit,
            nothing_is_lost_or_out_of_order_while_others_send;
        acknowledge:
            exactly_what_is_up_to_it_is_deleted,
            repeating_it_or_less_changes_nothing,
            what_never_was_there_is_refused_and_changes_nothing,
            other_devices_keep_what_they_have,
            a_missing_or_wrong_number_is_named;
        waiting:
            a_waiting_reader_has_a_message_soon_after_it_is_sent,
            what_is_there_is_not_waited_for,
            a_wait_for_nothing_ends_when_it_is_over,
            all_who_wait_for_one_mailbox_have_it,
            a_reader_whose_session_ends_is_sent_away;
        stream:
            events_are_the_messages_in_order,
            what_is_sent_later_comes_live,
            it_resumes_where_the_reader_says,
            a_reader_that_is_cut_off_again_and_again_gets_each_once,
            two_streams_of_one_mailbox_have_the_same,
            it_ends_with_its_session,
            nobody_gets_what_came_after_the_session_ended,
            a_wrong_place_to_resume_is_refused;
        expiry:
            what_expired_unread_is_a_gap_until_it_is_acknowledged,
            a_mailbox_where_all_expired_says_so_and_goes_on,
            the_classic_api_gives_nothing_that_expired;
        deletion:
            all_sessions_end_at_once,
            nobody_finds_it_any_more,
            it_does_not_log_in_any_more,
            its_name_is_not_given_out_again,
            what_it_sent_stays_with_its_recipients,
            nobody_writes_to_it_any_more;
        isolation:
            a_mailbox_is_read_by_its_own_device_alone,
            a_mailbox_is_acknowledged_by_its_own_device_alone,
            sessions_are_listed_and_ended_by_their_own_user_alone,
            devices_are_listed_and_deleted_by_their_own_user_alone,
            the_vault_is_seen_by_its_owner_alone,
            a_user_is_changed_by_itself_alone,
            an_idempotency_key_tells_nobody_of_anothers_send,
            nobody_sends_as_another;
        doors:
            users_of_both_apis_write_to_each_other,
            a_user_of_v1_reads_its_first_device_through_the_classic_api,
            a_user_of_the_classic_api_logs_in_to_v1,
            a_profile_changed_through_one_is_changed_in_the_other;
        problems:
            every_operation_but_registration_and_login_is_closed,
            every_operation_that_the_document_has_is_closed,
            every_operation_stays_closed_whatever_the_token,
            every_operation_stays_closed_whatever_the_body,
            an_unknown_path_is_a_problem_too,
            a_wrong_method_is_refused_with_the_right_ones,
            what_is_no_json_object_is_refused,
            a_body_that_is_too_long_is_refused,
            a_code_has_one_title,
            every_code_is_in_the_document;
    }
}
