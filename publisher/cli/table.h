/* Cells in columns that are as wide as they have to be. */
#ifndef PUBLISHER_CLI_TABLE_H
#define PUBLISHER_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    const char *const *heads; /* one a column; those that begin with a space stand to the right */
    size_t columns;           /* at most TABLE_COLUMNS_MAX */
    size_t count;             /* cells */
    struct buf cells;         /* each ended by a zero byte */
    enum err err;             /* the first; what was to be added then is missing */
};

/* Borrows the heads. */
void table_init(struct table *table, const char *const *heads, size_t columns);
void table_fini(struct table *table);
/* The next cell, row by row. UTF-8 without control characters. */
void table_cell(struct table *table, const char *format, ...) PRINTF_LIKE(2, 3);
/* NOMEM: cells are missing. */
MUST_CHECK enum err table_print(const struct table *table, FILE *out);

/* "3d4h", "2m", "17s", "0.4s"; "-" for UINT64_MAX. */
enum { TABLE_SPAN_LEN = 24 };
const char *table_span(uint64_t ms, char out[TABLE_SPAN_LEN]);
/* "4.2M", "17k", "12". */
const char *table_amount(uint64_t number, char out[TABLE_SPAN_LEN]);

#endif
