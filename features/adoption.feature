Feature: Adoption
  Whoever drives a plan is the only scheduler of its children; anybody may run one of them. Whoever
  dies, what is finished stays finished, what runs elsewhere is waited for, what was cut short is
  tried again, and the next who drives the plan carries it to its end.

  Background:
    Given a repository "site"
    And an action "api" that runs
      """
      echo "api $AGENTS_ATTEMPT" >> ROOT/ran; echo api > api.txt
      """
    And an action "web" that runs
      """
      echo "web $AGENTS_ATTEMPT" >> ROOT/ran; echo web > web.txt
      """
    And an action "slow" that runs
      """
      echo "slow $AGENTS_ATTEMPT" >> ROOT/ran; exec 9<> ROOT/pauses/life; pause work; echo slow > slow.txt
      """
    And an action "other" that runs
      """
      echo "other $AGENTS_ATTEMPT" >> ROOT/ran; pause elsewhere; echo other > other.txt
      """
    And the action
      """
      name: local/parallel
      subplans: { mode: parallel }
      """
    And the action
      """
      name: local/sequential
      subplans: { mode: sequential }
      """
    And the action
      """
      name: local/single
      subplans: { mode: parallel, max_parallel: 1, max_retries: 0 }
      """

  # Runners

  @binary
  Scenario: A child that another process runs is waited for, and what came of it is used
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And "work" goes on
    Then Ada says "waiting for plan/OTHER" while it runs
    And the plan SLOW is apply/applied
    When "elsewhere" goes on
    Then Bob ends with exit code 0
    And Ada ends with exit code 0
    And the plan is execute/complete
    And the subplans are "slow apply/applied, other apply/applied"
    And the file "ran" has "slow 2 other 2", line by line
    And in "site" the branch "agents/plan-PLAN" has "other" in "other.txt"

  @binary
  Scenario: A child that another process has finished is not run again
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name | action |
      | slow | slow   |
      | api  | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan execute API"
    Then it succeeds
    And the plan API is execute/complete
    When "work" goes on
    Then Ada ends with exit code 0
    And the subplans are "slow apply/applied, api apply/applied"
    And the file "ran" has "slow 2 api 2", line by line

  @binary
  Scenario: A child that failed elsewhere has failed
    Given an action "wrong" that runs
      """
      echo "wrong $AGENTS_ATTEMPT" >> ROOT/ran; pause elsewhere; exit 3
      """
    And a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | wrong | wrong  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute WRONG"
    And Bob reaches "elsewhere"
    And "work" goes on
    Then Ada says "waiting for plan/WRONG" while it runs
    When "elsewhere" goes on
    Then Bob ends with exit code 7
    And Ada ends with exit code 7
    And the subplans are "slow apply/applied, wrong execute/errored"
    And the file "ran" has "slow 2 wrong 2", line by line

  @process
  Scenario: A child whose runner is killed is tried again, and has lost no attempt
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And "work" goes on
    Then Ada says "waiting for plan/OTHER" while it runs
    When Bob gets SIGKILL
    And Bob is gone
    Then Ada ends with exit code 0
    And the subplans are "slow apply/applied, other apply/applied"
    And the file "ran" has "slow 2 other 2 other 3", line by line
    And the "subplan.failures" of OTHER is "0"
    When I run "--json plan errors OTHER"
    Then there "data.errors.0.code" is "owner_died"

  @process
  Scenario: A child whose runner is told to end is tried again by its scheduler
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And Bob gets SIGTERM
    Then Bob ends with exit code 143
    And the plan OTHER is execute/errored
    When "work" goes on
    Then Ada ends with exit code 0
    And the file "ran" has "slow 2 other 2 other 3", line by line

  @process
  Scenario: A part of the tree that another process schedules is followed there, too
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name | action     |
      | slow | slow       |
      | lev1 | sequential |
    And the subplan LEV1 has the subplans
      | name  | action |
      | api   | api    |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute LEV1"
    And Bob reaches "elsewhere"
    And "work" goes on
    Then Ada says "waiting for plan/LEV1" while it runs
    When Bob gets SIGKILL
    And Bob is gone
    Then Ada ends with exit code 0
    And the subplans are "slow apply/applied, lev1 apply/applied"
    And the subplans of LEV1 are "api apply/applied, other apply/applied"
    And the file "ran" has "slow 2 api 2 other 2 other 3", line by line
    And the history of LEV1 has 1 times "adopted"
    And the history of PLAN has 0 times "adopted"

  @process
  Scenario: A scheduler that is told to end does not wait for what others run
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And "work" goes on
    Then Ada says "waiting for plan/OTHER" while it runs
    When Ada gets SIGTERM
    Then Ada ends with exit code 143
    And the plan is execute/errored
    And the plan OTHER is execute/processing
    When "elsewhere" goes on
    Then Bob ends with exit code 0
    When I run "plan retry PLAN"
    Then it succeeds
    And the file "ran" has "slow 2 other 2", line by line

  @binary
  Scenario: Giving up a parent reaches the children that others run
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And I run "plan cancel PLAN"
    Then it succeeds
    And Ada ends with exit code 9
    And Bob ends with exit code 9
    And the plan is execute/cancelled
    And the subplans are "slow execute/cancelled, other execute/cancelled"
    And the locks table has no held row

  @binary
  Scenario: A failure that ends everything ends what others run, too
    Given the action
      """
      name: local/fast
      subplans: { mode: parallel, max_parallel: 1, fail_fast: true, max_retries: 0 }
      """
    And an action "wrong" that runs
      """
      pause failure; exit 3
      """
    And an action "endless" that runs
      """
      exec 9<> ROOT/pauses/life; pause elsewhere; exec sleep 1000
      """
    And somebody listens to "life"
    And a plan of "fast" on "site"
    And the plan has the subplans
      | name    | action  |
      | wrong   | wrong   |
      | endless | endless |
    When Ada starts "plan execute PLAN"
    And Ada reaches "failure"
    And Bob starts "plan execute ENDLESS"
    And Bob reaches "elsewhere"
    And "elsewhere" goes on
    And "failure" goes on
    Then Ada ends with exit code 7
    And Bob ends with exit code 9
    And "life" falls silent
    And the subplans are "wrong execute/errored, endless execute/cancelled"
    And the "cancel_reason" of ENDLESS is "stopped: `wrong` failed, and `fail_fast` is set"

  @process
  Scenario: There is one scheduler
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | slow | slow   |
      | api  | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan execute PLAN"
    Then the exit code is 4
    And I am told "doing: plan execute"
    When Bob starts "--wait 5m plan execute PLAN"
    Then Bob says "waiting for plan/PLAN" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And the file "ran" has 2 lines

  # The scheduler dies

  @process
  Scenario Outline: A scheduler that is killed is followed by whoever runs <command>
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
      | web  | web    |
    And somebody listens to "life"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    Then "life" falls silent
    And the plan is execute/processing
    And the plan API is apply/applied
    And the plan SLOW is execute/processing
    When I run "<command>"
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "api apply/applied, slow apply/applied, web apply/applied"
    And the file "ran" has "api 2 slow 2 slow 3 web 2", line by line
    And the history of PLAN has 1 times "adopted"
    And the history of PLAN has 3 times "subplan.merged"
    And in "site" the branch "agents/plan-PLAN" has "slow" in "slow.txt"
    And the locks table has no held row
    And in "site" no worktree is left
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    When I run "--json plan errors SLOW"
    Then there "data.errors.0.code" is "owner_died"

    Examples:
      | command           |
      | plan execute PLAN |
      | plan retry PLAN   |

  @process
  Scenario: What a dead scheduler left is put away by a recovery, and goes on by order
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan wait API --for applied --timeout 2m"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "recover"
    Then it succeeds
    And the plan is execute/errored
    And its "error.code" is "owner_died"
    And the plan SLOW is execute/errored
    And the plan API is apply/applied
    And the history of PLAN has 0 times "adopted"
    When I run "plan retry PLAN"
    Then it succeeds
    And the subplans are "api apply/applied, slow apply/applied"
    And the file "ran" has 3 lines
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And in "site" the branch "agents/plan-PLAN" has "slow" in "slow.txt"

  @process
  Scenario: Who carries on for a dead scheduler waits for children that others run
    Given a plan of "single" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute OTHER"
    And Bob reaches "elsewhere"
    And Ada gets SIGKILL
    And Ada is gone
    And Cyd starts "plan execute PLAN"
    Then Cyd says "waiting for plan/OTHER" while it runs
    When "elsewhere" goes on
    Then Bob ends with exit code 0
    And Cyd ends with exit code 0
    And the subplans are "slow apply/applied, other apply/applied"
    And the history of OTHER has 0 times "interrupted"
    And the history of PLAN has 1 times "adopted"

  @process
  Scenario: A scheduler killed at every depth is followed at every depth
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action     |
      | lev1 | sequential |
      | web  | web        |
    And the subplan LEV1 has the subplans
      | name | action     |
      | api  | api        |
      | lev2 | sequential |
    And the subplan LEV2 has the subplans
      | name | action |
      | slow | slow   |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan wait WEB --for applied --timeout 2m"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "lev1 apply/applied, web apply/applied"
    And the subplans of LEV1 are "api apply/applied, lev2 apply/applied"
    And the subplans of LEV2 are "slow apply/applied"
    And the file "ran" has 4 lines
    And the history of PLAN has 1 times "adopted"
    And the history of LEV1 has 1 times "adopted"
    And the history of LEV2 has 1 times "adopted"
    And the history of API has 0 times "interrupted"
    And in "site" the branch "agents/plan-PLAN" has "slow" in "slow.txt"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"

  @process
  Scenario: A scheduler killed in the middle of a merge has that merge done once
    Given a git that stops before it lands
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    Then the plan API is apply/processing
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "api apply/applied, web apply/applied"
    And the history of PLAN has 2 times "subplan.merged"
    And the file "ran" has "api 2 web 2", line by line
    And in "site" 2 commits landed on "agents/plan-PLAN"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And in "site" the branch "agents/plan-PLAN" has "web" in "web.txt"
    And in "site" no worktree is left

  @process
  Scenario: A scheduler killed after a branch moved has that merge done once
    Given a git that stops before it lands
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "git"
    And "git" goes on
    And Ada reaches "thawed"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan retry PLAN"
    Then it succeeds
    And the subplans are "api apply/applied, web apply/applied"
    And the history of PLAN has 2 times "subplan.merged"
    And in "site" 2 commits landed on "agents/plan-PLAN"

  @process
  Scenario: A plan killed in its own command runs that again, and no child
    Given the action
      """
      name: local/parent
      execute: { shell: 'echo "parent $AGENTS_ATTEMPT" >> ROOT/ran; cat api.txt > own.txt; pause own' }
      subplans: { mode: sequential }
      """
    And a plan of "parent" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "own"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan execute PLAN"
    Then the exit code is 5
    And the plan is execute/errored
    And its "error.code" is "owner_died"
    And in "site" a snapshot of the plan has "api" in "own.txt"
    When I do what it says helps
    Then it succeeds
    And the file "ran" has "api 2 parent 2 parent 3", line by line

  @process
  Scenario: A dead scheduler's plan is given up with all below it
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | lev1 | single |
    And the subplan LEV1 has the subplans
      | name | action |
      | slow | slow   |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan cancel PLAN"
    Then it succeeds
    And the plan is execute/cancelled
    And the subplans are "api apply/applied, lev1 execute/cancelled"
    And the subplans of LEV1 are "slow execute/cancelled, web strategize/cancelled"
    And the locks table has no held row
    And in "site" no worktree is left

  # Told to end, or frozen

  @process
  Scenario Outline: <signal> ends a scheduler and all it runs, and the plan goes on by order
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action   |
      | api  | api      |
      | lev1 | parallel |
      | web  | web      |
    And the subplan LEV1 has the subplans
      | name  | action |
      | slow  | slow   |
      | other | other  |
    And somebody listens to "life"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada reaches "elsewhere"
    And Ada gets <signal>
    Then Ada ends with exit code <code>
    And I am told "agents plan retry PLAN"
    And "life" falls silent
    And the locks table has no held row
    And in "site" no worktree is left
    And the plan is execute/errored
    And its "error.code" is "shutdown"
    And the subplans are "api apply/applied, lev1 execute/errored, web strategize/queued"
    And the subplans of LEV1 are "slow execute/errored, other execute/errored"
    And the "error.code" of SLOW is "shutdown"
    And the "subplan.failures" of SLOW is "0"
    When I run "plan retry PLAN"
    Then it succeeds
    And the subplans are "api apply/applied, lev1 apply/applied, web apply/applied"
    And the subplans of LEV1 are "slow apply/applied, other apply/applied"
    And the file "ran" has 6 lines

    Examples:
      | signal  | code |
      | SIGTERM | 143  |
      | SIGINT  | 130  |

  # Takes as long as a lease may be at least: five seconds.
  @process
  Scenario: A scheduler frozen past its lease is followed, and writes nothing when it thaws
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
      | web  | web    |
    And somebody listens to "life"
    When Ada starts "--lease-ttl 5s plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGSTOP
    And I run "--wait 1m plan execute PLAN"
    Then it succeeds
    And "life" falls silent
    And the file "ran" has "api 2 slow 2 slow 3 web 2", line by line
    When Ada gets SIGCONT
    Then Ada ends with exit code 9
    And the plan is execute/complete
    And the subplans are "api apply/applied, slow apply/applied, web apply/applied"
    And the history of PLAN has 3 times "subplan.merged"
    And the history of PLAN has 1 times "adopted"
    And in "site" 3 commits landed on "agents/plan-PLAN"
    And in "site" no worktree is left
