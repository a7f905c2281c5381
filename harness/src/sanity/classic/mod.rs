//! What a client of the classic API relies on.

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
    }
}
