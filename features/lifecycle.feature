Feature: The life of a plan
  A plan is made, strategized, executed and applied. Each command moves it as far as its level
  says, and says what to do next; what is not legal where the plan is, is refused with the way on.

  Background:
    Given a repository "site"

  # The straight road

  @binary
  Scenario: From use to apply, command by command
    Given the action
      """
      name: local/change
      description: Say two
      strategize: { shell: 'echo "first think" > "$AGENTS_STRATEGY_FILE"' }
      execute: { shell: 'echo two > notes.txt; cat "$AGENTS_STRATEGY_FILE" > strategy.txt' }
      """
    When I run "--json plan use change site --name 'Say two'"
    Then it succeeds
    And there "data.phase" is "strategize"
    And there "data.state" is "queued"
    And there "data.name" is "Say two"
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    And its "strategy" says "first think"
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"
    And in "site" the branch "main" has "one" in "notes.txt"
    When I run "plan apply PLAN"
    Then it succeeds
    And the plan is apply/applied
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the branch "main" has "first think" in "strategy.txt"
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_completed, phase_advanced, phase_started, landing_intended, landed, applied"

  @binary
  Scenario: Everything in one go
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "--json run change site --apply"
    Then it succeeds
    And there "data.phase" is "apply"
    And there "data.state" is "applied"
    And there "data.landed.0.project" is "local/site"
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: An argument reaches the command
    Given the action
      """
      name: local/change
      arguments: [{ name: word, required: true }]
      execute: { shell: 'echo "$AGENTS_ARG_WORD" > notes.txt' }
      """
    When I run "run change site --arg word=three --apply"
    Then it succeeds
    And in "site" the branch "main" has "three" in "notes.txt"
    When I run "run change site"
    Then the exit code is 2
    And I am told "word"
    And I am told "agents action show local/change"

  # Levels

  Scenario: At the level manual each phase needs its command
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "--json plan use change site --automation manual"
    And I run "plan execute PLAN"
    Then it succeeds
    And the plan is strategize/complete
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete

  Scenario: At the level review a run stops before apply
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "--json run change site --automation review"
    Then it succeeds
    And the plan is execute/complete
    And in "site" the branch "main" has "one" in "notes.txt"

  Scenario: At the level auto a run lands
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "--json run change site --automation auto"
    Then it succeeds
    And the plan is apply/applied
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: A level that does not exist is a mistake
    Given an action "change" that runs
      """
      true
      """
    When I run "plan use change site --automation full"
    Then the exit code is 2
    And I am told "manual, review, auto"

  # Already so, and refused

  @binary
  Scenario: What is already so is acknowledged
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    When I run "plan apply PLAN"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is apply/applied

  Scenario: Cancelling twice is fine, and final
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "plan cancel PLAN --reason 'not needed'"
    Then it succeeds
    And the plan is strategize/cancelled
    And its "cancel_reason" is "not needed"
    When I run "plan cancel PLAN"
    Then it succeeds
    When I run "plan execute PLAN"
    Then the exit code is 5
    And I am told "strategize/cancelled"

  @binary
  Scenario: Applying too early is refused with the way on
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "--json plan apply PLAN"
    Then the exit code is 5
    And there "error.code" is "refused"
    And there "error.details.plan_id" is "PLAN"
    And there "error.details.command" is "apply"
    And there "error.details.phase" is "strategize"
    And there "error.details.state" is "queued"
    When I run "plan apply PLAN"
    Then the exit code is 5
    And I am told "strategize/queued"
    And I am told "agents plan execute PLAN"
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete

  Scenario: Executing what has failed is refused with the way on
    Given an action "flaky" that runs
      """
      [ "$AGENTS_ATTEMPT" -gt 2 ] || exit 1
      """
    And a plan of "flaky" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan execute PLAN"
    Then the exit code is 5
    And I am told "execute/errored"
    And I am told "agents plan retry PLAN"
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete

  Scenario Outline: <command> is refused where it is not legal
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And I have run "<before>"
    When I run "<command>"
    Then the exit code is 5
    And I am told "<stage>"

    Examples:
      | before           | command                  | stage            |
      | plan status PLAN | plan retry PLAN          | execute/complete |
      | plan apply PLAN  | plan execute PLAN        | apply/applied    |
      | plan apply PLAN  | plan cancel PLAN         | apply/applied    |
      | plan apply PLAN  | plan revert PLAN         | apply/applied    |
      | plan apply PLAN  | plan prompt PLAN more    | apply/applied    |
      | plan cancel PLAN | plan apply PLAN          | execute/cancelled |
      | plan cancel PLAN | plan retry PLAN          | execute/cancelled |
      | plan cancel PLAN | plan revert PLAN         | execute/cancelled |
      | plan cancel PLAN | plan prompt PLAN more    | execute/cancelled |

  # Failing, trying again, going back

  @binary
  Scenario: A phase that fails says why, and where the rest is
    Given an action "broken" that runs
      """
      echo half > notes.txt
      echo "the disk is made of cheese" >&2
      exit 3
      """
    And a plan of "broken" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "exited with code 3"
    And I am told "the disk is made of cheese"
    And I am told "agents plan log PLAN"
    And the plan is execute/errored
    And its "error.code" is "exit_code"
    And its "error.retryable" is "true"
    And its log shows "the disk is made of cheese"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    And in "site" the branch "main" has "one" in "notes.txt"
    When I run "--json plan retry PLAN"
    Then the exit code is 7
    And there "error.code" is "phase_failed"
    And there "error.details.reason" is "exit_code"
    And there "error.details.attempt" is "3"

  Scenario: A command that does not exist fails the phase
    Given the action
      """
      name: local/missing
      execute: { run: [no-such-program-anywhere] }
      """
    And a plan of "missing" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "no-such-program-anywhere"
    And its "error.code" is "command_not_found"

  Scenario: A command that is killed fails the phase
    Given an action "suicidal" that runs
      """
      kill -9 $$
      """
    And a plan of "suicidal" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "killed by signal 9"

  Scenario: A command that takes too long is stopped
    Given the action
      """
      name: local/endless
      execute: { shell: 'pause for-ever', timeout: 1s }
      """
    And a plan of "endless" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "ran out of time"
    And its "error.code" is "timeout"

  Scenario: A change while strategizing is an error, and kept
    Given the action
      """
      name: local/eager
      strategize: { shell: 'echo hasty > notes.txt' }
      execute: { shell: 'true' }
      """
    And a plan of "eager" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the plan is strategize/errored
    And in "site" a snapshot of the plan has "hasty" in "notes.txt"

  Scenario: The action's own policy tries again
    Given the action
      """
      name: local/flaky
      execute:
        shell: '[ "$AGENTS_ATTEMPT" -gt 3 ] || exit 9'
        retry: { max_attempts: 3, on_exit: [9] }
      """
    And a plan of "flaky" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And its "attempt" is "4"
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_failed, retried, phase_started, phase_failed, retried, phase_started, phase_completed"

  Scenario: The policy does not try again on another code
    Given the action
      """
      name: local/flaky
      execute:
        shell: 'exit 8'
        retry: { max_attempts: 3, on_exit: [9] }
      """
    And a plan of "flaky" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And its "attempt" is "2"

  @binary
  Scenario: A command that wants to be run later parks the plan
    Given an action "shy" that runs
      """
      [ "$AGENTS_ATTEMPT" -gt 2 ] || exit 75
      echo two > notes.txt
      """
    And a plan of "shy" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And I am told "agents plan execute PLAN"
    And the plan is execute/queued
    And the locks table has no held row
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete

  Scenario: Guidance reaches the next attempt
    Given an action "obedient" that runs
      """
      cat "$AGENTS_GUIDANCE_FILE" > notes.txt
      """
    And a plan of "obedient" on "site"
    When I run "plan prompt PLAN 'say please'"
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "say please" in "notes.txt"

  Scenario: Going back to the start, three times at most
    Given an action "obedient" that runs
      """
      cat "$AGENTS_GUIDANCE_FILE" > notes.txt
      """
    And an executed plan of "obedient" on "site"
    When I run "plan revert PLAN --reason 'use the new words'"
    Then it succeeds
    And the plan is strategize/queued
    And its "reversion_count" is "1"
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "use the new words" in "notes.txt"
    Given I have run "plan revert PLAN"
    And I have run "plan revert PLAN"
    When I run "plan revert PLAN"
    Then the exit code is 5
    And its "reversion_count" is "3"

  Scenario: After going back the plan starts from where the branch is now
    Given an action "append" that runs
      """
      cat notes.txt > copy.txt
      """
    And an executed plan of "append" on "site"
    And in "site" somebody commits "newer" to "notes.txt"
    When I run "plan revert PLAN"
    And I run "plan execute PLAN"
    Then in "site" the branch "agents/plan-PLAN" has "newer" in "copy.txt"

  Scenario: Guidance for a plan that has failed is taken, and the way on is said
    Given an action "broken" that runs
      """
      exit 3
      """
    And a plan of "broken" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan prompt PLAN smaller"
    Then it succeeds
    And I am told "next: agents plan retry PLAN"
