/*
 * What the user of Redis may do, against what each program needs. Redis 7 tells by itself: in a
 * script of the own rights, by ACL DRYRUN of those of others. Before that, and without these, what
 * does no harm is tried.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "publisher/cli/doctor/doctor.h"

enum { NEEDS_MAX = 64, WORDS_MAX = 16 };

/*
 * A command, word by word; "@" at a word's beginning stands for the prefix. What begins with "!"
 * would change something, and is not tried.
 */
static const char *const gateway_needs[] = {
    "PING",
    "ROLE",
    "TIME",
    "CLIENT SETNAME guesslyfe-operator",
    "!SUBSCRIBE @{0}:room:global:all",
    "!SUBSCRIBE @to:x",
    "!SUBSCRIBE @control",
    "!UNSUBSCRIBE @to:x",
    "!PUBLISH @to:x x",
    "!PUBLISH @answer:x x",
    "GET @{0}:epoch",
    "!SET @{0}:epoch x NX",
    "GET @{0}:clock",
    "EVALSHA x 2 @{0}:clock @{0}:log:global:all",
    "EVAL x 2 @{0}:clock @{0}:log:global:all",
    "LRANGE @{0}:log:global:all 0 0",
    "LINDEX @{0}:log:global:all 0",
    "GET @session:x",
    "!SET @session:x x PX 1",
    "!DEL @session:x",
    "EVALSHA x 1 @session:x",
    "EVALSHA x 2 @gateway:x @gateways",
    "!SET @gateway:x x PX 1",
    "!DEL @gateway:x",
    "!ZADD @gateways 1 x",
    "!ZREM @gateways x",
    "!ZREMRANGEBYSCORE @gateways 0 0",
    "EVALSHA x 1 @connections:x",
    "PTTL @gateway:x",
    "HGETALL @connections:x",
    "!HSET @connections:x x 1",
    "!HDEL @connections:x x",
    "!EXPIRE @connections:x 1",
    "HGET @revoked x",
    "HSCAN @revoked 0",
    NULL,
};

static const char *const publisher_needs[] = {
    "PING",
    "ROLE",
    "TIME",
    "CLIENT SETNAME guesslyfe-operator",
    "EVALSHA x 3 @{0}:clock @{0}:once:x @{0}:log:global:all",
    "EVAL x 3 @{0}:clock @{0}:once:x @{0}:log:global:all",
    "GET @{0}:clock",
    "!SET @{0}:clock 1",
    "GET @{0}:once:x",
    "!SET @{0}:once:x 1 EX 1",
    "!EXPIRE @{0}:once:x 1",
    "LINDEX @{0}:log:global:all -1",
    "!RPUSH @{0}:log:global:all x",
    "!LTRIM @{0}:log:global:all 0 -1",
    "!EXPIRE @{0}:log:global:all 1",
    "!PUBLISH @{0}:room:global:all x",
    NULL,
};

static const char *const operator_needs[] = {
    "PING",
    "ROLE",
    "TIME",
    "INFO",
    "CLIENT SETNAME guesslyfe-operator",
    "CONFIG GET maxmemory",
    "ZRANGE @gateways 0 -1",
    "GET @gateway:x",
    "!PUBLISH @control x",
    "!SUBSCRIBE @answer:x",
    "!SUBSCRIBE @{0}:room:global:all",
    "!PSUBSCRIBE @{*}:room:*",
    "PUBSUB NUMSUB @{0}:room:global:all",
    "LLEN @{0}:log:global:all",
    "LINDEX @{0}:log:global:all -1",
    "LRANGE @{0}:log:global:all 0 0",
    "EVAL x 2 @{0}:clock @{0}:log:global:all",
    "GET @{0}:clock",
    "GET @{0}:epoch",
    "!HSET @revoked x 1",
    "!HDEL @revoked x",
    "HSCAN @revoked 0",
    NULL,
};

