Feature: What survives a power cut
  A machine may stop at any moment. When it comes up again, whatever part of the last writes has
  reached the disk, the database is sound, no lock is in the way for ever, and plans go on.

  @process @sqlite
  Scenario: Wherever the power is cut, the database is sound and a recovery finds what was at work
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      """
    And a plan of "slow" on "site"
    When Ada starts "plan execute PLAN"
    And Ada reaches "work"
    And I run "plan use slow local/site"
    And I run "plan use slow local/site"
    Then it succeeds
    When Ada gets SIGKILL
    And Ada is gone
    And the machine comes up again with any part of what was written last
    Then each time the database is sound
    And each time a recovery works, and no lock is in the way of any plan
    And with all of it the history of the plan is "created, phase_started, phase_completed, phase_advanced, phase_started, interrupted, cancelled"
