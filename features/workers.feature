Feature: Workers
  Who does not want to stay until a plan is done, orders it with --detach. Workers take up what is
  ordered, on any number of processes, each plan by one of them; and nothing that nobody ordered.

  Background:
    Given a repository "site"
    And an action "note" that runs
      """
      echo "$AGENTS_PLAN_ID" >> "$HOME/ran"
      echo two > notes.txt
      """

  @binary
  Scenario: A plan is left to a worker, from its start to its landing
    When I run "--json run note site --detach --apply"
    Then it succeeds
    And there "data.state" is "queued"
    And there "data.order.goal" is "apply"
    And there "data.order.outcome" is "null"
    When I run "--json plan why PLAN"
    Then there "data.code" is "no_worker"
    And there "data.details.order.goal" is "apply"
    When I run "--json diagnostics"
    Then there the check "workers" is "warn"
    And the plan is strategize/queued

  @binary
  Scenario: A worker works off what is there, and ends
    Given I have run "--json run note site --detach --apply"
    When I run "worker run --once"
    Then it succeeds
    And stdout is empty
    And I am told "plan PLAN taken up, to go up to apply"
    And I am told "plan PLAN apply/applied"
    And I am told "plan PLAN: its order has ended: applied"
    And the plan is apply/applied
    And its "order.outcome" is "applied"
    And 1 plans have run, each once, by "ran"
    When I run "worker run --once"
    Then it succeeds
    And I am not told "PLAN"

  Scenario: What a worker does is an object a line for programs
    Given I have run "--json run note site --detach"
    When I run "--json worker run --once"
    Then it succeeds
    And each line of stdout is a JSON object with "event,plan_id"
    And I am told "order.taken"
    And stderr is empty

  Scenario: Nobody touches a plan that nobody ordered
    Given a plan of "note" on "site"
    When I run "worker run --once"
    Then it succeeds
    And I am not told "PLAN"
    And the plan is strategize/queued

  Scenario: Each step of a plan may be left to a worker
    Given a plan of "note" on "site"
    When I run "plan execute PLAN --detach"
    Then it succeeds
    And I am told "ordered: a worker takes plan PLAN up to execute"
    And I am told "next: agents plan status PLAN"
    When I run "worker run --once"
    Then the plan is execute/complete
    And its "order.outcome" is "reached"
    When I run "plan apply PLAN --detach"
    And I run "worker run --once"
    Then the plan is apply/applied

  Scenario: A plan at the level manual stops after each step
    When I run "--json plan use note site --automation manual"
    And I run "plan execute PLAN --detach"
    And I run "worker run --once"
    Then the plan is strategize/complete
    And its "order.outcome" is "reached"
    When I run "plan execute PLAN --detach"
    And I run "worker run --once"
    Then the plan is execute/complete

  Scenario: To order twice is to order once, and an order may go farther
    Given a plan of "note" on "site"
    When I run "--json plan execute PLAN --detach"
    And I run "--json plan execute PLAN --detach"
    Then it succeeds
    And its "order.goal" is "execute"
    When I run "plan apply PLAN --detach"
    Then it succeeds
    And its "order.goal" is "apply"
    When I run "worker run --once"
    Then the plan is apply/applied
    And 1 plans have run, each once, by "ran"

  Scenario: What the command would refuse is not ordered
    Given a plan of "note" on "site"
    When I run "plan apply PLAN --detach"
    Then the exit code is 5
    And its "order" is "null"
    When I run "plan execute PLAN"
    And I run "plan execute PLAN --detach"
    Then it succeeds
    And I am told "nothing to order: plan PLAN is at execute/complete"
    And its "order" is "null"
    When I run "plan retry PLAN --detach"
    Then the exit code is 5

  Scenario: A plan that is cancelled is nobody's work any more
    Given I have run "--json run note site --detach"
    When I run "plan cancel PLAN"
    Then its "order.outcome" is "cancelled"
    When I run "worker run --once"
    Then it succeeds
    And the plan is strategize/cancelled
    When I run "--json run note site --detach"
    And I run "plan revert PLAN"
    Then its "order.outcome" is "reverted"

  Scenario: A plan that fails has an end to its order, and may be ordered anew
    Given an action "fix" that runs
      """
      echo half > notes.txt
      test -e "$HOME/ready"
      """
    And I have run "--json run fix site --detach --apply"
    When I run "worker run --once"
    Then it succeeds
    And I am told "plan PLAN: its order has ended: failed: exit_code"
    And the plan is execute/errored
    When I run "worker run --once"
    Then I am not told "PLAN"
    And the plan is execute/errored
    Given the file "ready" is there
    When I run "plan retry PLAN --continue --detach"
    Then it succeeds
    And its "order.retry" is "continue"
    When I run "worker run --once"
    Then the plan is execute/complete
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_failed, retried, phase_started, phase_completed"

  Scenario: A plan that asks is taken up again once it is answered
    Given an action "ask" that runs
      """
      if [ -z "$(cat "$AGENTS_GUIDANCE_FILE")" ]; then
        echo '{"type":"needs_input","question":"which colour?"}' >> "$AGENTS_EVENTS_FILE"
        exit 75
      fi
      echo two > notes.txt
      """
    And I have run "--json run ask site --detach"
    When I run "worker run --once"
    Then it succeeds
    And I am told "plan PLAN stays ordered: it waits"
    And the plan is execute/queued
    When I run "worker run --once"
    Then I am not told "PLAN"
    When I run "plan prompt PLAN blue"
    And I run "worker run --once"
    Then the plan is execute/complete

  Scenario: A worker for some projects leaves the others alone
    Given a repository "other"
    And I have run "--json run note site --detach"
    When I run "worker run --once --project local/other"
    Then it succeeds
    And the plan is strategize/queued
    When I run "worker run --once --project local/other --project local/site"
    Then the plan is execute/complete

  Scenario Outline: A project that is not there is said to be none, lest "<command>" be waited for in vain
    Given a repository "other"
    When I run "--json <command> --project local/nope"
    Then the exit code is 3
    And there "error.code" is "no_such_project"
    And I am told "agents project list"

    Examples:
      | command                                 |
      | worker run --once --project local/other |
      | plan list                               |

  @process
  Scenario: Two workers share ten plans, and each runs once
    Given 10 plans of "note" on "site" that are ordered
    When Ada starts "worker run --once --concurrency 2"
    And Bob starts "worker run --once --concurrency 2"
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And 10 plans have run, each once, by "ran"
    And the plan PLAN1 is execute/complete
    And the plan PLAN10 is execute/complete
    And the locks table has no held row

  @process
  Scenario: What a worker leaves that is killed is done by another
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      echo two > notes.txt
      """
    And I have run "--json run slow site --detach --apply"
    When Ada starts "worker run"
    And Ada reaches "work"
    Then the list of workers shows one that is alive and does "PLAN"
    When Ada gets SIGKILL
    And Ada is gone
    Then the list of workers shows one that is dead and does "PLAN"
    And the plan is execute/processing
    When I run "worker run --once"
    Then it succeeds
    And I am told "is gone; what it had in hand is free"
    And the plan is apply/applied
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, interrupted, retried, phase_started, phase_completed, phase_advanced, phase_started, landing_intended, landed, applied"

  @process
  Scenario: Asked to end, a worker takes up nothing more and goes on with what runs
    Given an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And I have run "--json run slow site --detach"
    When Ada starts "worker run"
    And Ada reaches "work"
    And Ada gets SIGTERM
    Then Ada says "nothing more is taken up, 1 running go on" while it runs
    And the list of workers shows one that is draining and does "PLAN"
    Given 1 plans of "note" on "site" that are ordered
    When "work" goes on
    Then Ada ends with exit code 0
    And I am told "its order has ended: reached"
    And the plan PLAN1 is strategize/queued
    When I run "worker list"
    Then I am told "nobody works"

  @process
  Scenario: Asked twice, a worker stops what runs, and another one goes on with it
    Given an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And I have run "--json run slow site --detach"
    When Ada starts "worker run"
    And Ada reaches "work"
    And Ada gets SIGTERM
    Then Ada says "nothing more is taken up" while it runs
    When Ada gets SIGTERM
    Then Ada ends with exit code 143
    And I am told "what was interrupted stays ordered"
    And the plan is execute/errored
    And its "error.code" is "shutdown"
    And its "order.outcome" is "null"
    And the locks table has no held row
    When I run "worker run --once"
    Then it succeeds
    And the plan is execute/complete

  @process
  Scenario: Who waits for a plan that is left to a worker waits until it is as far as it was ordered
    Given I have run "--json run note site --detach --apply"
    When Ada starts "plan wait PLAN"
    Then Ada says "nobody drives plan PLAN" while it runs
    When I run "worker run --once"
    Then Ada ends with exit code 0
    And the plan is apply/applied

  @process
  Scenario: A worker leaves a plan alone that somebody drives
    Given an action "slow" that runs
      """
      echo "$AGENTS_PLAN_ID" >> "$HOME/ran"
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan execute PLAN --detach"
    Then it succeeds
    When I run "worker run --once"
    Then it succeeds
    And I am not told "PLAN"
    When "work" goes on
    Then Ada ends with exit code 0
    When I run "worker run --once"
    Then I am told "plan PLAN: its order has ended: reached"
    And 1 plans have run, each once, by "ran"

  @process
  Scenario: A worker waits for a database that is out of reach
    Given the database can be put out of reach
    When Ada starts "worker run"
    Then Ada says "takes up what is ordered" while it runs
    When the database is out of reach
    Then Ada says "trying again" while it runs
    When the database is there again
    Then Ada says "the store is there again" while it runs
    When I run "--json run note site --detach"
    Then Ada says "its order has ended: reached" while it runs
    When Ada gets SIGINT
    Then Ada ends with exit code 0
    And the plan is execute/complete

  @binary
  Scenario: What a retry of subplans alone would refuse is not ordered either
    Given a plan of "note" on "site"
    When I run "plan retry PLAN --only-failed"
    Then the exit code is 5
    And I am told "it has no failed subplans"
    And I am told "help: agents plan execute PLAN"
    When I run "plan retry PLAN --only-failed --detach"
    Then the exit code is 5
    And I am told "it has no failed subplans"
    And I am told "help: agents plan execute PLAN"
    When I run "plan execute PLAN --detach"
    Then it succeeds
    When I run "plan retry PLAN --only-failed --detach"
    Then the exit code is 5
    When I run "plan apply PLAN --detach"
    Then it succeeds
    When I run "worker run --once"
    Then it succeeds
    And the plan is apply/applied
    And 1 plans have run, each once, by "ran"
