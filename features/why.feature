Feature: Why a plan is not running
  Whoever finds a plan at rest asks once, and is told why, by whom, since when, and which command
  helps. The command works. Whoever would rather wait for it waits, and is told what came of it.

  Background:
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  # Nobody is at it

  @binary
  Scenario: A plan that nobody has ordered says so, and the command runs it
    Given a plan of "change" on "site"
    When I run "plan why PLAN"
    Then it succeeds
    And I am told "strategize could begin, and nobody has ordered it"
    And I am told "agents plan execute PLAN"
    When I run "--json plan why PLAN"
    Then it succeeds
    And there "data.plan_id" is "PLAN"
    And there "data.phase" is "strategize"
    And there "data.state" is "queued"
    And there "data.code" is "not_ordered"
    And there "data.remedy" is "agents plan execute PLAN"
    And there "data.details.next_phase" is "strategize"
    And there "data.causes.0.code" is "not_ordered"
    When I do what the answer says helps
    Then it succeeds
    And the plan is execute/complete

  @binary
  Scenario: A plan whose level says stop awaits its command
    Given an executed plan of "change" on "site"
    When I run "plan why PLAN"
    Then I am told "execute is complete; at the level review, apply needs its command"
    When I run "--json plan why PLAN"
    Then there "data.code" is "awaits_approval"
    And there "data.details.automation" is "review"
    And there "data.remedy" is "agents plan apply PLAN"
    When I do what the answer says helps
    Then it succeeds
    And the plan is apply/applied
    When I run "--json plan why PLAN"
    Then there "data.code" is "applied"
    And there "data.remedy" is "agents plan diff PLAN"
    When I do what the answer says helps
    Then it succeeds

  Scenario: At the level manual every phase needs its command
    Given I have run "--json plan use change site --automation manual"
    And I have run "plan execute PLAN"
    Then the plan is strategize/complete
    When I run "--json plan why PLAN"
    Then there "data.code" is "awaits_approval"
    And there "data.details.next_phase" is "execute"
    When I do what the answer says helps
    Then it succeeds
    And the plan is execute/complete

  @binary
  Scenario: A plan that failed says how, and what to try
    Given an action "broken" that runs
      """
      echo no such target
      exit 3
      """
    And a plan of "broken" on "site"
    When I run "plan execute PLAN"
    And I run "plan why PLAN"
    Then it succeeds
    And I am told "exited with code 3"
    And I am told "agents plan log PLAN"
    When I run "--json plan why PLAN"
    Then there "data.code" is "errored"
    And there "data.details.error.code" is "exit_code"
    And there "data.remedy" is "agents plan retry PLAN"
    When I do what the answer says helps
    Then the exit code is 7

  @binary
  Scenario: A plan that could not land says why not
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    And I run "plan why PLAN"
    Then I am told "it could not land: conflict"
    And I am told "notes.txt"
    When I run "--json plan why PLAN"
    Then there "data.code" is "constrained"
    And there "data.remedy" is "agents plan retry PLAN"
    When in "site" I merge "main" into the plan's branch, and "notes.txt" becomes "both"
    And I do what the answer says helps
    Then it succeeds
    And the plan is apply/applied

  Scenario: A plan that its command parked says for what
    Given an action "patient" that runs
      """
      [ "$AGENTS_ATTEMPT" -gt 2 ] || exit 75
      echo two > notes.txt
      """
    And a plan of "patient" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 8
    When I run "--json plan why PLAN"
    Then there "data.code" is "parked"
    And there "data.details.cause" is given
    When I do what the answer says helps
    Then it succeeds
    And the plan is execute/complete

  Scenario: A plan that was given up says why
    Given a plan of "change" on "site"
    And I have run "plan cancel PLAN --reason 'no longer needed'"
    When I run "plan why PLAN"
    Then I am told "it was cancelled: no longer needed"
    When I run "--json plan why PLAN"
    Then there "data.code" is "cancelled"
    When I do what the answer says helps
    Then it succeeds

  @binary
  Scenario: There is no answer for a plan that is not there
    When I run "plan why 01ARZ3NDEKTSV4RRFFQ69G5FAV"
    Then the exit code is 3
    And I am told "agents plan list"

  # Somebody is at it

  @binary
  Scenario: A plan that another process drives says who, doing what, since when
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan why PLAN"
    Then it succeeds
    And I am told "it runs: "
    And I am told "alive), doing: plan execute"
    And I am told "agents plan wait PLAN"
    When I run "--json plan why PLAN"
    Then there "data.code" is "runs"
    And there "data.state" is "processing"
    And there "data.details.lock.holder.liveness" is "alive"
    And there "data.details.lock.holder.operation" is "plan execute"
    And there "data.details.lock.acquired_at" is a time in UTC
    And there "data.details.lock.expires_at" is a time in UTC
    And there "data.details.lock.stale" is "false"
    When "work" goes on
    Then Ada ends with exit code 0

  @process
  Scenario: A plan whose driver died says so, and is recovered
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan why PLAN"
    Then I am told "its driver is dead"
    When I run "--json plan why PLAN"
    Then there "data.code" is "no_driver"
    And there "data.details.lock.holder.liveness" is "dead"
    And there "data.remedy" is "agents recover"
    When I do what the answer says helps
    Then it succeeds
    And the plan is execute/errored

  @binary
  Scenario: A landing that waits for the project says who has it
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo three > other.txt' }
      validations:
        - { name: slow, shell: 'pause check' }
      """
    And an executed plan FIRST of "checked" on "site"
    And an executed plan SECOND of "change" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "check"
    And Bob starts "plan apply SECOND"
    Then Bob says "waiting for project/local/site" while it runs
    When I run "plan why SECOND"
    Then I am told "waits for project local/site"
    And I am told "doing: plan apply"
    When I run "--json plan why SECOND"
    Then there "data.code" is "waits_in_line"
    And there "data.details.key" is "project/local/site"
    And there "data.details.held_by.holder.liveness" is "alive"
    When I do what the answer says helps
    Then it succeeds
    When "check" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0

  @process
  Scenario: A request that the driver has not served is told as well
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGSTOP
    And I run "--no-wait plan cancel PLAN --reason 'too slow'"
    Then the exit code is 4
    When I run "plan why PLAN"
    Then I am told "to cancel it, which is not done yet: too slow"
    When I run "--json plan why PLAN"
    Then there "data.code" is "runs"
    And there "data.causes.1.code" is "cancel_requested"
    And there "data.causes.1.remedy" is "agents plan cancel PLAN"
    When Ada gets SIGCONT
    Then Ada ends with exit code 9
    And the plan is execute/cancelled

  # Waiting for it

  @binary
  Scenario: Whoever waits for a plan is told when it is done
    Given an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "--json plan wait PLAN --for processing"
    Then it succeeds
    And there "data.state" is "processing"
    When Bob starts "--json plan wait PLAN"
    And "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And there "data.state" is "complete"
    And the locks table has no held row

  Scenario: Whoever waits for a plan that nobody drives is told so
    Given a plan of "change" on "site"
    When Bob starts "plan wait PLAN --for applied"
    Then Bob says "nobody drives plan PLAN (strategize/queued)" while it runs
    When I run "plan execute PLAN"
    And I run "plan apply PLAN"
    Then it succeeds
    And Bob ends with exit code 0

  @binary
  Scenario: A wait ends when its time is over
    Given a plan of "change" on "site"
    When I run "plan wait PLAN --timeout 1ms"
    Then the exit code is 124
    And I am told "agents plan why PLAN"
    When I run "--json plan wait PLAN --timeout 0s"
    Then the exit code is 124
    And there "error.code" is "timed_out"
    And there "error.retryable" is "true"
    And there "error.details.state" is "queued"

  @binary
  Scenario Outline: A wait ends with the exit code of what happened: <what>
    Given an action "odd" that runs
      """
      <script>
      """
    And a plan of "odd" on "site"
    When I run "<command>"
    And I run "plan wait PLAN <for>"
    Then the exit code is <code>

    Examples:
      | what                          | script               | command           | for             | code |
      | the work failed               | exit 3               | plan execute PLAN |                 | 7    |
      | it will not land now          | exit 3               | plan execute PLAN | --for applied   | 7    |
      | it failed, as was waited for  | exit 3               | plan execute PLAN | --for errored   | 0    |
      | it was parked                 | exit 75              | plan execute PLAN |                 | 8    |
      | it was given up               | true                 | plan cancel PLAN  |                 | 9    |
      | given up, as was waited for   | true                 | plan cancel PLAN  | --for cancelled | 0    |
      | it is complete                | echo two > notes.txt | plan execute PLAN |                 | 0    |

  Scenario: A wait for what has passed by ends
    Given an executed plan of "change" on "site"
    And I have run "plan apply PLAN"
    When I run "plan wait PLAN --for complete"
    Then it succeeds
    When I run "--json plan wait PLAN --for errored"
    Then the exit code is 5
    And there "error.code" is "not_reached"

  Scenario: A wait for a conflict ends with its exit code
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    And I run "plan wait PLAN --for applied"
    Then the exit code is 6

  @process
  Scenario: Whoever waits for a plan whose driver dies is told so
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan wait PLAN"
    And Ada gets SIGKILL
    And Ada is gone
    Then Bob says "nobody drives plan PLAN (execute/processing)" while it runs
    When I run "recover"
    Then Bob ends with exit code 9

  Scenario: There is nothing to wait for where there is no plan
    When I run "plan wait 01ARZ3NDEKTSV4RRFFQ69G5FAV"
    Then the exit code is 3

  @binary
  Scenario: It waits in line for its project
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
    And an action "third" that runs
      """
      echo c > c.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    And an executed plan THIRD of "third" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "waiting for project/local/site" while it runs
    When Cleo starts "plan apply THIRD"
    Then Cleo says "waiting for project/local/site" while it runs
    When I run "plan why THIRD"
    Then it succeeds
    And I am told "as number 2 in line"
    And I am told "agents lock explain project/local/site"
    When I run "--json plan why SECOND"
    Then there "data.code" is "waits_in_line"
    And there "data.details.position" is "1"
    When "landing" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And Cleo ends with exit code 0

  @process
  Scenario: There is no free place for its command
    Given an action "slow" that runs
      """
      pause work
      """
    And an action "quick" that runs
      """
      true
      """
    And a plan FIRST of "slow" on "site"
    And a plan SECOND of "quick" on "site"
    And the variable "AGENTS_CONCURRENCY" is "1"
    When Ada starts "plan execute FIRST"
    And Ada reaches "work"
    And Bob starts "plan execute SECOND"
    Then Bob says "waiting for a place" while it runs
    When I run "plan why SECOND"
    Then it succeeds
    And I am told "1 of 1 places are taken"
    And I am told "runs execute of plan FIRST"
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0

  # Parents and subplans

  @binary
  Scenario: A subplan waits for its parent, and what helps the parent helps
    Given a plan of "change" on "site"
    And I have run "-q plan spawn PLAN --action change --name first"
    When I call its subplan "first" FIRST
    And I run "plan why FIRST"
    Then it succeeds
    And I am told "its parent PLAN (strategize/queued) begins it"
    And I am told "agents plan execute PLAN"
    And I am told "nobody has ordered it"
    When I run "plan execute PLAN"
    Then it succeeds
    When I run "--json plan why FIRST"
    Then there "data.code" is "applied"

  @binary
  Scenario: While subplans run their parent says so, and the next one says for whom it waits
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "change" on "site"
    And I have run "-q plan spawn PLAN --action slow --name first"
    And I have run "-q plan spawn PLAN --action change --name second"
    When I call its subplan "first" FIRST
    And I call its subplan "second" SECOND
    And Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan why PLAN"
    Then I am told "its subplans run: 2: "
    When I run "--json plan why PLAN"
    Then there "data.code" is "runs_children"
    And there "data.details.subplans.total" is "2"
    When I do what the answer says helps
    Then it succeeds
    And stdout says "second"
    When I run "--json plan why SECOND"
    Then there "data.code" is "waits_for_subplans"
    And there "data.details.subplans.0.name" is "first"
    And there "data.remedy" is "agents plan why FIRST"
    When I do what the answer says helps
    Then it succeeds
    And I am told "it runs: "
    When "work" goes on
    Then Ada ends with exit code 0