static const struct program {
    const char *name, *check, *advice;
    const char *const *needs;
} programs[] = {
    {"publisher", "rights/publisher",
     "docs/operations.md, Rights: the line \"user publisher\" (ACL SETUSER, or the aclfile)",
     publisher_needs},
    {"gateway", "rights/gateway",
     "docs/operations.md, Rights: the line \"user gateway\" (ACL SETUSER, or the aclfile)",
     gateway_needs},
    {"operator", "rights/operator",
     "docs/operations.md, Rights: the line \"user operator\" (ACL SETUSER, or the aclfile)",
     operator_needs},
};

/* What is known of each need. */
enum right { RIGHT_UNKNOWN, RIGHT_THERE, RIGHT_LACKING };

/* --- Commands --- */

struct command {
    struct buf text; /* the words, parted by line ends */
    struct str words[WORDS_MAX];
    size_t count;
    bool harmful;
};

static enum err expand(struct str prefix, const char *need, struct buf *out)
{
    struct str rest = str_from(need + (*need == '!')), word;
    enum err err = OK;
    while (!err && str_split(&rest, ' ', &word)) {
        bool named = str_starts(word, STR("@"));
        err = out->len > 0 ? buf_append_char(out, '\n') : OK;
        err = err || !named ? err : buf_append(out, prefix);
        err = err ? err : buf_append(out, str_skip(word, named));
    }
    return err;
}

static enum err command_init(struct command *command, struct str prefix, const char *need)
{
    *command = (struct command){.harmful = *need == '!'};
    enum err err = expand(prefix, need, &command->text);
    struct str rest = buf_str(&command->text);
    while (!err && command->count < WORDS_MAX &&
           str_split(&rest, '\n', &command->words[command->count])) {
        command->count++;
    }
    return err;
}

/* --- Ways to know --- */

static const char script[] = "local rights = {} "
                             "for i = 1, #ARGV do "
                             "local words = {} "
                             "for word in string.gmatch(ARGV[i], '[^\\n]+') do "
                             "words[#words + 1] = word end "
                             "local known, allowed = pcall(redis.acl_check_cmd, unpack(words)) "
                             "rights[i] = not known and 0 or allowed and 1 or 2 "
                             "end return rights";

/* The answers are of the type right. Before Redis 7, and where scripts are refused: all unknown. */
static void ask_by_script(struct doctor *doctor, struct command *commands, size_t count,
                          enum right *rights)
{
    struct str args[3 + NEEDS_MAX] = {STR("EVAL"), {script, sizeof script - 1}, STR("0")};
    for (size_t i = 0; i < count; i++) {
        args[3 + i] = buf_str(&commands[i].text);
    }
    const struct answer *answer = console_ask(&doctor->console, args, 3 + count);
    for (size_t i = 0; i < count && answer && answer->count == count; i++) {
        rights[i] = (enum right)answer->items[i].number;
    }
}

static bool begins(const struct answer *answer, const char *word)
{
    return answer && answer->kind == ANSWER_ERROR && str_starts(answer->text, str_from(word));
}

static enum right ask_dryrun(struct doctor *doctor, const struct command *command)
{
    struct str args[3 + WORDS_MAX] = {STR("ACL"), STR("DRYRUN"), str_from(doctor->acl_user)};
    memcpy(args + 3, command->words, command->count * sizeof *args);
    const struct answer *answer = console_ask(&doctor->console, args, 3 + command->count);
    if (!answer || answer->kind == ANSWER_ERROR) {
        return RIGHT_UNKNOWN;
    }
    return str_eq(answer->text, STR("OK")) ? RIGHT_THERE : RIGHT_LACKING;
}

/* A command that fails for another reason than rights was allowed. */
static enum right try_harmless(struct doctor *doctor, const struct command *command)
{
    if (command->harmful) {
        return RIGHT_UNKNOWN;
    }
    const struct answer *answer = console_ask(&doctor->console, command->words, command->count);
    return !answer ? RIGHT_UNKNOWN : begins(answer, "NOPERM") ? RIGHT_LACKING : RIGHT_THERE;
}

