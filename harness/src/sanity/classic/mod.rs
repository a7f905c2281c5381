//! The checks of the classic API.

mod anonymous;
mod authentication;
mod backlog;
mod deletion;
mod malformed;
mod profile;
mod registration;
mod search;
mod send;
mod tenancy;

use super::{Check, suite};

pub(super) fn checks() -> Vec<Check> {
    suite! { "classic::";
        registration:
            a_user_registers_and_reads_its_profile,
            a_username_is_3_to_32_letters_digits_underscores_and_hyphens,
            a_taken_username_is_refused_in_any_case,
            a_missing_or_invalid_field_is_named,
            a_field_is_accepted_up_to_its_limit_and_an_error_names_both,
            the_keys_and_messages_of_the_original_client_fit,
            ids_are_distinct_integers;
        authentication:
            the_right_credentials_are_accepted,
            every_failure_gets_the_same_response,
            a_username_is_accepted_in_any_case,
            a_non_ascii_password_is_accepted;
        profile:
            an_update_of_info_is_stored,
            an_update_without_a_field_is_refused_and_changes_nothing;
        search:
            a_user_is_found_by_its_exact_name_ignoring_case,
            a_partial_name_finds_no_user,
            the_parameter_is_required;
        send:
            a_message_arrives_unchanged,
            contents_are_delivered_byte_for_byte,
            the_content_type_does_not_matter,
            a_send_to_oneself_is_refused,
            a_send_to_an_unknown_user_is_refused,
            a_missing_invalid_or_too_long_field_is_named;
        tenancy:
            only_its_owner_reads_a_mailbox,
            only_its_owner_empties_a_mailbox,
            only_its_owner_sees_the_vault;
        deletion:
            polling_deletes_nothing,
            a_message_sent_between_poll_and_delete_remains,
            deleting_unpolled_messages_counts_them,
            the_second_of_until_is_excluded,
            the_parameter_must_be_an_integer;
        backlog:
            three_hundred_messages_arrive_in_order,
            no_message_is_lost_during_concurrent_sends;
        anonymous:
            every_operation_except_registration_needs_credentials,
            every_operation_checks_the_credentials_before_the_body,
            registration_without_a_body_is_refused;
        malformed:
            a_body_that_is_not_a_json_object_is_refused,
            a_too_long_body_is_refused,
            an_unknown_path_is_not_found,
            a_wrong_method_is_refused_with_the_allowed_ones,
            a_refused_request_changes_nothing;
    }
}
