/* SPDX-License-Identifier: MIT */
/*
 * The live view of `tide top`, on ncurses: one table at a time, a line that is selected, and keys.
 * What is shown comes from the models alone; this file knows lines and keys.
 */
#include <locale.h>
#include <ncursesw/curses.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tool/top.h"

enum view { VIEW_PROCESSES, VIEW_SITES, VIEW_STACK, VIEW_OUTLOOK, VIEWS };
enum { KEY_ESC = 27, POLL_MS = 20, INTERVAL_STEP = 2, INTERVAL_MIN_MS = 100, LATE_MS = 2000 };
enum { OUTLOOK_LINES_BESIDE = 7 /* of the screen, that are not the chart's */ };

struct screen {
    struct top_options *options;
    enum view view;
    struct top_processes *processes; /* NULL: began with a PID, and was never left */
    struct top_sites *sites;         /* NULL: none is open */
    struct top_table stack, outlook;
    uint64_t stack_id;
    uint64_t selected[VIEWS]; /* a row's id */
    size_t line[VIEWS];       /* where it was, for when it is gone */
    size_t first;             /* row that is on top */
    uint64_t refreshed_ms;    /* when the models were last asked */
    bool waits;               /* for an answer */
    bool in_help, in_filter, ends;
    char filter_before[64];
};

static uint64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static struct top_table *
table_of(struct screen *s)
{
    switch (s->view) {
    case VIEW_SITES:
        return &s->options->sites;
    case VIEW_STACK:
        return &s->stack;
    case VIEW_OUTLOOK:
        return &s->outlook;
    case VIEW_PROCESSES:
    case VIEWS:
    default:
        return &s->options->processes;
    }
}

/* ---- Models ---------------------------------------------------------------------------------- */

static void
fill(struct screen *s)
{
    if (s->view == VIEW_PROCESSES) {
        top_processes_fill(s->processes, &s->options->processes);
    } else if (s->view == VIEW_SITES) {
        top_sites_fill(s->sites, &s->options->sites);
    } else if (s->view == VIEW_OUTLOOK) {
        top_sites_outlook(s->sites, (size_t)COLS,
                          LINES > OUTLOOK_LINES_BESIDE ? (size_t)(LINES - OUTLOOK_LINES_BESIDE) : 1,
                          &s->outlook);
    } else if (!top_sites_stack(s->sites, s->stack_id, &s->stack)) {
        top_table_head(&s->stack, "the site is not there any more");
    }
    if (s->view == VIEW_PROCESSES || s->view == VIEW_SITES) {
        top_table_arrange(table_of(s));
    }
}

static void
refresh_models(struct screen *s)
{
    s->refreshed_ms = now_ms();
    if (s->view == VIEW_PROCESSES) {
        top_processes_refresh(s->processes);
        fill(s);
    } else {
        top_sites_ask(s->sites);
        s->waits = true;
    }
}

/* What came since. */
static void
poll_models(struct screen *s)
{
    if (s->view != VIEW_PROCESSES && s->waits) {
        if (top_sites_poll(s->sites)) {
            s->waits = false;
            fill(s);
        } else if (top_sites_problem(s->sites) != NULL) {
            s->waits = false;
        }
    }
    if (now_ms() - s->refreshed_ms >= s->options->interval_ms) {
        refresh_models(s);
    }
}

static void
open_process(struct screen *s, int pid)
{
    s->sites = top_sites_new(pid, &s->options->symbols);
    s->view = VIEW_SITES;
    s->first = 0;
    fill(s);
    refresh_models(s);
}

