#include "publisher/cli/verb.h"
static enum exit_code run(const struct arguments *a)
{
    (void)a;
    return 0;
}
const struct verb verb_doctor = {
    .name = "doctor", .operands = "", .summary = "x", .details = "x", .run = run};
