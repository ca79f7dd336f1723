/* The yardstick of P2: a recorded script of statements, run through the C API of SQLite.
 *
 * peer DATABASE SCRIPT. The script is read before anything is timed:
 *
 *     S sql            a statement; the first one has number 0
 *     T                a transition begins
 *     X conn number    run it as it is, with sqlite3_exec
 *     R conn number    run it prepared, with the values of the following lines
 *     i 5 | t bytes\ntext | n
 *
 * What comes before the first T sets the connections up. Then each line `N` on stdin runs N
 * transitions and is answered by one line with the nanoseconds of each. Every statement is prepared
 * once for each connection; every column of every row is read.
 *
 * The functions are declared here, so that no header is needed: this interface does not change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;
const char *sqlite3_libversion(void);
const char *sqlite3_errmsg(sqlite3 *);
int sqlite3_open_v2(const char *, sqlite3 **, int, const char *);
int sqlite3_exec(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
int sqlite3_prepare_v3(sqlite3 *, const char *, int, unsigned, sqlite3_stmt **, const char **);
int sqlite3_bind_int64(sqlite3_stmt *, int, long long);
int sqlite3_bind_text(sqlite3_stmt *, int, const char *, int, void (*)(void *));
int sqlite3_bind_null(sqlite3_stmt *, int);
int sqlite3_step(sqlite3_stmt *);
int sqlite3_reset(sqlite3_stmt *);
int sqlite3_column_count(sqlite3_stmt *);
int sqlite3_column_type(sqlite3_stmt *, int);
long long sqlite3_column_int64(sqlite3_stmt *, int);
const unsigned char *sqlite3_column_text(sqlite3_stmt *, int);
int sqlite3_column_bytes(sqlite3_stmt *, int);

enum { OK = 0, ROW = 100, DONE = 101, READ_WRITE = 2, PERSISTENT = 1, INTEGER = 1, NONE = 5 };
enum { STATEMENTS = 256, CONNECTIONS = 8 };

struct value { char kind; long long number; char *text; int length; };
struct step { char kind; int connection, statement, values; struct value *value; };

static char *sql[STATEMENTS];
static int statements;
static struct step *steps;
static size_t count, room;
static sqlite3 *connections[CONNECTIONS];
static sqlite3_stmt *prepared[CONNECTIONS][STATEMENTS];
/* What is read goes here, so that reading it cannot be left out. */
static volatile long long sink;

static void fail(const char *what, sqlite3 *connection) {
    fprintf(stderr, "peer: %s: %s\n", what, connection ? sqlite3_errmsg(connection) : "");
    exit(1);
}

static struct step *add(char kind) {
    if (count == room && !(steps = realloc(steps, (room = room ? 2 * room : 1024) * sizeof *steps))) {
        fail("no memory", NULL);
    }
    steps[count] = (struct step){ .kind = kind };
    return &steps[count++];
}

static void read_value(FILE *script, char *line) {
    struct step *step = &steps[count - 1];
    struct value value = { .kind = line[0] };
    if (value.kind == 'i') {
        value.number = atoll(line + 2);
    } else if (value.kind == 't') {
        value.length = atoi(line + 2);
        value.text = malloc((size_t)value.length + 1);
        if (!value.text || fread(value.text, 1, (size_t)value.length, script) != (size_t)value.length) {
            fail("a text is cut", NULL);
        }
        getc(script);
    }
    step->value = realloc(step->value, (size_t)(step->values + 1) * sizeof value);
    if (!step->value) {
        fail("no memory", NULL);
    }
    step->value[step->values++] = value;
}

static void read_script(const char *path) {
    FILE *script = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    ssize_t length;
    if (!script) {
        fail(path, NULL);
    }
    while ((length = getline(&line, &size, script)) > 0) {
        line[length - 1] = 0;
        if (line[0] == 'S') {
            if (statements == STATEMENTS) {
                fail("too many statements", NULL);
            }
            sql[statements++] = strdup(line + 2);
        } else if (line[0] == 'T') {
            add('T');
        } else if (line[0] == 'X' || line[0] == 'R') {
            struct step *step = add(line[0]);
            sscanf(line + 2, "%d %d", &step->connection, &step->statement);
            if (step->connection >= CONNECTIONS || step->statement >= statements) {
                fail("an unknown connection or statement", NULL);
            }
        } else {
            read_value(script, line);
        }
    }
    free(line);
    fclose(script);
}

static void read_row(sqlite3_stmt *statement) {
    for (int at = 0, columns = sqlite3_column_count(statement); at < columns; at++) {
        switch (sqlite3_column_type(statement, at)) {
        case INTEGER: sink += sqlite3_column_int64(statement, at); break;
        case NONE: break;
        default: sink += sqlite3_column_text(statement, at)[0] + sqlite3_column_bytes(statement, at);
        }
    }
}

static void run_prepared(const struct step *step, sqlite3 *connection) {
    sqlite3_stmt **slot = &prepared[step->connection][step->statement], *statement = *slot;
    if (!statement) {
        if (sqlite3_prepare_v3(connection, sql[step->statement], -1, PERSISTENT, slot, NULL) != OK) {
            fail(sql[step->statement], connection);
        }
        statement = *slot;
    }
    for (int at = 0; at < step->values; at++) {
        const struct value *value = &step->value[at];
        switch (value->kind) {
        case 'i': sqlite3_bind_int64(statement, at + 1, value->number); break;
        case 't': sqlite3_bind_text(statement, at + 1, value->text, value->length, NULL); break;
        default: sqlite3_bind_null(statement, at + 1);
        }
    }
    int outcome;
    while ((outcome = sqlite3_step(statement)) == ROW) {
        read_row(statement);
    }
    if (outcome != DONE) {
        fail(sql[step->statement], connection);
    }
    sqlite3_reset(statement);
}

static void run(const char *database, const struct step *step) {
    sqlite3 **connection = &connections[step->connection];
    if (!*connection && sqlite3_open_v2(database, connection, READ_WRITE, NULL) != OK) {
        fail(database, *connection);
    }
    if (step->kind == 'R') {
        run_prepared(step, *connection);
    } else if (sqlite3_exec(*connection, sql[step->statement], NULL, NULL, NULL) != OK) {
        fail(sql[step->statement], *connection);
    }
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int arguments, char **argument) {
    size_t at = 0;
    int block;
    if (arguments != 3) {
        fail("peer DATABASE SCRIPT", NULL);
    }
    read_script(argument[2]);
    while (at < count && steps[at].kind != 'T') {
        run(argument[1], &steps[at++]);
    }
    printf("%s\n", sqlite3_libversion());
    fflush(stdout);
    while (scanf("%d", &block) == 1) {
        for (int done = 0; done < block; done++) {
            if (at >= count) {
                fail("the script is over", NULL);
            }
            long long began = now();
            for (at++; at < count && steps[at].kind != 'T'; at++) {
                run(argument[1], &steps[at]);
            }
            printf("%lld ", now() - began);
        }
        printf("\n");
        fflush(stdout);
    }
    return 0;
}
