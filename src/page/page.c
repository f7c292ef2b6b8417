/* SPDX-License-Identifier: MIT */
/*
 * The writer of the page: the keeper's thread, from page_begin to page_end. The files are in its
 * own table of descriptors: they are gone when it ends, and its successor makes others. A child of
 * fork has neither them nor the mapping.
 */
#include "page/page.h"

#include <string.h>

#include "os/memfile.h"
#include "os/os.h"

#define REFRESH_NS 100000000u /* between two refreshes, at least */
#define REFRESH_SHARE 200u    /* at most this part of the time is spent on them */
#define ANSWER_SHARE 50u      /* the same of answers */
#define PAUSE_MAX_NS 2000000000u
#define KEEP_ANSWER_NS 2000000000u
#define LOOK_NS 250000000u /* for readers whose bell is not heard */

TIDE_STATIC_ASSERT(sizeof(struct page_head) % sizeof(uint64_t) == 0, "figures are aligned");
TIDE_STATIC_ASSERT(PAGE_FIGURES_MAX >= 80, "room for the figures there are");

struct answer {
    memfile_t file;          /* the latest */
    struct page_answer said; /* as in the page */
    uint64_t wanted_ns;      /* when a reader was last there */
    uint64_t next_ns;        /* not before */
};

/* owner: the keeper's thread. Zeros are a process without a page. */
static TIDE_SPARSE struct {
    struct page_head *map;
    memfile_t file;
    struct answer answers[PAGE_QUESTIONS];
    uint64_t next_refresh_ns;
    bool is_stale; /* a pass has left the figures as they were */
} page;
static bool exists; /* owner: for fork's child, which looks at nothing else without a page */

struct page_config page_config = {.when = PAGE_LATER};

static const char answer_names[PAGE_QUESTIONS][24] = {
    [PAGE_STATISTICS] = PAGE_NAME "-statistics",
    [PAGE_PROFILE] = PAGE_NAME "-profile",
};

