//! One suite, every store: what the ports promise, checked the same way for each adapter.
//!
//! A test is an `async fn` over an [`support::Opener`]; it names no adapter. `every_test!` lists
//! them once, `stores!` runs the list once for each store. A test that is not listed is dead code
//! and does not pass the lints.

mod catalogue;
mod children;
mod commits;
mod creation;
mod differential;
mod family_histories;
mod feed;
mod fences;
mod held_back;
mod journey;
mod line;
mod line_histories;
mod locks;
mod measures;
mod memory;
mod moving;
mod noop;
mod orders;
mod orders_due;
mod postgres;
mod races;
mod reads;
mod requests;
mod round_trip;
mod subplans;
mod support;
mod terms;
mod values;
mod workers;

macro_rules! tests {
    ($open:path; $($module:ident { $($test:ident)+ })+) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    crate::$module::$test($open).await;
                }
            )+
        }
    )+};
}

macro_rules! every_test {
    ($open:path) => {
        tests! { $open;
            locks {
                a_lock_is_made_with_its_project_and_first_granted_at_token_one
                all_keys_are_granted_or_none
                the_order_and_the_number_of_mentions_of_a_key_do_not_matter
                a_conflict_shows_who_is_in_the_way
                the_same_owner_keeps_its_token_and_never_loses_time
                new_and_held_keys_are_granted_in_one_request
                a_term_ends_at_its_very_end_and_not_before
                a_jump_of_the_wall_clock_ends_no_term
                a_proof_of_death_counts_only_at_the_term_it_was_made_for
                a_holder_whose_term_ran_out_is_spared_if_that_is_asked
                only_the_very_term_that_was_judged_is_not_spared
                a_lock_of_nothing_is_not_granted
                tokens_never_restart
                the_holders_are_listed_by_key
                a_term_is_listed_as_stale_from_its_very_end
            }
            line {
                tickets_are_numbered_in_the_order_of_arrival
                a_caller_without_a_ticket_never_passes_a_line
                the_first_in_line_is_granted_and_its_ticket_is_used_up
                a_wide_ticket_keeps_back_later_ones_on_every_key
                who_holds_it_already_does_not_queue
                a_ticket_that_waits_for_the_caller_does_not_keep_it_back
                a_held_lock_comes_before_the_line
                a_dead_waiter_keeps_nobody_back_and_goes_when_it_is_passed
                a_silent_waiter_keeps_nobody_back_from_the_end_of_its_life
                a_silent_waiter_keeps_its_number_until_somebody_passes
                a_ticket_is_left_by_its_owner_alone
                release_all_ends_the_waiting_of_one_owner
                a_look_shows_holders_and_waiters
                a_look_after_every_change_of_the_line_misses_nothing
            }
            line_histories {
                random_lines_agree_with_the_pure_rule
            }
            terms {
                a_renewal_extends_and_never_shortens
                a_sleeper_renews_if_nobody_came
                a_renewal_says_who_took_the_lock
                an_earlier_term_of_the_same_owner_is_lost_too
                a_renewal_of_a_cleared_lock_says_so
                many_terms_are_answered_in_the_order_given
                releasing_what_one_does_not_hold_harms_nobody
                release_all_ends_the_terms_of_one_owner
                an_eviction_ends_only_the_term_it_names
            }
            creation {
                a_new_plan_is_stored_with_its_order_its_log_and_its_lock
                a_new_plan_is_held_from_its_first_moment
                making_a_plan_again_is_harmless
                an_id_that_is_taken_is_refused
                a_part_of_a_plan_that_does_not_exist_is_refused
                what_is_not_there_is_not_found
            }
            commits {
                a_commit_writes_the_plan_and_its_event
                a_repeated_commit_returns_the_first_outcome
                a_commit_on_another_version_is_stale
                of_two_writers_of_one_version_the_second_is_stale
                a_commit_of_a_plan_that_does_not_exist_is_missing
                the_log_says_who_wrote_at_which_token
            }
            fences {
                a_term_that_was_taken_over_writes_nothing
                a_term_that_ran_out_untouched_still_writes
                a_term_that_was_released_or_evicted_writes_nothing
                another_owner_at_the_same_token_writes_nothing
                further_locks_must_still_be_held
                an_unfenced_plan_is_not_made_unless_allowed
                an_unfenced_write_is_refused_unless_allowed
                unfenced_writes_pass_where_they_are_allowed
                a_plan_that_a_token_wrote_refuses_unfenced_writes_always
            }
            round_trip {
                every_change_and_every_fact_survives_the_store
                every_field_of_an_order_survives_the_store
                the_least_order_survives_the_store
                odd_texts_survive_the_store
            }
            catalogue {
                projects_are_stored_and_listed_by_name
                a_name_or_a_repository_is_registered_once
                another_machine_may_have_a_repository_at_the_same_path_but_a_remote_is_one
                a_project_goes_with_its_lock_and_may_come_back
                a_project_that_a_plan_needs_stays
                a_project_whose_lock_is_held_stays
                actions_are_stored_replaced_and_listed_by_name
                an_action_is_removed_whoever_used_it
            }
            reads {
                a_prefix_finds_its_plans_in_either_case
                a_prefix_is_a_text_and_no_pattern
                a_view_shows_the_plan_and_who_holds_it
                plans_are_listed_newest_first_and_counted
                filters_narrow_the_list
                parts_of_plans_are_listed_when_asked_for
            }
            requests {
                a_request_is_open_until_it_is_closed_and_stays_known
                asking_twice_is_asking_once
                a_request_to_let_go_is_for_one_term
                a_plan_shows_that_it_is_to_be_cancelled
                a_look_shows_what_is_lost_and_what_is_asked
                a_look_after_every_change_misses_nothing
                many_are_asked_at_once_and_answered_in_their_order
            }
            subplans {
                children_come_to_be_with_an_event_of_their_parent
                a_new_child_is_free_and_its_own_lock_counts
                a_write_that_comes_too_late_spawns_nothing
                a_name_is_taken_once_among_siblings
                a_child_that_does_not_fit_its_parent_is_refused
                a_spawn_that_is_repeated_is_harmless
                a_family_is_told_from_the_top_down
                children_are_counted_by_state_wherever_their_parent_is_shown
                a_plan_that_goes_back_to_its_start_leaves_its_children_behind
                a_child_takes_the_place_of_another
                how_a_child_stands_survives_the_store
                a_child_is_done_when_its_parent_says_so
                several_events_are_written_as_one
                a_part_of_a_write_is_not_the_write
            }
            orders {
                an_order_survives_the_store
                ordering_twice_is_ordering_once
                an_order_goes_as_far_as_the_farthest
                an_order_that_ended_makes_way_for_another
                an_order_ends_with_its_plan
                an_end_that_was_decided_before_something_was_added_is_void
                orders_are_taken_up_in_the_order_of_the_line
                what_is_put_back_stands_at_the_end_and_rests
                only_whoever_has_it_puts_it_back
                a_claim_that_is_over_is_not_put_back_again
                only_what_nobody_has_and_nobody_else_wants_is_withdrawn
                of_many_who_claim_at_once_each_has_an_order_of_its_own
            }
            orders_due {
                a_plan_that_the_living_hold_is_left_alone
                a_plan_that_waits_is_taken_up_in_time
                a_plan_that_asks_is_taken_up_once_it_is_answered
                a_plan_whose_children_ask_is_taken_up_once_one_is_answered
                an_answer_given_while_the_plan_goes_to_wait_is_not_overlooked
                an_order_rests_by_the_stores_clock
                no_order_rests_for_longer_than_any_is_meant_to
                only_plans_of_these_projects_are_taken_up
                only_plans_that_can_be_worked_on_there_are_taken_up
            }
            workers {
                workers_are_listed_with_what_they_do
                how_long_a_worker_is_silent_goes_by_the_stores_clock
                what_a_worker_does_not_do_goes_back
                what_a_worker_has_claimed_since_it_reported_stays_in_its_hand
                who_leaves_has_nothing_in_hand
                the_lost_are_shown_for_a_day
                who_has_spoken_since_is_not_counted_out
            }
            family_histories {
                random_families_agree_with_the_model
            }
            feed {
                events_come_in_the_order_of_their_commits
                a_place_in_time_is_before_the_first_event_that_is_late_enough
                a_reader_beside_many_writers_misses_nothing
            }
            measures {
                plans_are_counted_by_stage
                many_events_are_counted_by_kind
                who_waits_and_what_is_asked_is_counted
                orders_are_counted_by_where_they_are
            }
            races {
                of_many_who_ask_at_once_one_is_granted
                of_many_writers_of_one_version_one_is_applied
            }
            differential {
                random_histories_agree_with_the_pure_record
            }
        }
    };
}

macro_rules! stores {
    ($($name:ident => $open:path;)+) => {$(
        mod $name {
            every_test!($open);
        }
    )+};
}

// THE ONE PLACE TO ADD A STORE: one line here, and its opener in `support.rs`.
stores! {
    in_memory => crate::support::memory;
    on_sqlite => crate::support::sqlite;
    on_postgres => crate::support::postgres;
    on_postgres_pooled => crate::support::postgres_pooled;
    on_sqlite_in_place => crate::support::sqlite_in_place;
}
