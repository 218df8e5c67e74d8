#include "certificates.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATHS = 4, PATH_MAX_HERE = 64 };

static char folder[] = "/tmp/certificates-XXXXXX";

const char *certificates_file(const char *name)
{
    static char paths[PATHS][PATH_MAX_HERE];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_MAX_HERE, "%s/%s", folder, name);
    return path;
}

int certificates_make(void **state)
{
    (void)state;
    if (!mkdtemp(folder)) {
        return -1;
    }
    char script[512];
    snprintf(script, sizeof script,
             "cd '%s' && exec 2>log && for n in a b; do openssl req -x509 -newkey ec"
             " -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=$n"
             " -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -keyout $n.key -out $n.crt"
             " || exit 1; done",
             folder);
    return system(script);
}

int certificates_remove(void **state)
{
    (void)state;
    char script[64];
    snprintf(script, sizeof script, "rm -rf '%s'", folder);
    return system(script);
}
