Feature: Work is never lost
  What an attempt did outlives it: in a snapshot, or in its directory with the reason why. It can be
  looked at, restored, and is removed only when it is safe or when somebody says so.

  @process
  Scenario: The work of an interrupted attempt is found
    Given a repository "site"
    And an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "recover"
    And I run "plan diff PLAN --attempt 2"
    Then it succeeds
    And stdout says "+half"
    And stdout says "-one"
    When I run "plan diff PLAN --stat"
    Then stdout says "1 file changed"
    When I run "plan restore PLAN ROOT/found"
    Then it succeeds
    And I am told "what attempt 2 of plan PLAN left is in ROOT/found"
    And the file "found/notes.txt" was made
    And in "site" the file "notes.txt" says "one"
    And in "site" the checkout is clean
    When I run "plan restore PLAN ROOT/found"
    Then the exit code is 2
    And I am told "new or empty"

  Scenario: A result is compared with where the plan started
    Given a repository "site"
    And a repository "shop"
    And an action "change" that runs
      """
      for dir in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_SHOP_DIR"
      do printf 'two\n' > "$dir/notes.txt"; printf x > "$dir/$(printf 'latin-\351')"
      done
      """
    And an executed plan of "change" on "site shop"
    When in "site" somebody commits "x" to "other.txt"
    And I run "--color always plan diff PLAN"
    Then it succeeds
    And stdout says "# local/shop "
    And stdout says "# local/site "
    And stdout says "[32m+"
    And I am not told "other.txt"
    When I run "--json plan diff PLAN"
    Then it succeeds
    And there "data.projects.0.project" is "local/shop"
    And there "data.projects.0.base" is given
    And there "data.projects.0.tip" is given
    And there "data.projects.0.files.0.path_hex" is "6c6174696e2de9"
    And there "data.projects.0.files.0.status" is "A"
    And there "data.projects.0.files.1.path" is "notes.txt"
    And there "data.projects.0.files.1.added" is "1"
    And there "data.projects.0.files.1.removed" is "1"
    And there "data.projects.1.files.1.status" is "M"
    When I run "plan restore PLAN ROOT/found"
    Then it succeeds
    And the file "found/local/site/notes.txt" was made
    And the file "found/local/shop/notes.txt" was made

  Scenario: An attempt that left nothing is not made up
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "plan diff PLAN"
    Then the exit code is 3
    And I am told "has left no work yet"
    When I run "plan execute PLAN"
    And I run "plan diff PLAN --attempt 9"
    Then the exit code is 3
    And I am told "these attempts left work: 2"
    When I do what it says helps
    Then it succeeds
    And stdout says "+two"
    When I run "plan restore PLAN --attempt 9 ROOT/found"
    Then the exit code is 3

  Scenario: A repository inside of the work is kept, named, and removed only when asked for
    Given a repository "site"
    And an action "nest" that runs
      """
      echo two > notes.txt
      git init -q inner && echo x > inner/x
      """
    And an executed plan of "nest" on "site"
    Then I am told "nested repositories (inner/)"
    And the file "home/state/worktrees/PLAN/2/local~site/inner/x" was made
    When I run "--json diagnostics"
    Then there the check "worktrees" is "warn"
    When I run "plan apply PLAN --yes"
    And I run "prune --older-than 0s --yes"
    Then it succeeds
    And I am told "nested repositories (inner/)"
    And I am told "1 thing is nowhere else; list it with: agents prune --older-than 0s --kept"
    And the file "home/state/worktrees/PLAN/2/local~site/inner/x" was made
    When I run "prune --older-than 0s --kept"
    Then I am told "would go: "
    And I am told "do it with: agents prune --older-than 0s --kept --yes"
    And the file "home/state/worktrees/PLAN/2/local~site/inner/x" was made
    When I run "prune --older-than 0s --kept --yes"
    Then it succeeds
    And I am told "removed 1 thing"
    And there is no file "home/state/worktrees/PLAN" any more
    When I run "--json diagnostics"
    Then there the check "worktrees" is "ok"

  Scenario: Pruning lists first, and then removes what a finished plan left
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    When I run "prune --older-than 0s --yes"
    Then it succeeds
    And I am told "the plan is not finished"
    And I am told "removed 0 things"
    When I run "plan apply PLAN --yes"
    And I run "prune"
    Then I am told "the plan finished not long ago"
    And I am told "nothing would be removed"
    When I run "--json prune --older-than 0s"
    Then it succeeds
    And there "data.dry_run" is "true"
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"
    When I run "prune --older-than 0s"
    Then I am told "do it with: agents prune --older-than 0s --yes"
    When I run "prune --older-than 0s --yes"
    Then it succeeds
    And in "site" there is no branch "agents/plan-PLAN"
    And there is no file "home/state/attempts/PLAN" any more
    And in "site" a snapshot of the plan has "two" in "notes.txt"
    When I run "plan diff PLAN"
    Then stdout says "+two"
    When I run "prune --older-than 0s --yes"
    Then I am told "removed 0 things"

  Scenario: A lock that git left behind is named and not touched
    Given a repository "site"
    And an action "locked" that runs
      """
      echo two > notes.txt
      touch "$(git rev-parse --git-path index.lock)"
      """
    And a plan of "locked" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the plan is execute/errored
    And its "error.message" says "index.lock"
    And its "error.message" says " s old"
    And the file "home/state/worktrees/PLAN/2/local~site/notes.txt" was made
    When I run "plan diff PLAN --attempt 2"
    Then the exit code is 3
    When I run "plan cancel PLAN"
    And I run "prune --older-than 0s --yes"
    Then I am told "no snapshot could be made"
    And the file "home/state/worktrees/PLAN/2/local~site/notes.txt" was made

  @process
  Scenario: A full disk ends no plan and loses no work
    Given a repository "site"
    And a disk without room for big files
    And an action "big" that runs
      """
      head -c 200000 /dev/urandom > big
      [ -e ROOT/room ] || exit 3
      """
    And a plan of "big" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And its "error.code" is "exit_code"
    And I am told "File too large"
    And the file "home/state/worktrees/PLAN/2/local~site/big" was made
    When I run "plan restore PLAN ROOT/found"
    Then the exit code is 3
    Given there is room again
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the file "home/state/worktrees/PLAN/2/local~site/big" was made
    When I run "plan restore PLAN ROOT/found"
    Then the file "found/big" was made

  Scenario: Somebody deleted the directory of an attempt
    Given a repository "site"
    And an action "gone" that runs
      """
      echo two > notes.txt
      cd / && rm -r "$AGENTS_PROJECT_DIR"
      """
    And a plan of "gone" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the plan is execute/errored
    And its "error.code" is "no_directory"
    When I run "--json diagnostics"
    Then there the check "worktrees" is "warn"
    When I run "prune --yes"
    Then it succeeds
    And I am told "record"
    When I run "plan retry PLAN"
    Then the exit code is 7
    And the plan is execute/errored

  @process
  Scenario: A plan at work is not pruned
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "prune --older-than 0s --yes --kept"
    Then it succeeds
    And I am told "another process holds it; left alone"
    When "work" goes on
    Then Ada ends with exit code 0
