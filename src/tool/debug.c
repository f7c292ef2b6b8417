/* SPDX-License-Identifier: MIT */
/*
 * Reads symbol tables and DWARF for many addresses at once. libdwfl answers one address at a time
 * by walking: all symbols for a name, all entries of a unit for its inlined functions; for a
 * profile with 35,000 sites that is minutes. So all addresses of a module are sorted, each unit's
 * tree is walked once for all of its addresses, and the symbol table is sorted once. Units that no
 * address falls into are not looked into.
 */
#include "tool/debug.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>
#include <string.h>

/* ---- Names ----------------------------------------------------------------------------------- */

struct debug_names {
    struct tool_pool *pool;
    struct name {
        const char *text;
        const char *readable; /* demangled, or NULL while nobody asked */
    } * table;
    size_t size, count;
};

struct debug_names *
debug_names_new(struct tool_pool *pool)
{
    struct debug_names *names = tool_alloc(sizeof *names);

    names->pool = pool;
    names->size = 1024;
    names->table = tool_alloc(names->size * sizeof *names->table);
    return names;
}

void
debug_names_free(struct debug_names *names)
{
    free(names->table);
    free(names);
}

static struct name *
name_slot(struct debug_names *names, const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    size_t at;

    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    }
    at = (size_t)(hash ^ hash >> 32) & (names->size - 1);
    while (names->table[at].text != NULL && strcmp(names->table[at].text, text) != 0) {
        at = (at + 1) & (names->size - 1);
    }
    return &names->table[at];
}

static struct name *
name_of(struct debug_names *names, const char *text)
{
    struct name *slot;

    if (names->count >= names->size / 2) {
        struct name *old = names->table;
        size_t size = names->size;
        names->size *= 2;
        names->table = tool_alloc(names->size * sizeof *names->table);
        for (size_t i = 0; i < size; i++) {
            if (old[i].text != NULL) {
                *name_slot(names, old[i].text) = old[i];
            }
        }
        free(old);
    }
    slot = name_slot(names, text);
    if (slot->text == NULL) {
        slot->text = tool_pool_text(names->pool, text, strlen(text));
        names->count++;
    }
    return slot;
}

const char *
debug_name(struct debug_names *names, const char *text)
{
    return text == NULL ? NULL : name_of(names, text)->text;
}

const char *
debug_function_name(struct debug_names *names, const char *symbol)
{
    struct name *n;
    char *readable;

    if (symbol == NULL) {
        return NULL;
    }
    n = name_of(names, symbol);
    if (n->readable == NULL) {
        readable = symbols_demangle(symbol);
        n->readable =
            readable == NULL ? n->text : tool_pool_text(names->pool, readable, strlen(readable));
        free(readable);
    }
    return n->readable;
}

/* ---- Symbol table ---------------------------------------------------------------------------- */

struct symbol {
    uint64_t start, size;
    const char *name;
    bool global;
};

struct symbol_table {
    struct symbol *symbols;
    size_t count, room;
};

static int
compare_symbols(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;

    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->size != y->size) {
        return x->size < y->size ? -1 : 1;
    }
    if (x->global != y->global) {
        return x->global ? 1 : -1;
    }
    return strcmp(y->name, x->name); /* which of two names is not by chance */
}

static void
read_symbols(struct symbol_table *table, Dwfl_Module *module)
{
    int count = dwfl_module_getsymtab(module);

    for (int i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Addr address;
        GElf_Word section;
        const char *name = dwfl_module_getsym_info(module, i, &sym, &address, &section, NULL, NULL);
        int type = GELF_ST_TYPE(sym.st_info);
        if (name == NULL || name[0] == '\0' || sym.st_shndx == SHN_UNDEF ||
            (type != STT_FUNC && type != STT_GNU_IFUNC)) {
            continue;
        }
        table->symbols =
            tool_grow(table->symbols, table->count, &table->room, sizeof *table->symbols);
        table->symbols[table->count++] =
            (struct symbol){address, sym.st_size, name, GELF_ST_BIND(sym.st_info) != STB_LOCAL};
    }
    if (table->count > 0) {
        qsort(table->symbols, table->count, sizeof *table->symbols, compare_symbols);
    }
}

