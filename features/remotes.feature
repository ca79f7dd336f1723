Feature: Projects on several machines
  A project with a remote can be worked on by every machine that shares the database. The remote is the
  truth: plans start from its branch and land on it, once. A project without one stays on its machine.

  Background:
    Given a repository "site" that machines share
    And an action "change" that runs
      """
      echo two > notes.txt
      """

  @binary
  Scenario: A machine without a checkout works in a mirror and lands on the remote
    Given I am on the machine "beta"
    When I run "--json run change local/site --apply"
    Then it succeeds
    And the plan is apply/applied
    And the machine "beta" has a mirror
    And in the remote 1 commit landed on "main"
    And in "far" the branch "main" has "two" in "notes.txt"
    And in "far" the branch "agents/plan-PLAN" has "two" in "notes.txt"
    And in "far" the last commit of "main" says "Agents-Plan: PLAN"
    And in "site" the branch "main" has "one" in "notes.txt"
    And in "site" the checkout is clean
    When I run "plan diff PLAN"
    Then it succeeds
    And stdout says "+two"

  @binary
  Scenario: Another machine goes on where one has stopped
    Given an executed plan of "change" on "local/site"
    And I am on the machine "beta"
    When I run "plan diff PLAN"
    Then stdout says "+two"
    When I run "plan apply PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"
    Given I am on the machine "alpha"
    When I run "plan apply PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"

  Scenario: A plan starts from the remote, not from what the checkout has
    Given in "site" somebody commits "x" to "other.txt"
    When I run "--json run change local/site --apply"
    Then it succeeds
    And I am told "has commits that its remote lacks"
    And in "far" the branch "main" has no "other.txt"
    And in "site" the branch "main" has "one" in "notes.txt"

  Scenario: A project without a remote is refused elsewhere, and its machine is named
    Given in "site" git is told "init -q -b main ROOT/own"
    And in "site" git is told "push -q ROOT/own HEAD:refs/heads/own"
    And in "site" git is told "-C ROOT/own checkout -q own"
    And I have run "project add ROOT/own --name local/own"
    And a plan of "change" on "local/own"
    And I am on the machine "beta"
    When I run "plan execute PLAN"
    Then the exit code is 5
    And I am told "local/own has no remote"
    And I am told "alpha"
    And the plan is strategize/queued
    When I run "run change local/own"
    Then the exit code is 5
    When I run "--json project show local/own"
    Then there "data.machine.host" is "alpha"
    And there "data.remote" is "null"
    When I run "plan cancel PLAN"
    Then it succeeds

  Scenario: A push that the remote refuses is told with its reason, and lands later, once
    Given an executed plan of "change" on "local/site"
    And the remote refuses pushes to "main"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "main is protected"
    And I am told "hook declined"
    And I am told "see to what the hook of the remote wants; then: agents plan retry PLAN"
    And the plan is apply/errored
    And its "error.code" is "remote_refused"
    And in "far" the branch "main" has "one" in "notes.txt"
    When the remote takes pushes again
    And I run "plan retry PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"

  Scenario: What a remote refuses for good ends the order at once, and is left to a person
    Given an executed plan of "change" on "local/site"
    And the remote refuses pushes to "main"
    When I run "plan apply PLAN --detach"
    And I run "worker run --once"
    Then I am told "its order has ended: failed: remote_refused"
    And the plan is apply/errored
    And its "order.outcome" is "failed: remote_refused"
    When the remote takes pushes again
    And I run "plan retry PLAN --detach"
    And I run "worker run --once"
    Then the plan is apply/applied
    And its "order.outcome" is "applied"
    And in the remote 1 commit landed on "main"

  Scenario: A remote out of reach changes nothing, and says what to look at
    Given a plan of "change" on "local/site"
    And the remote is out of reach
    When I run "plan execute PLAN"
    Then the exit code is 1
    And I am told "git ls-remote"
    And the plan is strategize/queued
    When the remote is back
    And I run "plan execute PLAN"
    Then it succeeds

  Scenario: A remote that hangs is given up in time, its lock is kept meanwhile, and it lands later, once
    Given an executed plan of "change" on "local/site"
    And the variable "AGENTS_REMOTE_TIMEOUT" is "7s"
    And the remote hangs in pushes to "main"
    When I run "--lease-ttl 5s plan apply PLAN"
    Then the exit code is 7
    And I am told "did not end within 7 s"
    And I am told "remote_timeout"
    And the plan is apply/errored
    And its "error.code" is "landing_unknown"
    And in "far" the branch "main" has "one" in "notes.txt"
    When the remote takes pushes again
    And I run "plan retry PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"

  Scenario: A result that could not be pushed is pending on its machine, which pushes it by recover
    Given an action "offline" that runs
      """
      echo two > notes.txt; mv ROOT/far.git ROOT/away.git
      """
    And a plan of "offline" on "local/site"
    When I run "plan execute PLAN"
    Then it succeeds
    And I am told "its branch will follow when the plan goes on, or by `agents recover` here"
    When the remote is back
    Given I am on the machine "beta"
    When I run "recover"
    Then I am told "nothing to recover"
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "it is pending on alpha"
    And I am told "on alpha: agents recover; then: agents plan retry PLAN"
    And its "error.code" is "no_commit"
    When I run "plan diff PLAN"
    Then the exit code is 6
    And I am told "it is pending on alpha"
    Given I am on the machine "alpha"
    When I run "recover"
    Then it succeeds
    And stdout says "pushed what was pending here: the result in local/site"
    And in "far" the branch "agents/plan-PLAN" has "two" in "notes.txt"
    When I run "recover"
    Then I am told "nothing to recover"
    Given I am on the machine "beta"
    When I run "plan retry PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"

  Scenario: What a plan made before it was reverted, on another machine, is not in the way of what it makes
    Given an action "twice" that runs
      """
      if [ -e ROOT/once ]; then mv ROOT/far.git ROOT/away.git; fi
      touch ROOT/once; echo "$AGENTS_ATTEMPT" > notes.txt
      """
    And an executed plan of "twice" on "local/site"
    And I am on the machine "beta"
    When I run "plan revert PLAN"
    And I run "plan execute PLAN"
    Then it succeeds
    And I am told "its branch will follow"
    When the remote is back
    And I run "plan apply PLAN"
    Then it succeeds
    And in the remote 1 commit landed on "main"
    And in "far" the branch "main" has "4" in "notes.txt"

  Scenario: The difference shown is that of the newest result, on every machine and while the remote is away
    Given an action "count" that runs
      """
      echo "$AGENTS_ATTEMPT" > notes.txt
      """
    And an executed plan of "count" on "local/site"
    And I am on the machine "beta"
    When I run "plan revert PLAN"
    And I run "plan execute PLAN"
    Then it succeeds
    Given I am on the machine "alpha"
    When I run "plan diff PLAN"
    Then it succeeds
    And stdout says "+4"
    And I am not told "does not appear"
    When the remote is out of reach
    And I run "plan diff PLAN"
    Then it succeeds
    And stdout says "+4"
    And I am told "what somebody pushed since is not in it"
    And I am told "does not appear to be a git repository"

  Scenario: A project that was registered with a token in its URL is told of, with the way out
    Given the remote was registered as "https://s3cret@far.example/x.git"
    When I run "--json diagnostics"
    Then there the check "remotes" is "warn"
    And I am told "the URL of local/site holds a user, who may be a token"
    And I am told "agents project remove local/site"
    And I am told "--name local/site --branch main --remote https://far.example/x.git"
    And I am not told "s3cret"
    When I run "project list"
    Then I am told "the URL of local/site holds a user, who may be a token"

  Scenario: A conflict on the remote is told as one
    Given an executed plan of "change" on "local/site"
    And in "site" somebody commits "three" to "notes.txt"
    And in "site" git is told "push -q origin main"
    And I am on the machine "beta"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "notes.txt"
    And I am told "in a checkout of ROOT/far.git: fetch, merge origin/main into agents/plan-PLAN, commit and push it"
    And the plan is apply/constrained
    Given in "site" git is told "clone -q ROOT/far.git ROOT/clone"
    And in "site" git is told "-C ROOT/clone checkout -q agents/plan-PLAN"
    And in "site" git is told "-C ROOT/clone merge -q -s ours -m merged origin/main"
    When I run "plan retry PLAN"
    Then the exit code is 6
    Given in "site" git is told "-C ROOT/clone push -q origin agents/plan-PLAN"
    When I do what it says helps
    Then it succeeds
    And in "far" the branch "main" has "two" in "notes.txt"

  Scenario Outline: What cannot be a remote is refused when it is registered
    Given in "site" git is told "<git>"
    And I have run "project remove local/site"
    When I run "project add ROOT/site --remote <remote>"
    Then the exit code is <code>
    And I am told "<told>"

    Examples:
      | git                                                        | remote                 | code | told                   |
      | status                                                     | upstream               | 2    | it has origin          |
      | status                                                     | https://a:b@host/x.git | 2    | holds a password       |
      | status                                                     | https://t@host/x.git   | 2    | who may be a token     |
      | status                                                     | https://host/x.git?t=1 | 2    | holds a query          |
      | remote add ci https://t@host/x.git                         | ci                     | 2    | credential helper      |
      | status                                                     | ROOT/nowhere.git       | 1    | cannot be used         |
      | -C ROOT/far.git config receive.advertiseAtomic false       | origin                 | 1    | plans cannot land      |

  @process
  Scenario: A push that a remote does not answer ends with its driver, whatever ends that
    Given an executed plan of "change" on "local/site"
    And somebody listens to "life"
    And the remote stops in pushes to "main", and holds "life" meanwhile
    When Ada starts "--lease-ttl 5s plan apply PLAN"
    And Ada reaches "push"
    And Ada gets SIGKILL
    And Ada is gone
    Then "life" falls silent
    And in "far" the branch "main" has "one" in "notes.txt"
    When the remote takes pushes again
    And I run "--wait 20s plan apply PLAN"
    Then the plan is apply/applied
    And in the remote 1 commit landed on "main"

  @process
  Scenario: A machine without git says so at once, and is not asked all night
    Given an executed plan of "change" on "local/site"
    And I have run "plan apply PLAN --detach"
    And the variable "PATH" is "/nowhere"
    When I run "worker run --once"
    Then I am told "the program `git` was not found"
    And I am told "its order has ended: failed: git_unusable"
    And the plan is apply/errored
    And its "order.outcome" is "failed: git_unusable"

  @process
  Scenario: A driver killed before its push is finished by another machine
    Given an executed plan of "change" on "local/site"
    And a git that stops before it lands
    When Ada starts "--lease-ttl 5s plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" is abandoned
    Then the plan is apply/processing
    Given I am on the machine "beta"
    When I run "--wait 20s recover"
    And I run "--wait 20s plan apply PLAN"
    Then the plan is apply/applied
    And in the remote 1 commit landed on "main"

  @process
  Scenario: A driver killed after its push is found to have landed
    Given an executed plan of "change" on "local/site"
    And a git that stops before it lands
    When Ada starts "--lease-ttl 5s plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And "git" goes on
    And somebody reaches "thawed"
    And "thawed" goes on
    Given I am on the machine "beta"
    When I run "--wait 20s plan apply PLAN"
    Then the plan is apply/applied
    And in the remote 1 commit landed on "main"

  @process
  Scenario: A landing that was given up on another machine does not come back when a frozen push thaws
    Given an executed plan of "change" on "local/site"
    And a git that stops before it lands
    When Ada starts "--lease-ttl 5s plan apply PLAN"
    And Ada reaches "git"
    And Ada gets SIGKILL
    And Ada is gone
    And in "site" somebody commits "x" to "other.txt"
    And in "site" git is told "push -q origin main"
    And I am on the machine "beta"
    And I run "--wait 20s plan apply PLAN"
    Then the exit code is 5
    And the plan is apply/constrained
    And its "error.code" is "moved_away"
    And in the remote a landing is marked as given up
    When in "site" git is told "push -q -f origin start:main"
    And I run "plan cancel PLAN"
    Then it succeeds
    When "git" goes on
    And somebody reaches "thawed"
    And "thawed" goes on
    Then the plan is apply/cancelled
    And in "far" the branch "main" has "one" in "notes.txt"
    And in "far" the branch "main" has no "other.txt"

  @process
  Scenario: Work of a machine that is recovered elsewhere is pending there, and made there
    Given an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      """
    And a plan of "slow" on "local/site"
    When Ada starts "--lease-ttl 5s plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    Given I am on the machine "beta"
    When I run "lock break plan/PLAN --token 2 --reason gone --force"
    And I run "recover"
    Then it succeeds
    And the plan is execute/errored
    When I run "plan errors PLAN"
    Then it succeeds
    And stdout says "pending on alpha"
    When I run "plan status PLAN"
    Then stdout says "pending on alpha"
    When I run "plan why PLAN"
    Then I am told "pending on alpha"
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "on alpha, and not here"
    Given I am on the machine "alpha"
    When I run "recover"
    Then it succeeds
    And I am told "put into snapshots what was pending here: attempt 2 in local/site"
    And I am not told "nothing to recover"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, interrupted, work_saved"
    And in "site" no worktree is left
    When I run "recover"
    Then I am told "nothing to recover"
    Given I am on the machine "beta"
    When I run "plan retry PLAN --continue"
    Then the exit code is 5
    And I am told "on alpha, and not here"
    When I run "plan cancel PLAN"
    Then it succeeds

  @process
  Scenario: A worker takes up work at once and ends when it is asked to, whatever a remote does
    Given an action "offline" that runs
      """
      echo two > notes.txt; mv ROOT/far.git ROOT/away.git
      """
    And I have run "--json run offline local/site"
    And the remote is back
    And the remote stops when the result of a plan is pushed
    And a repository "own"
    When Ada starts "worker run"
    And Ada reaches "push"
    And I run "--json run change local/own --detach"
    Then it succeeds
    And Ada says "its order has ended: reached" while it runs
    When Ada gets SIGTERM
    Then Ada ends with exit code 0
    And the plan is execute/complete
    When I run "--json lock list"
    Then there "data.locks" is "[]"
    When I run "worker run --once"
    Then it succeeds
    And in the remote are the results of 1 plan

  @process
  Scenario: A recovery that is told to stop pushes nothing more
    Given an action "offline" that runs
      """
      echo two > notes.txt; mv ROOT/far.git ROOT/away.git
      """
    And I have run "--json run offline local/site"
    And the remote is back
    And I have run "--json run offline local/site"
    And the remote is back
    And the remote stops when the result of a plan is pushed
    When Ada starts "recover"
    And Ada reaches "push"
    And Ada gets SIGTERM
    And "push" goes on
    Then Ada ends with exit code 143
    And I am told "agents recover"
    And 1 plans have run, each once, by "pushed"
    When I run "--json lock list"
    Then there "data.locks" is "[]"
    When I run "recover"
    Then it succeeds
    And 2 plans have run, each once, by "pushed"
