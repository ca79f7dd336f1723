Feature: Waiting in line
  Who wants a project that another plan is landing on, waits in line for it: whoever came first is
  served first. Everybody sees who holds it, who waits, and the own place. Nobody waits for the dead.

  @process
  Scenario: Plans land in the order in which they came
    Given a repository "site"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an action "third" that runs
      """
      echo c > c.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    And an executed plan THIRD of "third" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "waiting for project/local/site, held since" while it runs
    And Bob says "doing: plan apply; place 1 in line, waiting since" while it runs
    When Cyd starts "plan apply THIRD"
    Then Cyd says "place 2 in line" while it runs
    When "landing" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And Cyd ends with exit code 0
    And in "site" the files landed on "main" in this order: "a.txt, b.txt, c.txt"
    And nobody waits in line

  @process
  Scenario: Who waits for a plan has a place in line, too
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "--wait 5m plan apply PLAN"
    Then Bob says "waiting for plan/PLAN, held since" while it runs
    And Bob says "place 1 in line" while it runs
    When Cyd starts "--wait 5m plan apply PLAN"
    Then Cyd says "place 2 in line" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And Cyd ends with exit code 0
    And the plan is apply/applied
    And in "site" 1 commit landed on "main"

  @process
  Scenario: A wait that took too long says who holds the plan and which place it had
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "--wait 5m plan execute PLAN"
    Then Bob says "place 1 in line" while it runs
    When I run "--wait 1s plan execute PLAN"
    Then the exit code is 4
    And I am told "plan PLAN is locked"
    And I am told "doing: plan execute"
    And I am told "place 2 in line, waiting since"
    And I am told "ahead: "
    And I am told "agents lock explain plan/PLAN"
    When I run "--json --wait 1s plan execute PLAN"
    Then the exit code is 4
    And there "error.code" is "lock_conflict"
    And there "error.retryable" is "true"
    And there "error.details.position" is "2"
    And there "error.details.holder.liveness" is "alive"
    And there "error.details.ahead.0.holder.operation" is "plan execute"
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And nobody waits in line

  @process
  Scenario: Who will not wait does not pass those who do
    Given a repository "site"
    And a repository "docs"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      for dir in "$AGENTS_PROJECT_SITE_DIR" "$AGENTS_PROJECT_DOCS_DIR"; do echo b > "$dir/b.txt"; done
      """
    And an action "third" that runs
      """
      echo c > c.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site docs"
    And an executed plan THIRD of "third" on "docs"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "place 1 in line" while it runs
    And the locks table has no held row for "project/local/docs"
    When I run "--no-wait plan apply THIRD"
    Then the exit code is 4
    And I am told "nobody holds it, but others wait in line for it"
    And I am told "doing: plan apply, waiting since"
    When I run "--json --no-wait plan apply THIRD"
    Then the exit code is 4
    And there "error.details.key" is "project/local/docs"
    And there "error.details.holder" is "null"
    And there "error.details.ahead.0.holder.operation" is "plan apply"
    And the plan THIRD is apply/queued
    When Cyd starts "plan apply THIRD"
    Then Cyd says "waiting for project/local/docs; next is" while it runs
    When "landing" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And Cyd ends with exit code 0
    And in "docs" the files landed on "main" in this order: "b.txt, c.txt"

  @process
  Scenario: A waiter that is killed is passed at once
    Given a repository "site"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an action "third" that runs
      """
      echo c > c.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    And an executed plan THIRD of "third" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "place 1 in line" while it runs
    When Cyd starts "plan apply THIRD"
    Then Cyd says "place 2 in line" while it runs
    When Bob gets SIGKILL
    And Bob is gone
    Then Cyd says "place 1 in line" while it runs
    When I run "lock explain project/local/site"
    Then it succeeds
    And I am told "dead: is passed"
    When "landing" goes on
    Then Ada ends with exit code 0
    And Cyd ends with exit code 0
    And in "site" the files landed on "main" in this order: "a.txt, c.txt"
    And nobody waits in line
    When I run "plan apply SECOND"
    Then it succeeds

  @process
  Scenario Outline: A waiter that is ended by <signal> leaves the line
    Given a repository "site"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "place 1 in line" while it runs
    When Bob gets <signal>
    Then Bob ends with exit code <code>
    And nobody waits in line
    And the locks table has no held row for "plan/SECOND"
    When "landing" goes on
    Then Ada ends with exit code 0

    Examples:
      | signal  | code |
      | SIGTERM | 143  |
      | SIGINT  | 130  |

  # Takes as long as a ticket lives: ten seconds.
  @process
  Scenario: A waiter that is frozen is passed once its ticket has run out
    Given a repository "site"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an action "third" that runs
      """
      echo c > c.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    And an executed plan THIRD of "third" on "site"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "place 1 in line" while it runs
    When Cyd starts "plan apply THIRD"
    Then Cyd says "place 2 in line" while it runs
    When Bob gets SIGSTOP
    And "landing" goes on
    Then Ada ends with exit code 0
    And Cyd ends with exit code 0
    When Bob gets SIGCONT
    Then Bob ends with exit code 0
    And in "site" the files landed on "main" in this order: "a.txt, c.txt, b.txt"
    And nobody waits in line

  @binary
  Scenario: A lock is explained: who holds it, who waits, who lives, what to do
    Given a repository "site"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an executed plan FIRST of "first" on "site"
    And an executed plan SECOND of "second" on "site"
    When I run "lock explain project/local/site"
    Then it succeeds
    And stdout says "free"
    When I run "lock show project/local/site"
    Then the exit code is 3
    When I run "lock explain project/local/none"
    Then the exit code is 3
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And Bob starts "plan apply SECOND"
    Then Bob says "place 1 in line" while it runs
    When I run "lock explain project/local/site"
    Then it succeeds
    And stdout says "held"
    And stdout says "alive), doing: plan apply"
    And stdout says "runs on this machine"
    And stdout says "1. "
    And stdout says "wait in line by themselves"
    When I run "--json lock explain project/local/site"
    Then it succeeds
    And there "data.state" is "held"
    And there "data.lock.holder.liveness" is "alive"
    And there "data.lock.holder.operation" is "plan apply"
    And there "data.lock.expires_at" is a time in UTC
    And there "data.known_by" says "runs on this machine"
    And there "data.waiting.0.position" is "1"
    And there "data.waiting.0.ticket" is given
    And there "data.waiting.0.since" is a time in UTC
    And there "data.waiting.0.holder.liveness" is "alive"
    And there "data.waiting.0.keys.0" is "project/local/site"
    When I run "lock explain plan/SECOND"
    Then it succeeds
    And stdout says "agents plan cancel SECOND"
    When "landing" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0

  @process
  Scenario: A lock whose holder was killed is explained
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    And I run "lock explain plan/PLAN"
    Then it succeeds
    And stdout says "has ended"
    And stdout says "agents recover"
    And stdout says "agents lock break plan/PLAN --token"

  @process
  Scenario: Guidance waits in line for a plan that is at work
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan prompt PLAN hello"
    Then the exit code is 4
    And I am told "agents --wait 5m plan prompt PLAN hello"
    When Bob starts "--wait 5m plan prompt PLAN hello"
    Then Bob says "waiting for plan/PLAN, held since" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And nobody waits in line
    And the plan is execute/complete
    When I run "plan events PLAN"
    Then stdout says "hello"