/* The symbol that holds the address. Those without a size reach to the next one. */
static const char *
find_symbol(const struct symbol_table *table, uint64_t address)
{
    size_t low = 0, high = table->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table->symbols[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low > 0) {
        const struct symbol *s = &table->symbols[low - 1];
        if (s->size == 0 || address - s->start < s->size) {
            return s->name;
        }
    }
    return NULL;
}

/* ---- Units ----------------------------------------------------------------------------------- */

struct range {
    uint64_t low, high;
    uint32_t index; /* of a unit, or of a function */
    uint32_t depth; /* of a function in its unit's tree */
};

struct ranges {
    struct range *ranges;
    size_t count, room;
};

static int
compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;

    if (x->low != y->low) {
        return x->low < y->low ? -1 : 1;
    }
    if (x->depth != y->depth) {
        return x->depth < y->depth ? -1 : 1;
    }
    return (x->index > y->index) - (x->index < y->index);
}

/* All ranges of addresses of a unit or function; whether there are any. */
static bool
add_ranges(struct ranges *to, Dwarf_Die *die, uint32_t index, uint32_t depth)
{
    Dwarf_Addr base, low, high;
    ptrdiff_t offset = 0;
    bool any = false;

    while ((offset = dwarf_ranges(die, offset, &base, &low, &high)) > 0) {
        if (low < high && low > 0) { /* at 0 are the functions that the linker threw away */
            to->ranges = tool_grow(to->ranges, to->count, &to->room, sizeof *to->ranges);
            to->ranges[to->count++] = (struct range){low, high, index, depth};
            any = true;
        }
    }
    return any;
}

static void
sort_ranges(struct ranges *r)
{
    if (r->count > 0) {
        qsort(r->ranges, r->count, sizeof *r->ranges, compare_ranges);
    }
}

/* ---- The functions of a unit ----------------------------------------------------------------- */

struct function {
    Dwarf_Die die;
    uint32_t outer; /* index + 1 of the function it is in; 0 for none */
};

struct unit {
    Dwarf_Die die;
    struct function *functions;
    size_t count, room;
    struct ranges ranges;
    Dwarf_Files *files;
    size_t file_count;
};

enum { TREE_DEPTH_MAX = 1000 };

static void
add_function(struct unit *u, Dwarf_Die *die, uint32_t outer)
{
    u->functions = tool_grow(u->functions, u->count, &u->room, sizeof *u->functions);
    u->functions[u->count++] = (struct function){*die, outer};
}