static void ask_rights(struct doctor *doctor, struct command *commands, size_t count,
                       enum right *rights)
{
    if (!doctor->acl_user) {
        ask_by_script(doctor, commands, count, rights);
    }
    for (size_t i = 0; i < count; i++) {
        if (doctor->acl_user) {
            rights[i] = ask_dryrun(doctor, &commands[i]);
        } else if (rights[i] == RIGHT_UNKNOWN) {
            rights[i] = try_harmless(doctor, &commands[i]);
        }
    }
}

/* --- Judging --- */

static size_t count_of(const enum right *rights, size_t count, enum right right)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += rights[i] == right;
    }
    return found;
}

/* The first few of what is lacking. */
static void list_lacking(const struct command *commands, const enum right *rights, size_t count,
                         char *out, size_t size)
{
    size_t len = 0;
    for (size_t i = 0; i < count && len + 1 < size; i++) {
        if (rights[i] == RIGHT_LACKING) {
            int more = snprintf(out + len, size - len, "%s" STR_FMT, len > 0 ? "; " : "",
                                STR_ARG(buf_str(&commands[i].text)));
            len += (size_t)(more > 0 ? more : 0);
        }
    }
    for (char *c = out; *c; c++) {
        *c = *c == '\n' ? ' ' : *c;
    }
}

/* Whether everything is there, as far as can be known. */
static bool judge(struct doctor *doctor, const struct program *program,
                  const struct command *commands, const enum right *rights, size_t count)
{
    char lacking[512] = "";
    size_t unknown = count_of(rights, count, RIGHT_UNKNOWN);
    list_lacking(commands, rights, count, lacking, sizeof lacking);
    if (*lacking && doctor->program) {
        doctor_say(doctor, VERDICT_FAIL, program->check, program->advice,
                   "this user may not do what is needed: %s", lacking);
        return false;
    }
    if (*lacking) {
        doctor_say(doctor, VERDICT_OK, program->check, NULL,
                   "not a user for this program, lacking: %s", lacking);
        return false;
    }
    if (unknown == count) {
        doctor_say(doctor, VERDICT_UNKNOWN, program->check, NULL,
                   "can't be checked with this user, or in this version of Redis");
    } else if (unknown > 0) {
        doctor_say(doctor, VERDICT_OK, program->check, NULL,
                   "all that could be tried without harm; %zu commands of %zu could not", unknown,
                   count);
    } else {
        doctor_say(doctor, VERDICT_OK, program->check, NULL, "all that is needed");
    }
    return true;
}

static bool check_program(struct doctor *doctor, const struct program *program)
{
    struct command commands[NEEDS_MAX];
    enum right rights[NEEDS_MAX] = {RIGHT_UNKNOWN};
    size_t count = 0;
    enum err err = OK;
    while (!err && program->needs[count] && count < NEEDS_MAX) {
        err = command_init(&commands[count], doctor->console.keys.prefix, program->needs[count]);
        count++;
    }
    bool enough = false;
    if (!err) {
        ask_rights(doctor, commands, count, rights);
        enough = judge(doctor, program, commands, rights, count);
    }
    for (size_t i = 0; i < count; i++) {
        buf_fini(&commands[i].text);
    }
    return enough;
}

void doctor_check_rights(struct doctor *doctor)
{
    bool enough = false;
    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if (!doctor->program || strcmp(doctor->program, programs[i].name) == 0) {
            enough |= check_program(doctor, &programs[i]);
        }
    }
    if (!enough && !doctor->program) {
        doctor_say(doctor, VERDICT_FAIL, "rights",
                   "docs/operations.md, Rights: a line for each program",
                   "this user has too few rights for any program");
    }
}
