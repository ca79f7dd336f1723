Feature: What a worktree is given
  Before each attempt the action's setup runs in its worktree, files are copied into it from the
  checkout, and values come from the caller's environment. What is private stays out of snapshots,
  logs and the database.

  Background:
    Given a repository "site"

  # setup

  @binary
  Scenario: Setup runs before every attempt, in the attempt's own directory
    Given the action
      """
      name: local/prepared
      worktree: { setup: [sh, -c, "echo ready > ready.txt; echo once >> ROOT/setups"] }
      execute: { shell: 'cat ready.txt > notes.txt; [ "$AGENTS_ATTEMPT" -gt 2 ]' }
      """
    And a plan of "prepared" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    When I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "ready" in "notes.txt"
    And the file "setups" has 2 lines

  Scenario: Setup that fails ends the attempt and says so, and the next try may succeed
    Given the action
      """
      name: local/prepared
      worktree: { setup: [sh, -c, "echo 'no network' >&2; [ -e ROOT/network ]"] }
      execute: { shell: 'echo two > notes.txt' }
      """
    And a plan of "prepared" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "setup exited with code 1"
    And I am told "no network"
    And its log shows "no network"
    And the plan is execute/errored
    And in "site" there is no branch "agents/plan-PLAN"
    Given the file "network" is there
    When I do what it says helps
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  Scenario: Setup that is not there is named
    Given the action
      """
      name: local/prepared
      worktree: { setup: [no-such-program-anywhere] }
      execute: { shell: 'true' }
      """
    And a plan of "prepared" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "setup: `no-such-program-anywhere` was not found"
    And its "error.code" is "command_not_found"

  Scenario: Setup runs in each project
    Given a repository "docs"
    And the action
      """
      name: local/prepared
      worktree: { setup: [sh, -c, "echo ready > ready.txt"] }
      execute: { shell: 'true' }
      """
    And a plan of "prepared" on "site docs"
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "ready" in "ready.txt"
    And in "docs" the branch "agents/plan-PLAN" has "ready" in "ready.txt"

  # copy

  @binary
  Scenario: A copied file is there for the command and in no snapshot
    Given the action
      """
      name: local/copying
      worktree: { copy: [.env.local, conf/key] }
      execute: { shell: 'cat .env.local conf/key > notes.txt; echo changed > .env.local' }
      """
    And in "site" the file ".env.local" is changed to "one"
    And in "site" the folder "conf" has a file "key" that says "two"
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has no ".env.local"
    And in "site" the branch "agents/plan-PLAN" has no "conf/key"
    And in "site" the branch "agents/plan-PLAN" has "one two" in "notes.txt", line by line
    And in "site" the file ".env.local" says "one"
    And there is no file "home/state/worktrees/PLAN/2" any more

  Scenario: A file that is not there to be copied is named, and a retry finds it
    Given the action
      """
      name: local/copying
      worktree: { copy: [.env.local] }
      execute: { shell: 'cat .env.local > notes.txt' }
      """
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told ".env.local"
    And I am told "`worktree.copy` names it, but"
    And the plan is execute/errored
    Given in "site" the file ".env.local" is changed to "two"
    When I do what it says helps
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "two" in "notes.txt"

  Scenario: A folder is not copied
    Given the action
      """
      name: local/copying
      worktree: { copy: [conf] }
      execute: { shell: 'true' }
      """
    And in "site" the folder "conf" has a file "key" that says "two"
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "`worktree.copy` names files only"

  Scenario: A link in the checkout is copied as the file it leads to
    Given the action
      """
      name: local/copying
      worktree: { copy: [.env.local] }
      execute: { shell: 'cat .env.local > notes.txt; echo mine > .env.local' }
      """
    And the file "shared.env" says "shared"
    And in "site" there is a link ".env.local" to "../shared.env"
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "shared" in "notes.txt"
    And in "site" the file "../shared.env" says "shared"

  Scenario: A link of the repository's own leads no copy out of the worktree
    Given the action
      """
      name: local/copying
      worktree: { copy: [conf/key] }
      execute: { shell: 'true' }
      """
    And the folder "outside" is there
    And in "site" there is a link "conf" to "ROOT/outside"
    And in "site" all is committed
    And the file "outside/key" says "theirs"
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "a link is where a file of `worktree.copy` goes"

  Scenario Outline: No action copies <path>
    When I add the action
      """
      name: local/copying
      worktree: { copy: ["<path>"] }
      execute: { shell: 'true' }
      """
    Then the exit code is 2
    And I am told "<path>"

    Examples:
      | path             |
      | ../secret        |
      | a/../../secret   |
      | /etc/hostname    |
      | .git/config      |

  Scenario: A copied file that the command committed is not kept in any snapshot
    Given the action
      """
      name: local/copying
      worktree: { copy: [.env.local] }
      execute:
        shell: |
          git config user.name Robot; git config user.email robot@localhost
          git add -f .env.local; git commit -q -m 'oops'
      """
    And in "site" the file ".env.local" is changed to "hush"
    And a plan of "copying" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "the command committed it, but it was only copied in"
    And in "site" there is no branch "agents/plan-PLAN"
    And the file "home/state/worktrees/PLAN/2/local~site/.env.local" was made

  # env_from

  @binary
  Scenario: A secret reaches the command, and no log, error or table
    Given the action
      """
      name: local/secretive
      execute:
        shell: |
          printf '%s' "$TEST_SECRET" | wc -c > notes.txt
          echo "the key is $TEST_SECRET"; echo "and again $TEST_SECRET" >&2
          printf '%s' "${TEST_SECRET%????}"; pause half; printf '%s\n' "${TEST_SECRET#????????}"
          exit 3
      env_from: [TEST_SECRET]
      """
    And the variable "TEST_SECRET" is "hush-hush-42"
    And a plan of "secretive" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "half"
    And "half" goes on
    Then Ada ends with exit code 7
    And I am not told "hush-hush-42"
    And I am told "the key is [redacted TEST_SECRET]"
    And its log shows "and again [redacted TEST_SECRET]"
    And in "site" a snapshot of the plan has "12" in "notes.txt"
    When I run "plan errors PLAN"
    Then I am told "[redacted TEST_SECRET]"
    And nothing in "home" holds "hush-hush-42"

  Scenario: A variable that is not set is named before anything runs
    Given the action
      """
      name: local/secretive
      execute: { shell: 'touch ROOT/ran' }
      env_from: [TEST_SECRET]
      """
    And a plan of "secretive" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And I am told "the environment variable `TEST_SECRET`, named by env_from, is not set"
    And its "error.code" is "missing_variable"
    And there is no file "ran" any more
    Given the variable "TEST_SECRET" is "hush-hush-42"
    When I do what it says helps
    Then it succeeds
    And the file "ran" was made

  Scenario Outline: No action takes from the caller <name>
    When I add the action
      """
      name: local/secretive
      execute: { shell: 'true' }
      env_from: ["<name>"]
      """
    Then the exit code is 2
    And I am told "<name>"

    Examples:
      | name           |
      | AGENTS_PLAN_ID |
      | GIT_DIR        |
      | 1ST            |
      | A=B            |

  # Guidance and going back

  Scenario: What could not land becomes guidance, and the next attempt starts from the branch as it is
    Given an action "obedient" that runs
      """
      cat notes.txt > copy.txt
      cat "$AGENTS_GUIDANCE_FILE" > guidance.txt
      [ -s guidance.txt ] || echo two > notes.txt
      """
    And an executed plan of "obedient" on "site"
    And in "site" somebody commits "three" to "notes.txt"
    When I run "plan apply PLAN"
    Then the exit code is 6
    When I run "plan revert PLAN --reason 'leave the notes alone'"
    And I run "plan execute PLAN"
    Then it succeeds
    And in "site" the branch "agents/plan-PLAN" has "three" in "copy.txt"
    When I run "plan diff PLAN"
    Then stdout says "both changed notes.txt"
    And stdout says "leave the notes alone"
    When I run "plan apply PLAN"
    Then it succeeds
    And in "site" the branch "main" has "three" in "notes.txt"

  Scenario Outline: Nobody is guided by "<text>"
    Given an action "change" that runs
      """
      true
      """
    And a plan of "change" on "site"
    When I run "plan prompt PLAN '<text>'"
    Then the exit code is 2

    Examples:
      | text |
      |      |
