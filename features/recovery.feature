Feature: Recovery
  A process may end at any moment. What it did is kept, the next command finds it, and nothing
  lands twice.

  Background:
    Given a repository "site"

  @process
  Scenario: The next command finds what a dead driver left
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    Then the plan is execute/processing
    When I run "plan execute PLAN"
    Then the exit code is 5
    And I am told "execute/errored"
    And I am told "agents plan retry PLAN"
    And the plan is execute/errored
    And its "error.code" is "owner_died"
    And its "error.retryable" is "true"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  @process
  Scenario: What a dead driver left is recovered by hand
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "recover"
    Then it succeeds
    And I am told "nothing to recover"
    And the plan is execute/processing
    When Ada gets SIGKILL
    And Ada is gone
    And I run "--json diagnostics"
    Then there the check "plans" is "warn"
    When I run "recover"
    Then it succeeds
    And I am told "1 plan was without a driver"
    And I am told "now execute/errored"
    And the plan is execute/errored
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    And the locks table has no held row
    When I run "--json recover"
    Then it succeeds
    And there "data.plans" is "[]"
    When I run "--json diagnostics"
    Then there the check "plans" is "ok"

  @process
  Scenario: One recovery is told of each plan
    Given an action "first" that runs
      """
      pause one
      """
    And an action "second" that runs
      """
      pause two
      """
    And a plan FIRST of "first" on "site"
    And a plan SECOND of "second" on "site"
    When Ada starts "plan execute FIRST"
    And Bob starts "plan execute SECOND"
    And Ada reaches "one"
    And Bob reaches "two"
    And Ada gets SIGKILL
    And Bob gets SIGKILL
    And Ada is gone
    And Bob is gone
    And I run "recover"
    Then it succeeds
    And I am told "2 plans were without a driver"
    And the plan FIRST is execute/errored
    And the plan SECOND is execute/errored

  @process
  Scenario: The command of a dead driver ends with it
    Given an action "slow" that runs
      """
      exec 9> ROOT/pauses/life
      pause work
      """
    And a plan of "slow" on "site"
    And somebody listens to "life"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    Then "life" falls silent

  @process
  Scenario: A driver killed before the point of no return lands nothing, and then once
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo two > notes.txt' }
      validations:
        - { name: slow, shell: 'pause check' }
      """
    And an executed plan of "checked" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "check"
    And Ada gets SIGKILL
    And Ada is gone
    Then the locks table has a held row for "project/local/site"
    When I run "recover"
    Then it succeeds
    And the plan is apply/errored
    And in "site" 0 commits landed on "main"
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is apply/applied
    And in "site" 1 commit landed on "main"
    And the locks table has no held row

  @process
  Scenario: A driver killed after the landing leaves an applied plan
    Given the action
      """
      name: local/announced
      execute: { shell: 'echo two > notes.txt' }
      apply: { after: [pause, after] }
      """
    And an executed plan of "announced" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "after"
    And Ada gets SIGKILL
    And Ada is gone
    Then the plan is apply/applied
    When I run "recover"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the file "notes.txt" says "two"

  @process
  Scenario Outline: A driver killed after the point of no return has its work landed once by <command>
    Given a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    Then the plan is apply/processing
    And in "site" 0 commits landed on "main"
    When I run "<command>"
    Then it succeeds
    And the plan is apply/applied
    And in "site" 1 commit landed on "main"
    And in "site" the file "notes.txt" says "two"
    And in "site" the checkout is clean
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_completed, phase_advanced, phase_started, landing_intended, landed, applied"
    And the locks table has no held row

    Examples:
      | command         |
      | recover         |
      | plan retry PLAN |
      | plan apply PLAN |

  @process
  Scenario: A recovery that is told to stop says so, and leaves nothing held
    Given a git that stops before it lands
    And the action
      """
      name: local/announced
      execute: { shell: 'echo two > notes.txt' }
      apply: { after: [pause, after] }
      """
    And an executed plan of "announced" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And Bob starts "recover"
    And Bob reaches "after"
    And Bob gets SIGTERM
    Then Bob ends with exit code 143
    And I am told "agents recover"
    And the plan is apply/applied
    And in "site" 1 commit landed on "main"
    And the locks table has no held row

  @process
  Scenario: A landing that was frozen and thaws later lands nothing again
    Given a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "recover"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    When in "site" git is told "reset -q --hard start"
    And "git" goes on
    And somebody reaches "thawed"
    Then in "site" 0 commits landed on "main"
    When "thawed" goes on
    Then the plan is apply/applied

  @process
  Scenario: A landing that was given up does not come back when a frozen process thaws
    Given a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And in "site" somebody commits "x" to "other.txt"
    And I run "recover"
    Then the plan is apply/constrained
    And its "error.code" is "moved_away"
    When in "site" git is told "reset -q --hard start"
    And I run "plan cancel PLAN"
    Then it succeeds
    When "git" goes on
    And somebody reaches "thawed"
    Then in "site" 0 commits landed on "main"
    When "thawed" goes on
    Then the plan is apply/cancelled
    And in "site" the branch "main" has "one" in "notes.txt"

  @process
  Scenario: A branch that others moved after the point of no return is left to them
    Given a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And in "site" somebody commits "x" to "other.txt"
    And I run "plan apply PLAN"
    Then the exit code is 5
    And the plan is apply/constrained
    And its "error.code" is "moved_away"
    And in "site" the branch "main" has "x" in "other.txt"
    And in "site" the branch "main" has "one" in "notes.txt"
    When I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "x" in "other.txt"
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the checkout is clean

  @process
  Scenario: What may have landed cannot be taken back
    Given a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And I run "plan cancel PLAN"
    Then the exit code is 5
    And the plan is apply/applied
    And in "site" 1 commit landed on "main"

  @process
  Scenario: A plan that has to wait does not keep recovery from the others
    Given a repository "docs"
    And a git that stops before it lands
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      """
    And the action
      """
      name: local/checked
      execute: { shell: 'echo three > other.txt' }
      validations:
        - { name: slow, shell: 'pause check' }
      """
    And an executed plan FIRST of "change" on "site"
    And a plan SECOND of "slow" on "docs"
    And an executed plan THIRD of "checked" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And Carl starts "plan execute SECOND"
    And Carl reaches "work"
    And Carl gets SIGKILL
    And Carl is gone
    And Bob starts "plan apply THIRD"
    And Bob reaches "check"
    And I run "--json recover"
    Then the exit code is 4
    And there "data.plans.0.plan_id" is "SECOND"
    And there "data.plans.0.recovered" is "true"
    And there "data.plans.0.exit_code" is "0"
    And there "data.plans.1.plan_id" is "FIRST"
    And there "data.plans.1.recovered" is "false"
    And there "data.plans.1.exit_code" is "4"
    And there "data.plans.1.outcome" says "project local/site is locked"
    And there "messages" says "not all could be recovered; then: agents recover"
    And the plan SECOND is execute/errored
    And the plan FIRST is apply/processing
    When "check" goes on
    Then Bob ends with exit code 0
    When I run "recover"
    Then it succeeds
    And I am told "now apply/constrained"
    When I run "plan retry FIRST"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the branch "main" has "three" in "other.txt"
