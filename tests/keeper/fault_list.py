"""The numbers of the fault list and the tests that stand for them, `file::test` below this folder."""

from __future__ import annotations

FAULTS: dict[int, tuple[str, ...]] = {
    1: ("test_keeper.py::test_a_second_tick_on_the_same_score_sends_nothing",),
    2: (
        "test_keeper.py::test_bad_inputs_are_recorded_and_move_nothing",
        "test_guards.py::test_no_guard_is_ever_broken",
    ),
    3: (
        "test_keeper.py::test_bad_inputs_are_recorded_and_move_nothing",
        "test_decision.py::test_each_guard_by_itself",
    ),
    4: (
        "test_keeper.py::test_a_score_that_flickers_moves_once_a_crossing",
        "../models/allocation/test_guards.py::test_scores_around_the_threshold_do_not_flicker",
    ),
    5: (
        "test_decision.py::test_two_prices_that_disagree_or_one_that_is_missing_stop_every_swap",
        "test_keeper.py::test_disagreeing_prices_are_recorded_and_move_nothing",
    ),
    6: (
        "test_faults.py::test_a_pause_before_the_signature_cancels",
        "test_faults.py::test_a_pause_after_the_signature_waits_for_the_proof_and_never_sends",
        "test_faults.py::test_a_pause_after_the_send_follows_it_to_its_end",
    ),
    7: ("test_crashes.py::test_no_crash_applies_twice",),
    8: ("test_crashes.py::test_no_crash_applies_twice",),
    9: ("test_crashes.py::test_no_crash_applies_twice",),
    10: ("test_crashes.py::test_no_crash_applies_twice",),
    11: ("test_faults.py::test_an_outage_in_the_middle_is_finished_by_the_reconcile_job",),
    12: ("test_keeper.py::test_a_second_process_finds_the_account_busy",),
    13: ("test_crashes.py::test_no_crash_applies_twice",),
    14: ("test_faults_chain.py::test_14_answers_that_are_none_are_outlived",),
    15: (
        "test_faults_chain.py::test_15_a_node_that_drips_is_cut_off",
        "test_faults_chain.py::test_15_a_hanging_node_costs_one_budget",
    ),
    16: ("test_faults_queue.py::test_16_a_duplicate_on_the_first_send_counts_as_submitted",),
    17: ("test_crashes.py::test_replacements_reuse_the_sequence_number",),
    18: ("test_faults_chain.py::test_18_a_surge_after_the_build",),
    19: ("test_faults.py::test_a_surge_in_fees_is_not_paid",),
    20: ("test_faults_chain.py::test_20_foreign_use_of_the_key_pauses_and_pages",),
    21: ("test_faults_queue.py::test_21_a_resend_after_inclusion_is_settled_by_the_hash",),
    22: ("test_faults_queue.py::test_22_too_late_at_admission_gets_new_bounds_from_the_chains_clock",),
    23: ("test_faults_queue.py::test_23_a_local_clock_that_is_wrong_changes_no_bound",),
    24: ("test_faults.py::test_a_network_that_rejects_our_key_stops_the_vault",),
    25: (
        "signing/test_signers.py::test_what_passes_is_tried_again_within_bounds",
        "signing/test_signers.py::test_a_service_that_never_answers_is_left",
        "signing/test_kms.py::test_a_disabled_key_is_refused_and_signs_again_when_enabled",
        "signing/test_signers.py::test_a_key_of_another_account_signs_nothing",
        "signing/test_signers.py::test_a_signature_that_does_not_verify_never_leaves",
        "signing/test_signers.py::test_nothing_is_stored_that_does_not_verify",
        "signing/test_signers.py::test_a_keeper_waits_for_a_service_that_throttles",
    ),
    26: (
        "signing/test_vault_transit.py::test_a_sealed_vault_is_waited_for",
        "signing/test_vault_transit.py::test_an_expired_token_is_read_again",
        "signing/test_vault_transit.py::test_a_refused_token_without_a_successor_is_renewed",
        "signing/test_vault_transit.py::test_a_rotated_key_signs_on_with_the_version_that_was_chosen",
        "signing/test_vault_transit.py::test_a_version_that_may_no_longer_sign_is_refused",
    ),
    27: ("test_faults_chain.py::test_27_an_unwind_refused_for_fees_shrinks_within_a_limit",),
    28: ("test_keeper.py::test_a_changed_chain_is_refused",),
    29: (
        "test_faults_chain.py::test_29_a_rescued_strategy_is_left_alone",
        "test_faults_queue.py::test_29_a_rescue_on_the_way_is_taken_as_a_human_action",
    ),
    30: ("test_faults_chain.py::test_30_a_failure_on_the_ledger_is_final_and_the_second_one_is_told",),
    31: ("test_faults.py::test_prices_that_move_before_the_ledger_fail_without_effect",),
    32: (
        "test_faults.py::test_an_outcome_that_was_not_agreed_is_not_signed",
        "test_faults_chain.py::test_32_the_firewall",
    ),
    33: (
        "test_faults.py::test_a_vault_read_from_a_node_that_lags_is_not_built_on",
        "test_faults_queue.py::test_33_a_replica_that_lags_after_success_delays_and_never_adds",
    ),
    34: ("test_faults.py::test_a_node_that_forgot_the_ledgers_in_question_proves_nothing",),
    35: (
        "test_faults_chain.py::test_35_stalled_ledgers_are_waited_out",
        "test_faults_chain.py::test_35_no_intent_begins_while_ledgers_stall",
    ),
    36: (
        "test_keeper.py::test_made_up_data_never_acts_on_the_public_network",
        "test_faults_chain.py::test_36_a_reset_network_halts_and_an_upgraded_one_is_refused",
    ),
    37: ("test_keeper.py::test_changed_code_is_refused",),
    38: ("test_keeper.py::test_a_changed_chain_is_refused",),
    39: ("test_faults.py::test_an_answer_that_contradicts_itself_is_never_guessed",),
    40: ("test_wire.py::test_answers_about_a_transaction",),
    41: ("test_faults_chain.py::test_41_a_database_that_is_away_costs_no_second_transaction",),
    42: (
        "test_keeper.py::test_risk_off_brings_everything_home_after_the_cooldown",
        "test_keeper.py::test_dollars_of_a_day_are_counted_in_stored_decisions",
    ),
    43: ("test_keeper.py::test_shadow_goes_up_to_the_simulation_and_never_calls_the_signer",),
}
