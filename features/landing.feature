Feature: Landing
  Applying a plan lands its work on the branch of each project exactly once, or not at all. What a
  person has in a checkout is never lost.

  Background:
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  @binary
  Scenario: One commit lands and a clean checkout follows
    Given an executed plan of "change" on "site"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" 1 commit landed on "main"
    And in "site" the file "notes.txt" says "two"
    And in "site" the checkout is clean
    And in "site" the last commit of "main" says "Agents-Plan: PLAN"
    And its "landed.0.ref" is "refs/heads/main"

  Scenario: A merge keeps the plan's commits, a squash does not
    Given the action
      """
      name: local/squashed
      description: Squashed
      execute: { shell: 'echo two > notes.txt' }
      apply: { strategy: squash }
      """
    And in "site" somebody commits "x" to "other.txt"
    When I run "--json run squashed site --apply"
    Then it succeeds
    And in "site" the last commit of "main" has 1 parent
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: The action words the commit message
    Given the action
      """
      name: local/worded
      description: In other words
      arguments: [{ name: word, default: hello }]
      execute: { shell: 'echo two > notes.txt' }
      apply: { message: "chore: {{ description }} ({{ word }})" }
      """
    When I run "--json run worded site --arg word=bye --apply"
    Then it succeeds
    And in "site" the last commit of "main" says "chore: In other words (bye)"

  Scenario: A plan for a protected branch leaves it alone
    Given the action
      """
      name: local/protected
      execute: { shell: 'echo two > notes.txt' }
      apply: { land: branch }
      """
    When I run "--json run protected site --apply"
    Then it succeeds
    And the plan is apply/applied
    And in "site" the branch "main" has "one" in "notes.txt"
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  Scenario: What others committed meanwhile is merged
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "x" to "other.txt"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the branch "main" has "x" in "other.txt"
    And in "site" the checkout is clean

  @binary
  Scenario: A conflict is told, and the printed remedy works
    Given an executed plan of "change" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "notes.txt"
    And I am told "merge main into agents/plan-PLAN in any checkout and commit"
    And the plan is apply/constrained
    And its "error.code" is "conflict"
    And in "site" the branch "main" has "three" in "notes.txt"
    And in "site" the checkout is clean
    When in "site" I merge "main" into the plan's branch, and "notes.txt" becomes "both"
    And I do what it says helps
    Then it succeeds
    And the plan is apply/applied
    And in "site" the branch "main" has "both" in "notes.txt"
    And in "site" the checkout is clean

  Scenario: A required validation that fails stops the landing
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo two > notes.txt' }
      validations:
        - { name: lint, shell: 'echo "I do not like it"; grep -q fixed "$AGENTS_GUIDANCE_FILE"' }
      """
    And an executed plan of "checked" on "site"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "lint"
    And the plan is apply/constrained
    And its "validations.0.name" is "lint"
    And its "validations.0.passed" is "false"
    And its "validations.0.required" is "true"
    And its log shows "I do not like it"
    And in "site" the branch "main" has "one" in "notes.txt"
    And in "site" the file "notes.txt" says "one"
    When I run "plan prompt PLAN fixed"
    And I run "plan retry PLAN"
    Then it succeeds
    And its "validations.0.passed" is "true"
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: An informational validation that fails is recorded and stops nothing
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo two > notes.txt' }
      validations:
        - { name: taste, required: false, shell: 'exit 1' }
      """
    When I run "--json run checked site --apply"
    Then it succeeds
    And its "validations.0.name" is "taste"
    And its "validations.0.passed" is "false"
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: Validations see the merged tree
    Given the action
      """
      name: local/checked
      execute: { shell: 'echo two > notes.txt' }
      validations:
        - { name: both, shell: 'grep -q two notes.txt && grep -q x other.txt' }
      """
    And an executed plan of "checked" on "site"
    And in "site" somebody commits "x" to "other.txt"
    When I run "plan apply PLAN"
    Then it succeeds

  @binary
  Scenario: A plan that changed nothing lands only if told
    Given an action "idle" that runs
      """
      true
      """
    And an executed plan of "idle" on "site"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And the plan is apply/constrained
    And its "error.code" is "empty"
    And I am told "agents plan retry PLAN --allow-empty"
    When I do what it says helps
    Then it succeeds
    And the plan is apply/applied
    And in "site" 0 commits landed on "main"

  @binary
  Scenario: A change of one's own in the way is kept and told
    Given an executed plan of "change" on "site"
    And in "site" the file "notes.txt" is changed to "mine"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "notes.txt"
    And in "site" the file "notes.txt" says "mine"
    And in "site" the branch "main" has "one" in "notes.txt"
    When in "site" git is told "checkout -q -- notes.txt"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the file "notes.txt" says "two"

  Scenario: A new file of one's own in the way is kept and told
    Given an action "add" that runs
      """
      echo theirs > new.txt
      """
    And an executed plan of "add" on "site"
    And in "site" the file "new.txt" is changed to "mine"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "new.txt"
    And in "site" the file "new.txt" says "mine"

  Scenario: A change of one's own elsewhere stays as it is
    Given in "site" somebody commits "x" to "other.txt"
    And an executed plan of "change" on "site"
    And in "site" the file "other.txt" is changed to "mine"
    And in "site" the file "untracked.txt" is changed to "mine too"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the file "notes.txt" says "two"
    And in "site" the file "other.txt" says "mine"
    And in "site" the file "untracked.txt" says "mine too"
    And in "site" the branch "main" has "x" in "other.txt"

  Scenario: Uncommitted changes are not part of a plan, and that is said
    Given in "site" the file "notes.txt" is changed to "mine"
    And a plan of "change" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And I am told "uncommitted changes"

  Scenario: A branch that is gone is told
    Given an executed plan of "change" on "site"
    When in "site" git is told "checkout -q -b elsewhere"
    And in "site" git is told "branch -q -D main"
    And I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "main"
    And its "error.code" is "no_branch"
    When in "site" git is told "branch main start"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the file "notes.txt" says "one"

  Scenario: A branch that is checked out nowhere lands too
    Given an executed plan of "change" on "site"
    When in "site" git is told "checkout -q -b elsewhere"
    And I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "site" the branch "elsewhere" has "one" in "notes.txt"
    And in "site" the file "notes.txt" says "one"

  Scenario: A branch that moves while the merge is checked is told
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
    And in "site" somebody commits "x" to "other.txt"
    And "check" goes on
    Then Ada ends with exit code 6
    And in "site" the branch "main" has "x" in "other.txt"
    And in "site" the branch "main" has "one" in "notes.txt"
    When I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "x" in "other.txt"
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario Outline: The hook <hook> does not run
    Given in "site" a hook "<hook>" that would be noticed
    When I run "run change site --apply"
    Then it succeeds
    And no hook has run
    And in "site" the branch "main" has "two" in "notes.txt"

    Examples:
      | hook               |
      | pre-commit         |
      | commit-msg         |
      | post-checkout      |
      | pre-merge-commit   |
      | post-merge         |
      | post-commit        |
      | prepare-commit-msg |
      | post-index-change  |
      | reference-transaction |

  Scenario: Several projects land together
    Given a repository "docs"
    And an action "both" that runs
      """
      for directory in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR"
      do
        echo two > "$directory/notes.txt"
      done
      """
    When I run "--json run both site docs --apply"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "docs" the branch "main" has "two" in "notes.txt"
    And its "landed.1.ref" is "refs/heads/main"

  Scenario: If one of several projects cannot land none does
    Given a repository "docs"
    And an action "both" that runs
      """
      for directory in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR"
      do
        echo two > "$directory/notes.txt"
      done
      """
    And an executed plan of "both" on "site docs"
    And in "docs" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And in "site" the branch "main" has "one" in "notes.txt"
    And in "docs" the branch "main" has "three" in "notes.txt"

  Scenario: The action's last command runs after the landing
    Given the action
      """
      name: local/announced
      execute: { shell: 'echo two > notes.txt' }
      apply: { after: [sh, -c, "cp notes.txt ROOT/announced.txt"] }
      """
    When I run "--json run announced site --apply"
    Then it succeeds
    And the file "announced.txt" was made

  Scenario: A last command that fails changes nothing about the landing
    Given the action
      """
      name: local/announced
      execute: { shell: 'echo two > notes.txt' }
      apply: { after: [sh, -c, "exit 1"] }
      """
    When I run "run announced site --apply"
    Then it succeeds
    And I am told "its `after` command failed"
    And in "site" the branch "main" has "two" in "notes.txt"
