Feature: Families of plans
  What children make becomes part of their parent's work, one after the other, each merged with what
  was there by then. Work that does not go together is told and kept, and a person puts it right. Who
  gives up a parent gives up everything below it, for real.

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
    And an action "red" that runs
      """
      echo red >> ROOT/ran; echo red > notes.txt
      """
    And an action "blue" that runs
      """
      echo blue >> ROOT/ran; echo blue > notes.txt
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
      name: local/dependency
      subplans: { mode: dependency }
      """

  # Merging

  @binary
  Scenario: Each child is merged with what was merged before, line by line
    Given in "site" the file "list.txt" is changed to "one\ntwo\nthree\nfour\nfive"
    And in "site" all is committed
    And an action "top" that runs
      """
      pause top; sed -i s/one/ONE/ list.txt
      """
    And an action "bottom" that runs
      """
      pause bottom; sed -i s/five/FIVE/ list.txt
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name   | action |
      | top    | top    |
      | bottom | bottom |
    When Ada starts "plan execute PLAN"
    And Ada reaches "top"
    And Ada reaches "bottom"
    And "bottom" goes on
    And I run "plan wait BOTTOM --for applied --timeout 2m"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "one two three four FIVE" in "list.txt", line by line
    When "top" goes on
    Then Ada ends with exit code 0
    And in "site" the branch "agents/plan-PLAN" has "ONE two three four FIVE" in "list.txt", line by line
    And the history of PLAN has 2 times "subplan.merged"
    And in "site" the branch "main" has "one two three four five" in "list.txt", line by line

  @binary
  Scenario: A child starts from what is merged when it starts
    Given an action "reads" that runs
      """
      cat api.txt > read.txt
      """
    And a plan of "dependency" on "site"
    And the plan has the subplans
      | name  | action | needs |
      | api   | api    |       |
      | reads | reads  | api   |
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "api" in "read.txt"

  @binary
  Scenario: Children that only read are merged as nothing
    Given an action "looks" that runs
      """
      cat notes.txt >> ROOT/ran
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name  | action |
      | looks | looks  |
      | api   | api    |
      | again | looks  |
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "looks apply/applied, api apply/applied, again apply/applied"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the branch "main" has "api" in "api.txt"

  @binary
  Scenario: A plan whose children all only read is complete, and has nothing to land
    Given an action "looks" that runs
      """
      cat notes.txt > /dev/null
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name  | action |
      | looks | looks  |
    When I run "plan execute PLAN"
    Then it succeeds
    And the plan is execute/complete
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "agents plan retry PLAN --allow-empty"
    When I run "plan retry PLAN --allow-empty"
    Then it succeeds
    And the plan is apply/applied

  @binary
  Scenario: All that the children made lands as one commit, if that was asked for
    Given the action
      """
      name: local/squashed
      subplans: { mode: parallel }
      apply: { strategy: squash }
      """
    And a plan of "squashed" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
    When I run "plan execute PLAN"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the last commit of "main" has 1 parent
    And in "site" the branch "main" has "api" in "api.txt"
    And in "site" the branch "main" has "web" in "web.txt"

  @binary
  Scenario: A child whose own action squashes is one commit in its parent's branch
    Given the action
      """
      name: local/tidy
      execute: { shell: 'echo tidy > tidy.txt' }
      apply: { strategy: squash }
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | tidy | tidy   |
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "tidy" in "tidy.txt"
    And in "site" the last commit of "agents/plan-PLAN" has 1 parent

  @binary
  Scenario: The project's branch moves meanwhile, and everything lands together
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | web  | web    |
    When I run "plan execute PLAN"
    Then it succeeds
    When in "site" somebody commits "x" to "other.txt"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "api" in "api.txt"
    And in "site" the branch "main" has "web" in "web.txt"
    And in "site" the branch "main" has "x" in "other.txt"

  @binary
  Scenario: A child works on the projects it is given, and its parent on all of them
    Given a repository "docs"
    And an action "both" that runs
      """
      for at in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR"; do echo both > "$at/both.txt"; done
      """
    And a plan of "parallel" on "site docs"
    When I run "plan spawn PLAN --action api --project docs"
    And I run "plan spawn PLAN --action both"
    And I run "plan spawn PLAN --action web --project shop"
    Then the exit code is 2
    And I am told "local/shop is not a project of the plan"
    When I run "plan execute PLAN"
    Then the subplans are "api apply/applied, both apply/applied"
    And in "docs" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And in "site" the branch "agents/plan-PLAN" has no "api.txt"
    And in "site" the branch "agents/plan-PLAN" has "both" in "both.txt"
    And in "docs" the branch "agents/plan-PLAN" has "both" in "both.txt"

  # Conflicts

  @binary
  Scenario: Work that does not go together is told with files, base and both sides, and both are kept
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | red  | red    |
      | api  | api    |
    And an action "later" that runs
      """
      pause later; echo blue > notes.txt
      """
    And I have run "plan spawn PLAN --action later --name blue"
    And the subplans are known by their names
    When Ada starts "plan execute PLAN"
    And Ada reaches "later"
    And I run "plan wait RED --for applied --timeout 2m"
    Then it succeeds
    When "later" goes on
    Then Ada ends with exit code 6
    And I am told "notes.txt"
    And I am told "agents/plan-BLUE"
    And I am told "agents/plan-PLAN"
    And I am told "agents plan retry PLAN"
    And the plan is execute/errored
    And its "error.code" is "conflict"
    And its "error.message" says "`blue`"
    And its "error.message" says "notes.txt"
    And its "error.message" says "base"
    And its "error.message" says "ours"
    And its "error.message" says "theirs"
    And the subplans are "red apply/applied, api apply/applied, blue apply/constrained"
    And the "error.code" of BLUE is "conflict"
    And in "site" the branch "agents/plan-PLAN" has "red" in "notes.txt"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"
    And in "site" the branch "agents/plan-BLUE" has "blue" in "notes.txt"
    And the history of PLAN has 1 times "subplan.conflicted"
    And the locks table has no held row

  @binary
  Scenario: A conflict is resolved on the parent's branch, and nothing settled runs again
    Given a plan of "dependency" on "site"
    And an action "last" that runs
      """
      echo last >> ROOT/ran; cat notes.txt > seen.txt
      """
    And the plan has the subplans
      | name | action | needs    |
      | red  | red    |          |
      | blue | blue   |          |
      | last | last   | red blue |
    When I run "plan execute PLAN"
    Then the exit code is 6
    And the plan is execute/errored
    And the plan LAST is strategize/queued
    And the file "ran" has 2 lines
    # Which of them came first is not said; the other one is merged by hand.
    When in "site" I merge the subplan in conflict into the plan's branch, and "notes.txt" becomes "purple"
    And I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "red apply/applied, blue apply/applied, last apply/applied"
    And the file "ran" has 3 lines
    And in "site" the branch "agents/plan-PLAN" has "purple" in "notes.txt"
    And in "site" the branch "agents/plan-PLAN" has "purple" in "seen.txt"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "purple" in "notes.txt"

  @binary
  Scenario: A checkout that stands on the plan's branch follows it, and lacks nothing of the result
    Given the action
      """
      name: local/menu
      subplans: { mode: parallel }
      execute: { shell: 'cat notes.txt > menu.txt' }
      """
    And a plan of "menu" on "site"
    And the plan has the subplans
      | name | action |
      | red  | red    |
      | blue | blue   |
    When I run "plan execute PLAN"
    Then the exit code is 6
    When in "site" I merge the subplan in conflict into the plan's branch, and "notes.txt" becomes "purple"
    And in "site" git is told "checkout -q agents/plan-PLAN"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the checkout is clean
    And in "site" the file "menu.txt" says "purple"

  @binary
  Scenario: A retry without the resolution meets the same conflict
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | red  | red    |
      | blue | blue   |
    When I run "plan execute PLAN"
    Then the exit code is 6
    When I run "plan retry PLAN"
    Then the exit code is 6
    And its "error.code" is "conflict"
    And the file "ran" has 2 lines
    When I run "plan retry PLAN --only-failed"
    Then the exit code is 6
    And the file "ran" has 2 lines

  @binary
  Scenario: A conflict can be ended by giving up one side
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | red  | red    |
      | blue | blue   |
    When I run "plan execute PLAN"
    Then the exit code is 6
    When I give up the subplan in conflict
    Then it succeeds
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the file "ran" has 2 lines

  @binary
  Scenario: A conflict and a failure are told together, and put right one after the other
    Given the action
      """
      name: local/once
      subplans: { mode: parallel, max_retries: 0 }
      """
    And an action "mended" that runs
      """
      echo mended >> ROOT/ran; test -e ROOT/mended || exit 1; echo yes > mended.txt
      """
    And a plan of "once" on "site"
    And the plan has the subplans
      | name   | action |
      | red    | red    |
      | mended | mended |
      | blue   | blue   |
    When I run "plan execute PLAN"
    Then the exit code is 6
    And its "error.code" is "conflict"
    And I am told "1 of 3 subplans failed: `mended`"
    When in "site" I merge the subplan in conflict into the plan's branch, and "notes.txt" becomes "purple"
    And I run "plan retry PLAN"
    Then the exit code is 7
    And its "error.code" is "subplans_failed"
    And the file "ran" has 3 lines
    Given the file "mended" is there
    When I do what it says helps
    Then it succeeds
    And the plan is execute/complete
    And the subplans are "red apply/applied, mended apply/applied, blue apply/applied"
    And the file "ran" has 4 lines

  @binary
  Scenario: A child's checks are of the merged work, and one that fails keeps it out
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo "checked $AGENTS_ATTEMPT" >> ROOT/ran; echo checked > checked.txt' }
      validations:
        - { name: together, shell: 'test -e api.txt && test -e ROOT/good' }
      """
    And a plan of "dependency" on "site"
    And the plan has the subplans
      | name    | action  | needs   |
      | checked | checked |         |
      | api     | api     |         |
      | web     | web     | checked |
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "together"
    And its "error.code" is "subplan_not_merged"
    And the subplans are "checked apply/constrained, api apply/applied, web strategize/queued"
    And in "site" the branch "agents/plan-PLAN" has no "checked.txt"
    Given the file "good" is there
    When I run "plan retry PLAN"
    Then it succeeds
    And the subplans are "checked apply/applied, api apply/applied, web apply/applied"
    And the file "ran" has 3 lines
    And in "site" the branch "agents/plan-PLAN" has "checked" in "checked.txt"

  @binary
  Scenario: In order, nothing begins behind a conflict
    Given an action "api-branch" that runs
      """
      pause work; echo child > notes.txt
      """
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action     |
      | one  | api-branch |
      | web  | web        |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And in "site" I add "by hand" as "notes.txt" to the plan's branch
    And "work" goes on
    Then Ada ends with exit code 6
    And the subplans are "one apply/constrained, web strategize/queued"
    When in "site" I merge the subplan in conflict into the plan's branch, and "notes.txt" becomes "both"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "both" in "notes.txt"
    And in "site" the branch "agents/plan-PLAN" has "web" in "web.txt"

  @binary
  Scenario: A file that two children touched is a conflict, if that was asked for
    Given in "site" the file "list.txt" is changed to "one\ntwo\nthree\nfour\nfive"
    And in "site" all is committed
    And the action
      """
      name: local/strict
      subplans: { mode: parallel, merge: fail-on-conflict }
      """
    And an action "top" that runs
      """
      sed -i s/one/ONE/ list.txt
      """
    And an action "bottom" that runs
      """
      sed -i s/five/FIVE/ list.txt
      """
    And a plan of "strict" on "site"
    And the plan has the subplans
      | name   | action |
      | top    | top    |
      | bottom | bottom |
      | api    | api    |
    When I run "plan execute PLAN"
    Then the exit code is 6
    And its "error.code" is "conflict"
    And its "error.message" says "list.txt"
    And the plan API is apply/applied
    # In the mode three-way the same two go together.
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name   | action |
      | top    | top    |
      | bottom | bottom |
    When I run "plan execute PLAN"
    Then it succeeds

  # Cancelling

  @process
  Scenario: Giving up a parent ends everything below it, at every depth
    Given an action "stubborn" that runs
      """
      exec 3>ROOT/pauses/one; (setsid sh -c 'trap "" TERM; sleep 1000' &)
      pause first; trap '' TERM; while :; do sleep 1; done
      """
    And an action "deep" that runs
      """
      exec 3>ROOT/pauses/two; (setsid sh -c 'trap "" TERM; sleep 1000' &)
      pause second; trap '' TERM; while :; do sleep 1; done
      """
    And commands get a grace of 200ms
    And somebody listens to "one"
    And somebody listens to "two"
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action     |
      | api  | api        |
      | first | stubborn  |
      | lev1 | sequential |
    And the subplan LEV1 has the subplans
      | name | action   |
      | lev2 | parallel |
      | web  | web      |
    And the subplan LEV2 has the subplans
      | name | action |
      | deep | deep   |
    When Ada starts "plan execute PLAN"
    And Ada reaches "first"
    And Ada reaches "second"
    And "first" goes on
    And "second" goes on
    And I run "plan wait API --for applied --timeout 2m"
    And I run "plan cancel PLAN --reason 'wrong way'"
    Then it succeeds
    And Ada ends with exit code 9
    And "one" falls silent
    And "two" falls silent
    And the plan is execute/cancelled
    And its "cancel_reason" is "wrong way"
    And the subplans are "api apply/applied, first execute/cancelled, lev1 execute/cancelled"
    And the subplans of LEV1 are "lev2 execute/cancelled, web strategize/cancelled"
    And the subplans of LEV2 are "deep execute/cancelled"
    And the locks table has no held row
    And in "site" no worktree is left

  @binary
  Scenario: Giving up a parent says how many below it had finished, stopped, and left work that is kept
    Given an action "slow" that runs
      """
      echo half > half.txt; pause work; sleep 1000
      """
    And a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan cancel PLAN"
    Then it succeeds
    And I am told "of its subplans 1 had finished, 2 stopped; work of 1 of these is kept"
    And Ada ends with exit code 9
    And in "site" a snapshot of SLOW has "half" in "half.txt"
    When I run "--json plan cancel PLAN"
    Then it succeeds
    And there "data.below.finished" is "1"
    And there "data.below.stopped" is "0"

  @binary
  Scenario: A child alone is given up while its parent runs, and the others go on
    Given an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; pause work; exec sleep 1000
      """
    And somebody listens to "life"
    And a plan of "dependency" on "site"
    And the plan has the subplans
      | name | action | needs |
      | slow | slow   |       |
      | api  | api    |       |
      | web  | web    | slow  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    And I run "plan cancel SLOW --reason 'not needed'"
    Then it succeeds
    And "life" falls silent
    And Ada ends with exit code 0
    And the plan is execute/complete
    And the subplans are "slow execute/cancelled, api apply/applied, web strategize/cancelled"
    And the "cancel_reason" of SLOW is "not needed"
    And the "cancel_reason" of WEB is "skipped: `slow` did not succeed"
    And in "site" the branch "agents/plan-PLAN" has "api" in "api.txt"

  @binary
  Scenario: A child with children is given up while its parent runs, with all below it
    Given an action "slow" that runs
      """
      exec 3>ROOT/pauses/life; pause work; exec sleep 1000
      """
    And somebody listens to "life"
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action     |
      | lev1 | sequential |
      | api  | api        |
    And the subplan LEV1 has the subplans
      | name | action |
      | slow | slow   |
      | web  | web    |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And "work" goes on
    And I run "plan cancel LEV1"
    Then it succeeds
    And "life" falls silent
    And Ada ends with exit code 0
    And the plan is execute/complete
    And the subplans are "lev1 execute/cancelled, api apply/applied"
    And the subplans of LEV1 are "slow execute/cancelled, web strategize/cancelled"
    And the file "ran" has "api", line by line

  @binary
  Scenario: A child is given up before its parent begins
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | web  | web    |
      | api  | api    |
    When I run "plan cancel WEB"
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds
    And the subplans are "web strategize/cancelled, api apply/applied"
    And the file "ran" has "api", line by line

  @binary
  Scenario: A parent that does not run is given up with all below it
    Given a plan of "sequential" on "site"
    And the plan has the subplans
      | name | action   |
      | lev1 | parallel |
      | web  | web      |
    And the subplan LEV1 has the subplans
      | name | action |
      | api  | api    |
    When I run "plan cancel PLAN"
    Then it succeeds
    And the plan is strategize/cancelled
    And the subplans are "lev1 strategize/cancelled, web strategize/cancelled"
    And the subplans of LEV1 are "api strategize/cancelled"
    When I run "plan execute API"
    Then the exit code is 5

  # Going back

  @binary
  Scenario: A parent that goes back starts without the work and the children of its past
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
    When I run "plan execute PLAN"
    Then it succeeds
    When I run "plan revert PLAN --reason 'another way'"
    Then it succeeds
    And the plan is strategize/queued
    And the plan API is apply/applied
    Given the plan has the subplans
      | name | action |
      | api  | web    |
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "web" in "web.txt"
    And in "site" the branch "agents/plan-PLAN" has no "api.txt"
    And the file "ran" has "api web", line by line

  @binary
  Scenario: Children that had not settled when their parent went back are given up
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | red  | red    |
      | blue | blue   |
    When I run "plan execute PLAN"
    Then the exit code is 6
    When I run "plan revert PLAN"
    Then it succeeds
    And no subplan is in conflict

  # What is not for children

  @binary
  Scenario: A child lands with its parent, not by itself
    Given an action "slow" that runs
      """
      pause work
      """
    And a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
      | slow | slow   |
    When I run "plan execute API"
    Then the exit code is 5
    And I am told "has not come to it"
    And I am told "agents plan why PLAN"
    When I run "plan apply API"
    Then the exit code is 5
    And I am told "whoever drives plan PLAN merges its work"
    When I do what it says helps
    Then it succeeds
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan spawn PLAN --action web"
    Then the exit code is 4
    When "work" goes on
    Then Ada ends with exit code 0
    When I run "plan execute API"
    Then the exit code is 5
    When I run "plan retry API"
    Then it succeeds
    When I run "plan revert API"
    Then the exit code is 5
    And the file "ran" has "api", line by line

  @binary
  Scenario: A child does not begin before what it needs is merged
    Given an action "slow" that runs
      """
      pause work; echo slow > slow.txt
      """
    And a plan of "dependency" on "site"
    And the plan has the subplans
      | name | action | needs |
      | slow | slow   |       |
      | web  | web    | slow  |
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan execute WEB"
    Then the exit code is 5
    And I am told "it begins with the work of `slow`, which is not merged"
    When "work" goes on
    Then Ada ends with exit code 0
    And the plan WEB is apply/applied

  @binary
  Scenario: Children are not given to a plan that is past them
    Given a plan of "parallel" on "site"
    And the plan has the subplans
      | name | action |
      | api  | api    |
    When I run "plan execute PLAN"
    And I run "plan apply PLAN"
    Then it succeeds
    When I run "plan spawn PLAN --action web"
    Then the exit code is 5
    And the subplans are "api apply/applied"