/* Only what can hold code is walked: types and variables are most of a tree. */
static void
walk(struct unit *u, Dwarf_Die *parent, uint32_t outer, uint32_t depth)
{
    Dwarf_Die die;

    if (depth > TREE_DEPTH_MAX || dwarf_child(parent, &die) != 0) {
        return;
    }
    do {
        switch (dwarf_tag(&die)) {
        case DW_TAG_subprogram:
        case DW_TAG_inlined_subroutine:
            if (add_ranges(&u->ranges, &die, (uint32_t)u->count, depth)) {
                add_function(u, &die, outer);
                walk(u, &die, (uint32_t)u->count, depth + 1);
            }
            break;
        case DW_TAG_lexical_block:
        case DW_TAG_try_block:
        case DW_TAG_catch_block:
        case DW_TAG_namespace:
        case DW_TAG_module:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
            walk(u, &die, outer, depth + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static const char *
function_name(struct debug_names *names, Dwarf_Die *die, const char *symbol)
{
    Dwarf_Attribute attribute;
    const char *linkage = NULL;

    if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) != NULL ||
        dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute) != NULL) {
        linkage = dwarf_formstring(&attribute);
    }
    /* Some C++ functions have none; the symbol of a function that is not inlined is as good. */
    if (linkage == NULL && dwarf_tag(die) == DW_TAG_subprogram && symbol != NULL &&
        strncmp(symbol, "_Z", 2) == 0) {
        linkage = symbol;
    }
    if (linkage != NULL) {
        return debug_function_name(names, linkage);
    }
    return debug_name(names, dwarf_diename(die));
}

static struct symbol_frame *
add_frame(struct symbols *s, struct debug_query *q)
{
    struct symbol_frame *f;

    s->frames = tool_grow(s->frames, s->frame_count, &s->frame_room, sizeof *s->frames);
    f = &s->frames[s->frame_count++];
    *f = (struct symbol_frame){0};
    q->count++;
    return f;
}

/* Where the call is that was replaced by the body of the inlined function. */
static void
take_call_place(struct unit *u, struct debug_names *names, Dwarf_Die *die, const char **file,
                uint32_t *line)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value;

    *file = NULL;
    *line = 0;
    if (u->files == NULL && dwarf_getsrcfiles(&u->die, &u->files, &u->file_count) != 0) {
        u->files = NULL;
    }
    if (u->files != NULL && dwarf_attr(die, DW_AT_call_file, &attribute) != NULL &&
        dwarf_formudata(&attribute, &value) == 0 && value < u->file_count) {
        *file = debug_name(names, dwarf_filesrc(u->files, value, NULL, NULL));
    }
    if (dwarf_attr(die, DW_AT_call_line, &attribute) != NULL &&
        dwarf_formudata(&attribute, &value) == 0) {
        *line = (uint32_t)value;
    }
}

/* Frames of one address: the innermost function has the line of the address itself, each outer one
 * the line where the function within it was inlined. */
static void
answer(struct symbols *s, struct debug_names *names, struct unit *u, struct debug_query *q,
       uint64_t address, uint32_t innermost, const char *symbol)
{
    Dwarf_Line *found = dwarf_getsrc_die(&u->die, address);
    const char *file = found != NULL ? debug_name(names, dwarf_linesrc(found, NULL, NULL)) : NULL;
    int number = 0;
    uint32_t line;

    line = found != NULL && dwarf_lineno(found, &number) == 0 ? (uint32_t)number : 0;
    q->first = (uint32_t)s->frame_count;
    for (uint32_t at = innermost; at != 0;) {
        struct function *f = &u->functions[at - 1];
        bool inlined = dwarf_tag(&f->die) == DW_TAG_inlined_subroutine;
        struct symbol_frame *frame = add_frame(s, q);
        frame->function = function_name(names, &f->die, symbol);
        frame->file = file;
        frame->line = line;
        frame->inlined = inlined;
        if (!inlined) {
            return; /* a nested function is called, not part of what is around it */
        }
        take_call_place(u, names, &f->die, &file, &line);
        at = f->outer;
    }
    /* No function, or an inlined one in nothing: the symbol around it, and what line is left. */
    if (q->count > 0 || file != NULL || symbol != NULL) {
        struct symbol_frame *frame = add_frame(s, q);
        frame->function = debug_function_name(names, symbol);
        frame->file = file;
        frame->line = line;
    }
}

/* ---- All of a module ------------------------------------------------------------------------- */

struct debug_module {
    struct symbols *s;
    struct debug_names *names;
    struct symbol_table table;
    Dwarf_Die *units;
    size_t unit_count, unit_room;
    struct ranges unit_ranges;
};

/* A query and the unit it is in. */
struct wanted {
    uint32_t unit;
    uint32_t query;
};

static int
compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;

    if (x->unit != y->unit) {
        return x->unit < y->unit ? -1 : 1;
    }
    return (x->query > y->query) - (x->query < y->query);
}

