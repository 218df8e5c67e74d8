/*
 * The settings of guesslyfe-gateway: one row each, from which flags, environment, --help,
 * --check-config and docs/configuration.md come.
 */
#ifndef GATEWAY_OPTIONS_H
#define GATEWAY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/options.h"
#include "config/config.h"
#include "redis/link.h"
#include "stream/tls.h"
#include "util/attr.h"
#include "util/buf.h"
#include "util/err.h"

struct gateway_settings {
    const char *config_file;
    const char *host, *ops_host;
    uint64_t port, ops_port;
    const char *tls_certificate, *tls_key; /* files; NULL: no TLS */
    const char *cors_origins;
    bool development;
    uint64_t workers; /* processes; 0: as many as there are CPUs */

    const char *jwt_secret, *jwt_issuer, *jwt_audience;
    unsigned jwt_algorithm; /* enum app_auth_algorithm */
    uint64_t jwt_leeway_s, token_expiring_ms, token_cache, token_cache_ttl_ms;

    uint64_t ping_interval_ms, ping_timeout_ms, upgrade_timeout_ms, connect_timeout_ms;
    uint64_t subscribe_timeout_ms, room_linger_ms, recovery_window_ms;

    uint64_t max_connections, max_connections_per_user, max_rooms, max_history, recent_bytes,
        max_payload;
    uint64_t handshake_rate, handshake_burst;
    uint64_t drain_delay_ms, drain_window_ms;
    uint64_t max_header_bytes, max_headers, max_packets_per_post, max_attachments;
    uint64_t client_queue_bytes, client_stall_ms;
    uint64_t header_timeout_ms, body_timeout_ms, idle_timeout_ms;

    struct redis_link_options redis;
    struct bus_settings bus;

    uint64_t relay_timeout_ms, relay_bytes;

    unsigned log_level, log_format;

    /* Not in the table: what clients' tickets are sealed with, the same in all workers. */
    unsigned char ticket_secret[TLS_TICKET_SECRET_LEN];

    /* Not in the table: what a process is among the workers of a supervisor. */
    unsigned worker;                       /* its index, from 0; 0 without a supervisor */
    uint16_t worker_port, worker_ops_port; /* of all of them, instead of port and ops_port */
    int worker_channel; /* descriptor for workers/answers.h; 0: there is no supervisor */
};

struct config_table gateway_option_table(void);

/*
 * Checks what no single row can, the certificate's files among it: INVALID, *complaint is one
 * sentence that names the settings and says what would be right.
 */
MUST_CHECK enum err gateway_settings_check(const struct gateway_settings *settings,
                                           struct buf *complaint);

#endif
