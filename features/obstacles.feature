Feature: Obstacles to a landing
  Whatever is in the way of a landing is named, with a way on that works. Of several projects those
  that have landed stay landed, and the rest is finished or given up knowingly.

  Background:
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  # Conflicts

  @binary
  Scenario: A conflict names the plan that moved the branch
    Given an action "other" that runs
      """
      echo three > notes.txt
      """
    And an executed plan FIRST of "change" on "site"
    And an executed plan SECOND of "other" on "site"
    When I run "plan apply FIRST"
    And I run "plan apply SECOND"
    Then the exit code is 6
    And I am told "both changed notes.txt; on main by plan FIRST (commit "
    And the plan SECOND is apply/constrained

  Scenario: A conflict names the commit that moved the branch
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    And in "site" somebody commits "x" to "other.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "on main by commit "
    And I am told "by somebody else"

  Scenario: The remedy of a conflict works when the checkout was deleted by hand
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    When in "site" I merge "main" into the plan's branch, "notes.txt" becomes "both", and I delete the checkout
    And I run "plan retry PLAN"
    Then it succeeds
    And the plan is apply/applied
    And in "site" the branch "main" has "both" in "notes.txt"
    And in "site" the file "notes.txt" says "both"

  Scenario: The remedy of a conflict works while the checkout is still there
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    When in "site" I merge "main" into the plan's branch, "notes.txt" becomes "both", and I keep the checkout
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "both" in "notes.txt"

  Scenario: A retry without the remedy meets the same conflict
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    And I run "plan retry PLAN"
    Then the exit code is 6
    And the plan is apply/constrained
    And in "site" the branch "main" has "three" in "notes.txt"
    When I run "--json plan errors PLAN"
    Then there "data.errors.1.code" is "conflict"

  # What is on the desk

  Scenario: A branch that is checked out in a linked worktree is followed there
    Given in "site" git is told "checkout -q -b elsewhere"
    And in "site" git is told "worktree add -q ROOT/linked main"
    And an executed plan of "change" on "site"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the file "../linked/notes.txt" says "two"
    And in "site" the file "notes.txt" says "one"

  Scenario: A change of one's own in a linked worktree is kept and told
    Given in "site" git is told "checkout -q -b elsewhere"
    And in "site" git is told "worktree add -q ROOT/linked main"
    And an executed plan of "change" on "site"
    And in "site" the file "../linked/notes.txt" is changed to "mine"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "ROOT/linked"
    And I am told "commit or stash these files, then: agents plan retry PLAN"
    And in "site" the file "../linked/notes.txt" says "mine"
    And in "site" the branch "main" has "one" in "notes.txt"
    When in "site" git is told "-C ../linked checkout -q -- notes.txt"
    And I do what it says helps
    Then it succeeds
    And in "site" the file "../linked/notes.txt" says "two"

  Scenario: A checkout whose index is locked is told before anything moves
    Given an executed plan of "change" on "site"
    And in "site" the file ".git/index.lock" is changed to "x"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "index.lock"
    And I am told "remove it if no git is at work there"
    And the plan is apply/errored
    And in "site" the branch "main" has "one" in "notes.txt"
    When in "site" the file ".git/index.lock" is removed
    And I do what it says helps
    Then it succeeds
    And in "site" the file "notes.txt" says "two"
    And in "site" the checkout is clean

  # Signing

  Scenario: Landings are signed where commits are
    Given in "site" commits are signed
    When I run "run change site --apply"
    Then it succeeds
    And in "site" the last commit of "main" is signed

  Scenario: A signature that cannot be made stops the landing
    Given an executed plan of "change" on "site"
    And in "site" commits are signed, which fails
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "failed to sign"
    And the plan is apply/errored
    And in "site" the branch "main" has "one" in "notes.txt"
    Given in "site" commits are signed
    When I do what it says helps
    Then it succeeds
    And in "site" the last commit of "main" is signed

  # The plan branch as the result

  Scenario: For a protected branch the last command finds the plan's branch, with what a person added
    Given the action
      """
      name: local/protected
      execute: { shell: 'echo two > notes.txt' }
      apply: { land: branch, after: [sh, -c, "cp added.txt ROOT/announced.txt"] }
      """
    And an executed plan of "protected" on "site"
    When in "site" I add "by hand" as "added.txt" to the plan's branch
    And I run "plan apply PLAN"
    Then it succeeds
    And the plan is apply/applied
    And the file "announced.txt" was made
    And in "site" 0 commits landed on "main"

  # After the point of no return

  @process
  Scenario: A branch that is deleted after the point of no return is told, and lands once it is back
    Given a git that stops before it lands
    And an executed plan of "change" on "site"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And in "site" git is told "checkout -q -b elsewhere"
    And in "site" git is told "branch -q -D main"
    And I run "recover"
    Then the plan is apply/constrained
    And its "error.message" says "is now gone"
    When I run "plan retry PLAN"
    Then the exit code is 6
    And I am told "bring main back, then: agents plan retry PLAN"
    When in "site" git is told "branch main start"
    And I do what it says helps
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: While a landing is open nothing is given up, and it is finished first
    Given an executed plan of "change" on "site"
    And in "site" the file ".git/refs/heads/main.lock" is changed to "x"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And the plan is apply/errored
    And I am told "main.lock"
    When I run "plan cancel PLAN --keep-landed"
    Then the exit code is 5
    And I am told "a landing is open"
    And I am told "agents plan retry PLAN"
    When in "site" the file ".git/refs/heads/main.lock" is removed
    And I do what it says helps
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the file "notes.txt" says "two"

  # Several projects

  @process
  Scenario: A driver killed between two landings has the rest landed once
    Given a repository "docs"
    And a repository "shop"
    And a git that stops before its second landing
    And an action "all" that runs
      """
      for at in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR" "$AGENTS_PROJECT_SHOP_DIR"
      do echo two > "$at/notes.txt"
      done
      """
    And an executed plan of "all" on "site docs shop"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And I run "plan status PLAN"
    Then stdout says "1 of 3 projects"
    When I run "recover"
    Then it succeeds
    And the plan is apply/applied
    And in "docs" 1 commit landed on "main"
    And in "shop" 1 commit landed on "main"
    And in "site" 1 commit landed on "main"

  @process
  Scenario: What has landed stays, and a retry merges only the rest
    Given a repository "docs"
    And a repository "shop"
    And a git that stops before its second landing
    And an action "all" that runs
      """
      for at in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR" "$AGENTS_PROJECT_SHOP_DIR"
      do echo two > "$at/notes.txt"
      done
      """
    And an executed plan of "all" on "site docs shop"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And in "shop" somebody commits "x" to "other.txt"
    And I run "recover"
    Then the plan is apply/constrained
    And its "error.code" is "moved_away"
    And its "landed.0.project" is "local/docs"
    And its "landed.1" is "(nothing)"
    When I run "plan status PLAN"
    Then stdout says "1 of 3 projects"
    When I run "plan revert PLAN"
    Then the exit code is 5
    When I run "plan cancel PLAN"
    Then the exit code is 5
    And I am told "local/docs has landed; finish it, or give up the rest"
    And I am told "agents plan retry PLAN"
    And I am told "agents plan cancel PLAN --keep-landed"
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is apply/applied
    And in "docs" 1 commit landed on "main"
    And in "shop" 2 commits landed on "main"
    And in "site" 1 commit landed on "main"
    And in "shop" the branch "main" has "x" in "other.txt"
    And in "shop" the branch "main" has "two" in "notes.txt"

  @process
  Scenario: The rest of a plan is given up knowingly
    Given a repository "docs"
    And a git that stops before its second landing
    And an action "both" that runs
      """
      for at in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR"
      do echo two > "$at/notes.txt"
      done
      """
    And an executed plan of "both" on "site docs"
    When Ada starts "plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    And in "site" somebody commits "three" to "notes.txt"
    And I run "recover"
    Then the plan is apply/constrained
    When I run "plan cancel PLAN"
    Then the exit code is 5
    When I do what it says helps
    Then it succeeds
    And the plan is apply/cancelled
    And its "landed.0.project" is "local/docs"
    And its "landed.0.ref" is "refs/heads/main"
    And in "docs" 1 commit landed on "main"
    And in "site" the branch "main" has "three" in "notes.txt"
    When I run "plan cancel PLAN --keep-landed"
    Then it succeeds
    When I run "plan retry PLAN"
    Then the exit code is 5

  Scenario: A plan of which nothing has landed is given up either way
    Given an executed plan of "change" on "site"
    When I run "plan cancel PLAN --keep-landed --reason 'not needed'"
    Then it succeeds
    And the plan is execute/cancelled
    And its "cancel_reason" is "not needed"

  @binary
  Scenario: A plan's branch waits for changes that are in its way in a checkout, and loses none of them
    Given an action "count" that runs
      """
      echo run >> ROOT/ran; grep -c run ROOT/ran > notes.txt
      """
    And an executed plan of "count" on "site"
    When in "site" git is told "checkout -q agents/plan-PLAN"
    And I run "plan revert PLAN"
    And in "site" the file "notes.txt" is changed to "mine"
    And I run "plan execute PLAN"
    Then it succeeds
    And I am told "its branch will follow"
    And I am told "notes.txt"
    And in "site" the file "notes.txt" says "mine"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "commit or stash these files"
    And in "site" the file "notes.txt" says "mine"
    When in "site" git is told "checkout -q notes.txt"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "2" in "notes.txt"
    And in "site" the file "notes.txt" says "2"
    And in "site" the checkout is clean
