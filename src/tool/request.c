/* SPDX-License-Identifier: MIT */
/* See request.h. */
#include "tool/request.h"

bool
request_take(struct request *r, int option)
{
    switch (option) {
    case 'j':
        r->as_json = true;
        return true;
    case 'o':
        r->out = optarg;
        return true;
    case 't':
        r->timeout_s = (unsigned)tool_number("--timeout", optarg, 1, TARGET_TIMEOUT_MAX_S);
        return true;
    default:
        return false;
    }
}

void
request_take_word(struct request *r, int argc, char **argv, const char *kind)
{
    if (optind + 1 != argc) {
        tool_misused("one %s is needed", kind);
    }
    r->word = argv[optind];
    r->pid = tool_process(r->word);
}

int
request_read(const struct request *r, enum page_question question, struct profile *p)
{
    struct target target;

    if (r->pid == 0) {
        return profile_read(p, r->word);
    }
    target_profile(&target, r->pid, question, r->timeout_s, p);
    target_close(&target);
    return TOOL_OK;
}