bool
page_is_wanted(void)
{
    return page_config.when != PAGE_NEVER;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static TIDE_COLD void
fill_head(struct page_head *head)
{
    head->version = PAGE_VERSION;
    head->head_bytes = sizeof *head;
    head->figure_bytes = sizeof(struct page_figure);
    head->pid = os_pid();
    memcpy(head->library, TIDE_VERSION, sizeof TIDE_VERSION);
    head->start_ns = os_real_ns();
    head->sequence = 1; /* until the first figures are in it */
    memcpy(head->magic, PAGE_MAGIC, PAGE_MAGIC_BYTES);
}

TIDE_COLD void
page_begin(void)
{
    exists = true;
    __asm__ volatile("" ::: "memory"); /* for a fork that comes in between */
    if (memfile_make(&page.file, PAGE_NAME) != 0) {
        return;
    }
    page.map = memfile_map(&page.file, PAGE_BYTES);
    if (page.map == NULL) {
        memfile_close(&page.file);
        return;
    }
    fill_head(page.map);
    (void)memfile_seal(&page.file, true); /* an old kernel's file has but its mode */
}

/* A process without a page from here on. */
static void
forget(void)
{
    memset(&page, 0, sizeof page);
    __asm__ volatile("" ::: "memory"); /* a fork may come in between */
    exists = false;
}

TIDE_COLD void
page_end(void)
{
    if (page.map == NULL) {
        return;
    }
    atomic_store_relaxed(&page.map->flags, 0); /* for those who have it open */
    os_unreserve(page.map, PAGE_BYTES);
    for (unsigned q = 0; q < PAGE_QUESTIONS; q++) {
        memfile_close(&page.answers[q].file);
    }
    memfile_close(&page.file);
    forget();
}

void
page_fork_child(void)
{
    if (exists) {
        forget();
    }
}

/* ---- what is in it --------------------------------------------------------------------------- */

static TIDE_COLD uint32_t
present_flags(void)
{
    uint32_t hears = os_has(OS_FEATURE_FUTEX_WAITV) ? PAGE_HEARS : 0;

    return PAGE_ANSWERS | hears | (page_config.flags == NULL ? 0 : page_config.flags());
}

/* Readers see whole figures or another sequence. `figures` NULL: they stay as they are. */
static TIDE_COLD void
publish(const struct page_figure *figures, size_t count)
{
    struct page_head *head = page.map;
    struct page_figure *to = (struct page_figure *)(void *)(head + 1);

    head->sequence |= 1;
    (void)atomic_exchange_acq_rel(&head->sequence, head->sequence);
    atomic_store_relaxed(&head->flags, present_flags());
    for (unsigned q = 0; q < PAGE_QUESTIONS; q++) {
        head->answers[q] = page.answers[q].said;
    }
    if (figures != NULL) {
        memcpy(to, figures, count * sizeof *to);
        atomic_store_relaxed(&head->figure_count, (uint32_t)count);
        atomic_store_relaxed(&head->time_ns, os_real_ns());
    }
    (void)atomic_exchange_acq_rel(&head->sequence, head->sequence + 1);
}

/* How long to pause after what took so much of the processor's time. */
static TIDE_COLD uint64_t
pause_of(uint64_t cost_ns, uint64_t share, uint64_t least_ns)
{
    uint64_t pause_ns = cost_ns * share;

    return pause_ns < least_ns ? least_ns : pause_ns > PAUSE_MAX_NS ? PAUSE_MAX_NS : pause_ns;
}

static TIDE_COLD void
refresh(uint64_t now_ns, bool all)
{
    struct page_figure figures[PAGE_FIGURES_MAX];
    uint64_t before_ns = os_cpu_ns();
    size_t count = page_config.figures == NULL
                       ? 0
                       : page_config.figures(figures, TIDE_ARRAY_LEN(figures), all);

    publish(figures, count);
    page.next_refresh_ns = now_ns + pause_of(os_cpu_ns() - before_ns, REFRESH_SHARE, REFRESH_NS);
}

/* ---- answers --------------------------------------------------------------------------------- */

static TIDE_COLD int
write_answer(enum page_question question, memfile_t *file)
{
    int error = memfile_make(file, answer_names[question]);

    if (error != 0) {
        return error;
    }
    error = page_config.answer(question, file->fd);
    if (error == 0) {
        error = memfile_seal(file, false);
    }
    if (error != 0) {
        memfile_close(file);
    }
    return error;
}

static TIDE_COLD void
answer(enum page_question question, uint64_t now_ns)
{
    struct answer *a = &page.answers[question];
    uint64_t before_ns = os_cpu_ns();
    memfile_t file;
    int error = write_answer(question, &file);

    memfile_close(&a->file); /* now: a reader finds the old one until there is another */
    a->file = file;
    a->said = (struct page_answer){
        .serial = a->said.serial + 1,
        .time_ns = os_real_ns(),
        .inode = file.inode,
        .fd = file.fd,
        .error = error,
    };
    a->next_ns = now_ns + pause_of(os_cpu_ns() - before_ns, ANSWER_SHARE, PAGE_ANSWER_NS);
}

/* True when an answer came or went. */
static TIDE_COLD bool
look_after(enum page_question question, bool is_wanted, uint64_t now_ns)
{
    struct answer *a = &page.answers[question];

    if (is_wanted) {
        a->wanted_ns = now_ns;
        if (now_ns >= a->next_ns) {
            answer(question, now_ns);
            return true;
        }
    } else if (memfile_exists(&a->file) && now_ns - a->wanted_ns >= KEEP_ANSWER_NS) {
        memfile_close(&a->file);
        a->said.inode = 0;
        return true;
    }
    return false;
}

static TIDE_COLD void
answer_readers(unsigned wanted)
{
    bool changed = false;

    for (unsigned q = 0; q < PAGE_QUESTIONS; q++) {
        changed |= look_after((enum page_question)q, (wanted >> q & 1) != 0, os_now_ns());
    }
    if (changed) {
        publish(NULL, 0);
    }
}

/* ---- the keeper's passes --------------------------------------------------------------------- */

TIDE_COLD void
page_pass(void)
{
    uint64_t now_ns;
    unsigned wanted;

    if (page.map == NULL) {
        return;
    }
    now_ns = os_now_ns();
    wanted = memfile_locks(&page.file, PAGE_LOCKS);
    page.is_stale = now_ns < page.next_refresh_ns;
    if (!page.is_stale) {
        refresh(now_ns, (wanted >> PAGE_FIGURES & 1) != 0);
    }
    answer_readers(wanted);
}

TIDE_COLD uint64_t
page_next_pass_ns(void)
{
    uint64_t now_ns;
    bool look = page.map != NULL && !os_has(OS_FEATURE_FUTEX_WAITV) &&
                (page.map->flags & PAGE_HAS_PROFILE) != 0;

    if (page.is_stale) {
        now_ns = os_now_ns();
        return page.next_refresh_ns > now_ns ? page.next_refresh_ns - now_ns : 1;
    }
    for (unsigned q = 0; q < PAGE_QUESTIONS; q++) {
        look |= memfile_exists(&page.answers[q].file);
    }
    return look ? LOOK_NS : 0;
}

TIDE_COLD uint32_t *
page_bell(void)
{
    return page.map == NULL ? NULL : &page.map->bell;
}