/* Back where one came from; the list of processes is behind all. */
static void
go_back(struct screen *s)
{
    s->first = 0;
    if (s->view == VIEW_STACK || s->view == VIEW_OUTLOOK) {
        s->view = VIEW_SITES;
    } else if (s->view == VIEW_SITES) {
        top_sites_free(s->sites);
        s->sites = NULL;
        s->waits = false;
        s->view = VIEW_PROCESSES;
        if (s->processes == NULL) {
            s->processes = top_processes_new();
        }
        refresh_models(s);
        return;
    }
    fill(s);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* Texts are somebody else's: nothing in them may steer the terminal. */
static void
put_line(int y, const char *text, int attributes)
{
    char line[TOP_LINE];
    size_t length = strlen(text) < sizeof line - 1 ? strlen(text) : sizeof line - 1;

    for (size_t i = 0; i < length; i++) {
        line[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
    }
    line[length] = '\0';
    move(y, 0);
    clrtoeol();
    attron(attributes);
    addnstr(line, (int)length);
    for (int x = getcurx(stdscr); getcury(stdscr) == y && x < COLS && (attributes & A_REVERSE) != 0;
         x++) {
        addch(' ');
    }
    attroff(attributes);
}

static size_t
selected_row(struct screen *s)
{
    const struct top_table *t = table_of(s);

    for (size_t i = 0; i < t->row_count; i++) {
        if (t->rows[i].id == s->selected[s->view]) {
            return i;
        }
    }
    return s->line[s->view] < t->row_count ? s->line[s->view]
           : t->row_count > 0              ? t->row_count - 1
                                           : 0;
}

static void
select_row(struct screen *s, size_t row)
{
    const struct top_table *t = table_of(s);

    s->line[s->view] = row;
    s->selected[s->view] = row < t->row_count ? t->rows[row].id : 0;
}

/* The last line: what is wrong, what is typed, or what can be done. */
static void
draw_bottom(struct screen *s)
{
    const struct top_table *t = table_of(s);
    const char *problem = s->sites != NULL ? top_sites_problem(s->sites) : NULL;
    char line[TOP_LINE];

    if (s->in_filter) {
        snprintf(line, sizeof line, "filter: %s_", t->filter);
    } else if (problem != NULL) {
        snprintf(line, sizeof line, "%s", problem);
    } else if (s->waits && now_ms() - s->refreshed_ms > LATE_MS) {
        snprintf(line, sizeof line, "no answer yet: the process may be stopped");
    } else {
        snprintf(line, sizeof line, "? help  q quit  by %s%s  every %g s%s%s",
                 t->sort < t->column_count ? t->columns[t->sort].name : "name",
                 t->ascending ? ", least first" : "", s->options->interval_ms / 1000.0,
                 t->filter[0] != '\0' ? "  only: " : "", t->filter);
    }
    put_line(LINES - 1, line, A_BOLD);
}

static void
draw_table(struct screen *s)
{
    const struct top_table *t = table_of(s);
    size_t row = selected_row(s), shown;
    char line[TOP_LINE];
    int y = 0;

    for (size_t i = 0; i < t->head_count && y < LINES - 3; i++) {
        put_line(y++, t->head[i], A_NORMAL);
    }
    top_table_titles(t, line, (size_t)COLS);
    put_line(y++, line, A_REVERSE);
    shown = LINES - 1 > y ? (size_t)(LINES - 1 - y) : 0;
    if (row < s->first) {
        s->first = row;
    } else if (row >= s->first + shown) {
        s->first = row - shown + 1;
    }
    for (size_t i = s->first; i < t->row_count && i < s->first + shown; i++) {
        top_table_line(t, &t->rows[i], line, (size_t)COLS);
        put_line(y++, line, i == row ? A_REVERSE : A_NORMAL);
    }
    while (y < LINES - 1) {
        put_line(y++, "", A_NORMAL);
    }
}

static void
draw_help(void)
{
    static const char *const text[] = {
        "tide top",
        "",
        "  up down PgUp PgDn Home End   select a line",
        "  Enter                        open it: a process's sites, a site's stack",
        "  t                            the tide of an open process: its forecast over time",
        "  Esc, Backspace, left         back",
        "  < >                          sort by the column before, or behind",
        "  r                            the other way round",
        "  /                            show only lines with a text; Enter keeps it, Esc does not",
        "  + -                          refresh less often, or more often",
        "  space                        refresh now",
        "  q                            quit",
        "",
        "  LIVE    in blocks the program holds    KEPT    free, still in RAM",
        "  GROW/s  change of LIVE in a second     ALLOC/s allocated in a second, by the profile",
        "  GROW/m  change within a minute         RATE/s  allocated in a second",
        "  ALLOC   since the profile began        SMPLS   samples it is estimated from",
        "",
        "Any key goes on.",
    };

    erase();
    for (size_t i = 0; i < sizeof text / sizeof text[0] && (int)i < LINES; i++) {
        put_line((int)i, text[i], i == 0 ? A_BOLD : A_NORMAL);
    }
}

static void
draw(struct screen *s)
{
    if (s->in_help) {
        draw_help();
    } else if (LINES < 5) {
        put_line(0, "the terminal is too low", A_NORMAL);
    } else {
        draw_table(s);
        draw_bottom(s);
    }
    refresh();
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static void
filter_key(struct screen *s, int key)
{
    struct top_table *t = table_of(s);
    size_t length = strlen(t->filter);

    if (key == '\n' || key == KEY_ENTER || key == KEY_ESC) {
        s->in_filter = false;
        if (key == KEY_ESC) {
            memcpy(t->filter, s->filter_before, sizeof t->filter);
        }
    } else if ((key == KEY_BACKSPACE || key == 127 || key == '\b') && length > 0) {
        t->filter[length - 1] = '\0';
    } else if (key >= 0x20 && key < 0x100 && key != 127 && length < sizeof t->filter - 1) {
        t->filter[length] = (char)key;
        t->filter[length + 1] = '\0';
    }
    fill(s);
}

static void
sort_key(struct screen *s, int key)
{
    struct top_table *t = table_of(s);
    size_t columns = t->column_count + 1; /* and the text */

    if (s->view == VIEW_STACK || s->view == VIEW_OUTLOOK) {
        return;
    }
    if (key == 'r') {
        t->ascending = !t->ascending;
    } else {
        t->sort = (t->sort + (key == '>' ? 1 : columns - 1)) % columns;
        t->ascending = t->sort == t->column_count;
    }
    fill(s);
}

static void
open_selected(struct screen *s)
{
    const struct top_table *t = table_of(s);
    size_t row = selected_row(s);

    if (row >= t->row_count || s->view == VIEW_STACK || s->view == VIEW_OUTLOOK) {
        return;
    }
    if (s->view == VIEW_PROCESSES) {
        s->selected[VIEW_SITES] = 0;
        s->line[VIEW_SITES] = 0;
        open_process(s, (int)t->rows[row].id);
        return;
    }
    s->stack_id = t->rows[row].id;
    s->view = VIEW_STACK;
    s->line[VIEW_STACK] = 0;
    s->selected[VIEW_STACK] = 0;
    s->first = 0;
    fill(s);
}

static void
open_outlook(struct screen *s)
{
    if (s->view == VIEW_SITES) {
        s->view = VIEW_OUTLOOK;
        s->line[VIEW_OUTLOOK] = 0;
        s->selected[VIEW_OUTLOOK] = 0;
        s->first = 0;
        fill(s);
    }
}

/* True when the key moves the selection. */
static bool
move_key(struct screen *s, int key)
{
    size_t row = selected_row(s), count = table_of(s)->row_count;
    size_t page = LINES > 6 ? (size_t)LINES - 6 : 1, last = count > 0 ? count - 1 : 0;

    switch (key) {
    case KEY_UP:
    case 'k':
        row -= row > 0;
        break;
    case KEY_DOWN:
    case 'j':
        row += row < last;
        break;
    case KEY_PPAGE:
        row = row > page ? row - page : 0;
        break;
    case KEY_NPAGE:
        row = row + page < last ? row + page : last;
        break;
    case KEY_HOME:
        row = 0;
        break;
    case KEY_END:
        row = last;
        break;
    default:
        return false;
    }
    select_row(s, row);
    return true;
}

static void
change_interval(struct screen *s, bool longer)
{
    unsigned *interval = &s->options->interval_ms;

    *interval = longer ? *interval * INTERVAL_STEP : *interval / INTERVAL_STEP;
    *interval = *interval < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : *interval;
    *interval = *interval > 3600000 ? 3600000 : *interval;
}

static void
press(struct screen *s, int key)
{
    switch (key) {
    case 'q':
        s->ends = true;
        break;
    case '?':
    case 'h':
        s->in_help = true;
        break;
    case '/':
        if (s->view == VIEW_PROCESSES || s->view == VIEW_SITES) {
            s->in_filter = true;
            memcpy(s->filter_before, table_of(s)->filter, sizeof s->filter_before);
        }
        break;
    case '\n':
    case KEY_ENTER:
    case KEY_RIGHT:
        open_selected(s);
        break;
    case KEY_ESC:
    case KEY_BACKSPACE:
    case 127:
    case KEY_LEFT:
        if (s->view != VIEW_PROCESSES) {
            go_back(s);
        }
        break;
    case '<':
    case '>':
    case 'r':
        sort_key(s, key);
        break;
    case 't':
        open_outlook(s);
        break;
    case '+':
    case '-':
        change_interval(s, key == '+');
        break;
    case ' ':
        refresh_models(s);
        break;
    default:
        (void)move_key(s, key);
    }
}

static void
handle(struct screen *s, int key)
{
    if (key == ERR) {
        return;
    }
    if (key == KEY_RESIZE) {
        erase(); /* LINES and COLS are the new ones */
        if (s->view == VIEW_OUTLOOK) {
            fill(s);
        }
    } else if (s->in_help) {
        s->in_help = false;
        erase();
    } else if (s->in_filter) {
        filter_key(s, key);
    } else {
        press(s, key);
    }
}

/* How long a key is waited for: until something is due. */
static int
patience_ms(const struct screen *s)
{
    uint64_t since = now_ms() - s->refreshed_ms;

    if (s->waits) {
        return POLL_MS;
    }
    return since < s->options->interval_ms ? (int)(s->options->interval_ms - since) : 0;
}

int
top_screen(struct top_options *options)
{
    struct screen s = {.options = options};
    SCREEN *terminal;

    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
        tool_misused("the live view needs a terminal: use --once, or --json");
    }
    setlocale(LC_ALL, "");
    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL) {
        tool_misused("the terminal (TERM=%s) cannot be used: use --once",
                     getenv("TERM") != NULL ? getenv("TERM") : "");
    }
    cbreak();
    noecho();
    nonl();
    keypad(stdscr, TRUE);
    set_escdelay(25);
    curs_set(0);
    s.stack = (struct top_table){.text_title = "FRAME"};
    s.outlook = (struct top_table){.text_title = "LEVEL AND FORECAST"};
    if (options->pid != 0) {
        open_process(&s, options->pid);
    } else {
        s.processes = top_processes_new();
        refresh_models(&s);
    }
    while (!s.ends) {
        int key;

        draw(&s);
        timeout(patience_ms(&s));
        key = getch();
        handle(&s, key == '\r' ? '\n' : key);
        poll_models(&s);
    }
    endwin();
    delscreen(terminal);
    if (s.processes != NULL) {
        top_processes_free(s.processes);
    }
    if (s.sites != NULL) {
        top_sites_free(s.sites);
    }
    free(s.stack.rows);
    free(s.outlook.rows);
    return TOOL_OK;
}
