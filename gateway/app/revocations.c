#include "app/revocations.h"

#include <stdlib.h>
#include <string.h>

#include "app/member.h"

enum { RETRY_MS = 1000, FREED_A_TURN = 10000, COMPLAINTS_A_SECOND = 5 };

struct entry {
    struct map_node by_user;
    struct list node; /* of the table, then of the garbage */
    uint64_t before;
    unsigned char len;
    char user[];
};

/* --- One table --- */

static struct str key_of(const struct map_node *node)
{
    const struct entry *entry = container_of(node, struct entry, by_user);
    return str_range(entry->user, entry->len);
}

static void table_init(struct app_revocation_table *table)
{
    *table = (struct app_revocation_table){0};
    map_init(&table->by_user, key_of);
    list_init(&table->all);
}

/* All of it becomes garbage. */
static void table_fini(struct app_revocation_table *table, struct list *garbage)
{
    map_fini(&table->by_user);
    list_splice_back(garbage, &table->all);
    table->everybody = 0;
}

static struct entry *find(const struct app_revocation_table *table, struct str user)
{
    struct map_node *node = map_find(&table->by_user, user);
    return node ? container_of(node, struct entry, by_user) : NULL;
}

static enum err insert(struct app_revocation_table *table, struct str user, uint64_t before)
{
    struct entry *entry = malloc(sizeof *entry + user.len);
    if (!entry) {
        return ERR_NOMEM;
    }
    *entry = (struct entry){.before = before, .len = (unsigned char)user.len};
    memcpy(entry->user, user.ptr, user.len);
    if (map_insert(&table->by_user, &entry->by_user)) {
        free(entry);
        return ERR_NOMEM;
    }
    list_init(&entry->node);
    list_push_back(&table->all, &entry->node);
    return OK;
}

static void remove_entry(struct app_revocation_table *table, struct entry *entry)
{
    map_remove(&table->by_user, &entry->by_user);
    list_remove(&entry->node);
    free(entry);
}

static enum err table_set(struct app_revocation_table *table, struct str user, uint64_t before)
{
    if (str_eq(user, BUS_EVERYBODY)) {
        table->everybody = before;
        return OK;
    }
    struct entry *entry = find(table, user);
    if (entry && before == 0) {
        remove_entry(table, entry);
    } else if (entry) {
        entry->before = before;
    } else if (before > 0) {
        return insert(table, user, before);
    }
    return OK;
}

/* --- Asking --- */

/* `-` refuses a token of any age; other times those issued before. */
static bool refuses(uint64_t before, uint64_t issued_s)
{
    return before == BUS_REVOKED_ALWAYS || issued_s < before;
}

static bool user_refused(const struct app_revocation_table *table, struct str user,
                         uint64_t issued_s)
{
    const struct entry *entry = user.len > 0 ? find(table, user) : NULL;
    return entry && refuses(entry->before, issued_s);
}

bool app_revocations_refuse(const struct app_revocations *revocations, struct str sub,
                            struct str address, uint64_t issued_s)
{
    const struct app_revocation_table *table = &revocations->table;
    return refuses(table->everybody, issued_s) || user_refused(table, sub, issued_s) ||
           user_refused(table, address, issued_s);
}

bool app_revocations_apply(struct app_revocations *revocations, struct app_member *member)
{
    bool refused = app_revocations_refuse(revocations, app_member_sub(member),
                                          app_member_address(member), member->issued_s);
    if (refused) {
        revocations->ops->on_revoked(revocations->owner, member);
    }
    return refused;
}

size_t app_revocations_count(const struct app_revocations *revocations)
{
    return revocations->table.by_user.count + (revocations->table.everybody > 0);
}

static bool check(struct app_walk *walk, struct app_member *member)
{
    return app_revocations_apply(container_of(walk, struct app_revocations, check), member);
}

static void checked(struct app_walk *walk)
{
    log_debug("revocations applied to all clients",
              LOG_U64("revocations",
                      app_revocations_count(container_of(walk, struct app_revocations, check))));
}

/* --- Reading --- */

static void on_sweep(struct loop_task *task)
{
    struct app_revocations *revocations = container_of(task, struct app_revocations, sweep);
    struct list *node = NULL;
    for (unsigned n = 0; n < FREED_A_TURN && (node = list_pop_front(&revocations->garbage)); n++) {
        free(list_entry(node, struct entry, node));
    }
    if (node) {
        loop_defer(revocations->loop, task);
    }
}

static void discard(struct app_revocations *revocations, struct app_revocation_table *table)
{
    table_fini(table, &revocations->garbage);
    loop_defer(revocations->loop, &revocations->sweep);
}

