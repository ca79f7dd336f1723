Feature: Going on with unfinished work
  What an attempt left is in a snapshot. `plan retry` begins anew; `plan retry --continue` begins
  with that work. Each attempt and what went wrong in it stay known.

  Background:
    Given a repository "site"

  @binary
  Scenario: The next attempt begins with what the last one left
    Given an action "slow" that runs
      """
      [ -e half.txt ] && { echo two > notes.txt; exit 0; }
      echo half > half.txt
      exit 3
      """
    And a plan of "slow" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "agents plan retry PLAN --continue"
    When I run "plan retry PLAN --continue"
    Then it succeeds
    And the plan is execute/complete
    And in "site" the branch "agents/plan-PLAN" has "half" in "half.txt"
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"
    And its "attempts.2.resumed" says "local/site"
    When I run "plan diff PLAN"
    Then stdout says "+half"
    And stdout says "+two"
    When I run "plan diff PLAN --attempt 3 --stat"
    Then stdout says "2 files changed"
    When I run "plan restore PLAN ROOT/found"
    Then the file "found/half.txt" was made
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the file "half.txt" says "half"
    And in "site" 1 commit landed on "main"

  Scenario: A plain retry begins anew
    Given an action "slow" that runs
      """
      [ -e half.txt ] && { echo two > notes.txt; exit 0; }
      echo half > half.txt
      exit 3
      """
    And a plan of "slow" on "site"
    When I run "plan execute PLAN"
    And I run "plan retry PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then it succeeds
    When I run "plan diff PLAN"
    Then stdout says "+half"

  Scenario: An attempt that has nothing left to do keeps the work it went on with
    Given an action "slow" that runs
      """
      [ -e half.txt ] && exit 0
      echo half > half.txt
      exit 3
      """
    And a plan of "slow" on "site"
    When I run "plan execute PLAN"
    And I run "plan retry PLAN --continue"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "half" in "half.txt"

  Scenario: Commits of the command's own are gone on with
    Given an action "committer" that runs
      """
      if [ -e second.txt ]; then git rev-list --count HEAD > count.txt; exit 0; fi
      git config user.name Robot; git config user.email robot@localhost
      echo 1 > first.txt; git add first.txt; git commit -q -m 'the first step'
      echo 2 > second.txt
      exit 3
      """
    And a plan of "committer" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "1" in "first.txt"
    And in "site" the branch "agents/plan-PLAN" has "2" in "second.txt"
    And in "site" the history of "agents/plan-PLAN" says "the first step"

  @process
  Scenario: A dead driver's work is gone on with, in one command
    Given an action "slow" that runs
      """
      [ -e half.txt ] && { echo two > notes.txt; exit 0; }
      echo half > half.txt
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan retry PLAN --continue"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "half" in "half.txt"
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  @process
  Scenario: An attempt that went on may be interrupted and gone on with again
    Given an action "steps" that runs
      """
      ls; echo "$AGENTS_ATTEMPT" > "step-$AGENTS_ATTEMPT.txt"
      [ "$AGENTS_ATTEMPT" -gt 3 ] && exit 0
      pause "$AGENTS_ATTEMPT"
      pause 2
      pause 3
      """
    And a plan of "steps" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "2"
    And Ada gets SIGTERM
    Then Ada ends with exit code 143
    When Bob starts "plan retry PLAN --continue"
    And Bob reaches "3"
    And Bob gets SIGKILL
    And Bob is gone
    And I run "plan retry PLAN --continue"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "2" in "step-2.txt"
    And in "site" the branch "agents/plan-PLAN" has "3" in "step-3.txt"
    And in "site" the branch "agents/plan-PLAN" has "4" in "step-4.txt"

  Scenario: The policy of an action that goes on repeats the attempt from where it began
    Given the action
      """
      name: local/flaky
      execute:
        shell: 'case "$AGENTS_ATTEMPT" in 2) echo half > half.txt; exit 3;; 3) echo bad > bad.txt; exit 9;; esac'
        retry: { max_attempts: 2, on_exit: [9] }
      """
    And a plan of "flaky" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then it succeeds
    And its "attempt" is "4"
    And in "site" the branch "agents/plan-PLAN" has "half" in "half.txt"
    And in "site" the branch "agents/plan-PLAN" has no "bad.txt"

  Scenario: Several projects go on together, each with its own work
    Given a repository "docs"
    And an action "both" that runs
      """
      if [ -e "$AGENTS_PROJECT_SITE_DIR/half.txt" ]; then exit 0; fi
      echo site > "$AGENTS_PROJECT_SITE_DIR/half.txt"
      echo docs > "$AGENTS_PROJECT_DOCS_DIR/half.txt"
      exit 3
      """
    And a plan of "both" on "site docs"
    When I run "plan execute PLAN"
    And I run "plan retry PLAN --continue"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "site" in "half.txt"
    And in "docs" the branch "agents/plan-PLAN" has "docs" in "half.txt"

  @process
  Scenario: Work that no snapshot could be made of is put into one before it is gone on with
    Given a disk without room for big files
    And an action "big" that runs
      """
      [ -e big ] && { echo two > notes.txt; exit 0; }
      head -c 200000 /dev/urandom > big
      exit 3
      """
    And a plan of "big" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "what attempt 2 left in local/site is in no snapshot"
    And I am told "agents plan retry PLAN"
    And the plan is execute/errored
    Given there is room again
    When I run "plan retry PLAN --continue"
    Then it succeeds
    When I run "plan restore PLAN ROOT/found"
    Then the file "found/big" was made

  # Where there is nothing to go on with

  Scenario: Nothing to go on with is said, and a plain retry works
    Given the action
      """
      name: local/needy
      execute: { shell: 'true' }
      env_from: [A_VARIABLE_OF_THE_TESTS]
      worktree: { copy: [.env.local] }
      """
    And a plan of "needy" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "no attempt has left a snapshot to go on from"
    And I am told "agents plan retry PLAN"
    And its "attempt" is "2"

  Scenario: Strategize is not gone on with
    Given the action
      """
      name: local/eager
      strategize: { shell: 'echo hasty > notes.txt' }
      execute: { shell: 'true' }
      """
    And a plan of "eager" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "strategize changes no files"

  Scenario: Apply is not gone on with
    Given an action "idle" that runs
      """
      true
      """
    And an executed plan of "idle" on "site"
    When I run "plan apply PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "apply lands what is finished"
    And the plan is apply/constrained
    When I run "plan retry PLAN --continue --allow-empty"
    Then the exit code is 2

  Scenario Outline: Nothing is gone on with in a plan that <before>
    Given an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And I have run "<command>"
    When I run "plan retry PLAN --continue"
    Then the exit code is <code>
    And I am told "<told>"

    Examples:
      | before         | command          | code | told              |
      | is executed    | plan status PLAN | 5    | execute/complete  |
      | was cancelled  | plan cancel PLAN | 5    | execute/cancelled |
      | is applied     | plan apply PLAN  | 0    | applied           |
      | was taken back | plan revert PLAN | 5    | strategize/queued |

  # What went wrong

  @binary
  Scenario: Everything that went wrong is listed, oldest first
    Given an action "broken" that runs
      """
      echo "words of $AGENTS_ATTEMPT"
      case "$AGENTS_ATTEMPT" in 2) exit 3;; 3) kill -9 $$;; esac
      """
    And a plan of "broken" on "site"
    When I run "plan errors PLAN"
    Then it succeeds
    And I am told "nothing has gone wrong with plan PLAN"
    When I run "plan execute PLAN"
    And I run "plan retry PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN"
    Then it succeeds
    When I run "plan errors PLAN"
    Then it succeeds
    And stdout says "2 execute, failed (exit_code)"
    And stdout says "words of 2"
    And stdout says "3 execute, failed (signal)"
    And stdout says "home/state/attempts/PLAN/2"
    And stdout says "refs/agents/PLAN/3/"
    When I run "--json plan errors PLAN"
    Then it succeeds
    And there "data.plan_id" is "PLAN"
    And there "data.errors.0.attempt" is "2"
    And there "data.errors.0.phase" is "execute"
    And there "data.errors.0.outcome" is "failed"
    And there "data.errors.0.code" is "exit_code"
    And there "data.errors.0.exit_code" is "3"
    And there "data.errors.0.signal" is "null"
    And there "data.errors.0.message" says "words of 2"
    And there "data.errors.0.hint" is "agents plan log PLAN"
    And there "data.errors.0.at" is a time in UTC
    And there "data.errors.0.log" is given
    And there "data.errors.0.work.0.ref" says "refs/agents/PLAN/2/"
    And there "data.errors.1.attempt" is "3"
    And there "data.errors.1.signal" is "9"
    And there "data.errors.1.exit_code" is "null"
    And there "data.errors.2" is "(nothing)"

  @process
  Scenario: Interruptions and obstacles are among them
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "plan retry PLAN"
    And I run "plan apply PLAN"
    Then the exit code is 7
    When I run "--json plan errors PLAN"
    Then there "data.errors.0.outcome" is "interrupted"
    And there "data.errors.0.code" is "owner_died"
    And there "data.errors.1.outcome" is "constrained"
    And there "data.errors.1.phase" is "apply"
    And there "data.errors.1.code" is "empty"

  @binary
  Scenario: A plan shows each attempt with how it ended
    Given an action "flaky" that runs
      """
      [ "$AGENTS_ATTEMPT" -gt 2 ] || exit 3
      echo two > notes.txt
      """
    And a plan of "flaky" on "site"
    When I run "plan execute PLAN"
    And I run "plan retry PLAN"
    And I run "plan status PLAN"
    Then stdout says "1 strategize, complete"
    And stdout says "2 execute, failed (exit_code)"
    And stdout says "3 execute, complete"
    And its "attempts.0.phase" is "strategize"
    And its "attempts.1.outcome" is "failed"
    And its "attempts.1.exit_code" is "3"
    And its "attempts.1.error.code" is "exit_code"
    And its "attempts.2.outcome" is "complete"
    And its "attempts.2.work.0.ref" says "refs/agents/PLAN/3/"
