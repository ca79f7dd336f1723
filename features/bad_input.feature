@binary
Feature: Bad input
  Whatever a command is given, it says what is wrong and what helps, ends with the exit code of the
  contract, and nothing is lost or changed.

  # Names and prefixes

  Scenario Outline: A plan is never guessed: <prefix>
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan FIRST of "change" on "site"
    And a plan SECOND of "change" on "site"
    When I run "plan status <prefix>"
    Then the exit code is <code>
    And I am told "<words>"
    And stdout is empty

    Examples:
      | prefix  | code | words                        |
      | 01M     | 2    | 4 to 26 of 0-9 and A-Z       |
      | zzzz    | 2    | 4 to 26 of 0-9 and A-Z       |
      | '01*%'  | 2    | 4 to 26 of 0-9 and A-Z       |
      | 7ZZZ    | 3    | there is no plan 7ZZZ        |

  Scenario Outline: A name is refused where it is written: <name>
    Given a repository "site"
    And a directory "other" where git is told "init -q"
    When I run "project add other --name '<name>'"
    Then the exit code is 2
    And I am told "<words>"
    And I am told "agents project add --help"

    Examples:
      | name     | words                           |
      | a..b     | is not a name                   |
      | ..       | is not a name                   |
      | a b      | is not a name                   |
      | größe    | is not a name                   |
      | a/b/c    | is not a name                   |
      | local/   | is not a name                   |
      | system/x | the namespace `system` is reserved |
      | root/x   | the namespace `root` is reserved |
      | aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa | is not a name |

  # Repositories

  Scenario Outline: A path that no plan can work in: <what>
    Given a repository "site"
    And a directory "bare" where git is told "init -q --bare"
    And a directory "new" where git is told "init -q -b main"
    And a directory "plain"
    And a directory "shallow" where git is told "clone -q --depth 1 file://ROOT/site clone"
    And a directory "holder" where git is told "init -q -b main"
    And in the directory "holder" git is told "submodule --quiet add ROOT/site part"
    And in the directory "holder" git is told "commit -q -m part"
    And a link "alias" to "site"
    When I run "project add ROOT/<path> --name local/x"
    Then the exit code is 2
    And I am told "<words>"
    And stdout is empty
    When I run "project list -q"
    Then stdout is "local/site"

    Examples:
      | what             | path          | words                             |
      | nothing there    | nowhere       | it does not exist                 |
      | no repository    | plain         | it is not in a git repository     |
      | bare             | bare          | it is a bare repository           |
      | without a commit | new           | it has no commit yet              |
      | a shallow clone  | shallow/clone | git fetch --unshallow             |
      | with submodules  | holder        | it has submodules                 |
      | a file           | site/notes.txt | it is not a directory            |
      | twice            | site          | is taken by the project local/site |
      | twice by a link  | alias         | is taken by the project local/site |

  Scenario: A repository with large files elsewhere is refused
    Given a repository "site"
    And a repository "media"
    And in "site" the file ".gitattributes" is changed to "*.bin filter=lfs"
    And in "site" all is committed
    When I run "project remove site"
    And I run "project add ROOT/site"
    Then the exit code is 2
    And I am told "it uses git LFS"

  Scenario: A repository that nobody registered is one command away
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And a directory "other" where git is told "init -q -b main"
    And in the directory "other" git is told "commit -q --allow-empty -m first"
    When I run "run change ROOT/other"
    Then the exit code is 3
    And I am told "help: agents project add ROOT/other"
    When I do what it says helps
    Then it succeeds
    When I run "run change ROOT/other --apply"
    Then it succeeds

  Scenario: A repository that has moved is missed before a plan is made
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And "site" has been moved to "elsewhere"
    When I run "run change site"
    Then the exit code is 2
    And I am told "the repository of local/site is not there any more"
    And there are 0 plans
    When "elsewhere" is moved to "site"
    And I run "run change site --apply"
    Then it succeeds

  # Arguments and settings

  Scenario Outline: Arguments that do not fit: <given>
    Given a repository "site"
    And the action
      """
      name: local/typed
      arguments:
        - { name: count, type: integer, required: true, min: 1, max: 5 }
        - { name: word, pattern: "^[a-z]+$", default: abc }
      execute: { run: ["true"] }
      """
    When I run "plan use typed site <given>"
    Then the exit code is 2
    And I am told "<words>"
    And there are 0 plans

    Examples:
      | given                        | words                           |
      |                              | `count` (integer) is required   |
      | --arg count=x                | must be an integer, not `x`     |
      | --arg count=9                | must be at most 5, not 9        |
      | --arg count=1 --arg other=1  | unknown argument `other`        |
      | --arg count=1 --arg word=A1  | must match `^[a-z]+$`           |
      | --arg count                  | use key=value                   |
      | --arg count=1 --arg count=2  | is given twice                  |
      | --arg count=1 --automation x | manual, review, auto            |

  Scenario Outline: A lease out of its bounds: <length>
    When I run "lock list --lease-ttl <length>"
    Then the exit code is 2
    And I am told "<words>"
    When I run "lock list" with AGENTS_LEASE_TTL set to "<length>"
    Then the exit code is 2
    And I am told "AGENTS_LEASE_TTL: `<length>` is no lease_ttl"
    Given a directory "home"
    And the file "home/config.toml"
      """
      lease_ttl = "<length>"
      """
    When I run "lock list"
    Then the exit code is 2
    And I am told "home/config.toml: `<length>` is no lease_ttl"

    Examples:
      | length | words                     |
      | 4s     | a lease lasts from 5s to 1h |
      | 61m    | a lease lasts from 5s to 1h |
      | 5      | use a length of time      |

  Scenario Outline: A configuration that cannot be right: <text>
    Given a directory "home"
    And the file "home/config.toml"
      """
      <text>
      """
    When I run "--json plan list"
    Then the exit code is 2
    And stdout is one JSON document and stderr is empty
    And there "error.code" is "invalid_config"
    And there "error.message" says "home/config.toml:1:"

    Examples:
      | text           |
      | leas_ttl = 'x' |
      | lease_ttl = 5  |
      | [[[            |

  @sqlite
  Scenario Outline: A database that this version cannot have: <url>
    When I run "--database-url '<url>' init"
    Then the exit code is 2
    And I am told "<words>"

    Examples:
      | url                     | words                        |
      | mysql://u:secret@h/d    | this build has no `mysql:`   |
      | sqlite:///x?mode=ro     | a URL takes no parameters    |
      | :memory:                | a database in memory         |
      | sqlite:                 | the path is empty            |

  # Action files

  Scenario Outline: An action file with <what>
    Given the file "action.yaml"
      """
      <text>
      """
    When I run "action validate ROOT/action.yaml"
    Then the exit code is 2
    And I am told "action.yaml:1:"
    And I am told "<words>"

    Examples:
      | what           | text                                                           | words                |
      | an unknown key | {name: x, execute: {run: [a]}, exekute: 1}                     | did you mean `execute`? |
      | a wrong type   | {name: x, execute: {run: a}}                                   | expected a list      |
      | a bad name     | {name: ../x, execute: {run: [a]}}                              | is not a name        |
      | a reserved name | {name: admin/x, execute: {run: [a]}}                          | is reserved          |
      | a bomb         | {name: x, env_from: &a [A, A], description: [*a, *a], execute: {run: [a]}} | expected a text |
      | no program     | {name: x, execute: {run: []}}                                  | the command is empty |

  Scenario: An action file of 100 MB is refused at once
    Given a file "big.yaml" of 100 MB
    When I run "action validate ROOT/big.yaml"
    Then the exit code is 2
    And I am told "is larger than"

  # Databases

  @sqlite
  Scenario Outline: A database that is <how>
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And the database is <how>
    When I run "run change site"
    Then the exit code is 10
    And stdout is empty
    And I am told "<words>"
    When I run "--json plan list"
    Then the exit code is 10
    And stdout is one JSON document and stderr is empty
    And there "error.code" is "<code>"
    When I run "--json diagnostics"
    Then the exit code is 1
    And there the check "database" is "error"
    And there the check "migrations" is "error"

    Examples:
      | how     | code            | words                        |
      | garbage | not_a_database  | is not a SQLite database     |
      | empty   | not_initialised | help: agents init            |
      | cut     | damaged         | put a copy of it back        |
      | newer   | newer_schema    | use a newer version of agents |
      | deleted | not_initialised | help: agents init            |
      | folded  | not_a_database  | is not a SQLite database     |

  @sqlite
  Scenario: A file that is no database is left as it is
    Given a repository "site"
    And the database is garbage
    When I run "init"
    Then the exit code is 10
    And the database is as it was

  Scenario: Without a database the way on is init, whatever directory is missing
    When I run "plan list"
    Then the exit code is 10
    And I am told "help: agents init"
    When I do what it says helps
    Then it succeeds
    When I run "plan list"
    Then it succeeds

  @process @sqlite
  Scenario: A database that is deleted while a plan executes
    Given a repository "site"
    And an action "slow" that runs
      """
      pause work
      echo two > notes.txt
      """
    When Ada starts "run slow site --apply"
    And Ada reaches "work"
    And the file "home/state/agents.db" is gone
    And "work" goes on
    Then Ada ends with exit code 10
    And I am told "was deleted or replaced while in use"
    And in "site" the branch "main" has "one" in "notes.txt"
    And in "site" the checkout is clean

  # Git

  @process
  Scenario Outline: A git that says <words>
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And a git that says "<words>"
    When I run "<line>"
    Then the exit code is 1
    And I am told "git 2.38 or newer is needed"
    And I am told "help: agents diagnostics"
    And the plan is execute/complete

    Examples:
      | words              | line             |
      | git version 2.20.1 | plan apply PLAN  |
      | git version 2.20.1 | run change site  |
      | git version 2.20.1 | demo             |
      | who are you        | plan apply PLAN  |

  @process
  Scenario: Without git
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "run change site" with PATH set to "/nowhere"
    Then the exit code is 1
    And I am told "the program `git` was not found; git 2.38 or newer is needed"
    And there are 0 plans

  @process
  Scenario Outline: The caller's <name> does not lead git astray
    Given a repository "site"
    And a repository "other"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "run change site --apply" with <name> set to "<value>"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"
    And in "other" 0 commits landed on "main"
    And in "other" the checkout is clean

    Examples:
      | name                 | value           |
      | GIT_DIR              | ROOT/other/.git |
      | GIT_INDEX_FILE       | ROOT/nowhere    |
      | GIT_OBJECT_DIRECTORY | ROOT/nowhere    |

  Scenario: Without an identity work lands all the same
    Given a repository "site"
    And in "site" git is told "config --unset user.name"
    And in "site" git is told "config --unset user.email"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    When I run "run change site --apply"
    Then it succeeds

  # The child

  Scenario Outline: A command that <what>
    Given a repository "site"
    And the action
      """
      name: local/odd
      execute: <execute>
      """
    When I run "run odd site --apply"
    Then the exit code is 7
    And I am told "<words>"
    And I am told "agents plan retry"
    And in "site" the branch "main" has "one" in "notes.txt"
    When I run "plan list -q --state errored"
    Then it succeeds
    And the database is sound and nothing is locked

    Examples:
      | what               | execute                                     | words                  |
      | is not there       | { run: [no-such-program] }                  | was not found          |
      | is not executable  | { run: [./notes.txt] }                      | cannot be executed     |
      | is killed          | { shell: "kill -9 $$" }                     | was killed by signal 9 |
      | fails in binary    | { shell: 'printf "\\377\\000\\033[31m" >&2; exit 3' } | exited with code 3 |
      | takes its worktree away | { shell: "rm -rf $AGENTS_PROJECT_DIR" } | is not there           |

  Scenario: A command that prints without end fills no disk and no memory
    Given a repository "site"
    And an action "loud" that runs
      """
      yes | head -c 100000000
      echo two > notes.txt
      """
    When I run "run loud site --apply"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"

  # Landing

  Scenario: A target branch that is gone
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And in "site" git is told "branch -m main away"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "local/site has no branch `main`"
    And I am told "bring main back"
    When I run "run change site"
    Then the exit code is 2
    And there are 1 plans
    When in "site" git is told "branch -m away main"
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the branch "main" has "two" in "notes.txt"

  Scenario: A checkout with changes in the way
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And in "site" the file "notes.txt" is changed to "mine"
    When I run "plan apply PLAN"
    Then the exit code is 6
    And I am told "notes.txt"
    And I am told "commit or stash these files, then: agents plan retry PLAN"
    And in "site" the file "notes.txt" says "mine"
    And in "site" 0 commits landed on "main"
    When in "site" git is told "checkout -q ."
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the checkout is clean

  Scenario: A checkout whose index another git has locked
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And an executed plan of "change" on "site"
    And the file "site/.git/index.lock"
      """
      """
    When I run "plan apply PLAN"
    Then the exit code is 7
    And I am told "index.lock"
    And in "site" 0 commits landed on "main"
    When the file "site/.git/index.lock" is gone
    And I run "plan retry PLAN"
    Then it succeeds
    And in "site" the checkout is clean

  Scenario: A plan that changes nothing
    Given a repository "site"
    And an action "idle" that runs
      """
      true
      """
    When I run "run idle site --apply"
    Then the exit code is 7
    And I am told "the plan changed nothing"
    And in "site" 0 commits landed on "main"
    When I do what it says helps
    Then it succeeds

  # What is in use

  Scenario: A project in use stays
    Given a repository "site"
    And an action "change" that runs
      """
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "project remove site"
    Then the exit code is 5
    And I am told "is in use by the plan PLAN"
    When I run "action remove change"
    Then it succeeds
    When I run "plan execute PLAN"
    Then it succeeds

  Scenario: The log of a plan is the newest there is
    Given a repository "site"
    And an action "change" that runs
      """
      echo said by the command
      echo two > notes.txt
      """
    And a plan of "change" on "site"
    When I run "plan log PLAN"
    Then the exit code is 3
    And I am told "has run no command yet"
    When I run "plan execute PLAN"
    And I run "plan apply PLAN"
    And I run "plan log PLAN"
    Then it succeeds
    And I am told "said by the command"

  @process
  Scenario: Nobody reads what a command prints
    Given a repository "site"
    When I run "action schema" and nobody reads what it prints
    Then it succeeds

  # Crowds

  @process
  Scenario: Many inits at once make one database
    When 12 processes run "init" at once
    Then 12 of them end with exit code 0
    And none of them mentions a locked database
    And the database is sound and nothing is locked

  @process
  Scenario: Six processes race for one plan
    Given a repository "site"
    And an action "change" that runs
      """
      echo ran >> ROOT/ran
      pwd > notes.txt
      """
    And a plan of "change" on "site"
    When 6 processes run "plan execute PLAN --no-wait" at once
    Then none of them mentions a locked database
    And the plan is execute/complete
    And the command ran once
    And the database is sound and nothing is locked

  @process
  Scenario: Six runs at once land one after the other
    Given a repository "site"
    And an action "change" that runs
      """
      echo new > "$AGENTS_PLAN_ID.txt"
      """
    When 6 processes run "run change site --apply" at once
    Then 6 of them end with exit code 0
    And none of them mentions a locked database
    And in "site" 6 commits landed on "main"
    And in "site" the checkout is clean
    And the database is sound and nothing is locked