/* What was read takes the place of what was known. */
static void conclude(struct app_revocations *revocations)
{
    struct app_revocation_table *table = &revocations->table, *coming = &revocations->coming;
    bool first = !revocations->known;
    discard(revocations, table);
    table->by_user = coming->by_user;
    table->everybody = coming->everybody;
    list_splice_back(&table->all, &coming->all);
    table_init(coming);
    revocations->known = true;
    app_walk_begin(&revocations->check, revocations->walks);
    if (first) {
        revocations->ops->on_known(revocations->owner);
    }
}

static void fail(struct app_revocations *revocations, enum err err)
{
    revocations->failed++;
    discard(revocations, &revocations->coming);
    if (log_limit_allows(&revocations->log, COMPLAINTS_A_SECOND, NULL)) {
        log_warn("revocations not read, trying again", LOG_ERR(err));
    }
    loop_timer_set(revocations->loop, &revocations->retry, RETRY_MS);
}

static void complain(struct app_revocations *revocations, struct str user)
{
    uint32_t suppressed;
    if (log_limit_allows(&revocations->log, COMPLAINTS_A_SECOND, &suppressed)) {
        log_warn("revocation not understood, left out", LOG_STR("user", user),
                 LOG_U64("suppressed", suppressed));
    }
}

static enum err take_page(struct app_revocations *revocations, struct bus_revocation_page *page)
{
    struct bus_revocation revocation;
    char user[ROOM_ID_MAX + 1];
    for (enum err err; (err = bus_revocation_next(page, &revocation)) != ERR_CLOSED;) {
        struct str name = revocation.user;
        bool good = !err && (str_eq(name, BUS_EVERYBODY) || !bus_revocation_user(name, user));
        if (!good) {
            complain(revocations, name);
            continue;
        }
        name = str_eq(name, BUS_EVERYBODY) ? name : str_from(user);
        err = table_set(&revocations->coming, name, revocation.before);
        if (err) {
            return err;
        }
    }
    return OK;
}

static void ask_page(struct app_revocations *revocations, struct str cursor);

static void on_page(void *context, const struct redisReply *reply)
{
    struct app_revocations *revocations = context;
    struct bus_revocation_page page;
    revocations->request = NULL;
    enum err err = bus_revocation_page(reply, &page);
    err = err ? err : take_page(revocations, &page);
    if (err) {
        fail(revocations, err);
    } else if (str_eq(page.next, STR("0"))) {
        conclude(revocations);
    } else {
        ask_page(revocations, page.next);
    }
}

static void ask_page(struct app_revocations *revocations, struct str cursor)
{
    revocations->request = bus_revocation_ask_page(revocations->store, revocations->keys, cursor,
                                                   on_page, revocations);
    if (!revocations->request) {
        fail(revocations, ERR_NOMEM);
    }
}

void app_revocations_read(struct app_revocations *revocations)
{
    bus_store_cancel(revocations->request);
    loop_timer_cancel(revocations->loop, &revocations->retry);
    discard(revocations, &revocations->coming);
    ask_page(revocations, STR("0"));
}

static void on_retry(struct wheel_timer *timer)
{
    app_revocations_read(container_of(timer, struct app_revocations, retry));
}

/* Pages that come later hold it, too: Redis answers in the order of asking. */
enum err app_revocations_note(struct app_revocations *revocations, struct str user, uint64_t before)
{
    enum err err = table_set(&revocations->table, user, before);
    return err ? err : table_set(&revocations->coming, user, before);
}

/* --- Birth and death --- */

void app_revocations_init(struct app_revocations *revocations, struct loop *loop,
                          struct bus_store *store, const struct bus_keys *keys,
                          struct app_walks *walks, const struct app_revocations_ops *ops,
                          void *owner)
{
    static const struct app_walk_ops check_ops = {check, checked};
    *revocations = (struct app_revocations){
        .loop = loop, .store = store, .keys = keys, .walks = walks, .ops = ops, .owner = owner};
    table_init(&revocations->table);
    table_init(&revocations->coming);
    list_init(&revocations->garbage);
    loop_task_init(&revocations->sweep, on_sweep);
    wheel_timer_init(&revocations->retry, on_retry);
    app_walk_init(&revocations->check, &check_ops);
}

void app_revocations_fini(struct app_revocations *revocations)
{
    bus_store_cancel(revocations->request);
    loop_timer_cancel(revocations->loop, &revocations->retry);
    app_walk_end(&revocations->check);
    table_fini(&revocations->table, &revocations->garbage);
    table_fini(&revocations->coming, &revocations->garbage);
    for (struct list *node; (node = list_pop_front(&revocations->garbage));) {
        free(list_entry(node, struct entry, node));
    }
    loop_task_cancel(&revocations->sweep);
}