/* .debug_aranges would be the list of this, but clang does not write it. */
static void
read_units(struct debug_module *m, Dwarf *dwarf)
{
    Dwarf_CU *cu = NULL;
    Dwarf_Die die, split;
    uint8_t type;

    while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
        Dwarf_Die *unit =
            type == DW_UT_skeleton && dwarf_tag(&split) != DW_TAG_invalid ? &split : &die;
        if (type == DW_UT_type || type == DW_UT_partial || type == DW_UT_split_type) {
            continue;
        }
        m->units = tool_grow(m->units, m->unit_count, &m->unit_room, sizeof *m->units);
        if (add_ranges(&m->unit_ranges, &die, (uint32_t)m->unit_count, 0)) {
            m->units[m->unit_count++] = *unit;
        }
    }
    sort_ranges(&m->unit_ranges);
}

/*
 * The addresses of one unit, in order. Functions that have begun wait on a stack, the innermost on
 * top, as long as the next address is within them.
 */
static void
resolve_unit(struct debug_module *m, const struct wanted *wanted, size_t count,
             struct debug_query *queries, uint64_t bias)
{
    struct unit u = {.die = m->units[wanted[0].unit]};
    struct range **stack;
    size_t height = 0, next = 0;

    walk(&u, &u.die, 0, 0);
    sort_ranges(&u.ranges);
    stack = tool_alloc((u.ranges.count + 1) * sizeof *stack);
    for (size_t i = 0; i < count; i++) {
        struct debug_query *q = &queries[wanted[i].query];
        uint64_t address = q->address - bias;
        for (; next < u.ranges.count && u.ranges.ranges[next].low <= address; next++) {
            while (height > 0 && stack[height - 1]->high <= u.ranges.ranges[next].low) {
                height--;
            }
            stack[height++] = &u.ranges.ranges[next];
        }
        while (height > 0 && stack[height - 1]->high <= address) {
            height--;
        }
        answer(m->s, m->names, &u, q, address, height == 0 ? 0 : stack[height - 1]->index + 1,
               find_symbol(&m->table, q->address));
    }
    free(stack);
    free(u.functions);
    free(u.ranges.ranges);
}

static void
resolve_by_debug(struct debug_module *m, struct debug_query *queries, size_t count, uint64_t bias)
{
    struct wanted *wanted = tool_alloc(count * sizeof *wanted);
    const struct ranges *r = &m->unit_ranges;
    size_t wanted_count = 0, next = 0, found = SIZE_MAX;

    for (size_t i = 0; i < count; i++) {
        uint64_t address = queries[i].address - bias;
        for (; next < r->count && r->ranges[next].low <= address; next++) {
            found = next;
        }
        if (found != SIZE_MAX && address < r->ranges[found].high) {
            wanted[wanted_count++] = (struct wanted){r->ranges[found].index, (uint32_t)i};
        }
    }
    if (wanted_count > 0) {
        qsort(wanted, wanted_count, sizeof *wanted, compare_wanted);
    }
    for (size_t i = 0, end; i < wanted_count; i = end) {
        for (end = i; end < wanted_count && wanted[end].unit == wanted[i].unit; end++) {
        }
        resolve_unit(m, wanted + i, end - i, queries, bias);
    }
    free(wanted);
}

enum symbol_source
debug_resolve(struct symbols *s, struct debug_names *names, Dwfl_Module *module,
              struct debug_query *queries, size_t count)
{
    struct debug_module m = {.s = s, .names = names};
    Dwarf_Addr bias = 0;
    Dwarf *dwarf = dwfl_module_getdwarf(module, &bias);
    enum symbol_source source;

    read_symbols(&m.table, module);
    if (dwarf != NULL) {
        read_units(&m, dwarf);
        resolve_by_debug(&m, queries, count, bias);
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = queries[i].count == 0 ? find_symbol(&m.table, queries[i].address) : NULL;
        if (name != NULL) {
            queries[i].first = (uint32_t)s->frame_count;
            add_frame(s, &queries[i])->function = debug_function_name(names, name);
        }
    }
    source = m.unit_count > 0 ? SYMBOLS_DEBUG : m.table.count > 0 ? SYMBOLS_TABLE : SYMBOLS_NONE;
    free(m.table.symbols);
    free(m.units);
    free(m.unit_ranges.ranges);
    return source;
}
