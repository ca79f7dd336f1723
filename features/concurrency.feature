Feature: One at a time
  Several processes may want the same plan, or the same branch. Exactly one of them moves it, the
  others are told who does, and whatever happens to a holder, nothing stays locked.

  # Plans

  @binary
  Scenario: Another owner is refused and told who holds the plan
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan execute PLAN"
    Then the exit code is 4
    And I am told "plan PLAN is locked"
    And I am told "doing: plan execute"
    And I am told "alive"
    And I am told "agents lock show plan/PLAN"
    And I am told "agents --wait 5m plan execute PLAN"
    When I run "--json plan revert PLAN"
    Then the exit code is 4
    And there "error.code" is "lock_conflict"
    And there "error.retryable" is "true"
    And there "error.details.key" is "plan/PLAN"
    And there "error.details.holder.operation" is "plan execute"
    And there "error.details.holder.liveness" is "alive"
    And there "error.details.holder.pid" is given
    And there "error.details.acquired_at" is a time in UTC
    And there "error.details.expires_at" is a time in UTC
    When "work" goes on
    Then Ada ends with exit code 0
    And the plan is execute/complete

  Scenario: Whoever is ready to wait for a plan gets it
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
    Then Bob says "waiting for plan/PLAN" while it runs
    When "work" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And the plan is apply/applied

  Scenario: Looking needs no lock
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "--json plan status PLAN"
    Then it succeeds
    And there "data.state" is "processing"
    And there "data.lock.holder.liveness" is "alive"
    And there "data.lock.stale" is "false"
    When "work" goes on
    Then Ada ends with exit code 0

  @binary
  Scenario: The locks table has a held row while a plan executes and none after
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    Then the locks table has no held row
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    Then the locks table has a held row for "plan/PLAN"
    And the locks table has no held row for "project/local/site"
    When "work" goes on
    Then Ada ends with exit code 0
    And the locks table has no held row

  @process
  Scenario: Of two processes that move one plan exactly one succeeds
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Bob starts "plan execute PLAN"
    And "work" goes on after Bob has ended
    Then of Ada and Bob one ends with exit code 0 and the other with 4
    And its history is "created, phase_started, phase_completed, phase_advanced, phase_started, phase_completed"

  @binary
  Scenario: A phase that fails lets go of the plan
    Given a repository "site"
    And an action "broken" that runs
      """
      exit 3
      """
    And a plan of "broken" on "site"
    When I run "plan execute PLAN"
    Then the exit code is 7
    And the plan is execute/errored
    And the locks table has no held row

  Scenario: A command that is refused lets go of the plan
    Given a repository "site"
    And an action "quick" that runs
      """
      true
      """
    And a plan of "quick" on "site"
    When I run "plan apply PLAN"
    Then the exit code is 5
    And the locks table has no held row

  @process
  Scenario: A dead holder is replaced at once
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "--lease-ttl 1h plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGKILL
    And Ada is gone
    Then the locks table has a held row for "plan/PLAN"
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete
    And the locks table has no held row

  # Shutdown

  @process
  Scenario Outline: Everything is released when <signal> ends a command
    Given a repository "site"
    And an action "slow" that runs
      """
      echo half > notes.txt
      pause work
      echo two > notes.txt
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets <signal>
    Then Ada ends with exit code <code>
    And I am told "agents plan retry PLAN"
    And the locks table has no held row
    And the plan is execute/errored
    And its "error.code" is "shutdown"
    And its "error.retryable" is "true"
    And in "site" a snapshot of the plan has "half" in "notes.txt"
    When I run "plan retry PLAN"
    Then it succeeds
    And the plan is execute/complete

    Examples:
      | signal  | code |
      | SIGTERM | 143  |
      | SIGINT  | 130  |

  @process
  Scenario: A second signal does not wait for a command that will not end
    Given a repository "site"
    And an action "stubborn" that runs
      """
      trap '' TERM
      pause work
      pause again
      """
    And a plan of "stubborn" on "site"
    And commands get a grace of 1h
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And Ada gets SIGTERM
    And "work" goes on
    And Ada reaches "again"
    And Ada gets SIGTERM
    Then Ada ends with exit code 143
    And the plan is execute/errored
    And the locks table has no held row

  # Projects

  @binary
  Scenario: Two plans that apply to one project queue
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
    Then the locks table has a held row for "project/local/site"
    When Bob starts "plan apply SECOND"
    Then Bob says "waiting for project/local/site" while it runs
    And Bob says "doing: plan apply" while it runs
    And the plan SECOND is apply/queued
    When "landing" goes on
    Then Ada ends with exit code 0
    And Bob ends with exit code 0
    And the plan FIRST is apply/applied
    And the plan SECOND is apply/applied
    And in "site" the branch "main" has "a" in "a.txt"
    And in "site" the branch "main" has "b" in "b.txt"
    And in "site" 2 commits landed on "main"
    And the locks table has no held row

  @binary
  Scenario: Whoever will not wait for a project is refused
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
    And I run "--json --no-wait plan apply SECOND"
    Then the exit code is 4
    And there "error.details.key" is "project/local/site"
    And there "error.details.holder.operation" is "plan apply"
    And the plan SECOND is apply/queued
    And the locks table has no held row for "plan/SECOND"
    When "landing" goes on
    Then Ada ends with exit code 0
    When I run "--no-wait plan apply SECOND"
    Then it succeeds

  Scenario: Plans of different projects do not wait for one another
    Given a repository "site"
    And a repository "docs"
    And the action
      """
      name: local/first
      execute: { shell: 'echo a > a.txt' }
      validations:
        - { name: check, shell: 'pause landing' }
      """
    And an executed plan FIRST of "first" on "site"
    And an action "second" that runs
      """
      echo b > b.txt
      """
    And an executed plan SECOND of "second" on "docs"
    When Ada starts "plan apply FIRST"
    And Ada reaches "landing"
    And I run "--no-wait plan apply SECOND"
    Then it succeeds
    When "landing" goes on
    Then Ada ends with exit code 0

  # The services, for those who build on them

  @services
  Scenario: The same owner may acquire again
    Given several drivers on one database
    And Ada holds the plan
    When Ada takes the plan
    Then that works
    And Ada has the plan twice at one token
    When Bob takes the plan
    Then that is refused because Ada holds it
    When Ada gives one hold back
    Then Ada holds the plan still
    When Ada gives one hold back
    Then nobody holds the plan

  @services
  Scenario: Nobody moves a plan that another holds
    Given several drivers on one database
    And Ada holds the plan
    When Ada moves the plan
    Then that works
    And Ada holds the plan still
    When Bob moves the plan
    Then that is refused because Ada holds it

  @services
  Scenario: Renewal keeps a phase that takes longer than its lease
    Given several drivers on one database
    And Ada holds the plan
    When 1000 seconds pass while the heart of Ada beats
    Then Ada holds the plan still
    And Ada does not know of a loss
    When Bob takes the plan
    Then that is refused because Ada holds it

  @services
  Scenario: Somebody who slept goes on if nobody came
    Given several drivers on one database
    And Ada holds the plan
    When 1000 seconds pass
    And the heart of Ada beats
    Then Ada holds the plan still
    And Ada does not know of a loss

  @services
  Scenario: An expired lock is taken over and the old holder's write is refused
    Given several drivers on one database
    And Ada holds the plan
    When 299 seconds pass
    And Bob takes the plan
    Then that is refused because Ada holds it
    When 1 seconds pass
    And Bob takes the plan
    Then that works
    And Bob holds the plan still
    And a late write of Ada is stale and changes nothing
    When Ada moves the plan
    Then that is refused because the lease was lost
    When the heart of Ada beats
    Then Ada knows of the loss

  @services
  Scenario: Somebody who is overtaken in the middle of a transition writes nothing
    Given several drivers on one database
    When Ada falls asleep in the middle of a transition and Bob takes over
    Then that is refused because the lease was lost
    And Bob holds the plan still

  @services
  Scenario: A database refuses what no lock fences
    Given an embedder with "a database" that refuses unfenced writes
    When a service without locks makes a plan
    Then that is refused because nothing fences it

  Scenario: A store in memory refuses what no lock fences, too
    Given an embedder with "a store in memory" that refuses unfenced writes
    When a service without locks makes a plan
    Then that is refused because nothing fences it

  @services
  Scenario Outline: Without locks <store> serves those who said so
    Given an embedder with "<store>" that allows unfenced writes
    When a service without locks makes a plan
    Then that works
    When a service without locks moves the plan
    Then that works

    Examples:
      | store             |
      | a store in memory |
      | a database        |

  @services
  Scenario Outline: A plan that was ever locked is never moved without a lock in <store>
    Given an embedder with "<store>" that allows unfenced writes
    And a plan that was made under a lock
    When a service without locks moves the plan
    Then that is refused because nothing fences it

    Examples:
      | store             |
      | a store in memory |
      | a database        |
