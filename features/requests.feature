Feature: Asking the holder of a lock
  Whoever does not hold a plan asks the one who does: to cancel it, or to let go. The holder hears of
  it within seconds, stops what runs, saves it, and answers. Whoever asked sees what came of it.

  Background:
    Given a repository "site"

  # Cancelling

  @process
  Scenario: A plan that another process executes is cancelled
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      sleep 1000
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan cancel PLAN --reason 'no longer needed'"
    Then it succeeds
    And the plan is execute/cancelled
    And its "cancel_reason" is "no longer needed"
    And its "cancel_requested" is "false"
    And Ada ends with exit code 9
    And I am told "was cancelled from elsewhere"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    And the locks table has no held row
    When I run "plan events PLAN"
    Then I am told "request.made"
    And I am told "no longer needed"
    When I run "plan cancel PLAN"
    Then it succeeds

  @process
  Scenario: Cancelling ends the whole family of a command, willing or not
    Given an action "stubborn" that runs
      """
      trap '' TERM
      (trap '' TERM; exec 3>ROOT/pauses/family; echo up >&3; setsid sh -c 'trap "" TERM; sleep 1000' & sleep 1000) &
      exec 3>ROOT/pauses/family
      pause work
      while :; do sleep 1; done
      """
    And commands get a grace of 1s
    And somebody listens to "family"
    And a plan of "stubborn" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    And I run "plan cancel PLAN"
    Then it succeeds
    And the plan is execute/cancelled
    And Ada ends with exit code 9
    And "family" falls silent

  @process
  Scenario: A plan whose driver is dead is cancelled at once
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan cancel PLAN --no-wait"
    Then it succeeds
    And the plan is execute/cancelled
    And in "site" a snapshot of the plan has "half" in "notes.txt"

  @process
  Scenario: A driver that does not answer is told of, and serves the request once it can
    Given an action "slow" that runs
      """
      pause work
      sleep 1000
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGSTOP
    And I run "plan cancel PLAN --wait 1s"
    Then the exit code is 4
    And I am told "has not answered"
    And I am told "the request stays"
    And the plan is execute/processing
    And its "cancel_requested" is "true"
    When I run "--json plan cancel PLAN --no-wait"
    Then the exit code is 4
    And there "error.code" is "no_answer"
    And there "error.details.holder.operation" is "plan execute"
    When Ada gets SIGCONT
    Then Ada ends with exit code 9
    And the plan is execute/cancelled
    And its "cancel_requested" is "false"
    And the locks table has no held row

  @process
  Scenario: A request that its holder did not live to serve is served by the next
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGSTOP
    And I run "plan cancel PLAN --no-wait"
    Then the exit code is 4
    When Ada gets SIGKILL
    And Ada is gone
    And I run "plan retry PLAN"
    Then the exit code is 9
    And I am told "cancelled"
    And the plan is execute/cancelled

  @binary
  Scenario: A plan that waits for its project is cancelled
    Given the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "waiting for project/local/site" while it runs
    When I run "plan cancel SECOND"
    Then it succeeds
    And Bob ends with exit code 9
    And the plan SECOND is apply/cancelled
    When "landing" goes on
    Then Ada ends with exit code 0
    And the plan FIRST is apply/applied
    And in "site" 1 commits landed on "main"

  @process
  Scenario: Cancelling comes too late for a landing that was decided
    Given an action "quick" that runs
      """
      echo a > a.txt
      """
    And an executed plan of "quick" on "site"
    And a git that stops before it lands
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And I run "plan cancel PLAN --no-wait"
    Then the exit code is 4
    When "git" goes on
    And Ada reaches "thawed"
    And "thawed" goes on
    Then Ada ends with exit code 0
    And the plan is apply/applied
    And its "cancel_requested" is "false"
    When I run "plan events PLAN"
    Then I am told "too late"

  # Breaking a lock

  @process
  Scenario: A holder that is asked to let go stops, saves its work, and lets go
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      sleep 1000
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "lock break plan/PLAN --token 2 --reason 'it hangs'"
    Then it succeeds
    And I am told "its holder has let go"
    And Ada ends with exit code 9
    And I am told "somebody asked for its lock"
    And the plan is execute/errored
    And its "error.code" is "asked"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    And the locks table has no held row
    When I run "plan events PLAN"
    Then I am told "it hangs"

  @process
  Scenario: A lock of a dead holder is taken
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "--json lock break plan/PLAN --token 2 --reason 'its terminal is gone'"
    Then it succeeds
    And there "data.outcome" is "taken"
    And the locks table has no held row
    When I run "recover"
    Then it succeeds
    And the plan is execute/errored

  @process
  Scenario: Only the term that was meant is broken
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "--json lock break plan/PLAN --token 1 --reason 'an old one'"
    Then the exit code is 5
    And there "error.code" is "moved_on"
    And there "error.details.token" is "2"
    And the locks table has a held row for "plan/PLAN"
    When "work" goes on
    Then Ada ends with exit code 0

  @process
  Scenario: A lock taken by force from a frozen driver is not written under when it thaws
    Given an action "slow" that runs
      """
      echo "$AGENTS_ATTEMPT" > notes.txt
      pause work
      sleep 1000
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGSTOP
    And I run "lock break plan/PLAN --token 2 --reason 'it is frozen' --no-wait"
    Then the exit code is 4
    And I am told "--force"
    When I do what it says helps
    Then it succeeds
    And I am told "by force"
    When I run "recover"
    Then it succeeds
    And the plan is execute/errored
    When Ada gets SIGCONT
    Then Ada ends with exit code 9
    And the plan is execute/errored
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, interrupted"

  @binary
  Scenario: The lock of a project is given up by the plan that lands there
    Given the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing; sleep 1000' }
      """
    And an executed plan of "first" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "landing"
    And I run "lock break project/local/site --token 1 --reason 'let me in'"
    Then it succeeds
    And Ada ends with exit code 9
    And the plan is apply/errored
    And its "error.code" is "asked"
    And in "site" 0 commits landed on "main"
    And the locks table has no held row

  Scenario Outline: What is not there cannot be broken
    When I run "lock break <key> --token 1 --reason 'no reason'"
    Then the exit code is <code>

    Examples:
      | key                             | code |
      | project/local/nowhere           | 3    |
      | plan/01ARZ3NDEKTSV4RRFFQ69G5FAV | 3    |
      | node/box                        | 2    |

  # Leases

  @process
  Scenario: A driver frozen past its lease is replaced, its commands are ended first, and it writes nothing
    Given an action "slow" that runs
      """
      echo "$AGENTS_ATTEMPT" > notes.txt
      [ "$AGENTS_ATTEMPT" = 2 ] || exit 0
      exec 3>ROOT/pauses/family
      pause work
      exec sleep 1000
      """
    And somebody listens to "family"
    And a plan of "slow" on "site"
    When Ada starts "--lease-ttl 5s plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    And Ada gets SIGSTOP
    And I run "plan execute PLAN --wait 1m"
    Then the exit code is 5
    And I am told "execute/errored"
    And "family" falls silent
    When I run "plan retry PLAN"
    Then it succeeds
    When Ada gets SIGCONT
    Then Ada ends with exit code 9
    And the plan is execute/complete
    And in "site" the branch "agents/plan-PLAN" has "3" in "notes.txt"
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, interrupted, retried, phase_started, phase_completed"
