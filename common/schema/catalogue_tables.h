/* What generate.py makes of schema/events for catalogue.c. */
#ifndef SCHEMA_CATALOGUE_TABLES_H
#define SCHEMA_CATALOGUE_TABLES_H

#include <stddef.h>
#include <stdint.h>

#include "schema/catalogue.h"

enum { CATALOGUE_SLOTS = 32 };

extern const struct catalogue_event catalogue_table[];
extern const size_t catalogue_table_count;
extern const size_t catalogue_longest_name;
/* A perfect hash: FNV-1a from this seed, its top five bits are the slot of an index or -1. */
extern const uint32_t catalogue_seed;
extern const signed char catalogue_slots[CATALOGUE_SLOTS];

#endif
