Feature: Scheduling subplans
  A plan has children: plans of their own, which run as its action says, and whose work becomes its
  work. Whoever drives the plan runs them, and every child comes to an end that is told.

  Background:
    Given a repository "site"
    And an action "api" that runs
      """
      echo api >> ROOT/ran; echo api > api.txt
      """
    And an action "web" that runs
      """
      echo web >> ROOT/ran; echo web > web.txt
      """
    And an action "docs" that runs
      """
      echo docs >> ROOT/ran; echo docs > docs.txt
      """
    And an action "broken" that runs
      """
      echo broken >> ROOT/ran; exit 3
      """
    And the action
      """
      name: local/sequential
      subplans: { mode: sequential }
      """
    And the action
      """
      name: local/parallel
      subplans: { mode: parallel }
      """
    And the action
      """
      name: local/dependency
      subplans: { mode: dependency }
      """

  # Modes

  @binary
  Scenario: In order, each begins with the work of those before it
    Given an action "last" that runs
      """
      cat api.txt web.txt > seen.txt; echo last >> ROOT/ran
      """
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
      | last | last   |
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "api apply/applied, web apply/applied, last apply/applied"
    And the file "ran" has "api web last", line by line
    And in "site" the branch "agents/plan-PLAN" has "api web" in "seen.txt", line by line
    And the locks table has no held row
    And in "site" no worktree is left
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the branch "main" has "api web" in "seen.txt", line by line
    And in "site" the file "web.txt" says "web"

  @binary
  Scenario: In order, the first that fails ends it, and those behind it are skipped with the cause
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name  | action |
      | api   | api    |
      | wrong | broken |
      | web   | web    |
      | docs  | docs   |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "1 of 4 subplans failed: `wrong`"
    And I am told "given up because of that: `web`, `docs`"
    And I am told "agents plan retry PLAN --only-failed"
    And the plan is execute/errored
    And its "error.code" is "subplans_failed"
    And the subplans are "api apply/applied, wrong execute/errored, web strategize/cancelled, docs strategize/cancelled"
    And the "cancel_reason" of WEB is "skipped: `wrong` did not succeed"
    And the "cancel_reason" of DOCS is "skipped: `wrong` did not succeed"
    And the file "ran" has "api broken broken broken", line by line
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And the locks table has no held row

  @binary
  Scenario: Side by side, all run at once, and the others go on after a failure
    Given an action "slow" that runs
      """
      pause one; echo slow > slow.txt
      """
    And an action "slower" that runs
      """
      pause two; echo slower > slower.txt
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name   | action |
      | slow   | slow   |
      | wrong  | broken |
      | slower | slower |
      | api    | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "one"
    And Ada reaches "two"
    And "one" goes on
    And "two" goes on
    Then Ada ends with exit code 7
    And the plan is execute/errored
    And the subplans are "slow apply/applied, wrong execute/errored, slower apply/applied, api apply/applied"
    And in "site" the branch "agents/plan-PLAN" has "slow" in "slow.txt"
    And in "site" the branch "agents/plan-PLAN" has "slower" in "slower.txt"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And the locks table has no held row

  @binary
  Scenario: By dependency, each begins when all that it needs has succeeded, and with their work
    Given an action "all" that runs
      """
      cat api.txt web.txt > seen.txt; test ! -e docs.txt || exit 4; echo all >> ROOT/ran
      """
    And an action "slow" that runs
      """
      pause work; echo docs > docs.txt
      """
    And the action
      """
      name: local/family
      subplans:
        mode: dependency
        items:
          - { name: both, action: local/all, depends_on: [web, api] }
          - { name: slow, action: local/slow }
          - { name: web, action: local/web, depends_on: [api] }
          - { name: api, action: local/api }
      """
    And a plan of "family" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And the subplans are known by their names
    And I run "plan wait BOTH --for applied --timeout 2m"
    Then it succeeds
    And the plan is execute/processing
    And the subplans are "both apply/applied, slow execute/processing, web apply/applied, api apply/applied"
    When "work" goes on
    Then Ada ends with exit code 0
    And the file "ran" has "api web all", line by line
    And in "site" the branch "agents/plan-PLAN" has "api web" in "seen.txt", line by line
    And in "site" the branch "agents/plan-PLAN" has "docs" in "docs.txt"

  @binary
  Scenario: By dependency, what needs a failed one is skipped down the chain, and the rest is done
    Given a plan of "dependency" on "site"
    And the plan has the subplans
      | name  | action | needs |
      | wrong | broken |       |
      | web   | web    | wrong |
      | docs  | docs   | web   |
      | api   | api    |       |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the subplans are "wrong execute/errored, web strategize/cancelled, docs strategize/cancelled, api apply/applied"
    And the "cancel_reason" of WEB is "skipped: `wrong` did not succeed"
    And the "cancel_reason" of DOCS is "skipped: `wrong` did not succeed"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And in "site" the branch "agents/plan-PLAN" has no "web.txt"

  @binary
  Scenario: No more than max_parallel run at once, and the others queue
    Given the action
      """
      name: local/two
      subplans: { mode: parallel, max_parallel: 2 }
      """
    And an action "first" that runs
      """
      mkdir ROOT/slot-1; pause one; rmdir ROOT/slot-1; echo first > first.txt
      """
    And an action "second" that runs
      """
      mkdir ROOT/slot-2; pause two; rmdir ROOT/slot-2; echo second > second.txt
      """
    And an action "further" that runs
      """
      if [ -d ROOT/slot-1 ] && [ -d ROOT/slot-2 ]; then touch ROOT/crowded; fi
      echo further >> ROOT/ran
      """
    And a plan of "two" on "site"
    And the plan has the subplans
      | name   | action  |
      | first  | first   |
      | second | second  |
      | third  | further |
      | fourth | further |
      | fifth  | further |
    When Ada starts "plan execute PLAN"
    And Ada reaches "one"
    And Ada reaches "two"
    Then the subplans are "first execute/processing, second execute/processing, third strategize/queued, fourth strategize/queued, fifth strategize/queued"
    When "one" goes on
    And I run "plan wait FIFTH --for applied --timeout 2m"
    Then it succeeds
    And the plan SECOND is execute/processing
    When "two" goes on
    Then Ada ends with exit code 0
    And the subplans are "first apply/applied, second apply/applied, third apply/applied, fourth apply/applied, fifth apply/applied"
    And the file "ran" has "further further further", line by line
    And there is no file "crowded" any more

  @binary
  Scenario: Places for commands bound all children together
    Given there is 1 place for commands
    And an action "first" that runs
      """
      mkdir ROOT/busy || touch ROOT/crowded; pause one; rmdir ROOT/busy; echo first > first.txt
      """
    And an action "second" that runs
      """
      mkdir ROOT/busy || touch ROOT/crowded; rmdir ROOT/busy; echo second > second.txt
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name   | action |
      | first  | first  |
      | second | second |
    When Ada starts "plan execute PLAN"
    And Ada reaches "one"
    Then Ada says "waiting for a place" while it runs
    When "one" goes on
    Then Ada ends with exit code 0
    And there is no file "crowded" any more

  # Failures and retries

  @binary
  Scenario: A failed child has its attempts, and each of them is to be seen
    Given an action "third-time-lucky" that runs
      """
      echo try >> ROOT/tries; [ "$(wc -l < ROOT/tries)" = 3 ] || exit 1; echo lucky > lucky.txt
      """
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name  | action           |
      | lucky | third-time-lucky |
    When I run "plan execute PLAN"
    Then it succeeds
    And the file "tries" has 3 lines
    And the subplans are "lucky apply/applied"
    And the history of LUCKY has 2 times "phase_failed"
    And the history of LUCKY has 2 times "retried"
    When I run "--json plan errors LUCKY"
    Then there "data.errors.1.code" is "exit_code"
    And in "site" the branch "agents/plan-PLAN" has "lucky" in "lucky.txt"

  Scenario: A child has one attempt and as many more as max_retries says
    Given the action
      """
      name: local/once
      subplans: { mode: parallel, max_retries: 0 }
      """
    And a plan of "once" on "site"
    And the plan has the subplans
      | name  | action |
      | wrong | broken |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the file "ran" has "broken", line by line
    And the "subplan.failures" of WRONG is "1"

  @binary
  Scenario: What failed is tried again on order, with what was skipped because of it, and nothing else
    Given an action "mended" that runs
      """
      echo mended >> ROOT/ran; test -e ROOT/mended || exit 1; echo yes > mended.txt
      """
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name   | action |
      | api    | api    |
      | mended | mended |
      | web    | web    |
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN"
    Then the exit code is 5
    And I am told "all its subplans have settled, and some have failed"
    Given the file "mended" is there
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "api apply/applied, mended apply/applied, web apply/applied"
    And the file "ran" has "api mended mended mended mended web", line by line
    And in "site" the branch "agents/plan-PLAN" has "yes" in "mended.txt"
    And in "site" the branch "agents/plan-PLAN" has "web" in "web.txt"
    # What was skipped stays so; another one has taken its place.
    And the plan WEB is strategize/cancelled

  @binary
  Scenario: A child that failed may be tried again alone, and its parent then finds it done
    Given an action "mended" that runs
      """
      echo mended >> ROOT/ran; test -e ROOT/mended || exit 1; echo yes > mended.txt
      """
    And the action
      """
      name: local/once
      subplans: { mode: parallel, max_retries: 0 }
      """
    And a plan of "once" on "site"
    And the plan has the subplans
      | name   | action |
      | mended | mended |
      | api    | api    |
    When I run "plan execute PLAN"
    Then the exit code is 7
    Given the file "mended" is there
    When I run "plan retry MENDED"
    Then it succeeds
    And the plan MENDED is execute/complete
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "mended apply/applied, api apply/applied"
    And the file "ran" has 3 lines
    And in "site" the branch "agents/plan-PLAN" has "yes" in "mended.txt"

  @binary
  Scenario: The first failure ends everything, if that was asked for
    Given the action
      """
      name: local/fast
      subplans: { mode: parallel, max_parallel: 2, fail_fast: true, max_retries: 0 }
      """
    And an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; echo half > half.txt; pause work; exec sleep 1000
      """
    And an action "fails" that runs
      """
      pause failure; exit 3
      """
    And somebody listens to "life"
    And a plan of "fast" on "site"
    And the plan has the subplans
      | name  | action |
      | slow  | slow   |
      | wrong | fails  |
      | api   | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada reaches "failure"
    And "work" goes on
    And "failure" goes on
    Then Ada ends with exit code 7
    And "life" falls silent
    And the plan is execute/errored
    And the subplans are "slow execute/cancelled, wrong execute/errored, api strategize/cancelled"
    And the "cancel_reason" of SLOW is "stopped: `wrong` failed, and `fail_fast` is set"
    And the "cancel_reason" of API is "stopped: `wrong` failed, and `fail_fast` is set"
    And in "site" the branch "agents/plan-PLAN" has no "half.txt"
    And in "site" the branch "agents/plan-PLAN" has no "api.txt"
    And the locks table has no held row
    And in "site" no worktree is left

  # Takes as long as the child's time limit: a second.
  @binary
  Scenario: A child that takes too long is ended, with all its processes
    Given the action
      """
      name: local/hurried
      subplans: { mode: parallel, timeout: 1s, max_retries: 0 }
      """
    And an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; (setsid sh -c 'trap "" TERM; sleep 1000' &)
      pause work; trap '' TERM; while :; do sleep 1; done
      """
    And commands get a grace of 200ms
    And somebody listens to "life"
    And a plan of "hurried" on "site"
    And the plan has the subplans
      | name | action |
      | slow | slow   |
      | api  | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    Then Ada ends with exit code 7
    And "life" falls silent
    And the subplans are "slow execute/errored, api apply/applied"
    And the "error.code" of SLOW is "timeout"
    And in "site" no worktree is left

  # Takes as long as the child's time limit: a second.
  @binary
  Scenario: A child with children that takes too long is ended with all that is below it
    Given the action
      """
      name: local/hurried
      subplans: { mode: parallel, timeout: 2s, max_retries: 0 }
      """
    And an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; pause work; exec sleep 1000
      """
    And somebody listens to "life"
    And a plan of "hurried" on "site"
    And the plan has the subplans
      | name | action     |
      | lev1 | sequential |
    And the subplan LEV1 has the subplans
      | name | action |
      | slow | slow   |
      | api  | api    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    Then Ada ends with exit code 7
    And "life" falls silent
    And the subplans are "lev1 execute/errored"
    And the "error.code" of LEV1 is "timeout"
    And the subplans of LEV1 are "slow execute/errored, api strategize/queued"
    And in "site" no worktree is left

  @binary
  Scenario: The first failure ends what is far below, if that was asked for, and its work does not count
    Given the action
      """
      name: local/fast
      subplans: { mode: parallel, fail_fast: true, max_retries: 0 }
      """
    And an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; pause work; exec sleep 1000
      """
    And an action "fails" that runs
      """
      pause failure; exit 3
      """
    And somebody listens to "life"
    And a plan of "fast" on "site"
    And the plan has the subplans
      | name  | action     |
      | lev1  | sequential |
      | wrong | fails      |
    And the subplan LEV1 has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada reaches "failure"
    And "work" goes on
    And "failure" goes on
    Then Ada ends with exit code 7
    And "life" falls silent
    And the subplans are "lev1 execute/cancelled, wrong execute/errored"
    And the subplans of LEV1 are "api apply/applied, slow execute/cancelled, web strategize/cancelled"
    And in "site" the branch "agents/plan-PLAN" has no "api.txt"
    And in "site" no worktree is left

  # The plan's own work

  @binary
  Scenario: The plan's own command runs last, on the merged work of its children
    Given the action
      """
      name: local/parent
      execute: { shell: 'cat api.txt web.txt > both.txt; echo parent >> ROOT/ran' }
      subplans: { mode: sequential }
      """
    And a plan of "parent" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the file "ran" has "api web parent", line by line
    And in "site" the branch "agents/plan-PLAN" has "api web" in "both.txt", line by line
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "api web" in "both.txt", line by line

  @binary
  Scenario: A plan whose own command failed runs only that again
    Given the action
      """
      name: local/parent
      execute: { shell: 'echo parent >> ROOT/ran; test -e ROOT/mended && cat api.txt > own.txt' }
      subplans: { mode: sequential }
      """
    And a plan of "parent" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And its "error.code" is "exit_code"
    Given the file "mended" is there
    When I run "plan retry PLAN"
    Then it succeeds
    And the file "ran" has "api parent parent", line by line
    And in "site" the branch "agents/plan-PLAN" has "api" in "own.txt"

  Scenario: The plan's own command does not run after a failure
    Given the action
      """
      name: local/parent
      execute: { shell: 'echo parent >> ROOT/ran' }
      subplans: { mode: parallel, max_retries: 0 }
      """
    And a plan of "parent" on "site"
    And the plan has the subplans
      | name  | action |
      | wrong | broken |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And its "error.code" is "subplans_failed"
    And the file "ran" has "broken", line by line

  @binary
  Scenario: One command makes a plan, runs its children, and lands everything
    Given the action
      """
      name: local/family
      subplans:
        mode: dependency
        items:
          - { name: web, action: local/web, depends_on: [api] }
          - { name: api, action: local/api }
      """
    When I run "run family site --apply"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the branch "main" has "api" in "api.txt"
    And in "site" the branch "main" has "web" in "web.txt"
    And the file "ran" has "api web", line by line
    And in "site" the checkout is clean

  # Questions and pauses

  @binary
  Scenario: A child that asks something makes its parent wait, and goes on with the answer
    Given an action "asks" that runs
      """
      if [ -s "$AGENTS_GUIDANCE_FILE" ]; then tail -n 1 "$AGENTS_GUIDANCE_FILE" > answer.txt; exit 0; fi
      echo '{"type":"needs_input","question":"which colour?"}' >> "$AGENTS_EVENTS_FILE"
      exit 75
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | asks | asks   |
      | api  | api    |
    When I run "plan execute PLAN"
    Then the exit code is 8
    And the plan is execute/queued
    And the plan ASKS is execute/queued
    And the plan API is apply/applied
    And I am told "subplan `asks` asks: which colour?"
    And I am told "help: agents plan prompt ASKS"
    When I run "plan execute PLAN"
    Then the exit code is 8
    And the plan ASKS is execute/queued
    When I run "plan prompt ASKS blue"
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "asks apply/applied, api apply/applied"
    And in "site" the branch "agents/plan-PLAN" has "blue" in "answer.txt"

  # Takes as long as the child wants to wait: a second.
  @binary
  Scenario: A child that asks for time is run again after it, and the others go on meanwhile
    Given an action "patient" that runs
      """
      echo patient >> ROOT/ran
      if [ -e ROOT/again ]; then echo done > patient.txt; exit 0; fi
      touch ROOT/again; echo '{"type":"park","retry_after":"1s","reason":"too early"}' >> "$AGENTS_EVENTS_FILE"
      exit 75
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name    | action  |
      | patient | patient |
      | api     | api     |
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "patient apply/applied, api apply/applied"
    And the file "ran" has 3 lines
    And the "subplan.failures" of PATIENT is "0"
    And in "site" the branch "agents/plan-PLAN" has "done" in "patient.txt"

  @binary
  Scenario: A plan that is led by hand runs its children in its second step
    Given the action
      """
      name: local/manual
      automation: manual
      subplans:
        mode: sequential
        items: [{ name: api, action: local/api }, { name: web, action: local/web }]
      """
    And a plan of "manual" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is strategize/complete
    And the subplans are "api strategize/queued, web strategize/queued"
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "api apply/applied, web apply/applied"

  # Depth

  @binary
  Scenario: Children have children, down to the limit
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action     |
      | lev1 | sequential |
    And the subplan LEV1 has the subplans
      | name | action   |
      | lev2 | parallel |
      | web  | web      |
    And the subplan LEV2 has the subplans
      | name | action     |
      | lev3 | sequential |
      | docs | docs       |
    And the subplan LEV3 has the subplans
      | name | action     |
      | lev4 | sequential |
    And the subplan LEV4 has the subplans
      | name | action |
      | api  | api    |
    When I run "plan spawn API --action api"
    Then the exit code is 2
    And I am told "subplans at depth 6 are deeper than the 5 levels that may be"
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "lev1 apply/applied"
    And the subplans of LEV1 are "lev2 apply/applied, web apply/applied"
    And the subplans of LEV2 are "lev3 apply/applied, docs apply/applied"
    And the subplans of LEV3 are "lev4 apply/applied"
    And the subplans of LEV4 are "api apply/applied"
    And the file "ran" has 3 lines
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the branch "main" has "api" in "api.txt"
    And in "site" the branch "main" has "docs" in "docs.txt"
    And in "site" the branch "main" has "web" in "web.txt"

  @binary
  Scenario: A failure far below is a failure of all above it, and is mended from above
    Given an action "mended" that runs
      """
      echo mended >> ROOT/ran; test -e ROOT/mended || exit 1; echo yes > mended.txt
      """
    And the action
      """
      name: local/once
      subplans: { mode: sequential, max_retries: 0 }
      """
    And a plan of "once" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | lev1 | once   |
      | docs | docs   |
    And the subplan LEV1 has the subplans
      | name   | action |
      | mended | mended |
      | web    | web    |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the subplans are "api apply/applied, lev1 execute/errored, docs strategize/cancelled"
    And the subplans of LEV1 are "mended execute/errored, web strategize/cancelled"
    And the "error.code" of LEV1 is "subplans_failed"
    And the "cancel_reason" of DOCS is "skipped: `lev1` did not succeed"
    Given the file "mended" is there
    When I run "plan retry PLAN --only-failed"
    Then it succeeds
    And the subplans are "api apply/applied, lev1 apply/applied, docs apply/applied"
    And the subplans of LEV1 are "mended apply/applied, web apply/applied"
    And the file "ran" has "api mended mended web docs", line by line
    And in "site" the branch "agents/plan-PLAN" has "web" in "web.txt"
